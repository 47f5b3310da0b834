"""Lesson 04's own network is the package's, to the last bit."""

from __future__ import annotations

import pytest
import torch
from lesson_cells import run_tagged

from mtl_tutorial.architectures import MTAN, VGGEncoder
from mtl_tutorial.data import located_digits
from mtl_tutorial.experiments import seeded

SCENES = located_digits("train")


@pytest.fixture(scope="module")
def lesson() -> dict:
    return run_tagged("04_attention_fusion", "from-scratch")


@pytest.mark.parametrize("channels", [(8, 8, 16), (4, 4, 4)])
@pytest.mark.parametrize("count", [1, 3])
def test_the_lessons_network_equals_the_packages_to_the_last_bit(lesson, channels, count) -> None:
    tasks = SCENES.tasks[:count]
    networks = []
    for build in (
        lambda: lesson["AttentionNetwork"](channels, tasks),
        lambda: MTAN(VGGEncoder(channels), tasks),
    ):
        with seeded(3):
            model = build().to(memory_format=torch.channels_last)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
        for step in range(3):
            batch = SCENES.draw(8, torch.Generator().manual_seed(step))
            outputs = model(batch.inputs)
            optimizer.zero_grad()
            sum(t.loss(outputs[t.name], batch.targets[t.name]) for t in tasks).backward()
            optimizer.step()
        networks.append(model)
    for mine, theirs in zip(*(network.parameters() for network in networks), strict=True):
        assert torch.equal(mine, theirs)
