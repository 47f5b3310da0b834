"""The shortest convex combination, against values, its conditions, and exact solutions."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import nnls
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


@pytest.mark.parametrize("tasks", [2, 3, 5, 8])
def test_torchjd_gives_the_same(tasks):
    peer = aggregation.MGDA(epsilon=1e-9, max_iters=20_000)
    for seed in range(3):
        generator = torch.Generator().manual_seed(seed)
        jacobian = torch.randn(tasks, 20, generator=generator).double()
        assert torch.allclose(mgda(jacobian), peer(jacobian), atol=1e-3 * jacobian.norm().item())


# Any number of tasks, any lengths: one matrix a seed, (seeds, T, P)


def spread(jacobians, powers):
    """Gradients whose lengths are spread over 10 to ± this power."""
    generator = torch.Generator().manual_seed(len(jacobians))
    power = 2 * torch.rand(*jacobians.shape[:2], 1, generator=generator) - 1
    return jacobians * 10 ** (powers * power)


def drawn(tasks, parameters=20, seeds=50):
    generator = torch.Generator().manual_seed(tasks)
    return torch.randn(seeds, tasks, parameters, generator=generator)


def weights_of(jacobians):
    return torch.vmap(mgda_weights)(jacobians @ jacobians.mT).double()


def solved_exactly(jacobian):
    """Non-negative least squares in double precision: min ½‖Uᵀx‖² − qᵀx, U of unit rows."""
    lengths = np.linalg.norm(jacobian, axis=1)
    units, q = jacobian / lengths[:, None], lengths.min() / lengths
    x, _ = nnls(units.T, np.linalg.lstsq(units, q, rcond=None)[0], maxiter=1000)
    return x * q / (x @ q) @ jacobian


@pytest.mark.parametrize("tasks", range(2, 13))
@pytest.mark.parametrize("powers", [0, 2, 4])
def test_the_direction_is_exact_at_any_lengths_in_single_precision(tasks, powers):
    jacobians = spread(drawn(tasks), powers)
    directions = (weights_of(jacobians)[:, None] @ jacobians.double())[:, 0]
    for jacobian, direction in zip(jacobians.double().numpy(), directions.numpy(), strict=True):
        expected = solved_exactly(jacobian)
        assert np.linalg.norm(direction - expected) < 1e-5 * np.linalg.norm(expected)


KINDS = {
    "random": lambda jacobians: jacobians,
    "in conflict": lambda jacobians: jacobians - 0.9 * jacobians.mean(1, keepdim=True),
    "some twice": lambda jacobians: jacobians[:, torch.arange(jacobians.shape[1]) // 2],
    "parallel": lambda jacobians: jacobians[:, :1].expand_as(jacobians),
    "nearly parallel": lambda jacobians: jacobians[:, :1] + 1e-3 * jacobians,
    "fewer parameters than tasks": lambda jacobians: jacobians[..., :2],
    "one parameter": lambda jacobians: jacobians[..., :1],
}


@pytest.mark.parametrize("tasks", [2, 3, 5, 8, 12])
@pytest.mark.parametrize("powers", [0, 2, 4])
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_no_task_is_hurt(tasks, powers, kind):
    """Nobody's loss rises faster, a unit of its gradient, than the shortest gradient's rounding."""
    jacobians = spread(kind(drawn(tasks, seeds=1000 if kind is KINDS["random"] else 100)), powers)
    weights = weights_of(jacobians)
    assert (weights >= 0).all()
    assert torch.allclose(weights.sum(1), torch.ones(len(weights)).double())
    jacobians = jacobians.double()
    descent = (jacobians @ (weights[:, None] @ jacobians).mT)[..., 0]
    lengths = jacobians.norm(dim=2)
    assert (descent / lengths >= -2e-5 * lengths.amin(1, keepdim=True)).all()


@pytest.mark.parametrize("tasks", [2, 3, 8, 12])
@pytest.mark.parametrize("zeros", [1, 2])
def test_gradients_of_zero_take_all_weight_alike(tasks, zeros):
    jacobians = drawn(tasks, seeds=5)
    jacobians[:, :zeros] = 0
    expected = torch.zeros(tasks).double()
    expected[:zeros] = 1 / zeros
    for weights in weights_of(jacobians):
        assert torch.equal(weights, expected)


@pytest.mark.parametrize("unit", [1e-23, 1e-20, 1.0, 1e18, 1e20])
@pytest.mark.parametrize(("jacobian", "direction"), VALUES)
def test_the_unit_of_the_gradients_does_not_count_in_single_precision(unit, jacobian, direction):
    found = mgda(unit * torch.tensor(jacobian, dtype=torch.float))
    assert (found / unit).tolist() == pytest.approx(direction, abs=1e-6)


def test_a_long_gradient_keeps_its_small_weight():
    """1 − a₂ is 1 in single precision, and a₁ would be 0."""
    jacobian = torch.tensor([[1e4, 0.0], [-1e-4, 1e-4]])
    direction = mgda(jacobian)
    assert direction.tolist() == pytest.approx([0, 1e-4], abs=1e-10)


def test_gradients_that_differ_by_little_are_told_apart_in_half_precision():
    shorter, longer = [1.0, 0.0], [1.0, 2.0**-4]  # ‖longer‖² = 1 + 2⁻⁸ is 1 in bfloat16
    assert mgda(torch.tensor([longer, shorter], dtype=torch.bfloat16)).tolist() == shorter


def test_squares_that_overflow_in_half_precision_do_no_harm():
    jacobian = torch.tensor([[300.0, 0.0], [-300.0, 2.0]], dtype=torch.half)
    assert mgda(jacobian).tolist() == pytest.approx(mgda(jacobian.double()).tolist(), abs=0.2)
