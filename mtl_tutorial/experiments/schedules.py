"""Runs whose loss weights change on the way."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from torch import nn

from mtl_tutorial.balancing import FixedWeights
from mtl_tutorial.data import Scenes
from mtl_tutorial.experiments.runs import Run
from mtl_tutorial.measuring import evaluate
from mtl_tutorial.tasks import Batch, Task

Schedule = Mapping[int, Mapping[str, float]]


def train_on_schedule(
    build: Callable[[], nn.Module],
    tasks: Sequence[Task],
    scenes: Scenes,
    validation: Batch,
    schedule: Schedule,
    *,
    seed: int,
    at: Collection[int],
    forget: bool = False,
    **settings: Any,
) -> pd.DataFrame:
    """Train one network, and give the validation metric of each task after some steps.

    Args:
        build, tasks, scenes, seed: as for `Run`.
        validation: what it is scored on.
        schedule: the loss weights by the number of steps made when they begin to count; 0 for
            those of the start. A task without one keeps the weight that it has, at first 1.
        at: after how many steps it is scored; the last of them ends the run.
        forget: whether the optimizer loses its memory where weights change after the start, as a
            new one would have none.
        settings: ``batch_size``, ``learning_rate``, ``optimizer``, as for `Run`.

    Returns:
        Columns ``steps``, ``task`` and ``value``.

    Raises:
        ValueError: where the schedule names another task or ``at`` no step, or as `FixedWeights`
            and `Run`.
    """
    names = [task.name for task in tasks]
    for name in {name for turn in schedule.values() for name in turn}:
        if name not in names:
            raise ValueError(
                f"the schedule has a weight for {name!r}, but no such task; they are {names}"
            )
    if not at or min(at) < 1:
        raise ValueError(f"at must name steps from 1 on, got {list(at)}")
    weights = FixedWeights(dict.fromkeys(names, 1.0) | dict(schedule.get(0, {})))
    run = Run(build, tasks, scenes, seed=seed, steps=max(at), balancer=weights, **settings)
    rows = []
    for record in run:
        if record.step in at:
            scores = evaluate(run.model, tasks, validation)
            rows += [(record.step, name, score.metric) for name, score in scores.items()]
        for name, weight in schedule.get(record.step, {}).items():
            weights.set_weight(name, weight)
        if forget and record.step in schedule:
            run.optimizer.state.clear()
    return pd.DataFrame(rows, columns=["steps", "task", "value"])


def above_line(
    frame: pd.DataFrame, fixed: Collection[str], other: str, tasks: Sequence[Task]
) -> pd.Series:
    """Give how far a run ends above the line that those with fixed weights make.

    The line goes from one fixed weight to the next, in the order of the first task's metric, and is
    level beyond its ends. The height is that of the second task's metric, at the same first.

    Args:
        frame: columns ``weight`` (a label), ``steps``, ``seed``, ``task`` and ``value``.
        fixed: labels of the weights that make the line.
        other: label of the run beside it.
        tasks: two.

    Returns:
        A number a length and seed, with ``steps`` and ``seed`` as index.
    """
    across, along = (task.name for task in tasks)
    table = frame.pivot(index=["steps", "seed", "weight"], columns="task", values="value")
    heights = {}
    for place, run in table.groupby(["steps", "seed"]):
        points = run.droplevel(["steps", "seed"])
        line, end = points.loc[list(fixed)].sort_values(across), points.loc[other]
        heights[place] = end[along] - np.interp(end[across], line[across], line[along])
    return pd.Series(heights).rename_axis(["steps", "seed"])
