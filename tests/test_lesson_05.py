"""Lesson 05's own attention and loss are the package's, to the last bit."""

from __future__ import annotations

import pytest
import torch
from lesson_cells import run_tagged

from mtl_tutorial.architectures import CrossModalAttention, contrastive_loss
from mtl_tutorial.experiments import seeded


@pytest.fixture(scope="module")
def lesson() -> dict:
    return run_tagged("05_multimodal_fusion", "from-scratch")


@pytest.mark.parametrize(("senses", "features"), [(2, 2), (2, 64), (3, 5)])
def test_the_lessons_attention_equals_the_packages_to_the_last_bit(
    lesson, senses, features
) -> None:
    own, packaged = lesson["Products"](features), CrossModalAttention(features)
    assert torch.equal(own.weight, packaged.weight)
    with seeded(3) as generator:
        own.weight.data = torch.randn(features, features, generator=generator)
        h = torch.randn(7, senses, features, generator=generator)
    packaged.load_state_dict(own.state_dict())
    assert len(own.weights(h).unique()) > senses
    assert torch.equal(own.weights(h), packaged.weights(h))
    assert torch.equal(own(h), packaged(h))


def test_the_lessons_alignment_equals_the_packages(lesson) -> None:
    z = torch.randn(2, 9, 4, generator=torch.Generator().manual_seed(0))
    log_temperature = torch.tensor(-1.5)
    units = z / z.norm(dim=2, keepdim=True)
    logits = units[0] @ units[1].T / log_temperature.exp()
    own = lesson["align"](z[0], z[1], log_temperature)
    assert torch.allclose(own, contrastive_loss(logits), atol=1e-6)
