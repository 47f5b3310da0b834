from __future__ import annotations

import copy

import pandas as pd
import pytest
import torch
from torch.nn import functional as F

from mtl_tutorial.architectures import ClassicEncoder, ConvEncoder, HardSharing
from mtl_tutorial.balancing import FixedWeights
from mtl_tutorial.data import located_digits, untouched_digits
from mtl_tutorial.experiments import Run, grid, seeded, train
from mtl_tutorial.tasks import Task, mean_iou
from mtl_tutorial.training import NonFiniteLossError


@pytest.fixture(scope="module")
def scenes():
    return located_digits("test")


def run(scenes, *, seed=0, steps=4, width=2, batch_size=8, **settings):
    tasks = scenes.tasks[:2]
    return train(
        lambda: HardSharing(ConvEncoder(width), tasks),
        tasks,
        scenes,
        scenes.draw(16, torch.Generator().manual_seed(9)),
        seed=seed,
        steps=steps,
        batch_size=batch_size,
        **settings,
    )


def same_parameters(one, other):
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def test_what_is_random_in_a_seeded_block_depends_on_the_seed_alone():
    def draw(seed):
        with seeded(seed) as generator:
            return torch.rand(3).tolist(), torch.rand(3, generator=generator).tolist()

    first = draw(0)
    torch.rand(5)
    assert draw(0) == first
    assert draw(1) != first


def test_a_seeded_block_leaves_the_generator_outside_as_if_it_were_not_there():
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    with seeded(0):
        torch.rand(100)
    assert torch.equal(torch.rand(4), expected)


def test_a_seeded_block_that_fails_leaves_the_generator_outside_alone():
    before = torch.get_rng_state()
    with pytest.raises(KeyError), seeded(0):
        raise KeyError
    assert torch.equal(before, torch.get_rng_state())


def test_training_with_the_same_seed_gives_the_same_numbers(scenes):
    torch.manual_seed(1)
    model, history = run(scenes, seed=5, measure_every=2)
    torch.manual_seed(2)
    again, history_again = run(scenes, seed=5, measure_every=2)
    assert same_parameters(model, again)
    pd.testing.assert_frame_equal(history.to_frame(), history_again.to_frame(), check_exact=True)


def test_training_with_another_seed_gives_other_numbers(scenes):
    (one, _), (other, _) = run(scenes, seed=0), run(scenes, seed=1)
    assert not same_parameters(one, other)


def test_measuring_on_the_way_does_not_change_the_training(scenes):
    (rarely, _), (often, _) = run(scenes), run(scenes, measure_every=1)
    assert same_parameters(rarely, often)


@pytest.mark.parametrize(
    ("measure_every", "measured"), [(None, [4]), (1, [1, 2, 3, 4]), (3, [3, 4]), (2, [2, 4])]
)
def test_scores_are_taken_as_often_as_asked_and_after_the_last_step(
    scenes, measure_every, measured
):
    _, history = run(scenes, measure_every=measure_every)
    assert [step for step, _ in history.scores] == measured
    assert len(history) == 4


def started(scenes, *, seed=0, steps=6, **settings):
    """A run of a network with dropout."""
    tasks = scenes.tasks[:2]

    def build():
        return HardSharing(ClassicEncoder(), tasks)

    return Run(build, tasks, scenes, seed=seed, steps=steps, batch_size=8, **settings)


def test_runs_with_dropout_that_take_turns_are_those_that_run_one_after_the_other(scenes):
    one_by_one = [started(scenes, seed=seed) for seed in (0, 1)]
    losses = [[record.losses for record in one] for one in one_by_one]
    taking_turns = [started(scenes, seed=seed) for seed in (0, 1)]
    for step, records in enumerate(zip(*taking_turns, strict=True)):
        torch.rand(step)  # what is random elsewhere
        for seed, record in enumerate(records):
            assert record.losses == losses[seed][step]
    for one, other in zip(one_by_one, taking_turns, strict=True):
        assert same_parameters(one.model, other.model)


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_a_run_leaves_the_generators_outside_as_if_it_were_not_there(device):
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA GPU here")
    torch.manual_seed(3)
    expected = [torch.rand(2, device=device) for _ in range(2)]
    torch.manual_seed(3)
    run = started(located_digits("test", device=device))
    next(run)
    for numbers in expected:
        assert torch.equal(torch.rand(2, device=device), numbers)
        next(run)


def test_a_run_whose_step_fails_leaves_the_generator_outside_alone(scenes):
    def fails(prediction, target):
        raise KeyError

    task = Task("box", fails, mean_iou, 4)
    run = Run(
        lambda: HardSharing(ClassicEncoder(), [task]), [task], scenes, seed=0, steps=2, batch_size=4
    )
    before = torch.get_rng_state()
    with pytest.raises(ValueError, match="loss of task 'box' fails .*: KeyError. Check"):
        next(run)
    assert torch.equal(before, torch.get_rng_state())


def test_a_run_trains_as_train_does(scenes):
    run = started(scenes, steps=4)
    assert [record.step for record in run] == [1, 2, 3, 4]
    model, _ = train(
        lambda: HardSharing(ClassicEncoder(), scenes.tasks[:2]),
        scenes.tasks[:2],
        scenes,
        scenes.draw(4, torch.Generator().manual_seed(0)),
        seed=0,
        steps=4,
        batch_size=8,
    )
    assert same_parameters(run.model, model)


def test_what_is_changed_between_two_steps_acts_on_the_next(scenes):
    turned, plain = (started(scenes, balancer=FixedWeights()) for _ in range(2))
    for run in (turned, plain):
        next(run)
    assert same_parameters(turned.model, plain.model)
    turned.optimizer.param_groups[0]["lr"] = 0.0
    kept = copy.deepcopy(turned.model)
    next(turned)
    assert same_parameters(turned.model, kept)


def test_a_run_can_go_over_other_batches(scenes):
    run = started(scenes)
    epoch = list(run.over(scenes.epoch(64, run.generator), steps=3))
    assert [record.step for record in epoch] == [1, 2, 3]
    assert [record.step for record in run] == list(range(1, 7))


def test_a_balancer_weighs_the_losses_of_a_run(scenes):
    _, history = run(scenes, balancer=FixedWeights({"digit": 1.0, "box": 7.0}))
    assert all(record.weights == {"digit": 1.0, "box": 7.0} for record in history.records)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_training_makes_every_loss_smaller(seed):
    _, history = run(untouched_digits("train"), seed=seed, steps=80, width=8, batch_size=32)
    losses = history.to_frame().query("quantity == 'loss'")
    first = losses[losses["step"] <= 5].groupby("task")["value"].mean()
    last = losses[losses["step"] > 70].groupby("task")["value"].mean()
    assert (last < 0.7 * first).all(), (first, last)


def test_a_grid_runs_every_combination_once_and_labels_its_rows():
    calls = []

    def measure(*, width, seed):
        calls.append((width, seed))
        return pd.DataFrame({"step": [1, 2], "value": [width * seed, width + seed]})

    table = grid(measure, width=[2, 16], seed=range(3))
    assert calls == [(2, 0), (2, 1), (2, 2), (16, 0), (16, 1), (16, 2)]
    assert list(table.columns) == ["step", "value", "width", "seed"]
    assert list(table.index) == list(range(12))
    assert table[["width", "seed"]].values.tolist() == [list(c) for c in calls for _ in range(2)]
    assert table["value"].tolist() == [v for w, s in calls for v in (w * s, w + s)]


@pytest.mark.parametrize(
    "values",
    [[(14, 22), (10, 12)], [[1, 2], [3, 4]], [len, sum], [ConvEncoder, HardSharing], [None, "a"]],
    ids=["pairs", "lists", "functions", "classes", "words"],
)
def test_a_grid_labels_its_rows_with_settings_of_every_kind(values):
    table = grid(lambda choice: pd.DataFrame({"value": [0, 1]}), choice=values)
    assert table["choice"].tolist() == [value for value in values for _ in range(2)]


def test_a_grid_takes_its_axes_from_iterators():
    table = grid(lambda a, b: pd.DataFrame({"c": [0]}), a=iter("xy"), b=iter((1, 2)))
    assert table[["a", "b"]].values.tolist() == [["x", 1], ["x", 2], ["y", 1], ["y", 2]]


def test_a_grid_leaves_the_tables_that_it_stacks_as_they_were():
    own = pd.DataFrame({"value": [1.0]})
    grid(lambda seed: own, seed=[0, 1])
    assert list(own.columns) == ["value"]


def test_an_empty_axis_is_named():
    with pytest.raises(ValueError, match="axis 'seed' of the grid is empty"):
        grid(lambda width, seed: pd.DataFrame(), width=[1], seed=range(0))


def test_a_run_that_turns_nan_hands_over_its_history():
    calls = []

    def breaks_at_the_fourth(prediction, target):
        calls.append(1)
        loss = F.mse_loss(prediction, target)
        return loss * float("nan") if len(calls) == 4 else loss

    scenes, task = located_digits("train"), Task("box", breaks_at_the_fourth, mean_iou, 4)
    held_out = scenes.draw(4, torch.Generator().manual_seed(0))
    with pytest.raises(NonFiniteLossError) as caught:
        train(
            lambda: HardSharing(ConvEncoder(2), [task]), [task], scenes, held_out, seed=0, steps=9
        )
    assert (caught.value.task, caught.value.step) == ("box", 4)
    assert len(caught.value.history) == 3


def test_another_optimizer_trains_the_model_that_was_built(scenes):
    made = []

    def frozen(model):
        made.append(model)
        return torch.optim.SGD(model.parameters(), lr=0.0)

    model, _ = run(scenes, optimizer=frozen)
    assert made == [model]
    with seeded(0):
        untrained = HardSharing(ConvEncoder(2), scenes.tasks[:2])
    assert same_parameters(model, untrained)
    assert not same_parameters(run(scenes)[0], untrained)
