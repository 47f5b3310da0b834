"""A unit moves the shares of every method but one."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mtl_tutorial.architectures import ConvEncoder, HardSharing
from mtl_tutorial.balancing import FixedWeights, GradNorm, dwa_weights
from mtl_tutorial.data import located_digits
from mtl_tutorial.data.questions import BOX, DIGIT
from mtl_tutorial.experiments import train
from mtl_tutorial.experiments.units import (
    LONG_RUNS,
    METHODS,
    Snapshot,
    compute_shares,
    follow,
    in_unit,
    learn_scaled,
    long_runs,
    take_snapshot,
)
from mtl_tutorial.measuring import evaluate

UNHURRIED = settings(deadline=None, max_examples=40)


SNAPSHOT = Snapshot(
    (DIGIT, BOX),
    {"digit": 2.0, "box": 0.01},
    {"digit": 0.7, "box": 0.2},
    {"digit": 2.3, "box": 0.04},
)


factor = st.floats(-3, 3).map(lambda exponent: 10.0**exponent)


@UNHURRIED
@given(factor, factor)
def test_no_unit_moves_the_share_of_uncertainty(digit, box) -> None:
    plain = compute_shares(SNAPSHOT, {"digit": 1.0, "box": 1.0})[METHODS[2]]
    other = compute_shares(SNAPSHOT, {"digit": digit, "box": box})[METHODS[2]]
    assert other == pytest.approx(plain)
    pulls = {name: SNAPSHOT.norms[name] / SNAPSHOT.losses[name] for name in plain}
    assert plain["box"] == pytest.approx(pulls["box"] / sum(pulls.values()))


@UNHURRIED
@given(factor)
def test_the_speed_method_follows_a_unit_as_equal_weights_do(box) -> None:
    shares = compute_shares(SNAPSHOT, {"digit": 1.0, "box": box})
    odds = {method: by_task["box"] / by_task["digit"] for method, by_task in shares.items()}
    assert odds[METHODS[0]] == pytest.approx(box * 0.2 / 0.7)
    speed = dwa_weights([2.0, 0.01], [2.3, 0.04])
    assert odds[METHODS[1]] == pytest.approx(odds[METHODS[0]] * speed[1] / speed[0])


@UNHURRIED
@given(factor, factor)
def test_the_shares_of_a_method_sum_to_1(digit, box) -> None:
    for by_task in compute_shares(SNAPSHOT, {"digit": digit, "box": box}).values():
        assert sum(by_task.values()) == pytest.approx(1)


def test_a_snapshot_holds_the_losses_of_both_moments_and_the_gradients_of_the_later() -> None:
    scenes = located_digits("train")
    tasks, batch = scenes.tasks[:2], scenes.draw(8, torch.Generator().manual_seed(0))
    models = [HardSharing(ConvEncoder(2), tasks) for _ in range(2)]
    snapshot = take_snapshot(*models, tasks, batch)
    for losses, model in ((snapshot.before, models[0]), (snapshot.losses, models[1])):
        assert losses == {name: s.loss for name, s in evaluate(model, tasks, batch).items()}
    gradient = torch.autograd.grad(
        DIGIT.loss(models[1](batch.inputs)["digit"], batch.targets["digit"]),
        list(models[1].encoder.parameters()),
    )
    norm = torch.cat([g.flatten() for g in gradient]).norm().item()
    assert snapshot.norms["digit"] == pytest.approx(norm, rel=1e-4)


SCENES = located_digits("train")


def build(tasks):
    return HardSharing(ConvEncoder(2), tasks)


@UNHURRIED
@given(factor)
def test_a_unit_is_a_factor_on_the_loss_and_on_nothing_else(k) -> None:
    other, batch = in_unit(BOX, k), SCENES.draw(4, torch.Generator().manual_seed(0))
    guess, truth = torch.rand(4, 4), batch.targets["box"]
    assert other.loss(guess, truth).item() == pytest.approx(k * BOX.loss(guess, truth).item())
    assert (other.name, other.metric, other.out_features, other.kind) == (
        (BOX.name, BOX.metric, BOX.out_features, BOX.kind)
    )


def test_what_is_followed_is_the_training_that_train_gives_and_looking_changes_nothing() -> None:
    batch = SCENES.draw(16, torch.Generator().manual_seed(9))
    tasks = (DIGIT, in_unit(BOX, 28))
    table = follow(
        build, tasks, SCENES, batch, balancer=FixedWeights(), seed=1, marks=(2, 5), batch_size=8
    )
    model, history = train(
        lambda: build(tasks), tasks, SCENES, batch, seed=1, steps=5, batch_size=8
    )
    assert table["step"].tolist() == [2, 2, 5, 5]
    last = table[table["step"] == 5].set_index("task")
    for name, score in history.scores[-1][1].items():
        assert last.loc[name, "metric"] == pytest.approx(score.metric)
        assert last.loc[name, "loss"] == pytest.approx(score.loss)
        assert last.loc[name, "weight"] == 1
    weight = model.last_shared_layer().weight
    gradient = torch.autograd.grad(
        tasks[1].loss(model(batch.inputs)["box"], batch.targets["box"]), weight
    )
    assert last.loc["box", "norm"] == pytest.approx(gradient[0].norm().item(), rel=1e-4)


def test_scaled_tasks_are_learned_and_the_weights_of_the_last_steps_told() -> None:
    table = learn_scaled((1, 10), GradNorm(alpha=0.12), seed=0, steps=200, width=20).set_index(
        "task"
    )
    assert list(table.index) == ["y1", "y2"]
    assert table["left"].between(0.05, 0.99).all()
    assert table["weight"].sum() == pytest.approx(2, rel=1e-4)
    assert table.loc["y2", "weight"] < 0.4


def test_the_long_runs_say_where_they_are_from() -> None:
    table, origin = long_runs()
    assert {"command", "commit", "torch", "date"} <= origin.keys()
    assert {"unit", "method", "seed", "step", "task", "metric", "loss", "weight", "norm"} == set(
        table
    )
    assert not table.duplicated(["unit", "method", "seed", "step", "task"]).any()
    assert table["step"].max() == 1200


def test_where_the_long_runs_are_not_there_it_is_said(tmp_path) -> None:
    with pytest.raises(ValueError, match="comes with a checkout of the course"):
        long_runs(tmp_path / LONG_RUNS.name)
