"""All pictures share one look: a style a task, emptied panels, bands over seeds, labels apart."""

from __future__ import annotations

import itertools

import pandas as pd
import pytest
from matplotlib.figure import Figure

from mtl_tutorial.plots.style import (
    BLUE,
    TASK_STYLES,
    draw_band,
    figure_legend,
    label_ends,
    panels,
    task_style,
)


def test_no_two_tasks_share_a_colour_and_a_line() -> None:
    for one, other in itertools.combinations(TASK_STYLES, 2):
        assert task_style(one) != task_style(other), (one, other)


def test_a_task_of_ones_own_has_the_same_style_every_time() -> None:
    assert task_style("even") == task_style("even")
    assert task_style("even").keys() == {"color", "linestyle"}


def test_panels_that_are_there_are_emptied_and_used_again() -> None:
    figure = Figure()
    first = panels(figure, 1, 2)
    first[0, 1].plot([1, 2])
    first[0, 1].text(0, 0, "old")
    again = panels(figure, 1, 2)
    assert (again == first).all()
    assert not again[0, 1].lines and not again[0, 1].texts
    assert panels(figure, 2, 1).shape == (2, 1)


def test_a_band_reaches_from_the_least_to_the_largest_seed_around_their_mean() -> None:
    frame = pd.DataFrame({"step": [1, 1, 2, 2], "value": [0.0, 1.0, 2.0, 4.0]})
    axes = Figure().subplots()
    assert draw_band(axes, frame, "step", color=BLUE).to_dict() == {1: 0.5, 2: 3.0}
    assert axes.lines[0].get_ydata().tolist() == [0.5, 3.0]
    corners = axes.collections[0].get_paths()[0].vertices[:, 1]
    assert (corners.min(), corners.max()) == (0.0, 4.0)


def test_a_figure_has_one_legend_however_often_it_is_drawn() -> None:
    figure = Figure()
    (line,) = figure.subplots().plot([0, 1])
    for _ in range(2):
        figure_legend(figure, {"a line": line})
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["a line"]


def test_labels_of_lines_that_end_together_stand_apart_and_within_the_axes() -> None:
    axes = Figure(figsize=(9, 4)).subplots()
    axes.set(xlim=(0, 1), ylim=(0, 1))
    label_ends(axes, [(1, y, name) for y, name in ((0.99, "digit"), (0.98, "box"), (0.99, "mask"))])
    heights = sorted(text.xy[1] for text in axes.texts)
    assert len(heights) == 3 and heights[-1] < 1
    assert all(above - below > 0.04 for below, above in itertools.pairwise(heights))
    assert {text.get_text(): text.get_color() for text in axes.texts}["digit"] == BLUE


@pytest.mark.parametrize("name", TASK_STYLES)
def test_a_tasks_colour_is_one_that_everybody_can_tell_apart(name) -> None:
    assert task_style(name)["color"].startswith("#")
