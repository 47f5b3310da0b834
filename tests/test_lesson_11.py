"""Lesson 11's own statistics are the package's, and its results are what their searches chose."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lesson_cells import run_tagged
from result_cases import flown as result
from scipy import stats

from mtl_tutorial.experiments.inference import interval
from mtl_tutorial.experiments.protocol import Setting
from mtl_tutorial.experiments.store import committed_results, origin
from mtl_tutorial.experiments.summary import best_settings, final_settings
from mtl_tutorial.places import RESULTS

UNHURRIED = settings(deadline=None, max_examples=60)
score = st.floats(0, 1).map(lambda value: round(value, 3))


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


@pytest.mark.parametrize(
    "name", ["two_digits_8_epochs", "two_digits_8_epochs/search", "quick_60_epochs"]
)
def test_the_results_that_the_lesson_reads_come_with_the_course(name) -> None:
    results = committed_results(name)
    assert all(r["protocol"]["epochs"] in (8, 60) for r in results)
    assert f"{len(results)} runs on " in origin(results)
    assert (RESULTS / name).is_dir()


def test_the_committed_table_is_what_its_search_chose() -> None:
    best = best_settings(committed_results("two_digits_8_epochs/search"))
    table = {Setting(**r["setting"]) for r in committed_results("two_digits_8_epochs")}
    assert table == set(final_settings(best, range(1010, 1030)))


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
