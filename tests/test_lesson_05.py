"""Lesson 05's own attention is the package's, to the last bit, and its cells do what they say."""

from __future__ import annotations

import pytest
import torch
from lesson_cells import run_tagged

from mtl_tutorial.architectures import CrossModalAttention
from mtl_tutorial.experiments import seeded


@pytest.fixture(scope="module")
def lesson() -> dict:
    return run_tagged("05_multimodal_fusion", "from-scratch")


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize(("senses", "features"), [(2, 2), (2, 64), (3, 5)])
def test_the_lessons_attention_equals_the_packages_to_the_last_bit(
    lesson, senses, features, scaled
) -> None:
    own = lesson["Products"](features, scale=features if scaled else 1)
    packaged = CrossModalAttention(features, scaled=scaled)
    assert torch.equal(own.weight, packaged.weight)
    with seeded(3) as generator:
        own.weight.data = torch.randn(features, features, generator=generator)
        h = torch.randn(7, senses, features, generator=generator)
    packaged.load_state_dict(own.state_dict())
    assert len(own.weights(h).unique()) > senses
    assert torch.equal(own.weights(h), packaged.weights(h))
    assert torch.equal(own(h), packaged(h))
