"""Lesson 14's network is the package's."""

from __future__ import annotations

import pytest
import torch
from lesson_cells import run_tagged

from mtl_tutorial.architectures.transformer import TransformerBlock, attention
from mtl_tutorial.data.grammar import QUESTIONS, asked_scenes
from mtl_tutorial.experiments.asked import asked_network


@pytest.fixture(scope="module")
def lesson() -> dict:
    return run_tagged("14_one_network_any_question", "from-scratch")


@pytest.mark.parametrize("seed", range(3))
def test_the_lessons_attention_and_block_are_the_packages(lesson, seed) -> None:
    torch.manual_seed(seed)
    q, k, v = torch.randn(2, 5, 8), torch.randn(2, 7, 8), torch.randn(2, 7, 3)
    for ours, theirs in zip(lesson["attend"](q, k, v), attention(q, k, v), strict=True):
        assert torch.allclose(ours, theirs, atol=1e-6)
    block, tokens = TransformerBlock(8, heads=2, hidden=6), torch.randn(4, 9, 8)
    assert torch.allclose(lesson["block"](tokens, block), block(tokens), atol=1e-6)


@pytest.mark.parametrize("width", [8, 32])
def test_the_lessons_features_are_the_packages(lesson, width) -> None:
    torch.manual_seed(0)
    model = asked_network(width=width, blocks=3)
    batch = asked_scenes("test", QUESTIONS).draw(16, torch.Generator().manual_seed(0))
    ours, theirs = lesson["read"](model.encoder, batch.inputs), model.encoder(batch.inputs)
    assert torch.allclose(ours, theirs, atol=1e-5)
