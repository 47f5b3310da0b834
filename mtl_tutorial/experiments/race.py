"""A race of methods on the landscape of two tasks, from the same points and in the same steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mtl_tutorial.data.landscape import (
    PARETO_X,
    PARETO_Y,
    STARTS,
    landscape,
    landscape_gradients,
)
from mtl_tutorial.profiles import check_choice

METHODS = ("weighted sum", "PCGrad", "MGDA")

OPTIMIZERS = {"Adam": torch.optim.Adam, "gradient descent": torch.optim.SGD}
NEAR = 0.3  # of the best trade-offs: where a race is won


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
        x1, x2 = self.paths[step].unbind(-1)
        low, high = PARETO_X
        return ((x2 - PARETO_Y).abs() < NEAR) & (x1 > low - NEAR) & (x1 < high + NEAR)


def task_weights(jacobian: Tensor, weight: float) -> Tensor:
    """Give each method's weights of the two gradients, for many points at once.

    Weighted sum: (2λ, 2 − 2λ). PCGrad, in conflict: (1 − K_12/K_11, 1 − K_12/K_22), else (1, 1).
    MGDA: a_1 = clip((K_22 − K_12) / ‖g_1 − g_2‖², 0, 1), a_2 = 1 − a_1.

    Args:
        jacobian: shape ``(methods, starts, 2, 2)``, methods in the order of ``METHODS``.
        weight: λ of task 1 in the weighted sum, 0 to 1.

    Returns:
        Shape ``(methods, starts, 2)``.
    """
    gramian = jacobian @ jacobian.mT
    own = gramian.diagonal(dim1=-2, dim2=-1)
    cross = gramian[..., 0, 1]
    fixed = torch.tensor([2 * weight, 2 - 2 * weight], dtype=jacobian.dtype)
    surgery = 1 - cross[1, :, None].clamp(max=0) / own[1].clamp(min=1e-30)
    apart = (own[2].sum(-1) - 2 * cross[2]).clamp(min=1e-30)
    first = ((own[2, :, 1] - cross[2]) / apart).clamp(0, 1)
    return torch.stack([fixed.expand_as(surgery), surgery, torch.stack([first, 1 - first], dim=-1)])


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
        weight: λ of task 1 in the weighted sum; at 0.5 it is the plain sum.
        steps: made by each.

    Raises:
        ValueError: for an unknown optimizer.
    """
    check_choice("optimizer", optimizer, OPTIMIZERS)
    begin = torch.tensor(starts, dtype=torch.float64)
    x = begin.expand(len(METHODS), *begin.shape).clone().requires_grad_()
    stepper = OPTIMIZERS[optimizer]([x], lr=learning_rate)
    paths, losses = [begin.expand_as(x).clone()], []
    for _ in range(steps):
        now, jacobian = landscape_gradients(x)
        losses.append(now)
        x.grad = (task_weights(jacobian, weight)[..., None] * jacobian).sum(-2)
        stepper.step()
        paths.append(x.detach().clone())
    losses.append(landscape(paths[-1]))
    setting = f"{optimizer}, learning rate {learning_rate:.3g}, weight of task 1 {weight:.2f}"
    return Race(torch.stack(paths), torch.stack(losses), setting)
