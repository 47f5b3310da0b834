"""What the unit of a loss does to each task's share of the shared gradient."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from mtl_tutorial.balancing import dwa_weights
from mtl_tutorial.measuring import evaluate, gradient_geometry, gradient_shares
from mtl_tutorial.tasks import Batch, Task

METHODS = ("equal weights", "dynamic weight average", "uncertainty, at its optimum")


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
