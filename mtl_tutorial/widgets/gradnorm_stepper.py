"""The GradNorm stepper: training by the step, and why each weight moved."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from mtl_tutorial.balancing import GradNorm
from mtl_tutorial.data import Scenes
from mtl_tutorial.experiments import Run
from mtl_tutorial.tasks import Task
from mtl_tutorial.widgets.events import in_cell_loop
from mtl_tutorial.widgets.explorable import Explorable, Fixed, Number

LONGEST = 100_000  # steps of a run
MOST_AT_ONCE = 100


class GradNormStepper(Explorable):
    """Train by the step with GradNorm; see why each weight moves, and turn α.

    Args:
        build: makes the model.
        tasks: two or more.
        scenes: what it trains on.
        alpha: at the start, 0 to 3.
        learning_rate: of the weights.
        warm_up: steps made at once.
        seed: of the initial weights and the stream of scenes.

    Raises:
        TraitError: for another alpha.
    """

    module = "gradnorm_stepper"
    tasks, made, history = Fixed(), Fixed(), Fixed()
    step = Number("step", 0, 0, LONGEST)
    alpha = Number("alpha", 1.5, 0, 3)

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
        self._start = (build, tuple(tasks), scenes, seed)
        self._learning_rate, self._warm_up = learning_rate, max(warm_up, 1)
        super().__init__(tasks=[task.name for task in tasks], alpha=alpha)
        self.on_msg(in_cell_loop(self._on_message))
        self.reset()

    def reset(self) -> None:
        """Start over, with the present alpha."""
        build, tasks, scenes, seed = self._start
        self.balancer = GradNorm(self.alpha, self._learning_rate)
        self._run = Run(build, tasks, scenes, seed=seed, steps=LONGEST, balancer=self.balancer)
        self._weights: list[list[float]] = [[1.0] for _ in tasks]
        self.advance(self._warm_up)

    def advance(self, steps: int) -> None:
        """Make training steps with the present alpha."""
        self.balancer.alpha, step = self.alpha, self.step
        for _ in range(steps):
            step = next(self._run).step
            for row, weight in zip(self._weights, self.balancer.weights.values(), strict=True):
                row.append(round(float(weight), 5))
        self._tell(step)

    def _tell(self, step: int) -> None:
        last = self.balancer.last_step
        assert last is not None  # a warm-up has at least one step
        moments = last.moments
        zeros = [0.0] * len(self._weights)
        made: dict[str, Any] = {
            name: getattr(last, name).tolist() for name in ("weights", "gradient_norms", "rates")
        }
        made["learning_rate"] = self._learning_rate
        made["moments"] = {
            name: getattr(moments, name).to(torch.float64).tolist() if moments else zeros
            for name in ("first", "second", "steps")
        }
        with self.hold_sync():
            self.made, self.step = made, step
            self.history = [list(row) for row in self._weights]

    def _on_message(self, _: Any, content: Any, buffers: Any = None) -> None:
        if not isinstance(content, dict):
            return
        if content.get("do") == "reset":
            self.reset()
        elif content.get("do") == "steps":
            self.advance(min(int(content.get("steps", 1)), MOST_AT_ONCE))
