"""Results as a table: means, signs, costs, and runs that diverged."""

from __future__ import annotations

import numpy as np
import pytest
from result_cases import FLAT, dead, result, runs_of

from mtl_tutorial.experiments.summary import as_text, means, to_frame, trials


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


@pytest.mark.parametrize(("right", "failed"), [(0.1125, True), (0.13, True), (0.14, False)])
def test_a_run_that_ended_at_chance_in_a_task_has_diverged_with_the_score_it_has(
    right, failed
) -> None:
    frame = to_frame([result("equal", 0, test={"left": 0.9, "right": right})])
    assert frame["diverged"].tolist() == [failed, failed]
    assert frame["metric"].tolist() == [0.9, right]


def test_a_task_that_is_not_to_name_one_of_many_may_be_low() -> None:
    found = result("equal", 0, data="located_digits", tasks=["digit", "box", "mask"])
    found["test"] = {t: {"loss": 1.0, "metric": m} for t, m in (("digit", 0.8), ("mask", 0.0))}
    found["test"]["box"] = {"loss": 1.0, "metric": 0.1}
    assert not to_frame([found | {"diverged": None}])["diverged"].any()


def test_a_result_that_does_not_say_its_chance_has_that_of_its_data() -> None:
    assert to_frame([result("equal", 0)])["metric"].tolist() == [0.1, 0.1]


def test_a_mean_with_a_chance_that_is_not_known_is_no_number() -> None:
    runs = [result("equal", 0, test={"left": 0.4, "right": 0.5}), dead("equal", 1, None)]
    assert "| – | – | – | 2 | 1 of 2 diverged |" in as_text(to_frame(runs))


def rows_of(text: str) -> dict[tuple[str, str], list[str]]:
    """The cells of a table by architecture and method."""
    lines = text.splitlines()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines[2 : lines.index("")]]
    return {(architecture, method): cells for architecture, method, *cells in rows}


@pytest.mark.parametrize("who", ["pcgrad", "equal"])
def test_a_method_with_diverged_runs_or_an_opponent_earns_no_sign(who) -> None:
    good = {"equal": 0.5, "pcgrad": 0.9, "dwa": 0.9}
    runs = [
        dead(name, seed, 0.1)
        if name == who and seed > 2
        else result(name, seed, test={"left": value + seed / (1e3 * value), "right": value})
        for name, value in good.items()
        for seed in range(5)
    ]
    rows = rows_of(as_text(to_frame(runs)))
    assert rows["hard_sharing", "pcgrad"][2][-1].isdigit()
    assert rows["hard_sharing", who][-1] == "2 of 5 diverged"
    assert rows["hard_sharing", "dwa"][2].endswith("+") == (who == "pcgrad")


def test_a_mean_that_counts_diverged_runs_has_no_interval() -> None:
    runs = [result("equal", seed, test={"left": 0.95, "right": 0.9 + seed / 99}) for seed in (0, 1)]
    frame = to_frame([*runs, dead("equal", 2, 0.1)])
    assert means(frame)[["low", "high"]].isna().all(axis=None)
    cells = rows_of(as_text(frame))["hard_sharing", "equal"]
    assert cells == ["66.7", "63.7", "65.2", "2", "1 of 3 diverged"]


def test_a_result_names_its_own_tasks() -> None:
    scores = {task: {"loss": 1.0, "metric": 0.5} for task in ("left", "right", "middle")}
    new = result(seed=1, diverged=None, test=None) | {"tasks": list(scores), "test": scores}
    frame = to_frame([new])
    assert frame["task"].tolist() == ["left", "right", "middle"]
    old = result("pcgrad", test={"left": 0.5, "right": 0.5})
    rows = as_text(to_frame([new, old])).splitlines()
    columns = "left | right | middle | mean | CPU seconds a run | runs"
    assert rows[0] == f"| two_digits | method | {columns} |"
    assert "| 50.0 | 50.0 | – | 50.0 | 2 | 1 |" in rows[3]
    assert "Not tested: pcgrad (other tasks than equal weights)." in "\n".join(rows)


def test_a_result_of_data_that_the_catalogue_does_not_have_is_tabulated_too() -> None:
    scores = {"up": {"loss": 1.0, "metric": 0.5}}
    runs = [
        result(balancer, data="three_digits", tasks=["up"]) | {"test": scores, "diverged": None}
        for balancer in ("equal", "up=1")
    ]
    assert as_text(to_frame(runs)).startswith("| three_digits | method | up |")


def test_the_text_says_diverged_where_no_run_is_left() -> None:
    assert "diverged" in as_text(to_frame([result("equal", 0, curves=FLAT)]))


def test_the_mean_has_the_sign_of_what_was_found() -> None:
    steps = np.arange(8) / 1000
    wide = np.array([1, -1, 3, -3, 2, -2, 1, -1]) / 100
    values = {
        "single_task": 0.7 + 0.9 * steps,
        "equal": 0.5 + steps,
        "pcgrad": 0.6 + 1.1 * steps,
        "mgda": 0.4 + 1.1 * steps,
        "dwa": 0.5 + steps + wide / 30,
        "gradnorm": 0.5 + 1.3 * steps,
        "uncertainty": 0.5 + wide,
    }
    rows = rows_of(as_text(to_frame(runs_of(values))))
    signs = {method: cells[2].split()[3:] for (_, method), cells in rows.items()}
    assert signs == {
        "pcgrad": ["+"],
        "mgda": ["-"],
        "dwa": ["="],
        "gradnorm": ["+="],
        "uncertainty": [],
        "equal": [],
    }
    assert rows["single_task", "equal"][2] == "70.3 ± 0.2 +"
    assert next(iter(rows)) == ("single_task", "equal")


def test_seconds_are_those_of_cores_only_where_all_runs_were_on_a_cpu() -> None:
    runs = runs_of({"equal": [0.5, 0.6]})
    assert "| CPU seconds a run |" in as_text(to_frame(runs))
    runs[1]["provenance"]["device"] = "cuda (y)"
    text = as_text(to_frame(runs))
    assert "| seconds a run |" in text and "CPU" not in text
    assert "1 by device cpu (x), 1 by device cuda (y)" in text


def test_data_sets_have_a_table_and_notes_each() -> None:
    runs = [*runs_of({"equal": [0.5, 0.6]}), *runs_of({"equal": [0.7]}, data="two_fashion")]
    first, second = as_text(to_frame(runs)).split("\n\n| two_fashion |")
    assert "55.0 ±" in first and "- ± is half" in first
    assert "70.0 |" in second and "- ± is half" in second


def test_four_hundred_runs_are_a_text_of_one_table() -> None:
    random = np.random.default_rng(0)
    names = ["single_task", "single_task_small", "equal", "pcgrad", "mgda", "dwa", "gradnorm"]
    names += ["uncertainty", "cagrad", "imtl_g", "upgrad", "nash_mtl", "gradient_norm_weights"]
    values = {name: 0.9 + 0.01 * random.standard_normal(30) for name in names}
    rows = rows_of(as_text(to_frame(runs_of(values))))
    assert len(rows) == len(names)
    assert all(cells[-1] == "30" for cells in rows.values())


def test_a_search_is_a_table_of_what_was_tried_without_what_diverged() -> None:
    curves = {
        "validation metric": {"left": [0.4, 0.6], "right": [0.2, 0.8]},
        "weight": {"left": [1.0, 2.0], "right": [1.0, 0.0]},
    }
    tried = result("pcgrad", 7, rate=0.025, test={"left": 0.5, "right": 0.5}, curves=FLAT)
    table = trials([tried | {"curves": curves}, result("mgda", 7)])
    (row,) = table.itertuples()
    assert (row.method, row.learning_rate, row.seed) == ("pcgrad", 0.025, 7)
    assert row.value == pytest.approx(0.7)
    assert row.step == pytest.approx(2.0)
