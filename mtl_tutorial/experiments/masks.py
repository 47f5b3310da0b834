"""Masks of a task that is asked twice: what differs by chance, and what differs by task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional as F

from mtl_tutorial.architectures import MTAN
from mtl_tutorial.architectures.attention import Masks
from mtl_tutorial.data import Scenes
from mtl_tutorial.places import RESULTS, read_from_course
from mtl_tutorial.tasks import Batch, Task, accuracy

LONG_RUNS = RESULTS / "longer_masks.json"
TWIN = Task("twin", F.cross_entropy, accuracy, 10)
FOUR = tuple(Task(f"digit{number}", F.cross_entropy, accuracy, 10) for number in range(1, 5))
ONCE, TWICE = "two tasks", "one task twice"
WEIGHTS = {"digit": 0.5, "twin": 0.5, "box": 3.0, "mask": 1.0}
WEIGHTS |= {task.name: 1 / len(FOUR) for task in FOUR}


def with_twin(scenes: Scenes) -> Scenes:
    """Give the same scenes with the digit asked twice: the second task is `TWIN`."""

    def compose(index: Tensor, generator: torch.Generator) -> Batch:
        batch = scenes.compose(index, generator)
        return Batch(batch.inputs, {**batch.targets, "twin": batch.targets["digit"]})

    digit, *others = scenes.tasks
    return Scenes((digit, TWIN, *others), scenes.digits, compose)


def four_times(scenes: Scenes) -> Scenes:
    """Give the same scenes with one question, the digit, asked four times: the tasks are `FOUR`."""

    def compose(index: Tensor, generator: torch.Generator) -> Batch:
        batch = scenes.compose(index, generator)
        return Batch(batch.inputs, {task.name: batch.targets["digit"] for task in FOUR})

    return Scenes(FOUR, scenes.digits, compose)


class FlatMasks(MTAN):
    """MTAN without its masks: every one is 1/2 everywhere, in training as well."""

    def forward(self, inputs: Tensor, masks: Masks | None = None) -> dict[str, Tensor]:
        """Give the prediction of each task, as `MTAN`; masks that are given are used."""
        half = [torch.full((1,), 0.5, device=inputs.device)] * len(self.extractors)
        return super().forward(inputs, {**dict.fromkeys(self.heads, half), **(masks or {})})


def mask_differences(masks: Mapping[str, Sequence[Tensor]]) -> pd.DataFrame:
    """Give the mean of |a_ij − a_kj| over images, channels and places, for every two tasks.

    Args:
        masks: a_ij by task name, one a block, as `MTAN.masks` gives them.

    Returns:
        Columns ``pair`` (``"one task twice"`` for digit and twin, else ``"two tasks"``),
        ``block`` (from 1) and ``value``.
    """
    rows = [
        (TWICE if {one, other} == {"digit", "twin"} else ONCE, block, (a - b).abs().mean().item())
        for one, other in combinations(masks, 2)
        for block, (a, b) in enumerate(zip(masks[one], masks[other], strict=True), 1)
    ]
    return pd.DataFrame(rows, columns=["pair", "block", "value"])


def excess(differences: pd.DataFrame) -> pd.DataFrame:
    """Give how much more masks of two tasks differ than masks of one task, on the mean over pairs.

    Args:
        differences: as `mask_differences`, with a column ``seed``.

    Returns:
        A row a seed, a column a block.
    """
    means = differences.pivot_table(index="seed", columns=["pair", "block"], values="value")
    return means[ONCE] - means[TWICE]


def chance(masks: Mapping[str, Sequence[Tensor]]) -> pd.DataFrame:
    """Give the excess that comes about by chance, where all masks are for one question.

    Each pair in turn is taken for the one task that is asked twice, the others for two tasks.

    Args:
        masks: a_ij by task name, one a block, as `MTAN.masks` gives them; of three tasks or more.

    Returns:
        Columns ``one`` and ``other`` (the pair), ``block`` (from 1) and ``value``.
    """
    rows = [
        (one, other, block, (a - b).abs().mean().item())
        for one, other in combinations(masks, 2)
        for block, (a, b) in enumerate(zip(masks[one], masks[other], strict=True), 1)
    ]
    table = pd.DataFrame(rows, columns=["one", "other", "block", "value"])
    by_block = table.groupby("block")["value"]
    others = (by_block.transform("sum") - table["value"]) / (by_block.transform("size") - 1)
    return table.assign(value=others - table["value"])


def long_runs(path: Path = LONG_RUNS) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Read the runs that last longer than the lesson's, and where they are from.

    Returns:
        A table with the columns ``setting``, ``seed``, ``steps``, ``name`` (a task, or
        ``"block 1"`` and so on) and ``value`` (its metric, or the excess of that block's masks;
        for the setting ``"one question"`` the largest that came about by chance); and their
        provenance.

    Raises:
        ValueError: where they are not there.
    """
    content = read_from_course(path)
    return pd.DataFrame(content["rows"], columns=content["columns"]), content["provenance"]
