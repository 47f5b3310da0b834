from __future__ import annotations

import pytest
import torch

from mtl_tutorial.architectures import ClassicEncoder, ConvEncoder, HardSharing
from mtl_tutorial.balancing import task_gradients
from mtl_tutorial.data import located_digits
from mtl_tutorial.experiments.session import MEASURE_EVERY, Session
from mtl_tutorial.tasks import task_losses

TRAIN, HELD_OUT = located_digits("train"), located_digits("validation")
TASKS = TRAIN.tasks[:2]


def session(**settings) -> Session:
    return Session(lambda: HardSharing(ConvEncoder(2), TASKS), TASKS, TRAIN, HELD_OUT, **settings)


def make(steps: int, on: Session) -> None:
    for _ in range(steps):
        assert on.step()


def parameters(on: Session) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in on.model.parameters()])


def test_a_run_is_measured_at_its_start_and_every_25_steps():
    one = session()
    make(2 * MEASURE_EVERY + 3, one)
    assert [m.step for m in one.run.measurements] == [0, MEASURE_EVERY, 2 * MEASURE_EVERY]
    one.measure()
    assert one.run.latest.step == 2 * MEASURE_EVERY + 3


def test_a_run_ends_after_its_last_step():
    one = session(steps=3)
    make(3, one)
    assert not one.step()
    assert one.run.latest.step == 3


def test_runs_with_the_same_weights_are_the_same_run():
    one = session()
    make(5, one)
    first = parameters(one)
    one.reset()
    make(5, one)
    assert torch.equal(parameters(one), first)


def test_sessions_with_dropout_that_take_turns_end_alike_whatever_else_is_random():
    def build():
        return HardSharing(ClassicEncoder(), TASKS)

    one, other = (Session(build, TASKS, TRAIN, HELD_OUT, batch_size=8) for _ in range(2))
    for step in range(3):
        make(1, one)
        torch.rand(step)
        other.measure()
        make(1, other)
    assert torch.equal(parameters(one), parameters(other))


def test_measuring_does_not_change_the_run():
    quiet, watched = session(), session()
    make(4, quiet)
    for _ in range(4):
        watched.step()
        watched.measure()
    assert torch.equal(parameters(quiet), parameters(watched))


def test_a_weight_acts_on_the_very_next_step():
    turned, plain = session(), session()
    for one in (turned, plain):
        make(3, one)
    assert torch.equal(parameters(turned), parameters(plain))
    turned.balancer.set_weight("box", 1000)
    for one in (turned, plain):
        make(1, one)
    assert not torch.equal(parameters(turned), parameters(plain))


def test_shares_are_those_of_the_weighted_gradients():
    one = session()
    one.balancer.set_weight("box", 20)
    one.measure()
    model = one.model.eval()
    losses = task_losses(model(one._probe.inputs), one._probe.targets, TASKS)
    digit, box = task_gradients(losses, model.encoder.parameters()).norm(dim=1).tolist()
    assert one.run.latest.shares["box"] == pytest.approx(20 * box / (digit + 20 * box), rel=1e-4)
    assert sum(one.run.latest.shares.values()) == pytest.approx(1)


def test_weights_turned_before_the_first_step_leave_no_trace_of_the_old_ones():
    one = session()
    for weight in (2, 3, 4):
        one.balancer.set_weight("box", weight)
        one.measure()
    assert [m.weights["box"] for m in one.run.measurements] == [4]


def test_weights_turned_at_rest_keep_the_weights_that_were_used():
    one = session()
    make(2, one)
    one.measure()
    for weight in (5, 6, 7):
        one.balancer.set_weight("box", weight)
        one.measure()
    assert [(m.step, m.weights["box"]) for m in one.run.measurements] == [(0, 1), (2, 1), (2, 7)]
    assert one.run.since_change.weights["box"] == 1
    one.balancer.set_weight("box", 1)
    one.measure()
    assert [(m.step, m.weights["box"]) for m in one.run.measurements] == [(0, 1), (2, 1)]


def test_reset_keeps_the_run_and_its_weights_and_drops_one_without_a_step():
    one = session()
    one.balancer.set_weight("box", 30)
    make(2, one)
    one.reset()
    one.reset()
    assert [(run.number, run.latest.step) for run in one.runs] == [(1, 2), (2, 0)]
    assert one.balancer.weights["box"] == 30
