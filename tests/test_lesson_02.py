"""Lesson 02's own model and loop are the package's, to the last bit."""

from __future__ import annotations

import pytest
import torch
from lesson_cells import run_tagged

from mtl_tutorial.architectures import ClassicEncoder, HardSharing
from mtl_tutorial.balancing import FixedWeights
from mtl_tutorial.data import untouched_digits
from mtl_tutorial.experiments import seeded
from mtl_tutorial.training import fit

IMAGES = untouched_digits("train")


@pytest.fixture(scope="module")
def lesson() -> dict:
    return run_tagged("02_hard_sharing", "from-scratch")


def batches() -> list:
    return [IMAGES.draw(16, torch.Generator().manual_seed(i)) for i in range(2)]


@pytest.mark.parametrize("weights", [{"digit": 1.0, "box": 1.0}, {"digit": 0.3, "box": 40.0}])
def test_the_lessons_model_and_loop_equal_the_packages_to_the_last_bit(lesson, weights) -> None:
    with seeded(3):
        own = lesson["SharedDigits"]()
        sgd = torch.optim.SGD(own.parameters(), lr=0.01)
        lesson["train_epoch"](own, batches(), sgd, weights)
    with seeded(3):
        packaged = HardSharing(ClassicEncoder(), IMAGES.tasks)
        sgd = torch.optim.SGD(packaged.parameters(), lr=0.01)
        for _ in fit(packaged, IMAGES.tasks, batches(), FixedWeights(weights), sgd, steps=2):
            pass
    for mine, theirs in zip(own.parameters(), packaged.parameters(), strict=True):
        assert torch.equal(mine, theirs)


def test_the_lessons_model_is_the_published_one(lesson) -> None:
    shapes = [tuple(p.shape) for p in lesson["SharedDigits"]().parameters() if p.ndim > 1]
    assert shapes == [(32, 1, 3, 3), (64, 32, 3, 3), (128, 9216), (10, 128), (4, 128)]
