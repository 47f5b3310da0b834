"""Digits, and scenes composed of them."""

from mtl_tutorial.data.digits import DataUnavailableError, Digits, data_root, load_digits
from mtl_tutorial.data.scenes import Scenes, located_digits, two_digits, untouched_digits

__all__ = [
    "DataUnavailableError",
    "Digits",
    "Scenes",
    "data_root",
    "load_digits",
    "located_digits",
    "two_digits",
    "untouched_digits",
]
