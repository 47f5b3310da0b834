"""Gradient surgery by projection (PCGrad)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Generator, Tensor, nn

from mtl_tutorial.balancing.base import fill_gradients, split_gradients
from mtl_tutorial.balancing.gramian import checked_gramian, combine, gramian


def pcgrad(jacobian: Tensor, *, generator: Generator | None = None) -> Tensor:
    """Sum the task gradients after projecting away their conflicts.

    For each task i, v starts as g_i. For every other j in random order with v·g_j < 0,
    v ← v − (v·g_j / ‖g_j‖²) g_j, with the original g_j. The result is the sum of the v.

    Args:
        jacobian: task gradients, one a row, shape ``(T, P)``.
        generator: source of the random order, on the CPU; the order matters from three tasks on.

    Returns:
        The update direction, shape ``(P,)``.

    Raises:
        ValueError: as `gramian`.

    Source: Yu et al. 2020, Algorithm 1 (arXiv 2001.06782).
    """
    return combine(pcgrad_weights(gramian(jacobian), generator=generator), jacobian)


def pcgrad_weights(
    gramian: Sequence[Sequence[float]], *, generator: Generator | None = None
) -> list[float]:
    """Give the weights w for which `pcgrad` is Σ_i w_i g_i.

    Each v is a combination Σ_k c_k g_k, so that v·g_j = Σ_k c_k K_kj: no gradient is needed.

    Args:
        gramian: K = J Jᵀ, ``(T, T)``.
        generator: as for `pcgrad`.
    """
    tasks = range(len(gramian))
    weights = [0.0 for _ in tasks]
    for i in tasks:
        v = [float(k == i) for k in tasks]
        for j in torch.randperm(len(gramian), generator=generator).tolist():
            dot = sum(v[k] * gramian[k][j] for k in tasks)
            if j != i and dot < 0 < gramian[j][j]:
                v[j] -= dot / gramian[j][j]
        weights = [w + c for w, c in zip(weights, v, strict=True)]
    return weights


class PCGrad:
    """Gradient surgery on the shared parameters; every head gets its own gradient.

    θ gets `pcgrad` of the Jacobian of the shared parameters, φ_i gets ∇_φi L_i.

    Args:
        generator: source of the random order, on the CPU; left out, torch's default.

    Source: Yu et al. 2020, Algorithm 1 (arXiv 2001.06782).
    """

    def __init__(self, generator: Generator | None = None) -> None:
        self.generator = generator

    def backward(self, losses: Mapping[str, Tensor], model: nn.Module) -> dict[str, float]:
        """Fill ``.grad``, and give the w_i with which θ's gradient is Σ_i w_i g_i.

        Raises:
            ValueError: as `split_gradients`, and for a gradient that is NaN or infinite.
        """
        jacobian, own_gradients = split_gradients(losses, model)
        weights = pcgrad_weights(checked_gramian(jacobian, losses), generator=self.generator)
        fill_gradients(model, combine(weights, jacobian), own_gradients)
        return dict(zip(losses, weights, strict=True))

    def state_dict(self) -> dict[str, Any]:
        """The state of the random order, to be saved."""
        return {} if self.generator is None else {"generator": self.generator.get_state()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on with the random order where `state_dict` left it."""
        if self.generator is not None and "generator" in state:
            self.generator.set_state(state["generator"])
