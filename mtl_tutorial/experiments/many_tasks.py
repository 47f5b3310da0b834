"""Many related tasks with few examples each: one network a task, a shared trunk, or one for all."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
import torch
from torch import Generator, Tensor

from mtl_tutorial.architectures.encoders import at_least_one
from mtl_tutorial.profiles import check_choice

DIMENSIONS, FEATURES, HIDDEN, HELD_OUT = 10, 3, 12, 60
NOISE, STEEPNESS = 0.3, 2.0
ALONE, SHARED, POOLED = WAYS = ("one network a task", "shared trunk", "one network for all")
DECAYS = (0.0, 0.3, 1.0, 3.0, 10.0)
STEPS, EVERY, RATE = 200, 20, 0.02
COLUMNS = ["seed", "way", "decay", "step", "validation", "test"]


@dataclass(frozen=True)
class ManyTasks:
    """Tasks with examples of their own.

    Args:
        inputs: for training, validation and test by name, each of shape ``(T, n, d)``.
        answers: likewise, ``(T, n, 1)``; those of ``"test"`` are without noise.
    """

    inputs: dict[str, Tensor]
    answers: dict[str, Tensor]


def draw_many_tasks(
    relatedness: float, *, tasks: int, labels: int, generator: Generator
) -> ManyTasks:
    """Draw tasks that look at three features of ten numbers each, and answer with one number.

    y = Σ_k c_ik tanh(2 u_ik·x) + noise, with x ~ N(0, I), c_ik ~ N(0, 1/3), and noise of standard
    deviation 0.3. u_ik is a unit vector, r times a direction that all tasks share plus √(1 − r²)
    times one of the task's own: at r = 1 all tasks look at the same three features, and weigh them
    differently; at r = 0 they have nothing in common.

    Args:
        relatedness: r, 0 to 1.
        tasks: T.
        labels: n, examples of a task to learn from.
        generator: of all that is drawn.

    Raises:
        ValueError: where r is out of range, or tasks or labels are no whole number from 1 on.
    """
    if not 0 <= relatedness <= 1:
        raise ValueError(f"relatedness must be from 0 to 1, got {relatedness}")
    at_least_one(tasks=tasks, labels=labels)
    unit = torch.nn.functional.normalize
    common = unit(torch.randn(1, DIMENSIONS, FEATURES, generator=generator), dim=1)
    own = torch.randn(tasks, DIMENSIONS, FEATURES, generator=generator)
    own = unit(own - common * (own * common).sum(1, keepdim=True), dim=1)
    looks = relatedness * common + math.sqrt(1 - relatedness**2) * own
    weighs = torch.randn(tasks, FEATURES, 1, generator=generator) / math.sqrt(FEATURES)
    inputs, answers = {}, {}
    for name, count in (("validation", HELD_OUT), ("test", 2 * HELD_OUT), ("training", labels)):
        x = torch.randn(tasks, count, DIMENSIONS, generator=generator)
        noise = NOISE * torch.randn(tasks, count, 1, generator=generator)
        inputs[name] = x
        answers[name] = torch.tanh(STEEPNESS * x @ looks) @ weighs + (name != "test") * noise
    return ManyTasks(inputs, answers)


def learn_many(
    problems: Sequence[ManyTasks],
    way: str,
    *,
    decays: Sequence[float] = DECAYS,
    steps: int = STEPS,
    every: int = EVERY,
    rate: float = RATE,
    hidden: int = HIDDEN,
    seed: int = 0,
) -> pd.DataFrame:
    """Train a network of one hidden layer on each problem with each weight decay, all at once.

    ŷ = tanh(x W + b) V + c. One network a task has T of all; a shared trunk has one W and b, and V
    and c a task; one network for all has one of all. Adam moves every number by itself, so that
    training all in one tensor is training each alone, with equal steps.

    Args:
        problems: with as many tasks and labels as each other; one a seed.
        way: one of `WAYS`.
        decays: of W and V a step, in units of the learning rate.
        steps: of Adam, on all examples.
        every: steps between two measurements.
        rate: Adam's.
        hidden: units of each network, or of the trunk.
        seed: of the initial weights.

    Returns:
        Columns ``seed`` (the problem's number), ``way``, ``decay``, ``step``, ``validation`` and
        ``test``: the squared error over the variance of the answers, mean over tasks; 1 is a guess.
    """
    check_choice("way", way, WAYS)
    problems, decays = list(problems), [float(decay) for decay in decays]
    if not problems or not decays:
        raise ValueError("learn_many needs a problem and a decay, got none")
    if not all(0 <= decay * rate < 1 for decay in decays):
        raise ValueError(f"decays must be from 0 on, and below 1 / rate, got {decays}")
    at_least_one(steps=steps, every=every, hidden=hidden)
    sets = {
        name: [torch.stack([getattr(p, part)[name] for p in problems]) for part in PARTS]
        for name in problems[0].inputs
    }
    tasks = sets["training"][0].shape[1]
    trunks, heads = (tasks if way == ALONE else 1), (1 if way == POOLED else tasks)
    generator = torch.Generator().manual_seed(seed)
    many = (len(decays), len(problems))

    def start(copies: int, rows: int, columns: int) -> Tensor:
        one = torch.randn(1, len(problems), copies, rows, columns, generator=generator)
        return (one / math.sqrt(rows)).repeat(len(decays), 1, 1, 1, 1).requires_grad_()

    w, v = start(trunks, DIMENSIONS, hidden), start(heads, hidden, 1)
    b = torch.zeros(*many, trunks, 1, hidden, requires_grad=True)
    c = torch.zeros(*many, heads, 1, 1, requires_grad=True)
    optimizer = torch.optim.Adam([w, b, v, c], lr=rate)
    shrink = torch.tensor(decays).view(-1, 1, 1, 1, 1)

    def errors(name: str) -> Tensor:
        x, y = sets[name]
        return ((torch.tanh(x @ w + b) @ v + c - y) ** 2).mean((3, 4))

    rows = []
    for step in range(1, steps + 1):
        optimizer.zero_grad()
        errors("training").sum().backward()
        optimizer.step()
        with torch.no_grad():
            for matrix in (w, v):
                matrix -= optimizer.param_groups[0]["lr"] * shrink * matrix
            if step % every == 0 or step == steps:
                rows += _scores(way, step, decays, {n: errors(n) for n in EXAMS}, sets)
    return pd.DataFrame(rows, columns=COLUMNS)


PARTS, EXAMS = ("inputs", "answers"), ("validation", "test")


def _scores(
    way: str,
    step: int,
    decays: Sequence[float],
    errors: dict[str, Tensor],
    sets: dict[str, list[Tensor]],
) -> list[tuple]:
    left = [errors[n].mean(-1) / sets[n][1].var((1, 2, 3)) for n in EXAMS]  # (decays, problems)
    return [
        (seed, way, decay, step, left[0][d, seed].item(), left[1][d, seed].item())
        for d, decay in enumerate(decays)
        for seed in range(left[0].shape[1])
    ]


def chosen(table: pd.DataFrame) -> pd.Series:
    """Give each way's test error at the decay and step that validation chose, by seed and way."""
    table = table.reset_index(drop=True)
    best = table.loc[table.groupby(["seed", "way"])["validation"].idxmin()]
    return best.set_index(["seed", "way"])["test"]
