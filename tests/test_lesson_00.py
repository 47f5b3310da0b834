"""Lesson 00's own loop is the package's, to the last bit; its pictures hold its numbers."""

from __future__ import annotations

from itertools import repeat

import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lesson_cells import run_tagged
from matplotlib.figure import Figure
from torch import Tensor, nn

from mtl_tutorial.balancing import FixedWeights
from mtl_tutorial.data.questions import DIGIT
from mtl_tutorial.plots import draw_learning_curves, draw_paths
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


def test_the_picture_of_paths_holds_every_path_its_end_and_what_the_tasks_want() -> None:
    figure = Figure(figsize=(9, 4))
    paths = {"even": [0.0, 1.0, 1.5], "high × 3": [0.0, 2.0, 3.0]}
    assert draw_paths(figure, paths, {"low": 0.0, "high": 4.0}, title="Pulled") == "Pulled"
    (axes,) = figure.axes
    drawn = [line.get_ydata().tolist() for line in axes.lines if len(line.get_ydata()) == 3]
    assert drawn == list(paths.values())
    words = {text.get_text() for text in axes.texts}
    assert words == {"low wants 0", "high wants 4", "even", "high × 3"}
    low, high = axes.get_ylim()
    assert low < 0 < 4 < high


def test_baselines_are_drawn_at_their_scores() -> None:
    rows = [(step, seed, 0.1 * step) for step in (1, 2) for seed in (0, 1)]
    frame = pd.DataFrame(rows, columns=["step", "seed", "value"])
    frame = frame.assign(task="digit", quantity="validation metric")
    figure = Figure(figsize=(9, 4))
    draw_learning_curves(figure, frame, [DIGIT], title="Learns", baselines={"digit": 0.11})
    levels = [line.get_ydata() for line in figure.axes[0].lines]
    assert any(list(level) == [0.11, 0.11] for level in levels)
