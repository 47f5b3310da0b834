"""The Gramian of the task gradients: all that many balancers need to know of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from mtl_tutorial.balancing.base import check_finite


def gramian(jacobian: Tensor) -> list[list[float]]:
    """Give K = J Jᵀ, ``(T, T)``: the squared lengths and the dot products of the gradients.

    Args:
        jacobian: J, one gradient a row, shape ``(T, P)``.
    """
    wide = widen(jacobian)
    with full_precision(wide):
        return (wide @ wide.T).tolist()


def checked_gramian(jacobian: Tensor, names: Iterable[str]) -> list[list[float]]:
    """Give `gramian`, where every gradient is finite.

    Raises:
        ValueError: naming the first task whose gradient is NaN or infinite.
    """
    result = gramian(jacobian)
    squares = [row[i] for i, row in enumerate(result)]
    check_finite(squares, names, "squared norm of the shared gradient")
    return result


def combine(weights: Sequence[float], jacobian: Tensor) -> Tensor:
    """Give Σ_i w_i g_i, shape ``(P,)``, in the precision of the Jacobian."""
    wide = widen(jacobian)
    with full_precision(wide):
        return (wide.new_tensor(weights) @ wide).to(jacobian.dtype)


def widen(jacobian: Tensor) -> Tensor:
    """Give the gradients in float32 at least, where their squares neither overflow nor vanish."""
    return jacobian.to(torch.promote_types(jacobian.dtype, torch.float32))


def full_precision(tensor: Tensor) -> torch.autocast:
    """Inside, products are not rounded, even where a caller has turned autocast on."""
    return torch.autocast(tensor.device.type, enabled=False)
