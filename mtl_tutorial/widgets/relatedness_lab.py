"""The relatedness lab: two linear tasks at an angle, and when learning them jointly hurts."""

from __future__ import annotations

import math

import ipywidgets
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from mtl_tutorial.experiments.relatedness import (
    ANGLES,
    FEWEST,
    MOST,
    Relatedness,
    check_samples,
    compute_relatedness,
)
from mtl_tutorial.plots import BLUE, GREEN, GREY, VERMILION, panels
from mtl_tutorial.widgets.events import redraw_on_moves
from mtl_tutorial.widgets.limits import check_within
from mtl_tutorial.widgets.view import View

NOISES = (0.1, 2)  # from the least to the most
RANGE = (0.02, 50)  # of the drawn ratio of errors
TASKS = {
    "task 1": {"color": BLUE, "linestyle": "-"},
    "task 2": {"color": VERMILION, "linestyle": "--"},
}


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
