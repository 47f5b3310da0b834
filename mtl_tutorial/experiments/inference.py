"""What runs over the same seeds can tell of methods: intervals, tests, and what they would miss."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import optimize, stats

from mtl_tutorial.experiments.catalogue import ALONE

GROUP = ["data", "architecture", "method"]
MARGIN = 0.005  # within which two methods count as equivalent: half a point
LEVEL = 0.05  # below which a corrected p counts
POWER = 0.8  # with which the smallest difference would have been found
SAME = 1e-9  # metrics have five digits: differences that vary by less do not vary


def interval(values: Sequence[float], level: float = 0.95) -> tuple[float, float, float]:
    """Give the mean of a sample and the ends of its Student-t interval, x̄ ± t s / √n.

    The ends are NaN for a single value.
    """
    sample = np.asarray(values, dtype=float)
    mean = float(sample.mean())
    if len(sample) < 2:
        return mean, np.nan, np.nan
    half = stats.t.ppf((1 + level) / 2, len(values) - 1) * stats.sem(values)
    return mean, mean - half, mean + half


def holm(p_values: Sequence[float]) -> np.ndarray:
    """Adjust p-values for many comparisons: p̃_(k) = max_{j≤k} min(1, (m − j + 1) p_(j)).

    p_(1) ≤ … ≤ p_(m) are the values in order. NaN stays NaN and does not count.

    Source: Holm 1979, A simple sequentially rejective multiple test procedure.
    """
    p = np.asarray(p_values, dtype=float)
    adjusted = np.full(len(p), np.nan)
    order = [i for i in np.argsort(p) if not np.isnan(p[i])]
    largest = 0.0
    for rank, i in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - rank) * p[i]))
        adjusted[i] = largest
    return adjusted


def comparisons(frame: pd.DataFrame, reference: str = "equal") -> pd.DataFrame:
    """Compare each method with a reference, seed by seed, on the same architecture.

    A two-sided paired t-test of the metric for each task, with Holm's correction over all
    comparisons of a data set. Where runs of one of the two diverged there is no test, so that
    chance earns no sign. `outcomes` compares the means over tasks.

    Returns:
        ``difference`` (method minus reference) with ``low`` and ``high`` (95 %, not corrected),
        ``p`` and ``p_corrected`` by data set, architecture, method and task.
    """
    rows = []
    for key, part in frame.groupby(["data", "architecture", "task"], sort=False):
        data, architecture, task = key
        table = part.pivot_table(index="seed", columns="method", values="metric", sort=False)
        diverged = part.groupby("method")["diverged"].any()
        if reference not in table:
            continue
        for method in table.columns.drop(reference):
            pairs = table[[method, reference]].dropna()
            difference = pairs[method] - pairs[reference]
            found = (*interval(difference), np.nan) if len(pairs) else (np.nan,) * 4
            if difference.std() > SAME and not diverged[[method, reference]].any():
                test = stats.ttest_rel(pairs[method], pairs[reference])
                found = (difference.mean(), *test.confidence_interval(), test.pvalue)
            rows.append((data, architecture, method, task, *found))
    columns = [*GROUP, "task", "difference", "low", "high", "p"]
    table = pd.DataFrame(rows, columns=columns)
    table["p_corrected"] = table.groupby("data")["p"].transform(holm)
    return table


def primary(frame: pd.DataFrame) -> pd.DataFrame:
    """Give the primary outcome of each run: the mean of its tasks' metrics, a row a run.

    Column ``tasks`` says of which.

    Raises:
        ValueError: where a method has several settings; as runs of one they would count twice.
    """
    setting = [*GROUP, "balancer", "learning_rate"]
    for (*_, method), own in frame[setting].drop_duplicates().groupby(GROUP, sort=False):
        if len(own) > 1:
            raise ValueError(
                f"{method!r} has {len(own)} settings, and a row of a table is one; choose with "
                f"best_settings"
            )
    grouped = frame.groupby([*setting, "seed"], sort=False, as_index=False)
    runs = grouped.agg(
        metric=("metric", "mean"), diverged=("diverged", "any"), tasks=("task", ", ".join)
    )
    return runs.assign(metric=runs["metric"].round(9))  # what is equal ranks alike


class Friedman(NamedTuple):
    """Friedman's test: whether the methods' ranks, seed by seed, could be luck.

    Args:
        statistic: χ², corrected for ties.
        p: by the χ² distribution with `degrees` of freedom.
        methods, seeds: how many there are, of the seeds that all methods have.
    """

    statistic: float
    p: float
    methods: int
    seeds: int

    @property
    def degrees(self) -> int:
        """Of freedom: one fewer than there are methods."""
        return self.methods - 1


def friedman(frame: pd.DataFrame) -> Friedman | None:
    """Rank the methods of one data set and architecture on their primary outcome, a seed a block.

    Runs that diverged count as chance; methods with the same scores for all seeds count once. None
    where that leaves fewer than three methods, or there are not two seeds that all of them have,
    or their tasks are not the same.

    Source: Friedman 1937; for comparing learners over blocks, Demšar 2006.
    """
    runs = primary(frame)
    table = runs.pivot_table(index="seed", columns="method", values="metric")
    table = table.dropna().T.drop_duplicates().T
    if table.shape[1] < 3 or len(table) < 2 or runs["tasks"].nunique() > 1:
        return None
    found = stats.friedmanchisquare(*(table[method] for method in table))
    return Friedman(float(found.statistic), float(found.pvalue), table.shape[1], len(table))


def equivalence(differences: Sequence[float], margin: float = MARGIN) -> float:
    """Give the p-value of two one-sided t-tests (TOST): that the mean lies within ± margin.

    p = max of P(mean ≤ −margin) and P(mean ≥ margin). It is below 0.05 just where the 90 %
    interval lies within the margin. NaN for a single difference, and for those that do not vary:
    they say nothing of how much others would.

    Source: Schuirmann 1987.
    """
    sample = np.asarray(differences, dtype=float)
    if len(sample) < 2 or np.ptp(sample) < SAME:
        return np.nan
    above = stats.ttest_1samp(sample, -margin, alternative="greater").pvalue
    below = stats.ttest_1samp(sample, margin, alternative="less").pvalue
    return float(max(above, below))


def detectable(deviation: float, pairs: int, level: float, power: float = POWER) -> float:
    """Give the smallest true difference that a paired t-test would have found.

    δ with P(|t| > t_{1−level/2}) = power, where t = √n d̄ / s has a noncentral t distribution with
    n − 1 degrees of freedom and noncentrality √n δ / σ.

    Args:
        deviation: σ, of the differences.
        pairs: n, ≥ 2.
        level: of the test, two-sided; already divided where several tests are corrected.
    """
    degrees = pairs - 1
    critical = stats.t.ppf(1 - level / 2, degrees)

    def lacking(noncentrality: float) -> float:
        right = stats.nct.sf(critical, degrees, noncentrality)
        left = stats.nct.cdf(-critical, degrees, noncentrality)  # NaN where it is too small
        return right + np.nan_to_num(left) - power

    enough = critical
    while lacking(enough) < 0:
        enough *= 1.5
    root = optimize.brentq(lacking, 0.0, enough)
    return float(root * deviation / np.sqrt(pairs))


def scene_error(accuracy: float, scenes: int, level: float = 0.95) -> float:
    """Give half of the interval that an accuracy has for the scenes it was tested on alone.

    z √(a (1 − a) / n), of a binomial.
    """
    return float(stats.norm.ppf((1 + level) / 2) * np.sqrt(accuracy * (1 - accuracy) / scenes))


def differences(frame: pd.DataFrame, reference: str = "equal") -> pd.DataFrame:
    """Give the primary outcome of each row of a table minus the reference's, seed by seed.

    Of one data set: methods of hard sharing, and networks that share nothing under their own name.

    Returns:
        A column a row, by seed.
    """
    runs = primary(frame)
    alone = runs["architecture"].str.startswith(ALONE)
    rows = runs[alone | (runs["architecture"] == "hard_sharing")]
    names = rows["method"].where(~alone, rows["architecture"])
    table = rows.assign(row=names).pivot(index="seed", columns="row", values="metric")
    return table.sub(table[reference], axis=0).drop(columns=reference)


def found_with_fewer(
    differences: pd.DataFrame, counts: Iterable[int], *, m: int, draws: int, seed: int = 0
) -> pd.DataFrame:
    """Say how often a table of fewer seeds would have found each method.

    So many seeds are drawn, without replacement, from those that there are; a paired t-test of each
    method, with Holm's correction over m tests, finds it or not.

    Args:
        differences: from the reference, a column a method, by seed; seeds that one lacks are left
            out.
        counts: of seeds, each at least 2.
        m: of tests; those of methods that are not there count with p = 1.
        draws: how often.

    Returns:
        The share of the draws in which a method is found, a column a method, by count.
    """
    generator = np.random.default_rng(seed)
    values, found = differences.dropna().to_numpy(), {}
    for count in counts:
        chosen = np.stack([generator.permutation(len(values))[:count] for _ in range(draws)])
        with warnings.catch_warnings():  # two seeds may be alike to the last digit
            warnings.filterwarnings("ignore", "Precision loss", RuntimeWarning)
            p = stats.ttest_1samp(values[chosen], 0, axis=1).pvalue
        finds = [_corrected(pd.Series(row), m) < LEVEL for row in p]
        found[count] = np.mean(finds, axis=0)
    return pd.DataFrame(found, index=differences.columns).T


def false_finds(methods: Iterable[int], seeds: int, *, tables: int, seed: int = 0) -> pd.DataFrame:
    """Say how often a table finds a difference where there is none.

    All methods and their reference are draws from one normal distribution; a paired t-test holds
    each against the reference.

    Args:
        methods: how many there are beside the reference.
        seeds: of each.
        tables: how many are drawn.

    Returns:
        The share of tables with a find, by the number of methods: ``plain``, at 0.05 each, and
        ``corrected``, by Holm.
    """
    scores = np.random.default_rng(seed).normal(
        size=(tables, 1 + max(methods := [*methods]), seeds)
    )
    p = stats.ttest_rel(scores[:, 1:], scores[:, :1], axis=-1).pvalue
    rows = {
        m: {
            "plain": (p[:, :m] < LEVEL).any(axis=1).mean(),
            "corrected": (p[:, :m].min(axis=1) < LEVEL / m).mean(),  # Holm's first step
        }
        for m in methods
    }
    return pd.DataFrame(rows).T


OUTCOMES = [*GROUP, "difference", "low", "high", "pairs", "m", "p", "p_corrected"]
OUTCOMES += ["p_equivalent", "detectable", "outcome"]


def outcomes(
    frame: pd.DataFrame,
    reference: str = "equal",
    margin: float = MARGIN,
    planned: Collection[tuple[str, str, str]] = (),
) -> pd.DataFrame:
    """Compare each method with a reference on the primary outcome, seed by seed.

    Methods are compared on their own architecture; networks that share nothing with the reference
    of hard sharing. Each data set and architecture is a family of its own, as are the networks that
    share nothing. Within a family Holm's correction is over all paired t-tests, and over all tests
    of equivalence (TOST). Not tested are a method some of whose runs diverged, or any where the
    reference's did, and one whose difference is the same for all seeds. They count in m all the
    same, and so do the rows that are planned and have no runs yet: how many tests there are was
    decided before.

    Args:
        planned: data set, architecture and method of the rows that there are to be.

    Returns:
        ``difference`` (method minus reference), ``low`` and ``high`` (95 %, not corrected),
        ``pairs`` (seeds), ``m``, ``p``, ``p_corrected``, ``p_equivalent`` (corrected),
        ``detectable`` (with 80 % power at 0.05 / m), and ``outcome``: ``ahead`` or ``behind`` where
        the difference is found, ``equivalent`` where it is within ± margin, both at 0.05, else
        ``not told apart``. Without a test: ``diverged``, ``reference diverged``, ``other tasks``,
        ``same`` (the scores of the reference for every seed), or ``too few`` to test.
    """
    runs = primary(frame)
    rows = []
    for (data, architecture), part in runs.groupby(["data", "architecture"], sort=False):
        alone = architecture.startswith(ALONE)
        rivals = runs[(runs["data"] == data) & (runs["architecture"] == "hard_sharing")]
        rival = (rivals if alone else part).query("method == @reference")
        for method, own in part.groupby("method", sort=False):
            if (method == reference and not alone) or rival.empty:
                continue
            rows.append((data, architecture, method, *_pair(own, rival, margin)))
    columns = [*OUTCOMES[:7], "p", "p_equivalent", "detectable", "outcome"]
    table = pd.DataFrame(rows, columns=columns)
    family = [_family(row.data, row.architecture) for row in table.itertuples()]
    sizes = {name: family.count(name) for name in family}
    there = set(table[GROUP].itertuples(index=False, name=None))
    for data, architecture, method in planned:
        counted = (data, architecture, method) in there or (
            method == reference and not architecture.startswith(ALONE)
        )
        if not counted and (name := _family(data, architecture)) in sizes:
            sizes[name] += 1
    table["m"], table["p_corrected"] = [sizes[name] for name in family], np.nan
    for name in sizes:
        own = np.array([one == name for one in family])
        table.loc[own, "p_corrected"] = _corrected(table.loc[own, "p"], sizes[name])
        table.loc[own, "p_equivalent"] = _corrected(table.loc[own, "p_equivalent"], sizes[name])
    table["detectable"] = [
        detectable(row.detectable, row.pairs, LEVEL / row.m) if row.detectable > 0 else np.nan
        for row in table.itertuples()
    ]
    table["outcome"] = [_outcome(row) for row in table.itertuples()]
    return table[OUTCOMES]


def _family(data: str, architecture: str) -> str:
    return f"{data}, {ALONE if architecture.startswith(ALONE) else architecture}"


def _corrected(p: pd.Series, tests: int) -> np.ndarray:
    """Holm's correction over all tests of a family; those without a p count with p = 1."""
    untested = tests - int(p.count())
    return holm([*p, *[1.0] * untested])[: len(p)]


def _pair(own: pd.DataFrame, rival: pd.DataFrame, margin: float) -> tuple:
    """Of one comparison: difference, its interval, pairs, p, p of equivalence, deviation, and why
    it is not tested.
    """
    both = own.merge(rival, on="seed", suffixes=("", "_rival"))
    apart = (both["metric"] - both["metric_rival"]).to_numpy()
    found = (*(interval(apart) if len(apart) else (np.nan,) * 3), len(apart))
    reasons = {
        "reference diverged": rival["diverged"].any(),
        "diverged": own["diverged"].any(),
        "other tasks": {*own["tasks"]} != {*rival["tasks"]},
        "same": len(apart) > 1 and np.abs(apart).max() < SAME,
        "too few": len(apart) < 2
        or not np.ptp(apart) >= SAME,  # a t-test divides by their deviation
    }
    if reason := next((name for name, holds in reasons.items() if holds), None):
        return (*found, np.nan, np.nan, np.nan, reason)
    p = float(stats.ttest_1samp(apart, 0).pvalue)
    return (*found, p, equivalence(apart, margin), float(apart.std(ddof=1)), "")


def _outcome(row) -> str:
    if row.outcome:
        return row.outcome
    if row.p_corrected < LEVEL:
        return "ahead" if row.difference > 0 else "behind"
    return "equivalent" if row.p_equivalent < LEVEL else "not told apart"
