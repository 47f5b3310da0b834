"""What a model has reached: scores, and the geometry of the tasks' gradients."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from mtl_tutorial.balancing import task_gradients
from mtl_tutorial.balancing.gramian import full_precision, row_norms
from mtl_tutorial.balancing.graph import reached, split_gradients
from mtl_tutorial.tasks import (
    Batch,
    Inputs,
    Task,
    labelled_pair,
    loss_of,
    metric_of,
    task_losses,
    unique_names,
)


class Score(NamedTuple):
    """A task's loss and metric on some examples."""

    loss: float
    metric: float


@contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[None]:
    """Inside, the model is in evaluation mode; outside, every part of it is as it was."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


@torch.no_grad()
def predict(model: nn.Module, batch: Batch) -> dict[str, Tensor]:
    """Give the model's predictions by task name, in evaluation mode; the model stays as it was."""
    with evaluation_mode(model):
        return model(batch.inputs)


@torch.no_grad()
def evaluate(model: nn.Module, tasks: Iterable[Task], batch: Batch) -> dict[str, Score]:
    """Score the model on a batch, in evaluation mode; the model is left as it was.

    Returns:
        The scores of the tasks that have a label in the batch, over the examples that have one.

    Raises:
        ValueError: where there is no task, two have one name, one has no prediction, or its labels
            do not fit its loss or metric.
    """
    tasks = tuple(tasks)
    unique_names(tasks)
    outputs = predict(model, batch)
    scores = {}
    for task in tasks:
        pair = labelled_pair(task, outputs, batch.targets, complete=batch.complete)
        if pair is not None:
            scores[task.name] = Score(loss_of(task, *pair).item(), metric_of(task, *pair).item())
    return scores


def count_parameters(model: nn.Module) -> int:
    """Give the number of a model's parameters, frozen ones too; shared ones count once."""
    return sum(parameter.numel() for parameter in model.parameters())


def count_operations(model: nn.Module, inputs: Inputs, *, backward: bool = False) -> int:
    """Give the additions and multiplications that predictions for some inputs take.

    What counts is what costs: convolutions and products of matrices. Additions of biases, batch
    norm and other work on single numbers are left out.

    Args:
        model: a copy of it is run.
        backward: counts the gradients of all parameters, too, as in a training step.
    """
    model = copy.deepcopy(model)
    with FlopCounterMode(display=False) as counter, torch.set_grad_enabled(backward):
        outputs = model(inputs)
        if backward:
            sum(output.sum() for output in outputs.values()).backward()
    return counter.get_total_flops()


def gradient_shares(norms: Mapping[str, float]) -> dict[str, float]:
    """Give ‖λ_i g_i‖ / Σ_j ‖λ_j g_j‖ by task name; equal shares where all are zero."""
    total = sum(norms.values())
    return {name: norm / total if total else 1 / len(norms) for name, norm in norms.items()}


class GradientGeometry(NamedTuple):
    """How the tasks push the shared parameters at one moment.

    Args:
        norms: ‖λ_i g_i‖ by task name.
        cosines: cos(g_i, g_j) between every two tasks, shape ``(T, T)``; 0 with a zero gradient.
    """

    norms: dict[str, float]
    cosines: Tensor

    @property
    def shares(self) -> dict[str, float]:
        """‖λ_i g_i‖ / Σ_j ‖λ_j g_j‖ by task name, see `gradient_shares`."""
        return gradient_shares(self.norms)


def gradient_geometry(
    model: nn.Module,
    tasks: Iterable[Task],
    batch: Batch,
    weights: Mapping[str, float] | None = None,
) -> GradientGeometry:
    """Measure the gradients g_i = ∇_θ L_i of the shared parameters on a batch.

    θ is what the losses of two or more tasks reach; with one task, all that it reaches. The
    gradients are those of evaluation mode: no dropout, and batch-norm statistics as they stand, so
    that a measurement changes nothing. Frozen parameters do not count.

    Args:
        weights: λ_i by task name; a task left out counts with 1. They scale the norms.

    Raises:
        ValueError: where no task has a label, one has no prediction, the tasks share no trained
            parameter, or a weight is of no task.
    """
    tasks = tuple(tasks)
    names = unique_names(tasks)
    if unknown := (weights or {}).keys() - set(names):
        raise ValueError(f"there is a weight for {min(unknown)!r}, but the tasks are {names}")
    with evaluation_mode(model):  # of checkpointed parts, which run again in the backward pass
        losses = _losses(model, tasks, batch)
        if len(losses) == 1:
            jacobian = task_gradients(losses, reached(losses.values()).leaves)
        else:
            jacobian = split_gradients(losses, model).jacobian
    norms = row_norms(jacobian).tolist()
    weighted = {
        name: (weights or {}).get(name, 1.0) * norm
        for name, norm in zip(losses, norms, strict=True)
    }
    return GradientGeometry(weighted, _cosines(jacobian).cpu())


def _cosines(rows: Tensor) -> Tensor:
    """Between every two rows, whatever the range of their numbers; 0 with a row of zeros."""
    norms = row_norms(rows)
    units = rows / torch.where(norms == 0, 1.0, norms)[:, None]
    with full_precision(units):
        return units @ units.T


class LayerGeometry(NamedTuple):
    """Where in the shared part of a network the tasks push, and where they pull apart.

    Args:
        norms: ‖g_i‖ by task name, over all shared parameters that are trained.
        cosines: by ``"i, j"``, the names of two tasks: cos(∇_W L_i, ∇_W L_j) by the name of each
            shared weight matrix or kernel W, and under ``"all"`` that over all shared parameters;
            0 where one of the gradients is zero.
    """

    norms: dict[str, float]
    cosines: dict[str, dict[str, float]]


def layer_geometry(model: nn.Module, tasks: Iterable[Task], batch: Batch) -> LayerGeometry:
    """Measure the gradients of the shared parameters on a batch, layer by layer.

    They are those of evaluation mode, as in `gradient_geometry`.

    Raises:
        ValueError: as `gradient_geometry`, and where fewer than two tasks have a label.
    """
    tasks = tuple(tasks)
    unique_names(tasks, least=2)
    with evaluation_mode(model):
        losses = _losses(model, tasks, batch)
        if len(losses) < 2:
            raise ValueError(
                f"only task {min(losses)!r} has a label in this batch, and angles are between two; "
                f"measure on one that has labels of two tasks"
            )
        gradients = split_gradients(losses, model)
    jacobian, theta = gradients.jacobian, {id(parameter) for parameter in gradients.theta()}
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    columns = jacobian.split([parameter.numel() for parameter in gradients.shared], dim=1)
    parts = {
        names[id(parameter)].removesuffix(".weight"): part
        for parameter, part in zip(gradients.shared, columns, strict=True)
        if parameter.ndim > 1 and id(parameter) in theta
    } | {"all": jacobian}
    pairs = list(itertools.combinations(range(len(losses)), 2))
    angles = [_cosines(part) for part in parts.values()]
    values = torch.stack([cosines[i, j] for i, j in pairs for cosines in angles])
    rows = values.view(len(pairs), len(parts)).tolist()
    labels = list(losses)
    cosines = {
        f"{labels[i]}, {labels[j]}": dict(zip(parts, row, strict=True))
        for (i, j), row in zip(pairs, rows, strict=True)
    }
    return LayerGeometry(dict(zip(labels, row_norms(jacobian).tolist(), strict=True)), cosines)


def _losses(model: nn.Module, tasks: Iterable[Task], batch: Batch) -> dict[str, Tensor]:
    losses = task_losses(model(batch.inputs), batch.targets, tasks, complete=batch.complete)
    if not losses:
        raise ValueError(
            f"no task has a label in this batch, which has labels for {sorted(batch.targets)}; "
            f"measure on one that has"
        )
    return losses
