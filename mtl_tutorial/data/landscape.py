"""Problems of two tasks and few parameters, whose whole landscape can be drawn."""

from __future__ import annotations

import math

import torch
from torch import Tensor

LOWER = 5e-6
STARTS = ((-8.5, 7.5), (-8.5, -5.0), (9.0, 9.0), (-7.5, -0.5), (9.0, -1.0))
# The best trade-offs, nearly: x₂ = PARETO_Y at x₁ = 0, −8.376 at ±3.5 and −8.434 at ±7.
PARETO_Y, PARETO_X = -8.3552, (-7.0, 7.0)


def landscape(x: Tensor) -> Tensor:
    """Give the two losses at each point.

    With c₁ = max(tanh(x₂/2), 0) and c₂ = max(tanh(−x₂/2), 0), L_i = f_i c₁ + q_i c₂, where
    f₁ = log max(|(−x₁ − 7)/2 − tanh(−x₂)|, 5e-6) + 6,
    f₂ = log max(|(−x₁ + 3)/2 + tanh(−x₂) + 2|, 5e-6) + 6,
    q₁ = ((−x₁ + 7)² + 0.1 (−x₂ − 8)²)/10 − 20, q₂ = ((−x₁ − 7)² + 0.1 (−x₂ − 8)²)/10 − 20.

    Args:
        x: shape ``(..., 2)``.

    Returns:
        Shape ``(..., 2)``.

    Raises:
        ValueError: for points of another shape, or of whole numbers.

    Source: Liu et al. 2021, section 5.1 (arXiv 2110.14048); in f₂ with the sign of the authors'
    code (``+ tanh``), where the paper prints a minus.
    """
    _check_points(x, "(..., 2)")
    x1, x2 = x.unbind(-1)
    upper, lower = torch.tanh(x2 / 2).clamp(min=0), torch.tanh(-x2 / 2).clamp(min=0)
    bend, valley = torch.tanh(-x2), 0.1 * (-x2 - 8) ** 2
    f1 = ((-x1 - 7) / 2 - bend).abs().clamp(min=LOWER).log() + 6
    f2 = ((-x1 + 3) / 2 + bend + 2).abs().clamp(min=LOWER).log() + 6
    q1 = ((-x1 + 7) ** 2 + valley) / 10 - 20
    q2 = ((-x1 - 7) ** 2 + valley) / 10 - 20
    return torch.stack([f1 * upper + q1 * lower, f2 * upper + q2 * lower], dim=-1)


def landscape_gradients(x: Tensor) -> tuple[Tensor, Tensor]:
    """Give the losses and their gradients at each point, shapes ``(..., 2)`` and ``(..., 2, 2)``.

    Row i of a point's matrix is ∇L_i.

    Raises:
        ValueError: as `landscape`.
    """
    _check_points(x, "(..., 2)")
    with torch.enable_grad():
        copies = torch.stack([x.detach()] * 2).requires_grad_()  # one for each loss
        losses = landscape(copies)
        total = losses[0, ..., 0].sum() + losses[1, ..., 1].sum()
        (rows,) = torch.autograd.grad(total, copies)
    return losses[0].detach(), rows.movedim(0, -2)


def two_wells(x: Tensor, distance: float = 2.0) -> Tensor:
    """Give two losses, each with its least value at a place of its own.

    L₁ = 1 − exp(−‖x − w‖²), L₂ = 1 − exp(−‖x + w‖²), with every coordinate of w equal and
    ‖w‖ = ``distance`` / 2. The best trade-offs are the points between −w and w. Their front is
    convex up to a distance of √2; from there on it is concave in the middle.

    Args:
        x: shape ``(..., d)``.
        distance: between the two least values, from 0 on; 2 is that of the source.

    Returns:
        Shape ``(..., 2)``.

    Raises:
        ValueError: for points without a dimension or of whole numbers, or another distance.

    Source: Fonseca & Fleming 1995, as in Lin et al. 2019 (arXiv 1912.12854).
    """
    _check_points(x, "(..., d)")
    if not 0 <= distance < math.inf:
        raise ValueError(f"distance must be finite and ≥ 0, got {distance}")
    place = distance / 2 / x.shape[-1] ** 0.5
    return torch.stack([1 - (-((x - w) ** 2).sum(-1)).exp() for w in (place, -place)], dim=-1)


def _check_points(x: Tensor, shape: str) -> None:
    fits = x.ndim > 0 and (x.shape[-1] == 2 if shape == "(..., 2)" else x.shape[-1] > 0)
    if not (fits and x.is_floating_point()):
        raise ValueError(
            f"points must be floating-point numbers of shape {shape}, got {x.dtype} of shape "
            f"{tuple(x.shape)}"
        )
