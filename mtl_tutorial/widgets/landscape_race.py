"""The landscape race: methods go from the same points to the best trade-offs of two tasks."""

from __future__ import annotations

import functools

import ipywidgets
import numpy as np
import torch
from matplotlib.figure import Figure

from mtl_tutorial.data.landscape import (
    PARETO_X,
    PARETO_Y,
    STARTS,
    landscape,
)
from mtl_tutorial.experiments.race import METHODS, OPTIMIZERS, Race, run_race
from mtl_tutorial.plots import BLACK, GREEN, GREY, PURPLE, SKY, annotate, panels
from mtl_tutorial.widgets.events import in_cell_loop
from mtl_tutorial.widgets.view import View

STYLES = dict(zip(METHODS, ((BLACK, "-"), (SKY, "--"), (PURPLE, "-.")), strict=True))
GRID = np.linspace(-13, 11, 121)
LEVELS = np.arange(-32, 20, 4)


@functools.cache
def _heights() -> np.ndarray:
    x1, x2 = np.meshgrid(GRID, GRID)
    points = torch.from_numpy(np.stack([x1, x2], axis=-1))
    return landscape(points).sum(-1).numpy()


def draw_race(figure: Figure, race: Race, step: int) -> str:
    """Draw the ways so far over the landscape, and beside it in the plane of the two losses."""
    plane, outcomes = panels(figure, 1, 2)[0]
    plane.set_position([0.085, 0.13, 0.39, 0.75])
    outcomes.set_position([0.585, 0.13, 0.39, 0.75])
    plane.contour(GRID, GRID, _heights(), LEVELS, colors=GREY, linewidths=0.6, linestyles="solid")
    plane.plot(PARETO_X, [PARETO_Y] * 2, color=GREEN, linewidth=5, alpha=0.6)
    ends = torch.tensor([[x, PARETO_Y] for x in np.linspace(*PARETO_X, 40)], dtype=torch.float64)
    outcomes.plot(*landscape(ends).T, color=GREEN, linewidth=5, alpha=0.6)
    for m, (name, (colour, line)) in enumerate(STYLES.items()):
        for s in range(race.paths.shape[2]):
            label = name if s == 0 else None
            style = {"color": colour, "linestyle": line, "linewidth": 1.8}
            plane.plot(*race.paths[: step + 1, m, s].T, **style, label=label)
            outcomes.plot(*race.losses[: step + 1, m, s].T, **style)
            plane.plot(*race.paths[step, m, s], "o", color=colour, markersize=5)
            outcomes.plot(*race.losses[step, m, s], "o", color=colour, markersize=5)
    for start in race.paths[0, 0].tolist():
        plane.plot(*start, "x", color=BLACK, markersize=7)
        name = str(STARTS.index(tuple(start)) + 1) if tuple(start) in STARTS else ""
        annotate(plane, start, name, dx=5, dy=4, fontweight="bold")
    plane.set(xlim=(-11, 11), ylim=(-13, 11), xlabel="x₁", ylabel="x₂")
    outcomes.set(xlim=(-22, 13), ylim=(-22, 13), xlabel="loss of task 1", ylabel="loss of task 2")
    plane.legend(loc="lower center", ncols=3, fontsize=9, handlelength=2.4, columnspacing=1)
    plane.set_title("Parameters; green: best trade-offs")
    outcomes.set_title("The same ways, in losses")
    return describe_race(race, step)


def describe_race(race: Race, step: int) -> str:
    """Say how many of each method have arrived."""
    arrived = race.arrived(step).sum(1).tolist()
    starts = race.paths.shape[2]
    words = ", ".join(
        f"{name} {count} of {starts}" for name, count in zip(METHODS, arrived, strict=True)
    )
    return f"After {step} steps of {race.setting}, at a best trade-off: {words}."


class LandscapeRace(View):
    """Choose starts, optimizer, learning rate and weight; replay the race step by step.

    Args:
        steps: of every race.
    """

    def __init__(self, steps: int = 500) -> None:
        wide = {"style": {"description_width": "110px"}, "layout": {"width": "300px"}}
        self.start = ipywidgets.ToggleButtons(
            options=[
                ("all starts", STARTS),
                *((f"start {i + 1}", (s,)) for i, s in enumerate(STARTS)),
            ],
            value=STARTS,
            style={"button_width": "90px"},
        )
        self.optimizer = ipywidgets.ToggleButtons(
            options=list(OPTIMIZERS), style={"button_width": "140px"}
        )
        self.rate = ipywidgets.FloatLogSlider(
            value=0.1, min=-2.5, max=-0.3, step=0.1, description="learning rate",
            continuous_update=False,
            readout_format=".3g", **wide,
        )  # fmt: skip
        self.weight = ipywidgets.FloatSlider(
            value=0.5,
            min=0.05,
            max=0.95,
            step=0.05,
            description="weight of task 1",
            continuous_update=False,
            **wide,
        )
        self.step = ipywidgets.IntSlider(
            value=steps, min=0, max=steps, description="steps shown", **wide
        )
        self.play = ipywidgets.Play(
            min=0, max=steps, step=max(steps // 50, 1), interval=120, value=steps
        )
        ipywidgets.jslink((self.play, "value"), (self.step, "value"))
        rows = [
            ipywidgets.HBox([self.start, ipywidgets.Label("replay"), self.play]),
            ipywidgets.HBox([self.optimizer]),
            ipywidgets.HBox([self.rate, self.weight, self.step]),
        ]
        super().__init__(draw_race, size=(9, 4.2), above=rows)
        self._steps = steps
        for control in (self.start, self.optimizer, self.rate, self.weight):
            control.observe(in_cell_loop(lambda _: self._run()), "value")
        self.step.observe(in_cell_loop(lambda _: self._show()), "value")
        self._run()

    def _run(self) -> None:
        self.race = run_race(
            self.start.value,
            optimizer=self.optimizer.value,
            learning_rate=self.rate.value,
            weight=self.weight.value,
            steps=self._steps,
        )
        self._show()

    def _show(self) -> None:
        self.redraw(self.race, self.step.value)
