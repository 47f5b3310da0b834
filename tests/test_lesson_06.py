"""Lesson 06's own steps are the package's."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lesson_cells import run_tagged

from mtl_tutorial.balancing import UncertaintyWeights, dwa_weights
from mtl_tutorial.data.questions import BOX, DIGIT

UNHURRIED = settings(deadline=None, max_examples=40)


@pytest.fixture(scope="module")
def lesson() -> dict:
    return run_tagged("06_loss_weighting", "from-scratch")


def test_the_lessons_uncertainty_step_is_the_packages(lesson) -> None:
    balancer = UncertaintyWeights((DIGIT, BOX), learning_rate=0.1)
    s, c = torch.zeros(2, requires_grad=True), torch.tensor([1.0, 0.5])
    adam, anchor = torch.optim.Adam([s], lr=0.1), torch.zeros((), requires_grad=True)
    for digit, box in [(2.0, 0.1), (1.0, 3.0), (0.4, 0.02)]:
        own = lesson["uncertainty_step"](s, torch.tensor([digit, box]), c, adam)
        named = {"digit": anchor * 0 + digit, "box": anchor * 0 + box}
        assert list(balancer.backward(named, None).values()) == pytest.approx(own.tolist())
        assert list(balancer.log_variances.values()) == pytest.approx(s.tolist())


@UNHURRIED
@given(st.lists(st.tuples(st.floats(0.01, 9), st.floats(0.01, 9)), min_size=2, max_size=5))
def test_the_lessons_speed_weights_are_the_packages(lesson, pairs) -> None:
    last, before = zip(*pairs, strict=True)
    own = lesson["speed_weights"](torch.tensor(last).double(), torch.tensor(before).double())
    assert own.tolist() == pytest.approx(dwa_weights(last, before).tolist(), rel=1e-5)
