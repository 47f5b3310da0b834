"""Conflicts: how often there are any while two tasks train, and how often a method hurts."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import pandas as pd
import torch
from torch import Generator, Tensor

from mtl_tutorial.balancing import mgda, pcgrad
from mtl_tutorial.data import Scenes
from mtl_tutorial.experiments.runs import Run
from mtl_tutorial.measuring import gradient_geometry


def changes_at(angle: float, length: float) -> dict[str, list[float]]:
    """Give what each loss does, to first order, where two gradients have an angle and lengths.

    Args:
        angle: between g_1 = (1, 0) and g_2, in degrees.
        length: ‖g_2‖.

    Returns:
        −g_i · d for both tasks, a unit of learning rate, by method: ``"sum"``, ``"PCGrad"`` and
        ``"MGDA"``.
    """
    way = math.radians(angle)
    gradients = torch.tensor([[1.0, 0.0], [length * math.cos(way), length * math.sin(way)]])
    gradients = gradients.double()
    directions = {"sum": gradients.sum(0), "PCGrad": pcgrad(gradients), "MGDA": mgda(gradients)}
    return {name: (-gradients @ d).tolist() for name, d in directions.items()}


def watch_conflicts(
    run: Run,
    scenes: Scenes,
    *,
    every: int,
    batches: Mapping[int, int],
    generator: Generator,
) -> pd.DataFrame:
    """Train two tasks, and compare their gradients g_1 and g_2 on fresh scenes on the way.

    A step against g_1 + g_2 raises L_i, to first order, where g_i · (g_1 + g_2) < 0: where the
    cosine is below −‖g_i‖ / ‖g_j‖. At most one task is hurt, the one with the shorter gradient.

    Args:
        run: of two tasks; it is run to its end.
        scenes: where the fresh ones come from.
        every: steps between two comparisons.
        batches: how many batches of each size to compare on, by size.
        generator: of the fresh scenes.

    Returns:
        One row a batch; columns ``step``, ``scenes`` (in the batch), ``cosine`` (over all shared
        parameters), ``limit`` (minus the shorter length over the longer), ``hurt`` (the name of a
        task, or ``""``) and ``longer`` (the task of the longer gradient).
    """
    rows = []
    for record in run:
        if record.step % every:
            continue
        for size, count in batches.items():
            for _ in range(count):
                batch = scenes.draw(size, generator)
                norms, cosines = gradient_geometry(run.model, run.tasks, batch)
                cosine = cosines[0, 1].item()
                shorter, longer = sorted(norms, key=norms.__getitem__)
                limit = -norms[shorter] / norms[longer]
                rows.append(
                    {
                        "step": record.step,
                        "scenes": size,
                        "cosine": cosine,
                        "limit": limit,
                        "hurt": shorter if cosine < limit else "",
                        "longer": longer,
                    }
                )
    return pd.DataFrame(rows)


def sign_agreement(frame: pd.DataFrame) -> tuple[float, float]:
    """How often two batches agree on whether the tasks conflict.

    Args:
        frame: of one run and one size of batches; columns ``step`` and ``cosine``.

    Returns:
        The share of pairs of batches with cosines of one sign: of pairs from the same step, and of
        pairs from different steps.
    """
    conflict = (frame["cosine"] < 0).groupby(frame["step"])
    negative, count = conflict.sum(), conflict.count()
    within = _pairs(negative) + _pairs(count - negative)
    every = _pairs(negative.sum()) + _pairs((count - negative).sum())
    pairs_within, pairs = _pairs(count).sum(), _pairs(count.sum())
    return (
        float(within.sum() / pairs_within),
        float((every - within.sum()) / (pairs - pairs_within)),
    )


def _pairs(count):
    return count * (count - 1) / 2


def share_hurt(
    method: Callable[[Tensor], Tensor],
    *,
    tasks: int,
    parameters: int,
    seed: int,
    tries: int = 150,
) -> float:
    """In which share of random Jacobians a method hurts a task, where nobody need be hurt.

    Their entries are normal numbers. Those without a direction that helps all tasks are left out.

    Args:
        method: gives a direction ``(parameters,)`` for a Jacobian ``(tasks, parameters)``.
        tries: Jacobians that count.
    """
    random, hurt, tried = Generator().manual_seed(seed), 0, 0
    while tried < tries:
        jacobian = torch.randn(tasks, parameters, generator=random, dtype=torch.float64)
        if (jacobian @ mgda(jacobian) > 1e-9).all():
            tried += 1
            hurt += int((jacobian @ method(jacobian) < -1e-9).any())
    return hurt / tries
