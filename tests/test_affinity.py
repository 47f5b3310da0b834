"""An affinity is what a step of one task does to the loss of another, and leaves no trace."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from mtl_tutorial.architectures import ConvEncoder, HardSharing
from mtl_tutorial.data import located_digits
from mtl_tutorial.experiments import seeded
from mtl_tutorial.experiments.affinity import affinities, affinity
from mtl_tutorial.tasks import Batch, Task


class Point(nn.Module):
    """Two numbers, which are the prediction of both tasks."""

    def __init__(self) -> None:
        super().__init__()
        self.theta = nn.Parameter(torch.zeros(2))

    def forward(self, inputs):
        return {"a": self.theta, "b": self.theta}


TASKS = (
    Task("a", lambda p, t: 0.5 * (p[0] - t[0]) ** 2, lambda p, t: p, 1),
    Task("b", lambda p, t: 0.5 * ((p - t) ** 2).sum(), lambda p, t: p, 1),
)
BATCH = Batch(
    torch.zeros(2), {"a": torch.tensor([2.0, 0.0]), "b": torch.tensor([1.0, 1.0])}, complete=True
)


def test_two_valleys_by_hand() -> None:
    """A step of a leads to (1, 0), one of b to (1/2, 1/2)."""
    found = affinity(Point(), TASKS, BATCH, rate=0.5)
    assert found.tolist() == [[0.75, 0.5], [0.4375, 0.75]]


def test_a_step_that_is_too_long_hurts_where_a_short_one_helps() -> None:
    assert affinity(Point(), TASKS, BATCH, rate=2.0)[0, 1] == 1 - 5 / 1


def test_the_model_is_left_as_it_was() -> None:
    scenes = located_digits("train")
    model = HardSharing(ConvEncoder(width=2), scenes.tasks)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    affinity(model, scenes.tasks, scenes.draw(8, torch.Generator().manual_seed(0)), 0.1)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters()) and model.training


def test_a_short_step_helps_its_own_task() -> None:
    scenes = located_digits("train")
    with seeded(0) as generator:
        model = HardSharing(ConvEncoder(width=4), scenes.tasks)
        batch = scenes.draw(32, generator)
    assert (affinity(model, scenes.tasks, batch, 0.03).diagonal() > 0).all()


@pytest.mark.parametrize("rate", [0, -1, float("nan"), float("inf")])
def test_a_rate_that_is_none_is_refused(rate) -> None:
    with pytest.raises(ValueError, match="rate must be finite and > 0"):
        affinity(Point(), TASKS, BATCH, rate)


def test_one_task_alone_and_a_loss_of_0_have_no_affinity() -> None:
    with pytest.raises(ValueError, match="tasks must be two or more, got 1"):
        affinity(Point(), TASKS[:1], BATCH, 0.1)
    done = Batch(BATCH.inputs, {**BATCH.targets, "a": torch.zeros_like(BATCH.targets["a"])})
    with pytest.raises(ValueError, match="loss of task 'a' must be above 0 .* got 0"):
        affinity(Point(), TASKS, done, 0.1)


@pytest.mark.parametrize("setting", [{"every": 0}, {"every": 1.5}, {"steps": 0}])
def test_numbers_of_steps_that_are_none_are_refused(setting) -> None:
    tasks = located_digits("train").tasks
    with pytest.raises(ValueError, match=f"{next(iter(setting))} must be"):
        affinities(
            lambda: HardSharing(ConvEncoder(width=2), tasks),
            tasks,
            located_digits("train"),
            **{"seed": 0, "rate": 0.01, "steps": 4, **setting},
        )


def test_a_task_without_a_label_is_named() -> None:
    batch = Batch(BATCH.inputs, {"a": BATCH.targets["a"]})
    with pytest.raises(ValueError, match="task 'b' has no label in the batch"):
        affinity(Point(), TASKS, batch, 0.1)


def test_affinities_are_measured_every_some_steps_of_one_training() -> None:
    scenes = located_digits("train")

    def build() -> nn.Module:
        return HardSharing(ConvEncoder(width=2), scenes.tasks)

    setting = {"seed": 0, "rate": 0.01, "every": 2}
    found = affinities(build, scenes.tasks, scenes, steps=5, **setting)
    assert found.shape == (3, 3, 3)
    shorter = affinities(build, scenes.tasks, scenes, steps=3, **setting)
    assert torch.equal(found[:2], shorter)
