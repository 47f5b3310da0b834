"""The last shared layer, and the norms of its gradients."""

from __future__ import annotations

import pytest
import torch
from balancing_cases import Plain, Recurrent, build, losses_of, matrix
from torch import nn

from mtl_tutorial.architectures import ConvEncoder, HardSharing
from mtl_tutorial.balancing.layers import last_shared_layer, layer_gradient_norms
from mtl_tutorial.tasks import Task, accuracy

TASKS = [Task("digit", nn.CrossEntropyLoss(), accuracy, 10)]


def by_autograd(losses, weights):
    rows = [torch.autograd.grad(loss, weights, retain_graph=True) for loss in losses.values()]
    return [torch.cat([g.flatten() for g in row]).norm().item() for row in rows]


@pytest.mark.parametrize("network", [Plain, Recurrent])
def test_the_norms_are_over_the_matrices_of_the_layer_and_leave_the_graph(network):
    model = build(network)
    losses = losses_of(model)
    matrices = [p for p in model.last.parameters() if p.ndim > 1]
    found = layer_gradient_norms(losses, model, model.last)
    assert found.tolist() == pytest.approx(by_autograd(losses, matrices))
    one = layer_gradient_norms(losses, model, matrix(model.last))
    assert one.tolist() == pytest.approx(by_autograd(losses, [matrix(model.last)]))
    sum(losses.values()).backward()


def test_a_parameter_may_be_any_even_a_vector():
    model = build()
    losses = losses_of(model)
    found = layer_gradient_norms(losses, model, model.last.bias)
    assert found.tolist() == pytest.approx(by_autograd(losses, [model.last.bias]))


def test_a_layer_that_says_which_it_is_need_not_be_named():
    model = build()
    model.last_shared_layer = lambda: model.last
    losses = losses_of(model)
    named = layer_gradient_norms(losses, model, model.last)
    assert torch.equal(layer_gradient_norms(losses, model), named)
    assert torch.equal(layer_gradient_norms(losses, nn.DataParallel(model)), named)


def test_the_last_shared_layer_is_found_behind_wrappers():
    model = HardSharing(ConvEncoder(2), TASKS)
    layer = model.last_shared_layer()
    assert last_shared_layer(model) is layer
    assert last_shared_layer(nn.DataParallel(model)) is layer
    assert last_shared_layer(torch.compile(model)) is layer


@pytest.mark.parametrize("unit", [1e-30, 1e-20, 1e18])
def test_norms_whose_squares_leave_the_range_are_right(unit):
    model = build()
    plain = layer_gradient_norms(losses_of(model), model, model.last)
    small = layer_gradient_norms(losses_of(model, scale=unit), model, model.last)
    assert (small / unit).tolist() == pytest.approx(plain.tolist(), rel=1e-4)


def test_the_norms_are_without_the_scale():
    model = build()
    plain, scaled = (
        layer_gradient_norms(losses_of(model), model, model.last, scale) for scale in (None, 4096.0)
    )
    assert torch.equal(plain, scaled)


def test_a_sparse_embedding_may_be_the_layer():
    model = nn.Embedding(5, 3, sparse=True)
    z = model(torch.tensor([1, 1, 2])).sum(0)
    losses = {"a": z[0], "b": z.sum()}
    found = layer_gradient_norms(losses, model, model)
    assert found.tolist() == pytest.approx([5**0.5, 15**0.5])


def frozen(model):
    model.last.requires_grad_(False)
    return model.last


@pytest.mark.parametrize(
    ("choose", "words"),
    [
        (lambda model: None, r"Plain does not say which layer.*layer=model\.encoder\[-1\]"),
        (lambda model: "last", "layer must be a module or a parameter, got 'last'"),
        (lambda model: nn.Linear, "layer must be a module or a parameter, got <class"),
        (lambda model: nn.ReLU(), "ReLU, has no weight matrix or kernel; name a layer"),
        (lambda model: nn.BatchNorm1d(3), "has no weight matrix"),
        (frozen, "the last shared layer of Plain, Linear, is frozen; unfreeze it"),
        (lambda model: frozen(model).weight, "the parameter given by layer= is frozen"),
        (lambda model: nn.Linear(2, 2), "loss of task 'a' does not reach the last shared layer"),
        (lambda model: model.heads["a"], "loss of task 'b' does not reach the last shared layer"),
    ],
)
def test_a_layer_that_cannot_be_used_is_refused(choose, words):
    model = build()
    layer = choose(model)
    with pytest.raises(ValueError, match=words):
        layer_gradient_norms(losses_of(model), model, layer)
