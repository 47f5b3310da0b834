"""Tables of results: the best settings of a search, means with intervals, paired comparisons."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from mtl_tutorial.balancing.registry import BALANCERS
from mtl_tutorial.experiments.catalogue import ARCHITECTURES, DATA_SETS
from mtl_tutorial.experiments.protocol import Setting

GROUP = ["data", "architecture", "method"]


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
    scores: dict[Setting, list[float]] = {}
    for result in results:
        setting = Setting(**result["setting"] | {"seed": 0})
        scores.setdefault(setting, []).append(validation_score(result))
    best: dict[tuple[str, ...], Setting] = {}
    for setting, values in scores.items():
        key = (setting.data, setting.architecture, setting.method)
        if key not in best or np.mean(values) > np.mean(scores[best[key]]):
            best[key] = setting
    return list(best.values())


def to_frame(results: Iterable[dict[str, Any]]) -> pd.DataFrame:
    """Give the test scores as a tidy table, one row a run and task.

    Columns: those of `Setting`, ``method``, ``task``, ``metric``, ``loss`` (missing for a run that
    diverged), ``seconds`` of training (on the CPU those of its cores, which do not depend on what
    else it does) and ``peak_memory_mb`` (on the CPU the most that its process has used so far).
    """
    rows = []
    for result in results:
        setting = Setting(**result["setting"])
        made = result["provenance"]
        on_cpu = made["device"].startswith("cpu")
        seconds = made["cpu_seconds"] if on_cpu else made["training_seconds"]
        cost = {"seconds": seconds, "peak_memory_mb": made["peak_memory_mb"]}
        for task in DATA_SETS[setting.data].tasks:
            scores = (result["test"] or {}).get(task, {"loss": np.nan, "metric": np.nan})
            row = {**result["setting"], "method": setting.method, "task": task, **scores, **cost}
            rows.append(row)
    return pd.DataFrame(rows)


def interval(values: Sequence[float], level: float = 0.95) -> tuple[float, float, float]:
    """Give the mean of a sample and the ends of its Student-t interval, x̄ ± t s / √n.

    The ends are NaN for a single value.
    """
    values = np.asarray(values, dtype=float)
    mean = float(values.mean())
    if len(values) < 2:
        return mean, np.nan, np.nan
    half = stats.t.ppf((1 + level) / 2, len(values) - 1) * values.std(ddof=1) / len(values) ** 0.5
    return mean, mean - half, mean + half


def means(frame: pd.DataFrame) -> pd.DataFrame:
    """Give ``mean``, ``low`` and ``high`` (95 %) of the metric by data set, architecture, method
    and task, with ``runs`` and the mean ``seconds``.

    Runs that diverged are left out; ``runs`` counts the others.
    """
    rows = []
    for key, part in frame.groupby([*GROUP, "task"], sort=False):
        values = part["metric"].dropna()
        found = interval(values) if len(values) else (np.nan,) * 3
        seconds = part.loc[values.index, "seconds"].mean()
        rows.append((*key, *found, len(values), seconds))
    columns = [*GROUP, "task", "mean", "low", "high", "runs", "seconds"]
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
    comparisons of a data set.

    Returns:
        ``difference`` (method minus reference) with ``low`` and ``high`` (95 %, not corrected),
        ``p`` and ``p_corrected`` by data set, architecture, method and task.
    """
    rows = []
    for key, part in frame.groupby(["data", "architecture", "task"], sort=False):
        data, architecture, task = key
        table = part.pivot_table(index="seed", columns="method", values="metric", sort=False)
        for method in table.columns.drop(reference, errors="ignore"):
            if reference not in table:
                continue
            pairs = table[[method, reference]].dropna()
            difference = pairs[method] - pairs[reference]
            p = np.nan
            if len(pairs) > 1 and difference.std() > 0:
                p = stats.ttest_rel(pairs[method], pairs[reference]).pvalue
            found = interval(difference) if len(pairs) else (np.nan,) * 3
            rows.append((data, architecture, method, task, *found, p))
    columns = [*GROUP, "task", "difference", "low", "high", "p"]
    table = pd.DataFrame(rows, columns=columns)
    table["p_corrected"] = table.groupby("data")["p"].transform(holm)
    return table


def as_text(frame: pd.DataFrame) -> str:
    """Give the means and comparisons as a Markdown table, a row a method, a column a task.

    Rows are in the order of the catalogue. A cell is the mean ± half of its 95 % interval, in
    percent; ``+`` or ``-`` behind it where the paired test against equal weights has a corrected
    p below 0.05.
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
            by_task = own.set_index("task")
            cells = [
                _cell(by_task.loc[task], signs.get((data, architecture, method, task), ""))
                for task in tasks
            ]
            cost = [f"{own['seconds'].mean():.0f}", str(own["runs"].min())]
            lines.append("| " + " | ".join([architecture, method, *cells, *cost]) + " |")
    return "\n".join(lines).strip()


def _cell(row: pd.Series, sign: str) -> str:
    if np.isnan(row["mean"]):
        return "diverged"
    half = "" if np.isnan(row["low"]) else f" ± {100 * (row['high'] - row['mean']):.1f}"
    return f"{100 * row['mean']:.1f}{half}{sign}"


def final_settings(best: Iterable[Setting], seeds: Iterable[int]) -> list[Setting]:
    """Give the best settings of a search, once for each seed."""
    return [
        Setting(s.data, s.architecture, s.balancer, s.learning_rate, seed)
        for s, seed in itertools.product(best, dict.fromkeys(seeds))
    ]
