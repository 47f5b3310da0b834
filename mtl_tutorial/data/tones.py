"""Dialled digits: the tones of a telephone's keys, made from their formula."""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor

from mtl_tutorial.data.digits import SPLITS
from mtl_tutorial.data.sound import RATE, SAMPLES, Sounds
from mtl_tutorial.profiles import check_choice, resolve_device

ROWS, COLUMNS = (697, 770, 852, 941), (1209, 1336, 1477)  # hertz
KEYS = ("123", "456", "789", "*0#")
HUMS = (120, 190, 260, 330, 400, 470)  # hertz, one a phone
HUM = 0.5  # amplitude; that of each of the two tones is 1
TAKES = {"train": 10, "validation": 5, "test": 5}


def tone_pair(digit: int) -> tuple[int, int]:
    """The two frequencies of a digit's key, in hertz: that of its row and that of its column.

    Raises:
        ValueError: where it is no digit.

    Source: ITU-T recommendation Q.23.
    """
    for row, keys in zip(ROWS, KEYS, strict=True):
        if str(digit) in keys and digit in range(10):
            return row, COLUMNS[keys.index(str(digit))]
    raise ValueError(f"digit must be a whole number from 0 to 9, got {digit!r}")


def dial_tones(split: str, *, device: str = "cpu") -> Sounds:
    """Every digit dialled on six phones, several times each.

    sin(2π f_row t + a) + sin(2π f_column t + b) for 0.2 to 0.5 s, starting at a random moment,
    over a hum ½ sin(2π f_phone t + c) that lasts: each phone hums at its own frequency, and so
    stands in for a speaker. Phases, starts and lengths are drawn anew for each take; each split
    has draws of its own.

    Raises:
        ValueError: for an unknown split or device.
    """
    check_choice("split", split, SPLITS)
    with torch.device("cpu"):  # whatever the default is
        waves = _waves(TAKES[split], torch.Generator().manual_seed(SPLITS.index(split)))
    phones = tuple(f"phone at {hertz} Hz" for hertz in HUMS)
    return Sounds(waves.to(resolve_device(device)), phones, split)


def _waves(takes: int, generator: Generator) -> Tensor:
    shape = (10, len(HUMS), takes, 1)
    pairs = torch.tensor([tone_pair(digit) for digit in range(10)], dtype=torch.float32)
    row, column = (pair.view(10, 1, 1, 1) for pair in pairs.unbind(1))
    length = 0.2 + 0.3 * torch.rand(shape, generator=generator, dtype=torch.float32)
    start = (SAMPLES / RATE - length) * torch.rand(shape, generator=generator, dtype=torch.float32)
    t = torch.arange(SAMPLES, dtype=torch.float32) / RATE
    heard = (start <= t) & (t < start + length)
    tones = _sine(row, shape, generator) + _sine(column, shape, generator)
    hum = _sine(torch.tensor(HUMS, dtype=torch.float32).view(1, -1, 1, 1), shape, generator)
    waves = tones * heard + HUM * hum
    return waves / waves.square().mean(-1, keepdim=True).sqrt()


def _sine(hertz: Tensor, shape: tuple[int, ...], generator: Generator) -> Tensor:
    turns = hertz / RATE * torch.arange(SAMPLES)
    return torch.sin(
        2 * math.pi * (turns + torch.rand(shape, generator=generator, dtype=torch.float32))
    )
