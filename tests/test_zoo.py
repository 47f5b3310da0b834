"""What is measured of the methods in the zoo is what the formulas say."""

from __future__ import annotations

import pytest
import torch
from torchjd import aggregation, scalarization

from mtl_tutorial.experiments.zoo import (
    angle,
    direction,
    hurts,
    measure_zoo,
    random_problems,
    turns,
)

JACOBIAN = torch.tensor([[1.0, 0.0], [-3.0, 4.0]]).double()
LOSSES = torch.tensor([0.5, 2.0]).double()


def test_an_aggregator_goes_where_it_sends_the_jacobian() -> None:
    assert direction(aggregation.Mean(), JACOBIAN, LOSSES).tolist() == [-1.0, 2.0]


def test_a_scalarizer_goes_down_its_value() -> None:
    found = direction(scalarization.GeometricMean(), JACOBIAN, LOSSES)
    expected = 0.5 * (JACOBIAN / LOSSES[:, None]).sum(0)  # √(L₁ L₂) = 1
    assert torch.allclose(found, expected)


def test_famo_begins_as_the_geometric_mean_and_gradvac_as_pcgrad() -> None:
    for one, other in (
        (scalarization.FAMO(2), scalarization.GeometricMean()),
        (aggregation.GradVac(), aggregation.PCGrad()),
    ):
        for jacobian, losses in random_problems(2):
            ways = direction(one, jacobian, losses), direction(other, jacobian, losses)
            assert angle(*ways) < 0.01


def test_a_method_with_a_memory_begins_anew() -> None:
    method = aggregation.GradVac()
    first = direction(method, JACOBIAN, LOSSES)
    direction(method, -3 * JACOBIAN.flip(0), LOSSES)
    assert torch.equal(direction(method, JACOBIAN, LOSSES), first)


@pytest.mark.parametrize("tasks", [2, 3])
def test_some_direction_helps_every_task_of_the_random_problems(tasks) -> None:
    problems = list(random_problems(tasks))
    assert len(problems) == 40
    for jacobian, losses in problems:
        assert (jacobian @ jacobian.T < 0).any()
        way = torch.linalg.lstsq(jacobian, torch.ones(tasks, 1).double()).solution[:, 0]
        assert (jacobian @ way > 0.99).all()
        assert (losses > 0).all()


def test_the_mean_hurts_mgda_does_not_and_units_turn_both() -> None:
    assert hurts(aggregation.Mean(), 2) > 0.5
    assert hurts(aggregation.MGDA(), 2) == 0
    assert turns(aggregation.Mean()) > 90
    assert turns(aggregation.MGDA()) > 45
    assert turns(scalarization.GeometricMean()) < 0.01
    assert turns(scalarization.STCH(mu=1.0)) > 45


def test_the_table_has_a_row_for_each_method() -> None:
    famo = scalarization.FAMO  # a class: it has to know the number of tasks
    table = measure_zoo({"mean": aggregation.Mean(), "ConFIG": aggregation.ConFIG(), "FAMO": famo})
    assert table.index.tolist() == ["mean", "ConFIG", "FAMO"]
    assert table.loc["FAMO", "turns, degrees"] < 0.01
    assert table.columns.tolist() == ["hurts, T = 2", "hurts, T = 3", "turns, degrees"]
    assert table.loc["ConFIG"].tolist() == pytest.approx([0, 0, 0], abs=0.01)
    assert table.loc["mean", "turns, degrees"] == pytest.approx(turns(aggregation.Mean()))
