"""The multiple-gradient descent algorithm (MGDA): the shortest convex combination."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from mtl_tutorial.balancing.base import fill_gradients, split_gradients
from mtl_tutorial.balancing.gramian import checked_gramian, combine, gramian

TOLERANCE = 1e-5  # of the gap, as a share of the largest squared norm
ITERATIONS = 250


def mgda(jacobian: Tensor) -> Tensor:
    """Give the shortest vector in the convex hull of the task gradients.

    Σ_i a_i g_i with a = argmin ‖Σ_i a_i g_i‖² over a_i ≥ 0, Σ a_i = 1. Where it is not zero, going
    against it lowers every loss; where it is, the point is Pareto stationary. From three tasks on
    it is found up to the tolerance of `mgda_weights`, and what is said holds up to it.

    Args:
        jacobian: task gradients, one a row, shape ``(T, P)``.

    Returns:
        Shape ``(P,)``.

    Raises:
        ValueError: as `gramian`.

    Source: Désidéri 2012; Sener & Koltun 2018, Algorithm 2 (arXiv 1810.04650).
    """
    return combine(mgda_weights(gramian(jacobian)), jacobian)


def mgda_weights(
    gramian: Sequence[Sequence[float]],
    *,
    tolerance: float = TOLERANCE,
    iterations: int = ITERATIONS,
) -> list[float]:
    """Give the a of `mgda`.

    Two tasks: a_1 = clip((K_22 − K_12) / (K_11 + K_22 − 2 K_12), 0, 1). More: Frank-Wolfe with
    exact line search, from equal weights. Its gap aᵀKa − min_t (Ka)_t bounds the distance of
    ‖Σ a_i g_i‖² / 2 from its least value; it ends below ``tolerance`` times the largest K_tt,
    unless the iterations run out.

    Args:
        gramian: K = J Jᵀ, ``(T, T)``.
        tolerance: greatest gap, as a share of the largest K_tt.
        iterations: of Frank-Wolfe, at most.
    """
    if len(gramian) == 2:
        (k11, k12), (_, k22) = gramian
        apart = k11 + k22 - 2 * k12  # ‖g_1 − g_2‖²
        first = min(max((k22 - k12) / apart, 0.0), 1.0) if apart > 0 else 0.5
        return [first, 1 - first]
    tasks = range(len(gramian))
    a = [1 / len(gramian) for _ in tasks]
    small = tolerance * max(gramian[t][t] for t in tasks)
    for _ in range(iterations):
        ka = [sum(gramian[t][k] * a[k] for k in tasks) for t in tasks]
        t = min(tasks, key=ka.__getitem__)
        p, q, c = ka[t], sum(a[k] * ka[k] for k in tasks), gramian[t][t]
        if q - p <= small:
            break
        step = 1.0 if c <= p else (q - p) / (q + c - 2 * p)
        a = [(1 - step) * weight for weight in a]
        a[t] += step
    return a


class MGDA:
    """The shared parameters go the shortest convex way; every head gets its own gradient.

    θ gets `mgda` of the Jacobian of the shared parameters, φ_i gets ∇_φi L_i.

    Source: Sener & Koltun 2018, Algorithms 1 and 2 (arXiv 1810.04650), without the
    normalisation of gradients that their code offers.
    """

    def backward(self, losses: Mapping[str, Tensor], model: nn.Module) -> dict[str, float]:
        """Fill ``.grad``, and give the a_i with which θ's gradient is Σ_i a_i g_i.

        Raises:
            ValueError: as `split_gradients`, and for a gradient that is NaN or infinite.
        """
        jacobian, own_gradients = split_gradients(losses, model)
        weights = mgda_weights(checked_gramian(jacobian, losses))
        fill_gradients(model, combine(weights, jacobian), own_gradients)
        return dict(zip(losses, weights, strict=True))

    def state_dict(self) -> dict[str, Any]:
        """Nothing: every step is on its own."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take what `state_dict` gave."""
