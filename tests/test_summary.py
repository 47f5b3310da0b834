"""Means, intervals and comparisons of results."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from mtl_tutorial.experiments.inference import comparisons, holm, interval
from mtl_tutorial.experiments.protocol import Setting
from mtl_tutorial.experiments.summary import (
    as_text,
    best_settings,
    final_settings,
    means,
    to_frame,
    validation_score,
    wider,
)

FLAT = ([0.5], [0.5])


def result(
    balancer="equal",
    seed=0,
    *,
    rate=0.1,
    data="two_digits",
    architecture="hard_sharing",
    curves=FLAT,
    test=None,
    commit="abc",
    **more,
):
    """A result of format 1, or what ``more`` makes of it."""
    return {
        "setting": {
            "data": data,
            "architecture": architecture,
            "balancer": balancer,
            "learning_rate": rate,
            "seed": seed,
        },
        "curves": {"validation metric": dict(zip(("left", "right"), curves, strict=True))},
        "test": test and {t: {"loss": 1.0, "metric": m} for t, m in test.items()},
        "diverged": None if test else "epoch 1",
        "provenance": {
            "device": "cpu (x)",
            "training_seconds": 9.0,
            "cpu_seconds": 2.0,
            "peak_memory_mb": 5.0,
            "commit": commit,
            "torch": "2",
        },
    } | more


def test_the_validation_score_is_that_of_the_best_common_epoch() -> None:
    curves = ([0.1, 0.9, 0.4], [0.8, 0.2, 0.6])
    tested = {"left": 0.5, "right": 0.5}
    assert validation_score(result(curves=curves, test=tested)) == pytest.approx(0.55)
    alone = result(curves=curves, test=tested, architecture="single_task")
    assert validation_score(alone) == pytest.approx(0.85)
    assert validation_score(result(curves=curves)) == -np.inf


def test_a_search_picks_one_setting_a_method_by_its_mean_over_seeds() -> None:
    scores = {
        ("equal", 0.1): (0.5, 0.7),
        ("equal", 0.2): (0.9, 0.2),
        ("pcgrad", 0.1): (0.1, 0.1),
        ("left=1,right=2", 0.1): (0.3, 0.3),
        ("left=2,right=1", 0.2): (0.4, 0.4),
    }
    results = [
        result(balancer, seed, rate=rate, curves=([value], [value]), test={"left": 1, "right": 1})
        for (balancer, rate), values in scores.items()
        for seed, value in enumerate(values, start=100)
    ]
    best = best_settings(results)
    assert [(s.balancer, s.learning_rate) for s in best] == [
        ("equal", 0.1),
        ("pcgrad", 0.1),
        ("left=2,right=1", 0.2),
    ]
    assert [s.seed for s in final_settings(best[:1], [7, 8])] == [7, 8]
    assert final_settings(best[:1], [7])[0] == Setting(
        "two_digits", "hard_sharing", "equal", 0.1, 7
    )


def test_a_setting_that_diverged_is_not_picked() -> None:
    good = result(rate=0.1, curves=FLAT, test={"left": 0.2, "right": 0.2})
    assert best_settings([result(rate=9.0, curves=FLAT), good])[0].learning_rate == 0.1


@given(st.lists(st.floats(-10, 10), min_size=2, max_size=9))
def test_the_interval_is_students(values) -> None:
    mean, low, high = interval(values)
    assert mean == pytest.approx(np.mean(values), abs=1e-9)
    if np.std(values) > 1e-6:
        expected = stats.t.interval(0.95, len(values) - 1, np.mean(values), stats.sem(values))
        assert (low, high) == pytest.approx(expected, abs=1e-9)


def test_an_interval_checked_by_hand() -> None:
    # n = 4, x̄ = 2, s = √(10/3), t = 3.1824
    assert interval([0, 1, 3, 4]) == pytest.approx((2, -0.9052, 4.9052), abs=1e-4)


def test_one_value_has_no_interval() -> None:
    mean, low, high = interval([3.0])
    assert mean == 3.0
    assert np.isnan(low) and np.isnan(high)


def test_holms_correction_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]).tolist() == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]).tolist() == pytest.approx([1.0, 1.0])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holms_correction_keeps_the_order_and_lies_between_nothing_and_bonferroni(p) -> None:
    adjusted = holm(p)
    assert (adjusted >= np.array(p) - 1e-12).all()
    assert (adjusted <= np.minimum(1, len(p) * np.array(p)) + 1e-12).all()
    assert (np.diff(adjusted[np.argsort(p, kind="stable")]) >= -1e-12).all()


def test_holms_correction_leaves_out_what_is_no_number() -> None:
    found = holm([0.02, np.nan, 0.5])
    assert found[[0, 2]].tolist() == pytest.approx([0.04, 0.5])
    assert np.isnan(found[1])


def table(left: dict[str, list[float]]) -> pd.DataFrame:
    """Results of methods over seeds; right is always 0.5."""
    return to_frame(
        result(name, seed, curves=FLAT, test={"left": value, "right": 0.5 + seed / 100})
        for name, values in left.items()
        for seed, value in enumerate(values)
    )


def test_a_comparison_is_paired_by_seed() -> None:
    equal, pcgrad = [0.1, 0.5, 0.9], [0.12, 0.53, 0.92]
    found = comparisons(table({"equal": equal, "pcgrad": pcgrad})).set_index("task")
    assert found.loc["left", "difference"] == pytest.approx(np.mean([0.02, 0.03, 0.02]))
    assert found.loc["left", "p"] == pytest.approx(stats.ttest_rel(pcgrad, equal).pvalue)
    assert np.isnan(found.loc["right", "p"])  # no difference at all
    low, high = interval(np.subtract(pcgrad, equal))[1:]
    assert found.loc["left", ["low", "high"]].tolist() == pytest.approx([low, high])
    assert found.loc["left", "p_corrected"] == pytest.approx(found.loc["left", "p"])


def test_all_comparisons_of_a_data_set_are_corrected_together() -> None:
    frame = table({"equal": [0.1, 0.2, 0.3], "mgda": [0.2, 0.25, 0.4], "dwa": [0.1, 0.3, 0.2]})
    found = comparisons(frame).query("task == 'left'")
    assert found["p_corrected"].tolist() == pytest.approx(holm(found["p"]).tolist())


def test_rows_in_any_order_give_every_comparison_its_own_correction() -> None:
    random = np.random.default_rng(0)
    frame = to_frame(
        result(name, seed, data=data, architecture=architecture, test={"left": m[0], "right": m[1]})
        for data in ("two_digits", "two_fashion")
        for architecture in ("hard_sharing", "mtan")
        for name, gain in (("equal", 0), ("pcgrad", 0.01), ("mgda", 0.1))
        for seed, m in enumerate(0.5 + gain + 0.01 * random.standard_normal((4, 2)))
    )
    keys = ["data", "architecture", "method", "task"]
    expected = comparisons(frame).set_index(keys).sort_index()
    for data, part in expected.groupby("data"):
        assert part["p_corrected"].tolist() == pytest.approx(holm(part["p"]).tolist()), data
    by_architecture = frame.sort_values("architecture", kind="stable")  # data sets take turns
    for shuffled in (by_architecture, frame.sample(frac=1, random_state=0)):
        found = comparisons(shuffled).set_index(keys).sort_index()
        pd.testing.assert_frame_equal(found, expected)


def test_without_the_reference_there_is_nothing_to_compare() -> None:
    found = comparisons(table({"pcgrad": [0.1, 0.2]}))
    assert found.empty
    assert "p_corrected" in found


def dead(name: str, seed: int, chance: float) -> dict:
    """A run that diverged."""
    return result(name, seed, tasks=["left", "right"], chance={"left": chance, "right": chance})


def test_a_run_that_diverged_counts_as_chance_and_its_seconds_do_not() -> None:
    runs = [
        result("equal", 0, test={"left": 0.4, "right": 0.5}),
        result("equal", 1, test={"left": 0.6, "right": 0.5}),
        dead("equal", 2, 0.11),
    ]
    runs[-1]["provenance"]["cpu_seconds"] = 0.1
    frame = to_frame(runs)
    assert frame.query("diverged")["metric"].tolist() == [0.11, 0.11]
    assert frame.query("diverged")["loss"].isna().all()
    found = means(frame).set_index("task")
    assert found.loc["left", "mean"] == pytest.approx((0.4 + 0.6 + 0.11) / 3)
    assert found.loc["left", ["runs", "diverged", "seconds"]].tolist() == [3, 1, 2.0]


def test_a_result_that_does_not_say_its_chance_has_that_of_its_data() -> None:
    assert to_frame([result("equal", 0)])["metric"].tolist() == [0.1, 0.1]


def test_a_mean_with_a_chance_that_is_not_known_is_no_number() -> None:
    runs = [result("equal", 0, test={"left": 0.4, "right": 0.5}), dead("equal", 1, None)]
    assert "| – | – | – | 2 | 1 of 2 diverged |" in as_text(to_frame(runs))


@pytest.mark.parametrize("who", ["pcgrad", "equal"])
def test_a_method_with_diverged_runs_or_an_opponent_earns_no_sign(who) -> None:
    good = {"equal": 0.5, "pcgrad": 0.9, "dwa": 0.9}
    runs = [
        dead(name, seed, 0.1)
        if name == who and seed > 2
        else result(name, seed, test={"left": value + seed / 1e4, "right": value - seed / 1e4})
        for name, value in good.items()
        for seed in range(5)
    ]
    tests = comparisons(to_frame(runs)).set_index("method")
    assert tests.loc["pcgrad", "p"].isna().all()
    lines = as_text(to_frame(runs)).splitlines()
    rows = {line.split(" | ")[1]: line for line in lines[2 : lines.index("")]}
    assert "+" not in rows["pcgrad"] and "- |" not in rows["pcgrad"]
    assert rows[who].endswith("| 2 of 5 diverged |")
    assert (" + |" in rows["dwa"]) == (who == "pcgrad")


def test_a_result_names_its_own_tasks() -> None:
    scores = {task: {"loss": 1.0, "metric": 0.5} for task in ("left", "right", "middle")}
    new = result(seed=1, diverged=None, test=None) | {"tasks": list(scores), "test": scores}
    frame = to_frame([new])
    assert frame["task"].tolist() == ["left", "right", "middle"]
    old = result("pcgrad", test={"left": 0.5, "right": 0.5})
    rows = as_text(to_frame([new, old])).splitlines()
    assert (
        rows[0] == "| two_digits | method | left | right | middle | mean | seconds a run | runs |"
    )
    assert "| 50.0 | 50.0 | – | 50.0 | 2 | 1 |" in rows[3]


def test_a_result_of_data_that_the_catalogue_does_not_have_is_tabulated_too() -> None:
    scores = {"up": {"loss": 1.0, "metric": 0.5}}
    runs = [
        result(balancer, data="three_digits", tasks=["up"]) | {"test": scores, "diverged": None}
        for balancer in ("equal", "up=1")
    ]
    assert as_text(to_frame(runs)).startswith("| three_digits | method | up |")


def test_a_table_of_several_versions_says_so() -> None:
    scores = {"left": 0.5, "right": 0.5}
    runs = [result(seed=seed, test=scores, commit=commit) for seed, commit in enumerate("aab")]
    assert "not made alike" not in as_text(to_frame(runs[:2]))
    last = as_text(to_frame(runs)).splitlines()[-1]
    assert last == "These 3 runs were not made alike: 2 by commit a, 1 by commit b."
    resumed = result(seed=3, test=scores, commit="b")
    resumed["provenance"]["earlier"] = [{"commit": "a", "torch": "2", "device": "cpu (x)"}]
    last = as_text(to_frame([*runs[:2], resumed])).splitlines()[-1]
    assert last == "These 3 runs were not made alike: 2 by commit a, 1 by commit a, then b."
    newer = result(seed=4, test=scores, commit="a", protocol={"recipe": 2})
    last = as_text(to_frame([*runs[:2], newer])).splitlines()[-1]
    assert last == "These 3 runs were not made alike: 2 by recipe 1, 1 by recipe 2."


def runs_of(values: dict[str, np.ndarray], **more) -> list[dict]:
    """Results of methods, or of networks that share nothing, over seeds."""
    return [
        result(
            "equal" if name.startswith("single") else name,
            seed,
            architecture=name if name.startswith("single") else "hard_sharing",
            test={"left": value, "right": value},
            **more,
        )
        for name, row in values.items()
        for seed, value in enumerate(row)
    ]


def text_of(values: dict[str, np.ndarray], **more) -> tuple[dict[str, str], str]:
    """The rows of a table by method, and the line below it."""
    lines = as_text(to_frame(runs_of(values, **more))).splitlines()
    rows = lines[2 : lines.index("")]
    return {(row.split(" | ")[1], row.split(" | ")[0][2:]): row for row in rows}, lines[-1]


def test_the_mean_has_the_sign_of_what_was_found() -> None:
    steps = np.arange(8) / 1000
    wide = np.array([1, -1, 3, -3, 2, -2, 1, -1]) / 100
    rows, note = text_of(
        {
            "single_task": 0.7 + 0.9 * steps,
            "equal": 0.5 + steps,
            "pcgrad": 0.6 + 1.1 * steps,
            "mgda": 0.4 + 1.1 * steps,
            "dwa": 0.5 + steps + wide / 30,
            "gradnorm": 0.5 + 1.3 * steps,
            "uncertainty": 0.5 + wide,
        }
    )
    signs = {method: row.split(" | ")[4][-2:] for (method, _), row in rows.items()}
    expected = {"pcgrad": " +", "mgda": " -", "dwa": " =", "gradnorm": "+="}
    assert {name: signs[name] for name in expected} == expected
    assert signs["uncertainty"][-1].isdigit()
    assert rows["equal", "single_task"].split(" | ")[4] == "70.3 ± 0.2 +"
    assert "(paired t-test, Holm over 5)" in note and "(TOST, Holm over 5)" in note
    assert "Friedman's test of 6 methods over 8 seeds: χ² = " in note
    assert (
        "minus equal weights (Holm over 1): single_task +20.0 (+19.9 to +20.0), p < 0.001" in note
    )
    assert "would have been found in 80 %" in note


def test_the_line_below_says_what_the_test_scenes_add_where_all_metrics_are_accuracies() -> None:
    values = {"equal": np.array([0.96, 0.96]), "dwa": np.array([0.96, 0.95])}
    for protocol, expected in (({"profile": "full"}, True), ({}, False)):
        _, note = text_of(values, protocol=protocol)
        assert ("the 10,000 test scenes, the same for all, would add ± 0.4" in note) == expected
    runs = runs_of(values, protocol={"profile": "full"})
    for run in runs:
        run["provenance"]["test_scenes"] = 400
    assert "the 400 test scenes, the same for all, would add ± 1.9" in as_text(to_frame(runs))


def test_the_line_below_says_which_rows_lack_seeds() -> None:
    values = {"single_task": np.ones(2), "equal": np.ones(3) / 2, "dwa": np.ones(1)}
    _, note = text_of(values)
    assert note.endswith("Of 3 seeds there are so far: single_task 2, dwa 1.")


def test_a_row_whose_best_rate_is_at_an_edge_goes_on_with_all_its_weights_and_seeds() -> None:
    scores = {
        ("equal", 0.1): 0.9,
        ("equal", 0.2): 0.5,
        ("dwa", 0.1): 0.5,
        ("dwa", 0.2): 0.9,
        ("dwa", 0.4): 0.5,
        ("left=1,right=2", 0.1): 0.1,
        ("left=1,right=2", 0.2): 0.9,
        ("left=2,right=1", 0.1): 0.2,
    }
    results = [
        result(name, seed, rate=rate, curves=([value], [value]), test={"left": 1, "right": 1})
        for (name, rate), value in scores.items()
        for seed in (7, 8)
    ]
    found = {(s.balancer, s.learning_rate, s.seed) for s in wider(results)}
    assert found == {
        (name, rate, seed)
        for name, rate in (("equal", 0.05), ("left=1,right=2", 0.4), ("left=2,right=1", 0.4))
        for seed in (7, 8)
    }
    (once,) = {s.learning_rate for s in wider([result("equal", 1, test={"left": 1, "right": 1})])}
    assert once == 0.05  # one rate is both edges


def test_the_text_says_diverged_where_no_run_is_left() -> None:
    assert "diverged" in as_text(to_frame([result("equal", 0, curves=FLAT)]))
