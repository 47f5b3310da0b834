"""Tables of results: the best settings of a search, means with intervals, paired comparisons."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from mtl_tutorial.balancing.registry import BALANCERS
from mtl_tutorial.experiments.catalogue import ARCHITECTURES
from mtl_tutorial.experiments.protocol import Setting
from mtl_tutorial.experiments.store import chance_of, makers, recipe_of, tasks_of

GROUP = ["data", "architecture", "method"]
NOTHING = "–"  # in a cell of a table
MADE_BY = ("commit", "torch", "device")


def validation_score(result: dict[str, Any]) -> float:
    """The mean of the tasks' validation metrics in the best epoch; −inf for a run that diverged.

    Networks that share nothing have a best epoch each.
    """
    if result["diverged"]:
        return -np.inf
    curves = np.array(list(result["curves"]["validation metric"].values()))
    if result["setting"]["architecture"] == "single_task":
        return float(curves.max(axis=1).mean())
    return float(curves.mean(axis=0).max())


def best_settings(results: Iterable[dict[str, Any]]) -> list[Setting]:
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


def to_frame(results: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Give the test scores as a tidy table, one row a run and task.

    Columns: those of `Setting`, ``method``, ``task``, ``metric`` and ``loss``, ``diverged``,
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
            **_made_by(result),
        }
        by_chance = chance_of(result) if result["diverged"] else {}
        for task in tasks_of(result):
            scores = result["test"][task] if result["test"] else {"metric": by_chance[task]}
            rows.append({**same, "task": task, "loss": np.nan, **scores})
    return pd.DataFrame(rows)


def _made_by(result: Mapping[str, Any]) -> dict[str, str]:
    """Say what made a result, as far as its numbers may depend on it."""
    found = {
        name: ", then ".join(dict.fromkeys(str(made.get(name)) for made in makers(result)))
        for name in MADE_BY
    }
    return found | {"recipe": str(recipe_of(result))}


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
    chance earns no sign.

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
            if difference.std() > 0 and not diverged[[method, reference]].any():
                test = stats.ttest_rel(pairs[method], pairs[reference])
                found = (difference.mean(), *test.confidence_interval(), test.pvalue)
            rows.append((data, architecture, method, task, *found))
    columns = [*GROUP, "task", "difference", "low", "high", "p"]
    table = pd.DataFrame(rows, columns=columns)
    table["p_corrected"] = table.groupby("data")["p"].transform(holm)
    return table


def as_text(frame: pd.DataFrame) -> str:
    """Give the means and comparisons as a Markdown table, a row a method, a column a task.

    Rows are in the order of the catalogue. A cell is the mean ± half of its 95 % interval, in
    percent; ``+`` or ``-`` behind it where the paired test against equal weights has a corrected
    p below 0.05. Where runs diverged, which count as chance and earn no sign, the number of runs
    says how many. Where more than one version made the runs, a line below says so.
    """
    first, *others = BALANCERS
    names = (*ARCHITECTURES, first, "fixed", *others)
    order = {name: i for i, name in enumerate(names)}
    by_name = {"key": lambda names: names.map(lambda name: order.get(name, -1)), "kind": "stable"}
    frame = frame.sort_values(["architecture", "method"], **by_name)
    averages, tests = means(frame), comparisons(frame)
    signs = {
        tuple(row[[*GROUP, "task"]]): "+" if row["difference"] > 0 else "-"
        for _, row in tests.iterrows()
        if row["p_corrected"] < 0.05
    }
    lines = []
    for data, part in averages.groupby("data", sort=False):
        tasks = list(dict.fromkeys(part["task"]))
        lines += ["", f"| {data} | method | " + " | ".join(tasks) + " | seconds a run | runs |"]
        lines.append("|---" * (len(tasks) + 4) + "|")
        for (architecture, method), own in part.groupby(["architecture", "method"], sort=False):
            rows = {row["task"]: row for _, row in own.iterrows()}
            key = (data, architecture, method)
            cells = [
                _cell(rows[task], signs.get((*key, task), "")) if task in rows else NOTHING
                for task in tasks
            ]
            lines.append("| " + " | ".join([architecture, method, *cells, *_cost(own)]) + " |")
        lines += _mixture(frame[frame["data"] == data])
    return "\n".join(lines).strip()


def _cell(row: pd.Series, sign: str) -> str:
    if row["diverged"] == row["runs"]:
        return "diverged"
    if np.isnan(row["mean"]):  # of some that diverged, chance is not known
        return NOTHING
    half = "" if np.isnan(row["low"]) else f" ± {100 * (row['high'] - row['mean']):.1f}"
    return f"{100 * row['mean']:.1f}{half}{sign}"


def _cost(own: pd.DataFrame) -> list[str]:
    """The seconds of a run, and the number of runs."""
    seconds, runs, diverged = own["seconds"].mean(), own["runs"].min(), own["diverged"].max()
    note = f", {diverged} of them diverged" if diverged else ""
    return [NOTHING if np.isnan(seconds) else f"{seconds:.0f}", f"{runs}{note}"]


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
