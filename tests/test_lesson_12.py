"""Lesson 12's affinity is the package's."""

from __future__ import annotations

import pytest
import torch
from lesson_cells import run_tagged

from mtl_tutorial.architectures import ConvEncoder, HardSharing
from mtl_tutorial.data import located_digits
from mtl_tutorial.experiments import seeded
from mtl_tutorial.experiments.affinity import affinity


@pytest.fixture(scope="module")
def lesson() -> dict:
    return run_tagged("12_few_labels", "from-scratch")


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("rate", [0.01, 0.3])
def test_the_lessons_affinity_is_the_packages(lesson, seed, rate) -> None:
    scenes = located_digits("train")
    with seeded(seed) as generator:
        model = HardSharing(ConvEncoder(width=2), scenes.tasks)
        batch = scenes.draw(16, generator)
    own = lesson["affinity_table"](model, scenes.tasks, batch, rate)
    assert torch.allclose(own, affinity(model, scenes.tasks, batch, rate), atol=1e-6)
