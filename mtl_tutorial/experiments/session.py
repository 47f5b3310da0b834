"""Training runs that a learner starts, stops, measures and compares."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

from mtl_tutorial.balancing import FixedWeights
from mtl_tutorial.data import Scenes
from mtl_tutorial.experiments.runs import Run
from mtl_tutorial.measuring import Score, evaluate, gradient_geometry, gradient_shares
from mtl_tutorial.tasks import Task

MEASURE_EVERY = 25  # steps between two measurements
VALIDATION_SCENES = 256
PROBE_SCENES = 64  # on which gradients are compared


@dataclass(frozen=True)
class Measurement:
    """The state of a run after some step.

    Args:
        step: number of steps made.
        weights: λ_i in force.
        losses: training loss by task, mean over the steps since the last measurement.
        scores: validation loss and metric by task.
        norms: ‖g_i‖ by task, with g_i the gradient of the shared parameters; of one task, of all.
        cosine: the smallest cosine between the g of two tasks; 1 where there is one task.
    """

    step: int
    weights: dict[str, float]
    losses: dict[str, float]
    scores: dict[str, Score]
    norms: dict[str, float]
    cosine: float

    @property
    def shares(self) -> dict[str, float]:
        """‖λ_i g_i‖ / Σ_j ‖λ_j g_j‖ by task."""
        return gradient_shares({name: self.weights[name] * n for name, n in self.norms.items()})


@dataclass
class Trace:
    """What a run has left: its number, and its measurements, oldest first."""

    number: int
    measurements: list[Measurement] = field(default_factory=list)

    @property
    def latest(self) -> Measurement:
        """The last measurement."""
        return self.measurements[-1]

    @property
    def since_change(self) -> Measurement:
        """The last measurement before the present weights; the first where none changed."""
        for earlier, later in zip(self.measurements[-2::-1], self.measurements[::-1], strict=False):
            if earlier.weights != later.weights:
                return earlier
        return self.measurements[0]


class Session:
    """Runs of one model on one set of tasks; every run starts from the same seed.

    Args:
        build: makes the model.
        tasks: what it learns.
        scenes: what it trains on.
        held_out: what it is measured on.
        steps: length of a run.
        seed: of the initial weights and the stream of scenes.

    Attributes:
        steps_made: in the present run.
        measure_every: steps between two measurements from now on; 25 where it is None.
    """

    _failure: Exception | None
    _since: list[dict[str, Tensor]]

    def __init__(
        self,
        build: Callable[[], nn.Module],
        tasks: Sequence[Task],
        scenes: Scenes,
        held_out: Scenes,
        *,
        steps: int = 1500,
        batch_size: int = 64,
        learning_rate: float = 5e-3,
        seed: int = 0,
    ) -> None:
        self.tasks, self.steps = tuple(tasks), steps
        self.balancer = FixedWeights({task.name: 1.0 for task in self.tasks})
        self._start = functools.partial(
            Run,
            build,
            self.tasks,
            scenes,
            seed=seed,
            steps=steps,
            batch_size=batch_size,
            learning_rate=learning_rate,
            balancer=self.balancer,
        )
        self._validation = held_out.draw(VALIDATION_SCENES, torch.Generator().manual_seed(seed))
        self._probe = scenes.draw(PROBE_SCENES, torch.Generator().manual_seed(seed + 1))
        self.runs: list[Trace] = []
        self.measure_every: int | None = None
        self._new_run()

    @property
    def model(self) -> nn.Module:
        """That of the present run."""
        return self._training.model

    @property
    def run(self) -> Trace:
        """That of the present run; earlier ones are in ``runs``."""
        return self.runs[-1]

    def step(self) -> bool:
        """Make one training step, measuring every 25; False where the run is over.

        A run that failed stays failed: every further step raises the same error.
        """
        if self._failure is not None:
            raise self._failure
        try:
            record = next(self._training, None)
        except Exception as error:
            self._failure = error
            raise
        if record is None:
            return False
        self.steps_made = record.step
        self._since.append(record.losses)
        every = self.measure_every or MEASURE_EVERY
        if record.step - self.run.latest.step >= every or record.step == self.steps:
            self.measure()
        return True

    @property
    def last_losses(self) -> dict[str, float]:
        """Those of the last step, by task name; empty where they were measured meanwhile."""
        last = self._since[-1] if self._since else {}
        return {name: loss.item() for name, loss in last.items()}

    def measure(self) -> None:
        """Add a measurement of the present state.

        Where no step was made since the last one, only its weights can have changed: the old
        weights stay on record if a step has used them.
        """
        measurements, weights = self.run.measurements, self.balancer.weights
        if measurements and measurements[-1].step == self.steps_made:
            same = replace(measurements[-1], weights=weights)
            unused = (
                self.steps_made == 0 or [m.step for m in measurements[-2:]] == [self.steps_made] * 2
            )
            if unused:
                measurements.pop()
            if not measurements or measurements[-1].weights != weights:
                measurements.append(same)
            return
        scores = evaluate(self.model, self.tasks, self._validation)
        norms, cosines = gradient_geometry(self.model, self.tasks, self._probe)
        losses = {
            task.name: torch.stack(found).mean().item()
            for task in self.tasks
            if (found := [losses[task.name] for losses in self._since if task.name in losses])
        }
        self._since.clear()
        measurements.append(
            Measurement(self.steps_made, weights, losses, scores, norms, cosines.min().item())
        )

    def reset(self) -> None:
        """Start over from the seed, with the present weights; a run with no step is dropped."""
        self.measure()
        if self.run.latest.step == 0:
            self.runs.pop()
        self._new_run()

    def _new_run(self) -> None:
        self._training = self._start()
        self.steps_made, self._since, self._failure = 0, [], None
        self.runs.append(Trace(self.runs[-1].number + 1 if self.runs else 1))
        self.measure()
