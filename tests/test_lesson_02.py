"""Lesson 02's own model and loop are the package's, to the last bit; its pictures hold."""

from __future__ import annotations

import pandas as pd
import pytest
import torch
from lesson_cells import run_tagged
from matplotlib.figure import Figure

from mtl_tutorial.architectures import ClassicEncoder, HardSharing
from mtl_tutorial.balancing import FixedWeights
from mtl_tutorial.data import untouched_digits
from mtl_tutorial.data.questions import BOX, DIGIT
from mtl_tutorial.experiments import seeded
from mtl_tutorial.plots import draw_comparison, draw_tradeoff
from mtl_tutorial.training import fit

IMAGES = untouched_digits("train")


@pytest.fixture(scope="module")
def lesson() -> dict:
    return run_tagged("02_hard_sharing", "from-scratch")


def batches() -> list:
    return [IMAGES.draw(16, torch.Generator().manual_seed(i)) for i in range(2)]


@pytest.mark.parametrize("weights", [{"digit": 1.0, "box": 1.0}, {"digit": 0.3, "box": 40.0}])
def test_the_lessons_model_and_loop_equal_the_packages_to_the_last_bit(lesson, weights) -> None:
    with seeded(3):
        own = lesson["SharedDigits"]()
        sgd = torch.optim.SGD(own.parameters(), lr=0.01)
        lesson["train_epoch"](own, batches(), sgd, weights)
    with seeded(3):
        packaged = HardSharing(ClassicEncoder(), IMAGES.tasks)
        sgd = torch.optim.SGD(packaged.parameters(), lr=0.01)
        for _ in fit(packaged, IMAGES.tasks, batches(), FixedWeights(weights), sgd, steps=2):
            pass
    for mine, theirs in zip(own.parameters(), packaged.parameters(), strict=True):
        assert torch.equal(mine, theirs)


def test_the_lessons_model_is_the_published_one(lesson) -> None:
    shapes = [tuple(p.shape) for p in lesson["SharedDigits"]().parameters() if p.ndim > 1]
    assert shapes == [(32, 1, 3, 3), (64, 32, 3, 3), (128, 9216), (10, 128), (4, 128)]


def metrics(column: str, settings: list) -> pd.DataFrame:
    rows = [
        {column: setting, "seed": seed, "task": task, "value": 0.3 + 0.1 * i + 0.01 * seed}
        for i, setting in enumerate(settings)
        for seed in range(3)
        for task in ("digit", "box")
    ]
    return pd.DataFrame(rows)


def test_the_tradeoff_shows_the_mean_at_every_weight_and_the_two_networks_as_a_star() -> None:
    figure = Figure(figsize=(9, 4))
    frame = metrics("weight", [1.0, 10.0, 100.0])
    draw_tradeoff(
        figure, frame, {"digit": 0.9, "box": 0.8}, (DIGIT, BOX), weight="weight", title="t"
    )
    by_weight, plane = figure.axes
    assert by_weight.lines[0].get_ydata() == pytest.approx([0.31, 0.41, 0.51])
    star = next(line for line in plane.lines if line.get_marker() == "*")
    assert (star.get_xdata()[0], star.get_ydata()[0]) == (0.9, 0.8)
    assert {text.get_text() for text in plane.texts} == {"1", "10", "100", "two networks"}


def test_the_comparison_shows_every_seed_and_the_mean_of_each_setting_in_order() -> None:
    figure = Figure(figsize=(9, 4))
    draw_comparison(figure, metrics("setting", ["b", "a"]), (DIGIT, BOX), by="setting", title="t")
    axes = figure.axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["b", "a"]
    assert [len(line.get_xdata()) for line in axes.lines] == [3, 3]
    assert [text.get_text() for text in axes.texts] == ["0.31", "0.41"]
