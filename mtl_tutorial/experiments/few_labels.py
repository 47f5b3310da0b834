"""A task with few labels, alone or beside helpers that have many: what a helper is worth."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import nn

from mtl_tutorial.architectures import Concatenation, ConvEncoder, FusionNetwork, HardSharing
from mtl_tutorial.architectures.encoders import at_least_one
from mtl_tutorial.balancing import FixedWeights
from mtl_tutorial.data import Scenes, located_digits, seen_and_heard
from mtl_tutorial.data.streams import mixed, only
from mtl_tutorial.experiments.runs import Run
from mtl_tutorial.measuring import evaluate
from mtl_tutorial.places import RESULTS, read_from_course
from mtl_tutorial.profiles import check_choice
from mtl_tutorial.tasks import Batch, Task

LABEL_RUNS = RESULTS / "few_labels.json"
ALONE = "alone"
BATCH_SIZE, MARK_EVERY, EXAM = 32, 100, 512
COMPOSED = 8192  # scenes to train on
AS_IT_COMES, TUNED = "equal weights, to the end", "weight and stop chosen"
MOMENTS = (AS_IT_COMES, TUNED)
TABLES = ("few labels", "long runs of match")
FROZEN = "on frozen mask"
ON_A_CANVAS, SEEN_AND_HEARD = ("digit", "box", "mask"), ("match", "sum", "speaker")


@dataclass(frozen=True)
class Question:
    """A task that has few labels, the helpers that have many, and how it is learned.

    Args:
        helpers: names of the tasks beside it.
        labels: how many labels it has, from few to many.
        weights: of the helpers' losses; the first is 1, and a second one makes them about as large
            as the task's own, where they are not.
        learning_rate: Adam's.
        steps: of a run.
    """

    helpers: tuple[str, ...]
    labels: tuple[int, ...]
    weights: tuple[float, ...]
    learning_rate: float = 5e-3
    steps: int = 300


QUESTIONS = {
    "digit": Question(("box", "mask"), (30, 100, 300), (1.0,)),
    "box": Question(("digit", "mask"), (10, 30, 100, 300), (1.0, 0.01)),
    "match": Question(("digit", "speaker"), (300, 1000), (1.0,), 6.25e-4, 1200),
}


def companies(task: str) -> list[tuple[str, ...]]:
    """Give every choice of a task's helpers, from none to all."""
    one, other = QUESTIONS[check_choice("task", task, QUESTIONS)].helpers
    return [(), (one,), (other,), (one, other)]


def as_names(helpers: str | Iterable[str]) -> list[str]:
    """Give names as a list; one may stand alone."""
    return [helpers] if isinstance(helpers, str) else list(helpers)


def company_name(helpers: Sequence[str]) -> str:
    """What helpers, or one helper, are called: ``"alone"``, ``"with box and mask"``."""
    helpers = as_names(helpers)
    return f"with {' and '.join(helpers)}" if helpers else ALONE


@functools.cache
def scenes_for(task: str, split: str) -> Scenes:
    """Give the scenes about which a task is asked; those to train on are composed once."""
    check_choice("task", task, (*ON_A_CANVAS, *SEEN_AND_HEARD))
    scenes = (seen_and_heard if task in SEEN_AND_HEARD else located_digits)(split)
    if split != "train":
        return scenes
    return scenes.keep(COMPOSED, torch.Generator().manual_seed(0))


def network_for(tasks: Sequence[Task], width: int = 8) -> nn.Module:
    """Give hard sharing: of one encoder, or of two senses where a task needs both."""
    if {*SEEN_AND_HEARD} & {task.name for task in tasks}:
        d = 8 * width
        encoders = {"image": ConvEncoder(width, d), "sound": ConvEncoder(width, d, size=32)}
        return FusionNetwork(encoders, Concatenation(2, d), tasks)
    return HardSharing(ConvEncoder(width), tasks)


def in_company(
    few: Scenes,
    many: Scenes,
    task: str,
    helpers: Sequence[str],
    generator: torch.Generator,
    batch_size: int = BATCH_SIZE,
) -> Iterator[Batch]:
    """Give batches in which a task has labels of few scenes, and its helpers of many others.

    Every batch has ``batch_size`` examples with the task's label, with helpers or without: the
    helpers bring examples of their own, as many again.
    """
    helpers = as_names(helpers)
    labelled = only(few.stream(batch_size, generator), task)
    if not helpers:
        return labelled
    return mixed(labelled, only(many.stream(batch_size, generator), *helpers))


def learn(
    task: str,
    labels: int,
    helpers: Sequence[str] = (),
    *,
    seed: int,
    weight: float = 1.0,
    steps: int | None = None,
    width: int = 8,
    learning_rate: float | None = None,
    every: int = MARK_EVERY,
    prepare: Callable[[nn.Module], None] = lambda model: None,
) -> pd.DataFrame:
    """Train a task on few labelled scenes, alone or beside helpers with a new scene in every step.

    Args:
        task: one of `QUESTIONS`.
        labels: how many scenes have its label; drawn by the seed, more include all of fewer.
        helpers: names of other tasks of its scenes.
        seed: of the labelled scenes, initial weights and batches.
        weight: of each helper's loss; the task's own is 1.
        steps, learning_rate: left out, those of the question.
        every: steps between two measurements.
        prepare: gets the new network, before its first step.

    Returns:
        Columns ``step``, ``validation`` and ``test``: the task's metric on scenes of digits that
        are in no other split.

    Raises:
        ValueError: for a task, helper, number or weight that can't be.
    """
    question = QUESTIONS[check_choice("task", task, QUESTIONS)]
    helpers = as_names(helpers)
    scenes = scenes_for(task, "train")
    others = [t.name for t in scenes.tasks if t.name != task]
    for helper in helpers:
        check_choice("helper", helper, others)
    most = max(question.labels)
    steps = question.steps if steps is None else steps
    rate = question.learning_rate if learning_rate is None else learning_rate
    at_least_one(labels=labels, steps=steps, every=every)
    if labels > most:
        raise ValueError(f"labels of {task!r} must be at most {most}, got {labels}")
    if not 0 <= weight < math.inf:
        raise ValueError(f"weight must be finite and 0 or more, got {weight}")
    if not 0 < rate < math.inf:
        raise ValueError(f"learning_rate must be finite and > 0, got {rate}")
    asked = tuple(t for t in scenes.tasks if t.name == task or t.name in helpers)
    few = scenes.keep(most, torch.Generator().manual_seed(1000 + seed))
    few = first_of(few, labels)
    exams = {
        split: scenes_for(task, split).draw(EXAM, torch.Generator().manual_seed(7))
        for split in ("validation", "test")
    }

    def build() -> nn.Module:
        network = network_for(asked, width)
        prepare(network)
        return network

    run = Run(
        build,
        asked,
        scenes,
        seed=seed,
        steps=steps,
        learning_rate=rate,
        balancer=FixedWeights({task: 1.0, **dict.fromkeys(helpers, weight)}),
    )
    (own,) = [t for t in asked if t.name == task]
    rows = []
    for record in run.over(in_company(few, scenes, task, helpers, run.generator), steps):
        if record.step % every == 0 or record.step == steps:
            scores = [evaluate(run.model, [own], exams[s])[task].metric for s in exams]
            rows.append((record.step, *scores))
    return pd.DataFrame(rows, columns=["step", "validation", "test"])


def first_of(kept: Scenes, count: int) -> Scenes:
    """Give the first ``count`` of scenes that were kept.

    Raises:
        ValueError: where there are not so many.
    """
    digits = kept.digits
    if not 1 <= count <= len(digits.labels):
        raise ValueError(f"count must be from 1 to {len(digits.labels)}, got {count}")
    some = replace(digits, images=digits.images[:count], labels=digits.labels[:count])
    return replace(kept, digits=some)


def frozen_encoder(helper: str, *, seed: int, steps: int = 300) -> Callable[[nn.Module], None]:
    """Train a helper alone; give what puts its encoder into a network, and freezes it there.

    Args:
        helper: of a digit on a canvas, where there is one encoder.
        seed, steps: of its training.
    """
    check_choice("helper", helper, ON_A_CANVAS)
    scenes = scenes_for(helper, "train")
    (task,) = [t for t in scenes.tasks if t.name == helper]
    run = Run(
        lambda: network_for([task]),
        [task],
        scenes,
        seed=seed,
        steps=steps,
        batch_size=2 * BATCH_SIZE,
    )
    for _ in run:
        pass
    encoder = run.model.get_submodule("encoder")
    state = {name: value.clone() for name, value in encoder.state_dict().items()}

    def prepare(network: nn.Module) -> None:
        encoder = network.get_submodule("encoder")
        encoder.load_state_dict(state)
        encoder.requires_grad_(False)

    return prepare


def label_runs(path: Path = LABEL_RUNS) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, Any]]:
    """Read the runs that come with the course, and where they are from.

    Returns:
        The runs of few labels, with the columns ``task``, ``labels``, ``helpers`` (as
        `company_name` writes them, or ``"on frozen mask"``), ``weight``, ``seed``, ``step`` and
        the task's metric on ``validation`` and ``test``; the long runs of match, with ``helpers``,
        ``rate``, ``seed``, ``step`` and ``value``; and their provenance.

    Raises:
        ValueError: where they are not there.
    """
    content = read_from_course(path)
    tables = [pd.DataFrame(content[k]["rows"], columns=content[k]["columns"]) for k in TABLES]
    return tables[0], tables[1], content["provenance"]


def at_moment(runs: pd.DataFrame, moment: str) -> pd.DataFrame:
    """Give one row a run: its end at equal weights, or the weight and step that validation chose.

    Args:
        runs: as `label_runs` gives them.
        moment: one of `MOMENTS`.

    Returns:
        Columns ``task``, ``labels``, ``helpers``, ``seed`` and ``value``, the metric on test
        scenes.
    """
    keys = ["task", "labels", "helpers", "seed"]
    check_choice("moment", moment, MOMENTS)
    if moment == AS_IT_COMES:
        equal = runs[runs["weight"] == 1]
        best = equal.loc[equal.groupby(keys, sort=False)["step"].idxmax()]
    else:
        best = runs.loc[runs.groupby(keys, sort=False)["validation"].idxmax()]
    return best.rename(columns={"test": "value"})[[*keys, "value"]].reset_index(drop=True)


def labels_for(labels: Sequence[int], means: Sequence[float], score: float) -> float:
    """Give the fewest labels at which means over seeds reach a score, as the label dial does.

    Between two numbers of labels that were run, the mean is linear in their logarithm; 0 where the
    fewest labels do better than the score, infinity where none reach it.

    Raises:
        ValueError: where there is no mean, or not one for each number of labels, a number is NaN,
            or labels do not grow.
    """
    labels, means = list(labels), list(means)
    if any(map(math.isnan, (*labels, *means, score))) or labels != sorted(labels):
        raise ValueError(
            f"labels must grow, and nothing be NaN, got {labels}, {means} and the score {score}"
        )
    if not len(labels) == len(means) > 0:
        raise ValueError(
            f"labels and means must be as many, and one or more, got {len(labels)} and {len(means)}"
        )
    if means[0] > score - 1e-9:
        return labels[0] if means[0] < score + 1e-9 else 0.0
    for place in range(1, len(labels)):
        low, high = means[place - 1], means[place]
        if high >= score:
            share = (score - low) / (high - low)
            return math.exp(
                (1 - share) * math.log(labels[place - 1]) + share * math.log(labels[place])
            )
    return math.inf
