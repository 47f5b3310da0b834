"""Lesson 00's own loop is the package's, to the last bit."""

from __future__ import annotations

from itertools import repeat

import nbformat
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lesson_cells import NOTEBOOKS, run_tagged
from torch import Tensor, nn

from mtl_tutorial.balancing import FixedWeights
from mtl_tutorial.tasks import Batch, Task
from mtl_tutorial.training import fit


class OneNumber(nn.Module):
    """One shared number, which is every task's prediction."""

    def __init__(self, names) -> None:
        super().__init__()
        self.names = tuple(names)
        self.theta = nn.Parameter(torch.tensor(0.0))

    def forward(self, inputs: Tensor) -> dict[str, Tensor]:
        return {name: self.theta for name in self.names}


def packaged_path(targets, weights, steps, rate) -> list[float]:
    def half_square(prediction, target):
        return (prediction - target) ** 2 / 2

    tasks = [Task(name, half_square, half_square, 1) for name in targets]
    batch = Batch(torch.empty(0), {name: torch.tensor(t) for name, t in targets.items()})
    model = OneNumber(targets)
    optimizer = torch.optim.SGD(model.parameters(), lr=rate)
    records = fit(model, tasks, repeat(batch), FixedWeights(weights), optimizer, steps)
    return [0.0, *(model.theta.item() for _ in records)]


@pytest.fixture(scope="module")
def descend():
    return run_tagged("00_start_here", "from-scratch")["descend"]


a_target = st.floats(-10, 10, width=32)
a_weight = st.floats(0, 3, width=32)


@settings(deadline=None, max_examples=40)
@given(
    pulls=st.lists(st.tuples(a_target, a_weight), min_size=1, max_size=4),
    rate=st.floats(0.001, 0.1),
)
def test_the_loop_from_scratch_is_the_package_s_to_the_last_bit(descend, pulls, rate) -> None:
    targets = {f"task_{i}": target for i, (target, _) in enumerate(pulls)}
    weights = {f"task_{i}": weight for i, (_, weight) in enumerate(pulls)}
    expected = packaged_path(targets, weights, 20, rate)
    assert descend(targets, weights, steps=20, rate=rate) == expected


def test_it_ends_at_the_weighted_mean_of_the_targets(descend) -> None:
    targets, weights = {"a": -1.0, "b": 2.0, "c": 5.0}, {"a": 1.0, "b": 2.0, "c": 0.5}
    end = descend(targets, weights, steps=300, rate=0.1)[-1]
    assert end == pytest.approx((-1 + 4 + 2.5) / 3.5, abs=1e-5)


def test_a_loss_times_100_acts_like_a_weight_times_100(descend) -> None:
    targets = {"a": 0.0, "b": 4.0}
    by_weight = descend(targets, {"a": 1.0, "b": 100.0}, steps=100, rate=0.01)[-1]
    assert by_weight == pytest.approx(400 / 101, abs=1e-5)


def test_the_map_at_the_top_leads_to_every_other_lesson() -> None:
    cells = nbformat.read(NOTEBOOKS / "00_start_here.ipynb", as_version=4).cells
    (course,) = [cell.source for cell in cells if cell.id == "map"]
    assert [cell.id for cell in cells].index("map") == 1
    others = {path.name for path in NOTEBOOKS.glob("[0-9]*.ipynb")} - {"00_start_here.ipynb"}
    assert {name for name in others if f"({name})" not in course} == set()
