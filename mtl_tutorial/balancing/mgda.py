"""The multiple-gradient descent algorithm (MGDA): the shortest convex combination."""

from __future__ import annotations

import functools

import torch
from torch import Tensor

from mtl_tutorial.balancing.gramian import GramianBalancer, checked_jacobian, combine, gramian

ALL_SETS = 8  # tasks up to which every set of them is tried; 255 sets
RIDGE = 4.0  # times the rounding error of a cosine: keeps parallel gradients solvable


def mgda(jacobian: Tensor) -> Tensor:
    """Give the shortest vector in the convex hull of the task gradients.

    Σ_i a_i g_i with a = argmin ‖Σ_i a_i g_i‖² over a_i ≥ 0, Σ a_i = 1. Where it is not zero, going
    against it lowers every loss; where it is, the point is Pareto stationary.

    Args:
        jacobian: task gradients, one a row, shape ``(T, P)``.

    Returns:
        Shape ``(P,)``.

    Raises:
        ValueError: where the Jacobian is no such matrix, or holds NaN or infinite numbers.

    Source: Désidéri 2012; Sener & Koltun 2018, Algorithm 2 (arXiv 1810.04650).
    """
    return combine(mgda_weights(gramian(checked_jacobian(jacobian))), jacobian)


def mgda_weights(gramian: Tensor) -> Tensor:
    """Give the a of `mgda`, exact up to rounding at any lengths of the gradients.

    Two tasks: a_1 = clip((K_22 − K_12) / (K_11 + K_22 − 2 K_12), 0, 1). More: with unit vectors
    u_i = g_i / n_i, cosines C_ij = u_i·u_j and q_i = 1 / n_i, the a that solves the problem is in
    proportion to x_i / n_i, where x solves min ½ xᵀC x − qᵀx over x ≥ 0: x is C_SS⁻¹ q_S on the set
    S of tasks that take part, and 0 elsewhere. Up to 8 tasks all S are solved at once; beyond, S is
    found by adding and dropping tasks (Lawson & Hanson 1974). A gradient that is 0 takes all.

    Args:
        gramian: K = J Jᵀ, ``(T, T)``.
    """
    if len(gramian) == 2:
        k11, k12, _, k22 = gramian.flatten().unbind()
        a = torch.stack([k22 - k12, k11 - k12]).clamp(min=0)  # before it is divided by its sum
        return torch.where(a.sum() == 0, 0.5, a / a.sum())
    norms = gramian.diagonal().sqrt()
    zero = norms == 0
    shortest = torch.where(zero, torch.inf, norms).amin()
    q = torch.where(zero, 0.0, shortest / norms)  # 1 / n, the largest is 1
    safe = torch.where(zero, 1.0, norms)
    cosines = gramian / safe[:, None] / safe
    rounding = RIDGE * torch.finfo(gramian.dtype).eps
    cosines = cosines + torch.diag(torch.where(zero, 1.0, rounding))
    solve = _best_set if len(gramian) <= ALL_SETS else _active_set
    a = solve(cosines, q) * q
    a = torch.where(zero.any(), zero.to(a.dtype), a)
    return a / a.sum()


def _best_set(cosines: Tensor, q: Tensor) -> Tensor:
    """Give x of the set S for which x ≥ 0 and C x ≥ q, the conditions of the least, hold best."""
    sets = _sets(len(q), str(q.device))
    inside = sets[:, :, None] & sets[:, None, :]
    systems = torch.where(inside, cosines, torch.eye(len(q), dtype=q.dtype, device=q.device))
    x, _ = torch.linalg.solve_ex(systems, torch.where(sets, q, 0.0))
    broken = torch.maximum(-x, q - x @ cosines).amax(1) / x.abs().sum(1)
    return x.index_select(0, broken.argmin()[None])[0].clamp(min=0)


@functools.cache
def _sets(tasks: int, device: str) -> Tensor:
    """Every set of tasks but the empty one, one a row, ``(2^T − 1, T)``, bool."""
    numbers = torch.arange(1, 2**tasks)[:, None]
    return (numbers >> torch.arange(tasks) & 1).bool().to(device)


def _active_set(cosines: Tensor, q: Tensor) -> Tensor:
    """The same x, by adding the task that gains most and dropping those that turn negative."""
    eye = torch.eye(len(q), dtype=q.dtype, device=q.device)
    x, inside = torch.zeros_like(q), torch.zeros_like(q, dtype=torch.bool)
    arrived = torch.ones((), dtype=torch.bool, device=q.device)
    for _ in range(4 * len(q)):
        rounding = torch.finfo(q.dtype).eps * (1 + x.sum())
        gain = torch.where(inside, -torch.inf, q - cosines @ x)
        inside = inside | ((gain == gain.amax()) & (gain > rounding) & arrived)
        system = torch.where(inside[:, None] & inside, cosines, eye)
        goal, _ = torch.linalg.solve_ex(system, torch.where(inside, q, 0.0))
        falling = inside & (goal <= 0)
        shares = torch.where(falling, x / (x - goal), 1.0)  # of the way, until one is 0
        arrived = ~falling.any()
        inside = inside & ~(falling & (shares == shares.amin()))
        x = torch.where(inside, x + shares.amin() * (goal - x), 0.0)
    return x


class MGDA(GramianBalancer):
    """The shared parameters go the shortest convex way; every head gets its own gradient.

    θ gets `mgda` of the Jacobian of the shared parameters, φ_i gets ∇_φi L_i.

    Source: Sener & Koltun 2018, Algorithms 1 and 2 (arXiv 1810.04650), without the
    normalisation of gradients that their code offers.
    """

    replayable = True

    def weights_of(self, gramian: Tensor) -> Tensor:
        """Give a of `mgda_weights`."""
        return mgda_weights(gramian)
