"""Trade-offs: what no other point beats, how far a point is from that, what a weight finds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from mtl_tutorial.data.landscape import two_wells

RULES = ("weighted sum", "min-max")
POINTS = 1201  # of the front; an odd number, so that the middle is one
TIE = 1e-9  # of two values that count as equal


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


def gaps_of_runs(runs: pd.DataFrame, fronts: pd.DataFrame) -> pd.DataFrame:
    """Give the `gap_to_front` of each run to the front of its own seed, in what is to be large.

    Args:
        runs: two metrics of which more is better, indexed by ``method`` and ``seed``.
        fronts: the same two of the runs that make the front, indexed by ``weight`` and ``seed``.

    Returns:
        Column ``gap``, indexed as ``runs``.
    """
    gaps = []
    for (_, seed), row in runs.iterrows():
        front = torch.tensor(fronts.xs(seed, level="seed")[list(runs.columns)].to_numpy(copy=True))
        gaps.append(gap_to_front(-torch.tensor([row.tolist()]).to(front), -front).item())
    return pd.DataFrame({"gap": gaps}, index=runs.index)


@dataclass(frozen=True)
class Exploration:
    """A front of two losses, and what the weighted sum and min-max find on it.

    Args:
        distance: between the least values of the two losses.
        weight: λ of task 1; task 2 has 1 − λ.
        front: the losses from the least value of task 2 to that of task 1, ``(POINTS, 2)``.
        unreached: which points of the front no λ from 0 to 1 finds with the weighted sum.
        values: what each rule makes small, along the front, by rule.
        found: the numbers of the points where it is least; two where they tie.
    """

    distance: float
    weight: float
    front: np.ndarray
    unreached: np.ndarray
    values: dict[str, np.ndarray]
    found: dict[str, list[int]]

    @property
    def share(self) -> float:
        """The part of the front's length that no weight of the sum reaches, 0 to 1."""
        lengths = np.linalg.norm(np.diff(self.front, axis=0), axis=1)
        return float(lengths[self.unreached[1:] & self.unreached[:-1]].sum() / lengths.sum())


def explore_front(distance: float, weight: float) -> Exploration:
    """Work out the front of `two_wells`, and the points on it that a weight finds.

    Weighted sum: the least λ L₁ + (1 − λ) L₂. Min-max: the least max(λ L₁, (1 − λ) L₂). The sum
    with λ = 1/2 is least at ±s*; the points between are below no weight's level line.
    """
    places = torch.linspace(-distance / 2, distance / 2, POINTS, dtype=torch.float64)
    front = two_wells(places[:, None], distance).numpy()
    weighted = front * [weight, 1 - weight]
    values = {RULES[0]: weighted.sum(1), RULES[1]: weighted.max(1)}
    found = {rule: np.flatnonzero(v <= v.min() + TIE).tolist() for rule, v in values.items()}
    found = {rule: sorted({points[0], points[-1]}) for rule, points in found.items()}
    lowest = abs(places[front.sum(1).argmin()])  # s*
    return Exploration(distance, weight, front, (places.abs() < lowest).numpy(), values, found)


def _check(points: Tensor, name: str) -> None:
    if points.ndim != 2 or 0 in points.shape:
        raise ValueError(
            f"{name} must have the shape (N, M), one point a row and at least one, "
            f"got {tuple(points.shape)}"
        )
    if points.isnan().any():
        row = points.isnan().any(1).nonzero()[0].item()
        raise ValueError(f"{name} must be numbers, but row {row} has a NaN; leave it out")
