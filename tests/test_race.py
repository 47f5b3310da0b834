"""Every racer takes the way that it would take alone."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mtl_tutorial.balancing import mgda, pcgrad
from mtl_tutorial.data.landscape import landscape, landscape_gradients
from mtl_tutorial.experiments.race import (
    METHODS,
    arrival_steps,
    long_races,
    run_race,
    update_directions,
)

UNHURRIED = settings(deadline=None, max_examples=60)


@UNHURRIED
@given(st.integers(0, 1000), st.floats(0.05, 0.95))
def test_the_batch_of_the_race_goes_where_the_balancers_go(seed, weight) -> None:
    jacobian = torch.randn(3, 5, 2, 2, generator=torch.Generator().manual_seed(seed)).double()
    directions = update_directions(jacobian, weight)
    weighted = torch.tensor([[2 * weight], [2 - 2 * weight]]) * jacobian
    for start in range(5):
        close = 1e-6 * float(weighted[0, start].norm())  # nothing is left of gradients that cancel
        assert torch.allclose(directions[0, start], weighted[0, start].sum(0), atol=close)
        assert torch.allclose(directions[1, start], pcgrad(weighted[1, start]), atol=close)
        assert torch.allclose(directions[2, start], mgda(weighted[2, start]), atol=close)


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


def test_a_racer_has_arrived_from_the_step_on_from_which_it_stays() -> None:
    setting = {"optimizer": "gradient descent", "learning_rate": 0.3}
    race = run_race(steps=400, **setting)
    since = arrival_steps(steps=400, **setting)
    assert since.isinf().any() and since.isfinite().any()
    for method, start in torch.cartesian_prod(torch.arange(3), torch.arange(5)).tolist():
        near = [race.arrived(step)[method, start].item() for step in range(401)]
        last_away = max(step for step in range(401) if not near[step])
        expected = last_away + 1 if last_away < 400 else float("inf")
        assert since[method, start] == expected


def test_arrival_is_awaited_no_longer_than_it_takes() -> None:
    soon = arrival_steps([(0.0, -8.0)], learning_rate=0.1, steps=10**9)
    assert (soon == 1).all()


def test_long_races_that_are_not_there_are_told(tmp_path) -> None:
    with pytest.raises(ValueError, match=r"absent.json is not in .*; it comes with a checkout"):
        long_races(tmp_path / "absent.json")


def test_what_does_not_arrive_arrives_at_infinity(tmp_path) -> None:
    path = tmp_path / "races.json"
    columns = '["learning_rate", "method", "start", "copy", "arrival"]'
    rows = '[[0.1, "sum", 1, 0, null], [0.1, "sum", 2, 0, 7]]'
    path.write_text(f'{{"columns": {columns}, "rows": {rows}, "provenance": {{"steps": 9}}}}')
    table, provenance = long_races(path)
    assert table["arrival"].tolist() == [float("inf"), 7]
    assert provenance == {"steps": 9}
