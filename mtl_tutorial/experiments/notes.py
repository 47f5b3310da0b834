"""Notes below a table of results: what was tested, what would have been missed, how it was made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from mtl_tutorial.data import TASKS
from mtl_tutorial.experiments.catalogue import ALONE
from mtl_tutorial.experiments.inference import (
    GROUP,
    LEVEL,
    MARGIN,
    POWER,
    Friedman,
    friedman,
    primary,
    scene_error,
)
from mtl_tutorial.experiments.search import Searched
from mtl_tutorial.tasks import accuracy, binary_accuracy

ACCURACIES = {  # tasks whose metric is a share of the scenes
    task.name
    for tasks in TASKS.values()
    for task in tasks
    if task.metric in (accuracy, binary_accuracy)
}
MADE_BY = ("commit", "torch", "device", "recipe", "test scenes", "tasks")


def notes_of(
    frame: pd.DataFrame,
    tested: pd.DataFrame,
    searches: Iterable[Searched] = (),
    planned: Iterable[tuple[str, str, str]] = (),
) -> list[str]:
    """Say what was tested, what would have been found, and whether the runs were made alike.

    Args:
        frame: runs of one data set, as `experiments.summary.to_frame` gives them.
        tested: what `outcomes` gives of them.
        searches: what `searched` gives of the search that chose their settings.
        planned: data set, architecture and method of the rows that there are to be.
    """
    alone = tested["architecture"].str.startswith(ALONE)
    families = dict(list(tested[~alone].groupby("architecture", sort=False)))
    notes = [*_scope(frame), *_signs(families, tested[alone])]
    shared = frame[~frame["architecture"].str.startswith(ALONE)]
    for architecture, rows in shared.groupby("architecture", sort=False):
        where = f"{architecture}: " if shared["architecture"].nunique() > 1 else ""
        found = _overall(friedman(rows))
        if architecture in families:
            found += _smallest(families[architecture])
        if found:
            notes.append(where + " ".join(found))
    notes += [*_alone(tested[alone]), *_untested(tested), *_lacking(frame, planned)]
    notes += _cost(shared)
    return [*notes, *_chosen(frame, searches), *_mixture(frame)]


def _scope(frame: pd.DataFrame) -> list[str]:
    """What the intervals are over, and what the test scenes add."""
    words = (
        "± is half of the 95 % interval of a mean over seeds (initial weights, order of batches, a "
        "method's own chance), not over test scenes or searches."
    )
    scenes = frame["test_scenes"].unique()
    accuracies = frame[frame["task"].isin(ACCURACIES) & ~frame["diverged"]]
    if len(scenes) != 1 or np.isnan(scenes[0]) or accuracies.empty:
        return [words]
    typical = float(accuracies["metric"].median())
    error = 100 * scene_error(typical, int(scenes[0]))
    return [
        f"{words} The {scenes[0]:,.0f} test scenes, the same for all, alone leave at least "
        f"± {error:.1f} on an accuracy of {100 * typical:.0f}."
    ]


def _signs(families: Mapping[str, pd.DataFrame], alone: pd.DataFrame) -> list[str]:
    """What the signs mean, and over how many tests they are corrected."""
    sizes = {name: int(family["m"].iloc[0]) for name, family in families.items() if len(family)}
    parts = [
        f"the m = {m} other methods" + (f" on {name}" if len(sizes) > 1 else "")
        for name, m in sizes.items()
        if families[name]["p"].count()
    ]
    if alone["p"].count() and (m := int(alone["m"].iloc[0])):
        parts.append(f"the m = {m} row{'s' * (m > 1)} that share{'s' * (m == 1)} nothing")
    if not parts:
        return []
    return [
        f"Signs compare the mean of the tasks with that of equal weights, seed by seed: + ahead, "
        f"- behind (paired t-test), = equivalent within ± {100 * MARGIN:g} (TOST), p < {LEVEL:g}; "
        f"no sign: not told apart. Holm's correction is, for each of the two tests, over "
        f"{', and apart from them over '.join(parts)}."
    ]


def _cost(shared: pd.DataFrame) -> list[str]:
    """How far CPU seconds of the same work are apart."""
    twins = shared[shared["method"].isin(["equal", "fixed"])]
    if twins.empty or not twins["device"].str.startswith("cpu").all():
        return []
    seconds = twins.groupby(["architecture", "method"])["seconds"].mean().unstack()
    if seconds.shape[1] < 2 or seconds.isna().to_numpy().any():
        return []
    apart = (seconds.max(axis=1) / seconds.min(axis=1)).max() - 1
    return [
        f"CPU seconds grow with what else the machine does. Equal and fixed weights are the same "
        f"work, and {100 * apart:.0f} % apart: less than that between two rows says nothing."
    ]


def _overall(test: Friedman | None) -> list[str]:
    if test is None:
        return []
    return [
        f"Friedman's test of {test.methods} methods over {test.seeds} seeds: "
        f"χ²({test.degrees}) = {test.statistic:.1f}, {_p(test.p)}."
    ]


def _smallest(family: pd.DataFrame) -> list[str]:
    """The true differences that would have been found, as the spread of the differences is."""
    sizes = 100 * family["detectable"].dropna()
    if sizes.empty:
        return []
    least, typical, most = (_size(size) for size in sizes.quantile([0, 0.5, 1]))
    words = f"{least} to {most} points, by method (median {typical}),"
    if least == most:
        words = f"{typical} points"
    return [
        f"A paired t-test at {LEVEL:g} / m finds a true difference of {words} in {100 * POWER:g} % "
        f"of such tables, if the spread is as seen."
    ]


def _size(points: float) -> str:
    return f"{points:.2g}" if points <= 100 else "more than 100"


def _alone(tested: pd.DataFrame) -> list[str]:
    """The networks that share nothing against equal weights of those that share."""
    apart = [
        f"{row.architecture} {_points(row.difference)} ({_points(row.low)} to "
        f"{_points(row.high)}; {_p(row.p_corrected)}, TOST {_p(row.p_equivalent)}: {row.outcome})"
        for row in tested.itertuples()
        if not np.isnan(row.p)
    ]
    if not apart:
        return []
    sentence = (
        f"Sharing nothing, minus equal weights of hard_sharing (95 % intervals, not corrected; "
        f"p corrected): {'; '.join(apart)}."
    )
    return [" ".join([sentence, *_smallest(tested)])]


def _untested(tested: pd.DataFrame) -> list[str]:
    """Say which rows have no test, and why."""
    reasons = {
        "diverged": "runs diverged",
        "reference diverged": "runs of equal weights diverged",
        "other tasks": "other tasks than equal weights",
        "same": "the scores of equal weights for every seed",
        "too few": "too few runs on the same seeds",
    }
    rows = tested[tested["outcome"].isin(list(reasons))]
    parts = [
        f"{', '.join(_names(rows[rows['outcome'] == outcome], tested))} ({reason})"
        for outcome, reason in reasons.items()
        if (rows["outcome"] == outcome).any()
    ]
    return [f"Not tested: {'; '.join(parts)}."] if parts else []


def _names(rows: pd.DataFrame, table: pd.DataFrame) -> list[str]:
    """What the rows of a table are called: by method, and by network where several share."""
    alone = table["architecture"].str.startswith(ALONE)
    several = table.loc[~alone, "architecture"].nunique() > 1
    return [
        row.architecture
        if row.architecture.startswith(ALONE)
        else f"{row.architecture} {row.method}"
        if several
        else row.method
        for row in rows.itertuples()
    ]


def _lacking(frame: pd.DataFrame, planned: Iterable[tuple[str, str, str]]) -> list[str]:
    """Say which rows have no runs yet, or not all of the seeds that there are."""
    runs = primary(frame)
    there = set(runs[GROUP].itertuples(index=False, name=None))
    (data,) = frame["data"].unique()
    rows = [row for row in dict.fromkeys(planned) if row[0] == data]
    absent = pd.DataFrame([row for row in rows if row not in there], columns=GROUP)
    missing = []
    if not absent.empty:
        every = pd.DataFrame(rows, columns=GROUP)
        names = ", ".join(_names(absent, every))
        missing = [
            f"Of {len(rows)} rows that were planned {len(rows) - len(absent)} have runs; none yet: "
            f"{names}. They count in m."
        ]
    seeds = runs["seed"].nunique()
    counts = runs.groupby(GROUP, sort=False, as_index=False)["seed"].nunique()
    short = counts[counts["seed"] < seeds]
    if short.empty:
        return missing
    parts = [
        f"{name} {count}" for name, count in zip(_names(short, counts), short["seed"], strict=True)
    ]
    return [*missing, f"Of {seeds} seeds there are so far: {', '.join(parts)}."]


def _chosen(frame: pd.DataFrame, searches: Iterable[Searched]) -> list[str]:
    """Say what the search has tried for the rows of a table, and where its best is at an edge."""
    rows = frame[[*GROUP, "balancer", "learning_rate"]].drop_duplicates()
    best = {
        (found.best.data, found.best.architecture, found.best.method): found for found in searches
    }
    found = {
        name: (best[key[:3]], key[3:])
        for name, key in zip(
            _names(rows, rows), rows.itertuples(index=False, name=None), strict=True
        )
        if key[:3] in best
    }
    if not found:
        return []
    counts = pd.Series({name: row.settings for name, (row, _) in found.items()})
    usual = counts.mode()[0]
    others = [f"{count} for {name}" for name, count in counts.items() if count != usual]
    more = f" ({', '.join(others)})" if others else ""
    seeds = [
        str(seed) for seed in sorted({seed for row, _ in found.values() for seed in row.seeds})
    ]
    notes = [
        f"Chosen by validation on seed{'s' * (len(seeds) > 1)} {', '.join(seeds)}, a run each, of "
        f"{usual} setting{'s'[: usual - 1]} a method{more}."
    ]
    at_edge = {
        n: row.best.learning_rate for n, (row, _) in found.items() if row.next_rate is not None
    }
    if at_edge:
        names = ", ".join(f"{name} ({rate:g})" for name, rate in at_edge.items())
        notes.append(f"At an edge of the rates that were tried: {names}.")
    other = [
        f"{name} ({row.best.balancer}, {row.best.learning_rate:g})"
        for name, (row, used) in found.items()
        if used != (row.best.balancer, row.best.learning_rate)
    ]
    if other:
        notes.append(f"By now the search finds another setting best: {', '.join(other)}.")
    return [" ".join(notes)]


def _points(difference: float) -> str:
    return f"{100 * difference:+.2f}".replace("-0.00", "0.00").replace("+0.00", "0.00")


def _p(value: float) -> str:
    return "p < 0.001" if value < 0.001 else f"p = {value:.3f}"


def _mixture(frame: pd.DataFrame) -> list[str]:
    """Lines that say what made the runs of a table, where they differ in that."""
    run = ["architecture", "balancer", "learning_rate", "seed"]
    tasks = frame.groupby(run, sort=False)["task"].transform(", ".join)
    runs, lines = frame.assign(tasks=tasks).drop_duplicates(run), []
    for name in MADE_BY:
        counts = sorted(runs[name].value_counts().items())
        if len(counts) > 1:
            parts = [f"{count} by {name} {value}" for value, count in counts]
            lines.append(f"These {len(runs)} runs were not made alike: {', '.join(parts)}.")
    return lines
