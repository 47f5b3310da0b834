"""Chance: how good an answer is that looks at nothing."""

from __future__ import annotations

from collections.abc import Iterable

import torch

from mtl_tutorial.tasks import Batch, Task

ITERATIONS = 30  # of L-BFGS, enough for losses that are convex in the answer


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
