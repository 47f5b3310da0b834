"""Every racer takes the way that it would take alone."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mtl_tutorial.balancing import mgda, pcgrad
from mtl_tutorial.data.landscape import landscape, landscape_gradients
from mtl_tutorial.experiments.race import METHODS, run_race, task_weights

UNHURRIED = settings(deadline=None, max_examples=60)


@UNHURRIED
@given(st.integers(0, 1000), st.floats(0.05, 0.95))
def test_the_batch_of_the_race_weighs_as_the_balancers_do(seed, weight) -> None:
    jacobian = torch.randn(3, 5, 2, 2, generator=torch.Generator().manual_seed(seed)).double()
    weights = task_weights(jacobian, weight)
    directions = (weights[..., None] * jacobian).sum(-2)
    for start in range(5):
        summed = 2 * weight * jacobian[0, start, 0] + 2 * (1 - weight) * jacobian[0, start, 1]
        assert torch.allclose(directions[0, start], summed)
        assert torch.allclose(directions[1, start], pcgrad(jacobian[1, start]))
        assert torch.allclose(directions[2, start], mgda(jacobian[2, start]))


def test_each_way_of_a_race_is_that_of_one_racer_alone() -> None:
    race = run_race(steps=20, optimizer="gradient descent", learning_rate=0.05)
    x = torch.tensor([-7.5, -0.5]).double()
    for _ in range(20):
        _, jacobian = landscape_gradients(x)
        x = x - 0.05 * pcgrad(jacobian)
    assert race.paths.shape == (21, 3, 5, 2)
    assert torch.allclose(race.paths[-1, list(METHODS).index("PCGrad"), 3], x)
    assert torch.allclose(race.losses, landscape(race.paths))


def test_an_unknown_optimizer_is_refused() -> None:
    with pytest.raises(ValueError, match="optimizer must be one of 'Adam', 'gradient descent'"):
        run_race(optimizer="SGD")
