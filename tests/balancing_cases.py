"""What the tests of balancers have in common."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor


def floats(weights: Mapping[str, Tensor]) -> dict[str, float]:
    """Give what a balancer gave as numbers; fails where it is no tensor without dimensions."""
    assert all(isinstance(w, Tensor) and not w.ndim for w in weights.values()), weights
    assert not any(weight.requires_grad for weight in weights.values())
    return {name: weight.item() for name, weight in weights.items()}


def constant(**losses: float) -> dict[str, Tensor]:
    """Losses of these values, with a graph that leads nowhere."""
    anchor = torch.zeros((), requires_grad=True)
    return {name: anchor * 0 + value for name, value in losses.items()}
