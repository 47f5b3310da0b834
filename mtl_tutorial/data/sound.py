"""Sound as pictures: sounds of one length, and their log-mel spectrograms."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional as F

from mtl_tutorial.data.digits import SPLITS
from mtl_tutorial.profiles import check_choice

RATE = 8_000  # samples a second
BANDS, FRAMES = 32, 32  # height and width of a spectrogram
WINDOW, HOP = 256, 160  # samples: 32 ms, every 20 ms
SAMPLES = FRAMES * HOP  # of every recording: 0.64 s
FLOOR = 1e-3  # of the power spectrum: what is softer counts as silence


@dataclass(frozen=True, eq=False)
class Sounds:
    """Spoken or dialled digits of one split, on one device, in order.

    Args:
        waves: shape ``(10, speakers, takes, SAMPLES)``, float32: ``waves[d, s, k]`` is the k-th
            time that speaker ``s`` says digit ``d``. The mean square of what is heard is 1, as
            `fit_length` makes it; silence is 0.
        speakers: their names.
        split: ``"train"``, ``"validation"`` or ``"test"``.

    Raises:
        ValueError: where they are something else.
    """

    waves: Tensor = field(repr=False)
    speakers: tuple[str, ...]
    split: str

    def __post_init__(self) -> None:
        check_choice("split", self.split, SPLITS)
        waves = self.waves
        if not isinstance(waves, Tensor) or waves.dtype != torch.float32:
            got = waves.dtype if isinstance(waves, Tensor) else type(waves).__name__
            raise ValueError(f"waves of sounds must be a float32 tensor, got {got}")
        shape, fits = tuple(waves.shape), (10, len(self.speakers), *waves.shape[2:3], SAMPLES)
        if shape != fits or not waves.numel():
            raise ValueError(
                f"waves of {len(self.speakers)} speakers must have shape "
                f"(10, {len(self.speakers)}, takes, {SAMPLES}), got {shape}; fit_length gives a "
                f"wave this length"
            )
        low, high = waves.aminmax(dim=-1)
        loudest = torch.maximum(high, -low)
        power = torch.linalg.vector_norm(waves, dim=-1).square() / SAMPLES
        # where the mean square of what is heard is 1, something is as loud as 1
        wrong = ~((loudest == 0) | ((loudest > 0.99) & (power < 1.01)))  # so NaN is wrong too
        if wrong.any():
            d, s, k = wrong.nonzero()[0].tolist()
            raise ValueError(
                f"waves of sounds must be finite, with the mean square 1 where something is heard "
                f"or silent, but waves[{d}, {s}, {k}] goes up to {loudest[d, s, k]:.3g} with the "
                f"mean square {power[d, s, k]:.3g}; fit_length makes it so"
            )


def fit_length(wave: Tensor, samples: int = SAMPLES) -> Tensor:
    """Give a wave the mean square 1 and a length: its middle, or silence on both sides.

    Args:
        wave: shape ``(L,)``, L at least 1, of any loudness; whole numbers will do, and silence
            stays silence.
        samples: the length, at least 1.

    Returns:
        Shape ``(samples,)``, float32.

    Raises:
        ValueError: for another shape or length, or a wave that is not finite.
    """
    if wave.ndim != 1 or not len(wave):
        raise ValueError(
            f"a recording must have shape (L,) with L at least 1, got {tuple(wave.shape)}"
        )
    if not isinstance(samples, int) or isinstance(samples, bool) or samples < 1:
        raise ValueError(f"samples must be a whole number from 1 on, got {samples!r}")
    wave = wave.to(torch.promote_types(wave.dtype, torch.float32))
    if not wave.abs().max().isfinite():
        raise ValueError("a recording must be finite, got NaN or infinite samples; leave it out")
    spare = samples - len(wave)
    wave = F.pad(wave, (spare // 2, spare - spare // 2))  # negative padding crops
    heard = min(samples, samples - spare)
    # the squares of very soft and very loud waves can't be held
    wave = wave / wave.abs().max().clamp(min=torch.finfo(wave.dtype).tiny)
    return (wave / wave.square().sum().div(heard).sqrt().clamp(min=1e-6)).float()


def mel(hertz: float) -> float:
    """Pitch in mel: 2595 log10(1 + f / 700). Equal steps sound about equally far apart."""
    return 2595 * math.log10(1 + hertz / 700)


@functools.cache
def mel_filters(bands: int = BANDS, window: int = WINDOW, rate: int = RATE) -> Tensor:
    """Triangular filters whose centres lie at equal distances in mel.

    With f_0 = 0, f_{K+1} = rate / 2 and f_k equally far apart in mel between them, filter k has at
    frequency f the weight max(0, min((f − f_{k−1}) / (f_k − f_{k−1}), (f_{k+1} − f) /
    (f_{k+1} − f_k))): 1 at f_k, falling to 0 at its neighbours' centres. Between the first centre
    and the last, the weights at each frequency add up to 1.

    Returns:
        Shape ``(bands, window // 2 + 1)``; column j stands for j · rate / window hertz.
    """
    edges = torch.linspace(0, mel(rate / 2), bands + 2, dtype=torch.float64, device="cpu")
    hertz = 700 * (10 ** (edges / 2595) - 1)
    below, centre, above = (hertz[i : bands + i, None] for i in range(3))
    f = torch.arange(window // 2 + 1, device="cpu") * (rate / window)
    rising, falling = (f - below) / (centre - below), (above - f) / (above - centre)
    return torch.minimum(rising, falling).clamp(min=0).float()


def log_mel(waves: Tensor) -> Tensor:
    """Turn waves into log-mel spectrograms, all at once.

    P = |STFT|² / Σ_t w_t² with a Hann window w, so that white noise of variance 1 has P = 1;
    S = (log10(mel filters · P + 0.001) + ½) / 2.5. Silence is −1, the loudest tones are about 1.

    Args:
        waves: shape ``(B, SAMPLES)``.

    Returns:
        Shape ``(B, 1, 32, 32)``: low pitch in the first row, time from left to right.

    Raises:
        ValueError: for waves of another shape.
    """
    if waves.ndim != 2 or waves.shape[1] != SAMPLES:
        raise ValueError(
            f"waves must have shape (B, {SAMPLES}), got {tuple(waves.shape)}; fit_length gives a "
            f"wave this length"
        )
    window = _hann(str(waves.device))
    side = (WINDOW - HOP) // 2
    spectrum = torch.stft(
        F.pad(waves, (side, side)), WINDOW, HOP, window=window, center=False, return_complex=True
    )
    power = spectrum.real.square() + spectrum.imag.square()
    filters = mel_filters().to(waves.device) / window.square().sum()
    return ((filters @ power).add(FLOOR).log10()[:, None] + 0.5) / 2.5


@functools.cache
def _hann(device: str) -> Tensor:
    return torch.hann_window(WINDOW, dtype=torch.float32, device=device)
