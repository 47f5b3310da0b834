"""Lesson 09's gradients are the package's."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lesson_cells import run_tagged
from test_meta import random_tasks

from mtl_tutorial.experiments.meta import first_order_maml_gradient, maml_gradient

UNHURRIED = settings(deadline=None, max_examples=20)
KINDS = ((False, maml_gradient), (True, first_order_maml_gradient))


@pytest.fixture(scope="module")
def lesson() -> dict:
    return run_tagged("09_transfer_and_meta", "from-scratch")


@UNHURRIED
@given(st.integers(0, 10_000), st.integers(0, 3))
def test_the_lessons_gradients_are_the_packages(lesson, seed, steps) -> None:
    theta, tasks, loss = random_tasks(seed)
    for first_order, packaged in KINDS:
        own = lesson["meta_gradient"](loss, theta, tasks, 0.3, steps, first_order)
        theirs = packaged(loss, theta, tasks, rate=0.3, steps=steps)
        assert own.keys() == theirs.keys()
        assert all(torch.allclose(own[name], theirs[name]) for name in own)
