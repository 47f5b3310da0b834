"""The GradNorm stepper: one training step a click, and why each weight moved."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import ipywidgets
from matplotlib.figure import Figure
from torch import nn

from mtl_tutorial.balancing import GradNorm, GradNormStep, gradnorm_step
from mtl_tutorial.data import Scenes
from mtl_tutorial.experiments import Run
from mtl_tutorial.plots import BLACK, label_ends, panels, task_style
from mtl_tutorial.tasks import Task
from mtl_tutorial.widgets.events import in_cell_loop
from mtl_tutorial.widgets.limits import check_within
from mtl_tutorial.widgets.view import View

EXPECTED = {("below", "rises"), ("above", "falls"), ("on", "stays")}  # of a step of its own
LEAP = 10  # steps of the button for several
LONGEST = 100_000  # steps of a run


@dataclass(frozen=True)
class StepView:
    """What the stepper shows.

    Args:
        names: of the tasks.
        step: training steps made.
        alpha: the exponent in force.
        made: the last update, as it would be with this alpha.
        weights: the weights after every step so far, by task name, from 1 on.
    """

    names: tuple[str, ...]
    step: int
    alpha: float
    made: GradNormStep
    weights: dict[str, list[float]]


def with_alpha(made: GradNormStep, alpha: float, learning_rate: float) -> GradNormStep:
    """Give the update that another exponent would have made from the same losses and norms."""
    return gradnorm_step(
        made.weights,
        made.gradient_norms,
        made.rates,
        alpha=alpha,
        learning_rate=learning_rate,
        moments=made.moments,
    )


def draw_step(figure: Figure, view: StepView) -> str:
    """Draw each G_i with its target, and the weights over the steps."""
    bars, lines = panels(figure, 1, 2)[0]
    bars.set_position([0.085, 0.15, 0.33, 0.72])
    lines.set_position([0.545, 0.15, 0.35, 0.72])
    norms, targets = view.made.norms.tolist(), view.made.targets.tolist()
    for place, (name, norm, target) in enumerate(zip(view.names, norms, targets, strict=True)):
        bars.bar(place, norm, width=0.4, color=task_style(name)["color"])
        bars.plot([place - 0.28, place + 0.28], [target, target], color=BLACK, linewidth=3)
        bars.text(place + 0.3, target, f"target\n{target:.2g}", va="center", fontsize=10)
    top = max([*norms, *targets])
    bars.set(
        xlim=(-0.4, len(view.names) - 0.35), ylim=(0, 1.15 * top), xticks=range(len(view.names))
    )
    bars.set_xticklabels(view.names)
    bars.set_title("Norm G of each weighted gradient")
    ends = []
    for name, values in view.weights.items():
        lines.plot(range(len(values)), values, **task_style(name))
        ends.append((len(values) - 1, values[-1], f"{name} {values[-1]:.2f}"))
    shown = max(20, -(-view.step // 20) * 20)
    lines.set(xlim=(0, shown), ylim=(0, len(view.names)), xlabel="training step")
    label_ends(lines, ends)
    lines.set_title("The loss weights")
    return describe_step(view)


def describe_step(view: StepView) -> str:
    """Say which task lags, and why each weight moved."""
    made, parts = view.made, []
    rows = (made.rates, made.norms, made.targets, made.weights, made.new_weights)
    for name, *row in zip(view.names, *(values.tolist() for values in rows), strict=True):
        rate, norm, target, before, after = row
        pace = "lags" if rate > 1.005 else "leads" if rate < 0.995 else "keeps up"
        verb = "rises" if after > before else "falls" if after < before else "stays"
        side = "below" if norm < target else "above" if norm > target else "on"
        why = "so" if (side, verb) in EXPECTED else "and yet, by the steps before it and the sum,"
        parts.append(
            f"<b>{name}</b> {pace} (r = {rate:.2f}); its G of {norm:.3g} is {side} the target of "
            f"{target:.3g}, {why} its weight {verb} from {before:.3f} to {after:.3f}"
        )
    return f"Step {view.step}, α = {view.alpha:.1f}. {'. '.join(parts)}."


class GradNormStepper(View):
    """Train by the step with GradNorm; see why each weight moves, and turn α.

    Args:
        build: makes the model.
        tasks: two or more.
        scenes: what it trains on.
        alpha: where the slider starts, 0 to 3.
        learning_rate: of the weights.
        warm_up: steps made at once.
        seed: of the initial weights and the stream of scenes.

    Raises:
        ValueError: for another alpha.
    """

    def __init__(
        self,
        build: Callable[[], nn.Module],
        tasks: Sequence[Task],
        scenes: Scenes,
        *,
        alpha: float = 1.5,
        learning_rate: float = 0.025,
        warm_up: int = 1,
        seed: int = 0,
    ) -> None:
        check_within("alpha", alpha, 0, 3)
        self._build, self._tasks, self._scenes = build, tuple(tasks), scenes
        self._learning_rate, self._warm_up, self._seed = learning_rate, max(warm_up, 1), seed
        self.alpha = ipywidgets.FloatSlider(
            value=alpha, min=0, max=3, step=0.1, description="α", readout_format=".1f"
        )
        self.buttons = {
            "Step": ipywidgets.Button(description="Step", icon="step-forward"),
            "leap": ipywidgets.Button(description=f"{LEAP} steps", icon="fast-forward"),
            "Reset": ipywidgets.Button(description="Reset", icon="refresh"),
        }
        super().__init__(
            draw_step,
            size=(9, 3.6),
            above=[ipywidgets.HBox([*self.buttons.values(), self.alpha])],
        )
        self.alpha.observe(in_cell_loop(lambda _: self._refresh()), "value")
        for name, action in (
            ("Step", lambda: self._advance(1)),
            ("leap", lambda: self._advance(LEAP)),
            ("Reset", self._reset),
        ):
            self.buttons[name].on_click(in_cell_loop(lambda _, action=action: action()))
        self._reset()

    def _reset(self) -> None:
        self.balancer = GradNorm(self.alpha.value, self._learning_rate)
        self._run = Run(
            self._build,
            self._tasks,
            self._scenes,
            seed=self._seed,
            steps=LONGEST,
            balancer=self.balancer,
        )
        self._step, self._weights = 0, {task.name: [1.0] for task in self._tasks}
        self._advance(self._warm_up)

    def _advance(self, steps: int) -> None:
        self.balancer.alpha = self.alpha.value
        for _ in range(steps):
            self._step = next(self._run).step
            for name, weight in self.balancer.weights.items():
                self._weights[name].append(float(weight))
        self._refresh()

    def _refresh(self) -> None:
        alpha = self.alpha.value
        last = self.balancer.last_step
        assert last is not None  # a warm-up has at least one step
        made = with_alpha(last, alpha, self._learning_rate)
        names = tuple(task.name for task in self._tasks)
        self.redraw(StepView(names, self._step, alpha, made, self._weights))
