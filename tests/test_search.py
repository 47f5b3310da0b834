"""What a search has tried and chosen, how much each method was given, and where it has to go on."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from result_cases import FLAT, result

from mtl_tutorial.experiments.protocol import Setting
from mtl_tutorial.experiments.search import (
    best_settings,
    final_settings,
    searched,
    validation_score,
    wider,
)

BOTH = {"left": 1, "right": 1}


def tried(scores: dict, seeds=(7, 8)) -> list[dict]:
    """Runs of a search with a validation score, by balancer and rate; None for a diverged one."""
    return [
        result(name, seed, rate=rate, curves=([value or 0], [value or 0]), test=value and BOTH)
        for (name, rate), value in scores.items()
        for seed in seeds
    ]


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
        ("left=2,right=1", 0.2): 0.3,
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


def test_a_row_that_was_cut_off_is_completed_before_it_goes_on() -> None:
    scores = {(f"left={w},right=1", rate): rate for w in (1, 2) for rate in (0.1, 0.2)}
    whole = tried(scores | {("equal", 0.1): 0.5})
    for cut in (1, 2, 3):  # in the widening to 0.2
        names = [f"left={w},right=1" for w in (1, 2) for _ in (7, 8)][-cut:]
        wide = [r for r in whole if r["setting"]["learning_rate"] == 0.2]
        left = [r for r in whole if r not in wide[-cut:]]
        (row,) = [row for row in searched(left) if row.best.method == "fixed"]
        missing = [Setting.of(r) for r in wide[-cut:]]
        assert [setting.balancer for setting in missing] == names
        assert sorted(map(str, row.gaps)) == sorted(map(str, missing))
        more = wider(left)
        assert [s for s in more if s.method == "fixed"] == row.gaps
        assert {s.learning_rate for s in more if s.method == "equal"} == {0.05}
    assert all(not row.gaps for row in searched(whole))
    assert {s.learning_rate for s in wider(whole) if s.method == "fixed"} == {0.4}


def test_a_search_says_how_many_settings_and_seeds_each_method_was_given() -> None:
    scores = {("equal", rate): 0.5 for rate in (0.1, 0.2, 0.4)}
    scores |= {(f"left={w},right=1", rate): 0.6 for w in (1, 2) for rate in (0.1, 0.2, 0.4)}
    equal, fixed = searched(tried(scores))
    assert (equal.settings, fixed.settings) == (3, 6)
    assert equal.seeds == fixed.seeds == [7, 8]
    assert (len(equal.tried), len(fixed.tried)) == (6, 12)
    assert (equal.best.method, fixed.best.method) == ("equal", "fixed")
    assert fixed.score == pytest.approx(0.6)


@given(st.permutations([0.1, 0.2, 0.4, 0.8]), st.sampled_from([0.1, 0.2, 0.4, 0.8]))
def test_a_best_rate_is_at_an_edge_just_where_none_that_was_tried_is_beyond_it(rates, best) -> None:
    scores = {("equal", rate): 0.9 if rate == best else 0.5 for rate in rates}
    (row,) = searched(tried(scores))
    assert row.best.learning_rate == best
    assert row.next_rate == {0.1: 0.05, 0.8: 1.6}.get(best)


@pytest.mark.parametrize("rates", [(0.1, 0.2, 0.4), (0.4, 0.2, 0.1)])
def test_a_search_in_which_every_run_diverged_goes_on_to_smaller_rates(rates) -> None:
    (row,) = searched(tried({("equal", rate): None for rate in rates}))
    assert row.next_rate == 0.05


@pytest.mark.parametrize("peak", [1 / 8, 3, 20])
def test_a_search_that_goes_on_ends_at_the_best_rate_with_a_worse_one_on_either_side(peak) -> None:
    def score(rate: float) -> float:
        return float(np.exp(-(np.log(rate / peak) ** 2)))

    rates = [1.0, 2.0]
    while more := wider(tried({("equal", rate): score(rate) for rate in rates})):
        rates += sorted({setting.learning_rate for setting in more})
    (best,) = best_settings(tried({("equal", rate): score(rate) for rate in rates}))
    assert min(rates) < best.learning_rate < max(rates)
    assert abs(np.log2(best.learning_rate / peak)) <= 0.6


def test_a_search_of_nothing_finds_nothing() -> None:
    assert searched([]) == best_settings([]) == wider([]) == []
