"""The one training loop, and what it leaves behind."""

from __future__ import annotations

import copy
import io
import itertools
import math
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mtl_tutorial.balancing import Balancer, task_gradients
from mtl_tutorial.balancing.base import shared_parameters
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


class Score(NamedTuple):
    """A task's loss and metric on some examples."""

    loss: float
    metric: float


@contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[None]:
    """Inside, the model is in evaluation mode; outside, every part of it is as it was."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


@torch.no_grad()
def predict(model: nn.Module, batch: Batch) -> dict[str, Tensor]:
    """Give the model's predictions by task name, in evaluation mode; the model stays as it was."""
    with evaluation_mode(model):
        return model(batch.inputs)


@torch.no_grad()
def evaluate(model: nn.Module, tasks: Iterable[Task], batch: Batch) -> dict[str, Score]:
    """Score the model on a batch, in evaluation mode; the model is left as it was.

    Raises:
        ValueError: where a task has no prediction or no target.
    """
    tasks = tuple(tasks)
    outputs = predict(model, batch)
    losses = task_losses(outputs, batch.targets, tasks)
    return {
        task.name: Score(
            losses[task.name].item(),
            task.metric(outputs[task.name], batch.targets[task.name]).item(),
        )
        for task in tasks
    }


class GradientGeometry(NamedTuple):
    """How the tasks push the shared parameters at one moment.

    Args:
        norms: ‖λ_i g_i‖ by task name.
        cosines: cos(g_i, g_j) between every two tasks, shape ``(T, T)``; 0 with a zero gradient.
    """

    norms: dict[str, float]
    cosines: Tensor

    @property
    def shares(self) -> dict[str, float]:
        """‖λ_i g_i‖ / Σ_j ‖λ_j g_j‖ by task name; equal shares where all are zero."""
        total = sum(self.norms.values())
        return {
            name: norm / total if total else 1 / len(self.norms)
            for name, norm in self.norms.items()
        }


def gradient_geometry(
    model: nn.Module,
    tasks: Iterable[Task],
    batch: Batch,
    weights: Mapping[str, float] | None = None,
) -> GradientGeometry:
    """Measure the gradients g_i = ∇_θ L_i of the shared parameters on a batch.

    They are those of evaluation mode: no dropout, and batch-norm statistics as they stand, so
    that a measurement changes nothing. Frozen parameters do not count.

    Args:
        weights: λ_i by task name; a task left out counts with 1. They scale the norms.

    Raises:
        ValueError: where a task has no prediction or target, or does not reach the encoder; or
            where the model shares no parameter, or all are frozen.
    """
    losses, jacobian = _evaluation_gradients(model, tasks, batch)
    norms = jacobian.norm(dim=1)
    units = jacobian / norms.clamp(min=torch.finfo(norms.dtype).tiny)[:, None]
    weighted = {
        name: (weights or {}).get(name, 1.0) * norm
        for name, norm in zip(losses, norms.tolist(), strict=True)
    }
    return GradientGeometry(weighted, (units @ units.T).cpu())


class LayerGeometry(NamedTuple):
    """Where in the shared part of a network the tasks push, and where they pull apart.

    Args:
        norms: ‖g_i‖ by task name, over all shared parameters that are trained.
        cosines: by ``"i, j"``, the names of two tasks: cos(∇_W L_i, ∇_W L_j) by the name of each
            shared weight matrix or kernel W, and under ``"all"`` that over all shared parameters;
            0 where one of the gradients is zero.
    """

    norms: dict[str, float]
    cosines: dict[str, dict[str, float]]


def layer_geometry(model: nn.Module, tasks: Iterable[Task], batch: Batch) -> LayerGeometry:
    """Measure the gradients of the shared parameters on a batch, layer by layer.

    They are those of evaluation mode, as in `gradient_geometry`.

    Raises:
        ValueError: as `gradient_geometry`, and where there are fewer than two tasks.
    """
    tasks = tuple(tasks)
    unique_names(tasks, least=2)
    losses, jacobian = _evaluation_gradients(model, tasks, batch)
    shared = shared_parameters(model)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    columns = jacobian.split([parameter.numel() for parameter in shared], dim=1)
    parts = {
        names[id(parameter)].removesuffix(".weight"): part
        for parameter, part in zip(shared, columns, strict=True)
        if parameter.ndim > 1
    } | {"all": jacobian}
    pairs = list(itertools.combinations(range(len(losses)), 2))
    values = [
        F.cosine_similarity(part[i], part[j], dim=0) for i, j in pairs for part in parts.values()
    ]
    rows = torch.stack(values).view(len(pairs), len(parts)).tolist()
    labels = list(losses)
    cosines = {
        f"{labels[i]}, {labels[j]}": dict(zip(parts, row, strict=True))
        for (i, j), row in zip(pairs, rows, strict=True)
    }
    return LayerGeometry(dict(zip(labels, jacobian.norm(dim=1).tolist(), strict=True)), cosines)


def _evaluation_gradients(
    model: nn.Module, tasks: Iterable[Task], batch: Batch
) -> tuple[dict[str, Tensor], Tensor]:
    with evaluation_mode(model):
        losses = task_losses(model(batch.inputs), batch.targets, tuple(tasks))
    return losses, task_gradients(losses, shared_parameters(model))


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


def save_checkpoint(path: str | Path, **parts: Any) -> None:
    """Save the state of each part; a file that is there is replaced whole or not at all.

    Args:
        path: the file; its folder is made where it is missing.
        parts: objects with a ``state_dict()``, such as ``model=…, optimizer=…, balancer=…``.

    Raises:
        OSError: where the folder can't be written.
    """
    content = io.BytesIO()  # torch.save to a file hides the reason why it can't be written
    torch.save({name: part.state_dict() for name, part in parts.items()}, content)
    try:
        write_whole(path, content.getbuffer())
    except OSError as error:
        raise OSError(
            f"checkpoint folder {Path(path).parent} can't be written ({error.strerror}); "
            f"the run goes on in memory, save it to another folder"
        ) from error


def write_whole(path: str | Path, content: bytes | memoryview) -> None:
    """Write a file whole or not at all: a reader, or a process that is killed, sees no half of it.

    Args:
        path: the file; its folder is made where it is missing.
        content: all that it will hold.

    Raises:
        OSError: where it can't be written; a file that was there is as it was.
    """
    path = Path(path)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.write_bytes(content)
        os.replace(draft, path)
    finally:
        try:
            draft.unlink(missing_ok=True)
        except OSError:
            pass  # its folder is what could not be written


def load_checkpoint(path: str | Path, **parts: Any) -> None:
    """Give each part the state that `save_checkpoint` saved under its name.

    Raises:
        ValueError: where the file is damaged, or holds no state that fits a part; every part
            keeps the state that it had.
        OSError: where the file can't be opened.
    """
    data = io.BytesIO(Path(path).read_bytes())
    try:
        states = torch.load(data, weights_only=True, map_location="cpu")
    except Exception as error:  # torch raises many kinds for a damaged file
        raise ValueError(f"checkpoint {path} can't be read ({error}); train again") from error
    for name in parts:
        if name not in states:
            raise ValueError(
                f"checkpoint {path} has no state for {name!r}, only for {sorted(states)}"
            )
    before = {name: copy.deepcopy(part.state_dict()) for name, part in parts.items()}
    for name, part in parts.items():
        try:
            part.load_state_dict(states[name])
        except Exception as error:  # torch raises many kinds for a state that does not fit
            for loaded, state in before.items():
                parts[loaded].load_state_dict(state)
            reason = " ".join(str(error).split())
            raise ValueError(f"checkpoint {path} does not fit {name!r}: {reason}") from error
