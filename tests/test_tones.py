"""Dial tones have the frequencies of the telephone's keys."""

from __future__ import annotations

import pytest
import torch

from mtl_tutorial.data import dial_tones
from mtl_tutorial.data.digits import SPLITS
from mtl_tutorial.data.sound import RATE, SAMPLES
from mtl_tutorial.data.tones import HUMS, tone_pair

TRAIN = dial_tones("train")
KEYPAD = {
    **{1: (697, 1209), 2: (697, 1336), 3: (697, 1477), 4: (770, 1209), 5: (770, 1336)},
    **{6: (770, 1477), 7: (852, 1209), 8: (852, 1336), 9: (852, 1477), 0: (941, 1336)},
}


def loudest(wave: torch.Tensor, low: float, high: float) -> float:
    """The loudest frequency from low to high, in hertz."""
    hertz = torch.fft.rfftfreq(len(wave), 1 / RATE)
    power = torch.fft.rfft(wave).abs() * ((hertz >= low) & (hertz <= high))
    return hertz[power.argmax()].item()


@pytest.mark.parametrize("digit", KEYPAD)
def test_a_digit_has_the_pair_of_the_telephones_keypad(digit: int) -> None:
    assert tone_pair(digit) == KEYPAD[digit]


@pytest.mark.parametrize("digit", [-1, 10, 12, 2.5, "*"])
def test_what_is_no_digit_has_no_pair(digit) -> None:
    with pytest.raises(ValueError, match="from 0 to 9, got"):
        tone_pair(digit)


@pytest.mark.parametrize("digit", range(10))
def test_row_column_and_hum_are_found_in_every_take(digit: int) -> None:
    row, column = KEYPAD[digit]
    for hum, takes in zip(HUMS, TRAIN.waves[digit], strict=True):
        for wave in takes:
            assert loudest(wave, 650, 1000) == pytest.approx(row, abs=4)
            assert loudest(wave, 1150, 1600) == pytest.approx(column, abs=4)
            assert loudest(wave, 0, 600) == pytest.approx(hum, abs=4)


@pytest.mark.parametrize("split", SPLITS)
def test_recordings_have_the_promised_shape_and_loudness(split: str) -> None:
    tones = dial_tones(split)
    assert tones.split == split
    assert tones.waves.shape[:2] == (10, len(tones.speakers)) == (10, 6)
    assert tones.waves.shape[3] == SAMPLES
    assert torch.allclose(tones.waves.square().mean(-1), torch.tensor(1.0), atol=1e-4)


def test_no_two_takes_are_the_same_within_or_across_splits() -> None:
    waves = torch.cat([dial_tones(split).waves.flatten(0, 2) for split in SPLITS])
    assert len({wave.numpy().tobytes() for wave in waves}) == len(waves)
    units = waves / waves.norm(dim=1, keepdim=True)
    cosines = (units @ units.T).fill_diagonal_(0)
    assert cosines.abs().max() < 0.999


def test_the_same_split_is_the_same_on_every_call_and_the_global_generator_stays() -> None:
    before = torch.get_rng_state()
    assert torch.equal(dial_tones("train").waves, TRAIN.waves)
    assert torch.equal(torch.get_rng_state(), before)


def test_an_unknown_split_is_refused() -> None:
    with pytest.raises(ValueError, match="did you mean 'train'"):
        dial_tones("trian")
