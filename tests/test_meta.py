"""The gradients of meta-learning are slopes, and the inner loop is gradient descent."""

from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.func import functional_call, grad
from torch.nn import functional as F

from mtl_tutorial.experiments.meta import adapt, first_order_maml_gradient, maml_gradient

UNHURRIED = settings(deadline=None, max_examples=20)


def random_tasks(seed: int, count: int = 3) -> tuple[dict, tuple, object]:
    """A network's parameters, few-shot tasks of random numbers, and the loss."""
    draws = torch.Generator().manual_seed(seed)
    net = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3)).double()
    theta = {
        name: torch.randn(value.shape, generator=draws).double()
        for name, value in net.named_parameters()
    }
    inputs = torch.randn(2, count, 6, 4, generator=draws).double()
    labels = torch.randint(3, (2, count, 6), generator=draws)

    def loss(parameters, given, targets):
        return F.cross_entropy(functional_call(net, parameters, (given,)), targets)

    return theta, (inputs[0], labels[0], inputs[1], labels[1]), loss


@UNHURRIED
@given(st.integers(0, 10_000))
def test_mamls_gradient_is_the_slope_of_the_loss_after_adaptation(seed) -> None:
    theta, tasks, loss = random_tasks(seed)

    def after(shift):
        moved = {name: value + shift for name, value in theta.items()}
        total = 0.0
        for support, labels, query, answers in zip(*tasks, strict=True):
            adapted = adapt(loss, moved, support, labels, rate=0.3, steps=2)
            total += loss(adapted, query, answers).item()
        return total

    gradient = maml_gradient(loss, theta, tasks, rate=0.3, steps=2)
    slope = sum(value.sum() for value in gradient.values()).item()
    assert slope == pytest.approx((after(1e-5) - after(-1e-5)) / 2e-5, abs=1e-6)


@UNHURRIED
@given(st.integers(0, 10_000))
def test_first_order_takes_the_query_gradient_at_the_adapted_parameters(seed) -> None:
    theta, tasks, loss = random_tasks(seed)
    expected = {name: torch.zeros_like(value) for name, value in theta.items()}
    for support, labels, query, answers in zip(*tasks, strict=True):
        adapted = adapt(loss, theta, support, labels, rate=0.3, steps=2)
        for name, slope in grad(loss)(adapted, query, answers).items():
            expected[name] += slope
    found = first_order_maml_gradient(loss, theta, tasks, rate=0.3, steps=2)
    assert all(torch.allclose(found[name], expected[name]) for name in theta)


@pytest.mark.parametrize("gradient", [maml_gradient, first_order_maml_gradient])
def test_without_inner_steps_the_gradient_is_that_of_the_sum_over_tasks(gradient) -> None:
    theta, tasks, loss = random_tasks(0)

    def total(parameters):
        return sum(loss(parameters, q, a) for q, a in zip(*tasks[2:], strict=True))

    found, expected = gradient(loss, theta, tasks, rate=0.3, steps=0), grad(total)(theta)
    assert all(torch.allclose(found[name], expected[name]) for name in theta)


def test_adaptation_is_gradient_descent_and_leaves_its_start_alone() -> None:
    theta, (support, labels, *_), loss = random_tasks(1)
    before = copy.deepcopy(theta)
    net = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3)).double()
    net.load_state_dict(theta)
    sgd = torch.optim.SGD(net.parameters(), lr=0.3)
    for _ in range(4):
        sgd.zero_grad()
        F.cross_entropy(net(support[0]), labels[0]).backward()
        sgd.step()
    adapted = adapt(loss, theta, support[0], labels[0], rate=0.3, steps=4)
    assert all(torch.allclose(adapted[n], value) for n, value in net.state_dict().items())
    assert all(torch.equal(theta[name], before[name]) for name in theta)


def test_a_probe_moves_the_head_alone() -> None:
    theta, (support, labels, *_), loss = random_tasks(1)
    adapted = adapt(loss, theta, support[0], labels[0], rate=0.3, steps=4, only="2.")
    moved = {name for name in theta if not torch.equal(adapted[name], theta[name])}
    assert moved == {"2.weight", "2.bias"}
    with pytest.raises(ValueError, match="only must be the start of a parameter's name, got 'he"):
        adapt(loss, theta, support[0], labels[0], rate=0.3, steps=4, only="head")


def test_only_is_a_whole_part_of_a_name() -> None:
    theta = {name: torch.ones(()) for name in ("head", "head.weight", "head2.weight", "a.head")}

    def loss(parameters, inputs, targets):
        return sum(value**2 for value in parameters.values())

    adapted = adapt(loss, theta, torch.zeros(1), torch.zeros(1), rate=0.1, steps=1, only="head")
    assert {name for name in theta if adapted[name] != theta[name]} == {"head", "head.weight"}
    with pytest.raises(ValueError, match="only must be the start of a parameter's name, got 'hea'"):
        adapt(loss, theta, torch.zeros(1), torch.zeros(1), rate=0.1, steps=1, only="hea")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"steps": -1}, "steps must be a whole number from 0 on, got -1"),
        ({"rate": -0.1}, "rate must be finite and ≥ 0, got -0.1"),
        ({"rate": float("nan")}, "rate must be finite and ≥ 0, got nan"),
    ],
)
@pytest.mark.parametrize("gradient", [maml_gradient, first_order_maml_gradient])
def test_an_inner_loop_that_can_not_be_made_is_refused(gradient, change, words) -> None:
    theta, tasks, loss = random_tasks(0)
    with pytest.raises(ValueError, match=words):
        gradient(loss, theta, tasks, **{"rate": 0.1, "steps": 1} | change)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t[:3], "an episode has 4 parts, .* got 3"),
        (lambda t: (t[0], t[1][:2], t[2], t[3]), r"support \(3, 6, 4\) .* targets \(2, 6\)"),
        (lambda t: (t[0], t[1], t[2], t[3][:, :2]), r"query \(3, 6, 4\) .* targets \(3, 2\)"),
        (lambda t: (*t[:2], t[2][:2], t[3][:2]), "support has 3 tasks, and query 2"),
        (lambda t: tuple(part[:0] for part in t), "support must have one task or more"),
        (lambda t: (t[0], t[1].tolist(), *t[2:]), "support targets must be a tensor"),
        (lambda t: (t[0], t[1].int(), *t[2:]), "support targets .* torch.int32; .*long"),
    ],
)
@pytest.mark.parametrize("gradient", [maml_gradient, first_order_maml_gradient])
def test_an_episode_whose_parts_do_not_fit_is_refused(gradient, change, words) -> None:
    theta, tasks, loss = random_tasks(0)
    with pytest.raises(ValueError, match=words) as caught:
        gradient(loss, theta, change(tasks), rate=0.1, steps=1)
    assert "\n" not in str(caught.value)
