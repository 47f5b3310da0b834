"""Which task helps which: the loss of one after a step that another has taken (TAG)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from mtl_tutorial.architectures.encoders import at_least_one
from mtl_tutorial.balancing.graph import split_gradients
from mtl_tutorial.data import Scenes
from mtl_tutorial.experiments.runs import Run
from mtl_tutorial.measuring import evaluation_mode
from mtl_tutorial.tasks import Batch, Task, task_losses


def affinity(model: nn.Module, tasks: Sequence[Task], batch: Batch, rate: float) -> Tensor:
    """Give Z, shape ``(T, T)``: how much a step of one task lowers the loss of each.

    Z_ij = 1 − L_j(θ − η ∇_θ L_i, φ_j) / L_j(θ, φ_j), with θ what all tasks share; heads stay. Above
    0, a step of task i helps task j. All losses are those of evaluation mode; the model is left as
    it was.

    Args:
        model: its losses share parameters.
        tasks: two or more, each with a label in the batch.
        batch: on which steps are taken, and losses compared.
        rate: η.

    Raises:
        ValueError: where there is one task alone, a task has no label or the loss 0, nothing is
            shared, or the rate is not above 0.

    Source: Fifty et al. 2021, equation 1 (arXiv 2109.04617).
    """
    if not 0 < rate < float("inf"):
        raise ValueError(f"rate must be finite and > 0, got {rate}")
    tasks = tuple(tasks)
    if len(tasks) < 2:
        raise ValueError(f"tasks must be two or more, got {len(tasks)}")

    def losses() -> dict[str, Tensor]:
        return task_losses(model(batch.inputs), batch.targets, tasks, complete=batch.complete)

    with evaluation_mode(model):
        before = losses()
        if missing := {task.name for task in tasks} - before.keys():
            raise ValueError(f"task {min(missing)!r} has no label in the batch; give it some")
        if done := [name for name, loss in before.items() if not loss > 0]:
            raise ValueError(
                f"the loss of task {done[0]!r} must be above 0 for a share of it, got "
                f"{before[done[0]].item():g}"
            )
        gradients = split_gradients(before, model)
        shared = gradients.shared
        kept = [parameter.detach().clone() for parameter in shared]
        rows = []
        with torch.no_grad():
            for gradient in gradients.jacobian:
                parts = gradient.split([parameter.numel() for parameter in shared])
                for parameter, start, part in zip(shared, kept, parts, strict=True):
                    parameter.copy_(start - rate * part.view_as(start))
                rows.append(torch.stack([*losses().values()]))
            for parameter, start in zip(shared, kept, strict=True):
                parameter.copy_(start)
    return 1 - torch.stack(rows) / torch.stack([loss.detach() for loss in before.values()])


def affinities(
    build: Callable[[], nn.Module],
    tasks: Sequence[Task],
    scenes: Scenes,
    *,
    seed: int,
    steps: int,
    rate: float,
    every: int = 10,
    learning_rate: float = 5e-3,
    batch_size: int = 64,
) -> Tensor:
    """Train all tasks jointly, and give Z every some steps, shape ``(steps / every, T, T)``.

    Args:
        build, tasks, scenes, seed, steps, learning_rate, batch_size: as for `Run`.
        rate: η of `affinity`.
        every: steps between two measurements, the first before the first step.

    Raises:
        ValueError: as `affinity`; for a number of steps that is none.
    """
    at_least_one(steps=steps, every=every)
    tasks = tuple(tasks)
    run = Run(
        build,
        tasks,
        scenes,
        seed=seed,
        steps=steps,
        batch_size=batch_size,
        learning_rate=learning_rate,
    )
    probes = scenes.stream(batch_size, torch.Generator().manual_seed(seed + 1))
    found = []
    for step in range(steps):
        if step % every == 0:
            found.append(affinity(run.model, tasks, next(probes), rate))
        next(run)
    return torch.stack(found)
