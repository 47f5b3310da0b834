"""Pictures of trainings hold every seed, their mean and their baselines."""

from __future__ import annotations

import pandas as pd
import pytest
from matplotlib.figure import Figure

from mtl_tutorial.data.questions import BOX, DIGIT, MATCH
from mtl_tutorial.plots import (
    draw_against,
    draw_by_noise,
    draw_by_shots,
    draw_comparison,
    draw_learning_curves,
    draw_paths,
    draw_rows,
    draw_runs,
    draw_schedules,
)


def metrics(column: str, settings: list) -> pd.DataFrame:
    rows = [
        {column: setting, "seed": seed, "task": task, "value": 0.3 + 0.1 * i + 0.01 * seed}
        for i, setting in enumerate(settings)
        for seed in range(3)
        for task in ("digit", "box")
    ]
    return pd.DataFrame(rows)


def test_the_picture_of_paths_holds_every_path_its_end_and_what_the_tasks_want() -> None:
    figure = Figure(figsize=(9, 4))
    paths = {"even": [0.0, 1.0, 1.5], "high × 3": [0.0, 2.0, 3.0]}
    assert draw_paths(figure, paths, {"low": 0.0, "high": 4.0}, title="Pulled") == "Pulled"
    (axes,) = figure.axes
    drawn = [line.get_ydata().tolist() for line in axes.lines if len(line.get_ydata()) == 3]
    assert drawn == list(paths.values())
    words = {text.get_text() for text in axes.texts}
    assert words == {"low wants 0", "high wants 4", "even", "high × 3"}
    low, high = axes.get_ylim()
    assert low < 0 < 4 < high


def test_baselines_are_drawn_at_their_scores() -> None:
    rows = [(step, seed, 0.1 * step) for step in (1, 2) for seed in (0, 1)]
    frame = pd.DataFrame(rows, columns=["step", "seed", "value"])
    frame = frame.assign(task="digit", quantity="validation metric")
    figure = Figure(figsize=(9, 4))
    draw_learning_curves(figure, frame, [DIGIT], title="Learns", baselines={"digit": 0.11})
    levels = [line.get_ydata() for line in figure.axes[0].lines]
    assert any(list(level) == [0.11, 0.11] for level in levels)


def test_one_quantity_against_another_is_drawn_with_its_mean_and_range() -> None:
    frame = pd.DataFrame(
        {"seed": [0, 0, 1, 1], "side": [10, 20, 10, 20], "iou": [0.5, 0.8, 0.7, 0.9]}
    )
    figure = Figure(figsize=(9, 4))
    said = draw_against(
        figure, frame, "side", {"iou": ("IoU", (0, 1))}, BOX, xlabel="side, px", title="Grows"
    )
    (axes,) = figure.axes
    assert said == "Grows"
    assert axes.lines[0].get_ydata().tolist() == pytest.approx([0.6, 0.85])
    assert [text.get_text() for text in axes.texts] == ["0.60", "0.85"]
    assert axes.get_xlabel() == "side, px"
    low, high = axes.collections[0].get_paths()[0].get_extents().intervaly
    assert (low, high) == pytest.approx((0.5, 0.9))


def test_a_comparison_draws_every_seed_its_mean_and_the_baseline() -> None:
    frame = pd.DataFrame({"seed": [0, 1], "task": "box", "value": [0.5, 0.7], "encoder": "nothing"})
    figure = Figure(figsize=(9, 4))
    draw_comparison(
        figure, frame, [BOX], by="encoder", title="Alone", xlabel="for", baselines={"box": 0.4}
    )
    (axes,) = figure.axes
    drawn = [list(line.get_ydata()) for line in axes.lines]
    assert [0.5, 0.7] in drawn
    assert [0.4, 0.4] in drawn
    assert [text.get_text() for text in axes.texts] == ["0.60"]
    assert axes.get_xlabel() == "for"


def test_labels_of_lines_that_end_high_stay_below_the_title() -> None:
    rows = [(1, "digit", 0.98), (1, "box", 0.99), (2, "digit", 0.98), (2, "box", 0.99)]
    frame = pd.DataFrame(rows, columns=["step", "task", "value"])
    figure = Figure(figsize=(9, 4))
    draw_learning_curves(
        figure, frame.assign(seed=0, quantity="validation metric"), [DIGIT, BOX], title="High"
    )
    heights = [text.xy[1] for text in figure.axes[0].texts]
    assert len(heights) == 2
    assert max(heights) < 1
    assert abs(heights[0] - heights[1]) > 0.05


def test_schedules_stand_beside_the_line_of_fixed_weights_at_every_length() -> None:
    frame = pd.concat(
        metrics("weight", ["1", "10", "1 → 10"]).assign(steps=steps) for steps in (300, 600)
    )
    alone = [(s, t, v + s / 6000) for s in (300, 600) for t, v in (("digit", 0.8), ("box", 0.7))]
    singles = pd.DataFrame(alone, columns=["steps", "task", "value"]).assign(seed=0)
    figure = Figure(figsize=(9, 4))
    draw_schedules(figure, frame, singles, (DIGIT, BOX), fixed=["1", "10"], title="t")
    assert [axes.get_title() for axes in figure.axes] == [
        "After 300 steps",
        "After 600 steps",
    ]
    for axes, star in zip(figure.axes, ((0.85, 0.75), (0.9, 0.8)), strict=True):
        line = next(line for line in axes.lines if line.get_linestyle() == "-")
        assert line.get_ydata() == pytest.approx([0.31, 0.41])
        marks = {line.get_marker(): line for line in axes.lines}
        assert marks["D"].get_ydata() == pytest.approx([0.51])
        assert (marks["*"].get_xdata()[0], marks["*"].get_ydata()[0]) == pytest.approx(star)
        assert {text.get_text() for text in axes.texts} == {"1", "10", "1 → 10", "two networks"}


def test_a_panel_without_networks_alone_has_no_star() -> None:
    frame = pd.concat(metrics("weight", ["1", "10", "0"]).assign(steps=n) for n in (300, 600))
    singles = metrics("steps", [300])
    figure = Figure(figsize=(9, 4))
    draw_schedules(figure, frame, singles, (DIGIT, BOX), fixed=["1", "10"], title="t")
    stars = [[line.get_marker() for line in axes.lines].count("*") for axes in figure.axes]
    assert stars == [1, 0]


def test_a_panel_may_be_another_setting_without_networks_alone() -> None:
    frame = pd.concat(
        metrics("weight", ["1", "10", "GradNorm"]).assign(rate=rate) for rate in (0.01, 0.005)
    )
    figure = Figure(figsize=(9, 4))
    words = {"by": "rate", "panel": "Rate {:g}", "near": True, "title": "t"}
    draw_schedules(figure, frame, None, (BOX, DIGIT), fixed=["1", "10"], **words)
    assert [axes.get_title() for axes in figure.axes] == ["Rate 0.005", "Rate 0.01"]
    for axes in figure.axes:
        reached = frame[frame["task"] == "digit"]["value"]
        assert axes.get_ylim()[0] < reached.min() and reached.max() < axes.get_ylim()[1] <= 1
        assert axes.get_ylim()[1] - reached.max() < 0.2  # near
        assert {text.get_text() for text in axes.texts} == {"1", "10", "GradNorm"}


def test_every_run_has_a_line_in_the_style_of_its_seed_in_the_column_of_its_setting() -> None:
    frame = pd.DataFrame(
        [
            {"net": net, "seed": seed, "epoch": e, "digit": 0.1 * e + 0.01 * seed, "box": 0.5}
            for net in ("a", "b", "c")
            for seed in (0, 1)
            for e in (1, 2)
        ]
    )
    figure = Figure(figsize=(9, 5))
    quantities = {"digit": ("accuracy", (0, 1)), "box": ("IoU", (0, 1))}
    levels = {"box": (0.9, "never looks")}
    for _ in range(2):  # drawing again leaves one legend
        draw_runs(
            figure, frame, quantities, ["a", "b"], x="epoch", by="net", title="t", levels=levels
        )
    digit, _, box, last = figure.axes
    assert [axes.get_title() for axes in figure.axes] == ["a", "b", "", ""]
    assert [line.get_linestyle() for line in digit.lines] == ["-", "--"]
    assert digit.lines[1].get_ydata() == pytest.approx([0.11, 0.21])
    assert list(box.lines[-1].get_ydata()) == list(last.lines[-1].get_ydata()) == [0.9, 0.9]
    assert [[text.get_text() for text in axes.texts] for axes in (box, last)] == [
        [],
        ["never looks"],
    ]
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["seed 0", "seed 1"]


def test_the_comparison_shows_every_seed_and_the_mean_of_each_setting_in_order() -> None:
    figure = Figure(figsize=(9, 4))
    draw_comparison(figure, metrics("setting", ["b", "a"]), (DIGIT, BOX), by="setting", title="t")
    axes = figure.axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["b", "a"]
    assert [len(line.get_xdata()) for line in axes.lines] == [3, 3]
    assert [text.get_text() for text in axes.texts] == ["0.31", "0.41"]


def test_each_panel_by_noise_has_the_mean_of_every_network() -> None:
    rows = [
        {"noisy": s, "noise": n, "network": net, "seed": seed, "task": t, "value": v + 0.1 * seed}
        for s in ("image", "sound")
        for n in (0.0, 1.0)
        for net, v in (("both", 0.5), ("one", 0.2))
        for seed in range(3)
        for t in ("digit", "match")
    ]
    figure = Figure(figsize=(9, 5))
    for _ in range(2):  # drawing again leaves one legend
        draw_by_noise(
            figure, pd.DataFrame(rows), (DIGIT, MATCH), {"both": "-", "one": "--"}, title="t"
        )
    assert len(figure.axes) == 4 and len(figure.legends) == 1
    for axes in figure.axes:
        assert [line.get_ydata().tolist() for line in axes.lines] == [
            pytest.approx([0.6, 0.6]),
            pytest.approx([0.3, 0.3]),
        ]
        assert [line.get_linestyle() for line in axes.lines] == ["-", "--"]


def test_each_seed_and_mean_of_the_methods_is_drawn() -> None:
    rows = [
        {"shots": shots, "method": method, "seed": seed, "value": 0.5 + 0.1 * seed}
        for shots in (1, 5)
        for method in ("a", "b")
        for seed in range(3)
    ]
    figure = Figure(figsize=(9, 4))
    colours = {"a": "#000000", "b": "#0072B2"}
    assert draw_by_shots(figure, pd.DataFrame(rows), colours, title="t", chance=1 / 3) == "t"
    for axes in figure.axes:
        assert [text.get_text() for text in axes.texts] == ["0.60", "0.60"]
        dots = [line for line in axes.lines if line.get_marker() == "o"]
        assert [list(line.get_xdata()) for line in dots] == [[0.5, 0.6, 0.7]] * 2


def test_rows_hold_every_seed_the_mean_and_the_guess_in_the_order_in_which_they_come() -> None:
    rows = [
        (how, seed, question, value + 0.1 * seed)
        for question, value in (("match", 0.5), ("digit without sound", 0.1))
        for how in ("printed", "scaled")
        for seed in range(2)
    ]
    frame = pd.DataFrame(rows, columns=["how", "seed", "question", "value"])
    guesses = {"match": 0.5, "digit without sound": 0.1}
    figure = Figure(figsize=(9, 3))
    assert draw_rows(figure, frame, by="how", title="t", guesses=guesses) == "t"
    first, second = figure.axes
    assert [first.get_title(), second.get_title()] == list(guesses)
    assert [label.get_text() for label in first.get_yticklabels()] == ["printed", "scaled"]
    guess, *dots = second.lines
    assert list(guess.get_xdata()) == [0.1, 0.1]
    assert [list(dot.get_xdata()) for dot in dots] == [[0.1, 0.2], [0.1, 0.2]]
    assert [text.get_text() for text in first.texts] == ["0.55", "0.55"]
