"""Lesson 08's surgery is the package's, its examples are as it says, and so is the landscape."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lesson_cells import run_tagged

from mtl_tutorial.balancing import mgda, pcgrad
from mtl_tutorial.data.landscape import PARETO_X, PARETO_Y, STARTS, landscape_gradients
from mtl_tutorial.experiments.race import LONG_RACES, METHODS, arrival_steps, long_races

UNHURRIED = settings(deadline=None, max_examples=60)


@pytest.fixture(scope="module")
def lesson() -> dict:
    return run_tagged("08_pcgrad", "from-scratch")


@UNHURRIED
@given(st.integers(0, 10_000))
def test_the_lessons_surgery_is_the_packages(lesson, seed) -> None:
    pair = torch.randn(2, 9, generator=torch.Generator().manual_seed(seed)).double()
    assert torch.allclose(lesson["surgery_of_two"](*pair), pcgrad(pair))


def cut(v: torch.Tensor, others: list[torch.Tensor]) -> torch.Tensor:
    for other in others:
        if v @ other < 0:
            v = v - (v @ other) / (other @ other) * other
    return v


def test_surgery_on_three_tasks_hurts_one_in_all_eight_ways_though_a_direction_helps_all() -> None:
    three = torch.tensor([[-2.0, -1, -2], [1, 0, 2], [2, 2, -2]]).double()
    assert (three @ torch.tensor([6.0, -8, -2.5]).double()).tolist() == [1, 1, 1]
    assert (three @ mgda(three) > 0).all()
    orders = [
        [[three[j] for j in order] for order in itertools.permutations({0, 1, 2} - {i})]
        for i in range(3)
    ]
    ways = list(itertools.product(*orders))
    assert len(ways) == 8
    for way in ways:
        direction = sum(cut(own, others) for own, others in zip(three, way, strict=True))
        assert (three @ direction).min() < -0.2


@UNHURRIED
@given(st.floats(*PARETO_X))
def test_at_the_best_tradeoffs_mgda_stops(x1) -> None:
    _, jacobian = landscape_gradients(torch.tensor([x1, PARETO_Y]).double())
    assert mgda(jacobian).norm() < 2e-2


def test_the_long_races_are_whole_and_are_those_that_the_lesson_runs() -> None:
    races, made = long_races(LONG_RACES)
    kinds = ("learning_rate", "method", "start", "copy")
    rates, methods, starts, copies = (sorted(set(races[kind])) for kind in kinds)
    assert len(races) == len(rates) * len(methods) * len(starts) * len(copies)
    assert methods == sorted(METHODS) and starts == [1, 2, 3, 4, 5]
    assert made["optimizer"] == "Adam" and made["steps"] == 100_000 and made["commit"]
    fast = races[(races["learning_rate"] == 0.3) & (races["copy"] == 0)]
    again = arrival_steps([STARTS[i] for i in (1, 3, 4)], learning_rate=0.3, steps=300)
    for method, name in enumerate(METHODS):
        kept = fast[fast["method"] == name].set_index("start")["arrival"]
        assert again[method].tolist() == pytest.approx(kept[[2, 4, 5]].tolist(), abs=3)
