"""Chance: how good an answer is that looks at nothing."""

from __future__ import annotations

import functools
from collections.abc import Iterable

import torch
from torch import Tensor
from torch.nn import functional as F

from mtl_tutorial.data import Digits, located_digits, untouched_digits
from mtl_tutorial.tasks import Batch, Task, mean_iou, pixel_iou

ITERATIONS = 30  # of L-BFGS, enough for losses that are convex in the answer
POOL = 2048  # scenes that a box is tried on


def chance(tasks: Iterable[Task], seen: Batch, unseen: Batch) -> dict[str, float]:
    """Give the metric of the best answer that is the same for every input, by task name.

    c* = argmin_c L(c, y) on the targets that are seen; the score is that of c* on the others. For
    a cross-entropy it names the most frequent class, for a squared error it is the mean.

    Args:
        seen: targets to fit the answer to.
        unseen: targets to score it on.
    """
    return {
        task.name: _score(task, seen.targets[task.name], unseen.targets[task.name])
        for task in tasks
    }


def _score(task: Task, seen: torch.Tensor, unseen: torch.Tensor) -> float:
    answer = torch.zeros(task.out_features, device=seen.device, requires_grad=True)
    optimizer = torch.optim.LBFGS([answer], max_iter=ITERATIONS, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        value = task.loss(answer.expand(len(seen), -1), seen)
        value.backward()
        return value

    optimizer.step(loss)
    with torch.no_grad():
        return float(task.metric(answer.expand(len(unseen), -1), unseen))


def blind_scores(tasks: Iterable[Task], seen: Batch, unseen: Batch) -> dict[str, float]:
    """Give the metric of the answer, the same for every input, that scores best on it.

    `chance` fits its answer to the loss; for boxes and masks another one scores higher: the mean
    box, grown by a margin; and all pixels that are ink in more than some share of the scenes,
    which is less than half of them. Margin and share are those that score best on what is seen.

    Args:
        seen: targets to choose the answer by.
        unseen: targets to score it on.

    Returns:
        The scores, by task name.
    """
    scores = {}
    for task in tasks:
        target, asked = seen.targets[task.name], unseen.targets[task.name]
        tried = [
            (float(task.metric(answer.expand(len(target), -1), target)), number, answer)
            for number, answer in enumerate(_fixed_answers(task, target))
        ]
        _, _, best = max(tried)
        scores[task.name] = float(task.metric(best.expand(len(asked), -1), asked))
    return scores


@functools.lru_cache(maxsize=256)
def blind_box_iou(source: Digits, extent: tuple[float, float] | None) -> float:
    """Give the mean IoU of the same box for every scene, of those tried the one that scores best.

    Args:
        source: digits that the 2,048 scenes are made of.
        extent: as for `located_digits`; None for untouched digits.
    """
    generator = torch.Generator().manual_seed(0)
    digits = source.sample(POOL, generator)
    if extent is None:
        scenes = untouched_digits(source.split, digits=digits)
    else:
        scenes = located_digits(source.split, digits=digits, extent=extent, noise=0.0)
    batch = scenes.compose(torch.arange(POOL), generator)
    (box,) = (task for task in scenes.tasks if task.name == "box")
    return blind_scores([box], batch, batch)["box"]


def _fixed_answers(task: Task, target: Tensor) -> list[Tensor]:
    """Answers to choose from, each of the width of the task's head."""
    if not target.is_floating_point():
        return [F.one_hot(target.bincount().argmax(), task.out_features).float()]
    mean = target.flatten(1).mean(0)
    if task.metric is mean_iou:
        outwards = mean.new_tensor([-1, -1, 1, 1])
        return [mean + margin * outwards for margin in torch.linspace(0, 0.1, 41).tolist()]
    if task.metric is pixel_iou:
        return [mean - share for share in torch.linspace(0.05, 0.95, 37).tolist()]
    return [mean]
