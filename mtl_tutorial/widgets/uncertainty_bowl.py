"""The uncertainty bowl: where the log-variances of two tasks want to go, and how they get there."""

from __future__ import annotations

import math
from collections.abc import Sequence

import ipywidgets
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from mtl_tutorial.balancing.uncertainty import SCALE
from mtl_tutorial.experiments.bowl import RANGE, STEPS, Bowl, compute_bowl
from mtl_tutorial.plots import BLACK, GREY, PURPLE, label_ends, panels, task_style
from mtl_tutorial.tasks import Task
from mtl_tutorial.widgets.events import redraw_on_moves
from mtl_tutorial.widgets.limits import check_within
from mtl_tutorial.widgets.view import View

LEVELS = [0.1, 0.5, 1, 2, 4, 8, 16, 32]  # above the lowest point


def draw_bowl(figure: Figure, bowl: Bowl) -> str:
    """Draw the height as contours, the path over it, and the two weights along the path."""
    plane, weights = panels(figure, 1, 2)[0]
    plane.set_position([0.075, 0.15, 0.37, 0.73])
    weights.set_position([0.575, 0.15, 0.33, 0.73])
    names = [task.name for task in bowl.tasks]
    plane.contour(RANGE, RANGE, bowl.height, LEVELS, colors=GREY, linewidths=1)
    plane.plot(*bowl.path.T, "-", color=PURPLE, linewidth=2.5)
    plane.plot(*bowl.path[0], "o", color=BLACK)
    plane.plot(*bowl.lowest, "*", color=BLACK, markersize=15)
    plane.annotate("start", bowl.path[0], xytext=(6, 6), textcoords="offset points")
    plane.set(xlim=(RANGE[0], RANGE[-1]), ylim=(RANGE[0], RANGE[-1]))
    plane.set(xlabel=f"log-variance of {names[0]}", ylabel=f"log-variance of {names[1]}")
    plane.set_title("The way down the bowl")
    weights.set(xlim=(0, STEPS), ylim=(0.01, 1000), yscale="log", xlabel="step")
    weights.yaxis.set_minor_locator(NullLocator())
    weights.yaxis.set_major_formatter("{x:g}")
    ends = []
    for task, values in zip(bowl.tasks, bowl.path.T, strict=True):
        by_step = SCALE[task.kind] * np.exp(-values)
        weights.plot(by_step, **task_style(task.name))
        ends.append((STEPS, by_step[-1], task.name))
    label_ends(weights, ends)
    weights.set_title("The loss weights on the way")
    return describe_bowl(bowl)


def describe_bowl(bowl: Bowl) -> str:
    """Say in words where the bowl is lowest, and how far the path has come."""
    parts = [
        f"The loss of {task.name} is {loss:.3g}: lowest at log-variance {s:.2f}, where its weight "
        f"is 1 / (2 · {loss:.3g}) = {1 / (2 * loss):.3g}"
        for task, loss, s in zip(bowl.tasks, bowl.losses, bowl.lowest, strict=True)
    ]
    left = math.dist(bowl.path[-1], bowl.lowest)
    return f"{'. '.join(parts)}. After {STEPS} steps the path is {left:.2f} away."


class UncertaintyBowl(View):
    """Turn two losses; see where their log-variances want to go.

    Args:
        tasks: two; their ``kind`` gives the form of the objective.
        losses: where the sliders start, 0.001 to 10.

    Raises:
        ValueError: for other losses.
    """

    def __init__(self, tasks: Sequence[Task], losses: Sequence[float]) -> None:
        for task, loss in zip(tasks, losses, strict=True):
            check_within(f"loss of {task.name}", loss, 1e-3, 10)
        self.tasks = tuple(tasks)
        self.sliders = {
            task.name: ipywidgets.FloatLogSlider(
                value=loss,
                min=-3,
                max=1,
                step=0.05,
                description=f"loss of {task.name}",
                readout_format=".3g",
                style={"description_width": "100px"},
                layout={"width": "370px"},
            )
            for task, loss in zip(tasks, losses, strict=True)
        }
        self.button = ipywidgets.Button(
            description="Losses as they were", icon="undo", layout={"width": "170px"}
        )
        row = ipywidgets.HBox(
            [self.button, *self.sliders.values()],
            layout={"flex_flow": "row wrap", "width": "930px"},
        )
        super().__init__(draw_bowl, size=(9, 3.9), above=[row])
        redraw_on_moves(self.sliders.values(), self._refresh, self.button)
        self._refresh()

    def _refresh(self) -> None:
        self.redraw(compute_bowl(self.tasks, [s.value for s in self.sliders.values()]))
