"""What the losses reach: θ, what is a task's own, and how both are filled."""

from __future__ import annotations

import functools

import pytest
import torch
from balancing_cases import NAMES, Plain, Recurrent, Tied, build, losses_of
from torch import nn
from torch.utils.checkpoint import checkpoint

from mtl_tutorial.balancing import FixedWeights, PCGrad, pcgrad, shared_parameters, task_gradients
from mtl_tutorial.balancing.graph import add_gradient, reached, split_gradients


def trunk(model):
    return [*model.first.parameters(), *model.last.parameters()]


def names_of(parameters, model):
    named = {id(p): name for name, p in model.named_parameters()}
    return [named[id(p)] for p in parameters]


# θ


def test_theta_is_what_two_losses_reach():
    model = build()
    losses = losses_of(model)
    theta = shared_parameters(losses, model)
    assert names_of(theta, model) == ["first.weight", "first.bias", "last.weight", "last.bias"]
    assert names_of(shared_parameters(losses, nn.DataParallel(model)), model) == names_of(
        theta, model
    )
    sum(losses.values()).backward()  # the graph is still there


def test_a_tied_weight_belongs_to_theta_once():
    model = build(Tied)
    theta = names_of(shared_parameters(losses_of(model), model), model)
    assert theta == ["first.weight", "last.weight", "last.bias"]
    assert "first.weight" not in names_of(shared_parameters(losses_of(model, "a"), model), model)


def test_what_one_task_alone_or_nobody_reaches_is_not_in_theta():
    model = build()
    model.unused = nn.Linear(2, 2)
    model.first.weight.requires_grad_(False)
    theta = names_of(shared_parameters(losses_of(model, "ab"), model), model)
    assert theta == ["first.bias", "last.weight", "last.bias"]
    assert shared_parameters(losses_of(model, "b"), model) == []


def test_a_lazy_layer_that_was_not_called_belongs_to_nobody():
    model = build()
    model.unused = nn.LazyLinear(3)
    PCGrad().backward(losses_of(model), model)
    assert model.last.weight.grad is not None


def test_tasks_may_share_in_parts():
    a, b, c = (torch.ones((), requires_grad=True) for _ in range(3))
    model = nn.ParameterList(map(nn.Parameter, (a, b, c)))
    a, b, c = model
    losses = {"one": a * b, "two": b * c, "three": c * c}
    assert [p is q for p, q in zip(shared_parameters(losses, model), (b, c), strict=True)]
    balancer = PCGrad(torch.Generator())
    balancer.backward({"one": -a * b, "two": b * c, "three": c * c * 1}, model)
    assert a.grad == -1  # the first task's own


class Together(torch.autograd.Function):
    """Two layers in one function, as compiled code is: gradients of 0 where there are none."""

    @staticmethod
    def forward(context, x, first, second):
        context.save_for_backward(x, first, second)
        return x @ first, x @ second

    @staticmethod
    def backward(context, one, other):
        x, first, second = context.saved_tensors
        return one @ first.T + other @ second.T, x.T @ one, x.T @ other


class Opaque(nn.Module):
    """A trunk, and two heads that one function computes together."""

    def __init__(self, together):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.trunk, self.one, self.other = (
            nn.Parameter(torch.randn(3, 3, generator=generator)) for _ in range(3)
        )
        self.other.data.lerp_(self.one, 0.8)  # so that the tasks are in conflict
        self.function = Together.apply if together else lambda x, *heads: [x @ h for h in heads]

    def forward(self, x):
        return self.function(torch.tanh(x @ self.trunk), self.one, self.other)


def opaque_losses(model):
    x = torch.randn(4, 3, generator=torch.Generator().manual_seed(1))
    one, other = model(x)
    return {"one": one.square().mean(), "other": -other.square().mean()}


def test_a_function_that_gives_zeros_does_not_make_heads_shared():
    plain, together = Opaque(False), Opaque(True)
    for model in (plain, together):
        losses = opaque_losses(model)
        assert names_of(shared_parameters(losses, model), model) == ["trunk"]
        weights = PCGrad().backward(losses, model)
        assert all(weight > 1 for weight in weights.values())  # they are in conflict
    for p, q in zip(plain.parameters(), together.parameters(), strict=True):
        assert torch.allclose(p.grad, q.grad, atol=1e-6)


def test_a_graph_of_ten_thousand_functions_is_walked():
    parameter = torch.ones((), requires_grad=True)
    loss = functools.reduce(lambda total, _: total * 1.0, range(10_000), parameter)
    found = reached([loss])
    assert found.leaves[0] is parameter
    assert len(found.leaves) == 1
    assert not found.opaque


def test_a_task_that_shares_nothing_with_the_others_is_named():
    model = build()
    losses = losses_of(model) | {"c": model.heads["c"].weight.sum()}
    with pytest.raises(ValueError, match=r"task 'c' shares no trained parameter with another"):
        split_gradients(losses, model)


# Jacobians


def test_a_task_gradient_is_its_row_of_the_jacobian():
    model = build()
    losses = losses_of(model)
    jacobian = task_gradients(losses, trunk(model))
    assert jacobian.shape == (3, sum(p.numel() for p in trunk(model)))
    for row, loss in zip(jacobian, losses.values(), strict=True):
        model.zero_grad()
        loss.backward(retain_graph=True)
        assert torch.equal(row, torch.cat([p.grad.flatten() for p in trunk(model)]))


def test_a_parameter_that_a_task_does_not_use_has_gradient_0_in_its_row():
    used, unused = torch.ones(2, requires_grad=True), torch.ones(3, requires_grad=True)
    losses = {"a": used.sum(), "b": used.sum() + unused.sum()}
    assert task_gradients(losses, [used, unused]).tolist() == [[1, 1, 0, 0, 0], [1, 1, 1, 1, 1]]


def test_a_loss_that_does_not_reach_the_parameters_is_named():
    used, unused = torch.ones(2, requires_grad=True), torch.ones(3, requires_grad=True)
    with pytest.raises(ValueError, match="'b' does not reach the parameters"):
        task_gradients({"a": used.sum(), "b": unused.sum()}, [used])


def test_frozen_parameters_have_no_column_and_some_must_be_trained():
    model = build()
    first, *others = trunk(model)
    whole = task_gradients(losses_of(model), others)
    first.requires_grad_(False)
    assert torch.equal(task_gradients(losses_of(model), [first, *others]), whole)
    with pytest.raises(ValueError, match="none of the parameters is trained; unfreeze one"):
        task_gradients(losses_of(model), [first])


def test_task_gradients_leave_gradients_and_graph_for_a_backward_pass():
    model = build()
    losses = losses_of(model)
    task_gradients(losses, trunk(model))
    assert all(p.grad is None for p in model.parameters())
    FixedWeights().backward(losses, model)
    assert all(p.grad is not None for p in model.parameters())


def test_a_loss_without_a_graph_is_named():
    model = build()
    losses = losses_of(model)
    losses["b"] = losses["b"].detach()
    with pytest.raises(ValueError, match="'b' depends on no trained parameter"):
        task_gradients(losses, trunk(model))


def test_half_precision_gives_a_jacobian_of_single_precision():
    model = build(dtype=torch.bfloat16)
    assert task_gradients(losses_of(model), trunk(model)).dtype == torch.float32


def test_layers_of_several_precisions_make_one_jacobian_and_keep_theirs():
    model = build()
    model.first.double()
    model.forward = lambda x: {
        name: head(torch.tanh(model.last(torch.tanh(model.first(x.double())).float())))
        for name, head in model.heads.items()
    }
    losses = {name: y.square().mean() for name, y in model(torch.ones(2, 5)).items()}
    PCGrad(torch.Generator()).backward(losses, model)
    assert model.first.weight.grad.dtype == torch.float64
    assert model.last.weight.grad.dtype == torch.float32


# Filling


def summed(model):
    """A task of its own adds two of its parameters, so that autograd gives both one gradient."""
    one, other = model.heads["c"].weight, model.extra
    return losses_of(model, "ab") | {"c": losses_of(model, "c")["c"] + (one + other).sum()}


def test_two_parameters_never_get_one_gradient_in_common():
    model = build()
    model.extra = nn.Parameter(torch.zeros_like(model.heads["c"].weight))
    PCGrad(torch.Generator()).backward(summed(model), model)
    before = model.heads["c"].weight.grad.clone()
    model.extra.grad.mul_(7)  # as clipping does
    assert torch.equal(model.heads["c"].weight.grad, before)
    assert model.extra.grad.unique().tolist() == [7]


def test_a_gradient_that_autograd_expands_can_be_clipped():
    model = build()
    model.extra = nn.Parameter(torch.zeros(3, 4))
    losses = losses_of(model)
    losses["c"] = losses["c"] + model.extra.sum()
    PCGrad(torch.Generator()).backward(losses, model)
    nn.utils.clip_grad_norm_(model.parameters(), 1e-3)
    torch.optim.SGD(model.parameters(), lr=1.0, momentum=0.9).step()
    assert len(model.extra.unique()) == 1


def test_the_gradient_of_a_transposed_leaf_is_laid_out_like_it():
    leaf = nn.Parameter(torch.ones(2, 3).t())
    add_gradient(leaf, torch.arange(6.0).view(3, 2))
    assert leaf.grad.stride() == leaf.stride()
    assert leaf.grad.tolist() == [[0, 1], [2, 3], [4, 5]]


@pytest.mark.parametrize("order", ["sparse then dense", "dense then sparse", "sparse twice"])
def test_sparse_and_dense_gradients_add_up(order):
    leaf = nn.Parameter(torch.zeros(3))
    sparse, dense = torch.tensor([0.0, 2.0, 0.0]).to_sparse(), torch.ones(3)
    parts = {"sparse then dense": (sparse, dense), "dense then sparse": (dense, sparse)}
    for part in parts.get(order, (sparse, sparse)):
        add_gradient(leaf, part.clone())
    expected = [0, 4, 0] if order == "sparse twice" else [1, 3, 1]
    assert leaf.grad.to_dense().tolist() == expected


def test_a_hook_may_step_and_clear_each_parameter_as_its_gradient_comes():
    """Optimizers inside of the backward pass are built on these hooks."""
    model, plain = build(), build()
    rate = 0.1
    for parameter in model.parameters():
        optimizer = torch.optim.SGD([parameter], lr=rate)

        def hook(parameter, optimizer=optimizer):
            optimizer.step()
            optimizer.zero_grad()

        parameter.register_post_accumulate_grad_hook(hook)
    PCGrad(torch.Generator().manual_seed(0)).backward(losses_of(model), model)
    PCGrad(torch.Generator().manual_seed(0)).backward(losses_of(plain), plain)
    for p, q in zip(model.parameters(), plain.parameters(), strict=True):
        assert p.grad is None
        assert torch.allclose(p, q - rate * q.grad)


class Checkpointed(Plain):
    """A trunk that is computed again in every backward pass."""

    reentrant = False

    def features(self, x):
        features = super().features
        return checkpoint(features, x.requires_grad_(), use_reentrant=self.reentrant)


def test_a_checkpointed_model_gets_the_gradients_of_a_plain_one():
    torch.manual_seed(0)
    model = Checkpointed(NAMES)
    x = torch.randn(8, 5)

    def losses(forward):
        return {name: y.square().mean() - i * y.mean() for i, (name, y) in enumerate(forward)}

    PCGrad(torch.Generator().manual_seed(0)).backward(losses(model(x.clone()).items()), model)
    found = [p.grad.clone() for p in model.parameters()]
    model.zero_grad()
    plain = Plain.features(model, x)
    outputs = {name: head(plain) for name, head in model.heads.items()}
    PCGrad(torch.Generator().manual_seed(0)).backward(losses(outputs.items()), model)
    assert all(map(torch.allclose, found, [p.grad for p in model.parameters()]))
    model.reentrant = True
    with pytest.raises(ValueError, match="use_reentrant=True, which gives no gradients task by"):
        PCGrad().backward(losses(model(x.clone()).items()), model)


def test_losses_whose_graph_is_gone_are_explained():
    model = build()
    losses = losses_of(model)
    PCGrad().backward(losses, model)
    with pytest.raises(ValueError, match="graph of the losses is gone after one backward pass"):
        PCGrad().backward(losses, model)


@pytest.mark.parametrize("model", [None, Plain, [nn.Parameter(torch.ones(2))]])
def test_what_is_no_model_is_refused(model):
    with pytest.raises(ValueError, match="model must be the torch module that the losses"):
        PCGrad().backward(losses_of(build()), model)


def test_the_gradient_of_theta_is_the_pure_functions():
    model = build(Recurrent, "ab")
    losses = losses_of(model, "ab")
    jacobian = task_gradients(losses, model.last.parameters())
    PCGrad().backward(losses, model)
    found = torch.cat([p.grad.flatten() for p in model.last.parameters()])
    assert torch.allclose(found, pcgrad(jacobian), atol=1e-6)


def test_another_model_than_that_of_the_losses_is_named():
    words = r"reach no trained parameter of this Plain; give the model that they were computed with"
    with pytest.raises(ValueError, match=words):
        PCGrad().backward(losses_of(build()), build())


def test_another_model_than_that_of_the_losses_is_pointed_out():
    model = build()
    average = torch.optim.swa_utils.AveragedModel(model)
    words = r"the losses \['a', 'b', 'c'\] reach no trained parameter of this AveragedModel; give"
    with pytest.raises(ValueError, match=words):
        PCGrad().backward(losses_of(model), average)


def test_what_is_frozen_after_the_forward_pass_gets_no_gradient():
    model = build()
    losses = losses_of(model)
    model.first.requires_grad_(False)
    PCGrad(torch.Generator()).backward(losses, model)
    assert model.first.weight.grad is None
    assert model.last.weight.grad is not None


def test_a_lazy_layer_that_was_never_used_is_passed_over():
    model = build()
    model.spare = nn.LazyLinear(3)
    PCGrad(torch.Generator()).backward(losses_of(model), model)
    assert model.first.weight.grad is not None


def test_a_hook_of_a_module_does_not_change_the_gradient():
    model, plain = build(), build()
    seen = []
    model.last.register_full_backward_pre_hook(lambda module, outer: seen.append(outer))
    for network in (model, plain):
        PCGrad(torch.Generator().manual_seed(0)).backward(losses_of(network), network)
    assert len(seen) == len(NAMES)  # one pass a task
    for p, q in zip(model.parameters(), plain.parameters(), strict=True):
        assert torch.allclose(p.grad, q.grad, atol=1e-6)


def test_one_tensor_may_be_the_loss_of_two_tasks():
    model = build()
    loss = losses_of(model, "a")["a"]
    (expected,) = torch.autograd.grad(loss, model.first.weight, retain_graph=True)
    PCGrad().backward({"a": loss, "b": loss}, model)
    assert torch.allclose(model.first.weight.grad, 2 * expected)
