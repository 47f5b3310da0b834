"""A unit moves the shares of every method but one."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mtl_tutorial.architectures import ConvEncoder, HardSharing
from mtl_tutorial.balancing import dwa_weights
from mtl_tutorial.data import located_digits
from mtl_tutorial.data.questions import BOX, DIGIT
from mtl_tutorial.experiments.units import METHODS, Snapshot, compute_shares, take_snapshot
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
