"""The Gramian of the task gradients: all that many balancers need to know of them."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence

import torch
from torch import Tensor

from mtl_tutorial.balancing.base import check_finite


def gramian(jacobian: Tensor) -> list[list[float]]:
    """Give K = J Jᵀ, ``(T, T)``: the squared lengths and the dot products of the gradients.

    Args:
        jacobian: J, one gradient a row, shape ``(T, P)``.

    Raises:
        ValueError: where J is no such matrix of floating-point numbers, or as `checked_gramian`.
    """
    if jacobian.ndim != 2 or not len(jacobian) or not jacobian.is_floating_point():
        raise ValueError(
            f"a Jacobian has one gradient a row, at least 1, and holds floating-point numbers; "
            f"got shape {tuple(jacobian.shape)} of {jacobian.dtype}; stack the flattened "
            f"gradients, and use .float() on whole numbers"
        )
    return checked_gramian(jacobian, range(len(jacobian)))


def checked_gramian(jacobian: Tensor, names: Iterable[Hashable]) -> list[list[float]]:
    """Give K of the tasks with these names, where every gradient is finite.

    Raises:
        NonFiniteError: naming the first task whose squared norm is NaN or infinite.
    """
    wide = widen(jacobian)
    with full_precision(wide):
        result = (wide @ wide.T).tolist()
    squares = [row[i] for i, row in enumerate(result)]
    check_finite(squares, names, "squared norm of the shared gradient")
    return result


def combine(weights: Sequence[float], jacobian: Tensor) -> Tensor:
    """Give Σ_i w_i g_i, shape ``(P,)``, in the precision of the Jacobian."""
    wide = widen(jacobian)
    with full_precision(wide):
        return (wide.new_tensor(weights) @ wide).to(jacobian.dtype)


def widen(jacobian: Tensor) -> Tensor:
    """Give the gradients in float32 at least, where squares of float16 can't overflow or vanish."""
    return jacobian.to(torch.promote_types(jacobian.dtype, torch.float32))


def full_precision(tensor: Tensor) -> torch.autocast:
    """Inside, products are not rounded, even where a caller has turned autocast on."""
    return torch.autocast(tensor.device.type, enabled=False)
