"""The Gramian of the task gradients: all that many balancers need to know of them."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn

from mtl_tutorial.balancing.base import Balancer, check_finite
from mtl_tutorial.balancing.graph import Scale, is_scaled, split_gradients, wide
from mtl_tutorial.balancing.replicas import same_on_replicas

SAFE = 1e-12, 1e12  # largest entries whose squares float32 holds, with room for sums of them


class GramianBalancer(Balancer):
    """A balancer that weighs the tasks' gradients of θ by what their Gramian says.

    θ gets Σ_i w_i g_i, a task's own parameters get ∇_φi L_i; w is all that a method has to give.
    With one task there is nothing to weigh, and all parameters get its gradient.
    """

    def weights_of(self, gramian: Tensor) -> Tensor:
        """Give w, shape ``(T,)``.

        Args:
            gramian: K = J Jᵀ, shape ``(T, T)``, of the tasks that are there; divided by a power of
                two where its numbers would leave the range of float32, see `gramian`.
        """
        raise NotImplementedError(f"{type(self).__name__} needs a method weights_of()")

    def backward(
        self, losses: Mapping[str, Tensor], model: nn.Module, *, scale: Scale = None
    ) -> dict[str, Tensor]:
        """Fill ``.grad``, and give the w_i.

        Raises:
            ValueError: where there is no loss, one has no graph, or two tasks share nothing; and
                for a gradient that is NaN or infinite, on a CPU and without a ``scale``.
        """
        gradients = split_gradients(losses, model, scale)
        jacobian = gradients.jacobian
        with full_precision(jacobian):
            if len(losses) == 1:
                weights = jacobian.new_ones(1)
            else:
                squares = gramian(jacobian)
                if not is_scaled(scale):
                    check_finite(squares.diagonal(), losses, "shared gradient")
                weights = self._checked(self.weights_of(squares), jacobian)
                if not is_scaled(scale):
                    check_finite(weights, losses, f"weight by {type(self).__name__}")
                weights = same_on_replicas(weights, model)
            gradients.fill(weights @ jacobian)
        return dict(zip(losses, weights.unbind(), strict=True))

    def _checked(self, weights: object, jacobian: Tensor) -> Tensor:
        if isinstance(weights, Tensor):
            if weights.shape == jacobian.shape[:1]:
                return weights.detach().to(jacobian)
            got = f"shape {tuple(weights.shape)}"
        else:
            got = f"a {type(weights).__name__}"
        raise ValueError(
            f"weights_of() of {type(self).__name__} must give a tensor with one weight a task, "
            f"shape ({len(jacobian)},), got {got}"
        )


def gramian(jacobian: Tensor) -> Tensor:
    """Give K = J Jᵀ, ``(T, T)``: the squared lengths and the dot products of the gradients.

    Where the largest entry of J is below 1e-12 or above 1e12, J is divided by a power of two near
    it first: float32 would lose the squares of 1e-23 and of 1e19. A gradient more than 1e18 times
    shorter than the longest still counts as 0.

    Args:
        jacobian: J, one gradient a row, shape ``(T, P)``; float16 is widened to float32.
    """
    rows = jacobian.to(wide(jacobian.dtype))
    with full_precision(rows):
        rows = rows * range_factor(rows)
        return rows @ rows.T


def row_norms(rows: Tensor) -> Tensor:
    """The length of each row, ``(T,)``, whatever the range of its numbers; see `gramian`."""
    factor = range_factor(rows)
    return (rows * factor).norm(dim=1) / factor


def range_factor(rows: Tensor) -> Tensor:
    """Give 1, or the power of two that brings the largest entry near 1 where squares need that."""
    largest = rows.detach().abs().amax() if rows.numel() else rows.new_ones(())
    least, greatest = SAFE
    power = torch.exp2(-largest.log2().floor())
    outside = ((largest < least) | (largest > greatest)) & (largest > 0) & largest.isfinite()
    return torch.where(outside, power, 1.0)


def checked_jacobian(jacobian: Tensor) -> Tensor:
    """Check the argument of the functions of a Jacobian, and give it in float32 at least.

    Raises:
        ValueError: where it is no matrix of floating-point numbers with a row or more.
        NonFiniteError: naming the first row with a number that is NaN or infinite, on a CPU.
    """
    if not isinstance(jacobian, Tensor):
        raise ValueError(
            f"a Jacobian is a tensor with one gradient a row, got {jacobian!r}; use torch.tensor"
        )
    if jacobian.ndim != 2 or not len(jacobian) or not jacobian.is_floating_point():
        raise ValueError(
            f"a Jacobian has one gradient a row, at least 1, and holds floating-point numbers; "
            f"got shape {tuple(jacobian.shape)} of {jacobian.dtype}; stack the flattened "
            f"gradients, and use .float() on whole numbers"
        )
    rows = jacobian.to(wide(jacobian.dtype))
    check_finite(rows.abs().sum(1), range(len(rows)), "gradient")
    return rows


def combine(weights: Tensor, jacobian: Tensor) -> Tensor:
    """Give Σ_i w_i g_i, shape ``(P,)``, in the precision of the Jacobian."""
    rows = jacobian.to(wide(jacobian.dtype))
    with full_precision(rows):
        return (weights @ rows).to(jacobian.dtype)


def full_precision(tensor: Tensor) -> AbstractContextManager[object]:
    """Inside, products are not rounded, even where a caller has turned autocast on."""
    kind = tensor.device.type
    if not torch.amp.is_autocast_available(kind):
        return nullcontext()
    return torch.autocast(kind, enabled=False)
