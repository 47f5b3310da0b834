"""Gradient surgery by projection (PCGrad)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Generator, Tensor

from mtl_tutorial.balancing.gramian import GramianBalancer, checked_jacobian, combine, gramian


def pcgrad(jacobian: Tensor, *, generator: Generator | None = None) -> Tensor:
    """Sum the task gradients after projecting away their conflicts.

    For each task i, v starts as g_i. For every other j in random order with v·g_j < 0,
    v ← v − (v·g_j / ‖g_j‖²) g_j, with the original g_j. The result is the sum of the v.

    Args:
        jacobian: task gradients, one a row, shape ``(T, P)``.
        generator: source of the random order; the order matters from three tasks on.

    Returns:
        The update direction, shape ``(P,)``.

    Raises:
        ValueError: where the Jacobian is no such matrix, or holds NaN or infinite numbers.

    Source: Yu et al. 2020, Algorithm 1 (arXiv 2001.06782).
    """
    squares = gramian(checked_jacobian(jacobian))
    return combine(pcgrad_weights(squares, generator=generator), jacobian)


def pcgrad_weights(gramian: Tensor, *, generator: Generator | None = None) -> Tensor:
    """Give the weights w for which `pcgrad` is Σ_i w_i g_i.

    Two tasks: w_i = 1 − min(K_12, 0) / K_ii. More: row i of C holds v_i = Σ_k C_ik g_k, so that
    v_i·g_j = (C K)_ij and no gradient is needed. All v_i are projected at once, each on the next
    partner of its own order.

    Args:
        gramian: K = J Jᵀ, ``(T, T)``.
        generator: as for `pcgrad`.
    """
    if len(gramian) == 2:
        square = gramian.diagonal()
        return 1 - torch.where(square > 0, gramian[0, 1].clamp(max=0) / square, 0.0)
    tasks = range(len(gramian))
    device = gramian.device if generator is None else generator.device
    orders = [torch.randperm(len(gramian), generator=generator, device=device) for _ in tasks]
    square = gramian.diagonal()
    c = torch.eye(len(gramian), dtype=gramian.dtype, device=gramian.device)
    partners = torch.stack(orders, dim=1).to(gramian.device, non_blocking=True)
    for j in partners:  # partner j_i of each row i
        dot = (c * gramian[j]).sum(1)  # v_i·g_j
        conflict = (dot < 0) & (square[j] > 0) & (j != torch.arange(len(j), device=j.device))
        step = torch.where(conflict, dot / square[j], 0.0)
        c = c - torch.zeros_like(c).scatter(1, j[:, None], step[:, None])
    return c.sum(0)


class PCGrad(GramianBalancer):
    """Gradient surgery on the shared parameters; every head gets its own gradient.

    θ gets `pcgrad` of the Jacobian of the shared parameters, φ_i gets ∇_φi L_i.

    Args:
        generator: source of the random order; left out, the default one of the losses' device.

    Source: Yu et al. 2020, Algorithm 1 (arXiv 2001.06782).
    """

    replayable = True

    def __init__(self, generator: Generator | None = None) -> None:
        self.generator = generator

    def weights_of(self, gramian: Tensor) -> Tensor:
        """Give w of `pcgrad_weights`."""
        return pcgrad_weights(gramian, generator=self.generator)

    def state_dict(self) -> dict[str, Any]:
        """The state of the random order, to be saved."""
        order = {} if self.generator is None else {"generator": self.generator.get_state()}
        return super().state_dict() | order

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on with the random order where `state_dict` left it.

        Raises:
            ValueError: where it is the state of something else, or one of them has no generator.
        """
        super().load_state_dict(state)
        if self.generator is not None:
            self.generator.set_state(state["generator"])
