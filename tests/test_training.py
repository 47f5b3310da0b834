from __future__ import annotations

import copy
import math
import os
import pickle

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from mtl_tutorial.architectures import HardSharing
from mtl_tutorial.balancing import FixedWeights, task_gradients
from mtl_tutorial.checkpoints import load_checkpoint, save_checkpoint
from mtl_tutorial.measuring import (
    GradientGeometry,
    Score,
    evaluate,
    evaluation_mode,
    gradient_geometry,
    layer_geometry,
)
from mtl_tutorial.tasks import Batch, Task, accuracy, task_losses
from mtl_tutorial.training import History, NonFiniteLossError, fit


def closeness(prediction, target):
    return 1 / (1 + F.mse_loss(prediction, target))


KIND = Task("kind", F.cross_entropy, accuracy, 3)
SIZE = Task("size", F.mse_loss, closeness, 1)
TASKS = (KIND, SIZE)


def build(seed=0, *, dropout=0.5):
    """A model with dropout, so that modes and random numbers matter."""
    torch.manual_seed(seed)
    encoder = nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Dropout(dropout))
    encoder.out_features = 4
    return HardSharing(encoder, TASKS)


def adam(model):
    return torch.optim.Adam(model.parameters(), lr=0.01)


def batches(count, seed=1):
    generator = torch.Generator().manual_seed(seed)
    for _ in range(count):
        inputs = torch.randn(8, 5, generator=generator)
        targets = {
            "kind": torch.randint(3, (8,), generator=generator),
            "size": torch.randn(8, 1, generator=generator),
        }
        yield Batch(inputs, targets)


def start(model, data, steps=100, *, tasks=TASKS, balancer=None):
    return fit(model, tasks, data, balancer or FixedWeights(), adam(model), steps)


def assert_same_state(one, other):
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


# fit


def test_fit_does_nothing_before_the_first_item_is_asked_for():
    pulled = []

    def data():
        for batch in batches(3):
            pulled.append(batch)
            yield batch

    model = build()
    before = copy.deepcopy(model.state_dict())
    steps = start(model, data())
    assert not pulled
    assert_same_state(before, model.state_dict())
    next(steps)
    assert len(pulled) == 1
    assert not torch.equal(before["encoder.0.weight"], model.state_dict()["encoder.0.weight"])


def test_fit_equals_a_loop_written_by_hand_to_the_last_bit():
    weights = {"kind": 0.3, "size": 2.0}
    mine = build()
    optimizer, losses = adam(mine), []
    mine.train()
    for batch in batches(7):
        outputs = mine(batch.inputs)
        kind = F.cross_entropy(outputs["kind"], batch.targets["kind"])
        size = F.mse_loss(outputs["size"], batch.targets["size"])
        optimizer.zero_grad()
        (0.3 * kind + 2.0 * size).backward()
        optimizer.step()
        losses.append({"kind": kind.item(), "size": size.item()})

    theirs = build()
    records = list(start(theirs, batches(7), balancer=FixedWeights(weights)))
    assert_same_state(mine.state_dict(), theirs.state_dict())
    assert [{n: v.item() for n, v in r.losses.items()} for r in records] == losses
    assert all(record.weights == weights for record in records)
    assert [record.step for record in records] == [1, 2, 3, 4, 5, 6, 7]


def test_fit_makes_as_many_steps_as_asked_for_and_takes_no_batch_more():
    data = batches(10)
    assert len(list(start(build(), data, 4))) == 4
    assert len(list(data)) == 6


def test_fit_makes_no_step_where_none_is_asked_for():
    data = batches(2)
    assert list(start(build(), data, 0)) == []
    assert len(list(data)) == 2


def test_fit_refuses_fewer_steps_than_none():
    with pytest.raises(ValueError, match="steps must be a whole number from 0 on, got -1"):
        next(start(build(), batches(2), -1))


def test_fit_ends_early_where_the_data_do():
    assert [record.step for record in start(build(), batches(3), 100)] == [1, 2, 3]


def test_fit_takes_tasks_from_an_iterator():
    records = list(start(build(), batches(3), tasks=iter(TASKS)))
    assert all(list(record.losses) == ["kind", "size"] for record in records)


@pytest.mark.parametrize("tasks", [(), (SIZE, KIND, SIZE)])
def test_fit_refuses_no_task_and_two_of_one_name(tasks):
    with pytest.raises(ValueError, match="tasks must be one or more with different names, got"):
        next(start(build(), batches(1), tasks=tasks))


def test_fit_may_train_some_of_the_tasks_of_a_model():
    model = build()
    before = copy.deepcopy(model.heads["kind"].state_dict())
    records = list(start(model, batches(3), tasks=(SIZE,)))
    assert all(list(record.losses) == ["size"] for record in records)
    assert_same_state(before, model.heads["kind"].state_dict())


def test_fit_trains_in_training_mode_whatever_the_caller_does_between_steps():
    undisturbed = build()
    list(start(undisturbed, batches(5)))
    disturbed = build()
    for _ in start(disturbed, batches(5)):
        disturbed.eval()
    assert_same_state(undisturbed.state_dict(), disturbed.state_dict())


def test_evaluating_between_steps_does_not_change_the_training():
    watched = build()
    validation = next(batches(1, seed=9))
    for _ in start(watched, batches(5)):
        evaluate(watched, TASKS, validation)
    alone = build()
    list(start(alone, batches(5)))
    assert_same_state(alone.state_dict(), watched.state_dict())


def test_a_weight_changed_between_steps_acts_on_the_next_step():
    balancer = FixedWeights({"kind": 1.0, "size": 1.0})
    steps = start(build(), batches(3), balancer=balancer)
    assert next(steps).weights["size"] == 1.0
    balancer.set_weight("size", 50.0)
    assert next(steps).weights["size"] == 50.0


def test_a_learning_rate_changed_between_steps_acts_on_the_next_step():
    model = build()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    steps = fit(model, TASKS, batches(3), FixedWeights(), optimizer, 3)
    next(steps)
    before = copy.deepcopy(dict(model.named_parameters()))
    optimizer.param_groups[0]["lr"] = 0.0
    next(steps)
    assert_same_state(before, dict(model.named_parameters()))


def test_fit_can_be_closed_midway_and_the_model_kept():
    model = build()
    steps = start(model, batches(10))
    next(steps)
    before = copy.deepcopy(model.state_dict())
    steps.close()
    assert list(steps) == []
    assert_same_state(before, model.state_dict())
    assert len(list(start(model, batches(2)))) == 2


def test_gradients_of_one_step_do_not_leak_into_the_next():
    model = build(dropout=0.0)
    for parameter in model.parameters():
        parameter.grad = torch.full_like(parameter, 1e3)
    fresh = build(dropout=0.0)
    next(start(model, batches(1)))
    next(start(fresh, batches(1)))
    assert_same_state(fresh.state_dict(), model.state_dict())


def test_losses_of_a_record_hold_no_graph():
    record = next(start(build(), batches(1)))
    assert not any(loss.requires_grad for loss in record.losses.values())


def spoiled(task, step, value):
    for number, batch in enumerate(batches(10), start=1):
        if number == step:
            batch.targets[task][0] = value
        yield batch


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("step", [1, 4])
def test_a_loss_that_is_not_finite_names_task_and_step_and_keeps_what_was(step, value):
    model, history = build(), History()
    before = copy.deepcopy(dict(model.named_parameters()))
    with pytest.raises(NonFiniteLossError, match=f"'size' became {value} at step {step}") as told:
        for record in start(model, spoiled("size", step, value)):
            history.append(record)
            before = copy.deepcopy(dict(model.named_parameters()))
    assert (told.value.task, told.value.step) == ("size", step)
    assert_same_state(before, dict(model.named_parameters()))
    assert all(parameter.isfinite().all() for parameter in model.parameters())
    assert len(history) == step - 1
    assert history.to_frame()["value"].notna().all()


def test_a_loss_of_a_weight_0_task_that_is_not_finite_is_named_too():
    balancer = FixedWeights({"kind": 1.0, "size": 0.0})
    with pytest.raises(NonFiniteLossError, match="'size' became nan at step 2"):
        list(start(build(), spoiled("size", 2, math.nan), balancer=balancer))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
@pytest.mark.parametrize("end", [{"steps": 6}, {"steps": 1000}], ids=["steps", "data"])
def test_on_a_gpu_a_loss_that_is_not_finite_is_named_at_the_end_at_the_latest(end):
    def on_gpu():
        for batch in spoiled("size", 5, math.nan):
            yield Batch(batch.inputs.cuda(), {n: t.cuda() for n, t in batch.targets.items()})

    with pytest.raises(NonFiniteLossError, match="'size' became nan at step 5"):
        list(start(build().cuda(), on_gpu(), **end))


def test_a_missing_target_names_the_task_and_trains_nothing():
    model = build()
    batch = next(batches(1))
    del batch.targets["size"]
    before = copy.deepcopy(dict(model.named_parameters()))
    with pytest.raises(ValueError, match="'size' has no target"):
        next(start(model, [batch]))
    assert_same_state(before, dict(model.named_parameters()))


def test_a_loss_that_is_not_a_scalar_names_the_task_and_trains_nothing():
    model = build()
    tasks = (KIND, Task("size", lambda p, t: (p - t) ** 2, closeness, 1))
    before = copy.deepcopy(dict(model.named_parameters()))
    with pytest.raises(ValueError, match="'size' must be a scalar"):
        next(start(model, batches(1), tasks=tasks))
    assert_same_state(before, dict(model.named_parameters()))


def test_a_missing_weight_trains_nothing():
    model = build()
    before = copy.deepcopy(dict(model.named_parameters()))
    with pytest.raises(ValueError, match="'size' has no weight"):
        next(start(model, batches(1), balancer=FixedWeights({"kind": 1.0})))
    assert_same_state(before, dict(model.named_parameters()))


# evaluate


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


def test_evaluate_names_the_task_without_a_target():
    batch = next(batches(1))
    del batch.targets["kind"]
    with pytest.raises(ValueError, match="'kind' has no target"):
        evaluate(build(), TASKS, batch)


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
    first, *others = model.shared_parameters()
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
    with pytest.raises(ValueError, match="all 4 shared parameters of HardSharing are frozen"):
        gradient_geometry(model, TASKS, batch)
    with pytest.raises(ValueError, match="none of the parameters is trained"):
        task_gradients({"kind": torch.ones((), requires_grad=True)}, model.shared_parameters())


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


# history


def test_a_history_is_a_tidy_table_of_what_happened():
    history, model = History(), build()
    validation = next(batches(1, seed=9))
    losses, scores = {}, {}
    for record in start(model, batches(4), balancer=FixedWeights({"kind": 1.0, "size": 2.0})):
        history.append(record)
        losses[record.step] = {name: loss.item() for name, loss in record.losses.items()}
        if record.step % 2 == 0:
            scores[record.step] = evaluate(model, TASKS, validation)
            history.add_scores(record.step, scores[record.step])
    frame = history.to_frame()
    assert len(history) == 4
    assert list(frame.columns) == ["step", "task", "quantity", "value"]
    assert not frame.duplicated(["step", "task", "quantity"]).any()
    table = frame.set_index(["step", "task", "quantity"])["value"].to_dict()
    expected = {}
    for step, by_task in losses.items():
        for name, loss in by_task.items():
            expected[step, name, "loss"] = loss
            expected[step, name, "weight"] = {"kind": 1.0, "size": 2.0}[name]
    for step, by_task in scores.items():
        for name, score in by_task.items():
            expected[step, name, "validation loss"] = score.loss
            expected[step, name, "validation metric"] = score.metric
    assert table == expected


def test_an_empty_history_is_an_empty_table_with_its_columns():
    frame = History().to_frame()
    assert frame.empty
    assert list(frame.columns) == ["step", "task", "quantity", "value"]


def test_a_history_of_scores_alone_is_a_table():
    history = History()
    history.add_scores(0, {"kind": Score(1.5, 0.25)})
    assert history.to_frame().values.tolist() == [
        [0, "kind", "validation loss", 1.5],
        [0, "kind", "validation metric", 0.25],
    ]


# checkpoints


def trained(steps=3):
    model, balancer = build(dropout=0.0), FixedWeights({"kind": 1.0, "size": 2.0})
    optimizer = adam(model)
    list(fit(model, TASKS, batches(steps), balancer, optimizer, steps))
    return {"model": model, "optimizer": optimizer, "balancer": balancer}


def fresh():
    model = build(seed=7, dropout=0.0)
    return {"model": model, "optimizer": adam(model), "balancer": FixedWeights()}


def go_on(parts):
    data = batches(3, seed=5)
    list(fit(parts["model"], TASKS, data, parts["balancer"], parts["optimizer"], 3))
    return parts["model"].state_dict()


def test_training_goes_on_from_a_checkpoint_to_the_last_bit(tmp_path):
    parts, loaded = trained(), fresh()
    save_checkpoint(tmp_path / "new" / "folder" / "run.pt", **parts)
    load_checkpoint(tmp_path / "new" / "folder" / "run.pt", **loaded)
    assert_same_state(go_on(parts), go_on(loaded))


def test_a_checkpoint_replaces_the_one_before_and_leaves_nothing_else(tmp_path):
    path = tmp_path / "run.pt"
    save_checkpoint(path, **trained(1))
    parts, loaded = trained(2), fresh()
    save_checkpoint(str(path), **parts)
    load_checkpoint(str(path), **loaded)
    assert_same_state(parts["model"].state_dict(), loaded["model"].state_dict())
    assert os.listdir(tmp_path) == ["run.pt"]


def test_some_of_the_parts_of_a_checkpoint_can_be_loaded(tmp_path):
    parts, loaded = trained(), fresh()
    save_checkpoint(tmp_path / "run.pt", **parts)
    load_checkpoint(tmp_path / "run.pt", model=loaded["model"])
    assert_same_state(parts["model"].state_dict(), loaded["model"].state_dict())


class Interrupted:
    """Its state is large, and then can't be written to the end."""

    def state_dict(self):
        return {"large": torch.zeros(100_000), "unwritable": lambda: None}


def test_a_write_that_is_interrupted_leaves_the_old_checkpoint_whole(tmp_path):
    parts, loaded = trained(), fresh()
    save_checkpoint(tmp_path / "run.pt", **parts)
    with pytest.raises((pickle.PicklingError, AttributeError)):
        save_checkpoint(tmp_path / "run.pt", **trained(2), more=Interrupted())
    load_checkpoint(tmp_path / "run.pt", **loaded)
    assert_same_state(parts["model"].state_dict(), loaded["model"].state_dict())
    assert os.listdir(tmp_path) == ["run.pt"]


def test_a_disk_that_is_full_leaves_the_old_checkpoint_whole(tmp_path):
    resource = pytest.importorskip("resource", reason="needs a limit on the size of files")
    parts, loaded = trained(), fresh()
    save_checkpoint(tmp_path / "run.pt", **parts)
    model = nn.Linear(1000, 1000)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, limits[1]))
    try:
        with pytest.raises(OSError, match="can't be written") as told:
            save_checkpoint(tmp_path / "run.pt", model=model)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert str(tmp_path) in str(told.value)
    load_checkpoint(tmp_path / "run.pt", **loaded)
    assert_same_state(parts["model"].state_dict(), loaded["model"].state_dict())
    assert os.listdir(tmp_path) == ["run.pt"]


def test_a_checkpoint_folder_that_cannot_be_written_is_named(tmp_path):
    in_the_way = tmp_path / "file"
    in_the_way.write_text("kept")
    with pytest.raises(OSError, match="can't be written") as told:
        save_checkpoint(in_the_way / "runs" / "run.pt", model=build())
    assert str(in_the_way / "runs") in str(told.value)
    assert in_the_way.read_text() == "kept"


@pytest.mark.parametrize("keep", [0, 10, 0.5, 0.99])
def test_a_damaged_checkpoint_is_named_and_changes_nothing(tmp_path, keep):
    path = tmp_path / "run.pt"
    save_checkpoint(path, **trained())
    content = path.read_bytes()
    path.write_bytes(content[: keep if isinstance(keep, int) else int(keep * len(content))])
    model = build()
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(ValueError, match="can't be read") as told:
        load_checkpoint(path, model=model)
    assert str(path) in str(told.value)
    assert_same_state(before, model.state_dict())


class Command:
    def __reduce__(self):
        return os.mkdir, ("made by a checkpoint",)


def test_a_checkpoint_cannot_run_code(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"model": Command()}, tmp_path / "run.pt")
    with pytest.raises(ValueError, match="can't be read"):
        load_checkpoint(tmp_path / "run.pt", model=build())
    assert os.listdir(tmp_path) == ["run.pt"]


def test_a_checkpoint_without_a_part_names_those_it_has_and_changes_nothing(tmp_path):
    save_checkpoint(tmp_path / "run.pt", model=trained()["model"])
    parts = fresh()
    before = copy.deepcopy(parts["model"].state_dict())
    with pytest.raises(ValueError, match=r"no state for 'optimizer', only for \['model'\]"):
        load_checkpoint(tmp_path / "run.pt", model=parts["model"], optimizer=parts["optimizer"])
    assert_same_state(before, parts["model"].state_dict())


def test_a_checkpoint_that_is_not_there_is_not_called_damaged(tmp_path):
    with pytest.raises(FileNotFoundError):
        load_checkpoint(tmp_path / "absent.pt", model=build())


def test_a_state_that_does_not_fit_leaves_every_part_as_it_was(tmp_path):
    path = tmp_path / "run.pt"
    save_checkpoint(path, first=nn.Linear(2, 2), second=nn.Linear(2, 2))
    first, second = nn.Linear(2, 2), nn.Linear(3, 2)
    before = first.weight.detach().clone()
    with pytest.raises(ValueError, match="does not fit 'second'") as caught:
        load_checkpoint(path, first=first, second=second)
    assert torch.equal(first.weight, before)
    assert "\n" not in str(caught.value)
