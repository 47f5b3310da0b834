"""Tables of results: the best settings of a search, means with intervals, paired comparisons."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from mtl_tutorial.balancing.registry import BALANCERS
from mtl_tutorial.data import TASKS
from mtl_tutorial.experiments.catalogue import ARCHITECTURES
from mtl_tutorial.experiments.inference import (
    ALONE,
    GROUP,
    LEVEL,
    MARGIN,
    Friedman,
    friedman,
    interval,
    outcomes,
    primary,
    scene_error,
)
from mtl_tutorial.experiments.protocol import Setting
from mtl_tutorial.experiments.store import chance_of, makers, recipe_of, tasks_of
from mtl_tutorial.tasks import accuracy, binary_accuracy

NOTHING = "–"  # in a cell of a table
ACCURACIES = {  # tasks whose metric is a share of the scenes
    task.name
    for tasks in TASKS.values()
    for task in tasks
    if task.metric in (accuracy, binary_accuracy)
}
FULL_TEST = 10_000  # scenes of the published test sets, of results that do not say it
MADE_BY = ("commit", "torch", "device")


def validation_score(result: Mapping[str, Any]) -> float:
    """The mean of the tasks' validation metrics in the best epoch; −inf for a run that diverged.

    Networks that share nothing have a best epoch each.
    """
    if result["diverged"]:
        return -np.inf
    curves = np.array(list(result["curves"]["validation metric"].values()))
    if result["setting"]["architecture"].startswith(ALONE):
        return float(curves.max(axis=1).mean())
    return float(curves.mean(axis=0).max())


def best_settings(results: Iterable[Mapping[str, Any]]) -> list[Setting]:
    """Give, for each data set, architecture and method, the setting with the best validation score.

    Scores are averaged over seeds; of settings that score alike the first is given, with its
    first seed.
    """
    scores: dict[tuple, list[float]] = {}
    first: dict[tuple, Setting] = {}
    for result in results:
        setting = Setting.of(result)
        key = (setting.data, setting.architecture, setting.balancer, setting.learning_rate)
        first.setdefault(key, setting)
        scores.setdefault(key, []).append(validation_score(result))
    best: dict[tuple[str, ...], tuple] = {}
    for key, values in scores.items():
        row = (*key[:2], first[key].method)
        if row not in best or np.mean(values) > np.mean(scores[best[row]]):
            best[row] = key
    return [first[key] for key in best.values()]


def wider(results: Iterable[Mapping[str, Any]]) -> list[Setting]:
    """Give what a search has to try next: the rows whose best rate is at an edge go on by 2.

    For each data set, architecture and method whose best setting has the least or the greatest of
    its rates, these are all its weights and seeds at half the least or twice the greatest one.
    """
    results = list(results)
    rows: dict[tuple[str, ...], list[Setting]] = {}
    for setting in map(Setting.of, results):
        rows.setdefault((setting.data, setting.architecture, setting.method), []).append(setting)
    found: dict[Setting, None] = {}
    for best in best_settings(results):
        row = rows[best.data, best.architecture, best.method]
        rates = sorted({setting.learning_rate for setting in row})
        edges = {rates[-1]: rates[-1] * 2, rates[0]: rates[0] / 2}
        if (rate := edges.get(best.learning_rate)) is not None:
            found |= dict.fromkeys(replace(setting, learning_rate=rate) for setting in row)
    return list(found)


def to_frame(results: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Give the test scores as a tidy table, one row a run and task.

    Columns: those of `Setting`, ``method``, ``task``, ``metric`` and ``loss``, ``diverged``,
    ``test_scenes`` (NaN where it is not known),
    ``seconds`` of training (on the CPU those of its cores, which do not depend on what else it
    does), ``peak_memory_mb`` (on the CPU the most that its process has used so far), and
    what made it: ``commit``, ``torch``, ``device`` and, for two digits, ``recipe``. A run that
    diverged has the metric of chance, and no loss.
    """
    rows = []
    for result in results:
        setting, made = Setting.of(result), result["provenance"]
        seconds = "cpu_seconds" if made["device"].startswith("cpu") else "training_seconds"
        same = {
            **result["setting"],
            "method": setting.method,
            "diverged": bool(result["diverged"]),
            "seconds": made[seconds],
            "peak_memory_mb": made["peak_memory_mb"],
            "test_scenes": _test_scenes(result),
            **_made_by(result),
        }
        by_chance = chance_of(result) if result["diverged"] else {}
        for task in tasks_of(result):
            scores = result["test"][task] if result["test"] else {"metric": by_chance[task]}
            rows.append({**same, "task": task, "loss": np.nan, **scores})
    return pd.DataFrame(rows)


def _test_scenes(result: Mapping[str, Any]) -> float:
    """How many scenes a run was tested on; NaN where it is not known."""
    published = FULL_TEST if result.get("protocol", {}).get("profile") == "full" else np.nan
    return result["provenance"].get("test_scenes", published)


def _made_by(result: Mapping[str, Any]) -> dict[str, str]:
    """Say what made a result, as far as its numbers may depend on it."""
    found = {
        name: ", then ".join(dict.fromkeys(str(made.get(name)) for made in makers(result)))
        for name in MADE_BY
    }
    return found | {"recipe": str(recipe_of(result))}


def means(frame: pd.DataFrame) -> pd.DataFrame:
    """Give ``mean``, ``low`` and ``high`` (95 %) of the metric by data set, architecture, method
    and task, with the numbers of ``runs`` and of those that ``diverged``, and the mean ``seconds``.

    Runs that diverged count as chance; their seconds are left out.
    """
    rows = []
    for key, part in frame.groupby([*GROUP, "task"], sort=False):
        counts = len(part), part["diverged"].sum()
        seconds = part.loc[~part["diverged"], "seconds"].mean()
        rows.append((*key, *interval(part["metric"]), *counts, seconds))
    columns = [*GROUP, "task", "mean", "low", "high", "runs", "diverged", "seconds"]
    return pd.DataFrame(rows, columns=columns)


def _sign(row: Any) -> str:
    found = {"ahead": "+", "behind": "-"}.get(row.outcome, "")
    return f" {found}{'=' if row.p_equivalent < LEVEL else ''}".rstrip()


def as_text(frame: pd.DataFrame) -> str:
    """Give the means and comparisons as a Markdown table, a row a method, a column a task.

    Rows are in the order of the catalogue. A cell is the mean ± half of its 95 % interval, in
    percent. Behind the mean of the tasks stands what `outcomes` finds of it against equal weights:
    ``+``, ``-``, ``=`` for equivalent (``+=``: a difference, and a small one), or nothing. Lines
    below the table say what was tested, what would have been found, and whether the runs were made
    alike.
    """
    first, *others = BALANCERS
    names = (*ARCHITECTURES, first, "fixed", *others)
    order = {name: i for i, name in enumerate(names)}
    by_name = {"key": lambda names: names.map(lambda name: order.get(name, -1)), "kind": "stable"}
    frame = frame.sort_values(["architecture", "method"], **by_name)
    lines = []
    for data, part in frame.groupby("data", sort=False):
        found = outcomes(part)
        lines += ["", *_table(str(data), part, found), *_notes(part, found), *_mixture(part)]
    return "\n".join(lines).strip()


def _table(data: str, frame: pd.DataFrame, found: pd.DataFrame) -> list[str]:
    averages = means(frame)
    tasks = list(dict.fromkeys(averages["task"]))
    columns = tasks if len(tasks) == 1 else [*tasks, "mean"]
    lines = [f"| {data} | method | " + " | ".join(columns) + " | seconds a run | runs |"]
    lines.append("|---" * (len(columns) + 4) + "|")
    signs = {(row.architecture, row.method): _sign(row) for row in found.itertuples()}
    overall = primary(frame)
    for (architecture, method), own in averages.groupby(["architecture", "method"], sort=False):
        rows = {row["task"]: row for _, row in own.iterrows()}
        cells = [_cell(rows[task]) if task in rows else NOTHING for task in tasks]
        if len(tasks) > 1:
            runs = overall.query("architecture == @architecture and method == @method")
            ends = dict(zip(("mean", "low", "high"), interval(runs["metric"]), strict=True))
            counts = {"runs": len(runs), "diverged": runs["diverged"].sum()}
            cells.append(_cell(ends | counts))
        cells[-1] += signs.get((architecture, method), "")
        lines.append("| " + " | ".join([architecture, method, *cells, *_cost(own)]) + " |")
    return lines


def _cell(row: Mapping[str, Any]) -> str:
    if row["diverged"] == row["runs"]:
        return "diverged"
    if np.isnan(row["mean"]):  # of some that diverged, chance is not known
        return NOTHING
    half = "" if np.isnan(row["low"]) else f" ± {100 * (row['high'] - row['mean']):.1f}"
    return f"{100 * row['mean']:.1f}{half}"


def _cost(own: pd.DataFrame) -> list[str]:
    """The seconds of a run, and the number of runs."""
    seconds, runs, diverged = own["seconds"].mean(), own["runs"].min(), own["diverged"].max()
    count = f"{diverged} of {runs} diverged" if diverged else f"{runs}"
    return [NOTHING if np.isnan(seconds) else f"{seconds:.0f}", count]


def _notes(frame: pd.DataFrame, found: pd.DataFrame) -> list[str]:
    """Sentences below a table: what was tested, and what it could have found."""
    parts = [_spread(frame)]
    shared = ~found["architecture"].str.startswith(ALONE)
    for architecture, own in found[shared].groupby("architecture", sort=False):
        rows = frame[frame["architecture"] == architecture]
        where = "" if found[shared]["architecture"].nunique() == 1 else f"{architecture}: "
        parts.append(where + " ".join((*_overall(friedman(rows)), *_tests(own))))
    alone = found[~shared]
    if tested := int(alone["p"].count()):
        apart = "; ".join(f"{row.architecture} {_difference(row)}" for row in alone.itertuples())
        parts.append(f"Sharing nothing, minus equal weights (Holm over {tested}): {apart}.")
    parts += _short_rows(frame)
    return ["", " ".join(filter(None, parts))]


def _spread(frame: pd.DataFrame) -> str:
    words = "± is half of the 95 % interval of a mean over seeds"
    scenes = frame["test_scenes"].unique()
    if len(scenes) != 1 or np.isnan(scenes[0]) or not ACCURACIES.issuperset(frame["task"]):
        return words + "."
    typical = float(frame.loc[~frame["diverged"], "metric"].median())
    error = 100 * scene_error(typical, int(scenes[0]))
    return (
        f"{words}; the {scenes[0]:,.0f} test scenes, the same for all, would add ± {error:.1f} "
        f"to an accuracy of {100 * typical:.0f}."
    )


def _overall(test: Friedman | None) -> list[str]:
    if test is None:
        return []
    return [
        f"Friedman's test of {test.methods} methods over {test.seeds} seeds: "
        f"χ² = {test.statistic:.1f}, {_p(test.p)}."
    ]


def _tests(found: pd.DataFrame) -> list[str]:
    tested = int(found["p"].count())
    if not tested:
        return []
    signs = (
        f"Against equal weights, on the mean: + or - is a difference (paired t-test, Holm over "
        f"{tested}), = is equivalence within ± {100 * MARGIN:g} (TOST, Holm over {tested}), "
        f"p < {LEVEL:g}; no sign: not told apart."
    )
    least, typical, most = 100 * found["detectable"].quantile([0, 0.5, 1])
    if np.isnan(typical):
        return [signs]
    sizes = f"{least:.1f} to {most:.1f} points, by method (median {typical:.1f}),"
    if tested == 1:
        sizes = f"{typical:.1f} points"
    return [
        signs,
        f"A true difference of {sizes} would have been found in 80 % of such experiments.",
    ]


def _difference(row: Any) -> str:
    ends = f"{100 * row.difference:+.1f} ({100 * row.low:+.1f} to {100 * row.high:+.1f})"
    return f"{ends}, not tested" if np.isnan(row.p) else f"{ends}, {_p(row.p_corrected)}"


def _p(value: float) -> str:
    return "p < 0.001" if value < 0.001 else f"p = {value:.3f}"


def _short_rows(frame: pd.DataFrame) -> list[str]:
    """Say which rows have fewer seeds than others."""
    counts = primary(frame).groupby(["architecture", "method"], sort=False).size()
    most = counts.max()
    short = [
        f"{method if not architecture.startswith(ALONE) else architecture} {count}"
        for (architecture, method), count in counts.items()
        if count < most
    ]
    return [f"Of {most} seeds there are so far: {', '.join(short)}."] if short else []


def _mixture(frame: pd.DataFrame) -> list[str]:
    """Lines that say what made the runs of a table, where they differ in that."""
    runs, lines = frame.drop_duplicates(["architecture", "balancer", "learning_rate", "seed"]), []
    for name in (*MADE_BY, "recipe"):
        counts = sorted(runs[name].value_counts().items())
        if len(counts) > 1:
            parts = [f"{count} by {name} {value}" for value, count in counts]
            lines += ["", f"These {len(runs)} runs were not made alike: {', '.join(parts)}."]
    return lines


def final_settings(best: Iterable[Setting], seeds: Iterable[int]) -> list[Setting]:
    """Give the best settings of a search, once for each seed."""
    return [
        Setting(s.data, s.architecture, s.balancer, s.learning_rate, seed)
        for s, seed in itertools.product(best, dict.fromkeys(seeds))
    ]
