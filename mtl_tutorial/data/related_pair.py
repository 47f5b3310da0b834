"""Two regressions whose relatedness is a dial: the toy problem of the MMoE paper."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from mtl_tutorial.data.scaled_maps import explained
from mtl_tutorial.tasks import Batch, Task

INPUTS = 50
NOISE = 0.1  # standard deviation; the paper's variance is 0.01
WAVES = ((3.0, 0.0), (4.0, 1.0), (5.0, 2.0))  # α_j and β_j, which the paper leaves open
PAIR = tuple(Task(name, F.mse_loss, explained, 1) for name in ("first", "second"))


@dataclass(frozen=True, eq=False)
class RelatedPair:
    """Endless examples of y_k = w_k·x + Σ_j sin(α_j w_k·x + β_j) + noise, with x ~ N(0, 1).

    Args:
        teachers: w_1 and w_2, of length 1, shape ``(2, d)``.
    """

    teachers: Tensor
    tasks = PAIR

    def draw(self, count: int, generator: Generator) -> Batch:
        """Give examples: inputs ``(count, d)``, targets ``(count, 1)`` by task name."""
        x = torch.randn(count, self.teachers.shape[1], generator=generator)
        y = taught(x, self.teachers) + NOISE * torch.randn(count, 2, generator=generator)
        targets = {task.name: y[:, k : k + 1] for k, task in enumerate(self.tasks)}
        return Batch(x, targets, complete=True)

    def stream(self, batch_size: int, generator: Generator) -> Iterator[Batch]:
        """Give batches without end."""
        while True:
            yield self.draw(batch_size, generator)


def related_pair(correlation: float, generator: Generator, *, inputs: int = INPUTS) -> RelatedPair:
    """Draw two tasks whose teachers have a cosine: w_1 = u_1, w_2 = p u_1 + √(1 − p²) u_2.

    u_1 and u_2 are unit vectors at a right angle, drawn anew. The cosine p is not the correlation
    of the labels, but that grows with it. The paper multiplies both teachers by a constant c,
    which is 1 here.

    Args:
        correlation: p, from −1 to 1.
        generator: of u_1 and u_2.
        inputs: d, numbers in an input, 2 or more.

    Raises:
        ValueError: where p or d is out of range.

    Source: Ma et al. 2018, Modeling Task Relationships in Multi-task Learning with Multi-gate
    Mixture-of-Experts (KDD), where it makes synthetic data.
    """
    if not -1 <= correlation <= 1:
        raise ValueError(f"correlation must be from -1 to 1, got {correlation}")
    if inputs < 2:
        raise ValueError(f"inputs must be at least 2, got {inputs}")
    u = torch.linalg.qr(torch.randn(inputs, 2, generator=generator)).Q.T
    return RelatedPair(teachers_at(correlation, u))


def teachers_at(correlation: float, u: Tensor) -> Tensor:
    """Give w_1 = u_1 and w_2 = p u_1 + √(1 − p²) u_2, from u_1 and u_2, shape ``(2, d)``."""
    across = math.sqrt(1 - correlation**2)
    return torch.stack([u[0], correlation * u[0] + across * u[1]])


def taught(x: Tensor, teachers: Tensor) -> Tensor:
    """Give the answers without noise.

    Args:
        x: shape ``(..., B, d)``.
        teachers: w_k, shape ``(..., T, d)``.

    Returns:
        y_k, shape ``(..., B, T)``.
    """
    z = x @ teachers.mT
    return sum((torch.sin(a * z + b) for a, b in WAVES), z)
