"""The training loop: what a step does, what it refuses, and what it leaves behind."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from balancing_cases import floats
from torch.nn import functional as F
from training_cases import (
    KIND,
    SIZE,
    TASKS,
    adam,
    assert_same_state,
    batches,
    build,
    closeness,
    start,
)

from mtl_tutorial.balancing import FixedWeights
from mtl_tutorial.measuring import Score, evaluate
from mtl_tutorial.tasks import Batch, Task
from mtl_tutorial.training import History, NonFiniteLossError, fit


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
    assert all(floats(record.weights) == pytest.approx(weights) for record in records)
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
    """Batches, one of which makes a loss that is not finite."""
    for number, batch in enumerate(batches(10), start=1):
        if number == step:
            batch.targets[task][0] = value
        yield Batch(batch.inputs, batch.targets, complete=True)


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


def test_a_task_without_a_label_in_any_step_is_named_and_not_trained():
    model = build()
    batch = next(batches(1))
    del batch.targets["size"]
    before = copy.deepcopy(dict(model.heads["size"].named_parameters(prefix="heads.size")))
    with pytest.raises(ValueError, match=r"'size' had no label in any of 1 steps.*\['kind'\]"):
        list(start(model, [batch]))
    assert_same_state(before, dict(model.heads["size"].named_parameters(prefix="heads.size")))


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


def test_a_batch_without_a_label_does_not_even_move_batch_statistics():
    model = torch.nn.Sequential(torch.nn.BatchNorm1d(2), torch.nn.Linear(2, 1))
    named = torch.nn.Module()
    named.inner = model
    named.forward = lambda inputs: {"size": model(inputs)}
    before = {name: value.clone() for name, value in model.state_dict().items()}
    task = Task("size", F.mse_loss, F.mse_loss, 1)
    unlabelled = Batch(torch.randn(4, 2), {"size": torch.full((4, 1), torch.nan)})
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    record = next(fit(named, (task,), [unlabelled], FixedWeights(), optimizer, 1))
    assert not record.losses and not record.weights
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
