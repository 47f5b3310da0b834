"""Adam on a row of numbers, against the optimizer of torch."""

from __future__ import annotations

import pytest
import torch

from mtl_tutorial.balancing.adam import Moments, adam_step


def zeros(count, dtype=torch.float32):
    return Moments(*(torch.zeros(count, dtype=dtype) for _ in range(3)))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("options", [{}, {"betas": (0.5, 0.9), "epsilon": 1e-3}])
@pytest.mark.parametrize("size", [1e-6, 1.0, 1e6])
def test_every_step_is_that_of_torchs_adam(dtype, options, size):
    generator = torch.Generator().manual_seed(0)
    mine, theirs = (torch.ones(5, dtype=dtype) for _ in range(2))
    names = {"betas": "betas", "epsilon": "eps"}
    adam = torch.optim.Adam([theirs], lr=0.1, **{names[k]: v for k, v in options.items()})
    moments = zeros(5, dtype)
    for _ in range(60):
        gradient = size * torch.randn(5, generator=generator, dtype=dtype)
        theirs.grad = gradient.clone()
        adam.step()
        move, moments = adam_step(gradient, moments, learning_rate=0.1, **options)
        mine = mine - move
        assert torch.allclose(mine, theirs, rtol=1e-5, atol=1e-6)


def test_each_number_has_a_time_of_its_own():
    """One that rests takes its next step as if the others' steps had not been."""
    first, moments = adam_step(torch.tensor([2.0, -1.0]), zeros(2), learning_rate=0.1)
    assert first.tolist() == pytest.approx([0.1, -0.1])
    rested = Moments(*(torch.stack([now[0], torch.zeros(())]) for now in moments))
    second, moments = adam_step(torch.tensor([2.0, -1.0]), rested, learning_rate=0.1)
    assert second.tolist() == pytest.approx([0.1, -0.1])
    assert moments.steps.tolist() == [2, 1]


def test_a_gradient_of_zero_moves_nothing():
    move, _ = adam_step(torch.zeros(3), zeros(3), learning_rate=0.1)
    assert move.tolist() == [0, 0, 0]
