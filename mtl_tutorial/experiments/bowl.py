"""The objective of uncertainty weighting over two log-variances, and the way down it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from mtl_tutorial.balancing import UncertaintyWeights
from mtl_tutorial.balancing.uncertainty import SCALE
from mtl_tutorial.tasks import Task

STEPS = 80  # of the path
RANGE = np.linspace(-8, 4, 49)  # of both log-variances


@dataclass(frozen=True)
class Bowl:
    """The objective of uncertainty weighting over the log-variances of two tasks.

    Args:
        tasks: the two.
        losses: L_i, constant.
        height: Σ_i (c_i e^{−s_i} L_i + s_i / 2) above its lowest point, on ``RANGE`` × ``RANGE``;
            rows are s of the second task.
        lowest: s_i at the lowest point.
        path: s_i from (0, 0) on, one row a step of Adam, shape ``(STEPS + 1, 2)``.
    """

    tasks: tuple[Task, Task]
    losses: tuple[float, float]
    height: np.ndarray
    lowest: tuple[float, float]
    path: np.ndarray


def compute_bowl(
    tasks: Sequence[Task], losses: Sequence[float], learning_rate: float = 0.1
) -> Bowl:
    """Work out the bowl for two constant losses, and the way that learning takes in it."""
    first, second = tasks
    balancer = UncertaintyWeights(tasks, learning_rate)
    scales = [SCALE[task.kind] for task in tasks]
    lows = [math.log(2 * scale * loss) for scale, loss in zip(scales, losses, strict=True)]
    across, up = (
        scale * np.exp(-RANGE) * loss + RANGE / 2
        for scale, loss in zip(scales, losses, strict=True)
    )
    height = across[None, :] + up[:, None]
    floor = sum(0.5 + s / 2 for s in lows)
    anchor = torch.zeros((), requires_grad=True)
    path = [[0.0, 0.0]]
    for _ in range(STEPS):
        constant = {task.name: 0 * anchor + loss for task, loss in zip(tasks, losses, strict=True)}
        balancer.backward(constant, nn.Module())
        path.append([s.item() for s in balancer.log_variances.values()])
    ends = (losses[0], losses[1]), (lows[0], lows[1])
    return Bowl((first, second), ends[0], height - floor, ends[1], np.array(path))
