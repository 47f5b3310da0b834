"""GradNorm, against its formula by autograd, a toy with a known answer, and the usual mistakes."""

from __future__ import annotations

import math

import pytest
import torch
from balancing_cases import floats
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from mtl_tutorial.architectures import ConvEncoder, HardSharing
from mtl_tutorial.balancing import (
    GradientNormWeights,
    GradNorm,
    gradnorm_step,
    task_gradients,
    training_rates,
)
from mtl_tutorial.balancing.layers import layer_gradient_norms
from mtl_tutorial.data import located_digits
from mtl_tutorial.tasks import task_losses

UNHURRIED = settings(deadline=None, max_examples=60)
positive = st.floats(0.05, 20)
SCENES = located_digits("train")


def columns(count):
    return st.lists(positive, min_size=count, max_size=count)


def step(weights, norms, losses, initial, alpha=1.5, learning_rate=1e-3):
    rates = training_rates(torch.tensor(losses).double(), torch.tensor(initial).double())
    return gradnorm_step(weights, norms, rates, alpha=alpha, learning_rate=learning_rate)


def model_and_losses(seed=0):
    torch.manual_seed(seed)
    model = HardSharing(ConvEncoder(2), SCENES.tasks)
    batch = SCENES.draw(8, torch.Generator().manual_seed(seed))
    return model, task_losses(model(batch.inputs), batch.targets, SCENES.tasks)


@UNHURRIED
@given(st.integers(2, 5).flatmap(lambda n: st.tuples(*[columns(n)] * 4)), st.floats(0, 3))
def test_the_weights_gradient_is_autograds_with_the_target_held_constant(values, alpha):
    weights, norms, losses, initial = values
    made = step(weights, norms, losses, initial, alpha)
    w = torch.tensor(weights, dtype=torch.double, requires_grad=True)
    g = w * torch.tensor(norms, dtype=torch.double)
    progress = torch.tensor(losses, dtype=torch.double) / torch.tensor(initial).double()
    target = (g.mean() * (progress / progress.mean()) ** alpha).detach()
    (g - target).abs().sum().backward()
    away = (g - target).abs() > 1e-9 * (1 + target)  # where the sign does not hang on rounding
    assert torch.allclose(made.gradients.double()[away], w.grad[away])
    assert made.targets.tolist() == pytest.approx(target.tolist())


@UNHURRIED
@given(st.integers(2, 5).flatmap(lambda n: st.tuples(*[columns(n)] * 4)), st.floats(1e-4, 5))
def test_the_weights_sum_to_the_number_of_tasks_after_every_step(values, learning_rate):
    made = step(*values, learning_rate=learning_rate)
    assert made.new_weights.sum().item() == pytest.approx(sum(values[0]), rel=1e-5)
    assert made.new_weights.min() >= 0


def test_a_slow_task_gains_weight_and_the_exponent_is_not_turned():
    """Task 0 has lost half of its loss, task 1 nothing; r^(-α) would favour task 0."""
    made = step([1, 1], [1, 1], [0.5, 1.0], [1.0, 1.0])
    assert made.rates.tolist() == pytest.approx([2 / 3, 4 / 3])
    assert made.new_weights[1] > 1 > made.new_weights[0]


def test_at_alpha_0_the_larger_gradient_loses_weight():
    made = step([1, 1], [3, 1], [1, 1], [1, 1], alpha=0)
    assert made.targets.tolist() == [2, 2]
    assert made.gradients.tolist() == [3, -1]
    assert made.new_weights[0] < 1 < made.new_weights[1]


def test_a_step_by_hand():
    made = step([1, 1], [2, 1], [1, 3], [2, 3], alpha=1, learning_rate=0.1)
    assert made.norms.tolist() == [2, 1]
    assert made.rates.tolist() == pytest.approx([0.5 / 0.75, 1 / 0.75])
    assert made.targets.tolist() == pytest.approx([1, 2])
    assert made.gradients.tolist() == [2, -1]
    assert made.new_weights.tolist() == pytest.approx([2 * 0.8 / 1.9, 2 * 1.1 / 1.9])


def test_the_network_gets_the_weighted_sum_and_nothing_of_the_gradnorm_loss():
    balancer = GradNorm(learning_rate=0.1)
    for seed in range(3):
        model, losses = model_and_losses(seed)
        weights = floats(balancer.weights) or dict.fromkeys(losses, 1.0)
        total = sum(weights[name] * loss for name, loss in losses.items())
        expected = torch.autograd.grad(total, list(model.parameters()), retain_graph=True)
        assert floats(balancer.backward(losses, model)) == weights
        for parameter, gradient in zip(model.parameters(), expected, strict=True):
            assert torch.allclose(parameter.grad, gradient, atol=1e-7)
    assert len({round(weight, 4) for weight in floats(balancer.weights).values()}) == 3


def test_the_heads_are_weighed_too():
    balancer = GradNorm()
    balancer.load_state_dict(
        balancer.state_dict()
        | {
            "memory": {
                name: torch.tensor([weight, 1.0, 0.0, 0.0, 0.0])  # w, L(0), and Adam's moments
                for name, weight in (("digit", 0.5), ("box", 2.0), ("mask", 0.5))
            }
        }
    )
    model, losses = model_and_losses()
    head = list(model.heads["box"].parameters())
    alone = torch.autograd.grad(losses["box"], head, retain_graph=True)
    balancer.backward(losses, model)
    for parameter, gradient in zip(head, alone, strict=True):
        assert torch.allclose(parameter.grad, 2 * gradient)


def test_the_norms_are_those_of_the_last_shared_layer_alone():
    model, losses = model_and_losses()
    norms = layer_gradient_norms(losses, model)
    for norm, loss in zip(norms, losses.values(), strict=True):
        weight = model.encoder.layers[5].weight
        (gradient,) = torch.autograd.grad(loss, weight, retain_graph=True)
        assert norm.item() == pytest.approx(gradient.norm().item())


def test_the_first_losses_stay_the_reference():
    balancer = GradNorm()
    model, losses = model_and_losses(0)
    first = {name: loss.item() for name, loss in losses.items()}
    balancer.backward(losses, model)
    model, losses = model_and_losses(1)
    balancer.backward(losses, model)
    memory = balancer.state_dict()["memory"]
    assert {name: row[1].item() for name, row in memory.items()} == first


class Toy(nn.Module):
    """y_i = head_i(tanh(W x)), as in the paper's toy example, narrower."""

    def __init__(self, tasks):
        super().__init__()
        self.shared = nn.Linear(250, 60)
        self.heads = nn.ModuleList(nn.Linear(60, 100) for _ in range(tasks))

    def forward(self, x):
        z = torch.tanh(self.shared(x))
        return [head(z) for head in self.heads]

    def last_shared_layer(self):
        return self.shared


def test_on_the_papers_toy_the_norms_of_the_weighted_gradients_become_equal():
    """Targets σ_i tanh((B + ε_i) x), σ = 1 and 10; the norms start apart by a factor of 10."""
    for seed in range(3):
        generator = torch.Generator().manual_seed(seed)
        basis = 10 * torch.randn(100, 250, generator=generator)
        maps = [basis + 3.5 * torch.randn(100, 250, generator=generator) for _ in range(2)]
        torch.manual_seed(seed)
        model, balancer = Toy(2), GradNorm(alpha=0.12, learning_rate=0.02)
        adam = torch.optim.Adam(model.parameters(), lr=2e-3)
        ratios = []
        for _ in range(250):
            x = torch.randn(100, 250, generator=generator) / 250
            targets = [scale * torch.tanh(x @ m.T) for scale, m in zip((1, 10), maps, strict=True)]
            losses = {
                str(i): (y - t).square().sum(1).mean()
                for i, (y, t) in enumerate(zip(model(x), targets, strict=True))
            }
            adam.zero_grad()
            balancer.backward(losses, model)
            adam.step()
            ratios.append(balancer.last_step.norms[1] / balancer.last_step.norms[0])
        assert ratios[0] > 8, seed
        assert 0.7 < sum(ratios[-50:]) / 50 < 1.4, seed
        assert balancer.weights["1"] < 0.3 < 1.7 < balancer.weights["0"], seed


def test_the_documents_formula_gives_the_larger_gradient_more_and_gradnorm_less():
    model, losses = model_and_losses()
    shared = list(model.encoder.parameters())
    norms = task_gradients(losses, shared).norm(dim=1).tolist()
    largest = list(losses)[norms.index(max(norms))]
    shares = floats(GradientNormWeights().backward(losses, model))
    assert sum(shares.values()) == pytest.approx(1)
    assert list(shares.values()) == pytest.approx([norm / sum(norms) for norm in norms])
    model, losses = model_and_losses()
    balancer = GradNorm(alpha=0)
    balancer.backward(losses, model)
    assert max(shares, key=shares.get) == largest
    weights = floats(balancer.weights)
    assert weights[largest] == min(weights.values())


@pytest.mark.parametrize(("alpha", "rate"), [(-1, 0.1), (math.nan, 0.1), (1, 0), (1, math.inf)])
def test_an_argument_out_of_range_is_refused(alpha, rate):
    with pytest.raises(ValueError, match="must be finite"):
        GradNorm(alpha, rate)


@pytest.mark.parametrize(
    ("losses", "initial", "words"),
    [
        ([1, 1], [0, 1], "divided by their first, so it needs losses above 0; that of task 0 is 0"),
        ([1, math.nan], [1, 1], "loss of task 1 is nan"),
        ([1, 1], [1, math.inf], "first loss of task 1 is inf"),
        ([-1, 1], [1, 1], "compared with their first, so it needs losses ≥ 0; .* task 0 is -1"),
        ([1, 1e30], [1, 1e-30], "loss divided by its first of task 1 is inf"),
    ],
)
def test_rates_of_losses_that_cannot_be_divided_are_refused(losses, initial, words):
    with pytest.raises(ValueError, match=words):
        training_rates(losses, initial)


@pytest.mark.parametrize(
    ("weights", "norms", "rates", "alpha", "words"),
    [
        ([1, 1], [1, 1], [1.5, 0.5], 1e4, "alpha is too large, got 10000.0: a rate of 1.5"),
        ([1, 1], [1, math.nan], [1, 1], 1, r"gradient_norms must be .*, got \[1\.0, nan\]"),
        ([1, 1], [1, 1], [-0.5, 2.5], 0.5, "rates must be finite and ≥ 0"),
        ([-1, 3], [1, 1], [1, 1], 1, "weights must be"),
        ([1, 1], [1, 1], [1, 1], -1, "alpha must be finite and ≥ 0, got -1"),
    ],
)
def test_a_step_from_impossible_numbers_is_refused(weights, norms, rates, alpha, words):
    with pytest.raises(ValueError, match=words):
        gradnorm_step(weights, norms, rates, alpha=alpha, learning_rate=0.1)


def test_a_first_loss_of_zero_is_refused_by_name():
    model, losses = model_and_losses()
    losses["box"] = losses["box"] * 0
    with pytest.raises(ValueError, match=r"divides by the first loss.*'box' is 0"):
        GradNorm().backward(losses, model)


def test_a_task_that_is_missing_keeps_its_weight_and_first_loss():
    balancer = GradNorm(learning_rate=0.1)
    for seed in range(2):
        model, losses = model_and_losses(seed)
        balancer.backward(losses, model)
    before = balancer.state_dict()["memory"]
    model, losses = model_and_losses(2)
    del losses["mask"]
    weights = floats(balancer.backward(losses, model))
    after = balancer.state_dict()["memory"]
    assert list(weights) == ["digit", "box"]
    assert torch.equal(after["mask"], before["mask"])
    assert not torch.equal(after["box"], before["box"])
    assert sum(row[0].item() for row in after.values()) == pytest.approx(3)


def test_a_frozen_last_layer_is_refused():
    model, losses = model_and_losses()
    for parameter in model.last_shared_layer().parameters():
        parameter.requires_grad_(False)
    with pytest.raises(ValueError, match="the last shared layer of HardSharing, Linear, is frozen"):
        GradNorm().backward(losses, model)


def test_a_loss_that_turns_negative_is_refused_by_name():
    balancer = GradNorm()
    model, losses = model_and_losses()
    balancer.backward(losses, model)
    model, losses = model_and_losses()
    losses["box"] = losses["box"] - 5
    with pytest.raises(ValueError, match=r"losses ≥ 0; that of task 'box' is -"):
        balancer.backward(losses, model)


def test_norms_whose_squares_adam_cannot_hold_are_named():
    model, losses = model_and_losses()
    losses["box"] = losses["box"] * 1e25
    with pytest.raises(ValueError, match="what Adam remembers of task 'box' is inf"):
        GradNorm().backward(losses, model)
    assert all(parameter.grad is None for parameter in model.parameters())
    GradNorm(optimizer="sgd").backward(losses, model)


def test_norms_and_rates_of_other_numbers_of_tasks_are_refused():
    with pytest.raises(ValueError, match="weights and gradient_norms and rates must have one numb"):
        gradnorm_step([1, 1], [1, 1, 1], [1, 1], alpha=1, learning_rate=0.1)
    with pytest.raises(ValueError, match=r"initial_losses must have one number a task, .*\(1,\)"):
        training_rates([1, 1], [1])


def test_a_first_step_that_is_skipped_leaves_no_first_loss():
    balancer = GradNorm()
    model, losses = model_and_losses(0)
    balancer.backward(losses | {"box": losses["box"] * math.nan}, model, scale=2.0)
    model, losses = model_and_losses(1)
    first = {name: loss.item() for name, loss in losses.items()}
    balancer.backward(losses, model, scale=2.0)
    memory = balancer.state_dict()["memory"]
    assert memory["box"][1].item() == pytest.approx(first["box"])
