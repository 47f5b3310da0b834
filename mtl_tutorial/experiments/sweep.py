"""Sweeps over loss weights: many networks of one architecture, trained side by side as one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
import torch
from torch import Tensor, nn
from torch.func import vmap

from mtl_tutorial.balancing import FixedWeights
from mtl_tutorial.data import Scenes
from mtl_tutorial.data.scenes import check_whole
from mtl_tutorial.experiments.captured import Replayed, make_capturable
from mtl_tutorial.experiments.runs import seeded
from mtl_tutorial.experiments.side_by_side import SideBySide
from mtl_tutorial.measuring import evaluate
from mtl_tutorial.tasks import Batch, Task, has_label, map_batches, task_losses


@dataclass(frozen=True)
class Sweep:
    """Networks that were trained side by side, one for each of W loss weights and S seeds.

    Args:
        models: the trained networks; ``models[i][j]`` had the i-th weights and the j-th seed.
        losses: L_t before each step, shape ``(steps, W, S, T)``, on the training device.
        scores: after the last step; columns ``weight`` (the position i), ``seed``, ``task``,
            ``quantity`` (``"validation loss"`` or ``"validation metric"``) and ``value``.
    """

    models: list[list[nn.Module]]
    losses: Tensor
    scores: pd.DataFrame


def sweep(
    build: Callable[[], nn.Module],
    tasks: Sequence[Task],
    scenes: Scenes,
    validation: Batch,
    *,
    weights: Sequence[Mapping[str, float]],
    seeds: Sequence[int],
    steps: int,
    batch_size: int = 64,
    learning_rate: float = 5e-3,
    optimizer: Callable[[nn.Module], torch.optim.Optimizer] | None = None,
) -> Sweep:
    """Train one network for every pair of loss weights and seed, all in the same steps.

    What comes out is what `train` gives with ``FixedWeights(weights[i])`` and ``seed=seeds[j]``,
    up to rounding: the same initial weights, the same batches, the same updates. Every parameter
    becomes a stack of W · S; one backward pass of the sum over the networks gives each its own
    gradient, because none of them depends on another's parameters.

    Args:
        build: makes the model; called once a seed, after seeding.
        validation: scored after the last step.
        weights: λ_t by task name.
        learning_rate: Adam's.
        optimizer: makes another optimizer for the stacked model. It has to treat every number on
            its own, as SGD and Adam do; one that looks at norms would mix the networks.

    Raises:
        ValueError: where there are no weights, seeds or steps, a weight is missing, unknown,
            negative or not finite, an example has no label, or the models can't be stacked: see
            `SideBySide`.
        ArithmeticError: after the last step, where a loss became NaN or infinite.
    """
    tasks, weights, seeds = tuple(tasks), list(weights), list(seeds)
    table = _weight_table(weights, tasks)
    _check_several("seeds", seeds)
    if steps < 1:
        raise ValueError(f"steps must be at least 1, got {steps}")
    device = scenes.digits.labels.device
    models = [_built(build, seed).to(device) for seed in seeds]
    networks = SideBySide(models * len(weights))  # all seeds for the first weights, and so on
    stepper: torch.optim.Optimizer
    if optimizer is None:
        stepper = torch.optim.Adam(networks.parameters(), lr=learning_rate, fused=True)
    else:
        stepper = optimizer(networks.stacked)
    if device.type == "cuda":
        make_capturable(stepper)
    generators = [torch.Generator(device).manual_seed(seed) for seed in seeds]
    check_whole("batch_size", batch_size, "scenes")
    scale = torch.tensor(table, device=device).repeat_interleave(len(seeds), dim=0)

    def losses_of(outputs: dict[str, Tensor], targets: dict[str, Tensor]) -> Tensor:
        return torch.stack(list(task_losses(outputs, targets, tasks, complete=True).values()))

    def for_all(*of_seeds: Tensor) -> Tensor:  # those of every seed, again for every weight
        block = torch.stack(of_seeds)
        return block.expand(len(weights), *block.shape).flatten(0, 1)

    count = len(weights) * len(seeds)
    rows = torch.empty(steps, count, len(tasks), device=device)
    position = torch.zeros(1, dtype=torch.long, device=device)

    def step() -> None:
        batch = map_batches(for_all, *(scenes.draw(batch_size, own) for own in generators))
        _check_labelled(batch, tasks)
        losses = vmap(losses_of)(networks(batch.inputs), batch.targets)
        rows.index_copy_(0, position, losses.detach()[None].float())
        position.add_(1)
        stepper.zero_grad()
        (scale * losses).sum().backward()
        stepper.step()

    replayed = Replayed(step, generators, device)
    for _ in range(steps):
        replayed()
    history = rows.unflatten(1, (len(weights), len(seeds)))
    _check_finite(history, weights, seeds, tasks)
    apart = iter(networks.apart())
    trained = [[next(apart) for _ in seeds] for _ in weights]
    return Sweep(trained, history, _scores(trained, seeds, tasks, validation))


def _check_several(what: str, values: Sequence) -> None:
    if not values:
        raise ValueError(f"{what} must be one or more, got none; give one network to train")


def _weight_table(weights: Sequence[Mapping[str, float]], tasks: Sequence[Task]) -> list:
    _check_several("weights", weights)
    names = [task.name for task in tasks]
    return [list(FixedWeights(row).weights_of(names).values()) for row in weights]


def _built(build: Callable[[], nn.Module], seed: int) -> nn.Module:
    with seeded(seed):
        return build().train()


def _check_labelled(batch: Batch, tasks: Sequence[Task]) -> None:
    """Check that every task has a label for every example; the networks learn in one step."""
    for task in tasks:
        target = batch.targets.get(task.name)
        if target is None or not (batch.complete or has_label(target.flatten(0, 1)).all()):
            raise ValueError(
                f"task {task.name!r} lacks labels in a batch, and networks that train side by side "
                f"need them all; leave the task out, or train one by one with train()"
            )


def _check_finite(losses: Tensor, weights: Sequence, seeds: Sequence[int], tasks: tuple) -> None:
    if losses.isfinite().all():
        return
    step, i, j, t = (~losses.isfinite()).nonzero()[0].tolist()  # the earliest step comes first
    raise ArithmeticError(
        f"loss of task {tasks[t].name!r} became {losses[step, i, j, t].item()} at step {step + 1} "
        f"with weights {dict(weights[i])} and seed {seeds[j]}; lower the learning rate, or leave "
        f"these weights out"
    )


def _scores(
    models: Sequence[Sequence[nn.Module]],
    seeds: Sequence[int],
    tasks: tuple[Task, ...],
    validation: Batch,
) -> pd.DataFrame:
    rows = [
        (i, seed, name, f"validation {quantity}", value)
        for i, row in enumerate(models)
        for seed, model in zip(seeds, row, strict=True)
        for name, score in evaluate(model, tasks, validation).items()
        for quantity, value in score._asdict().items()
    ]
    return pd.DataFrame(rows, columns=["weight", "seed", "task", "quantity", "value"])
