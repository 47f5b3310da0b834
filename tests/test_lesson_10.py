"""Lesson 10's front, shortest vector and descent are the package's."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lesson_cells import run_tagged

from mtl_tutorial.balancing import mgda
from mtl_tutorial.data.landscape import two_wells
from mtl_tutorial.experiments import non_dominated

UNHURRIED = settings(deadline=None, max_examples=60)


@pytest.fixture(scope="module")
def lesson() -> dict:
    return run_tagged("10_pareto_and_zoo", "from-scratch")


@UNHURRIED
@given(st.integers(1, 12), st.integers(1, 4), st.integers(0, 10_000))
def test_the_lessons_front_is_the_packages(lesson, count, tasks, seed) -> None:
    generator = torch.Generator().manual_seed(seed)
    points = torch.randint(4, (count, tasks), generator=generator).float()
    assert torch.equal(lesson["front"](points), non_dominated(points))


@UNHURRIED
@given(st.integers(0, 10_000), st.floats(0.05, 20))
def test_the_lessons_shortest_vector_is_that_of_mgda(lesson, seed, length) -> None:
    pairs = torch.randn(4, 2, 7, generator=torch.Generator().manual_seed(seed)).double()
    pairs[:, 1] *= length
    weights = lesson["shortest"](None, pairs, None)
    for row, pair in zip(weights, pairs, strict=True):
        assert torch.allclose(row @ pair, mgda(pair), atol=1e-8)


def test_the_lessons_descent_goes_against_the_weighted_gradients(lesson) -> None:
    def bowls(x):
        return torch.stack([((x - 1) ** 2).sum(-1), ((x + 1) ** 2).sum(-1)], dim=-1)

    start, lam = torch.tensor([[3.0, 2.0]]), torch.tensor([[0.75, 0.25]])
    x, way = lesson["descend"](lesson["weighted_sum"], start, lam, bowls, steps=1, rate=0.1)
    expected = start - 0.1 * (0.75 * 2 * (start - 1) + 0.25 * 2 * (start + 1))
    assert torch.allclose(x, expected)
    assert way.shape == (2, 1, 2)
    x, _ = lesson["descend"](lesson["weighted_sum"], start, lam, bowls, steps=300, rate=0.1)
    assert torch.allclose(x, torch.full((1, 2), 0.5), atol=1e-3)  # 0.75 · 1 + 0.25 · (−1)
    x, way = lesson["descend"](lesson["min_max"], start, lam, bowls, steps=3000, rate=0.1)
    assert torch.allclose(*(lam * way[-1]).T, atol=1e-2)  # equal where min-max is least


def test_no_point_beside_the_way_between_the_wells_is_as_good() -> None:
    between = torch.linspace(-1, 1, 401, dtype=torch.float64)[:, None] * 0.5**0.5
    front = two_wells(between.expand(-1, 2))
    assert non_dominated(front).all()
    cloud = torch.randn(500, 2, generator=torch.Generator().manual_seed(0)).double()
    better = (two_wells(cloud)[:, None] <= front - 1e-4).all(-1)
    assert not better.any()
