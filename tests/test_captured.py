"""Steps that a CUDA graph replays give the run that steps launched one by one give."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from mtl_tutorial.architectures import HardSharing, LeNet
from mtl_tutorial.balancing import BALANCERS, FixedWeights, Making, PCGrad, make_balancer
from mtl_tutorial.data import two_digits
from mtl_tutorial.experiments import Run
from mtl_tutorial.experiments import execute as execute_module
from mtl_tutorial.experiments.captured import (
    CapturedSteps,
    Replayed,
    _constants,
    means_of_columns,
    why_not_captured,
)
from mtl_tutorial.experiments.execute import execute
from mtl_tutorial.experiments.protocol import Protocol, Setting

PROTOCOL = Protocol("quick", epochs=3, batch_size=64, held_out=200)
RUN = Setting("two_digits", "hard_sharing", "equal", 0.02, 3)
gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
CASES = [
    *(replace(RUN, balancer=name) for name in BALANCERS),
    *(
        replace(RUN, data="located_digits", balancer=name, learning_rate=2e-3)
        for name in ("equal", "pcgrad", "gradnorm", "mgda", "upgrad")
    ),
    *(replace(RUN, architecture=name) for name in ("single_task", "cross_stitch", "mtan")),
    replace(RUN, data="located_digits", architecture="mtan", balancer="pcgrad"),
]


def plainly(monkeypatch, *arguments, **options):
    with monkeypatch.context() as patch:
        patch.setattr(execute_module, "CapturedSteps", lambda *given: None)
        return execute(*arguments, **options)


@gpu
@pytest.mark.parametrize("setting", CASES, ids=str)
def test_a_captured_run_gives_the_numbers_of_a_plain_one(setting, monkeypatch) -> None:
    try:
        captured = execute(setting, PROTOCOL, device="cuda")
    except ValueError as error:
        if "needs a library" in str(error):
            pytest.skip(str(error))
        raise
    plain = plainly(monkeypatch, setting, PROTOCOL, device="cuda")
    assert captured["provenance"]["captured"] == "yes"
    assert "captured" not in plain["provenance"]
    for part in ("curves", "test", "best_epoch", "diverged"):
        assert captured[part] == plain[part]


@gpu
@pytest.mark.parametrize("balancer", ["gradnorm", "dwa", "pcgrad"])
def test_a_captured_run_that_was_stopped_goes_on_to_the_same_numbers(balancer, tmp_path) -> None:
    class StopError(Exception):
        pass

    def stop(epoch: int) -> None:
        if epoch == 2:
            raise StopError

    setting = replace(RUN, balancer=balancer)
    whole = execute(setting, PROTOCOL, device="cuda")
    with pytest.raises(StopError):
        execute(setting, PROTOCOL, device="cuda", checkpoint=tmp_path / "x", on_epoch=stop)
    resumed = execute(setting, PROTOCOL, device="cuda", checkpoint=tmp_path / "x")
    assert resumed["curves"] == whole["curves"] and resumed["test"] == whole["test"]


@gpu
def test_a_captured_run_that_diverges_says_so_as_a_plain_one_does(monkeypatch) -> None:
    setting = replace(RUN, learning_rate=1e4)
    captured = execute(setting, PROTOCOL, device="cuda")
    assert "became" in captured["diverged"]
    assert (
        captured["diverged"] == plainly(monkeypatch, setting, PROTOCOL, device="cuda")["diverged"]
    )


class Reads(FixedWeights):
    replayable = True

    def backward(self, losses, model, *, scale=None):
        assert sum(losses.values()).item() > 0
        return super().backward(losses, model, scale=scale)


class SaysNothing(FixedWeights):
    replayable = False


@gpu
@pytest.mark.parametrize(
    ("balancer", "why"), [(Reads, "captur"), (SaysNothing, "the balancer is not replayable")]
)
def test_a_step_that_can_not_be_captured_is_launched_one_by_one(balancer, why) -> None:
    def steps_of(make):
        run = run_with(make(), device="cuda", lr=0.02, momentum=0.9)
        return CapturedSteps(run, two_digits("train", device="cuda"), 64)

    with torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False):
        plain, captured = steps_of(balancer), steps_of(FixedWeights)
        for _ in range(2):
            assert torch.equal(plain.epoch()[0], captured.epoch()[0])
    assert why in plain.outcome and captured.outcome == "yes"


def test_a_newcomers_balancer_is_not_replayable_unless_it_says_so() -> None:
    from mtl_tutorial.balancing import Balancer, GramianBalancer

    assert not Balancer().replayable and not GramianBalancer().replayable


@pytest.mark.parametrize("name", BALANCERS)
def test_every_balancer_of_the_registry_is_replayable(name) -> None:
    tasks = two_digits("test").tasks
    try:
        balancer = make_balancer(name, Making(tasks, 5, torch.Generator()))
    except ValueError as error:
        pytest.skip(str(error))
    assert balancer.replayable


def test_means_are_those_of_a_loop_over_the_steps() -> None:
    values = torch.rand(500, 2, generator=torch.Generator().manual_seed(0))
    total = 0.0
    for row in values:
        total = row + total
    assert means_of_columns(values) == (total / 500).tolist()
    assert np.allclose(means_of_columns(values), values.double().mean(0))


def test_a_step_on_the_cpu_is_launched_every_time() -> None:
    total = torch.zeros(())
    replayed = Replayed(lambda: total.add_(1), [], torch.device("cpu"))
    for _ in range(9):
        replayed()
    assert total == 9


@gpu
@pytest.mark.parametrize("reads", [False, True])
def test_a_replayed_step_draws_and_adds_as_a_launched_one_does(reads) -> None:
    generator = torch.Generator("cuda")
    total, drawn = torch.zeros(4, device="cuda"), []

    def step() -> None:
        total.add_(torch.rand(4, device="cuda", generator=generator))
        if reads:
            drawn.append(total.sum().item())

    def after(make) -> torch.Tensor:
        generator.manual_seed(3)
        total.zero_()
        for _ in range(9):
            make()
        return total.clone()

    launched = after(step)
    assert torch.equal(after(Replayed(step, [generator], torch.device("cuda"))), launched)


class Annealed(FixedWeights):
    """Inherits, and does more."""


class Learns(FixedWeights):
    replayable = True

    def after_step(self, losses) -> None:
        self.set_weight("left", 2.0)


def run_with(
    balancer=None, optimizer=torch.optim.SGD, hook=False, device="cpu", lr=0.1, **options
) -> Run:
    scenes = two_digits("train", device=device)
    run = Run(
        lambda: HardSharing(LeNet(), scenes.tasks),
        scenes.tasks,
        scenes,
        seed=0,
        steps=1,
        balancer=balancer or FixedWeights(),
        optimizer=lambda model: optimizer(model.parameters(), lr=lr, **options),
    )
    if hook:
        run.model.encoder.register_forward_hook(lambda *given: None)
    return run


@pytest.mark.parametrize(
    ("run", "why"),
    [
        ({}, ""),
        ({"optimizer": torch.optim.Adam, "fused": True}, ""),
        ({"balancer": Annealed()}, "the balancer is not replayable"),
        ({"balancer": Learns()}, "the balancer learns after a step"),
        ({"balancer": PCGrad(torch.Generator())}, "the balancer draws on the CPU"),
        ({"optimizer": torch.optim.Adam}, "the optimizer is no SGD or fused Adam, but Adam"),
        ({"optimizer": torch.optim.Adagrad}, "the optimizer is no SGD or fused Adam, but Adagrad"),
        ({"hook": True}, "the model has hooks"),
    ],
)
def test_what_a_graph_can_not_replay_is_told_before(run, why) -> None:
    assert why_not_captured(run_with(**run)) == why


def test_what_changes_between_epochs_is_captured_anew() -> None:
    run = run_with(momentum=0.9)
    seen = {_constants(run)}
    run.optimizer.param_groups[0]["lr"] = 0.05
    seen.add(_constants(run))
    run.optimizer.param_groups[0]["momentum"] = 0.5
    seen.add(_constants(run))
    run.balancer.set_weight("left", 3.0)
    seen.add(_constants(run))
    next(iter(run.model.parameters())).requires_grad_(False)
    assert _constants(run) not in seen and len(seen) == 4
