"""Digits, sounds, and scenes composed of them."""

from mtl_tutorial.data.digits import DataUnavailableError, Digits, data_root, load_digits
from mtl_tutorial.data.scenes import Scenes, located_digits, two_digits, untouched_digits
from mtl_tutorial.data.seen_and_heard import seen_and_heard
from mtl_tutorial.data.sound import Recordings, log_mel
from mtl_tutorial.data.speech import load_speech
from mtl_tutorial.data.tones import dial_tones

__all__ = [
    "DataUnavailableError",
    "Digits",
    "Recordings",
    "Scenes",
    "data_root",
    "dial_tones",
    "load_digits",
    "load_speech",
    "located_digits",
    "log_mel",
    "seen_and_heard",
    "two_digits",
    "untouched_digits",
]
