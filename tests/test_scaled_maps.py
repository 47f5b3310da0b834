"""The toy problem of the GradNorm paper: tasks that are alike in all but their scale."""

from __future__ import annotations

import math

import pytest
import torch

from mtl_tutorial.data.scaled_maps import explained, scaled_maps


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_targets_are_the_scaled_tanh_of_each_tasks_own_map() -> None:
    toy = scaled_maps((1, 10), generator())
    batch = toy.draw(5, generator())
    for scale, matrix, target in zip((1, 10), toy.maps, batch.targets.values(), strict=True):
        for x, y in zip(batch.inputs, target, strict=True):
            assert torch.allclose(y, scale * torch.tanh(matrix @ x / 250), atol=1e-5)


def test_maps_share_most_of_their_variance() -> None:
    maps = scaled_maps((1, 1, 1), generator()).maps
    assert maps.std().item() == pytest.approx(math.hypot(10, 3.5), rel=0.02)
    assert (maps[0] - maps[1]).std().item() == pytest.approx(3.5 * math.sqrt(2), rel=0.02)


def test_a_guess_of_zero_has_losses_as_the_squares_of_the_scales() -> None:
    toy = scaled_maps((1, 10), generator())
    targets = toy.draw(2000, generator()).targets
    small, large = (y.square().mean().item() for y in targets.values())
    assert large / small == pytest.approx(100, rel=0.05)


def test_the_stream_is_that_of_its_generator_and_goes_on() -> None:
    toy, g = scaled_maps((1, 10), generator()), generator()
    stream = toy.stream(4, generator())
    for _ in range(3):
        assert torch.equal(next(stream).inputs, toy.draw(4, g).inputs)


def test_what_is_explained_runs_from_nothing_to_all() -> None:
    y = torch.randn(50, 3, generator=generator())
    assert explained(y, y) == 1
    assert explained(y.mean().expand_as(y), y) == pytest.approx(0, abs=1e-6)
    assert explained(-y, y) == 0


@pytest.mark.parametrize("scales", [(1,), (1, 0), (1, -2), (1, math.inf), (1, math.nan)])
def test_other_scales_are_refused(scales) -> None:
    with pytest.raises(ValueError, match="scales must be two or more numbers above 0"):
        scaled_maps(scales, generator())
