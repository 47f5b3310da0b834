"""Regressions that are alike in all but their scale: the toy problem of the GradNorm paper."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from mtl_tutorial.tasks import Batch, Task

INPUTS, OUTPUTS = 250, 100
COMMON, OWN = 10.0, 3.5  # standard deviations of the entries of B and of ε_i


@dataclass(frozen=True, eq=False)
class ScaledMaps:
    """Endless examples of y_i = σ_i tanh((B + ε_i) x / 250), with x ~ N(0, 1).

    Args:
        scales: σ_i.
        maps: B + ε_i, shape ``(T, 100, 250)``.
        tasks: ``y1``, ``y2``, …, with the squared error as their loss.
    """

    scales: tuple[float, ...]
    maps: Tensor
    tasks: tuple[Task, ...]

    def draw(self, count: int, generator: Generator) -> Batch:
        """Give examples: inputs ``(count, 250)``, targets ``(count, 100)`` by task name."""
        x = torch.randn(count, INPUTS, generator=generator)
        outputs = torch.tanh(x @ self.maps.mT / INPUTS)
        rows = zip(self.tasks, self.scales, outputs, strict=True)
        return Batch(x, {task.name: scale * y for task, scale, y in rows}, complete=True)

    def stream(self, batch_size: int, generator: Generator) -> Iterator[Batch]:
        """Give batches without end."""
        while True:
            yield self.draw(batch_size, generator)


def scaled_maps(scales: Sequence[float], generator: Generator) -> ScaledMaps:
    """Draw tasks that differ in their scale and in a part of their map.

    The entries of B, which the tasks share, are N(0, 10²), those of each ε_i N(0, 3.5²). The paper
    does not say how large x is. Here it is divided by 250, so that tanh is no step; its second
    scale is 100.

    Args:
        scales: σ_i, above 0, of two tasks or more; the squared errors are as σ_i².
        generator: of the maps.

    Raises:
        ValueError: for fewer scales, or one out of range.

    Source: Chen et al. 2018, section 4 (arXiv 1711.02257).
    """
    if len(scales) < 2 or not all(0 < scale < math.inf for scale in scales):
        raise ValueError(f"scales must be two or more numbers above 0, got {list(scales)}")
    common = COMMON * torch.randn(OUTPUTS, INPUTS, generator=generator)
    own = OWN * torch.randn(len(scales), OUTPUTS, INPUTS, generator=generator)
    tasks = tuple(
        Task(f"y{number}", F.mse_loss, explained, OUTPUTS) for number in range(1, len(scales) + 1)
    )
    return ScaledMaps(tuple(scales), common + own, tasks)


def explained(prediction: Tensor, target: Tensor) -> Tensor:
    """Give the share of the target's variance that is explained, 0 to 1."""
    left = (prediction - target).square().mean() / target.var(correction=0)
    return (1 - left).clamp(min=0)
