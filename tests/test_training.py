"""The training loop: what a step does, what it refuses, and what it leaves behind."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from balancing_cases import floats
from torch import nn
from torch.nn import functional as F
from torchjd import scalarization
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

from mtl_tutorial.architectures import HardSharing
from mtl_tutorial.balancing import (
    MGDA,
    Balancer,
    DynamicWeightAverage,
    FixedWeights,
    FromTorchJD,
    GradientNormWeights,
    GradNorm,
    PCGrad,
)
from mtl_tutorial.measuring import Score, evaluate
from mtl_tutorial.tasks import Batch, Task, map_batches
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
            yield map_batches(lambda tensor: tensor.cuda(), batch)

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


# Labels that are missing


def without(batch, **rows):
    """A batch without labels for some rows of some tasks."""
    targets = {name: target.clone() for name, target in batch.targets.items()}
    for name, row in rows.items():
        targets[name][row] = torch.nan if targets[name].is_floating_point() else -100
    return Batch(batch.inputs, targets)


ALL = slice(None)


@pytest.mark.parametrize("balancer", [FixedWeights, PCGrad, lambda: GradNorm(learning_rate=0.1)])
def test_a_task_sits_out_a_step_in_which_it_has_no_label(balancer):
    first, second, third = batches(3)
    data = [first, without(second, kind=ALL), Batch(third.inputs, {"kind": third.targets["kind"]})]
    model, optimizer = build(), None
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    records = []
    for record in fit(model, TASKS, data, balancer(), optimizer, 3):
        records.append(record)
        if record.step == 1:
            before = copy.deepcopy(model.heads["kind"].state_dict())
        if record.step == 2:
            assert_same_state(before, model.heads["kind"].state_dict())
    assert [list(record.losses) for record in records] == [["kind", "size"], ["size"], ["kind"]]
    assert [list(record.weights) for record in records] == [["kind", "size"], ["size"], ["kind"]]


def test_examples_without_a_label_teach_nothing():
    """Whatever stands in their inputs, as long as nothing mixes the examples of a batch."""
    batch, ends = next(batches(1)), []
    for noise in (0, 100):
        torch.manual_seed(0)
        encoder = nn.Linear(5, 4)
        encoder.out_features = 4
        model = HardSharing(encoder, TASKS)
        spoilt = without(batch, kind=slice(2), size=slice(2))
        spoilt.inputs[:2] += noise
        list(fit(model, TASKS, [spoilt] * 3, PCGrad(), adam(model), 3))
        ends.append(model.state_dict())
    assert_same_state(*ends)


@pytest.mark.parametrize(
    "empty", [lambda b: without(b, kind=ALL, size=ALL), lambda b: Batch(b.inputs, {})]
)
def test_a_batch_without_any_label_counts_as_a_step_and_changes_nothing(empty):
    first, second, third = batches(3)
    model, balancer = build(), DynamicWeightAverage(2)
    optimizer = adam(model)
    steps = fit(model, TASKS, [first, empty(second), third], balancer, optimizer, 3)
    next(steps)
    before = copy.deepcopy((model.state_dict(), optimizer.state_dict(), balancer.state_dict()))
    chance = torch.get_rng_state()
    record = next(steps)
    after = (model.state_dict(), optimizer.state_dict(), balancer.state_dict())
    assert (record.step, record.losses, record.weights) == (2, {}, {})
    assert repr(after) == repr(before)
    assert_same_state(before[0], model.state_dict())
    assert torch.equal(torch.get_rng_state(), chance)
    assert list(next(steps).losses) == ["kind", "size"]


def test_no_label_in_any_step_is_one_sentence():
    data = [without(batch, kind=ALL, size=ALL) for batch in batches(2)]
    words = r"'kind' had no label in any of 2 steps, and was not trained; .*not all NaN or -100"
    with pytest.raises(ValueError, match=words):
        list(start(build(), data))


def test_labels_under_a_misspelled_name_are_pointed_to_at_once():
    batch = next(batches(1))
    targets = {"kind": batch.targets["kind"], "sise": batch.targets["size"]}
    for given in (targets, {"sise": targets["sise"]}):
        with pytest.raises(ValueError, match="'size' has no label in this batch, .* 'sise'; give"):
            next(start(build(), [Batch(batch.inputs, given)]))


def test_data_sets_of_a_task_each_may_take_turns():
    def turns():
        for number, batch in enumerate(batches(20)):
            name = ("kind", "size")[number % 2]
            yield Batch(batch.inputs, {name: batch.targets[name]})

    history, model = History(), build()
    for record in start(model, turns(), balancer=DynamicWeightAverage(4)):
        history.append(record)
    frame = history.to_frame().query("quantity == 'loss'")
    assert frame.groupby("task")["step"].count().to_dict() == {"kind": 10, "size": 10}


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("size", math.nan, "became nan at step 1, for 2 of its 8 labels are missing .*complete"),
        ("size", math.inf, "became inf at step 1, for 2 of the numbers in its labels are infinite"),
    ],
)
def test_labels_that_make_a_loss_infinite_are_named(name, value, words):
    batch = next(batches(1))
    batch.targets[name][:2] = value
    with pytest.raises(NonFiniteLossError, match=words):
        next(start(build(), [Batch(batch.inputs, batch.targets, complete=True)]))


def test_a_batch_said_to_be_complete_whose_classes_are_all_missing_is_named():
    batch = next(batches(1))
    batch.targets["kind"][:] = -100
    words = r"'kind' became nan at step 1, for 8 of its 8 labels are missing \(NaN or -100\)"
    with pytest.raises(NonFiniteLossError, match=words):
        next(start(build(), [Batch(batch.inputs, batch.targets, complete=True)]))


# Gradients that are not finite


def root(prediction, target):
    """A finite loss with a NaN gradient where every prediction is right: √0."""
    return (prediction - target).square().sum().sqrt()


@pytest.mark.parametrize("balancer", [FixedWeights, PCGrad, MGDA, GradNorm, GradientNormWeights])
def test_a_gradient_that_is_not_finite_names_its_task_before_the_step(balancer):
    model = build(dropout=0.0)
    nn.init.zeros_(model.heads["size"].weight)
    nn.init.zeros_(model.heads["size"].bias)
    batch = next(batches(1))
    batch.targets["size"][:] = 0
    tasks = (KIND, Task("size", root, closeness, 1))
    before = copy.deepcopy(dict(model.named_parameters()))
    with pytest.raises(
        NonFiniteLossError, match="gradient of task 'size' became nan at step 1"
    ) as e:
        list(fit(model, tasks, [batch], balancer(), adam(model), 1))
    assert (e.value.task, e.value.step) == ("size", 1)
    assert_same_state(before, dict(model.named_parameters()))
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_gradient_of_a_head_alone_is_named_too_and_the_search_leaves_no_trace():
    model, batch = build(), next(batches(1))
    batch.targets["size"][:] = 0
    head = model.heads["size"]

    def bias_alone(prediction, target):
        return prediction.mean() + (head.bias - head.bias.detach()).abs().sqrt().sum()

    tasks = (KIND, Task("size", bias_alone, closeness, 1))
    model.train()
    torch.manual_seed(3)
    undisturbed = copy.deepcopy(model)
    undisturbed(batch.inputs)
    chance = torch.get_rng_state()
    torch.manual_seed(3)
    words = r"gradient of task 'size' became nan at step 1, though its loss is .*a root of zero"
    with pytest.raises(NonFiniteLossError, match=words):
        list(fit(model, tasks, [batch], PCGrad(), adam(model), 1))
    assert_same_state(undisturbed.state_dict(), model.state_dict())
    assert torch.equal(torch.get_rng_state(), chance)


def test_the_task_at_fault_is_found_where_dropout_decides_whose_step_it_is():
    """Where dropout leaves nothing, the outputs are zero, and √0 has no gradient."""
    size = Task("size", lambda p, t: p.square().sum().sqrt(), closeness, 1)
    for seed in range(5):
        model = build(dropout=0.9)
        nn.init.zeros_(model.heads["size"].bias).requires_grad_(False)
        torch.manual_seed(seed)
        few = [map_batches(lambda tensor: tensor[:2], batch) for batch in batches(50)]
        with pytest.raises(NonFiniteLossError, match="gradient of task 'size' became nan"):
            list(fit(model, (KIND, size), few, FixedWeights(), adam(model), 50))


def test_a_weight_that_makes_a_finite_gradient_infinite_is_said_to_be_it():
    steep = Task("size", lambda p, t: 1e4 * F.mse_loss(p, t), closeness, 1)
    with pytest.raises(NonFiniteLossError, match="weighted gradient of task 'size' became inf"):
        next(
            start(
                build(dropout=0.0),
                batches(1),
                tasks=(KIND, steep),
                balancer=FixedWeights({"kind": 1.0, "size": 3e37}),
            )
        )


# Parts that cannot be used


@pytest.mark.parametrize("thing", [None, PCGrad, lambda losses, model: {}, torch.optim.SGD])
def test_what_is_no_balancer_is_refused(thing):
    with pytest.raises(ValueError, match=r"balancer must be a Balancer, got .*PCGrad\(\)"):
        model = build()
        next(fit(model, TASKS, batches(1), thing, adam(model), 1))


def test_an_optimizer_that_asks_for_the_losses_again_is_refused():
    model = build()
    optimizer = torch.optim.LBFGS(model.parameters())
    with pytest.raises(ValueError, match=r"LBFGS asks for the losses several times .*SGD or Adam"):
        next(fit(model, TASKS, batches(1), FixedWeights(), optimizer, 1))


@pytest.mark.parametrize("thing", [(1, 2), {"inputs": 1}, None, torch.zeros(2)])
def test_data_that_give_no_batches_are_refused(thing):
    with pytest.raises(ValueError, match=r"data must give Batch objects, got \w+; wrap inputs and"):
        next(start(build(), [thing]))


@pytest.mark.parametrize("steps", [-1, 2.0, "3", None])
def test_steps_that_are_no_number_of_steps_are_refused(steps):
    with pytest.raises(ValueError, match="steps must be a whole number from 0 on, got"):
        next(start(build(), batches(1), steps))


def test_a_model_that_gives_one_tensor_is_refused():
    model = nn.Linear(5, 3)
    with pytest.raises(ValueError, match="model must give predictions in a dict by task name"):
        next(start(model, batches(1)))


def test_labels_out_of_range_name_the_task_and_train_nothing():
    model, batch = build(), next(batches(1))
    batch.targets["kind"][0] = 3
    before = copy.deepcopy(dict(model.named_parameters()))
    with pytest.raises(ValueError, match="loss of task 'kind' fails .*Target 3 is out of bounds"):
        next(start(model, [batch]))
    assert_same_state(before, dict(model.named_parameters()))


def test_famo_is_told_the_losses_after_the_step_without_a_trace():
    famo, plain = (build() for _ in range(2))
    balancer = FromTorchJD(scalarization.FAMO(2))
    torch.manual_seed(0)
    list(start(famo, batches(3), balancer=balancer))
    chance = torch.get_rng_state()
    torch.manual_seed(0)
    list(start(plain, batches(3)))
    assert torch.equal(torch.get_rng_state(), chance)
    assert famo.encoder[1].num_batches_tracked == plain.encoder[1].num_batches_tracked == 3
    assert balancer.method._w.abs().max() > 0


# History


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


@pytest.mark.parametrize(
    ("part", "words"),
    [
        ({"model": lambda inputs: {}}, "model must be a torch module, got a function"),
        ({"data": next(batches(1))}, r"got one Batch; put batches in a list"),
        ({"optimizer": None}, "optimizer must be one of torch.optim's kind, got a NoneType"),
        ({"optimizer": adam(build())}, "this Adam holds no parameter of this HardSharing"),
    ],
    ids=["model", "data", "optimizer", "another model's"],
)
def test_fit_refuses_a_part_that_is_none(part, words):
    model = build()
    parts = {"model": model, "data": batches(1), "optimizer": adam(model)} | part
    with pytest.raises(ValueError, match=words):
        next(fit(tasks=TASKS, balancer=FixedWeights(), steps=1, **parts))


@pytest.mark.parametrize("given", [None, {"kind": torch.ones(())}], ids=["none", "of one task"])
def test_fit_refuses_a_balancer_that_does_not_say_its_weights(given):
    class Silent(Balancer):
        def backward(self, losses, model, *, scale=None):
            sum(losses.values()).backward()
            return given

    with pytest.raises(ValueError, match=r"Silent must give a weight for each of the tasks \['kin"):
        next(start(build(), batches(1), balancer=Silent()))
