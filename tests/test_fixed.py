"""The weighted sum."""

from __future__ import annotations

import math

import pytest
import torch
from balancing_cases import floats
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from mtl_tutorial.architectures import ConvEncoder, HardSharing
from mtl_tutorial.balancing import FixedWeights
from mtl_tutorial.tasks import Task, accuracy, mean_iou

UNHURRIED = settings(deadline=None, max_examples=30)
DIGIT = Task("digit", F.cross_entropy, accuracy, 10)
BOX = Task("box", F.mse_loss, mean_iou, 4)
BAD = [-1.0, -1e-300, math.nan, math.inf, -math.inf, None, "three", [1.0], 1j, 10**400]

weights = st.just(0.0) | st.floats(1e-6, 1e6)


def model_and_losses():
    torch.manual_seed(0)
    model = HardSharing(ConvEncoder(2, size=8), (DIGIT, BOX))
    outputs = model(torch.rand(6, 1, 8, 8))
    losses = {
        "digit": F.cross_entropy(outputs["digit"], torch.arange(6)),
        "box": F.mse_loss(outputs["box"], torch.rand(6, 4)),
    }
    return model, losses


def theta(model):
    return list(model.encoder.parameters())


def gradients(model):
    return [p.grad for p in model.parameters()]


@UNHURRIED
@given(weights, weights)
def test_gradients_are_those_of_the_weighted_sum_to_the_last_bit(digit, box):
    model, losses = model_and_losses()
    total = digit * losses["digit"] + box * losses["box"]
    expected = torch.autograd.grad(total, list(model.parameters()), retain_graph=True)
    given_weights = FixedWeights({"digit": digit, "box": box}).backward(losses, model)
    assert floats(given_weights) == pytest.approx({"digit": digit, "box": box})
    assert all(torch.equal(g, e) for g, e in zip(gradients(model), expected, strict=True))


@UNHURRIED
@given(weights, weights)
def test_each_head_gets_its_own_gradient_times_its_weight(digit, box):
    model, losses = model_and_losses()
    heads = {name: list(model.heads[name].parameters()) for name in losses}
    alone = {
        name: torch.autograd.grad(losses[name], heads[name], retain_graph=True) for name in losses
    }
    FixedWeights({"digit": digit, "box": box}).backward(losses, model)
    for name, weight in (("digit", digit), ("box", box)):
        for parameter, gradient in zip(heads[name], alone[name], strict=True):
            assert torch.allclose(parameter.grad, weight * gradient, rtol=1e-4, atol=1e-12)


def test_without_weights_every_loss_counts_once():
    model, losses = model_and_losses()
    expected = torch.autograd.grad(
        losses["digit"] + losses["box"], list(model.parameters()), retain_graph=True
    )
    assert floats(FixedWeights().backward(losses, model)) == {"digit": 1.0, "box": 1.0}
    assert all(torch.equal(g, e) for g, e in zip(gradients(model), expected, strict=True))


def test_a_weight_of_0_switches_a_task_off():
    model, losses = model_and_losses()
    alone = torch.autograd.grad(losses["box"], theta(model), retain_graph=True)
    FixedWeights({"digit": 0, "box": 1}).backward(losses, model)
    assert all(not p.grad.any() for p in model.heads["digit"].parameters())
    shared = [p.grad for p in theta(model)]
    assert all(torch.equal(g, e) for g, e in zip(shared, alone, strict=True))


def test_a_changed_weight_acts_on_the_very_next_step():
    balancer = FixedWeights({"digit": 1, "box": 1})
    for weight in (1.0, 4.0, 0.5):
        balancer.set_weight("box", weight)
        model, losses = model_and_losses()
        expected = torch.autograd.grad(
            losses["digit"] + weight * losses["box"], theta(model), retain_graph=True
        )
        assert floats(balancer.backward(losses, model)) == {"digit": 1.0, "box": weight}
        shared = [p.grad for p in theta(model)]
        assert all(torch.equal(g, e) for g, e in zip(shared, expected, strict=True))


@pytest.mark.parametrize("weight", BAD, ids=lambda weight: repr(weight)[:9])
def test_a_bad_weight_is_refused_with_its_task_and_its_value(weight):
    with pytest.raises(ValueError, match="'box' must be finite and ≥ 0, got") as told:
        FixedWeights({"digit": 1.0, "box": weight})
    assert repr(weight)[:200] in str(told.value)


def test_a_weight_that_float32_cannot_hold_is_refused():
    with pytest.raises(ValueError, match="weight of task 'box' must be at most 1e\\+38, got 1e308"):
        FixedWeights({"digit": 1.0, "box": "1e308"})
    FixedWeights({"digit": 1e38})


@pytest.mark.parametrize("weight", BAD, ids=lambda weight: repr(weight)[:9])
def test_a_refused_change_leaves_the_weights_as_they_were(weight):
    balancer = FixedWeights({"digit": 2, "box": 3})
    with pytest.raises(ValueError, match="'box'"):
        balancer.set_weight("box", weight)
    assert balancer.weights == {"digit": 2, "box": 3}


def test_a_task_without_a_weight_is_named():
    model, losses = model_and_losses()
    with pytest.raises(ValueError, match=r"'digit' has no weight; .*\['box'\]"):
        FixedWeights({"box": 1}).backward(losses, model)
    assert all(gradient is None for gradient in gradients(model))


def test_a_weight_without_a_task_is_named():
    balancer = FixedWeights({"digit": 1, "box": 1, "bx": 1})
    with pytest.raises(
        ValueError, match=r"weight for 'bx', but no such task; .*\['box', 'digit'\]"
    ):
        balancer.weights_of(["digit", "box"])


def test_a_weight_of_a_task_that_is_missing_in_a_step_waits():
    balancer = FixedWeights({"digit": 2, "box": 3})
    for there in ("digit", "box"):
        model, losses = model_and_losses()
        weights = balancer.backward({there: losses[there]}, model)
        assert floats(weights) == {there: balancer.weights[there]}


def test_the_weights_given_out_are_a_copy():
    balancer = FixedWeights({"box": 1})
    balancer.weights["box"] = 5
    balancer.state_dict()["box"] = 5
    assert balancer.weights == {"box": 1}


def test_the_weights_handed_in_are_copied():
    mine = {"box": 1.0}
    balancer = FixedWeights(mine)
    mine["box"] = 5.0
    assert balancer.weights == {"box": 1.0}


@pytest.mark.parametrize("weights", [None, {"digit": 0.25, "box": 40.0}])
def test_saved_weights_come_back(weights):
    model, losses = model_and_losses()
    other = FixedWeights({"digit": 9, "box": 9})
    other.load_state_dict(FixedWeights(weights).state_dict())
    expected = weights or {"digit": 1.0, "box": 1.0}
    assert floats(other.backward(losses, model)) == expected


def test_bad_saved_weights_leave_the_weights_as_they_were():
    balancer = FixedWeights({"digit": 2, "box": 3})
    with pytest.raises(ValueError, match="'box'"):
        balancer.load_state_dict(
            balancer.state_dict() | {"weights": {"digit": 1.0, "box": math.nan}}
        )
    assert balancer.weights == {"digit": 2, "box": 3}


def test_a_weight_set_later_leaves_every_other_weight_at_one():
    model, losses = model_and_losses()
    balancer = FixedWeights()
    first, *others = losses
    balancer.set_weight(first, 5)
    assert floats(balancer.backward(losses, model)) == {first: 5.0} | {name: 1.0 for name in others}
