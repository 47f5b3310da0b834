"""The base class: what a balancer of one's own gets from it."""

from __future__ import annotations

import pytest
import torch
from balancing_cases import build, floats, losses_of

from mtl_tutorial.balancing import Balancer, NonFiniteError, check_finite
from mtl_tutorial.balancing.base import backward_weighted_sum, check_positive


class Slower(Balancer):
    """Weighs a task by how often it was seen; its ``__init__`` does not call that of the base."""

    def __init__(self, power=1.0):
        self.power = power

    def backward(self, losses, model, *, scale=None):
        rows = self.recall(losses, torch.ones(len(losses), 1))
        used = dict(zip(losses, (rows[:, 0] ** self.power).unbind(), strict=True))
        weights = backward_weighted_sum(losses, used, model, scale)
        self.remember(losses, rows + 1, rows)
        return weights


def steps(balancer, *tasks):
    model = build()
    return [floats(balancer.backward(losses_of(model, names), model)) for names in tasks]


def test_a_balancer_of_ones_own_remembers_each_task_by_its_name():
    assert steps(Slower(), "ab", "bc", "ca") == [
        {"a": 1, "b": 1},
        {"b": 2, "c": 1},
        {"a": 2, "c": 2},
    ]


def test_its_memory_is_saved_and_loaded():
    balancer, other = Slower(), Slower()
    steps(balancer, "ab", "b")
    other.load_state_dict(balancer.state_dict())
    assert steps(other, "abc") == [{"a": 2, "b": 3, "c": 1}]
    assert steps(balancer, "abc") == [{"a": 2, "b": 3, "c": 1}]


def test_two_balancers_share_no_memory():
    one, other = Slower(), Slower()
    steps(one, "ab")
    assert other.memory == {}


def test_numbers_that_are_not_finite_are_not_remembered():
    balancer = Slower()
    old = balancer.recall("ab", torch.ones(2, 1))
    balancer.remember("ab", torch.tensor([[2.0], [torch.nan]]), old)
    assert [row.tolist() for row in balancer.memory.values()] == [[1], [1]]


def test_what_is_remembered_follows_the_precision_that_is_asked_for():
    balancer = Slower()
    balancer.memory = {"a": torch.ones(1)}
    assert balancer.recall("ab", torch.zeros(2, 1).double()).dtype == torch.float64


def test_a_balancer_without_backward_says_so():
    with pytest.raises(NotImplementedError, match="Balancer needs a method backward"):
        Balancer().backward({}, build())


def test_a_state_of_something_else_is_refused_and_changes_nothing():
    balancer = Slower()
    steps(balancer, "ab")
    before = balancer.state_dict()
    for state, words in (
        ({}, "this is the state of something else, and not of Slower; load what its own"),
        ({"of": "PCGrad"}, "this is the state of PCGrad, and not of Slower"),
        ({"of": "Slower"}, r"state of Slower has the parts \['of'\] in place of \['memory', 'of'"),
        (before | {"more": 1}, r"the parts \['memory', 'more', 'of'\]"),
    ):
        with pytest.raises(ValueError, match=words):
            balancer.load_state_dict(state)
    assert balancer.state_dict() == before


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_the_first_task_whose_number_is_not_finite_is_named(value):
    values = torch.tensor([1.0, value, value])
    with pytest.raises(NonFiniteError, match=f"gradient of task 'b' is {value}; lower") as told:
        check_finite(values, ["a", "b", "c"], "gradient")
    assert (told.value.what, told.value.task) == ("gradient", "b")
    check_finite(values[:1], ["a"], "gradient")


@pytest.mark.parametrize(
    ("values", "strict", "words"),
    [
        ([1.0, 0.0], True, "it divides, so it needs losses above 0; that of task 'b' is 0;"),
        ([-2.0, 1.0], True, "that of task 'a' is -2"),
        ([1.0, -0.5], False, "needs losses ≥ 0; that of task 'b' is -0.5; leave the task out"),
    ],
)
def test_the_first_task_whose_number_is_out_of_range_is_named(values, strict, words):
    with pytest.raises(ValueError, match=words):
        check_positive(torch.tensor(values), ["a", "b"], "it divides", strict=strict)
    check_positive(torch.tensor([0.0, 1.0]), ["a", "b"], "it divides", strict=False)


def test_the_weights_of_a_sum_come_back_in_the_precision_of_the_losses():
    for dtype, wide in ((torch.float16, torch.float32), (torch.float64, torch.float64)):
        model = build(dtype=dtype)
        weights = backward_weighted_sum(losses_of(model, "ab"), {"a": 0.1, "b": 2}, model)
        assert {weight.dtype for weight in weights.values()} == {wide}
        assert floats(weights) == pytest.approx({"a": 0.1, "b": 2})
