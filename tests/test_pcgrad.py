"""Gradient surgery, against values worked out by hand, its properties, and TorchJD."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchjd import aggregation

from mtl_tutorial.balancing import PCGrad, pcgrad

UNHURRIED = settings(deadline=None, max_examples=100)
VALUES = [
    ([[1, 0], [-1, 1]], [0.5, 1.5]),
    ([[4, 1], [-1, 1]], [2.20588, 3.67647]),
    ([[-4, 1, 1], [6, 1, 1]], [0.5848, 3.8012, 3.8012]),
]
number = st.floats(-8, 8).map(lambda value: round(value, 3))


def jacobians(tasks, parameters=4):
    row = st.lists(number, min_size=parameters, max_size=parameters)
    rows = st.lists(row, min_size=tasks, max_size=tasks)
    return rows.map(lambda values: torch.tensor(values, dtype=torch.double))


def at(degrees):
    angle = torch.deg2rad(torch.tensor(degrees, dtype=torch.double))
    return torch.stack([angle.cos(), angle.sin()], dim=1)


def by_the_book(jacobian, orders, onto=lambda i, j: j != i):
    """Algorithm 1 on the vectors themselves, in given orders."""
    total = torch.zeros_like(jacobian[0])
    for i, order in enumerate(orders):
        v = jacobian[i].clone()
        for j in order:
            if onto(i, j) and v @ jacobian[j] < 0:
                v -= (v @ jacobian[j]) / (jacobian[j] @ jacobian[j]) * jacobian[j]
        total += v
    return total


@pytest.mark.parametrize(("jacobian", "direction"), VALUES)
def test_values_worked_out_by_hand(jacobian, direction):
    assert pcgrad(torch.tensor(jacobian).double()).tolist() == pytest.approx(direction, abs=1e-4)


@UNHURRIED
@given(jacobians(2))
def test_two_tasks_are_left_without_a_conflict(jacobian):
    direction = pcgrad(jacobian)
    assert (jacobian @ direction).min() >= -1e-9 * (1 + jacobian.norm() ** 2)


@UNHURRIED
@given(jacobians(2))
def test_two_tasks_in_conflict_get_the_published_weights(jacobian):
    k = jacobian @ jacobian.T
    direction = pcgrad(jacobian)
    if k[0, 1] < 0:
        weights = torch.stack([1 - k[0, 1] / k[0, 0], 1 - k[0, 1] / k[1, 1]])
        assert torch.allclose(direction, weights @ jacobian)
    else:
        assert torch.allclose(direction, jacobian.sum(0))


@UNHURRIED
@given(st.integers(2, 5).flatmap(jacobians))
def test_gradients_that_do_not_conflict_are_summed(jacobian):
    jacobian = jacobian.abs()
    assert torch.allclose(pcgrad(jacobian), jacobian.sum(0))


@UNHURRIED
@given(st.integers(2, 6).flatmap(jacobians), st.integers(-6, 6))
def test_the_direction_scales_with_the_gradients(jacobian, power):
    one = pcgrad(jacobian, generator=torch.Generator().manual_seed(1))
    other = pcgrad(2.0**power * jacobian, generator=torch.Generator().manual_seed(1))
    assert torch.allclose(2.0**power * one, other)


@UNHURRIED
@given(jacobians(2))
def test_the_order_of_two_tasks_does_not_count(jacobian):
    assert torch.allclose(pcgrad(jacobian), pcgrad(jacobian.flip(0)))


@UNHURRIED
@given(st.integers(2, 5).flatmap(jacobians), st.integers(0, 4))
def test_a_zero_gradient_changes_nothing_and_breaks_nothing(jacobian, row):
    jacobian[row % len(jacobian)] = 0
    direction = pcgrad(jacobian)
    assert direction.isfinite().all()
    if len(jacobian) == 2:
        assert torch.allclose(direction, jacobian.sum(0))


def test_the_direction_of_three_tasks_depends_on_the_order():
    jacobian = at([0, 100, 220])
    directions = {
        tuple(
            pcgrad(jacobian, generator=torch.Generator().manual_seed(s)).round(decimals=6).tolist()
        )
        for s in range(20)
    }
    assert len(directions) > 1


def test_the_order_is_the_generators():
    jacobian = torch.randn(6, 3, generator=torch.Generator().manual_seed(0)).double()
    one, same, other = (
        pcgrad(jacobian, generator=torch.Generator().manual_seed(seed)) for seed in (3, 3, 4)
    )
    assert torch.equal(one, same)
    assert not torch.allclose(one, other)


@UNHURRIED
@given(st.integers(2, 8).flatmap(lambda tasks: jacobians(tasks, 6)), st.integers(0, 1000))
def test_the_gramian_gives_what_the_vectors_give(jacobian, seed):
    generator = torch.Generator().manual_seed(seed)
    orders = [torch.randperm(len(jacobian), generator=generator).tolist() for _ in jacobian]
    ours = pcgrad(jacobian, generator=torch.Generator().manual_seed(seed))
    dots = jacobian @ jacobian.T
    if dots[dots != 0].numel() and dots[dots != 0].abs().min() > 1e-6:  # no sign hangs on rounding
        theirs = by_the_book(jacobian, orders)
        assert torch.allclose(ours, theirs, atol=1e-6 * (1 + jacobian.abs().max().item()))


@pytest.mark.parametrize("tasks", range(2, 9))
@pytest.mark.parametrize("conflicting", [False, True])
def test_torchjd_gives_the_same_with_the_same_orders(tasks, conflicting):
    for seed in range(10):
        generator = torch.Generator().manual_seed(seed)
        jacobian = torch.randn(tasks, 20, generator=generator).double()
        if conflicting:  # all gradients add up to nearly nothing
            jacobian -= 0.99 * jacobian.mean(0)
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            ours = pcgrad(jacobian)
            torch.manual_seed(seed)
            theirs = aggregation.PCGrad()(jacobian)
        assert torch.allclose(ours, theirs)


def test_a_task_is_not_projected_on_itself():
    """With unit vectors at 0, 150 and 210 degrees that mistake turns -0.558 into -0.433."""
    jacobian = at([0, 150, 210])
    given_orders = set()
    for seed in range(200):
        generator = torch.Generator().manual_seed(seed)
        given_orders.add(round(pcgrad(jacobian, generator=generator)[0].item(), 3))
    assert given_orders == {-0.558, -0.342, -0.125}
    orders = list(itertools.product(itertools.permutations(range(3)), repeat=3))
    assert {round(by_the_book(jacobian, o)[0].item(), 3) for o in orders} == given_orders
    mistaken = {round(by_the_book(jacobian, o, lambda i, j: True)[0].item(), 3) for o in orders}
    assert -0.433 in mistaken


def test_three_tasks_may_leave_one_of_them_hurt():
    hurt = 0
    for seed in range(50):
        generator = torch.Generator().manual_seed(seed)
        jacobian = torch.randn(3, 2, generator=generator).double()
        direction = pcgrad(jacobian, generator=generator)
        hurt += (jacobian @ direction).min() < -1e-3
    assert hurt > 0


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_squares_that_overflow_in_half_precision_do_no_harm(dtype):
    jacobian = torch.tensor([[300.0, 0.0], [-300.0, 2.0]], dtype=dtype)
    direction = pcgrad(jacobian)
    assert direction.dtype == dtype
    assert direction.tolist() == pytest.approx(pcgrad(jacobian.double()).tolist(), rel=1e-2)


def test_no_conflict_is_lost_in_half_precision():
    for seed in range(100):
        generator = torch.Generator().manual_seed(seed)
        jacobian = torch.randn(5, 40, generator=generator).bfloat16()
        found, expected = (
            pcgrad(j, generator=torch.Generator().manual_seed(seed)).double()
            for j in (jacobian, jacobian.double())
        )
        assert torch.allclose(found, expected, rtol=2**-8, atol=1e-5), seed


@pytest.mark.parametrize("unit", [1e-23, 1e-20, 1.0, 1e18, 1e20])
@pytest.mark.parametrize(("jacobian", "direction"), VALUES)
def test_the_unit_of_the_gradients_does_not_count_in_single_precision(unit, jacobian, direction):
    found = pcgrad(unit * torch.tensor(jacobian, dtype=torch.float))
    assert (found / unit).tolist() == pytest.approx(direction, abs=1e-4)


def test_every_order_of_three_tasks_may_hurt_one_though_all_could_be_helped():
    jacobian = torch.tensor([[-2.0, -1.0, -2.0], [1.0, 0.0, 2.0], [2.0, 2.0, -2.0]]).double()
    assert (jacobian @ torch.tensor([6.0, -8.0, -2.5]).double()).min() > 0
    directions = [
        pcgrad(jacobian, generator=torch.Generator().manual_seed(seed)) for seed in range(60)
    ]
    assert len({tuple(direction.round(decimals=6).tolist()) for direction in directions}) > 3
    assert all((jacobian @ direction).min() < 0 for direction in directions)


def test_the_state_of_the_order_is_that_of_the_generator():
    jacobian = torch.randn(6, 3, generator=torch.Generator().manual_seed(0)).double()
    balancer = PCGrad(torch.Generator().manual_seed(1))
    balancer.weights_of(jacobian @ jacobian.T)
    state = balancer.state_dict()
    expected = balancer.weights_of(jacobian @ jacobian.T)
    other = PCGrad(torch.Generator().manual_seed(2))
    other.load_state_dict(state)
    assert torch.equal(other.weights_of(jacobian @ jacobian.T), expected)


def test_a_state_with_an_order_does_not_fit_a_balancer_without_one():
    one, other = PCGrad(torch.Generator()), PCGrad()
    for balancer, state in ((one, other.state_dict()), (other, one.state_dict())):
        with pytest.raises(ValueError, match="make the balancer as the one that was saved"):
            balancer.load_state_dict(state)
