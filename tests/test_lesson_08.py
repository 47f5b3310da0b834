"""Lesson 08's surgery is the package's, and the landscape is as it says."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lesson_cells import run_tagged

from mtl_tutorial.balancing import mgda, pcgrad
from mtl_tutorial.data.landscape import PARETO_X, PARETO_Y, landscape_gradients

UNHURRIED = settings(deadline=None, max_examples=60)


@pytest.fixture(scope="module")
def lesson() -> dict:
    return run_tagged("08_pcgrad", "from-scratch")


@UNHURRIED
@given(st.integers(2, 7), st.integers(0, 10_000))
def test_the_lessons_surgery_is_the_packages(lesson, tasks, seed) -> None:
    jacobian = torch.randn(tasks, 9, generator=torch.Generator().manual_seed(seed)).double()
    own = lesson["surgery"](jacobian, torch.Generator().manual_seed(seed))
    assert torch.allclose(own, pcgrad(jacobian, generator=torch.Generator().manual_seed(seed)))


@UNHURRIED
@given(st.floats(*PARETO_X))
def test_at_the_best_tradeoffs_mgda_stops(x1) -> None:
    _, jacobian = landscape_gradients(torch.tensor([x1, PARETO_Y]).double())
    assert mgda(jacobian).norm() < 2e-2
