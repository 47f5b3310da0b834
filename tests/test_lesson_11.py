"""Lesson 11's own statistics are the package's; its recorder shows what the files say."""

from __future__ import annotations

import copy

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lesson_cells import run_tagged
from matplotlib.figure import Figure
from scipy import stats

from mtl_tutorial.balancing.registry import method_of
from mtl_tutorial.experiments.protocol import Setting
from mtl_tutorial.experiments.store import RESULTS, committed_results, origin
from mtl_tutorial.experiments.summary import best_settings, final_settings, holm, interval
from mtl_tutorial.plots import draw_methods, draw_skill, draw_tuning, method_label
from mtl_tutorial.tasks import Task
from mtl_tutorial.widgets.flight_recorder import (
    FlightRecorder,
    compute_recording,
    describe_recording,
    draw_recording,
    layer_words,
)

UNHURRIED = settings(deadline=None, max_examples=60)
score = st.floats(0, 1).map(lambda value: round(value, 3))
LAYERS = ("encoder.layers.0", "encoder.layers.3", "encoder.layers.7", "all")
PAIR = ("left", "right")


def result(balancer="pcgrad", seed=0, epochs=3, cosine=0.5, **setting) -> dict:
    """What a run on two digits leaves, with cosines that fall by 0.3 a layer."""
    cosines = {name: [cosine - 0.3 * i] * epochs for i, name in enumerate(LAYERS)}
    rising = [round(0.5 + 0.4 * (e + 1) / epochs, 3) for e in range(epochs)]
    curves = {name: {"left": rising, "right": rising} for name in ("validation metric", "weight")}
    return {
        "setting": {
            "data": "two_digits", "architecture": "hard_sharing", "balancer": balancer,
            "learning_rate": 0.05, "seed": seed,
        } | setting,
        "protocol": {"profile": "quick", "epochs": epochs},
        "provenance": {
            "device": "cpu (x)", "mtl_tutorial": "1", "torch": "2", "torchjd": None,
            "python": "3.12", "commit": "abc", "date": "2030-01-01",
        },
        "curves": curves | {"cosine": {"left, right": cosines}},
    }  # fmt: skip


@pytest.fixture(scope="module")
def lesson() -> dict:
    return run_tagged("11_full_runs", "from-scratch")


@UNHURRIED
@given(st.lists(score, min_size=2, max_size=8))
def test_the_lessons_interval_is_the_packages(lesson, values) -> None:
    assert lesson["interval_95"](values) == pytest.approx(interval(values), abs=1e-12)


@UNHURRIED
@given(st.lists(st.tuples(score, score), min_size=2, max_size=8))
def test_the_lessons_paired_test_is_scipys(lesson, pairs) -> None:
    a, b = np.array(pairs).T
    if np.ptp(a - b) < 1e-9:
        return  # no spread, no test
    assert lesson["paired_test"](a, b) == pytest.approx(stats.ttest_rel(a, b).pvalue, abs=1e-9)


@UNHURRIED
@given(st.lists(score, min_size=1, max_size=9))
def test_the_lessons_correction_is_the_packages(lesson, p_values) -> None:
    assert lesson["correct"](p_values) == pytest.approx(holm(p_values).tolist())


@UNHURRIED
@given(st.lists(score, min_size=1, max_size=9))
def test_a_correction_makes_no_p_value_smaller_and_keeps_their_order(lesson, p_values) -> None:
    corrected = np.array(lesson["correct"](p_values))
    assert (corrected >= np.array(p_values)).all() and corrected.max() <= 1
    assert (np.diff(corrected[np.argsort(p_values)]) >= 0).all()


@pytest.mark.parametrize(
    "name",
    ["full_8_epochs", "full_8_epochs/search", "full_8_epochs/one_search_seed", "quick_60_epochs"],
)
def test_the_results_that_the_lesson_reads_come_with_the_course(name) -> None:
    results = committed_results(name)
    assert all(r["protocol"]["epochs"] in (8, 60) for r in results)
    assert f"{len(results)} runs on " in origin(results)
    assert (RESULTS / name).is_dir()


def test_the_committed_table_is_what_its_search_chose() -> None:
    best = best_settings(committed_results("full_8_epochs/search"))
    table = {Setting(**result["setting"]) for result in committed_results("full_8_epochs")}
    assert table == set(final_settings(best, range(5)))


def test_what_one_seed_of_the_search_chose_otherwise_is_committed_too() -> None:
    by_seed = [r for r in committed_results("full_8_epochs/search") if r["setting"]["seed"] == 100]
    by_one = set(final_settings(best_settings(by_seed), range(5)))
    table = {Setting(**result["setting"]) for result in committed_results("full_8_epochs")}
    once = committed_results("full_8_epochs/one_search_seed")
    assert {Setting(**result["setting"]) for result in once} == by_one - table


def test_results_that_are_not_there_are_named_with_the_way_to_them(tmp_path) -> None:
    with pytest.raises(ValueError, match=r"results 'gone' are not in .* checkout of the course"):
        committed_results("gone", folder=tmp_path)


def test_an_origin_names_every_device_seed_and_commit_once() -> None:
    other = result(seed=1)
    other["provenance"] |= {"device": "cuda (y)", "commit": "def"}
    text = origin([result(), other, result(seed=1)])
    assert text == (
        "3 runs on cpu (x), cuda (y); 3 epochs, quick profile; recipe 1 of two digits; "
        "seeds 0, 1;\n"
        "mtl_tutorial 1, torch 2, python 3.12; commit abc, def; 2030-01-01"
    )
    with pytest.raises(ValueError, match="no results"):
        origin([])


def test_layers_are_called_by_their_kind() -> None:
    assert list(layer_words("two_digits", "hard_sharing", PAIR).items()) == [
        ("encoder.layers.0", "conv 1"),
        ("encoder.layers.3", "conv 2"),
        ("encoder.layers.7", "linear"),
        ("all", "all of them"),
    ]
    crossed = layer_words("two_digits", "cross_stitch", PAIR)
    assert crossed["encoders.right.layers.3"] == "right conv 2"
    sensed = layer_words("seen_and_heard", "hard_sharing", ("digit", "speaker"))
    assert sensed["encoders.sound.layers.5"] == "sound linear"


def test_a_recording_holds_the_numbers_of_the_file() -> None:
    given = result(epochs=4)
    recording = compute_recording(given)
    assert recording.epochs == 4
    assert list(recording.cosines) == [PAIR]
    found = {layer: values.tolist() for layer, values in recording.cosines[PAIR].items()}
    cosines = given["curves"]["cosine"]["left, right"]
    words = ("conv 1", "conv 2", "linear", "all of them")
    assert found == dict(zip(words, cosines.values(), strict=True))
    assert recording.weights["left"].tolist() == given["curves"]["weight"]["left"]


def test_a_run_that_shares_nothing_has_no_recording() -> None:
    alone = result(architecture="single_task", balancer="equal")
    del alone["curves"]["cosine"]
    with pytest.raises(ValueError, match="no cosines in the run of 'single_task'"):
        compute_recording(alone)
    with pytest.raises(ValueError, match="no run with cosines"):
        FlightRecorder([alone])


@pytest.mark.parametrize(
    ("cosine", "words"),
    [
        (0.5, "left and right pull apart in linear (cosine -0.10)"),
        (-0.1, "left and right pull apart most in linear (cosine -0.70)"),
        (0.7, "left and right pull apart in no layer (cosine -0.20 over all of them)"),
    ],
)
def test_the_sentence_says_where_two_tasks_pull_apart(cosine, words) -> None:
    text = describe_recording(compute_recording(result(cosine=cosine, seed=3)), PAIR, 2)
    assert text.startswith(f"Epoch 2 of PCGrad, seed 3: {words}.")
    assert "Weights: left 0.77, right 0.77" in text


@pytest.mark.parametrize("epochs", [1, 3, 60, 100, 1000])
def test_the_heat_map_shows_every_layer_and_epoch_and_fades_what_is_to_come(epochs) -> None:
    figure, recording = Figure(figsize=(9, 4)), compute_recording(result(epochs=epochs))
    draw_recording(figure, recording, PAIR, epochs)
    heat, _, weights, metrics = figure.axes
    assert heat.images[0].get_array().shape == (4, epochs)
    assert [label.get_text() for label in heat.get_yticklabels()][:2] == ["conv 1", "conv 2"]
    assert len(heat.patches) == 0
    draw_recording(figure, recording, PAIR, 1)
    assert len(heat.patches) == (epochs > 1)
    solid = [line for line in metrics.lines if line.get_alpha() is None]
    assert {len(line.get_xdata()) for line in solid} <= {1, 2}  # up to the epoch, and its mark
    assert len(weights.texts) == 2


def test_a_diverging_weight_or_a_missing_cosine_can_be_drawn() -> None:
    broken = result()
    broken["curves"]["cosine"]["left, right"]["all"][1] = None
    broken["curves"]["weight"]["left"][1] = None
    text = draw_recording(Figure(figsize=(9, 4)), compute_recording(broken), PAIR, 2)
    assert "left nan" in text


def test_each_choice_changes_the_run_that_is_shown() -> None:
    runs = [result("equal", seed) for seed in (0, 1)] + [result("mgda", 1)]
    widget = FlightRecorder([*runs, result("equal", epochs=5, seed=7)], method="equal")
    assert "Epoch 3 of equal weights, seed 0" in widget.sentence.value
    picture = widget.image.value
    widget.epoch.value = 1
    assert "Epoch 1 of" in widget.sentence.value and widget.image.value != picture
    widget.seed.value = 1
    assert "Epoch 1 of equal weights, seed 1" in widget.sentence.value
    widget.method.value = "MGDA"
    assert "Epoch 1 of MGDA, seed 1" in widget.sentence.value
    widget.button.click()
    assert "Epoch 3 of MGDA" in widget.sentence.value
    widget.runs.value = widget.runs.options[1]
    assert "Epoch 5 of equal weights, seed 7" in widget.sentence.value
    assert widget.epoch.max == widget.play.max == 5
    widget.runs.value = widget.runs.options[0]
    assert widget.epoch.max == 3 and "Epoch 3 of" in widget.sentence.value


@pytest.mark.parametrize(
    ("differing", "names"),
    [
        ([{"learning_rate": 0.1}, {"learning_rate": 0.1, "seed": 1}], ["PCGrad"]),
        ([{"learning_rate": 0.1}, {"learning_rate": 0.01, "seed": 1}], ["PCGrad"]),
        (
            [{"learning_rate": 0.1}, {"learning_rate": 0.01}],
            ["PCGrad, rate 0.1", "PCGrad, rate 0.01"],
        ),
        ([{"balancer": "left=0.5,right=1.5", "learning_rate": 0.1}], ["tuned weighted sum"]),
        (
            [{"balancer": "left=0.5,right=1.5"}, {"balancer": "left=1.5,right=0.5"}],
            ["tuned weighted sum, left 0.5, right 1.5", "tuned weighted sum, left 1.5, right 0.5"],
        ),
        (
            [
                {"balancer": f"left={w},right={2 - w}", "learning_rate": r}
                for w, r in ((0.5, 0.1), (1.5, 0.1), (1.5, 0.01))
            ],
            [
                "tuned weighted sum, left 0.5, right 1.5, rate 0.1",
                "tuned weighted sum, left 1.5, right 0.5, rate 0.1",
                "tuned weighted sum, left 1.5, right 0.5, rate 0.01",
            ],
        ),
    ],
)
def test_a_method_is_called_by_its_rate_and_weights_where_they_tell_runs_apart(
    differing, names
) -> None:
    widget = FlightRecorder([result("equal"), *(result(**setting) for setting in differing)])
    assert list(widget.method.options) == ["equal weights", *names]
    if names[0].startswith("PCGrad"):  # what is shown first
        assert f"Epoch 3 of {names[0]}, seed 0" in widget.sentence.value
    for name in names:
        widget.method.value = name
        assert f"Epoch 3 of {name}, seed 0" in widget.sentence.value


@pytest.mark.parametrize("name", ["full_1_epoch", "full_8_epochs", "quick_60_epochs"])
def test_no_committed_run_needs_more_than_its_methods_name(name) -> None:
    results = [r for r in committed_results(name) if "cosine" in r["curves"]]
    methods = {method_label(method_of(r["setting"]["balancer"]), r["setting"]["architecture"])
               for r in results}  # fmt: skip
    by_name = FlightRecorder(results).by_name
    assert {method for of_runs in by_name.values() for method in of_runs} == methods


@pytest.mark.parametrize(
    "name", ["full_1_epoch", "full_8_epochs", "full_8_epochs/search", "quick_60_epochs"]
)
def test_every_committed_run_with_cosines_can_be_chosen(name) -> None:
    results = [r for r in committed_results(name) if "cosine" in r["curves"]]
    by_name = FlightRecorder(results).by_name
    shown = [run for methods in by_name.values() for seeds in methods.values()
             for run in seeds.values()]  # fmt: skip
    assert len(shown) == len(results) and all(run in shown for run in results)


def test_two_tasks_of_three_are_chosen_by_their_pair() -> None:
    three = result(data="located_digits")
    layers = ("encoder.layers.0", "encoder.layers.2", "encoder.layers.5", "all")
    pairs = {"digit, box": -0.5, "digit, mask": 0.5, "box, mask": 0.1}
    three["curves"] = {
        name: {task: [0.5, 0.6] for task in ("digit", "box", "mask")}
        for name in ("weight", "validation metric")
    }
    three["curves"]["cosine"] = {p: {n: [c, c] for n in layers} for p, c in pairs.items()}
    widget = FlightRecorder([three])
    assert "digit and box pull apart most" in widget.sentence.value
    widget.pair.value = "box and mask"
    assert "box and mask pull apart in no layer" in widget.sentence.value


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
    assert "◂ 10.0" in [text.get_text() for text in figure.axes[0].texts]


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


def test_a_recorder_leaves_the_results_that_it_is_given_alone() -> None:
    given = [result(seed=seed) for seed in (0, 1)]
    before = copy.deepcopy(given)
    FlightRecorder(given).seed.value = 1
    assert given == before
