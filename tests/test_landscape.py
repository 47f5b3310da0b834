"""Landscapes of two tasks have their published values, gradients and best trade-offs."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mtl_tutorial.data.landscape import (
    PARETO_X,
    PARETO_Y,
    STARTS,
    landscape,
    landscape_gradients,
    two_wells,
)

UNHURRIED = settings(deadline=None, max_examples=60)
VALUES = [
    ((-8.5, 7.5), (6.5524, 7.9008)),
    ((9, 9), (7.9439, 6.6915)),
    ((-8.5, -5), (4.0599, -19.4215)),
    ((0, -8.3552), (-15.0916, -15.0916)),
]


@pytest.mark.parametrize(("point", "losses"), VALUES)
def test_the_landscape_has_the_published_values(point, losses) -> None:
    assert landscape(torch.tensor(point).double()).tolist() == pytest.approx(losses, abs=1e-4)


def test_the_gradients_at_the_last_two_starts_conflict() -> None:
    assert STARTS[3:] == ((-7.5, -0.5), (9.0, -1.0))
    _, jacobian = landscape_gradients(torch.tensor(STARTS[3:]).double())
    cosines = torch.cosine_similarity(jacobian[:, 0], jacobian[:, 1], dim=1)
    assert cosines.tolist() == pytest.approx([-0.705, -0.831], abs=1e-3)


@UNHURRIED
@given(st.floats(-10, 10), st.floats(-10, 10))
def test_gradients_are_the_slopes_of_the_losses(x1, x2) -> None:
    x, step = torch.tensor([x1, x2], dtype=torch.float64), 1e-6
    losses, jacobian = landscape_gradients(x)
    assert torch.equal(losses, landscape(x))
    slopes = [
        (landscape(x + h) - landscape(x - h)) / (2 * step) for h in step * torch.eye(2).double()
    ]
    kink = abs(x2) < 1e-3 or jacobian.abs().max() > 1e3  # or beside a pole of the logarithm
    assert kink or torch.allclose(jacobian, torch.stack(slopes, 1), rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize(
    ("x1", "x2"), [(0, PARETO_Y), (3.5, -8.376), (-3.5, -8.376), (6.999, -8.434), (-6.999, -8.434)]
)
def test_the_best_tradeoffs_lie_on_a_line_that_bends_down_at_its_ends(x1, x2) -> None:
    heights = torch.arange(-8.6, -8.2, 1e-4, dtype=torch.float64)
    points = torch.stack([torch.full_like(heights, x1), heights], 1)
    _, (first, second) = landscape_gradients(points)[0], landscape_gradients(points)[1].unbind(1)
    share = (second * (second - first)).sum(1) / (second - first).square().sum(1)
    shortest = share.clamp(0, 1)[:, None] * first + (1 - share.clamp(0, 1))[:, None] * second
    assert heights[shortest.norm(dim=1).argmin()].item() == pytest.approx(x2, abs=1.5e-3)
    assert PARETO_X[0] <= x1 <= PARETO_X[1]


@UNHURRIED
@given(st.integers(1, 6), st.floats(0.6, 2.4))
def test_each_well_is_zero_at_its_own_place(dimensions, distance) -> None:
    place = torch.full((dimensions,), distance / 2 / dimensions**0.5, dtype=torch.float64)
    far = 1 - math.exp(-(distance**2))
    assert two_wells(place, distance).tolist() == pytest.approx([0, far])
    assert two_wells(-place, distance).tolist() == pytest.approx([far, 0])


@pytest.mark.parametrize(
    "points", [torch.zeros(3), torch.zeros(2, 3), torch.zeros(()), torch.tensor([1, 2])]
)
def test_points_that_are_none_are_refused(points) -> None:
    for function in (landscape, landscape_gradients):
        with pytest.raises(ValueError, match=r"points must be .*\(\.\.\., 2\), got torch"):
            function(points)


@pytest.mark.parametrize("points", [torch.zeros(()), torch.zeros(4, 0), torch.tensor([1, 2])])
def test_points_without_a_dimension_have_no_wells(points) -> None:
    with pytest.raises(ValueError, match=r"points must be .*\(\.\.\., d\), got torch"):
        two_wells(points)


@pytest.mark.parametrize("distance", [-1, math.nan, math.inf])
def test_a_distance_that_is_none_is_refused(distance) -> None:
    with pytest.raises(ValueError, match=f"distance must be finite and ≥ 0, got {distance}"):
        two_wells(torch.zeros(2), distance)
