"""Notes below a table: what its intervals and tests are of, and what they would have missed."""

from __future__ import annotations

import re

import numpy as np
import pytest
from result_cases import dead, result, runs_of

from mtl_tutorial.experiments.inference import detectable, outcomes
from mtl_tutorial.experiments.notes import notes_of
from mtl_tutorial.experiments.search import searched
from mtl_tutorial.experiments.summary import as_text, to_frame

RANDOM = np.random.default_rng(0)
COMMON = 0.9 + 0.02 * RANDOM.standard_normal(12)
SCORES = {
    name: COMMON + gain + 0.002 * RANDOM.standard_normal(12)
    for name, gain in {"single_task": 0.01, "single_task_small": 0, "equal": 0, "pcgrad": 0.01,
                       "mgda": 0, "dwa": -0.01}.items()
}  # fmt: skip


def notes(results, search=()) -> list[str]:
    """The notes of a table of one data set."""
    frame = to_frame(results)
    return notes_of(frame, outcomes(frame), searched(search))


def note(begins: str, results, search=()) -> str:
    """The one note that begins so."""
    (found,) = [line for line in notes(results, search) if line.startswith(begins)]
    return found


def test_the_family_of_each_test_and_its_size_are_said() -> None:
    said = note("Signs compare the mean of the tasks with that of equal weights", runs_of(SCORES))
    assert "= equivalent within ± 0.5 (TOST)" in said
    assert said.endswith(
        "for each of the two tests, over the m = 3 other methods, and apart from them over "
        "the m = 2 rows that share nothing."
    )
    without = {name: SCORES[name] for name in ("equal", "pcgrad", "single_task")}
    said = note("Signs", runs_of(without))
    assert "the m = 1 other methods" in said and "the m = 1 row that shares nothing" in said


def test_friedmans_test_is_given_with_its_degrees_methods_and_seeds() -> None:
    short = SCORES | {"dwa": SCORES["dwa"][:10]}
    said = note("Friedman's test", runs_of(short))
    assert re.match(r"Friedman's test of 4 methods over 10 seeds: χ²\(3\) = \d+\.\d, p ", said)


def test_the_smallest_difference_that_would_have_been_found_is_given_by_method() -> None:
    apart = [SCORES[name] - SCORES["equal"] for name in ("pcgrad", "mgda", "dwa")]
    sizes = sorted(100 * detectable(d.std(ddof=1), 12, 0.05 / 3) for d in apart)
    least, typical, most = (f"{size:.2g}" for size in sizes)
    said = note("Friedman's test", runs_of(SCORES))
    assert (
        f"A paired t-test at 0.05 / m finds a true difference of {least} to {most} points, by "
        f"method (median {typical}), in 80 % of such tables" in said
    )
    wild = {"equal": np.array([0.2, 0.95, 0.2]), "pcgrad": np.array([0.95, 0.2, 0.3])}
    assert "a true difference of more than 100 points in 80 %" in " ".join(notes(runs_of(wild)))


def test_networks_that_share_nothing_are_set_against_equal_weights_in_a_line_of_their_own() -> None:
    said = note("Sharing nothing, minus equal weights of hard_sharing", runs_of(SCORES))
    assert re.search(
        r"single_task \+\d\.\d\d \(\+0\.\d\d to \+\d\.\d\d; p < 0\.001, TOST p = [\d.]+: ahead\);",
        said,
    )
    assert re.search(
        r"single_task_small [-+]?0\.\d\d \(-0\.\d\d to \+?0\.\d\d; p = \S+, "
        r"TOST p < 0\.001: equivalent\)",
        said,
    )
    assert "finds a true difference of" in said


def test_each_network_that_is_shared_has_its_own_tests() -> None:
    runs = [
        run
        for architecture in ("hard_sharing", "mtan")
        for name in ("equal", "pcgrad", "mgda")
        for run in (
            result(name, seed, architecture=architecture, test={"left": value, "right": value})
            for seed, value in enumerate(SCORES[name])
        )
    ]
    signs = note("Signs", runs)
    assert "m = 2 other methods on hard_sharing, and apart" in signs
    assert "m = 2 other methods on mtan." in signs
    assert note("hard_sharing: Friedman's test of 3", runs)
    assert note("mtan: Friedman's test of 3", runs)
    assert note("Of 12 seeds", runs[:-1]) == "Of 12 seeds there are so far: mtan mgda 11."


def test_rows_without_a_test_are_named_with_the_reason() -> None:
    runs = runs_of(SCORES | {"fixed": []})
    runs += [result("left=1,right=1", seed, test={"left": v, "right": v})
             for seed, v in enumerate(SCORES["equal"])]  # fmt: skip
    runs += [dead("gradnorm", seed, 0.1) for seed in range(12)]
    runs += [result("uncertainty", 0, test={"left": 0.5, "right": 0.5})]
    assert note("Not tested", runs) == (
        "Not tested: gradnorm (runs diverged); fixed (the scores of equal weights for every "
        "seed); uncertainty (too few runs on the same seeds)."
    )
    assert "the m = 6 other methods" in note("Signs", runs)
    broken = [*runs_of({"pcgrad": SCORES["pcgrad"]}), *(dead("equal", s, 0.1) for s in range(12))]
    assert note("Not tested", broken) == "Not tested: pcgrad (runs of equal weights diverged)."
    assert not [line for line in notes(broken) if line.startswith("Signs")]


def test_intervals_say_what_they_are_over_and_what_the_test_scenes_leave() -> None:
    values = {"equal": [0.96, 0.96], "dwa": [0.96, 0.95]}
    for protocol, expected in (({"profile": "full"}, True), ({}, False)):
        said = note("± is half of the 95 % interval", runs_of(values, protocol=protocol))
        assert "over seeds (initial weights, order of batches" in said
        assert "not over test scenes or searches" in said
        assert ("The 10,000 test scenes, the same for all, alone" in said) == expected
    runs = runs_of(values)
    for run in runs:
        run["provenance"]["test_scenes"] = 400
    said = note("±", runs)
    # 1.96 √(0.96 · 0.04 / 400)
    assert said.endswith(
        "The 400 test scenes, the same for all, alone leave at least ± 1.9 on an accuracy of 96."
    )
    runs[0]["provenance"]["test_scenes"] = 500
    assert "test scenes, the same" not in note("±", runs)


def test_the_error_of_the_test_scenes_is_of_accuracies_alone() -> None:
    scores = {"digit": 0.8, "box": 0.6, "mask": 0.5}
    test = {task: {"loss": 1.0, "metric": value} for task, value in scores.items()}
    for tasks, said in ((["digit", "box", "mask"], True), (["box", "mask"], False)):
        run = result(data="located_digits", tasks=tasks, protocol={"profile": "full"})
        run |= {"diverged": None, "test": {task: test[task] for task in tasks}}
        assert ("on an accuracy of 80." in note("±", [run])) == said


def test_rows_that_lack_seeds_are_named_and_so_are_rows_on_other_seeds() -> None:
    values = {"single_task": [0.5, 0.6], "equal": [0.5, 0.6, 0.7], "dwa": [0.5]}
    said = note("Of 3 seeds", runs_of(values))
    assert said == "Of 3 seeds there are so far: single_task 2, dwa 1."
    apart = [
        result(name, seed, test={"left": 0.5, "right": 0.5})
        for name, seeds in (("equal", (0, 1)), ("dwa", (2, 3)))
        for seed in seeds
    ]
    assert note("Of 4 seeds", apart) == "Of 4 seeds there are so far: equal 2, dwa 2."
    assert not [line for line in notes(runs_of(SCORES)) if line.startswith("Of ")]


def trials(scores: dict[str, dict[float, float]], seeds=(7, 8)) -> list[dict]:
    """Runs of a search with a validation score, by balancer and rate."""
    return [
        result(name, seed, rate=rate, curves=([value], [value]), test={"left": 1, "right": 1})
        for name, values in scores.items()
        for rate, value in values.items()
        for seed in seeds
    ]


def test_the_search_behind_a_table_is_said_with_its_budget_and_its_edges() -> None:
    runs = runs_of({name: SCORES[name] for name in ("equal", "pcgrad", "mgda")})
    three = {0.05: 0.5, 0.1: 0.9, 0.2: 0.5}
    search = {"equal": three, "pcgrad": three, "dwa": three, "mgda": {0.1: 0.9, 0.2: 0.5}}
    assert note("Chosen", runs, trials(search)) == (
        "Chosen by validation on seeds 7, 8, a run each, of 3 settings a method (2 for mgda). At "
        "an edge of the rates that were tried: mgda (0.1)."
    )
    assert note("Chosen", runs[:3], trials({"equal": three}, [7])) == (
        "Chosen by validation on seed 7, a run each, of 3 settings a method."
    )
    assert not [line for line in notes(runs) if line.startswith("Chosen")]
    assert not [line for line in notes(runs, trials({"dwa": three})) if line.startswith("Chosen")]


def test_a_table_says_where_its_search_has_found_a_better_setting_since() -> None:
    search = trials({"equal": {0.05: 0.95, 0.1: 0.9, 0.025: 0.5}})
    said = note("Chosen", runs_of({"equal": SCORES["equal"]}), search)
    assert said.endswith("By now the search finds another setting best: equal (equal, 0.05).")


def test_a_table_of_several_versions_says_so() -> None:
    scores = {"left": 0.5, "right": 0.5}
    runs = [result(seed=seed, test=scores, commit=commit) for seed, commit in enumerate("aab")]
    assert "not made alike" not in " ".join(notes(runs[:2]))
    counts = "2 by commit a, 1 by commit b"
    assert notes(runs)[-1] == f"These 3 runs were not made alike: {counts}."
    resumed = result(seed=3, test=scores, commit="b")
    resumed["provenance"]["earlier"] = [{"commit": "a", "torch": "2", "device": "cpu (x)"}]
    counts = "2 by commit a, 1 by commit a, then b"
    assert notes([*runs[:2], resumed])[-1] == f"These 3 runs were not made alike: {counts}."


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("torch", {"provenance": {"torch": "3"}}),
        ("device", {"provenance": {"device": "cuda (y)"}}),
        ("recipe", {"protocol": {"recipe": 2}}),
        ("tasks", {"tasks": ["left", "right", "middle"]}),
    ],
)
def test_a_table_that_mixes_what_made_it_says_so_with_counts(name, change) -> None:
    scores = {"left": 0.5, "right": 0.5, "middle": 0.5}
    runs = [result(seed=seed, test=scores) for seed in range(3)]
    for key, value in change.items():
        runs[2][key] = {**runs[2].get(key, {}), **value} if isinstance(value, dict) else value
    (line,) = [line for line in notes(runs) if "not made alike" in line]
    assert re.match(rf"These 3 runs were not made alike: \d by {name} .*, \d by {name} ", line)


def test_rows_that_were_planned_and_have_no_runs_are_named_and_count() -> None:
    planned = [
        ("two_digits", network, method)
        for network, method in (
            *(("hard_sharing", name) for name in ("equal", "pcgrad", "mgda", "upgrad")),
            *((f"single_task{kind}", "equal") for kind in ("", "_small")),
            ("mtan", "equal"),
        )
    ]
    runs = to_frame(runs_of({name: SCORES[name] for name in ("single_task", "equal", "pcgrad")}))
    said = as_text(runs, planned=[*planned, ("two_fashion", "hard_sharing", "mgda")])
    assert (
        "- Of 7 rows that were planned 3 have runs; none yet: hard_sharing mgda, hard_sharing "
        "upgrad, single_task_small, mtan equal. They count in m." in said
    )
    assert "over the m = 3 other methods, and apart from them over the m = 2 rows" in said
    alone = outcomes(runs, planned=planned).set_index("architecture").loc["single_task"]
    assert alone["p_corrected"] == pytest.approx(min(1, 2 * alone["p"]))
