"""Two linear tasks at an angle: what learning them jointly saves, and what it costs."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from numbers import Integral

import numpy as np

DIMENSIONS = 10  # d, numbers in an input
FEWEST, MOST = 15, 120  # samples of a task; below d + 4 errors have no finite variance
SETS = 200  # data sets drawn for the bands
ANGLES = np.arange(0, 181, 3)


@dataclass(frozen=True)
class Relatedness:
    """The error of two tasks, learned alone and jointly, at every angle between them.

    Args:
        angle: between the teachers, in degrees.
        alone: expected error of each task learned alone, shape ``(2,)``.
        joint: expected error of each task at ``angle``, learned jointly, shape ``(2,)``.
        curves: the same at ``ANGLES``, shape ``(2, len(ANGLES))``.
        bands: where eight of ten data sets lie (10th and 90th percentile), shape
            ``(2, 2, len(ANGLES))``: task, end, angle.
        turning: the angle in degrees from which joint training hurts each task; None where it
            helps at every angle.
    """

    angle: float
    alone: tuple[float, float]
    joint: tuple[float, float]
    curves: np.ndarray
    bands: np.ndarray
    turning: tuple[float | None, float | None]


def error_alone(samples: int, noise: float, dimensions: int = DIMENSIONS) -> float:
    """Give the expected error of least squares on one task.

    E‖ŵ − w‖² = σ² d / (n − d − 1), for x ~ N(0, I_d) and y = w·x + N(0, σ²); it is also the
    expected squared error on new inputs beyond the noise.

    Args:
        samples: n, above d + 1.
        noise: σ.
        dimensions: d.

    Raises:
        ValueError: where there are too few samples for the expectation to be finite.
    """
    if samples <= dimensions + 1:
        raise ValueError(
            f"samples must be more than dimensions + 1 = {dimensions + 1}, got {samples}"
        )
    return noise**2 * dimensions / (samples - dimensions - 1)


def bias_share(own: int, other: int, dimensions: int = DIMENSIONS) -> float:
    """Give c in E‖ŵ − w_1‖² = c ‖w_2 − w_1‖² + σ² d / (n − d − 1) for the pooled least squares.

    ŵ − w_1 = S⁻¹ S_2 (w_2 − w_1) + noise, with S_i = X_iᵀX_i and S = S_1 + S_2. Then
    c = E tr(S_2 S⁻² S_2) / d. B = S^{-1/2} S_2 S^{-1/2} is a matrix beta variable, independent of
    the Wishart matrix S, and its second moments give
    c = ((n − 1) E tr B² − E (tr B)²) / (d (n − d − 1)). Roughly, c is (n_2 / n)².

    Args:
        own: n_1, samples of the task whose error is asked for.
        other: n_2, those of the other task; n = n_1 + n_2.
        dimensions: d.

    Source: moments of zonal polynomials of Wishart and beta matrices, Muirhead 1982, chapter 7.
    """
    n, d = own + other, dimensions
    a, b = other / 2, n / 2
    zonal_2 = a * (a + 1) / (b * (b + 1)) * (d**2 + 2 * d) / 3
    zonal_11 = a * (a - 1 / 2) / (b * (b - 1 / 2)) * 2 * (d**2 - d) / 3
    trace_of_square, square_of_trace = zonal_2 - zonal_11 / 2, zonal_2 + zonal_11
    return ((n - 1) * trace_of_square - square_of_trace) / (d * (n - d - 1))


def error_joint(angle, own: int, other: int, noise: float, dimensions: int = DIMENSIONS):
    """Give the expected error of a task whose data are pooled with another's.

    E‖ŵ − w_1‖² = c (2 − 2 cos φ) + σ² d / (n − d − 1) for teachers of length 1; c is that of
    `bias_share`.

    Args:
        angle: φ in degrees, a number or an array.
        own, other: samples of the task and of the other one.
        noise: σ.
        dimensions: d.
    """
    apart = 2 - 2 * np.cos(np.radians(angle))
    return bias_share(own, other, dimensions) * apart + error_alone(own + other, noise, dimensions)


def turning_angle(own: int, other: int, noise: float, dimensions: int = DIMENSIONS) -> float | None:
    """Give the angle in degrees at which both ways of learning a task are equally good.

    cos φ = 1 − (variance saved) / (2 c). None where joint training helps at every angle.
    """
    saved = error_alone(own, noise, dimensions) - error_alone(own + other, noise, dimensions)
    cosine = 1 - saved / (2 * bias_share(own, other, dimensions))
    return math.degrees(math.acos(cosine)) if cosine > -1 else None


def check_samples(samples: tuple[int, int]) -> None:
    """Refuse what is no pair of numbers of samples.

    Raises:
        ValueError: where it is not two whole numbers from 15 to 120.
    """
    if np.ndim(samples) != 1 or len(samples) != 2:
        raise ValueError(f"samples must be two numbers, one for each task, got {samples!r}")
    for i, count in enumerate(samples, 1):
        if not isinstance(count, Integral) or not FEWEST <= count <= MOST:
            raise ValueError(
                f"samples of task {i} must be a whole number from {FEWEST} to {MOST}, got {count!r}"
            )


@functools.lru_cache(maxsize=4)
def _draws(sets: int, dimensions: int) -> tuple[np.ndarray, np.ndarray]:
    """Inputs of both tasks, shape (2, sets, MOST, d), and noise of size 1, (2, sets, MOST)."""
    rng = np.random.default_rng(0)
    inputs = rng.standard_normal((2, sets, MOST, dimensions))
    return inputs, rng.standard_normal((2, sets, MOST))


def simulate_joint(
    angles: np.ndarray,
    samples: tuple[int, int],
    noise: float,
    *,
    sets: int = SETS,
    dimensions: int = DIMENSIONS,
) -> np.ndarray:
    """Solve the pooled least squares on drawn data sets; the same ones at every angle.

    Args:
        angles: in degrees, shape ``(A,)``.
        samples: n_1 and n_2, 15 to 120 each.
        noise: σ.
        sets: data sets.
        dimensions: d.

    Returns:
        ‖ŵ − w_i‖² for both tasks, shape ``(2, sets, A)``.

    Raises:
        ValueError: for other numbers of samples.
    """
    check_samples(samples)
    inputs, errors = _draws(sets, dimensions)
    pairs = [(x[:, :n], e[:, :n]) for x, e, n in zip(inputs, errors, samples, strict=True)]
    grams = [x.transpose(0, 2, 1) @ x for x, _ in pairs]
    pulls = [(x.transpose(0, 2, 1) @ e[..., None]) for x, e in pairs]
    radians = np.radians(angles)
    apart = np.zeros((dimensions, len(angles)))  # w_2 − w_1
    apart[0], apart[1] = np.cos(radians) - 1, np.sin(radians)
    sides = [noise * sum(pulls), grams[1][..., :2], grams[0][..., :2]]
    solved = np.linalg.solve(sum(grams), np.concatenate(sides, axis=2))
    shift, to_other, from_other = solved[..., :1], solved[..., 1:3], solved[..., 3:]
    off = [to_other @ apart[:2] + shift, -from_other @ apart[:2] + shift]
    return np.stack([(error**2).sum(1) for error in off])


def compute_relatedness(angle: float, samples: tuple[int, int], noise: float) -> Relatedness:
    """Work out the errors.

    Args:
        angle: between the teachers, 0 to 180 degrees.
        samples: n_1 and n_2, 15 to 120 each.
        noise: σ, with teachers of length 1.

    Raises:
        ValueError: for other numbers of samples.
    """
    check_samples(samples)
    ways = (samples, samples[::-1])
    curves = np.stack([error_joint(ANGLES, *way, noise) for way in ways])
    drawn = simulate_joint(ANGLES, samples, noise)
    joint = [float(error_joint(angle, *way, noise)) for way in ways]
    return Relatedness(
        angle=angle,
        alone=(error_alone(samples[0], noise), error_alone(samples[1], noise)),
        joint=(joint[0], joint[1]),
        curves=curves,
        bands=np.quantile(drawn, [0.1, 0.9], axis=1).transpose(1, 0, 2),
        turning=(turning_angle(*ways[0], noise), turning_angle(*ways[1], noise)),
    )
