"""The dynamic weight average, on epoch means."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from balancing_cases import build, constant, floats, losses_of
from hypothesis import given, settings
from hypothesis import strategies as st

from mtl_tutorial.balancing import DynamicWeightAverage, dwa_weights

UNHURRIED = settings(deadline=None, max_examples=60)
positive = st.floats(0.01, 100)


def test_the_value_of_the_reference():
    assert dwa_weights([1, 3], [2, 4]) == pytest.approx([0.9376, 1.0624], abs=1e-4)


@UNHURRIED
@given(st.lists(st.tuples(positive, positive), min_size=2, max_size=6))
def test_the_weights_sum_to_the_number_of_tasks_and_the_slowest_weighs_most(pairs):
    last, before = zip(*pairs, strict=True)
    weights = dwa_weights(last, before).tolist()
    rates = [now / then for now, then in pairs]
    assert sum(weights) == pytest.approx(len(pairs))
    assert weights[rates.index(max(rates))] == pytest.approx(max(weights))


def test_the_weights_are_1_for_two_epochs_and_then_follow_the_epoch_means():
    balancer = DynamicWeightAverage(steps_per_epoch=2)
    given_weights = []
    for a, b in [(1, 5), (3, 3), (1, 2), (1, 4), (9, 9), (9, 9), (9, 9)]:  # means 2, 4; 1, 3; 9, 9
        given_weights.append(floats(balancer.backward(constant(a=a, b=b), None)))
    assert given_weights[:4] == [{"a": 1.0, "b": 1.0}] * 4
    for weights in given_weights[4:6]:
        assert list(weights.values()) == pytest.approx([0.9376, 1.0624], abs=1e-4)
    expected = dwa_weights([9, 9], [1, 3]).tolist()
    assert list(given_weights[6].values()) == pytest.approx(expected)


def test_the_gradient_is_that_of_the_weighted_sum():
    balancer = DynamicWeightAverage(1)
    theta = torch.ones((), requires_grad=True)
    for scale in (1.0, 0.5):
        balancer.backward({"a": theta * scale, "b": theta}, None)
    theta.grad = None
    weights = floats(balancer.backward({"a": 2 * theta, "b": 3 * theta}, None))
    assert weights["a"] < 1 < weights["b"]
    assert theta.grad.item() == pytest.approx(2 * weights["a"] + 3 * weights["b"])


@pytest.mark.parametrize(
    ("steps", "temperature", "named"),
    [
        (0, 2, "steps_per_epoch"),
        (2.5, 2, "steps_per_epoch"),
        (5, 0, "temperature"),
        (5, math.nan, "temperature"),
    ],
)
def test_an_argument_out_of_range_is_refused(steps, temperature, named):
    with pytest.raises(ValueError, match=f"{named} must be"):
        DynamicWeightAverage(steps, temperature)


@pytest.mark.parametrize(
    ("last", "before", "temperature", "words"),
    [
        (
            [1, 1],
            [0, 1],
            2,
            "earlier ones, so it needs losses above 0; that of task 0 is 0",
        ),
        ([1, math.nan], [1, 1], 2, "mean loss over an epoch of task 1 is nan"),
        ([1, 1], [1, math.inf], 2, "mean loss over an epoch of task 1 is inf"),
        ([1, 1], [1, 1], 0, "temperature must be finite and > 0, got 0"),
        ([1, 1], [1], 2, r"last and before must have one number a task, got shapes \[\(2,\), \(1,"),
    ],
)
def test_weights_of_impossible_numbers_are_refused(last, before, temperature, words):
    with pytest.raises(ValueError, match=words):
        dwa_weights(last, before, temperature=temperature)


def test_an_epoch_whose_mean_loss_is_zero_is_refused_by_name():
    with pytest.raises(ValueError, match="task 'b' is 0"):
        DynamicWeightAverage(1).backward(constant(a=1, b=0), None)


def test_a_task_that_is_missing_has_the_mean_of_the_steps_in_which_it_was_there():
    balancer = DynamicWeightAverage(2)
    for losses in [dict(a=1, b=2), dict(a=3), dict(a=1), dict(a=1, b=3), dict(a=9), dict(a=9)]:
        balancer.backward(constant(**losses), None)
    weights = floats(balancer.backward(constant(a=1, b=1), None))
    assert list(weights.values()) == pytest.approx(dwa_weights([9, 3], [1, 2]).tolist())


def test_a_task_that_joins_late_has_weight_1_until_it_was_there_in_two_epochs():
    balancer = DynamicWeightAverage(1)
    for losses in [dict(a=4), dict(a=2), dict(a=2, b=8), dict(a=2, b=6)]:
        weights = floats(balancer.backward(constant(**losses), None))
        assert weights.get("b", 1.0) == 1.0
    weights = floats(balancer.backward(constant(a=1, b=1), None))
    assert list(weights.values()) == pytest.approx(dwa_weights([2, 6], [2, 8]).tolist())


def test_an_epoch_whose_mean_loss_is_infinite_is_refused_by_name():
    with pytest.raises(ValueError, match="of task 'b' is inf"):
        DynamicWeightAverage(1).backward(constant(a=1, b=float("inf")), None)


def test_a_long_epoch_of_half_precision_losses_keeps_its_mean():
    balancer = DynamicWeightAverage(600)
    anchor = torch.zeros((), requires_grad=True, dtype=torch.bfloat16)
    for _ in range(600):
        balancer.backward({"a": anchor + 1, "b": anchor + 1}, None)
    assert [row[3].item() for row in balancer.state_dict()["memory"].values()] == [1.0, 1.0]


def test_an_epoch_that_became_shorter_ends():
    model, balancer = build(), DynamicWeightAverage(10)
    for _ in range(5):
        balancer.backward(losses_of(model), model)
    shorter = DynamicWeightAverage(3)
    shorter.load_state_dict(balancer.state_dict())
    for k in range(6):
        losses = losses_of(model)
        weights = shorter.backward({"a": losses["a"] / 2**k, "b": losses["b"]}, model)
    assert weights["a"] < 1 < weights["b"]


def test_an_epoch_goes_on_after_one_that_was_refused():
    model, balancer = build(), DynamicWeightAverage(1)
    with pytest.raises(ValueError, match="mean loss"):
        balancer.backward(constant(a=0.0, b=1.0), model)
    for a in (4.0, 2.0, 1.0, 0.5):
        weights = balancer.backward(constant(a=a, b=1.0), model)
    assert weights["a"] < 1 < weights["b"]


def test_a_whole_number_of_numpy_is_one():
    assert DynamicWeightAverage(np.int64(3)).steps_per_epoch == 3
