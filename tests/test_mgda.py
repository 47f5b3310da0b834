"""The shortest convex combination, against values, its optimality conditions, and TorchJD."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_pcgrad import jacobians
from torchjd import aggregation

from mtl_tutorial.balancing import mgda
from mtl_tutorial.balancing.mgda import mgda_weights

UNHURRIED = settings(deadline=None, max_examples=100)
VALUES = [
    ([[1, 0], [-1, 1]], [0.2, 0.4]),
    ([[4, 1], [-1, 1]], [0, 1]),
    ([[-4, 1, 1], [6, 1, 1]], [0, 1, 1]),
]


@pytest.mark.parametrize(("jacobian", "direction"), VALUES)
def test_values_worked_out_by_hand(jacobian, direction):
    assert mgda(torch.tensor(jacobian).double()).tolist() == pytest.approx(direction, abs=1e-9)


@UNHURRIED
@given(st.integers(2, 8).flatmap(jacobians))
def test_the_weights_are_convex(jacobian):
    weights = mgda_weights(jacobian @ jacobian.T)
    assert weights.min() >= 0
    assert weights.sum().item() == pytest.approx(1)


@UNHURRIED
@given(st.integers(2, 6).flatmap(jacobians))
def test_no_task_lies_below_the_supporting_plane(jacobian):
    """The condition for the shortest vector d: g_t·d ≥ d·d for every t."""
    gramian = jacobian @ jacobian.T
    direction = mgda_weights(gramian) @ jacobian
    slack = (jacobian @ direction).min() - direction @ direction
    assert slack >= -1e-9 * gramian.diagonal().max()


@UNHURRIED
@given(jacobians(2))
def test_two_tasks_are_never_hurt(jacobian):
    assert (jacobian @ mgda(jacobian)).min() >= -1e-9 * (1 + jacobian.norm() ** 2)


@UNHURRIED
@given(st.integers(2, 5).flatmap(jacobians), st.integers(0, 4))
def test_a_zero_gradient_stops_everything(jacobian, row):
    jacobian[row % len(jacobian)] = 0
    gramian = jacobian @ jacobian.T
    weights = mgda_weights(gramian)
    assert weights @ gramian @ weights <= 1e-12 * gramian.max()


@UNHURRIED
@given(st.integers(2, 6).flatmap(jacobians), st.integers(-6, 6))
def test_the_direction_scales_with_the_gradients(jacobian, power):
    assert torch.allclose(2.0**power * mgda(jacobian), mgda(2.0**power * jacobian))


def test_equal_gradients_are_kept():
    jacobian = torch.tensor([[1.0, 2.0], [1.0, 2.0]])
    assert mgda(jacobian).tolist() == [1, 2]


@pytest.mark.parametrize("tasks", range(2, 9))
def test_torchjd_gives_the_same(tasks):
    peer = aggregation.MGDA(epsilon=1e-9, max_iters=20_000)
    for seed in range(5):
        generator = torch.Generator().manual_seed(seed)
        jacobian = torch.randn(tasks, 20, generator=generator).double()
        ours = mgda(jacobian)
        assert torch.allclose(ours, peer(jacobian), atol=1e-2 * jacobian.norm().item() / tasks)


def test_gradients_that_differ_by_little_are_told_apart_in_half_precision():
    shorter, longer = [1.0, 0.0], [1.0, 2.0**-4]  # ‖longer‖² = 1 + 2⁻⁸ is 1 in bfloat16
    assert mgda(torch.tensor([longer, shorter], dtype=torch.bfloat16)).tolist() == shorter


def test_squares_that_overflow_in_half_precision_do_no_harm():
    jacobian = torch.tensor([[300.0, 0.0], [-300.0, 2.0]], dtype=torch.half)
    assert mgda(jacobian).tolist() == pytest.approx(mgda(jacobian.double()).tolist(), abs=0.2)
