"""What runs over the same seeds can tell of methods, checked by other means."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from mtl_tutorial.experiments.inference import (
    LEVEL,
    MARGIN,
    detectable,
    equivalence,
    friedman,
    holm,
    outcomes,
    primary,
    scene_error,
)

SEEDS = 12


def frame(scores: dict, *, data="two_digits", diverged=()) -> pd.DataFrame:
    """Runs of two tasks whose mean is given, by (architecture, method) or method, over seeds."""
    rows = []
    for key, values in scores.items():
        architecture, method = key if isinstance(key, tuple) else ("hard_sharing", key)
        for seed, value in enumerate(values):
            run = (data, architecture, method, method, 0.1, seed)
            dead = (method, seed) in diverged
            rows += [(*run, "left", value - 0.01, dead), (*run, "right", value + 0.01, dead)]
    columns = ["data", "architecture", "method", "balancer", "learning_rate", "seed"]
    return pd.DataFrame(rows, columns=[*columns, "task", "metric", "diverged"])


def several(gains: dict, spread=0.004, seed=0) -> dict:
    """Scores that share what a seed does to all, and differ by a gain and by noise."""
    random = np.random.default_rng(seed)
    common = 0.9 + 0.02 * random.standard_normal(SEEDS)
    return {m: common + g + spread * random.standard_normal(SEEDS) for m, g in gains.items()}


def test_the_primary_outcome_is_the_mean_of_the_tasks() -> None:
    found = primary(frame({"equal": [0.5, 0.7], "pcgrad": [0.6, 0.8]}))
    assert found["metric"].tolist() == pytest.approx([0.5, 0.7, 0.6, 0.8])


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000))
def test_friedmans_statistic_is_the_one_of_the_formula_with_ties(seed) -> None:
    random = np.random.default_rng(seed)
    values = random.integers(0, 4, size=(7, 4)) / 10  # many ties
    if (values == values[:, :1]).all():
        return
    found = friedman(frame({f"m{j}": values[:, j] for j in range(4)}))
    n, k = values.shape
    ranks = np.array(
        [[(row < v).sum() + ((row == v).sum() + 1) / 2 for v in row] for row in values]
    )
    between = ((ranks.mean(0) - (k + 1) / 2) ** 2).sum() * n
    within = ((ranks - (k + 1) / 2) ** 2).sum() / (n * (k - 1))
    assert found.statistic == pytest.approx(between / within)
    assert found.p == pytest.approx(stats.chi2.sf(between / within, k - 1))
    assert (found.methods, found.seeds) == (k, n)


def test_friedman_takes_the_seeds_that_all_methods_have_and_needs_three_methods() -> None:
    scores = several({"equal": 0, "pcgrad": 0, "mgda": 0})
    scores["mgda"] = scores["mgda"][:5]
    assert friedman(frame(scores)).seeds == 5
    assert friedman(frame({n: scores[n] for n in ("equal", "pcgrad")})) is None
    same = np.linspace(0, 1, 5)
    assert friedman(frame(dict.fromkeys(("equal", "dwa", "mgda"), same))) is None


@given(st.lists(st.floats(-0.02, 0.02), min_size=3, max_size=15))
def test_two_are_equivalent_just_where_the_90_percent_interval_is_within_the_margin(values) -> None:
    sample = np.array(values)
    if np.ptp(sample) < 1e-6:
        return
    half = stats.t.ppf(0.95, len(sample) - 1) * sample.std(ddof=1) / np.sqrt(len(sample))
    inside = -MARGIN < sample.mean() - half and sample.mean() + half < MARGIN
    p = equivalence(sample)
    if abs(p - 0.05) > 1e-9:
        assert (p < 0.05) == inside


def test_differences_that_are_always_the_same_are_equivalent_or_not_without_a_test() -> None:
    assert equivalence([0.0, 0.0, 0.0]) == 0 and equivalence([0.1, 0.1]) == 1
    assert np.isnan(equivalence([0.001]))


@pytest.mark.parametrize(("pairs", "level"), [(20, 0.05), (20, 0.05 / 11), (5, 0.05 / 11)])
def test_the_smallest_difference_is_found_in_80_of_100_simulated_experiments(pairs, level) -> None:
    random = np.random.default_rng(0)
    true = detectable(0.7, pairs, level)
    sample = true + 0.7 * random.standard_normal((40_000, pairs))
    found = stats.ttest_1samp(sample, 0, axis=1).pvalue < level
    assert found.mean() == pytest.approx(0.8, abs=0.008)


def test_the_error_of_the_test_scenes_is_that_of_a_binomial() -> None:
    random = np.random.default_rng(0)
    drawn = random.binomial(10_000, 0.96, size=20_000) / 10_000
    low, high = np.quantile(drawn, [0.025, 0.975])
    assert scene_error(0.96, 10_000) == pytest.approx((high - low) / 2, rel=0.03)


def test_outcomes_by_hand() -> None:
    gains = {"equal": 0, "pcgrad": 0.02, "mgda": -0.02, "dwa": 0.0, "gradnorm": 0.004}
    scores = several(gains, spread=0.002)
    scores["gradnorm"] = scores["equal"] + 0.03 * np.random.default_rng(5).standard_normal(SEEDS)
    found = outcomes(frame(scores)).set_index("method")
    assert found["outcome"].to_dict() == {
        "pcgrad": "ahead",
        "mgda": "behind",
        "dwa": "equivalent",
        "gradnorm": "not told apart",
    }
    p, equal_within = {}, {}
    for name in found.index:
        d = scores[name] - scores["equal"]
        n, mean, error = len(d), d.mean(), d.std(ddof=1) / np.sqrt(len(d))
        p[name] = 2 * stats.t.sf(abs(mean / error), n - 1)
        sides = (
            stats.t.sf((MARGIN + mean) / error, n - 1),
            stats.t.sf((MARGIN - mean) / error, n - 1),
        )
        equal_within[name] = max(sides)
        half = stats.t.ppf(0.975, n - 1) * error
        assert found.loc[name, "difference"] == pytest.approx(mean)
        ends = found.loc[name, ["low", "high"]].tolist()
        assert ends == pytest.approx([mean - half, mean + half])
        assert found.loc[name, "detectable"] == pytest.approx(
            detectable(d.std(ddof=1), n, LEVEL / 4)
        )
    for column, by_hand in (("p_corrected", p), ("p_equivalent", equal_within)):
        ordered = sorted(by_hand.values())
        for name, value in by_hand.items():
            steps = [min(1, (4 - k) * ordered[k]) for k in range(ordered.index(value) + 1)]
            assert found.loc[name, column] == pytest.approx(max(steps))


def test_pairs_are_of_the_same_seed_whatever_the_order_of_the_rows() -> None:
    table = frame(several({"equal": 0, "pcgrad": 0.01, "mgda": 0}))
    shuffled = table.sample(frac=1, random_state=3)
    expected = outcomes(table).set_index("method").sort_index()
    found = outcomes(shuffled).set_index("method").sort_index()
    pd.testing.assert_frame_equal(found, expected)


def test_every_data_set_and_architecture_is_a_family_and_those_that_share_nothing_another() -> None:
    names = ["equal", "pcgrad", "mgda", "dwa"]
    parts = []
    for i, (data, architecture) in enumerate(
        itertools.product(("two_digits", "two_fashion"), ("hard_sharing", "mtan"))
    ):
        scores = several(dict.fromkeys(names, 0), seed=i)
        parts.append(frame({(architecture, n): v for n, v in scores.items()}, data=data))
    alone = several({"single_task": 0.004, "single_task_small": 0.003}, seed=9)
    parts.append(frame({(n, "equal"): v for n, v in alone.items()}))
    found = outcomes(pd.concat(parts))
    shared = found[~found["architecture"].str.startswith("single")]
    for _, family in shared.groupby(["data", "architecture"]):
        assert len(family) == 3
        assert family["p_corrected"].tolist() == pytest.approx(holm(family["p"]).tolist())
    rest = found[found["architecture"].str.startswith("single")]
    assert rest["architecture"].tolist() == ["single_task", "single_task_small"]
    assert rest["p_corrected"].tolist() == pytest.approx(holm(rest["p"]).tolist())
    equal = parts[0].query("method == 'equal'").groupby("seed")["metric"].mean()
    expected = alone["single_task"].mean() - equal.mean()
    assert rest.iloc[0]["difference"] == pytest.approx(expected)


@pytest.mark.parametrize("who", ["pcgrad", "equal"])
def test_a_method_that_diverged_or_whose_rival_did_is_not_tested(who) -> None:
    scores = several({"equal": 0, "pcgrad": 0.1, "mgda": 0.1})
    found = outcomes(frame(scores, diverged={(who, 3)})).set_index("method")
    assert found.loc["pcgrad", "outcome"] == "not tested"
    assert found.loc["mgda", "outcome"] == ("ahead" if who == "pcgrad" else "not tested")
    if who == "pcgrad":  # one test is left, and nothing to correct
        assert found.loc["mgda", "p_corrected"] == found.loc["mgda", "p"]


def test_methods_that_are_all_alike_are_called_different_in_at_most_5_of_100_tables() -> None:
    random = np.random.default_rng(0)
    names = [f"m{j}" for j in range(10)]
    wrong = 0
    for _ in range(150):
        scores = {n: 0.9 + 0.01 * random.standard_normal(SEEDS) for n in ("equal", *names)}
        wrong += outcomes(frame(scores))["outcome"].isin(["ahead", "behind"]).any()
    assert wrong <= 14  # 7.5 are expected, and more than 14 come once in 100 tries


def test_without_the_reference_there_is_nothing_to_compare() -> None:
    assert outcomes(frame({"pcgrad": [0.1, 0.2]})).empty
