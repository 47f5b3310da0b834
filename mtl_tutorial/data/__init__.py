"""Digits, sounds, and scenes composed of them."""

from mtl_tutorial.data.digits import DataUnavailableError, Digits, data_root, load_digits
from mtl_tutorial.data.questions import TASKS
from mtl_tutorial.data.scenes import Scenes, located_digits, untouched_digits
from mtl_tutorial.data.seen_and_heard import gallery, seen_and_heard
from mtl_tutorial.data.sound import Sounds, log_mel
from mtl_tutorial.data.speech import load_speech
from mtl_tutorial.data.streams import in_turn, joined, mixed, only, with_few_labels
from mtl_tutorial.data.tones import dial_tones
from mtl_tutorial.data.two_digits import TWO_DIGITS_RECIPE, to_pixels, two_digits

__all__ = [
    "TASKS",
    "TWO_DIGITS_RECIPE",
    "DataUnavailableError",
    "Digits",
    "Scenes",
    "Sounds",
    "data_root",
    "dial_tones",
    "gallery",
    "in_turn",
    "joined",
    "load_digits",
    "load_speech",
    "located_digits",
    "log_mel",
    "mixed",
    "only",
    "seen_and_heard",
    "to_pixels",
    "two_digits",
    "untouched_digits",
    "with_few_labels",
]
