"""Runs whose loss weights change on the way."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

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
    **settings: Any,
) -> pd.DataFrame:
    """Train one network, and give the validation metric of each task after some steps.

    Args:
        build, tasks, scenes, seed: as for `Run`.
        validation: what it is scored on.
        schedule: the loss weights by the number of steps made when they begin to count; 0 for
            those of the start. A task without one keeps the weight that it has, at first 1.
        at: after how many steps it is scored; the last of them ends the run.
        settings: ``batch_size``, ``learning_rate``, ``optimizer``, as for `Run`.

    Returns:
        Columns ``steps``, ``task`` and ``value``.

    Raises:
        ValueError: where the schedule names another task, or as `FixedWeights` and `Run`.
    """
    names = [task.name for task in tasks]
    for name in {name for turn in schedule.values() for name in turn}:
        if name not in names:
            raise ValueError(
                f"the schedule has a weight for {name!r}, but no such task; they are {names}"
            )
    weights = FixedWeights(dict.fromkeys(names, 1.0) | dict(schedule.get(0, {})))
    run = Run(build, tasks, scenes, seed=seed, steps=max(at), balancer=weights, **settings)
    rows = []
    for record in run:
        if record.step in at:
            scores = evaluate(run.model, tasks, validation)
            rows += [(record.step, name, score.metric) for name, score in scores.items()]
        for name, weight in schedule.get(record.step, {}).items():
            weights.set_weight(name, weight)
    return pd.DataFrame(rows, columns=["steps", "task", "value"])
