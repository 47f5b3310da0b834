"""The Pareto explorer draws what it found, and follows its controls."""

from __future__ import annotations

import math

import numpy as np
import pytest
from matplotlib.figure import Figure

from mtl_tutorial.experiments.pareto import RULES, explore_front
from mtl_tutorial.plots import ORANGE
from mtl_tutorial.widgets.pareto_explorer import ParetoExplorer, draw_front_explorer

SUM, MIN_MAX = RULES


@pytest.mark.parametrize(
    "setting", [(0.6, 0.05), (0.6, 0.95), (2.4, 0.05), (2.4, 0.95), (1.4, 0.5)]
)
@pytest.mark.parametrize("rule", RULES)
def test_the_explorer_can_be_drawn_at_its_ends(setting, rule) -> None:
    text = draw_front_explorer(Figure(figsize=(9, 4)), explore_front(*setting), rule)
    assert f"{setting[0]:.2f} apart" in text
    assert f"weight {setting[1]:.2f}" in text


def test_the_explorer_draws_as_many_dots_as_it_found() -> None:
    figure, exploration = Figure(figsize=(9, 4)), explore_front(1.8, 0.4)
    draw_front_explorer(figure, exploration, SUM)
    plane, along = figure.axes
    dots = [line for line in plane.lines if line.get_marker() == "o"]
    places = {tuple(np.round(line.get_xydata()[0], 6)) for line in dots}
    expected = [exploration.front[k] for found in exploration.found.values() for k in found]
    assert places == {tuple(np.round(point, 6)) for point in expected}
    (out_of_reach,) = (line for line in plane.lines if line.get_color() == ORANGE)
    drawn = np.isfinite(out_of_reach.get_ydata()).mean()
    assert drawn == pytest.approx(exploration.unreached.mean(), abs=0.02)
    assert len(along.lines) == 3


def test_controls_change_the_sentence_and_the_button_brings_all_back() -> None:
    widget = ParetoExplorer(distance=1.6, weight=0.4)
    before = widget.image.value, widget.sentence.value
    for control, value, words in (
        (widget.distance, 0.9, "0.90 apart: no part of the front is out"),
        (widget.distance, 2.3, "all of the front but its ends is out"),
        (widget.weight, 0.55, "weight 0.55"),
    ):
        picture = widget.image.value
        control.value = value
        assert words in widget.sentence.value
        assert widget.image.value != picture
    picture = widget.image.value
    widget.rule.value = MIN_MAX
    assert widget.image.value != picture
    widget.button.click()
    assert (widget.image.value, widget.sentence.value) == before


def test_an_unknown_rule_is_refused() -> None:
    with pytest.raises(ValueError, match="rule must be one of 'weighted sum', 'min-max'"):
        ParetoExplorer(rule="max-min")


@pytest.mark.parametrize(
    ("start", "told"),
    [
        ({"distance": 9}, "distance must be a number from 0.6 to 2.4, got 9"),
        ({"distance": math.nan}, "distance must be .* got nan"),
        ({"weight": 0}, "weight must be a number from 0.05 to 0.95, got 0"),
        ({"weight": "half"}, "weight must be .* got 'half'"),
    ],
)
def test_a_start_that_the_explorers_sliders_can_not_show_is_refused(start, told) -> None:
    with pytest.raises(ValueError, match=told):
        ParetoExplorer(**start)


@pytest.mark.parametrize("start", [(0.6, 0.05), (2.4, 0.95)])
def test_the_explorer_starts_at_the_ends_of_its_sliders(start) -> None:
    widget = ParetoExplorer(*start)
    assert (widget.distance.value, widget.weight.value) == start
