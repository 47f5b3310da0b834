"""What runs over the same seeds can tell of methods, checked by other means."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from result_cases import FLAT, dead, result, runs_of
from scipy import integrate, stats

from mtl_tutorial.experiments.inference import (
    LEVEL,
    MARGIN,
    comparisons,
    detectable,
    differences,
    equivalence,
    false_finds,
    found_with_fewer,
    friedman,
    holm,
    interval,
    outcomes,
    primary,
    scene_error,
)
from mtl_tutorial.experiments.summary import to_frame

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


def test_methods_whose_means_are_equal_but_for_rounding_rank_alike() -> None:
    tenths = {"equal": (0.1, 0.5), "pcgrad": (0.2, 0.4), "mgda": (0.3, 0.3), "dwa": (0.9, 0.9)}
    assert len({(a + b) / 2 for a, b in tenths.values()}) > 2  # 0.3 and 0.30000000000000004
    rows = [
        ("two_digits", "hard_sharing", name, name, 0.1, seed, task, value, False)
        for name, pair in tenths.items()
        for seed in range(4)
        for task, value in zip(("left", "right"), pair, strict=True)
    ]
    columns = [*"data architecture method balancer learning_rate seed task metric diverged".split()]
    # they have the same scores for all seeds, and count once: two methods are no Friedman's test
    assert friedman(pd.DataFrame(rows, columns=columns)) is None


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


@pytest.mark.parametrize("differences", [[0.001], [0.001, 0.001], [0.1, 0.1, 0.1], [0.0, 0.0]])
def test_one_difference_or_some_that_do_not_vary_say_nothing_of_equivalence(differences) -> None:
    assert np.isnan(equivalence(differences))


@pytest.mark.parametrize(("pairs", "level"), [(20, 0.05), (20, 0.05 / 11), (5, 0.05 / 11)])
def test_the_smallest_difference_is_found_in_80_of_100_simulated_experiments(pairs, level) -> None:
    random = np.random.default_rng(0)
    true = detectable(0.7, pairs, level)
    sample = true + 0.7 * random.standard_normal((40_000, pairs))
    found = stats.ttest_1samp(sample, 0, axis=1).pvalue < level
    assert found.mean() == pytest.approx(0.8, abs=0.008)


@settings(deadline=None, max_examples=60)
@given(st.integers(3, 40), st.floats(0.0005, 0.2), st.floats(0.5, 0.95), st.floats(0.001, 50))
def test_the_smallest_difference_has_its_power_by_an_integral_over_the_spread(
    pairs, level, power, deviation
) -> None:
    true = detectable(deviation, pairs, level, power)
    shift, degrees = true / deviation * np.sqrt(pairs), pairs - 1
    critical = stats.t.isf(level / 2, degrees)

    def found(ratio: float) -> float:
        """P(|t| > critical) where the spread that is seen is so many times the true one."""
        beyond = stats.norm.sf(critical * ratio - shift) + stats.norm.cdf(-critical * ratio - shift)
        return beyond * stats.chi.pdf(ratio * np.sqrt(degrees), degrees) * np.sqrt(degrees)

    value, _ = integrate.quad(found, 0, 1 + 12 / np.sqrt(degrees), limit=200)
    assert value == pytest.approx(power, abs=1e-4)


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
    pcgrad, mgda = found.loc["pcgrad"], found.loc["mgda"]
    if who == "pcgrad":  # that a row can't be tested makes it no easier for another
        assert (pcgrad["outcome"], mgda["outcome"]) == ("diverged", "ahead")
        assert mgda["p_corrected"] == pytest.approx(2 * mgda["p"])
    else:
        assert pcgrad["outcome"] == mgda["outcome"] == "reference diverged"
    assert np.isnan(pcgrad[["p", "p_corrected", "p_equivalent", "detectable"]].astype(float)).all()


def test_a_diverged_run_has_the_rank_of_chance() -> None:
    scores = several({"equal": 0, "pcgrad": 0.1, "mgda": 0.05}, spread=1e-4)
    before = friedman(frame(scores))
    assert before.statistic == pytest.approx(2 * SEEDS)  # every seed ranks them alike
    scores["pcgrad"][:6] = 0.1
    found = friedman(frame(scores, diverged={("pcgrad", seed) for seed in range(6)}))
    assert found.statistic == pytest.approx(SEEDS / 2)  # mean ranks 1.5, 2 and 2.5
    assert found.seeds == SEEDS


def test_runs_with_the_scores_of_the_reference_are_no_test_of_anything() -> None:
    scores = several({"equal": 0, "pcgrad": 0.1, "mgda": 0.0, "gradnorm": 0.0})
    without = frame(scores)
    twice = frame({**scores, "fixed": scores["equal"], "dwa": scores["equal"]})
    found = outcomes(twice).set_index("method")
    assert found.loc[["fixed", "dwa"], "outcome"].tolist() == ["same", "same"]
    assert found.loc[["fixed", "dwa"], "p"].isna().all()
    alike = ["data", "architecture", "difference", "low", "high", "pairs", "p"]
    rest = outcomes(without).set_index("method")
    pd.testing.assert_frame_equal(found.drop(["fixed", "dwa"])[alike], rest[alike])
    assert (found["m"] == 5).all() and (rest["m"] == 3).all()  # they count all the same
    assert friedman(twice) == friedman(without)


def test_differences_that_do_not_vary_are_too_few_to_test() -> None:
    found = outcomes(frame({"equal": [0.5, 0.6], "pcgrad": [0.51, 0.61], "mgda": [0.9]}))
    assert found["outcome"].tolist() == ["too few", "too few"]
    assert found["p"].isna().all()


def test_runs_of_other_tasks_than_the_references_are_not_compared() -> None:
    table = frame(several({"equal": 0, "pcgrad": 0.1, "mgda": 0.1}))
    fewer = table[(table["method"] != "mgda") | (table["task"] == "left")]
    found = outcomes(fewer).set_index("method")["outcome"]
    assert found.to_dict() == {"pcgrad": "ahead", "mgda": "other tasks"}
    assert friedman(fewer) is None


def test_a_method_with_two_settings_is_refused_since_its_seeds_would_count_twice() -> None:
    table = frame(several({"equal": 0, "pcgrad": 0.1}))
    again = table[table["method"] == "pcgrad"].assign(learning_rate=0.2)
    with pytest.raises(ValueError, match=r"'pcgrad' has 2 settings, and a row of a table is one"):
        outcomes(pd.concat([table, again]))


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10_000))
def test_what_a_seed_does_to_all_methods_alike_changes_nothing(seed) -> None:
    scores = several({"equal": 0, "pcgrad": 0.002, "mgda": -0.004}, seed=seed)
    shift = np.random.default_rng(seed + 1).uniform(-0.3, 0, SEEDS)
    table, moved = frame(scores), frame({name: row + shift for name, row in scores.items()})
    pd.testing.assert_frame_equal(outcomes(table), outcomes(moved), rtol=1e-5, atol=1e-7)
    assert friedman(moved) == pytest.approx(friedman(table))


@pytest.mark.parametrize(("gain", "seed"), [(0.0, 1), (0.002, 2), (0.004, 3), (0.01, 4)])
def test_a_p_value_is_near_that_of_all_flips_of_signs(gain, seed) -> None:
    scores = several({"equal": 0, "pcgrad": gain}, seed=seed)
    apart = scores["pcgrad"] - scores["equal"]
    flips = np.array(list(itertools.product([1, -1], repeat=SEEDS)))
    by_chance = np.abs((flips * apart).mean(1))
    exact = (by_chance >= abs(apart.mean()) * (1 - 1e-12)).mean()
    assert outcomes(frame(scores))["p"].item() == pytest.approx(exact, abs=0.02)


@pytest.mark.slow
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


@given(st.lists(st.floats(0.0001, 1), min_size=1, max_size=7), st.floats(0.001, 0.5))
def test_holms_correction_rejects_what_bonferroni_rejects_in_every_subset(p, level) -> None:
    subsets = [s for k in range(len(p)) for s in itertools.combinations(range(len(p)), k + 1)]
    for i, adjusted in enumerate(holm(p)):
        closed = [min(p[j] for j in s) * len(s) for s in subsets if i in s]
        if min(abs(value - level) for value in closed) > 1e-9:
            assert (adjusted <= level) == (max(closed) <= level)


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


def scores_of(left: dict[str, list[float]]) -> pd.DataFrame:
    """Results of methods over seeds; right is always 0.5."""
    return to_frame(
        result(name, seed, curves=FLAT, test={"left": value, "right": 0.5 + seed / 100})
        for name, values in left.items()
        for seed, value in enumerate(values)
    )


def test_a_comparison_is_paired_by_seed() -> None:
    equal, pcgrad = [0.2, 0.5, 0.9], [0.22, 0.53, 0.92]
    found = comparisons(scores_of({"equal": equal, "pcgrad": pcgrad})).set_index("task")
    assert found.loc["left", "difference"] == pytest.approx(np.mean([0.02, 0.03, 0.02]))
    assert found.loc["left", "p"] == pytest.approx(stats.ttest_rel(pcgrad, equal).pvalue)
    assert np.isnan(found.loc["right", "p"])  # no difference at all
    low, high = interval(np.subtract(pcgrad, equal))[1:]
    assert found.loc["left", ["low", "high"]].tolist() == pytest.approx([low, high])
    assert found.loc["left", "p_corrected"] == pytest.approx(found.loc["left", "p"])


def test_all_comparisons_of_a_data_set_are_corrected_together() -> None:
    frame = scores_of({"equal": [0.2, 0.3, 0.4], "mgda": [0.3, 0.35, 0.5], "dwa": [0.2, 0.4, 0.3]})
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


def test_without_the_reference_no_task_is_compared() -> None:
    found = comparisons(scores_of({"pcgrad": [0.1, 0.2]}))
    assert found.empty
    assert "p_corrected" in found


@pytest.mark.parametrize("who", ["pcgrad", "equal"])
def test_a_task_of_a_method_with_diverged_runs_is_not_tested(who) -> None:
    runs = [
        dead(name, seed, 0.1)
        if name == who and seed > 2
        else result(name, seed, test={"left": value + seed / 1e4, "right": value})
        for name, value in {"equal": 0.5, "pcgrad": 0.9}.items()
        for seed in range(5)
    ]
    assert comparisons(to_frame(runs))["p"].isna().all()


def test_differences_are_paired_by_seed_and_name_what_shares_nothing() -> None:
    runs = [
        *runs_of({"equal": [0.5, 0.6], "pcgrad": [0.7, 0.5], "single_task": [0.8, 0.9]}),
    ]
    table = differences(to_frame(runs))
    assert set(table.columns) == {"pcgrad", "single_task"}
    assert table["pcgrad"].tolist() == pytest.approx([0.2, -0.1])
    assert table["single_task"].tolist() == pytest.approx([0.3, 0.3])


def test_a_large_difference_is_found_with_few_seeds_and_none_is_not() -> None:
    noise = np.random.default_rng(0).normal(0, 0.01, (20, 2))
    table = pd.DataFrame({"none": noise[:, 0] - noise[:, 0].mean(), "large": 0.05 + noise[:, 1]})
    found = found_with_fewer(table, [3, 10, 20], m=10, draws=100)
    assert found.index.tolist() == [3, 10, 20]
    assert found.loc[10, "large"] > 0.9 > found.loc[3, "large"]
    assert found["none"].max() < 0.1 and found.loc[20, "none"] == 0


def test_more_tests_that_were_planned_find_less() -> None:
    table = pd.DataFrame({"some": 0.006 + np.random.default_rng(1).normal(0, 0.01, 20)})
    few, many = (found_with_fewer(table, [15], m=m, draws=200) for m in (1, 50))
    assert few.loc[15, "some"] > many.loc[15, "some"] + 0.1


def test_equal_methods_are_found_to_differ_the_more_tests_there_are_and_rarely_corrected() -> None:
    found = false_finds([1, 5, 20], 5, tables=2000)
    assert found.loc[1, "plain"] == pytest.approx(0.05, abs=0.015)
    assert found.loc[1, "plain"] == found.loc[1, "corrected"]
    assert found.loc[20, "plain"] > found.loc[5, "plain"] > 0.15
    assert found["corrected"].max() < 0.065


def test_what_is_corrected_in_false_finds_is_holms_correction() -> None:
    p = np.random.default_rng(0).uniform(size=(200, 7)) ** 2
    by_holm = [holm(row).min() < 0.05 for row in p]
    assert by_holm == (p.min(axis=1) < 0.05 / 7).tolist()
