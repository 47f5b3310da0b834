"""Lesson 10's front is the package's; the two wells, the explorer and the pictures are right."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lesson_cells import run_tagged
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from mtl_tutorial.balancing import mgda
from mtl_tutorial.data import two_digits
from mtl_tutorial.data.landscape import two_wells
from mtl_tutorial.experiments import non_dominated
from mtl_tutorial.experiments.pareto import RULES, explore_front
from mtl_tutorial.plots import ORANGE, draw_descents, draw_directions, draw_front
from mtl_tutorial.widgets.pareto_explorer import ParetoExplorer, draw_front_explorer

UNHURRIED = settings(deadline=None, max_examples=60)
distance, weight = st.floats(0.6, 2.4), st.floats(0.05, 0.95)
SUM, MIN_MAX = RULES


@pytest.fixture(scope="module")
def lesson() -> dict:
    return run_tagged("10_pareto_and_zoo", "from-scratch")


@UNHURRIED
@given(st.integers(1, 12), st.integers(1, 4), st.integers(0, 10_000))
def test_the_lessons_front_is_the_packages(lesson, count, tasks, seed) -> None:
    generator = torch.Generator().manual_seed(seed)
    points = torch.randint(4, (count, tasks), generator=generator).float()
    assert torch.equal(lesson["front"](points), non_dominated(points))


@UNHURRIED
@given(st.integers(0, 10_000), st.floats(0.05, 20))
def test_the_lessons_shortest_vector_is_that_of_mgda(lesson, seed, length) -> None:
    pairs = torch.randn(4, 2, 7, generator=torch.Generator().manual_seed(seed)).double()
    pairs[:, 1] *= length
    weights = lesson["shortest"](None, pairs, None)
    for row, pair in zip(weights, pairs, strict=True):
        assert torch.allclose(row @ pair, mgda(pair), atol=1e-8)


def test_the_lessons_descent_goes_against_the_weighted_gradients(lesson) -> None:
    def bowls(x):
        return torch.stack([((x - 1) ** 2).sum(-1), ((x + 1) ** 2).sum(-1)], dim=-1)

    start, lam = torch.tensor([[3.0, 2.0]]), torch.tensor([[0.75, 0.25]])
    x, way = lesson["descend"](lesson["weighted_sum"], start, lam, bowls, steps=1, rate=0.1)
    expected = start - 0.1 * (0.75 * 2 * (start - 1) + 0.25 * 2 * (start + 1))
    assert torch.allclose(x, expected)
    assert way.shape == (2, 1, 2)
    x, _ = lesson["descend"](lesson["weighted_sum"], start, lam, bowls, steps=300, rate=0.1)
    assert torch.allclose(x, torch.full((1, 2), 0.5), atol=1e-3)  # 0.75 · 1 + 0.25 · (−1)
    x, way = lesson["descend"](lesson["min_max"], start, lam, bowls, steps=3000, rate=0.1)
    assert torch.allclose(*(lam * way[-1]).T, atol=1e-2)  # equal where min-max is least


def test_no_point_beside_the_way_between_the_wells_is_as_good() -> None:
    between = torch.linspace(-1, 1, 401, dtype=torch.float64)[:, None] * 0.5**0.5
    front = two_wells(between.expand(-1, 2))
    assert non_dominated(front).all()
    cloud = torch.randn(500, 2, generator=torch.Generator().manual_seed(0)).double()
    better = (two_wells(cloud)[:, None] <= front - 1e-4).all(-1)
    assert not better.any()


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
    assert {text.get_text() for text in plane.texts} == {"0.5", "0.8"}  # 0.2 is out of sight
