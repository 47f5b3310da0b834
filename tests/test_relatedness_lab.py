"""The relatedness lab draws the ratio of the errors at the angle that is chosen."""

from __future__ import annotations

import math

import pytest
from matplotlib.figure import Figure

from mtl_tutorial.experiments.relatedness import ANGLES, compute_relatedness
from mtl_tutorial.widgets.relatedness_lab import RelatednessLab, draw_relatedness


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
