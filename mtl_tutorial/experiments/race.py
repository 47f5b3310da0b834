"""A race of methods on the landscape of two tasks, from the same points and in the same steps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from mtl_tutorial.data.landscape import (
    PARETO_X,
    PARETO_Y,
    STARTS,
    landscape,
    landscape_gradients,
)
from mtl_tutorial.places import RESULTS, read_from_course
from mtl_tutorial.profiles import check_choice

METHODS = ("sum", "PCGrad", "MGDA")
OPTIMIZERS = {"Adam": torch.optim.Adam, "gradient descent": torch.optim.SGD}
NEAR = 0.3  # of the best trade-offs: where a race is won
LONG_RACES = RESULTS / "landscape_race.json"


@dataclass(frozen=True)
class Race:
    """The ways of all methods from all starts.

    Args:
        paths: x after every step, shape ``(steps + 1, methods, starts, 2)``.
        losses: L at these points, likewise.
        setting: optimizer, learning rate and weight in words.
    """

    paths: Tensor
    losses: Tensor
    setting: str

    def arrived(self, step: int) -> Tensor:
        """Which have come near a best trade-off by a step; shape ``(methods, starts)``."""
        return has_arrived(self.paths[step])


def has_arrived(x: Tensor) -> Tensor:
    """Whether points ``(..., 2)`` lie near the best trade-offs; shape ``(...)``."""
    x1, x2 = x.unbind(-1)
    low, high = PARETO_X
    return ((x2 - PARETO_Y).abs() < NEAR) & (x1 > low - NEAR) & (x1 < high + NEAR)


def update_directions(jacobian: Tensor, weight: float = 0.5) -> Tensor:
    """Give each method's direction for many points at once.

    Every method gets the weighted gradients 2λ g_1 and (2 − 2λ) g_2. With K = J Jᵀ of these, they
    count: in the sum (1, 1); in PCGrad, in conflict, (1 − K_12/K_11, 1 − K_12/K_22), else (1, 1);
    in MGDA a_1 = clip((K_22 − K_12) / ‖g_1 − g_2‖², 0, 1) and a_2 = 1 − a_1.

    Args:
        jacobian: shape ``(methods, starts, 2, 2)``, methods in the order of ``METHODS``.
        weight: λ of task 1, 0 to 1.

    Returns:
        Shape ``(methods, starts, 2)``.
    """
    jacobian = jacobian * jacobian.new_tensor([2 * weight, 2 - 2 * weight])[:, None]
    gramian = jacobian @ jacobian.mT
    own = gramian.diagonal(dim1=-2, dim2=-1)
    cross = gramian[..., 0, 1]
    surgery = 1 - cross[1, :, None].clamp(max=0) / own[1].clamp(min=1e-30)
    apart = (own[2].sum(-1) - 2 * cross[2]).clamp(min=1e-30)
    first = ((own[2, :, 1] - cross[2]) / apart).clamp(0, 1)
    both = torch.stack([torch.ones_like(surgery), surgery, torch.stack([first, 1 - first], -1)])
    return (both[..., None] * jacobian).sum(-2)


def _race(
    starts: Sequence[tuple[float, float]],
    optimizer: str,
    learning_rate: float,
    weight: float,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Step without end; give the losses before each step and the points after it."""
    begin = torch.tensor(starts, dtype=torch.float64)
    x = begin.expand(len(METHODS), *begin.shape).clone().requires_grad_()
    stepper = OPTIMIZERS[optimizer]([x], lr=learning_rate)
    while True:
        losses, jacobian = landscape_gradients(x)
        x.grad = update_directions(jacobian, weight)
        stepper.step()
        yield losses, x.detach()


def run_race(
    starts: Sequence[tuple[float, float]] = STARTS,
    *,
    optimizer: str = "Adam",
    learning_rate: float = 0.1,
    weight: float = 0.5,
    steps: int = 500,
) -> Race:
    """Step all methods from all starts as one batch.

    Args:
        starts: points.
        optimizer: ``"Adam"`` or ``"gradient descent"``.
        learning_rate: the same for all.
        weight: λ of task 1, whose gradient every method gets 2λ times; that of task 2 (2 − 2λ)
            times.
        steps: made by each.

    Raises:
        ValueError: for an unknown optimizer.
    """
    check_choice("optimizer", optimizer, OPTIMIZERS)
    begin = torch.tensor(starts, dtype=torch.float64).expand(len(METHODS), -1, -1)
    paths, losses = [begin.clone()], []
    race = _race(starts, optimizer, learning_rate, weight)
    for _, (before, x) in zip(range(steps), race, strict=False):
        losses.append(before)
        paths.append(x.clone())
    losses.append(landscape(paths[-1]))
    setting = f"{optimizer}, learning rate {learning_rate:.3g}, weight of task 1 {weight:.2f}"
    return Race(torch.stack(paths), torch.stack(losses), setting)


def arrival_steps(
    starts: Sequence[tuple[float, float]] = STARTS,
    *,
    optimizer: str = "Adam",
    learning_rate: float,
    steps: int,
) -> Tensor:
    """Give the step from which each racer is near a best trade-off, and stays there to the end.

    Args:
        starts, optimizer, learning_rate: as for `run_race`.
        steps: made by each; fewer where all have been near for 100 steps.

    Returns:
        Shape ``(methods, starts)``; infinite for those that are not there at the end.

    Raises:
        ValueError: as `run_race`.
    """
    check_choice("optimizer", optimizer, OPTIMIZERS)
    since = torch.full((len(METHODS), len(starts)), torch.inf)
    race = _race(starts, optimizer, learning_rate, 0.5)
    for step, (_, x) in zip(range(1, steps + 1), race, strict=False):
        since = torch.where(has_arrived(x), since.clamp(max=step), torch.inf)
        if step - since.max() >= 100:
            break
    return since


def long_races(path: Path = LONG_RACES) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Read the long races that come with the course, and where they are from.

    Returns:
        A table with the columns ``learning_rate``, ``method``, ``start`` (from 1 on), ``copy`` and
        ``arrival`` (a step, infinite for those that do not arrive); and their provenance.

    Raises:
        ValueError: where they are not there.
    """
    content = read_from_course(path)
    table = pd.DataFrame(content["rows"], columns=content["columns"])
    return table.assign(arrival=table["arrival"].fillna(torch.inf)), content["provenance"]
