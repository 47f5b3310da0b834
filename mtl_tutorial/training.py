"""The one training loop, and what it leaves behind."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import pandas as pd
import torch
from torch import Tensor, nn

from mtl_tutorial.balancing import Balancer
from mtl_tutorial.measuring import Score
from mtl_tutorial.tasks import Batch, Task, task_losses, unique_names

CHECK_EVERY = 64  # steps between two looks at the losses on a GPU; each look waits for it


class NonFiniteLossError(ArithmeticError):
    """A loss became NaN or infinite; ``task`` and ``step`` say which and when.

    ``history`` is what a caller that keeps one has recorded so far.
    """

    def __init__(self, task: str, step: int, value: float) -> None:
        self.task, self.step = task, step
        self.history: History | None = None
        super().__init__(
            f"loss of task {task!r} became {value} at step {step}; lower the learning rate or "
            f"the weight of the task. The history up to step {step - 1} is kept"
        )


@dataclass(frozen=True)
class StepRecord:
    """What one training step did.

    Args:
        step: its number, from 1.
        losses: the loss of each task before the step, detached, on the training device.
        weights: the weight that each task got.
    """

    step: int
    losses: dict[str, Tensor]
    weights: dict[str, float]


def fit(
    model: nn.Module,
    tasks: Iterable[Task],
    data: Iterable[Batch],
    balancer: Balancer,
    optimizer: torch.optim.Optimizer,
    steps: int,
) -> Iterator[StepRecord]:
    """Train, one step an item; the caller decides when to draw, evaluate or stop.

    Nothing is trained before the first item is asked for. Between two items the caller may
    change weights or learning rates: the next step uses them. Training ends early where
    ``data`` does.

    Args:
        model: ``model(inputs)`` gives one prediction for each task's name.
        tasks: what to train on.
        data: batches, such as ``scenes.stream(64, generator)``.
        balancer: fills the gradients from the losses.
        optimizer: steps the parameters.
        steps: number of steps.

    Raises:
        ValueError: where steps are below 0, there is no task, two have one name, or one has no
            prediction, no target, or a loss that is not a scalar.
        NonFiniteLossError: where a loss is NaN or infinite. On the CPU the step that would have
            used it is not made; on a GPU it is found at most 64 steps later.
    """
    tasks = tuple(tasks)
    unique_names(tasks)
    if steps < 0:
        raise ValueError(f"steps must be a whole number from 0 on, got {steps}")
    unchecked: list[StepRecord] = []
    for step, batch in zip(range(1, steps + 1), data, strict=False):
        model.train()
        losses = task_losses(model(batch.inputs), batch.targets, tasks)
        record = StepRecord(step, {name: loss.detach() for name, loss in losses.items()}, {})
        unchecked.append(record)
        on_cpu = all(loss.device.type == "cpu" for loss in losses.values())
        if on_cpu or len(unchecked) == CHECK_EVERY or step == steps:
            _check_finite(unchecked)
            unchecked.clear()
        optimizer.zero_grad()
        record.weights.update(balancer.backward(losses, model))
        optimizer.step()
        yield record
    if unchecked:
        _check_finite(unchecked)


def _check_finite(records: list[StepRecord]) -> None:
    values = torch.stack([torch.stack(list(record.losses.values())) for record in records])
    if values.isfinite().all():
        return
    for record, row in zip(records, values.tolist(), strict=True):
        for name, value in zip(record.losses, row, strict=True):
            if not math.isfinite(value):
                raise NonFiniteLossError(name, record.step, value)


class History:
    """The records of a training run, and scores taken on the way."""

    def __init__(self) -> None:
        self.records: list[StepRecord] = []
        self.scores: list[tuple[int, dict[str, Score]]] = []

    def __len__(self) -> int:
        return len(self.records)

    def append(self, record: StepRecord) -> None:
        """Keep what a training step did."""
        self.records.append(record)

    def add_scores(self, step: int, scores: dict[str, Score]) -> None:
        """Keep validation scores taken after ``step`` steps."""
        self.scores.append((step, scores))

    def to_frame(self) -> pd.DataFrame:
        """Give everything as a tidy table: ``step``, ``task``, ``quantity``, ``value``.

        The quantities are ``loss`` and ``weight`` (every step), and ``validation loss`` and
        ``validation metric`` (where scores were taken).
        """
        rows = []
        if self.records:
            stacked = torch.stack([torch.stack(list(r.losses.values())) for r in self.records])
            for record, losses in zip(self.records, stacked.tolist(), strict=True):
                for name, loss in zip(record.losses, losses, strict=True):
                    rows.append((record.step, name, "loss", loss))
                    rows.append((record.step, name, "weight", record.weights[name]))
        for step, scores in self.scores:
            for name, score in scores.items():
                rows.append((step, name, "validation loss", score.loss))
                rows.append((step, name, "validation metric", score.metric))
        return pd.DataFrame(rows, columns=["step", "task", "quantity", "value"])
