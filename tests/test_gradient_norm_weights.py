"""Weights in proportion to gradient norms, over θ or over a layer."""

from __future__ import annotations

import pytest
import torch
from balancing_cases import build, floats, losses_of, matrix

from mtl_tutorial.balancing import GradientNormWeights, task_gradients


def shares(norms):
    return [norm / sum(norms) for norm in norms]


def test_the_norms_are_over_all_shared_parameters():
    model = build()
    losses = losses_of(model)
    theta = [*model.first.parameters(), *model.last.parameters()]
    norms = task_gradients(losses, theta).norm(dim=1).tolist()
    weights = floats(GradientNormWeights().backward(losses, model))
    assert list(weights.values()) == pytest.approx(shares(norms))
    assert sum(weights.values()) == pytest.approx(1)


@pytest.mark.parametrize("choose", [lambda model: model.last, lambda model: matrix(model.last)])
def test_the_norms_are_over_the_matrices_of_a_layer_where_one_is_named(choose):
    model = build()
    losses = losses_of(model)
    norms = task_gradients(losses, [model.last.weight]).norm(dim=1).tolist()
    weights = floats(GradientNormWeights(layer=choose(model)).backward(losses, model))
    assert list(weights.values()) == pytest.approx(shares(norms))


@pytest.mark.parametrize("layer", [False, True])
def test_the_larger_gradient_gets_more_weight(layer):
    model = build()
    balancer = GradientNormWeights(model.last if layer else None)
    losses = losses_of(model)
    weights = floats(balancer.backward(losses | {"a": 100 * losses["a"]}, model))
    assert weights["a"] > 0.9


@pytest.mark.parametrize("layer", [False, True])
def test_the_weights_are_equal_where_every_norm_is_0(layer):
    model = build()
    balancer = GradientNormWeights(model.last if layer else None)
    losses = {name: 0 * loss for name, loss in losses_of(model).items()}
    assert floats(balancer.backward(losses, model)) == pytest.approx(dict.fromkeys("abc", 1 / 3))


def test_the_weights_multiply_the_heads_too():
    model = build()
    losses = losses_of(model)
    head = model.heads["b"].weight
    (alone,) = torch.autograd.grad(losses["b"], head, retain_graph=True)
    weights = GradientNormWeights().backward(losses, model)
    assert torch.allclose(head.grad, weights["b"] * alone)
