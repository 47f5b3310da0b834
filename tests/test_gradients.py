"""Pictures of gradients: directions, descents, fronts."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from mtl_tutorial.data import two_digits
from mtl_tutorial.plots import draw_descents, draw_directions, draw_front
from mtl_tutorial.plots.gradients import _name_points


def test_every_descent_is_drawn_from_its_start_to_its_end() -> None:
    figure, ways = Figure(figsize=(9, 4)), torch.rand(7, 3, 2)
    draw_descents(figure, torch.rand(9, 2), {"one": ways, "two": ways}, title="t")
    for axes in figure.axes:
        starts, ends = axes.lines[-2].get_xydata(), axes.lines[-1].get_xydata()
        assert np.allclose(starts, ways[0]) and np.allclose(ends, ways[-1])


def test_the_wedge_holds_the_directions_that_hurt_nobody() -> None:
    jacobian = torch.tensor([[1.0, 0.0], [-1.0, 1.0]]).double()
    figure = Figure(figsize=(9, 4))
    names = {"pair": [torch.ones(2)], "lots": [torch.rand(5, 2)]}
    draw_directions(figure, {"words": jacobian}, {"idea": names}, title="t")
    (wedge,) = figure.axes[0].patches
    assert (wedge.theta1, wedge.theta2) == pytest.approx((45, 90))
    for angle, helps in ((46, True), (89, True), (44, False), (91, False)):
        way = torch.tensor([math.cos(math.radians(angle)), math.sin(math.radians(angle))])
        assert bool((jacobian @ way.double() > 0).all()) is helps
    drawn = {text.get_text(): to_hex(text.get_color()) for text in figure.axes[0].texts}
    assert {"pair", "lots"} <= set(drawn)
    assert drawn["pair"] != drawn["lots"]


def test_the_front_is_drawn_with_the_mean_gap_of_each_method() -> None:
    tasks = two_digits("test").tasks
    index = pd.MultiIndex.from_product([[0.2, 0.5, 0.8], [0, 1]], names=["weight", "seed"])
    fronts = pd.DataFrame({"left": index.get_level_values(0), "right": 0.5}, index=index)
    index = pd.MultiIndex.from_product([["A", "B"], [0, 1]], names=["method", "seed"])
    methods = pd.DataFrame({"left": 0.5, "right": [0.4, 0.6, 0.5, 0.5]}, index=index)
    gaps = pd.DataFrame({"gap": [0.1, 0.3, -0.1, 0.0]}, index=index)
    figure = Figure(figsize=(9, 4))
    assert draw_front(figure, fronts, methods, gaps, tasks, title="t") == "t"
    plane, bars = figure.axes
    means = [c.get_segments()[0][0][0] for c in bars.collections]
    assert means == pytest.approx([0.2, -0.05])
    assert [label.get_text() for label in bars.get_yticklabels()] == ["A", "B"]
    assert [list(line.get_xdata()) for line in plane.lines] == [[0.8], [0.5, 0.5]]  # no more beats
    words = {text.get_text() for text in plane.texts}
    assert words == {"weight 0.8", "A", "B", "gap 0.10", ""}  # "" is the arrow


def test_names_of_points_cover_neither_each_other_nor_a_point() -> None:
    figure = Figure(figsize=(9, 4))
    axes = figure.subplots()
    places = [(0.1 * (i % 3), 0.02 * i) for i in range(8)] + [(0.0, 0.0)]
    axes.set(xlim=(-0.5, 0.7), ylim=(-0.1, 0.3))
    points = [(f"method {i}", place, "black") for i, place in enumerate(places)]
    _name_points(axes, points, np.array([[0.0, 0.05]]))
    assert "method 0, method 8" in {text.get_text() for text in axes.texts}
    boxes = [text.get_window_extent() for text in axes.texts]
    for i, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[:i])
        assert not any(box.contains(*axes.transData.transform(place)) for place in places)
