"""The backward pass of balancers that look at the gradients' lengths and angles alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import Tensor, nn

from mtl_tutorial.balancing.base import (
    add_gradients,
    check_finite,
    shared_parameters,
    split_gradients,
    unflatten,
)


def backward_by_gramian(
    losses: Mapping[str, Tensor],
    model: nn.Module,
    weigh: Callable[[list[list[float]]], list[float]],
) -> dict[str, float]:
    """Give θ the gradient Σ_i w_i g_i, with w from the Gramian; every head gets its own gradient.

    Args:
        losses: a scalar tensor for each task's name.
        model: knows its ``shared_parameters()`` and ``task_parameters(name)``.
        weigh: from K = J Jᵀ, ``(T, T)``, with J the Jacobian of the shared parameters, to w.

    Returns:
        w, by task name.

    Raises:
        ValueError: as `split_gradients`, and for a gradient that is NaN or infinite.
    """
    jacobian, own_gradients = split_gradients(losses, model)
    gramian = (jacobian @ jacobian.T).tolist()
    squares = [row[i] for i, row in enumerate(gramian)]
    check_finite(squares, losses, "squared norm of the shared gradient")
    weights = weigh(gramian)
    direction = jacobian.new_tensor(weights) @ jacobian
    add_gradients(unflatten(direction, shared_parameters(model)))
    add_gradients(own_gradients)
    return dict(zip(losses, weights, strict=True))
