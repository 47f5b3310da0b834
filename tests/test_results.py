"""Pictures of results: methods with their intervals, searches, fronts."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from mtl_tutorial.plots import (
    BLACK,
    BLUE,
    draw_differences,
    draw_methods,
    draw_shares,
    draw_skill,
    draw_steps,
    draw_tuning,
    method_label,
)
from mtl_tutorial.tasks import Task

PAIR = ("left", "right")


def table(low_method: float = 0.9) -> pd.DataFrame:
    rows = [("single_task", "equal", 0.96), ("hard_sharing", "equal", 0.94),
            ("hard_sharing", "pcgrad", 0.95), ("hard_sharing", "mgda", low_method),
            ("hard_sharing", "dwa", 0.93)]  # fmt: skip
    return pd.DataFrame(
        {"architecture": a, "method": m, "task": task, "mean": mean, "low": mean - 0.005,
         "high": mean + 0.005}
        for a, m, mean in rows
        for task in PAIR
    )  # fmt: skip


def test_methods_are_drawn_with_their_intervals_the_baselines_first() -> None:
    figure = Figure(figsize=(9, 4))
    draw_methods(figure, table(), title="t", notable={("hard_sharing", "pcgrad", "left")})
    left, right = figure.axes
    labels = [text.get_text() for text in left.get_yticklabels()]
    assert labels == ["single-task networks", "equal weights", "PCGrad", "speed (DWA)", "MGDA"]
    fills = {
        axes: {line.get_ydata()[0]: line.get_markerfacecolor() for line in axes.lines}
        for axes in (left, right)
    }
    assert fills[left][2] != "white" and fills[right][2] == "white"
    bars = [c.get_segments()[0][:, 0].tolist() for c in left.collections]
    assert any(bar == pytest.approx([0.945, 0.955]) for bar in bars)


def test_the_picture_of_methods_says_once_what_its_signs_mean() -> None:
    figure = Figure(figsize=(9, 4))
    for _ in range(2):
        draw_methods(figure, table(), title="t")
    (legend,) = figure.legends
    words = [text.get_text() for text in legend.get_texts()]
    assert words[0] == "interval of equal weights" and words[2].endswith("from equal weights")


def test_small_single_task_networks_stand_beside_the_large_ones_with_a_thin_diamond() -> None:
    both = pd.concat([table(), table().query("architecture == 'single_task'").replace(
        {"architecture": {"single_task": "single_task_small"}}).assign(mean=0.955)])  # fmt: skip
    figure = Figure(figsize=(9, 4))
    draw_methods(figure, both, title="t")
    axes = figure.axes[0]
    labels = [text.get_text() for text in axes.get_yticklabels()]
    assert labels[:3] == ["single-task networks", "small single-task networks", "equal weights"]
    marks = {
        line.get_ydata()[0]: line.get_marker() for line in axes.lines if len(line.get_ydata()) == 1
    }
    assert (marks[0], marks[1], marks[2]) == ("D", "d", "s")


def test_a_method_whose_runs_diverged_is_drawn_without_an_interval() -> None:
    frame = table()
    frame.loc[frame["method"] == "pcgrad", ["low", "high"]] = float("nan")
    figure = Figure(figsize=(9, 4))
    draw_methods(figure, frame, title="t")
    figure.canvas.draw()
    axes = figure.axes[0]
    assert [line.get_xdata()[0] for line in axes.lines if line.get_ydata()[0] == 2] == [0.95]
    assert all(0 < end < 1 for end in axes.get_xlim())


def test_a_task_that_is_drawn_in_black_is_filled_only_where_it_differs() -> None:
    figure = Figure(figsize=(9, 4))
    draw_methods(figure, table().replace({"task": {"left": "match"}}), title="t")
    fills = {line.get_ydata()[0]: line.get_markerfacecolor() for line in figure.axes[0].lines}
    assert fills[1] != "white" and fills[2] == fills[3] == "white"


def test_a_method_far_below_the_others_is_named_at_the_edge() -> None:
    figure = Figure(figsize=(9, 4))
    draw_methods(figure, table(low_method=0.3), title="t")
    assert figure.axes[0].get_xlim()[0] > 0.8
    assert "◂ 30.0" in [text.get_text() for text in figure.axes[0].texts]


def test_architectures_other_than_hard_sharing_are_named() -> None:
    assert method_label("pcgrad", "hard_sharing") == "PCGrad"
    assert method_label("equal", "mtan") == "MTAN, equal weights"
    assert method_label("equal", "single_task") == "single-task networks"
    assert method_label("equal", "single_task_small") == "small single-task networks"


def test_the_band_of_a_search_holds_the_best_of_each_method() -> None:
    frame = pd.DataFrame(
        [("a", 0.1, 0.9), ("a", 0.01, 0.7), ("b", 0.1, 0.85), ("b", 0.01, 0.88)],
        columns=["label", "learning_rate", "value"],
    )
    figure = Figure(figsize=(9, 4))
    draw_tuning(figure, frame, title="t")
    axes = figure.axes[0]
    x = axes.patches[0].get_xy() if hasattr(axes.patches[0], "get_xy") else None
    ends = sorted({x[0], x[0] + axes.patches[0].get_width()}) if len(x) == 2 else sorted(x[:, 0])
    assert (ends[0], ends[-1]) == pytest.approx((0.88, 0.9))
    assert [text.get_text() for text in axes.get_yticklabels()] == ["a", "b"]


def test_a_rate_at_which_a_method_fails_is_named_at_the_edge() -> None:
    frame = pd.DataFrame(
        [("a", 0.2, 0.9), ("a", 0.1, 0.91), ("b", 0.1, 0.9), ("c", 0.2, 0.1), ("c", 0.1, 0.9)],
        columns=["label", "learning_rate", "value"],
    )
    figure = Figure(figsize=(9, 4))
    draw_tuning(figure, frame, title="t")
    assert figure.axes[0].get_xlim()[0] > 0.8
    (beyond,) = [text for text in figure.axes[0].texts if text.get_text() == "◂ 10.0"]
    assert beyond.xy[1] == [t.get_text() for t in figure.axes[0].get_yticklabels()].index("c")


def test_six_rates_have_signs_of_their_own() -> None:
    frame = pd.DataFrame({"label": "a", "learning_rate": range(1, 7), "value": 0.9})
    figure = Figure(figsize=(9, 4))
    draw_tuning(figure, frame, title="t")
    signs = [(line.get_marker(), line.get_color()) for line in figure.axes[0].lines]
    assert len({mark for mark, _ in signs}) == len({colour for _, colour in signs}) == 6


def test_skill_is_drawn_for_every_method_task_and_seed() -> None:
    frame = pd.DataFrame(
        [(m, s, "waist", v) for m, v in (("guess", -0.1), ("x, y", 0.2)) for s in range(3)],
        columns=["method", "seed", "task", "value"],
    )
    tasks = [Task("waist", abs, abs, 1, "regression")]
    figure = Figure(figsize=(9, 4))
    assert draw_skill(figure, frame, tasks, title="t") == "t"
    dots = [line.get_ydata() for line in figure.axes[0].lines if len(line.get_ydata()) == 3]
    assert [list(values) for values in dots] == [[-0.1] * 3, [0.2] * 3]


def test_differences_are_drawn_seed_by_seed_the_highest_mean_first() -> None:
    table = pd.DataFrame({"mgda": [0.0, 0.01, 0.02], "pcgrad": [0.03, 0.02, 0.01]})
    figure = Figure(figsize=(9, 3))
    draw_differences(figure, table, {"pcgrad"}, margin=0.005, title="t")
    (axes,) = figure.axes
    assert [text.get_text() for text in axes.get_yticklabels()] == ["PCGrad", "MGDA"]
    dots = [line for line in axes.lines if len(line.get_xdata()) == 3]
    assert sorted(dots[0].get_xdata()) == [0.01, 0.02, 0.03]
    fills = [line.get_markerfacecolor() for line in axes.lines if line.get_markersize() == 9]
    assert fills[0] != "white" and fills[1] == "white"
    wide, narrow = (axes.collections[i].get_segments()[0][:, 0] for i in (0, 1))
    assert (wide.mean(), narrow.mean()) == pytest.approx((0.02, 0.02))
    assert np.ptp(wide) == pytest.approx(0.0497, abs=1e-4)  # 95 %
    assert np.ptp(narrow) == pytest.approx(0.0337, abs=1e-4)  # 90 %, of the test of equivalence


def test_differences_that_are_not_tested_have_no_band_and_no_hollow_mean() -> None:
    figure = Figure(figsize=(9, 3))
    draw_differences(figure, pd.DataFrame({"mgda": [0.0, 0.01, 0.02]}), title="t")
    (axes,) = figure.axes
    assert not axes.patches
    assert "white" not in [line.get_markerfacecolor() for line in axes.lines]
    assert [text.get_text() for text in figure.legends[0].texts] == ["mean of the seeds", "95 %"]


@pytest.mark.parametrize(("row", "colour"), [("single_task", BLACK), ("mgda", BLUE)])
def test_the_legend_of_differences_has_the_colour_of_the_rows(row, colour) -> None:
    figure = Figure(figsize=(9, 3))
    draw_differences(figure, pd.DataFrame({row: [0.0, 0.01]}), {row}, margin=0.005, title="t")
    assert {line.get_color() for line in figure.legends[0].get_lines()} == {colour}


def test_a_seed_that_a_row_lacks_is_left_out_of_it() -> None:
    table = pd.DataFrame({"mgda": [0.0, 0.01, float("nan")], "pcgrad": [0.03, 0.02, 0.01]})
    figure = Figure(figsize=(9, 3))
    draw_differences(figure, table, margin=0.005, title="t")
    assert sorted(len(line.get_xdata()) for line in figure.axes[0].lines) == [1, 1, 2, 2, 3]


def test_shares_that_end_together_are_named_apart() -> None:
    table = pd.DataFrame({"mgda": [0.1, 1.0], "pcgrad": [0.2, 1.0], "dwa": [0, 0.99]}, [3, 20])
    figure = Figure(figsize=(9, 4))
    draw_shares(figure, table, x="seeds", y="tables", level=0.05, title="t")
    places = {text.get_text(): text.xy[1] for text in figure.axes[0].texts if text.get_text()}
    assert set(places) == {"MGDA", "PCGrad", "speed (DWA)", "5%"}
    ends = sorted(places[name] for name in ("MGDA", "PCGrad", "speed (DWA)"))
    assert ends[1] - ends[0] > 0.05 and ends[2] - ends[1] > 0.05 and ends[2] <= 1


def test_steps_are_drawn_beside_what_they_reach_with_every_method_named() -> None:
    frame = pd.DataFrame({"method": ["mgda", "equal"], "step": [1.0, 2.0], "value": [0.9, 0.9]})
    figure = Figure(figsize=(9, 4))
    draw_steps(figure, {"slow": frame, "best": frame}, title="t")
    for axes in figure.axes:
        assert {"MGDA", "equal weights"} <= {text.get_text() for text in axes.texts}
    assert [axes.get_title() for axes in figure.axes] == ["slow", "best"]
