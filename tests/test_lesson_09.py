"""Lesson 09's gradients are the package's; few-shot tasks and the relatedness lab are right."""

from __future__ import annotations

import math

import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lesson_cells import run_tagged
from matplotlib.figure import Figure
from test_meta import random_tasks
from torch import nn

from mtl_tutorial.architectures import HardSharing
from mtl_tutorial.data import located_digits
from mtl_tutorial.experiments.few_shot import (
    NEW,
    OLD,
)
from mtl_tutorial.experiments.meta import first_order_maml_gradient, maml_gradient
from mtl_tutorial.experiments.relatedness import ANGLES, compute_relatedness
from mtl_tutorial.plots import draw_by_shots
from mtl_tutorial.widgets.relatedness_lab import RelatednessLab, draw_relatedness

UNHURRIED = settings(deadline=None, max_examples=20)
CLASSES = torch.tensor([2, 3, 5, 8])
KINDS = ((False, maml_gradient), (True, first_order_maml_gradient))


def build() -> HardSharing:
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(256, 6), nn.ReLU())
    encoder.out_features = 6
    return HardSharing(encoder, (OLD, NEW))


@pytest.fixture(scope="module")
def lesson() -> dict:
    return run_tagged("09_transfer_and_meta", "from-scratch")


@pytest.fixture(scope="module")
def scenes():
    return located_digits("train", size=16, extent=(11, 14))


@UNHURRIED
@given(st.integers(0, 10_000), st.integers(0, 3))
def test_the_lessons_gradients_are_the_packages(lesson, seed, steps) -> None:
    theta, tasks, loss = random_tasks(seed)
    for first_order, packaged in KINDS:
        own = lesson["meta_gradient"](loss, theta, tasks, 0.3, steps, first_order)
        theirs = packaged(loss, theta, tasks, rate=0.3, steps=steps)
        assert own.keys() == theirs.keys()
        assert all(torch.allclose(own[name], theirs[name]) for name in own)


def test_the_lab_draws_the_ratio_of_the_errors() -> None:
    figure, lab = Figure(figsize=(9, 4)), compute_relatedness(45, (20, 60), 1.0)
    text = draw_relatedness(figure, lab)
    lines = [line for line in figure.axes[1].lines if len(line.get_xdata()) == len(ANGLES)]
    for line, curve, alone in zip(lines, lab.curves, lab.alone, strict=True):
        assert line.get_ydata() == pytest.approx(curve / alone)
    assert text.startswith("At 45° joint training helps task 1: error ")


@pytest.mark.parametrize(
    "setting", [(0, (15, 15), 2.0), (180, (120, 120), 0.1), (180, (15, 120), 2.0)]
)
def test_the_lab_can_be_drawn_at_its_ends(setting) -> None:
    assert "task 2" in draw_relatedness(Figure(figsize=(9, 4)), compute_relatedness(*setting))


def test_every_slider_of_the_lab_changes_picture_and_sentence_and_the_button_undoes_it() -> None:
    widget = RelatednessLab()
    start, sentence = widget.image.value, widget.sentence.value
    for slider in widget.sliders.values():
        slider.value = slider.value + slider.step
        assert widget.sentence.value != sentence
        assert widget.image.value != start
        widget.button.click()
        assert (widget.sentence.value, widget.image.value) == (sentence, start)


def test_the_button_of_the_lab_shows_one_picture_with_all_sliders_back() -> None:
    widget = RelatednessLab()
    start, shown = widget.image.value, []
    for slider in widget.sliders.values():
        slider.value = slider.max
    widget.image.observe(lambda change: shown.append(change.new), "value")
    widget.button.click()
    assert shown == [start]


@pytest.mark.parametrize(
    ("start", "told"),
    [
        ({"angle": 400}, "angle must be a number from 0 to 180, got 400"),
        ({"samples": (5, 60)}, "samples of task 1 must be a whole number from 15 to 120, got 5"),
        ({"samples": (20, 500)}, "samples of task 2 must be .* got 500"),
        ({"samples": (20, 60, 30)}, r"samples must be two numbers, .* got \(20, 60, 30\)"),
        ({"samples": 20}, "samples must be two numbers, one for each task, got 20"),
        (
            {"samples": (20.5, 60)},
            "samples of task 1 must be a whole number from 15 to 120, got 20.5",
        ),
        ({"noise": math.nan}, "noise must be a number from 0.1 to 2, got nan"),
        ({"noise": 0}, "noise must be .* got 0"),
    ],
)
def test_a_start_that_the_labs_sliders_can_not_show_is_refused(start, told) -> None:
    with pytest.raises(ValueError, match=told):
        RelatednessLab(**start)


@pytest.mark.parametrize("start", [(0, (15, 120), 0.1), (180, (120, 15), 2)])
def test_the_lab_starts_at_the_ends_of_its_sliders(start) -> None:
    sliders = RelatednessLab(*start).sliders
    values = {name: slider.value for name, slider in sliders.items()}
    assert (values["angle"], (values["first"], values["second"]), values["noise"]) == start


def test_each_seed_and_mean_of_the_methods_is_drawn() -> None:
    rows = [
        {"shots": shots, "method": method, "seed": seed, "value": 0.5 + 0.1 * seed}
        for shots in (1, 5)
        for method in ("a", "b")
        for seed in range(3)
    ]
    figure = Figure(figsize=(9, 4))
    colours = {"a": "#000000", "b": "#0072B2"}
    assert draw_by_shots(figure, pd.DataFrame(rows), colours, title="t", chance=1 / 3) == "t"
    for axes in figure.axes:
        assert [text.get_text() for text in axes.texts] == ["0.60", "0.60"]
        dots = [line for line in axes.lines if line.get_marker() == "o"]
        assert [list(line.get_xdata()) for line in dots] == [[0.5, 0.6, 0.7]] * 2
