"""Lesson 03's own network is the package's."""

from __future__ import annotations

import pytest
import torch
from lesson_cells import run_tagged

from mtl_tutorial.architectures import ConvEncoder, CrossStitch, CrossStitchUnit
from mtl_tutorial.balancing import FixedWeights
from mtl_tutorial.data import located_digits
from mtl_tutorial.data.questions import BOX, DIGIT
from mtl_tutorial.experiments import seeded
from mtl_tutorial.training import fit

SCENES = located_digits("train")
TASKS = (DIGIT, BOX)


@pytest.fixture(scope="module")
def lesson() -> dict:
    return run_tagged("03_cross_stitch", "from-scratch")


def both(lesson: dict, keep: float) -> tuple[torch.nn.Module, CrossStitch]:
    with seeded(5):
        own = lesson["StitchedDigits"](keep)
    with seeded(5):
        packaged = CrossStitch([ConvEncoder(8) for _ in TASKS], TASKS, keep=keep)
    return own, packaged


@pytest.mark.parametrize("keep", [1.0, 0.9, 0.5])
def test_the_lessons_network_answers_as_the_packages(lesson, keep) -> None:
    own, packaged = both(lesson, keep)
    images = SCENES.draw(8, torch.Generator().manual_seed(0)).inputs
    answers, expected = own(images), packaged(images)
    assert answers.keys() == expected.keys()
    for name in expected:
        torch.testing.assert_close(answers[name], expected[name])


def test_the_lessons_network_learns_as_the_packages(lesson) -> None:
    own, packaged = both(lesson, 0.9)
    batches = [SCENES.draw(16, torch.Generator().manual_seed(i)) for i in range(3)]
    for model in (own, packaged):
        sgd = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in fit(model, TASKS, batches, FixedWeights(), sgd, steps=3):
            pass
    for mine, theirs in zip(own.units, packaged.units, strict=True):
        assert not torch.equal(theirs.alpha, CrossStitchUnit(2, 1).alpha)
        torch.testing.assert_close(mine.alpha, theirs.alpha)


@pytest.mark.parametrize("tasks", [2, 3, 4])
def test_the_lessons_unit_is_the_packages_for_any_number_of_tasks(lesson, tasks) -> None:
    own, packaged = lesson["Unit"](tasks, 0.7), CrossStitchUnit(tasks, 6, keep=0.7)
    assert torch.equal(own.alpha, packaged.alpha)
    features = torch.rand(tasks, 5, 6, 3, 3, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(torch.stack(own(list(features))), packaged(features))
