"""The relatedness lab: two linear tasks at an angle, and when learning them jointly hurts."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from numbers import Integral

import ipywidgets
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from mtl_tutorial.plots import BLUE, GREEN, GREY, VERMILION, panels
from mtl_tutorial.widgets.events import redraw_on_moves
from mtl_tutorial.widgets.limits import check_within
from mtl_tutorial.widgets.view import View

DIMENSIONS = 10  # d, numbers in an input
FEWEST, MOST = 15, 120  # samples of a task; below d + 4 errors have no finite variance
SETS = 200  # data sets drawn for the bands
ANGLES = np.arange(0, 181, 3)
NOISES = (0.1, 2)  # from the least to the most
RANGE = (0.02, 50)  # of the drawn ratio of errors
TASKS = {
    "task 1": {"color": BLUE, "linestyle": "-"},
    "task 2": {"color": VERMILION, "linestyle": "--"},
}


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
        check_within(f"samples of task {i}", count, FEWEST, MOST)
        if not isinstance(count, Integral):
            raise ValueError(f"samples of task {i} must be a whole number, got {count!r}")


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
    return Relatedness(
        angle=angle,
        alone=tuple(error_alone(n, noise) for n in samples),
        joint=tuple(float(error_joint(angle, *way, noise)) for way in ways),
        curves=curves,
        bands=np.quantile(drawn, [0.1, 0.9], axis=1).transpose(1, 0, 2),
        turning=tuple(turning_angle(*way, noise) for way in ways),
    )


def draw_relatedness(figure: Figure, lab: Relatedness) -> str:
    """Draw the two teachers, and each task's error against the angle, in units of that alone."""
    plane, axes = panels(figure, 1, 2)[0]
    plane.set_position([0.0, 0.1, 0.25, 0.75])
    axes.set_position([0.35, 0.15, 0.63, 0.72])
    _draw_teachers(plane, lab.angle)
    axes.set(xlim=(0, 180), yscale="log", ylim=RANGE, xlabel="angle between the teachers, degrees")
    axes.set(ylabel="error, jointly ÷ alone")
    axes.set_xticks(range(0, 181, 30))
    axes.set_yticks([0.1, 1, 10], ["0.1", "1", "10"])
    axes.yaxis.set_minor_locator(NullLocator())
    axes.axhspan(RANGE[0], 1, color=GREEN, alpha=0.1, linewidth=0)
    axes.axhline(1, color=GREY, linewidth=1)
    axes.text(178, 0.8 * RANGE[1], "joint training hurts", color=GREY, ha="right", va="top")
    axes.text(90, 1.2 * RANGE[0], "joint training helps", color=GREEN, ha="center")
    axes.axvline(lab.angle, color=GREY, linewidth=1)
    for i, (name, style) in enumerate(TASKS.items()):
        alone, colour = lab.alone[i], style["color"]
        axes.fill_between(ANGLES, *lab.bands[i] / alone, color=colour, alpha=0.15, linewidth=0)
        axes.plot(ANGLES, lab.curves[i] / alone, label=name, **style)
        axes.plot(lab.angle, lab.joint[i] / alone, "o", color=colour, markersize=9, clip_on=False)
    axes.legend(loc="lower right", handlelength=3)
    axes.set_title(_finding(lab.turning))
    return describe_relatedness(lab)


def _draw_teachers(plane: Axes, angle: float) -> None:
    plane.set(xlim=(-1.5, 1.5), ylim=(-1.2, 1.5), aspect="equal")
    plane.set_axis_off()
    styles = zip(("w₁", "w₂"), (0, angle), (-0.16, 0.12), TASKS.values(), strict=True)
    for name, turn, below, style in styles:
        x, y = math.cos(math.radians(turn)), math.sin(math.radians(turn))
        head = {"arrowstyle": "-|>", "color": style["color"], "linewidth": 3,
                "mutation_scale": 16, "shrinkA": 0, "shrinkB": 0}  # fmt: skip
        plane.annotate("", (x, y), (0, 0), arrowprops=head)
        plane.text(1.2 * x, 1.2 * y + below, name, color=style["color"], ha="center",
                   va="center", fontweight="bold")  # fmt: skip
    plane.text(0, -0.75, f"{angle:.0f}° apart", ha="center", fontweight="bold", fontsize=12)


def _finding(turning: tuple[float | None, float | None]) -> str:
    if turning == (None, None):
        return "Joint training helps both tasks at every angle"
    limits = ["at every angle" if t is None else f"up to {t:.0f}°" for t in turning]
    return f"Joint training helps task 1 {limits[0]}, task 2 {limits[1]}"


def describe_relatedness(lab: Relatedness) -> str:
    """Say what joint training does to each task, and from which angle on it hurts."""
    parts = []
    for name, alone, joint, turning in zip(TASKS, lab.alone, lab.joint, lab.turning, strict=True):
        verb = "helps" if joint < alone else "hurts"
        limit = "it helps at every angle" if turning is None else f"from {turning:.0f}° on it hurts"
        parts.append(f"{verb} {name}: error {joint:.3g} instead of {alone:.3g}; {limit}")
    return f"At {lab.angle:.0f}° joint training {parts[0]}. It {parts[1]}."


class RelatednessLab(View):
    """Turn two linear tasks apart; see when learning them jointly hurts one or both.

    Args:
        angle: between the teachers at the start, in degrees.
        samples: of the two tasks at the start.
        noise: on the answers, at the start; teachers have length 1.

    Raises:
        ValueError: for what the sliders can't be set to: angles from 0 to 180, 15 to 120 samples of
            each task, noise from 0.1 to 2.
    """

    def __init__(
        self, angle: float = 30, samples: tuple[int, int] = (20, 60), noise: float = 1.0
    ) -> None:
        check_within("angle", angle, 0, 180)
        check_samples(samples)
        check_within("noise", noise, *NOISES)
        wide = {"style": {"description_width": "130px"}, "layout": {"width": "380px"}}
        count = {"min": FEWEST, "max": MOST, "step": 5, **wide}
        self.sliders = {
            "angle": ipywidgets.FloatSlider(
                value=angle, min=0, max=180, step=3, description="angle, degrees",
                readout_format=".0f", **wide,
            ),
            "noise": ipywidgets.FloatSlider(
                value=noise, min=NOISES[0], max=NOISES[1], step=0.1, description="noise",
                readout_format=".1f", **wide,
            ),
            "first": ipywidgets.IntSlider(
                value=samples[0], description="samples of task 1", **count
            ),
            "second": ipywidgets.IntSlider(
                value=samples[1], description="samples of task 2", **count
            ),
        }  # fmt: skip
        self.button = ipywidgets.Button(
            description="As it was", icon="undo", layout={"width": "120px"}
        )
        one, two, three, four = self.sliders.values()
        rows = [
            ipywidgets.HBox([self.button, one, two], layout={"width": "900px"}),
            ipywidgets.HBox([three, four], layout={"width": "900px", "margin": "0 0 0 124px"}),
        ]
        super().__init__(draw_relatedness, size=(9, 3.6), above=rows)
        redraw_on_moves(self.sliders.values(), self._refresh, self.button)
        self._refresh()

    def _refresh(self) -> None:
        values = {name: slider.value for name, slider in self.sliders.items()}
        samples = (values["first"], values["second"])
        self.redraw(compute_relatedness(values["angle"], samples, values["noise"]))
