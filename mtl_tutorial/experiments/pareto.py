"""Trade-offs: which points no other point beats, and how far a point is from such a front."""

from __future__ import annotations

import torch
from torch import Tensor


def non_dominated(points: Tensor) -> Tensor:
    """Tell which points no other point dominates; every coordinate is to be **minimised**.

    q dominates p if q_i ≤ p_i for every i and q_j < p_j for some j. Equal points do not dominate
    each other. For scores that are to be maximised, hand in ``-scores``.

    Args:
        points: one a row, a column an objective, shape ``(N, M)``.

    Returns:
        Bool, shape ``(N,)``: the Pareto front of these points.

    Raises:
        ValueError: for another shape, or a value that is NaN.
    """
    _check(points, "points")
    at_most = (points[:, None] <= points[None, :]).all(-1)  # [q, p]: q is nowhere worse than p
    below = (points[:, None] < points[None, :]).any(-1)
    return ~(at_most & below).any(0)


def gap_to_front(points: Tensor, front: Tensor) -> Tensor:
    """Tell how much better than each point a front is, in both objectives at once.

    gap(p) = max over q on the front of min(p_1 − q_1, p_2 − q_2), with both objectives to be
    **minimised** and the front completed by straight lines between neighbours. Above 0, some
    place on the front is better than p by the gap in both; at 0, p lies on it; below 0, no place
    on it is as good in both.

    Args:
        points: shape ``(N, 2)``.
        front: shape ``(K, 2)``; those of its points that are dominated are left out.

    Returns:
        Shape ``(N,)``, in the unit of the objectives.

    Raises:
        ValueError: for another shape, or a value that is NaN.
    """
    for name, values in (("points", points), ("front", front)):
        _check(values, name)
        if values.shape[1] != 2:
            raise ValueError(f"{name} must have 2 columns, got {values.shape[1]}")
    corners = front[non_dominated(front)].unique(dim=0)  # sorted by the first objective
    starts, ends = corners[:-1], corners[1:]
    slack = points[:, None] - corners  # (N, K, 2); between corners it changes linearly
    best = slack.amin(-1).amax(1)
    if len(corners) == 1:
        return best
    lead = slack[..., 0] - slack[..., 1]  # where it changes sign, both slacks are equal
    along = (lead[:, :-1] / (lead[:, :-1] - lead[:, 1:])).clamp(0, 1)
    between = starts + along[..., None] * (ends - starts)
    return torch.maximum(best, (points[:, None] - between).amin(-1).amax(1))


def _check(points: Tensor, name: str) -> None:
    if points.ndim != 2 or 0 in points.shape:
        raise ValueError(
            f"{name} must have the shape (N, M), one point a row and at least one, "
            f"got {tuple(points.shape)}"
        )
    if points.isnan().any():
        row = points.isnan().any(1).nonzero()[0].item()
        raise ValueError(f"{name} must be numbers, but row {row} has a NaN; leave it out")
