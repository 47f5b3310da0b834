"""The gradient compass turns what it is told to, and its bars are the changes of the losses."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure

from mtl_tutorial.widgets.gradient_compass import GradientCompass, compute_compass, draw_compass

UNHURRIED = settings(deadline=None, max_examples=60)


angle, length = st.floats(0, 180), st.floats(0.1, 3)


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
