"""What published methods do with given gradients: whom they hurt, and what a unit changes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from mtl_tutorial.experiments.runs import seeded

NUMBERS, COUNT = 6, 40  # shared numbers, and how many random Jacobians
ROUNDING = 0.01  # a cosine this far below 0 hurts
FACTOR = 100.0  # by which the second loss is multiplied


def direction(method: nn.Module, jacobian: Tensor, losses: Tensor) -> Tensor:
    """Give the gradient that a method hands to the optimizer in its first step.

    An aggregator A gives A(J); a scalarizer S gives Σ_i ∂S/∂L_i · g_i.

    Args:
        method: an aggregator or a scalarizer of TorchJD; what it remembers is forgotten first.
        jacobian: J, a gradient g_i a row, shape ``(T, P)``.
        losses: L, shape ``(T,)``.

    Returns:
        Shape ``(P,)``.
    """
    from torchjd.scalarization import Scalarizer  # slow to import

    if hasattr(method, "reset"):
        method.reset()  # type: ignore[operator]
    if not isinstance(method, Scalarizer):
        return method(jacobian)
    values = losses.detach().clone().requires_grad_()
    (weights,) = torch.autograd.grad(method(values), values)
    return weights @ jacobian


def random_problems(tasks: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Give random gradients of unequal lengths with a conflict, and losses from ½ to 2.

    In six dimensions two or three such gradients do not depend on each other, so that there is
    always a direction that helps every task.
    """
    generator = torch.Generator().manual_seed(tasks)
    count = COUNT
    while count:
        jacobian = torch.randn(tasks, NUMBERS, generator=generator).double()
        jacobian = jacobian * torch.logspace(0.5, -0.5, tasks).double()[:, None]
        losses = 0.5 + 1.5 * torch.rand(tasks, generator=generator).double()
        if (jacobian @ jacobian.T < 0).any():
            count -= 1
            yield jacobian, losses


def hurts(method: nn.Module, tasks: int) -> float:
    """Give the share of `random_problems` in which some task's loss goes up."""
    count = 0
    for jacobian, losses in random_problems(tasks):
        way = direction(method, jacobian, losses)
        cosines = (jacobian @ way) / jacobian.norm(dim=1) / way.norm().clamp(min=1e-12)
        count += int((cosines < -ROUNDING).any())
    return count / COUNT


def turns(method: nn.Module) -> float:
    """Give the largest angle in degrees by which the direction turns if loss 2 is multiplied."""
    scale = torch.tensor([1.0, FACTOR]).double()
    angles = []
    for jacobian, losses in random_problems(2):
        ways = []
        for factors in (torch.ones_like(scale), scale):
            with seeded(0):  # the same lot for both
                ways.append(direction(method, jacobian * factors[:, None], losses * factors))
        angles.append(angle(*ways))
    return max(angles)


def angle(one: Tensor, other: Tensor) -> float:
    """Give the angle between two directions, in degrees."""
    cosine = torch.cosine_similarity(one, other, dim=0).clamp(-1, 1)
    return torch.rad2deg(torch.acos(cosine)).item()


def measure_zoo(methods: Mapping[str, nn.Module | type[nn.Module]]) -> pd.DataFrame:
    """Measure `hurts` for two and three tasks, and `turns`.

    Args:
        methods: by name; one that has to know the number of tasks is given as a class, which is
            called with that number.

    Returns:
        A row a method; columns ``"hurts, T = 2"``, ``"hurts, T = 3"`` and ``"turns, degrees"``.
    """
    rows: dict[str, dict[str, Any]] = {}
    with seeded(0):
        for name, method in methods.items():
            two, three = (method(n) if isinstance(method, type) else method for n in (2, 3))
            rows[name] = {"hurts, T = 2": hurts(two, 2), "hurts, T = 3": hurts(three, 3)}
            rows[name]["turns, degrees"] = turns(two)
    return pd.DataFrame.from_dict(rows, orient="index")
