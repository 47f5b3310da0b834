"""The Pareto front of points, and the gap between a point and a front."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mtl_tutorial.experiments import gap_to_front, non_dominated
from mtl_tutorial.experiments.pareto import RULES, explore_front, gaps_of_runs

UNHURRIED = settings(deadline=None, max_examples=100)
distance, weight = st.floats(0.6, 2.4), st.floats(0.05, 0.95)
SUM, MIN_MAX = RULES
coordinate = st.integers(-4, 4).map(float)  # few values, so that ties are common


def clouds(columns: st.SearchStrategy[int] | int):
    shapes = st.tuples(
        st.integers(1, 12), st.just(columns) if isinstance(columns, int) else columns
    )
    return shapes.flatmap(lambda shape: arrays(float, shape, elements=coordinate)).map(
        torch.from_numpy
    )


def dominates(q, p) -> bool:
    return bool((q <= p).all() and (q < p).any())


@UNHURRIED
@given(clouds(st.integers(1, 4)))
def test_no_kept_point_is_dominated_and_every_dropped_one_is_by_a_kept_one(points) -> None:
    keep = non_dominated(points)
    kept = points[keep]
    assert keep.any()
    assert not any(dominates(q, p) for p in kept for q in points)
    assert all(any(dominates(q, p) for q in kept) for p in points[~keep])


@UNHURRIED
@given(clouds(st.integers(1, 4)))
def test_the_front_of_a_front_is_all_of_it(points) -> None:
    assert non_dominated(points[non_dominated(points)]).all()


@UNHURRIED
@given(clouds(3), st.randoms(use_true_random=False))
def test_the_order_of_the_points_does_not_matter(points, random) -> None:
    order = random.sample(range(len(points)), len(points))
    assert torch.equal(non_dominated(points[order]), non_dominated(points)[order])


def test_small_is_good_and_the_minus_sign_makes_large_good() -> None:
    points = torch.tensor([[1.0, 3.0], [3.0, 1.0], [2.0, 2.0], [3.0, 3.0], [1.0, 1.0]])
    assert non_dominated(points).tolist() == [False, False, False, False, True]
    assert non_dominated(-points).tolist() == [False, False, False, True, False]


def test_equal_points_are_both_kept_and_one_tie_is_enough_to_lose() -> None:
    points = torch.tensor([[1.0, 2.0], [1.0, 2.0], [1.0, 3.0]])
    assert non_dominated(points).tolist() == [True, True, False]


def test_infinite_losses_are_compared_like_others() -> None:
    points = torch.tensor([[1.0, float("inf")], [2.0, 5.0], [2.0, float("inf")]])
    assert non_dominated(points).tolist() == [True, True, False]


FRONT = torch.tensor([[0.0, 2.0], [1.0, 1.0], [2.0, 0.0], [2.0, 2.0]])


@pytest.mark.parametrize(
    ("point", "gap"),
    [
        ((1.0, 1.0), 0.0),
        ((0.5, 1.5), 0.0),  # on the line between two corners
        ((1.5, 1.5), 0.5),
        ((2.0, 1.0), 0.5),  # the front has (1.5, 0.5)
        ((0.0, 0.0), -1.0),
        ((-1.0, 2.5), -1.0),  # beside the front: nothing is as good for the first
        ((3.0, 0.5), 0.5),
    ],
)
def test_the_gap_is_how_much_better_the_front_is_in_both(point, gap) -> None:
    assert gap_to_front(torch.tensor([point]), FRONT).item() == pytest.approx(gap)


def test_a_front_of_one_point_has_its_gaps_too() -> None:
    points = torch.tensor([[2.0, 3.0], [0.0, 5.0]])
    assert gap_to_front(points, torch.tensor([[1.0, 1.0]])).tolist() == [1.0, -1.0]


@UNHURRIED
@given(clouds(2), clouds(2))
def test_a_gap_is_that_of_the_closest_place_on_a_fine_grid(points, front) -> None:
    corners = front[non_dominated(front)].unique(dim=0)
    along = torch.linspace(0, 1, 101, dtype=torch.float64)[:, None, None]
    lines = (corners[:-1] + along * (corners[1:] - corners[:-1])).reshape(-1, 2)
    grid = torch.cat([corners, lines])
    expected = (points[:, None] - grid).amin(-1).amax(1)
    found = gap_to_front(points, front)
    assert (found >= expected - 1e-9).all()
    assert (found <= expected + 8 / 100).all()  # a step of the grid


@UNHURRIED
@given(clouds(2), clouds(2))
def test_a_point_that_is_worse_by_1_in_both_has_a_gap_that_is_greater_by_1(points, front) -> None:
    gaps = gap_to_front(points, front)
    for point, gap in zip(points, gaps.tolist(), strict=True):
        assert gap_to_front(point[None] + 1, front).item() == pytest.approx(gap + 1)


@pytest.mark.parametrize("points", [torch.zeros(3), torch.zeros(0, 2), torch.zeros(2, 0)])
def test_points_of_another_shape_are_refused(points) -> None:
    with pytest.raises(ValueError, match="points must have the shape"):
        non_dominated(points)


def test_a_point_that_is_nan_is_named() -> None:
    with pytest.raises(ValueError, match="row 1 has a NaN"):
        non_dominated(torch.tensor([[0.0, 1.0], [float("nan"), 1.0]]))


def test_a_gap_is_between_two_objectives() -> None:
    with pytest.raises(ValueError, match="front must have 2 columns, got 3"):
        gap_to_front(torch.zeros(1, 2), torch.zeros(4, 3))


@UNHURRIED
@given(distance, weight)
def test_what_the_explorer_finds_is_least_along_the_front(distance, weight) -> None:
    exploration = explore_front(distance, weight)
    scale = np.array([weight, 1 - weight])
    for rule, value in ((SUM, np.sum), (MIN_MAX, np.max)):
        along = [value(scale * point) for point in exploration.front]
        for k in exploration.found[rule]:
            assert along[k] == pytest.approx(min(along), abs=1e-8)


@UNHURRIED
@given(distance, weight)
def test_no_weight_finds_a_point_that_is_marked_as_out_of_reach(distance, weight) -> None:
    exploration = explore_front(distance, weight)
    assert not exploration.unreached[exploration.found[SUM]].any()


@UNHURRIED
@given(distance)
def test_every_other_point_is_found_by_the_weight_of_its_slope(distance) -> None:
    exploration = explore_front(distance, 0.5)
    front = exploration.front
    for k in range(3, len(front) - 3, 23):
        if exploration.unreached[k - 3 : k + 4].any():  # at the very border the grid decides
            continue
        across, down = front[k + 1] - front[k - 1]
        share = down / (down - across)  # λ dL₁ + (1 − λ) dL₂ = 0
        sums = front @ [share, 1 - share]
        assert sums[k] == pytest.approx(sums.min(), abs=1e-5)


@pytest.mark.parametrize("distance", [0.6, 1.0, 1.4])
def test_up_to_the_root_of_two_the_whole_front_is_in_reach(distance) -> None:
    assert explore_front(distance, 0.3).share == 0


def test_from_the_root_of_two_on_more_and_more_is_out_of_reach() -> None:
    shares = [explore_front(distance, 0.3).share for distance in (1.45, 1.6, 1.8, 2.0, 2.4)]
    assert shares == sorted(shares)
    assert shares[0] > 0.3
    assert shares[-1] > 0.99


def test_equal_weights_tie_between_both_ends_of_a_concave_front() -> None:
    first, last = explore_front(2.0, 0.5).found[SUM]
    assert first + last == len(explore_front(2.0, 0.5).front) - 1


def test_runs_are_held_against_the_front_of_their_own_seed() -> None:
    index = pd.MultiIndex.from_product([[0.0, 1.0], [3, 4]], names=["weight", "seed"])
    fronts = pd.DataFrame({"left": [0.2, 0.4, 0.8, 0.9], "right": [0.8, 0.9, 0.2, 0.4]}, index)
    index = pd.MultiIndex.from_tuples([("a", 3), ("a", 4), ("b", 4)], names=["method", "seed"])
    runs = pd.DataFrame({"left": [0.5, 0.5, 0.9], "right": [0.5, 0.6, 0.9]}, index)
    gaps = gaps_of_runs(runs, fronts)
    assert gaps.index.equals(runs.index)
    assert gaps["gap"].tolist() == pytest.approx([0.0, 0.1, -0.25])
    turned = gaps_of_runs(runs[["right", "left"]], fronts)
    assert turned["gap"].tolist() == pytest.approx(gaps["gap"].tolist())
