"""Lesson 06's own steps are the package's; its widgets say what they show."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lesson_cells import run_tagged
from matplotlib.figure import Figure

from mtl_tutorial.balancing import UncertaintyWeights, dwa_weights
from mtl_tutorial.data.questions import BOX, DIGIT
from mtl_tutorial.experiments.bowl import compute_bowl
from mtl_tutorial.experiments.units import Snapshot, compute_shares
from mtl_tutorial.plots import draw_by_unit
from mtl_tutorial.widgets.loss_scale_mixer import LossScaleMixer, draw_shares
from mtl_tutorial.widgets.uncertainty_bowl import UncertaintyBowl, draw_bowl

UNHURRIED = settings(deadline=None, max_examples=40)


SNAPSHOT = Snapshot(
    (DIGIT, BOX),
    {"digit": 2.0, "box": 0.01},
    {"digit": 0.7, "box": 0.2},
    {"digit": 2.3, "box": 0.04},
)


@pytest.fixture(scope="module")
def lesson() -> dict:
    return run_tagged("06_loss_weighting", "from-scratch")


def test_the_lessons_uncertainty_step_is_the_packages(lesson) -> None:
    balancer = UncertaintyWeights((DIGIT, BOX), learning_rate=0.1)
    s, c = torch.zeros(2, requires_grad=True), torch.tensor([1.0, 0.5])
    adam, anchor = torch.optim.Adam([s], lr=0.1), torch.zeros((), requires_grad=True)
    for digit, box in [(2.0, 0.1), (1.0, 3.0), (0.4, 0.02)]:
        own = lesson["uncertainty_step"](s, torch.tensor([digit, box]), c, adam)
        named = {"digit": anchor * 0 + digit, "box": anchor * 0 + box}
        assert list(balancer.backward(named, None).values()) == pytest.approx(own.tolist())
        assert list(balancer.log_variances.values()) == pytest.approx(s.tolist())


@UNHURRIED
@given(st.lists(st.tuples(st.floats(0.01, 9), st.floats(0.01, 9)), min_size=2, max_size=5))
def test_the_lessons_speed_weights_are_the_packages(lesson, pairs) -> None:
    last, before = zip(*pairs, strict=True)
    own = lesson["speed_weights"](torch.tensor(last).double(), torch.tensor(before).double())
    assert own.tolist() == pytest.approx(dwa_weights(last, before))


def test_the_bars_are_as_long_as_the_shares() -> None:
    figure = Figure(figsize=(9, 3))
    shares = compute_shares(SNAPSHOT, {"digit": 1.0, "box": 1.0})
    draw_shares(figure, shares, "title")
    widths = [bar.get_width() for bar in figure.axes[0].patches]
    assert widths == pytest.approx([s for by_task in shares.values() for s in by_task.values()])


def test_a_unit_that_is_turned_changes_the_picture_and_the_sentence_and_comes_back() -> None:
    mixer = LossScaleMixer(SNAPSHOT)
    before, sentence = mixer.image.value, mixer.sentence.value
    mixer.sliders["box"].value = 100
    assert mixer.image.value != before
    assert "box × 100" in mixer.sentence.value
    assert "0% with uncertainty" in mixer.sentence.value
    mixer.button.click()
    assert mixer.sliders["box"].value == 1
    assert (mixer.image.value, mixer.sentence.value) == (before, sentence)


def test_the_bowl_is_drawn_with_its_path_and_the_weights_on_it() -> None:
    figure = Figure(figsize=(9, 4))
    bowl = compute_bowl((DIGIT, BOX), (2.3, 0.02))
    text = draw_bowl(figure, bowl)
    plane, weights = figure.axes
    assert np.array_equal(plane.lines[0].get_xydata(), bowl.path)
    assert weights.lines[0].get_ydata()[0] == 1.0  # of the digit, at s = 0
    assert weights.lines[1].get_ydata()[0] == 0.5
    assert "1 / (2 · 0.02) = 25" in text


def test_a_loss_that_is_turned_moves_the_bowl_and_comes_back() -> None:
    widget = UncertaintyBowl((DIGIT, BOX), (2.3, 0.02))
    before = widget.image.value
    widget.sliders["box"].value = 0.2
    assert widget.image.value != before
    assert "2.5" in widget.sentence.value
    widget.button.click()
    assert widget.image.value == before


def test_a_loss_that_the_bowl_can_not_show_is_refused() -> None:
    with pytest.raises(ValueError, match=r"loss of box must be a number from 0\.001 to 10, got 0"):
        UncertaintyBowl((DIGIT, BOX), (2.3, 0))


def test_every_method_is_a_line_over_the_units() -> None:
    rows = [
        {"unit": unit, "method": method, "seed": seed, "task": task, "value": 0.1 * seed}
        for unit in (0.01, 1.0, 100.0)
        for method in ("equal", "speed")
        for seed in range(3)
        for task in ("digit", "box")
    ]
    figure = Figure(figsize=(9, 4))
    draw_by_unit(figure, pd.DataFrame(rows), (DIGIT, BOX), unit="factor", title="t")
    for axes in figure.axes:
        assert [line.get_label() for line in axes.lines] == ["equal", "speed"]
        assert axes.lines[0].get_ydata().tolist() == pytest.approx([0.1, 0.1, 0.1])
