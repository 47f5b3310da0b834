"""Scores, and the geometry of gradients."""

from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint
from training_cases import KIND, TASKS, assert_same_state, batches, build, start

from mtl_tutorial.balancing import task_gradients
from mtl_tutorial.measuring import (
    GradientGeometry,
    count_operations,
    count_parameters,
    evaluate,
    evaluation_mode,
    gradient_geometry,
    layer_geometry,
)
from mtl_tutorial.tasks import Batch, Task, map_batches, task_losses


@pytest.mark.parametrize("training", [True, False])
def test_evaluate_leaves_the_model_as_it_was(training):
    model = build().train(training)
    model.heads["size"].train(not training)
    modes = [module.training for module in model.modules()]
    before = copy.deepcopy(model.state_dict())
    evaluate(model, TASKS, next(batches(1)))
    assert [module.training for module in model.modules()] == modes
    assert_same_state(before, model.state_dict())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_evaluate_restores_the_mode_when_the_model_fails():
    model = build().train()
    with pytest.raises(RuntimeError):
        evaluate(model, TASKS, Batch(torch.zeros(2, 99), next(batches(1)).targets))
    assert all(module.training for module in model.modules())


def test_evaluate_switches_dropout_off():
    model, batch = build(), next(batches(1))
    model.train()
    assert evaluate(model, TASKS, batch) == evaluate(model, TASKS, batch)
    model.eval()
    outputs = model(batch.inputs)
    scores = evaluate(model, TASKS, batch)
    for task in TASKS:
        output, target = outputs[task.name], batch.targets[task.name]
        assert scores[task.name].loss == task.loss(output, target).item()
        assert scores[task.name].metric == task.metric(output, target).item()


def test_evaluate_leaves_out_a_task_without_a_target():
    batch = next(batches(1))
    whole = evaluate(build(), TASKS, batch)
    del batch.targets["kind"]
    assert evaluate(build(), TASKS, batch) == {"size": whole["size"]}


# gradient geometry


def test_gradient_geometry_equals_gradients_found_one_by_one():
    model, batch = build().eval(), next(batches(1))
    weights = {"kind": 0.5, "size": 3.0}
    gradients = {}
    for task in TASKS:
        model.zero_grad()
        task.loss(model(batch.inputs)[task.name], batch.targets[task.name]).backward()
        gradients[task.name] = torch.cat([p.grad.flatten() for p in model.encoder.parameters()])
    geometry = gradient_geometry(model, TASKS, batch, weights)
    norms = {name: weights[name] * gradient.norm().item() for name, gradient in gradients.items()}
    cosine = F.cosine_similarity(gradients["kind"], gradients["size"], dim=0).item()
    assert geometry.norms == pytest.approx(norms, rel=1e-5)
    assert geometry.cosines.flatten().tolist() == pytest.approx([1, cosine, cosine, 1], abs=1e-5)
    assert geometry.shares["size"] == pytest.approx(norms["size"] / sum(norms.values()), rel=1e-5)


def test_gradient_geometry_without_weights_counts_every_task_once():
    model, batch = build(dropout=0.0), next(batches(1))
    plain = gradient_geometry(model, TASKS, batch)
    ones = gradient_geometry(model, TASKS, batch, {"kind": 1.0, "size": 1.0})
    assert plain.norms == ones.norms


def test_a_measurement_of_gradients_changes_nothing():
    model, batch = build().train(), next(batches(1))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    random_state = torch.get_rng_state()
    gradient_geometry(model, TASKS, batch)
    assert all(module.training for module in model.modules())
    assert torch.equal(torch.get_rng_state(), random_state)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_geometry_is_that_of_the_parameters_that_are_not_frozen():
    model, batch = build(), next(batches(1))
    first, *others = model.encoder.parameters()
    first.requires_grad_(False)
    with evaluation_mode(model):
        losses = task_losses(model(batch.inputs), batch.targets, TASKS)
    jacobian = task_gradients(losses, others)
    norms = dict(zip(losses, jacobian.norm(dim=1).tolist(), strict=True))
    assert torch.equal(task_gradients(losses, [first, *others]), jacobian)
    assert gradient_geometry(model, TASKS, batch).norms == pytest.approx(norms)
    geometry = layer_geometry(model, TASKS, batch)
    assert geometry.norms == pytest.approx(norms)
    assert set(geometry.cosines["kind, size"]) == {"all"}  # the only matrix is frozen


def test_geometry_of_a_frozen_encoder_is_refused():
    model, batch = build(), next(batches(1))
    model.encoder.requires_grad_(False)
    with pytest.raises(ValueError, match=r"of HardSharing \(4 of its 8 parameters are frozen\)"):
        gradient_geometry(model, TASKS, batch)
    with pytest.raises(ValueError, match="none of the parameters is trained"):
        task_gradients({"kind": torch.ones((), requires_grad=True)}, model.encoder.parameters())


def test_layers_of_one_task_alone_are_refused():
    with pytest.raises(ValueError, match=r"tasks must be two or more .*, got \['kind'\]"):
        layer_geometry(build(), iter([KIND]), next(batches(1)))


def test_gradient_geometry_leaves_gradients_alone():
    model = build()
    next(start(model, batches(1)))
    before = [p.grad.clone() for p in model.parameters()]
    gradient_geometry(model, TASKS, next(batches(1)))
    after = [p.grad for p in model.parameters()]
    assert all(torch.equal(b, a) for b, a in zip(before, after, strict=True))


def test_a_gradient_of_zero_has_cosine_0_with_all_and_no_share():
    model, batch = build(dropout=0.0), next(batches(1))
    nn.init.zeros_(model.heads["size"].weight)  # then no gradient reaches the encoder
    geometry = gradient_geometry(model, TASKS, batch)
    assert geometry.norms["size"] == 0
    assert geometry.cosines.tolist()[1] == [0, 0]
    assert geometry.shares == {"kind": 1.0, "size": 0.0}


def test_shares_are_equal_where_all_gradients_are_zero():
    geometry = GradientGeometry({"a": 0.0, "b": 0.0, "c": 0.0, "d": 0.0}, torch.zeros(4, 4))
    assert geometry.shares == {"a": 0.25, "b": 0.25, "c": 0.25, "d": 0.25}


@settings(deadline=None)
@given(st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=5))
def test_shares_are_in_proportion_to_the_norms_and_sum_to_1(norms):
    names = [f"task{i}" for i in range(len(norms))]
    shares = GradientGeometry(dict(zip(names, norms, strict=True)), torch.eye(len(norms))).shares
    assert sum(shares.values()) == pytest.approx(1)
    assert list(shares.values()) == pytest.approx([norm / sum(norms) for norm in norms])


@pytest.mark.parametrize("unit", [1e-25, 1e-12, 1.0, 1e15])
def test_the_unit_of_the_losses_does_not_turn_a_cosine(unit):
    def small(loss):
        return lambda prediction, target: unit * loss(prediction, target)

    model, batch = build(dropout=0.0), next(batches(1))
    tasks = [Task(task.name, small(task.loss), task.metric, task.out_features) for task in TASKS]
    expected = layer_geometry(model, TASKS, batch)
    found = layer_geometry(model, tasks, batch)
    for name, cosine in expected.cosines["kind, size"].items():
        assert found.cosines["kind, size"][name] == pytest.approx(cosine, abs=1e-3)
    for name, norm in expected.norms.items():
        assert found.norms[name] == pytest.approx(unit * norm, rel=1e-3)
    cosines = gradient_geometry(model, tasks, batch).cosines
    assert torch.allclose(cosines, gradient_geometry(model, TASKS, batch).cosines, atol=1e-3)


# Labels that are missing


def half_labelled(batch):
    """The batch without labels for its first five examples; the first three, the others."""
    targets = {name: target.clone() for name, target in batch.targets.items()}
    targets["kind"][:5] = -100
    targets["size"][:3] = torch.nan
    return Batch(batch.inputs, targets)


def test_scores_are_over_the_examples_that_have_a_label():
    model, batch = build(), next(batches(1))
    scores = evaluate(model, TASKS, half_labelled(batch))
    for task, missing in zip(TASKS, (5, 3), strict=True):
        rest = map_batches(lambda tensor, missing=missing: tensor[missing:], batch)
        alone = evaluate(model, [task], rest)[task.name]
        assert scores[task.name].loss == pytest.approx(alone.loss)
        assert scores[task.name].metric == pytest.approx(alone.metric)


def test_tasks_without_any_label_have_no_score():
    batch = next(batches(1))
    batch.targets["kind"][:] = -100
    assert list(evaluate(build(), TASKS, batch)) == ["size"]
    batch.targets["size"][:] = torch.nan
    assert evaluate(build(), TASKS, batch) == {}


def test_geometry_is_that_of_the_tasks_and_examples_that_have_labels():
    model, batch = build(dropout=0.0), next(batches(1))
    geometry = gradient_geometry(model, TASKS, half_labelled(batch))
    rest = map_batches(lambda tensor: tensor[5:], batch)
    alone = gradient_geometry(model, [KIND], rest)
    del batch.targets["size"]
    assert list(gradient_geometry(model, TASKS, batch).norms) == ["kind"]
    with pytest.raises(ValueError, match="only task 'kind' has a label in this batch"):
        layer_geometry(model, TASKS, batch)
    assert geometry.norms["kind"] < alone.norms["kind"]  # which has the head, too
    batch.targets["kind"][:] = -100
    with pytest.raises(ValueError, match=r"no task has a label in this batch, which has labels fo"):
        gradient_geometry(model, TASKS, batch)


@pytest.mark.parametrize("model", [nn.Linear(5, 3), nn.Sequential(nn.Linear(5, 3))])
def test_a_model_that_gives_one_tensor_for_all_is_refused(model):
    words = "model must give predictions in a dict by task name, got a Tensor"
    with pytest.raises(ValueError, match=words):
        evaluate(model, TASKS, next(batches(1)))


def test_layers_of_a_batch_with_labels_of_one_task_are_refused():
    batch = next(batches(1))
    del batch.targets["size"]
    with pytest.raises(ValueError, match="only task 'kind' has a label.*labels of two tasks"):
        layer_geometry(build(), TASKS, batch)


def test_a_weight_of_no_task_and_a_task_that_stands_twice_are_refused():
    model, batch = build(), next(batches(1))
    with pytest.raises(ValueError, match=r"weight for 'sise', but the tasks are \['kind', 'size'"):
        gradient_geometry(model, TASKS, batch, {"sise": 2.0})
    for measure in (gradient_geometry, layer_geometry, lambda m, t, b: evaluate(m, t, b)):
        with pytest.raises(ValueError, match=r"different names, got \['kind', 'kind'\]"):
            measure(model, (KIND, KIND), batch)


def test_layers_of_a_compiled_model_are_those_that_two_tasks_use():
    torch._dynamo.reset()
    model, batch = build(), next(batches(1))
    plain = layer_geometry(model, TASKS, batch)
    compiled = layer_geometry(torch.compile(model, backend="aot_eager"), TASKS, batch)
    assert [*compiled.cosines["kind, size"]] == ["_orig_mod.encoder.0", "all"]
    assert [*compiled.cosines["kind, size"].values()] == pytest.approx(
        [*plain.cosines["kind, size"].values()], abs=1e-5
    )


class Checkpointed(nn.Module):
    """Its trunk runs again in the backward pass."""

    def __init__(self):
        super().__init__()
        self.within = build()

    def forward(self, x):
        z = checkpoint(self.within.encoder, x, use_reentrant=False)
        return {name: head(z) for name, head in self.within.heads.items()}


def test_a_part_that_runs_again_does_so_in_evaluation_mode():
    model, batch = Checkpointed().train(), next(batches(1))
    before = copy.deepcopy(model.state_dict())
    expected = gradient_geometry(model.within, TASKS, batch)
    assert gradient_geometry(model, TASKS, batch).norms == pytest.approx(expected.norms)
    layer_geometry(model, TASKS, batch)
    assert_same_state(before, model.state_dict())


def test_operations_are_two_for_each_weight_and_row_and_three_times_as_many_with_gradients():
    class OneLayer(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(5, 3)

        def forward(self, x):
            return {"a": self.layer(x)}

    model, x = OneLayer(), torch.zeros(7, 5)
    assert count_parameters(model) == 5 * 3 + 3
    assert count_operations(model, x) == 2 * 7 * 5 * 3
    x.requires_grad_()
    assert count_operations(model, x, backward=True) == 3 * 2 * 7 * 5 * 3
    assert model.layer.weight.grad is None


def test_a_count_of_operations_leaves_the_statistics_of_batch_norm_as_they_were():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)).train()
    before = copy.deepcopy(model.state_dict())
    assert count_operations(model, torch.rand(4, 1, 5, 5)) == 2 * 4 * 2 * 9 * 9
    assert_same_state(before, model.state_dict())
