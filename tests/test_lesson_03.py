"""Lesson 03's own network is the package's; its pictures show what they are given."""

from __future__ import annotations

import pandas as pd
import pytest
import torch
from lesson_cells import run_tagged
from matplotlib.figure import Figure

from mtl_tutorial.architectures import ConvEncoder, CrossStitch, CrossStitchUnit
from mtl_tutorial.balancing import FixedWeights
from mtl_tutorial.data import located_digits
from mtl_tutorial.data.questions import BOX, DIGIT
from mtl_tutorial.experiments import seeded
from mtl_tutorial.plots import draw_intake, draw_plane
from mtl_tutorial.training import fit

SCENES = located_digits("train")
TASKS = (DIGIT, BOX)


@pytest.fixture(scope="module")
def lesson() -> dict:
    return run_tagged("03_cross_stitch", "from-scratch")


def both(lesson: dict, keep: float) -> tuple[torch.nn.Module, CrossStitch]:
    with seeded(5):
        own = lesson["StitchedDigits"](keep)
    with seeded(5):
        packaged = CrossStitch([ConvEncoder(8) for _ in TASKS], TASKS, keep=keep)
    return own, packaged


@pytest.mark.parametrize("keep", [1.0, 0.9, 0.5])
def test_the_lessons_network_answers_as_the_packages(lesson, keep) -> None:
    own, packaged = both(lesson, keep)
    images = SCENES.draw(8, torch.Generator().manual_seed(0)).inputs
    answers, expected = own(images), packaged(images)
    assert answers.keys() == expected.keys()
    for name in expected:
        torch.testing.assert_close(answers[name], expected[name])


def test_the_lessons_network_learns_as_the_packages(lesson) -> None:
    own, packaged = both(lesson, 0.9)
    batches = [SCENES.draw(16, torch.Generator().manual_seed(i)) for i in range(3)]
    for model in (own, packaged):
        sgd = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in fit(model, TASKS, batches, FixedWeights(), sgd, steps=3):
            pass
    for mine, theirs in zip(own.units, packaged.units, strict=True):
        assert not torch.equal(theirs.alpha, CrossStitchUnit(2, 1).alpha)
        torch.testing.assert_close(mine.alpha, theirs.alpha)


@pytest.mark.parametrize("tasks", [2, 3, 4])
def test_the_lessons_unit_is_the_packages_for_any_number_of_tasks(lesson, tasks) -> None:
    own, packaged = lesson["Unit"](tasks, 0.7), CrossStitchUnit(tasks, 6, keep=0.7)
    assert torch.equal(own.alpha, packaged.alpha)
    features = torch.rand(tasks, 5, 6, 3, 3, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(torch.stack(own(list(features))), packaged(features))


def test_the_intake_shows_the_mean_of_each_task_by_unit_and_the_start() -> None:
    rows = [
        {"start": start, "seed": seed, "task": task, "unit": unit, "value": value + 0.1 * seed}
        for start, value in (("a", 0.2), ("b", 0.6))
        for seed in range(3)
        for task in ("digit", "box")
        for unit in (1, 2, 3)
    ]
    figure = Figure(figsize=(9, 4))
    starts = {"b": 0.5, "a": 0.1}
    assert draw_intake(figure, pd.DataFrame(rows), starts, TASKS, title="t") == "t"
    for axes, (name, start), mean in zip(figure.axes, starts.items(), (0.7, 0.3), strict=True):
        assert axes.get_title() == f"{name}, from {start:g}"
        _zero, dotted, digit, box = axes.lines
        assert dotted.get_ydata()[0] == start
        assert digit.get_ydata() == pytest.approx([mean] * 3)
        assert box.get_ydata() == pytest.approx([mean] * 3)
        assert {text.get_text() for text in axes.texts} == {"digit", "box"}


def test_the_plane_shows_every_seed_and_the_mean_of_each_setting() -> None:
    rows = [
        {"setting": setting, "seed": seed, "task": task, "value": value + 0.1 * seed}
        for setting, value in (("ours", 0.3), ("rival", 0.6))
        for seed in range(3)
        for task in ("digit", "box")
    ]
    figure = Figure(figsize=(9, 4))
    told = draw_plane(figure, pd.DataFrame(rows), TASKS, by="setting", star="rival", title="t")
    assert told == "t"
    (axes,) = figure.axes
    marked = {line.get_marker(): line for line in axes.lines if len(line.get_xdata()) == 1}
    assert marked["*"].get_xdata()[0] == pytest.approx(0.7)
    assert marked["o"].get_ydata()[0] == pytest.approx(0.4)
    clouds = [line for line in axes.lines if len(line.get_xdata()) == 3]
    assert [sorted(cloud.get_xdata()) for cloud in clouds] == [
        pytest.approx([0.3, 0.4, 0.5]),
        pytest.approx([0.6, 0.7, 0.8]),
    ]
    assert [text.get_text() for text in axes.texts] == ["ours", "rival"]
