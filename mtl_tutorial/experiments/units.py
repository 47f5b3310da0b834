"""What the unit of a loss does: to the tasks' shares of the gradient, and to whole trainings."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from mtl_tutorial.architectures import HardSharing
from mtl_tutorial.balancing import Balancer, dwa_weights
from mtl_tutorial.balancing.layers import layer_gradient_norms
from mtl_tutorial.data import Scenes
from mtl_tutorial.data.scaled_maps import INPUTS, scaled_maps
from mtl_tutorial.experiments.runs import Run, seeded
from mtl_tutorial.measuring import evaluate, gradient_geometry, gradient_shares
from mtl_tutorial.places import RESULTS, read_from_course
from mtl_tutorial.tasks import Batch, Task, task_losses
from mtl_tutorial.training import fit

METHODS = ("equal weights", "dynamic weight average", "uncertainty, at its optimum")
LONG_RUNS = RESULTS / "units.json"


@dataclass(frozen=True)
class Snapshot:
    """A network at one moment of its training, with every loss in its own unit.

    Args:
        tasks: two or more.
        losses: L_i by task name, on a batch.
        norms: ‖∇_θ L_i‖ of the shared parameters, likewise.
        before: L_i a while earlier in the training, likewise.
    """

    tasks: tuple[Task, ...]
    losses: dict[str, float]
    norms: dict[str, float]
    before: dict[str, float]


def take_snapshot(
    earlier: nn.Module, now: nn.Module, tasks: Sequence[Task], batch: Batch
) -> Snapshot:
    """Measure a network at two moments of its training, on the same batch."""
    return Snapshot(
        tuple(tasks),
        {name: score.loss for name, score in evaluate(now, tasks, batch).items()},
        gradient_geometry(now, tasks, batch).norms,
        {name: score.loss for name, score in evaluate(earlier, tasks, batch).items()},
    )


def compute_shares(snapshot: Snapshot, factors: Mapping[str, float]) -> dict[str, dict[str, float]]:
    """Give each task's share of the shared gradient, by method and task name.

    Loss i is counted in another unit: it is k_i L_i, and its gradient k_i g_i. A method gives the
    weight λ_i from the losses that it sees (uncertainty: 1 / (2 k_i L_i), its optimum); the share
    is ‖λ_i k_i g_i‖ / Σ_j ‖λ_j k_j g_j‖.

    Args:
        factors: k_i by task name.
    """
    names = [task.name for task in snapshot.tasks]
    now = [factors[name] * snapshot.losses[name] for name in names]
    before = [factors[name] * snapshot.before[name] for name in names]
    optimum = [1 / (2 * loss) for loss in now]
    weights: dict[str, Any] = dict(
        zip(METHODS, ([1.0] * len(names), dwa_weights(now, before), optimum), strict=True)
    )
    shares = {}
    for method, values in weights.items():
        pulls = zip(names, values, strict=True)
        shares[method] = gradient_shares(
            {name: float(weight) * factors[name] * snapshot.norms[name] for name, weight in pulls}
        )
    return shares


def in_unit(task: Task, factor: float) -> Task:
    """Give the task with its loss in another unit, ``factor`` times as large."""

    def loss(prediction: Tensor, target: Tensor) -> Tensor:
        return factor * task.loss(prediction, target)

    return dataclasses.replace(task, loss=loss)


def follow(
    build: Callable[[Sequence[Task]], nn.Module],
    tasks: Sequence[Task],
    scenes: Scenes,
    validation: Batch,
    *,
    balancer: Balancer,
    seed: int,
    marks: Collection[int],
    batch_size: int = 64,
    learning_rate: float = 5e-3,
) -> pd.DataFrame:
    """Train a network by Adam, and look at it on the way.

    Args:
        build: makes the model for some tasks; it has a ``last_shared_layer()``.
        validation: what it is looked at with.
        marks: after how many steps; training ends at the last.

    Returns:
        For every mark and task: ``step``, ``task``, ``metric``, ``loss`` (in the task's unit),
        ``weight`` (that of the step) and ``norm``, ‖∇_W L_i‖ of the last shared layer, unweighted.
    """
    run = Run(
        lambda: build(tasks),
        tasks,
        scenes,
        seed=seed,
        steps=max(marks),
        batch_size=batch_size,
        learning_rate=learning_rate,
        balancer=balancer,
    )
    rows = []
    for record in run:
        if record.step in marks:
            scores = evaluate(run.model, tasks, validation)
            losses = task_losses(run.model(validation.inputs), validation.targets, tasks)
            norms = layer_gradient_norms(losses, run.model).tolist()
            for (name, score), norm in zip(scores.items(), norms, strict=True):
                weight = record.weights[name].item()
                rows.append((record.step, name, score.metric, score.loss, weight, norm))
    return pd.DataFrame(rows, columns=["step", "task", "metric", "loss", "weight", "norm"])


def learn_scaled(
    scales: Sequence[float],
    balancer: Balancer,
    *,
    seed: int,
    steps: int,
    width: int = 100,
    batch_size: int = 64,
) -> pd.DataFrame:
    """Learn `scaled_maps` with one shared layer, by Adam with a rate of 0.005.

    Args:
        scales: σ_i.
        width: of the shared layer.

    Returns:
        A row a task: ``task``, ``left`` (its mean loss over the last twentieth of the steps,
        divided by that of the first step) and ``weight`` (likewise, not divided).
    """
    with seeded(seed) as generator:
        maps = scaled_maps(scales, generator)
        encoder: Any = nn.Sequential(nn.Linear(INPUTS, width), nn.ReLU())
        encoder.out_features = width
        model = HardSharing(encoder, maps.tasks)
        adam = torch.optim.Adam(model.parameters(), lr=5e-3)
        stream = maps.stream(batch_size, generator)
        records = list(fit(model, maps.tasks, stream, balancer, adam, steps))
    late = records[-max(1, steps // 20) :]
    rows = []
    for task in maps.tasks:
        loss, weight = (
            torch.stack([row[task.name] for row in column]).mean().item()
            for column in ([r.losses for r in late], [r.weights for r in late])
        )
        rows.append((task.name, loss / records[0].losses[task.name].item(), weight))
    return pd.DataFrame(rows, columns=["task", "left", "weight"])


def long_runs(path: Path = LONG_RUNS) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Read the long runs that come with the course, and where they are from.

    Returns:
        A table with the columns of `follow` and ``unit``, ``method`` and ``seed``; and their
        provenance.

    Raises:
        ValueError: where they are not there.
    """
    content = read_from_course(path)
    return pd.DataFrame(content["rows"], columns=content["columns"]), content["provenance"]
