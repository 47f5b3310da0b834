"""The loss-weight tuner: turn the weights of the losses while the network trains."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import traitlets
from torch import nn

from mtl_tutorial.data import Scenes
from mtl_tutorial.experiments.session import Measurement, Session, Trace
from mtl_tutorial.tasks import Task
from mtl_tutorial.widgets.events import in_cell_loop
from mtl_tutorial.widgets.explorable import Explorable, Fixed, Number, Numbers, Switch
from mtl_tutorial.widgets.player import Player

WEIGHTS = (0.01, 1000)  # from the least to the most
LIVE_EVERY = 100  # steps between two measurements while it trains


class LossWeightTuner(Explorable):
    """Trains while you turn a weight a task; every weight acts on the very next step.

    Args:
        build: makes the model; every run starts from the same seed.
        tasks: what it learns; one slider each.
        scenes: what it trains on.
        held_out: what it is measured on.
        warm_up: steps made at once, before the learner takes over.
        singles: validation metric of a network for each task alone, by name, drawn as dotted lines.
        settings: ``steps``, ``batch_size``, ``learning_rate``, ``seed`` of a run.
    """

    module = "loss_weight_tuner"
    tasks, metric_names, runs_shown, singles = Fixed(), Fixed(), Fixed(), Fixed()
    weights = Numbers("weights", "tasks", *WEIGHTS)
    running = Switch(False)
    stop_at = Number("step to stop at", 0, 0, 1e9)
    steps = Number("steps", 1500, 1, 1e9)
    said = traitlets.Unicode("").tag(sync=True)

    def __init__(
        self,
        build: Callable[[], nn.Module],
        tasks: Sequence[Task],
        scenes: Scenes,
        held_out: Scenes,
        *,
        warm_up: int = 0,
        singles: Mapping[str, float] | None = None,
        **settings: Any,
    ) -> None:
        self.session = Session(build, tasks, scenes, held_out, **settings)
        names = [task.name for task in self.session.tasks]
        self._live: list[list[float]] = []
        self._told: Measurement | None = None  # the last one that the page knows
        super().__init__(
            tasks=names,
            metric_names=[task.metric_name for task in self.session.tasks],
            weights=[1.0] * len(names),
            steps=self.session.steps,
            singles=[singles[name] for name in names] if singles else [],
        )
        self.player = Player(
            type(self).__name__,
            step=self._step,
            draw=self._tell,
            reset=self._reset,
            say=self._say,
            show=self._show_state,
        )
        self.observe(in_cell_loop(lambda change: self._turn(change.new)), "weights")
        self.on_msg(in_cell_loop(self._on_message))
        for _ in range(warm_up):
            self.session.step()
        self._tell()

    @property
    def runs(self) -> list[Trace]:
        """All runs so far, the present one last."""
        return self.session.runs

    def _on_message(self, _: Any, content: Any, buffers: Any = None) -> None:
        acts = {
            "start": self.player.start,
            "pause": self.player.pause,
            "step": self.player.step,
            "reset": self.player.reset,
            "beat": self.player.watched,
        }
        if isinstance(content, dict) and content.get("do") in acts:
            acts[content["do"]]()

    def _step(self) -> bool | str:
        if self.stop_at and self.session.steps_made >= self.stop_at:
            stopped, self.stop_at = int(self.stop_at), 0
            return f"Stopped at step {stopped}, as asked for. Start goes on from here."
        self.session.measure_every = LIVE_EVERY if self.player.running else None
        made = self.session.step()
        if made and (losses := self.session.last_losses):
            row = [losses.get(name, 0.0) for name in self.tasks]
            self._live.append([self.session.run.number, self.session.steps_made, *row])
        return made

    def _reset(self) -> None:
        self._live.clear()
        self.session.reset()

    def _say(self, sentence: str) -> None:
        self.said = sentence

    def _show_state(self, running: bool) -> None:
        self.running = running
        if running:
            self.said = ""

    def _turn(self, weights: Sequence[float]) -> None:
        if self.session.run.latest.weights == self.session.balancer.weights:
            self.session.measure()  # the last state under the old weights
        for name, weight in zip(self.tasks, weights, strict=True):
            self.session.balancer.set_weight(name, weight)
        if not self.player.running:
            self._tell()

    def _tell(self) -> None:
        """Tell the page what is new: measurements, and the losses of the steps since."""
        if not self.player.running:
            self.session.measure()
        if (latest := self.session.run.latest) is not self._told:
            self._told = latest
            self.runs_shown = [
                {"number": run.number, "rows": list(map(self._row, run.measurements))}
                for run in self.runs
            ]
        if self._live and self.player.running:
            self.send({"losses": self._live})
        self._live = []

    def _row(self, moment: Measurement) -> list[float]:
        """A measurement as the page reads it."""
        scores = [moment.scores[name].metric for name in self.tasks]
        parts = (moment.weights, moment.losses, dict(zip(self.tasks, scores, strict=True)))
        numbers = [part.get(name, 0.0) for part in (*parts, moment.shares) for name in self.tasks]
        return [moment.step, *(float(f"{value:.5g}") for value in (*numbers, moment.cosine))]
