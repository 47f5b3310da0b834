"""Lesson 08's surgery is the package's; the compass, the landscape and the race are right."""

from __future__ import annotations

import math

import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lesson_cells import run_tagged
from matplotlib.figure import Figure

from mtl_tutorial.balancing import mgda, pcgrad
from mtl_tutorial.data.landscape import PARETO_X, PARETO_Y, landscape_gradients
from mtl_tutorial.experiments.race import run_race
from mtl_tutorial.plots import draw_conflicts
from mtl_tutorial.widgets.gradient_compass import GradientCompass, compute_compass, draw_compass
from mtl_tutorial.widgets.landscape_race import LandscapeRace, draw_race

UNHURRIED = settings(deadline=None, max_examples=60)
angle, length = st.floats(0, 180), st.floats(0.1, 3)


@pytest.fixture(scope="module")
def lesson() -> dict:
    return run_tagged("08_pcgrad", "from-scratch")


@UNHURRIED
@given(st.integers(2, 7), st.integers(0, 10_000))
def test_the_lessons_surgery_is_the_packages(lesson, tasks, seed) -> None:
    jacobian = torch.randn(tasks, 9, generator=torch.Generator().manual_seed(seed)).double()
    own = lesson["surgery"](jacobian, torch.Generator().manual_seed(seed))
    assert torch.allclose(own, pcgrad(jacobian, generator=torch.Generator().manual_seed(seed)))


@UNHURRIED
@given(angle, length)
def test_the_compass_has_the_angle_and_length_asked_for(angle, length) -> None:
    first, second = compute_compass(angle, length).gradients
    assert first.norm() == 1
    assert second.norm().item() == pytest.approx(length)
    assert (first @ second).item() == pytest.approx(length * math.cos(math.radians(angle)))


@UNHURRIED
@given(angle, length)
def test_pcgrad_and_mgda_hurt_nobody_at_any_angle(angle, length) -> None:
    changes = compute_compass(angle, length).changes
    assert max(*changes["PCGrad"], *changes["MGDA"]) < 1e-9


@UNHURRIED
@given(st.floats(91, 179), st.floats(0.1, 0.9))
def test_the_sum_hurts_a_task_that_is_short_enough(angle, share) -> None:
    shorter = share * -math.cos(math.radians(angle))  # ‖g_2‖ below −cos · ‖g_1‖
    assert compute_compass(angle, shorter).changes["sum"][1] > 0


def test_the_change_of_a_loss_is_that_of_a_small_step() -> None:
    compass = compute_compass(120, 2)
    for name, direction in compass.directions.items():
        for gradient, change in zip(compass.gradients, compass.changes[name], strict=True):
            assert change == pytest.approx(-(gradient @ direction).item())


def test_the_compass_draws_the_changes_it_computed() -> None:
    figure, compass = Figure(figsize=(9, 4)), compute_compass(135, 1.5)
    text = draw_compass(figure, compass)
    drawn = [bar.get_width() for bar in figure.axes[1].patches]
    assert drawn == pytest.approx([c for changes in compass.changes.values() for c in changes])
    assert "sum hurts task 1, PCGrad hurts nobody" in text


@pytest.mark.parametrize("setting", [(0, 1), (180, 1), (180, 0.5), (90, 2.5)])
def test_the_compass_can_be_drawn_at_its_ends(setting) -> None:
    assert "cosine" in draw_compass(Figure(figsize=(9, 4)), compute_compass(*setting))


def test_a_gradient_that_is_turned_changes_picture_and_sentence_and_comes_back() -> None:
    widget = GradientCompass()
    before = widget.image.value
    widget.angle.value = 60
    assert "They do not conflict" in widget.sentence.value
    assert widget.image.value != before
    widget.button.click()
    assert widget.image.value == before


@pytest.mark.parametrize("start", [{"angle": 400}, {"length": 0}, {"angle": math.nan}])
def test_a_start_that_the_compass_can_not_show_is_refused(start) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(start))} must be a number from 0"):
        GradientCompass(**start)


@UNHURRIED
@given(st.floats(*PARETO_X))
def test_at_the_best_tradeoffs_mgda_stops(x1) -> None:
    _, jacobian = landscape_gradients(torch.tensor([x1, PARETO_Y]).double())
    assert mgda(jacobian).norm() < 2e-2


def test_the_race_is_drawn_up_to_the_step_that_is_shown() -> None:
    figure, race = Figure(figsize=(9, 4)), run_race(steps=30)
    draw_race(figure, race, 12)
    lengths = {len(line.get_xdata()) for line in figure.axes[0].lines}
    assert lengths == {13, 1, 2}  # ways, points, the best trade-offs


def test_controls_run_another_race_and_the_replay_does_not() -> None:
    widget = LandscapeRace(steps=30)
    race, picture = widget.race, widget.image.value
    widget.step.value = 10
    assert widget.race is race
    assert "After 10 steps" in widget.sentence.value
    assert widget.image.value != picture
    for control, value in (
        (widget.rate, 0.2),
        (widget.weight, 0.8),
        (widget.optimizer, "gradient descent"),
        (widget.start, ((9.0, 9.0),)),
    ):
        race = widget.race
        control.value = value
        assert widget.race is not race
    assert "of 1" in widget.sentence.value


def test_the_share_of_conflicts_is_drawn_for_every_layer() -> None:
    rows = [
        {"seed": seed, "step": step, "layer": layer, "cosine": cosine}
        for seed in range(2)
        for step in range(5, 65, 5)
        for layer, cosine in (("conv", -1.0), ("linear", 1.0), ("all", -1.0 if step > 30 else 1.0))
    ]
    figure = Figure(figsize=(9, 4))
    draw_conflicts(figure, pd.DataFrame(rows), title="t")
    by_time, by_layer = figure.axes
    assert by_time.lines[0].get_ydata().tolist() == pytest.approx([0, 0, 0, 1, 1, 1])
    assert [text.get_text() for text in by_layer.texts] == ["100%", "0%"]
