"""Adam on a row of numbers, as balancers that learn their weights use it."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor


class Moments(NamedTuple):
    """What Adam remembers of each number; all of shape ``(T,)``.

    Args:
        first: running mean of its gradient.
        second: running mean of its squared gradient.
        steps: how many it has made.
    """

    first: Tensor
    second: Tensor
    steps: Tensor


def adam_step(
    gradient: Tensor,
    moments: Moments,
    *,
    learning_rate: float,
    betas: tuple[float, float] = (0.9, 0.999),
    epsilon: float = 1e-8,
) -> tuple[Tensor, Moments]:
    """Give what to subtract, and the moments after it.

    m ← β₁ m + (1 − β₁) g, v ← β₂ v + (1 − β₂) g², and the step is η m̂ / (√v̂ + ε), with
    m̂ = m / (1 − β₁ᵗ) and v̂ = v / (1 − β₂ᵗ). Each number has a t of its own, so that one may rest
    while another moves; that is why this is not an optimizer of ``torch.optim``.

    Args:
        gradient: g, shape ``(T,)``.
        moments: what Adam remembers; zeros before the first step.
        learning_rate: η.
        betas: β₁ and β₂.
        epsilon: ε.

    Source: Kingma & Ba 2015, Algorithm 1 (arXiv 1412.6980).
    """
    steps = moments.steps + 1
    mean, square = (-torch.expm1(steps * math.log(beta)) for beta in betas)  # 1 − βᵗ, not rounded
    first = torch.lerp(moments.first, gradient, 1 - betas[0])
    second = torch.lerp(moments.second, gradient.square(), 1 - betas[1])
    move = learning_rate * (first / mean) / ((second / square).sqrt() + epsilon)
    return move, Moments(first, second, steps)
