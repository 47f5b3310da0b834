"""The Gramian, its range, and the class of balancers that need nothing else."""

from __future__ import annotations

import pytest
import torch
from balancing_cases import build, floats, losses_of

from mtl_tutorial.balancing import GramianBalancer, gramian, mgda, pcgrad, task_gradients
from mtl_tutorial.balancing.gramian import range_factor


@pytest.mark.parametrize("direction", [pcgrad, mgda])
@pytest.mark.parametrize(
    ("jacobian", "words"),
    [
        (torch.tensor([[1, 0], [-1, 1]]), r"shape \(2, 2\) of torch.int64; .*\.float\(\)"),
        ([[1.0, 0.0]], r"a Jacobian is a tensor .* got \[\[1.0, 0.0\]\]; use torch.tensor"),
        (torch.ones(3), r"one gradient a row, .* got shape \(3,\)"),
        (torch.ones(2, 3, 4), r"got shape \(2, 3, 4\)"),
        (torch.ones(0, 4), r"at least 1, .* got shape \(0, 4\)"),
        (torch.tensor([[1.0, 2.0], [0.0, torch.nan]]), "task 1 is nan"),
        (torch.tensor([[torch.inf, 2.0], [0.0, 1.0]]), "task 0 is inf"),
    ],
)
def test_what_is_no_jacobian_is_refused(direction, jacobian, words):
    with pytest.raises(ValueError, match=words):
        direction(jacobian)


def test_the_gramian_holds_the_dot_products():
    assert gramian(torch.tensor([[1.0, 0.0], [-1.0, 1.0]])).tolist() == [[1, -1], [-1, 2]]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_the_gramian_of_half_precision_is_one_of_single_precision(dtype):
    squares = gramian(torch.tensor([[300.0, 0.0], [0.0, 1.0]], dtype=dtype))
    assert squares.dtype == torch.float32
    assert squares.tolist() == [[90_000, 0], [0, 1]]


@pytest.mark.parametrize("unit", [1e-38, 1e-30, 1e-23, 1e19, 1e30, 1e38])
def test_the_gramian_keeps_its_proportions_where_squares_leave_the_range(unit):
    jacobian = torch.tensor([[1.0, 0.0], [-1.0, 1.0]])
    found = gramian(unit * jacobian)
    assert (found / found[0, 0]).tolist() == [[1, -1], [-1, 2]]
    assert 0.2 < found[0, 0] < 5


@pytest.mark.parametrize("largest", [0.0, 1e-12, 1.0, 1e12, torch.inf, torch.nan])
def test_rows_within_the_range_and_without_one_are_left_as_they_are(largest):
    assert range_factor(torch.tensor([[largest, 0.0]])) == 1


def test_the_factor_is_a_power_of_two_so_that_nothing_is_rounded():
    for largest in (1e-38, 3e-20, 7e13, 3e38):
        factor = range_factor(torch.tensor([[largest]])).item()
        assert torch.frexp(torch.tensor(factor)).mantissa == 0.5
        assert 0.5 <= factor * largest <= 2


class Shortest(GramianBalancer):
    """All weight to the task with the shortest gradient."""

    def weights_of(self, gramian):
        return torch.nn.functional.one_hot(gramian.diagonal().argmin(), len(gramian)).float()


def test_a_method_of_ones_own_is_one_function_of_the_gramian():
    model = build()
    losses = losses_of(model)
    theta = [*model.first.parameters(), *model.last.parameters()]
    jacobian = task_gradients(losses, theta)
    weights = floats(Shortest().backward(losses, model))
    assert weights == {"a": 1, "b": 0, "c": 0}
    found = torch.cat([p.grad.flatten() for p in theta])
    assert torch.equal(found, jacobian[0])
    assert model.heads["c"].weight.grad.any()


def test_a_method_of_ones_own_does_not_see_the_scale():
    class Lengths(GramianBalancer):
        def weights_of(self, gramian):
            return gramian.diagonal().sqrt()

    model = build()
    plain, scaled = (
        floats(Lengths().backward(losses_of(model), model, scale=scale)) for scale in (None, 1024.0)
    )
    assert scaled == pytest.approx(plain)


def test_without_that_function_it_says_so():
    model = build()
    with pytest.raises(NotImplementedError, match="GramianBalancer needs a method weights_of"):
        GramianBalancer().backward(losses_of(model), model)


class Chosen(GramianBalancer):
    """Gives what it was made with."""

    def __init__(self, weights):
        self.chosen = weights

    def weights_of(self, gramian):
        return self.chosen


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        ([1.0, 1.0, 1.0], r"one weight a task, shape \(3,\), got a list"),
        (None, "got a NoneType"),
        (torch.ones(2), r"got shape \(2,\)"),
        (torch.ones(3, 1), r"got shape \(3, 1\)"),
        (torch.tensor([1.0, torch.nan, 1.0]), "weight by Chosen of task 'b' is nan"),
    ],
)
def test_weights_that_are_none_are_refused_and_fill_nothing(weights, words):
    model = build()
    with pytest.raises(ValueError, match=words):
        Chosen(weights).backward(losses_of(model), model)
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize(
    "weights",
    [torch.ones(3, requires_grad=True), torch.ones(3).double(), torch.ones(3).long()],
    ids=["learned", "double", "whole"],
)
def test_weights_may_be_learned_and_of_any_format(weights):
    model = build()
    given = Chosen(weights).backward(losses_of(model), model)
    assert floats(given) == {"a": 1, "b": 1, "c": 1}
    assert not any(parameter.grad.requires_grad for parameter in model.parameters())
