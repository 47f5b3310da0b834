"""Sounds have one length and loudness, and spectrograms are what their formula says."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mtl_tutorial.data.sound import (
    BANDS,
    FRAMES,
    HOP,
    RATE,
    SAMPLES,
    WINDOW,
    Sounds,
    fit_length,
    log_mel,
    mel,
    mel_filters,
)


def tone(hertz: float, amplitude: float = 1.0) -> torch.Tensor:
    return amplitude * torch.sin(2 * math.pi * hertz * torch.arange(SAMPLES) / RATE)


def noise(count: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, SAMPLES, generator=torch.Generator().manual_seed(seed))


def centres() -> torch.Tensor:
    steps = torch.linspace(0, mel(RATE / 2), BANDS + 2)[1:-1]
    return 700 * (10 ** (steps / 2595) - 1)


def test_a_thousand_hertz_are_a_thousand_mel() -> None:
    assert mel(1000) == pytest.approx(1000, abs=0.1)
    assert mel(0) == 0


def test_the_weights_of_the_filters_add_up_to_one_between_first_and_last_centre() -> None:
    hertz = torch.arange(WINDOW // 2 + 1) * RATE / WINDOW
    inside = (hertz >= centres()[0]) & (hertz <= centres()[-1])
    assert inside.sum() > 100
    assert torch.allclose(mel_filters().sum(0)[inside], torch.tensor(1.0), atol=1e-5)
    assert mel_filters().sum(0).max() <= 1 + 1e-5


def test_no_filter_is_empty_or_negative() -> None:
    assert mel_filters().shape == (BANDS, WINDOW // 2 + 1)
    assert mel_filters().min() == 0
    assert mel_filters().amax(1).min() > 0.4


def test_filters_follow_each_other_up_the_scale_and_grow_wider() -> None:
    heaviest = mel_filters().argmax(1)
    assert (heaviest.diff() >= 1).all()
    widths = (mel_filters(BANDS, 4096) > 0).sum(1)
    assert (widths.diff() >= 0).all()


@pytest.mark.parametrize("bands", [8, 20, 40])
def test_filters_of_any_number_peak_at_their_centres(bands: int) -> None:
    fine = mel_filters(bands, 8192)
    steps = torch.linspace(0, mel(RATE / 2), bands + 2)[1:-1]
    expected = 700 * (10 ** (steps / 2595) - 1)
    assert torch.allclose(fine.argmax(1) * RATE / 8192, expected, atol=1.0)


def test_a_spectrogram_equals_its_formula_frame_by_frame() -> None:
    wave = noise(1)[0]
    side = (WINDOW - HOP) // 2
    padded = torch.cat([torch.zeros(side), wave, torch.zeros(side)])
    window = torch.hann_window(WINDOW)
    columns = []
    for frame in range(FRAMES):
        part = padded[frame * HOP : frame * HOP + WINDOW] * window
        power = torch.fft.rfft(part).abs() ** 2 / (window**2).sum()
        columns.append((torch.log10(mel_filters() @ power + 1e-3) + 0.5) / 2.5)
    assert torch.allclose(log_mel(wave[None])[0, 0], torch.stack(columns, 1), atol=1e-4)


def test_white_noise_of_variance_one_has_power_one() -> None:
    power = 10 ** (2.5 * log_mel(noise(64))[:, 0, :, 2:-2] - 0.5) - 1e-3
    expected = mel_filters().sum(1)
    assert torch.allclose(power.mean((0, 2)), expected, rtol=0.1)


def test_silence_is_minus_one_and_a_tone_about_one() -> None:
    assert torch.allclose(log_mel(torch.zeros(2, SAMPLES)), torch.tensor(-1.0))
    assert 0.7 < log_mel(tone(1000, math.sqrt(2))[None]).max() < 1.3


@pytest.mark.parametrize("hertz", [300, 697, 1209, 3000])
def test_a_tone_is_brightest_in_the_band_whose_centre_is_nearest(hertz: int) -> None:
    steps = torch.linspace(0, mel(RATE / 2), BANDS + 2)[1:-1]
    nearest = (steps - mel(hertz)).abs().argmin()
    assert (log_mel(tone(hertz)[None])[0, 0, :, 2:-2].argmax(0) == nearest).all()


def test_a_batch_gives_what_its_waves_give_one_by_one() -> None:
    waves = noise(5)
    one_by_one = torch.cat([log_mel(wave[None]) for wave in waves])
    assert torch.allclose(log_mel(waves), one_by_one, atol=1e-5)
    assert one_by_one.shape == (5, 1, BANDS, FRAMES)


@given(st.integers(1, 3 * SAMPLES), st.floats(1e-3, 1e3))
def test_every_recording_gets_the_length_and_the_mean_square_one(length, loudness) -> None:
    wave = loudness * (1.5 + torch.arange(length).float().sin())
    fitted = fit_length(wave)
    assert fitted.shape == (SAMPLES,)
    heard = fitted[fitted != 0]
    assert len(heard) == min(length, SAMPLES)
    assert heard.square().mean().item() == pytest.approx(1, rel=1e-3)


def test_a_long_recording_keeps_its_middle_and_a_short_one_lies_in_the_middle() -> None:
    assert fit_length(torch.tensor([9.0, 1, 1, 9]), 2).tolist() == [1, 1]
    assert fit_length(torch.tensor([1.0, -1]), 4).tolist() == [0, 1, -1, 0]
    assert fit_length(torch.tensor([1.0]), 4).tolist() == [0, 1, 0, 0]


def test_silence_stays_silence() -> None:
    assert fit_length(torch.zeros(10)).abs().sum() == 0


@pytest.mark.parametrize("shape", [(0,), (2, 100), ()])
def test_a_recording_of_another_shape_is_refused(shape) -> None:
    with pytest.raises(ValueError, match=r"a recording must have shape \(L,\)"):
        fit_length(torch.zeros(shape))


@pytest.mark.parametrize("loudness", [1e-30, 1e-12, 1e-4, 1e4, 1e30])
def test_the_softest_and_the_loudest_recordings_get_the_mean_square_one(loudness) -> None:
    wave = loudness * noise(1)[0].double()
    assert fit_length(wave).square().mean().item() == pytest.approx(1, rel=1e-3)
    assert torch.allclose(fit_length(wave), fit_length(noise(1)[0]), atol=1e-4)


@pytest.mark.parametrize("dtype", [torch.int16, torch.int32])
def test_samples_that_are_whole_numbers_do_not_overflow(dtype) -> None:
    wave = (20_000 * tone(500)).to(dtype)
    assert torch.allclose(fit_length(wave), fit_length(wave.double()))
    assert fit_length(wave).dtype == torch.float32


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_recording_that_is_not_finite_is_refused(value) -> None:
    with pytest.raises(ValueError, match="a recording must be finite, got NaN or infinite"):
        fit_length(torch.tensor([0.5, value]))


@pytest.mark.parametrize("samples", [0, -1, 2.0, True])
def test_a_length_that_is_none_is_refused(samples) -> None:
    with pytest.raises(ValueError, match="samples must be a whole number from 1 on, got"):
        fit_length(torch.ones(4), samples)


@pytest.mark.parametrize("shape", [(SAMPLES,), (2, 1, SAMPLES), (2, SAMPLES - 1)])
def test_waves_of_another_shape_have_no_spectrogram(shape) -> None:
    with pytest.raises(ValueError, match=rf"waves must have shape \(B, {SAMPLES}\), got"):
        log_mel(torch.zeros(shape))


WAVES = torch.stack([tone(200 + 20 * i, math.sqrt(2)) for i in range(40)]).view(10, 2, 2, SAMPLES)


def spoiled(value: float) -> torch.Tensor:
    waves = WAVES.clone()
    waves[3, 1, 0, 77] = value
    return waves


@pytest.mark.parametrize(
    ("waves", "told"),
    [
        (WAVES.double(), "must be a float32 tensor, got torch.float64"),
        (WAVES.numpy(), "must be a float32 tensor, got ndarray"),
        (WAVES[:9], r"must have shape \(10, 2, takes, 5120\), got \(9, 2, 2, 5120\)"),
        (WAVES[:, :1], r"2 speakers must .*got \(10, 1, 2, 5120\)"),
        (WAVES[..., :320], r"got \(10, 2, 2, 320\); fit_length gives"),
        (WAVES[:, :, :0], r"got \(10, 2, 0, 5120\)"),
        (WAVES[:, :, 0], r"got \(10, 2, 5120\)"),
        (spoiled(math.nan), r"must be finite.* waves\[3, 1, 0\] goes up to nan"),
        (spoiled(math.inf), r"must be finite.* waves\[3, 1, 0\] goes up to inf"),
        (WAVES * 32768, r"waves\[0, 0, 0\] goes up to 4.63e\+04 with the mean square 1.07e\+09"),
        (WAVES * 0.1, r"waves\[0, 0, 0\] goes up to 0.141 with the mean square 0.01;"),
    ],
)
def test_waves_in_another_unit_type_or_shape_are_refused(waves, told) -> None:
    with pytest.raises(ValueError, match=f"waves of .*{told}") as error:
        Sounds(waves, ("a", "b"), "train")
    assert "\n" not in str(error.value)


def test_silence_and_what_fit_length_gives_are_sounds() -> None:
    assert Sounds(torch.zeros_like(WAVES), ("a", "b"), "test").speakers == ("a", "b")
    short = fit_length(noise(1)[0][:50]).expand(10, 1, 1, -1)
    assert Sounds(short, ("a",), "test").waves.shape == (10, 1, 1, SAMPLES)
    with pytest.raises(ValueError, match="did you mean 'test'"):
        Sounds(WAVES, ("a", "b"), "tst")
