"""Pictures of sharing: trade-offs, masks, units, attention, similarities."""

from __future__ import annotations

import pandas as pd
import pytest
import torch
from matplotlib.figure import Figure

from mtl_tutorial.data.questions import BOX, DIGIT
from mtl_tutorial.plots import (
    draw_attention,
    draw_by_unit,
    draw_intake,
    draw_mask_differences,
    draw_plane,
    draw_similarity,
    draw_swaps,
)

TASKS = (DIGIT, BOX)


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
        assert axes.get_title() == f"{name}\nfrom {start:g}"
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
    assert axes.get_xlim() == axes.get_ylim() == pytest.approx((0.25, 0.85))
    assert "both axes begin at 0.25" in axes.get_title()


def test_no_name_in_the_plane_lies_on_another_or_on_a_dot() -> None:
    rows = [
        {"setting": f"setting {n}", "seed": seed, "task": task, "value": value}
        for n in range(4)
        for seed in range(3)
        for task, value in (("digit", 0.6 + 0.02 * seed), ("box", 0.5 + 0.05 * n + 0.01 * seed))
    ]
    figure = Figure(figsize=(9, 4.4))
    draw_plane(figure, pd.DataFrame(rows), TASKS, by="setting", title="t")
    (axes,) = figure.axes
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in axes.texts]
    for number, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[number + 1 :])
        for line in axes.lines:
            assert not any(box.contains(*p) for p in axes.transData.transform(line.get_xydata()))


def test_differences_are_drawn_as_means_over_pairs_and_seeds() -> None:
    rows = [
        (seed, block, pair, value + 0.1 * seed)
        for seed in range(2)
        for block in (1, 2)
        for pair, value in (("two tasks", 0.2), ("two tasks", 0.4), ("one task twice", 0.1))
    ]
    figure = Figure(figsize=(9, 3.6))
    frame = pd.DataFrame(rows, columns=["seed", "block", "pair", "value"])
    assert draw_mask_differences(figure, frame, title="t") == "t"
    two, one = figure.axes[0].lines
    assert two.get_ydata() == pytest.approx([0.35, 0.35])
    assert one.get_ydata() == pytest.approx([0.15, 0.15])
    assert {text.get_text() for text in figure.axes[0].texts} == {
        "two tasks\n0.35",
        "one task twice\n0.15",
    }


def test_swaps_show_the_mean_the_range_and_what_is_kept() -> None:
    rows = [
        (seed, task, masks, value + 0.1 * seed)
        for seed in range(3)
        for task in ("digit", "box")
        for masks, value in (("own", 0.7), ("flat", 0.3))
    ]
    figure = Figure(figsize=(9, 3.6))
    frame = pd.DataFrame(rows, columns=["seed", "task", "masks", "value"])
    assert draw_swaps(figure, frame, title="t") == "t"
    (axes,) = figure.axes
    assert axes.images[0].get_array()[0].tolist() == pytest.approx([1, 0.5])
    assert [text.get_text() for text in axes.texts[:4]] == [
        "0.80",
        "0.70 to 0.90",
        "0.40",
        "0.30 to 0.50",
    ]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["own", "flat"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["digit", "box"]


def test_a_task_that_scores_nothing_has_nothing_to_lose() -> None:
    rows = [(0, "box", masks, 0.0) for masks in ("own", "flat")]
    figure = Figure(figsize=(9, 3.6))
    draw_swaps(figure, pd.DataFrame(rows, columns=["seed", "task", "masks", "value"]), title="t")
    assert figure.axes[0].images[0].get_array().tolist() == [[1, 1]]


def test_attention_is_drawn_a_dot_a_scene_with_its_spread_over_each_network() -> None:
    figure = Figure(figsize=(9, 3))
    networks = [torch.tensor([0.0, 1.0, 0.0, 1.0]), torch.full((4,), 0.25)]
    draw_attention(figure, {"printed": networks, "scaled": networks[:1]}, title="t")
    assert [axes.get_title() for axes in figure.axes] == ["printed", "scaled"]
    assert [line.get_ydata().tolist() for line in figure.axes[0].lines] == [
        values.tolist() for values in networks
    ]
    assert [t.get_text() for t in figure.axes[0].texts] == ["±0.58", "±0.00"]
    draw_attention(figure, {"printed": networks, "scaled": networks[:1]}, title="t", dots=1)
    assert len(figure.axes[0].lines[0].get_ydata()) == 1
    assert figure.axes[0].texts[0].get_text() == "±0.58"  # of all scenes


def test_similarities_share_one_scale() -> None:
    figure = Figure(figsize=(9, 4))
    draw_similarity(
        figure, {"before": torch.eye(10), "after": -torch.eye(10)}, ("seen", "heard"), "t"
    )
    assert [axes.images[0].get_clim() for axes in figure.axes[:2]] == [(-1, 1), (-1, 1)]
    assert figure.axes[0].get_ylabel() == "seen"
    titles = [axes.get_title() for axes in figure.axes[:2]]
    assert titles == ["before: 0.00 to 1.00", "after: -1.00 to -0.00"]


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
        assert axes.get_legend() is None  # a key beside the data, none among them
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["equal", "speed"]
    below = figure.transFigure.inverted().transform(legend.get_window_extent())[0][1]
    assert below > max(axes.get_position().y1 for axes in figure.axes)


def test_without_bands_the_lines_stand_alone_on_axes_that_say_where_they_begin() -> None:
    rows = [
        {"unit": unit, "method": method, "seed": seed, "task": "digit", "value": value + 0.1 * seed}
        for unit in (80, 160)
        for method, value in (("one", 0.5), ("two", 0.45))
        for seed in range(3)
    ]
    figure = Figure(figsize=(9, 4))
    draw_by_unit(figure, pd.DataFrame(rows), (DIGIT,), unit="steps", title="t", bands=False)
    (axes,) = figure.axes
    assert not axes.collections
    assert [line.get_ydata().tolist() for line in axes.lines] == [
        pytest.approx([0.6, 0.6]),
        pytest.approx([0.55, 0.55]),
    ]
    assert axes.get_ylim() == (0.5, 1)
    assert axes.get_title() == "digit, from 0.5 up"
