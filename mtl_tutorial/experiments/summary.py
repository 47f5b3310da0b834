"""Tables of results: runs as a tidy frame, means with intervals, and a text with its notes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from mtl_tutorial.balancing.registry import BALANCERS
from mtl_tutorial.experiments.catalogue import ARCHITECTURES
from mtl_tutorial.experiments.inference import GROUP, LEVEL, interval, outcomes, primary
from mtl_tutorial.experiments.notes import notes_of
from mtl_tutorial.experiments.protocol import Setting
from mtl_tutorial.experiments.search import (
    best_settings,
    final_settings,
    searched,
    validation_score,
    wider,
)
from mtl_tutorial.experiments.store import chance_of, has_failed, makers, recipe_of, tasks_of

__all__ = [
    "as_text",
    "best_settings",
    "final_settings",
    "means",
    "searched",
    "to_frame",
    "validation_score",
    "wider",
]

NOTHING = "–"  # in a cell of a table
FULL_TEST = 10_000  # scenes of the published test sets, of results that do not say it


def to_frame(results: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Give the test scores as a tidy table, one row a run and task.

    Columns: those of `Setting`, ``method``, ``task``, ``metric`` and ``loss``, ``diverged``,
    ``test_scenes`` (NaN where it is not known),
    ``seconds`` of training (on the CPU those of its cores, which grow by a third and more where the
    machine is busy), ``peak_memory_mb`` (on the CPU the most that its process has used so far), and
    what made it: ``commit``, ``torch``, ``device`` and, for two digits, ``recipe``. A run that
    diverged has the metric of chance and no loss, or its own where it ended there (`has_failed`).
    """
    rows = []
    for result in results:
        setting, made = Setting.of(result), result["provenance"]
        seconds = "cpu_seconds" if made["device"].startswith("cpu") else "training_seconds"
        same = {
            **result["setting"],
            "method": setting.method,
            "diverged": has_failed(result),
            "seconds": made[seconds],
            "peak_memory_mb": made["peak_memory_mb"],
            "test_scenes": _test_scenes(result),
            **_made_by(result),
        }
        by_chance = {} if result["test"] else chance_of(result)
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
        for name in ("commit", "torch", "device")
    }
    tested_on = result["provenance"].get("scenes", "drawn")  # each once, or drawn anew
    return found | {"recipe": str(recipe_of(result)), "test scenes": tested_on}


def means(frame: pd.DataFrame) -> pd.DataFrame:
    """Give ``mean``, ``low`` and ``high`` (95 %) of the metric by data set, architecture, method
    and task, with the numbers of ``runs`` and of those that ``diverged``, and the mean ``seconds``.

    Runs that diverged count as chance; their seconds are left out. There is no interval where some
    diverged: Student's would say that they could have been better than perfect.
    """
    rows = []
    for key, part in frame.groupby([*GROUP, "task"], sort=False):
        seconds = part.loc[~part["diverged"], "seconds"].mean()
        rows.append((*key, *_spread(part), len(part), part["diverged"].sum(), seconds))
    columns = [*GROUP, "task", "mean", "low", "high", "runs", "diverged", "seconds"]
    return pd.DataFrame(rows, columns=columns)


def _spread(runs: pd.DataFrame) -> tuple[float, float, float]:
    """The mean of runs, and the ends of its interval where none diverged."""
    mean, *ends = interval(runs["metric"])
    low, high = (np.nan, np.nan) if runs["diverged"].any() else ends
    return mean, low, high


def trials(search: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Give the runs of a search as a table, a row a run.

    Columns: those of `Setting`, ``method``, ``value`` (`validation_score`; chance is what it is),
    and ``step``, the sum of the loss weights, mean over training. Runs that diverged are left out.
    """
    rows = []
    for result in search:
        if not result["diverged"]:
            sums = np.sum(list(result["curves"]["weight"].values()), axis=0)
            found = {"value": validation_score(result), "step": float(np.mean(sums))}
            rows.append({**result["setting"], "method": Setting.of(result).method, **found})
    return pd.DataFrame(rows)


def as_text(
    frame: pd.DataFrame,
    search: Iterable[Mapping[str, Any]] = (),
    planned: Collection[tuple[str, str, str]] = (),
) -> str:
    """Give the means and comparisons as a Markdown table, a row a method, a column a task.

    Rows are in the order of the catalogue. A cell is the mean ± half of its 95 % interval, in
    percent. Behind the mean of the tasks stands what `outcomes` finds of it against equal weights:
    ``+``, ``-``, ``=`` for equivalent (``+=``: a difference, and a small one), or nothing. Notes
    below the table say what was tested, what would have been found, and whether the runs were made
    alike.

    Args:
        frame: of final runs, a setting a method.
        search: results of the search that chose them; the text then says what it has tried.
        planned: as for `outcomes`; the text then says which rows have no runs yet.
    """
    first, *others = BALANCERS
    names = (*ARCHITECTURES, first, "fixed", *others)
    order = {name: i for i, name in enumerate(names)}
    by_name = {"key": lambda names: names.map(lambda name: order.get(name, -1)), "kind": "stable"}
    frame = frame.sort_values(["architecture", "method"], **by_name)
    rows, lines = searched(search), []
    for data, part in frame.groupby("data", sort=False):
        tested = outcomes(part, planned=planned)
        notes = notes_of(part, tested, rows, planned)
        lines += ["", *_table(str(data), part, tested), "", *(f"- {note}" for note in notes)]
    return "\n".join(lines).strip()


def _table(data: str, frame: pd.DataFrame, tested: pd.DataFrame) -> list[str]:
    averages = means(frame)
    tasks = list(dict.fromkeys(averages["task"]))
    columns = tasks if len(tasks) == 1 else [*tasks, "mean"]
    seconds = "seconds a run"
    if frame["device"].str.startswith("cpu").all():
        seconds = f"CPU {seconds}"
    lines = [f"| {data} | method | " + " | ".join(columns) + f" | {seconds} | runs |"]
    lines.append("|---" * (len(columns) + 4) + "|")
    signs = {(row.architecture, row.method): _sign(row) for row in tested.itertuples()}
    overall = primary(frame)
    for (architecture, method), own in averages.groupby(["architecture", "method"], sort=False):
        rows = {row["task"]: row for _, row in own.iterrows()}
        cells = [_cell(rows[task]) if task in rows else NOTHING for task in tasks]
        if len(tasks) > 1:
            runs = overall.query("architecture == @architecture and method == @method")
            ends = dict(zip(("mean", "low", "high"), _spread(runs), strict=True))
            counts = {"runs": len(runs), "diverged": runs["diverged"].sum()}
            cells.append(_cell(ends | counts))
        cells[-1] += signs.get((architecture, method), "")
        lines.append("| " + " | ".join([architecture, method, *cells, *_cost(own)]) + " |")
    return lines


def _sign(row: Any) -> str:
    found = {"ahead": "+", "behind": "-"}.get(row.outcome, "")
    return f" {found}{'=' if row.p_equivalent < LEVEL else ''}".rstrip()


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
