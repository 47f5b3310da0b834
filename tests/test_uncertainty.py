"""Uncertainty weights: the right form for each kind of task, and the optimum that theory gives."""

from __future__ import annotations

import math
from functools import partial

import pytest
import torch
from balancing_cases import constant, floats
from torch import nn
from torch.nn import functional as F

from mtl_tutorial.architectures import ConvEncoder, HardSharing
from mtl_tutorial.balancing import UncertaintyWeights
from mtl_tutorial.data import located_digits
from mtl_tutorial.tasks import Task, accuracy, mean_iou, pixel_cross_entropy, task_losses

DIGIT = Task("digit", F.cross_entropy, accuracy, 10)
BOX = Task("box", F.mse_loss, mean_iou, 4)
SCENES = located_digits("train")


def model_and_losses():
    torch.manual_seed(0)
    model = HardSharing(ConvEncoder(2), SCENES.tasks)
    batch = SCENES.draw(8, torch.Generator().manual_seed(0))
    return model, task_losses(model(batch.inputs), batch.targets, SCENES.tasks)


@pytest.mark.parametrize(
    ("kind", "losses"),
    [
        ("regression", [F.mse_loss, nn.MSELoss(), partial(F.mse_loss, reduction="mean")]),
        ("classification", [F.cross_entropy, nn.CrossEntropyLoss(label_smoothing=0.1)]),
        ("classification", [F.nll_loss, nn.NLLLoss(), F.binary_cross_entropy, nn.BCELoss()]),
        ("classification", [F.binary_cross_entropy_with_logits, nn.BCEWithLogitsLoss()]),
        ("classification", [pixel_cross_entropy, partial(F.cross_entropy, label_smoothing=0.1)]),
        ("", [F.l1_loss, F.smooth_l1_loss, nn.HuberLoss(), lambda p, t: (p - t).square().mean()]),
    ],
)
def test_the_kind_of_a_task_is_that_of_a_loss_whose_likelihood_is_known(kind, losses):
    assert [Task("depth", loss, accuracy, 1).kind for loss in losses] == [kind] * len(losses)


def test_a_task_whose_kind_is_not_known_is_refused_and_told_how_to_give_it():
    with pytest.raises(ValueError, match="kind of task 'depth' does not follow.*kind='regress"):
        UncertaintyWeights([DIGIT, Task("depth", F.l1_loss, accuracy, 1)])


def test_a_kind_that_is_given_is_kept_and_an_unknown_one_refused():
    assert Task("depth", F.l1_loss, accuracy, 1, kind="regression").kind == "regression"
    with pytest.raises(ValueError, match="kind of task 'depth' must be one of"):
        Task("depth", F.l1_loss, accuracy, 1, kind="ranking")


def test_the_first_weights_are_a_half_for_regression_and_1_for_classification():
    assert floats(UncertaintyWeights([DIGIT, BOX]).weights) == {"digit": 1.0, "box": 0.5}


@pytest.mark.parametrize(("digit", "box"), [(0.3, 0.02), (2.3, 5.0)])
def test_at_constant_losses_the_log_variances_go_to_their_optimum(digit, box):
    balancer = UncertaintyWeights([DIGIT, BOX], learning_rate=0.05)
    for _ in range(1500):
        balancer.backward(constant(digit=digit, box=box), None)
    found = floats(balancer.log_variances)
    assert found["digit"] == pytest.approx(math.log(2 * digit), abs=0.02)
    assert found["box"] == pytest.approx(math.log(box), abs=0.02)


def test_one_step_is_that_of_adam_on_the_published_objective():
    balancer = UncertaintyWeights([DIGIT, BOX], learning_rate=0.1)
    s = torch.zeros(2, requires_grad=True)
    adam = torch.optim.Adam([s], lr=0.1)
    for digit, box in [(1.7, 0.2), (1.5, 0.1), (0.2, 3.0)]:
        adam.zero_grad()
        (torch.exp(-s[0]) * digit + torch.exp(-s[1]) * box / 2 + s.sum() / 2).backward()
        adam.step()
        balancer.backward(constant(digit=digit, box=box), None)
        assert list(floats(balancer.log_variances).values()) == pytest.approx(s.tolist(), rel=1e-6)


def test_the_network_gets_the_weighted_sum():
    model, losses = model_and_losses()
    total = losses["digit"] + losses["box"] / 2 + losses["mask"]
    expected = torch.autograd.grad(total, list(model.parameters()), retain_graph=True)
    weights = UncertaintyWeights(SCENES.tasks).backward(losses, model)
    assert floats(weights) == {"digit": 1.0, "box": 0.5, "mask": 1.0}
    for parameter, gradient in zip(model.parameters(), expected, strict=True):
        assert torch.allclose(parameter.grad, gradient, atol=1e-7)


@pytest.mark.parametrize("tasks", [[], [DIGIT], [DIGIT, DIGIT]])
def test_fewer_than_two_tasks_or_two_with_one_name_are_refused(tasks):
    with pytest.raises(ValueError, match="two or more with different names"):
        UncertaintyWeights(tasks)


@pytest.mark.parametrize("rate", [0, -1, math.nan, math.inf])
def test_a_learning_rate_out_of_range_is_refused(rate):
    with pytest.raises(ValueError, match="learning_rate must be finite and > 0"):
        UncertaintyWeights([DIGIT, BOX], rate)


def test_losses_of_other_tasks_are_refused():
    with pytest.raises(ValueError, match=r"for the tasks \['digit', 'box'\], .* loss for 'mask'"):
        UncertaintyWeights([DIGIT, BOX]).backward(constant(digit=1.0, mask=1.0), None)


def test_the_log_variance_of_a_missing_task_rests():
    balancer = UncertaintyWeights([DIGIT, BOX], learning_rate=0.1)
    alone = UncertaintyWeights([DIGIT, BOX], learning_rate=0.1)
    for there in ("digit", "box", "box", "digit", "box"):
        before = floats(balancer.log_variances)
        balancer.backward(constant(**{there: 0.3}), None)
        after = floats(balancer.log_variances)
        assert {name for name in after if after[name] != before[name]} == {there}
    for there, steps in (("digit", 2), ("box", 3)):
        for _ in range(steps):
            alone.backward(constant(**{there: 0.3}), None)
    assert floats(balancer.log_variances) == floats(alone.log_variances)


def test_a_state_for_other_tasks_is_refused():
    state = UncertaintyWeights(SCENES.tasks).state_dict()
    with pytest.raises(ValueError, match="the state is for the tasks"):
        UncertaintyWeights([DIGIT, BOX]).load_state_dict(state)


def test_a_state_goes_by_the_names_of_the_tasks_and_not_by_their_order():
    trained = UncertaintyWeights([DIGIT, BOX])
    trained.backward(constant(digit=3.0, box=0.1), None)
    other = UncertaintyWeights([BOX, DIGIT])
    other.load_state_dict(trained.state_dict())
    assert floats(other.weights) == floats(trained.weights)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_is_named_fills_nothing_and_is_forgotten(value):
    balancer = UncertaintyWeights([DIGIT, BOX])
    theta = torch.ones((), requires_grad=True)
    with pytest.raises(ValueError, match="loss of task 'box' is (nan|inf)"):
        balancer.backward({"digit": theta, "box": value * theta}, None)
    assert theta.grad is None
    assert floats(balancer.log_variances) == {"digit": 0.0, "box": 0.0}


def test_a_loss_whose_square_adam_cannot_hold_is_named():
    with pytest.raises(ValueError, match="what Adam remembers of task 'box' is inf"):
        UncertaintyWeights([DIGIT, BOX]).backward(constant(digit=1.0, box=1e25), None)
