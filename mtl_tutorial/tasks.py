"""What a task is, and what a batch of examples for several tasks is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops import box_iou

Loss = Callable[[Tensor, Tensor], Tensor]
Inputs = Tensor | Mapping[str, Tensor]


@dataclass(frozen=True)
class Task:
    """One question asked about every input.

    Args:
        name: how outputs, targets, losses and weights are looked up; a Python identifier.
        loss: ``loss(prediction, target)`` gives the scalar that training makes small.
        metric: ``metric(prediction, target)`` gives the scalar that people care about,
            0 to 1, larger is better. Its function name is its label in pictures.
        out_features: numbers that the task's head gives per example.
        kind: what the loss is the negative log-likelihood of: ``"regression"`` (a squared error)
            or ``"classification"`` (a cross-entropy). Left out, that of torch's squared errors and
            cross-entropies, functions and modules, and of `pixel_cross_entropy`; ``""`` for any
            other loss. `UncertaintyWeights` needs it.

    Raises:
        ValueError: where the name is no identifier or taken by torch, the head has no output, or
            the kind is unknown.
    """

    name: str
    loss: Loss
    metric: Loss
    out_features: int
    kind: str = ""

    def __post_init__(self) -> None:
        if not self.kind:
            object.__setattr__(self, "kind", _kind(self.loss))  # the class is frozen
        if self.kind not in (*KINDS, ""):
            raise ValueError(
                f"kind of task {self.name!r} must be one of {', '.join(map(repr, KINDS))}, "
                f"got {self.kind!r}"
            )
        if not self.name.isidentifier():
            raise ValueError(f"task name must be a Python identifier, got {self.name!r}")
        if hasattr(nn.ModuleDict(), self.name):
            raise ValueError(
                f"task name {self.name!r} is taken by torch's ModuleDict, which holds the heads; "
                f"choose another, such as {self.name + '_task'!r}"
            )
        if self.out_features < 1:
            raise ValueError(
                f"out_features of task {self.name!r} must be at least 1, got {self.out_features}"
            )

    @property
    def metric_name(self) -> str:
        """The metric's label in pictures and tables."""
        name = getattr(self.metric, "__name__", "metric")
        return {"mean_iou": "mean IoU", "pixel_iou": "pixel IoU"}.get(name, name.replace("_", " "))


def unique_names(tasks: Sequence[Task], *, least: int = 1) -> list[str]:
    """Give the tasks' names.

    Raises:
        ValueError: where one is no `Task`, there are fewer than ``least``, or two have one name.
    """
    for task in tasks:
        if not isinstance(task, Task):
            raise ValueError(
                f"tasks must be Task objects, got {task!r}; make one by "
                f"Task(name, loss, metric, out_features)"
            )
    names = [task.name for task in tasks]
    if len(names) < least or len(set(names)) < len(names):
        count = {1: "one", 2: "two"}[least]
        raise ValueError(f"tasks must be {count} or more with different names, got {names}")
    return names


@dataclass(frozen=True)
class Batch:
    """Some examples: the inputs, and the right answer of every task.

    Args:
        inputs: a tensor ``(B, ...)``, or a dict of them by modality.
        targets: a tensor ``(B, ...)`` by task name.
    """

    inputs: Inputs
    targets: dict[str, Tensor]

    def __len__(self) -> int:
        return len(next(iter(self.targets.values())))


def map_batches(change: Callable[..., Tensor], *batches: Batch) -> Batch:
    """Make one batch of several alike, or of one: ``change`` gets the tensors of each place.

    ``map_batches(lambda x: x[:4], batch)`` has the first four examples.
    """

    def changed(parts: list) -> Inputs:
        if isinstance(parts[0], Tensor):
            return change(*parts)
        return {name: change(*(part[name] for part in parts)) for name in parts[0]}

    inputs = changed([batch.inputs for batch in batches])
    return Batch(inputs, changed([batch.targets for batch in batches]))


def task_losses(
    outputs: Mapping[str, Tensor], targets: Mapping[str, Tensor], tasks: tuple[Task, ...]
) -> dict[str, Tensor]:
    """Give every task's loss L_i = loss_i(outputs[i], targets[i]) on one batch.

    Raises:
        ValueError: where a task has no output, no target, or a loss that is not a scalar.
    """
    losses = {}
    for task in tasks:
        for what, having in (("output", outputs), ("target", targets)):
            if task.name not in having:
                raise ValueError(
                    f"task {task.name!r} has no {what}; there are {what}s for {sorted(having)}. "
                    f"Add one, or leave the task out"
                )
        loss = task.loss(outputs[task.name], targets[task.name])
        if not isinstance(loss, Tensor) or loss.ndim != 0:
            got = f"shape {tuple(loss.shape)}" if isinstance(loss, Tensor) else repr(loss)
            raise ValueError(
                f"loss of task {task.name!r} must be a scalar tensor, got {got}. "
                f"Average it over the batch"
            )
        losses[task.name] = loss
    return losses


def accuracy(prediction: Tensor, target: Tensor) -> Tensor:
    """Share of examples whose largest logit is the right class.

    Args:
        prediction: logits, shape ``(B, classes)``.
        target: class numbers, shape ``(B,)``.
    """
    return (prediction.argmax(1) == target).float().mean()


def mean_iou(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean over the batch of IoU = area of intersection / area of union.

    A predicted box whose right edge lies left of its left edge (or bottom above top) covers
    nothing: its IoU is 0.

    Args:
        prediction, target: boxes ``(x0, y0, x1, y1)``, shape ``(B, 4)``.
    """
    top_left, bottom_right = prediction.split(2, dim=1)
    boxes = torch.cat([top_left, torch.maximum(top_left, bottom_right)], dim=1)
    pairs = zip(boxes.split(256), target.split(256), strict=True)  # box_iou compares all with all
    return torch.cat([box_iou(a, b).diagonal() for a, b in pairs]).mean()


def pixel_iou(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean over the batch of the IoU of two sets of pixels; a logit above 0 means "ink".

    Two empty sets agree: their IoU is 1.

    Args:
        prediction: logits, shape ``(B, H * W)`` or ``(B, H, W)``.
        target: 0 or 1, shape ``(B, H, W)``.
    """
    predicted, true = prediction.flatten(1) > 0, target.flatten(1) > 0.5
    union = (predicted | true).sum(1)
    overlap = (predicted & true).sum(1)
    return torch.where(union > 0, overlap / union.clamp(min=1), 1.0).mean()


def pixel_cross_entropy(prediction: Tensor, target: Tensor) -> Tensor:
    """Binary cross-entropy averaged over pixels and examples, in nats.

    Args:
        prediction: logits, shape ``(B, H * W)`` or ``(B, H, W)``.
        target: 0 or 1, shape ``(B, H, W)``.
    """
    return F.binary_cross_entropy_with_logits(prediction.flatten(1), target.flatten(1))


KINDS = {  # the losses known to be of each
    "classification": (
        *(F.cross_entropy, F.nll_loss, nn.CrossEntropyLoss, nn.NLLLoss),
        *(F.binary_cross_entropy, nn.BCELoss),
        *(F.binary_cross_entropy_with_logits, nn.BCEWithLogitsLoss, pixel_cross_entropy),
    ),
    "regression": (F.mse_loss, nn.MSELoss),
}


def _kind(loss: Loss) -> str:
    loss = getattr(loss, "func", loss)  # what a functools.partial calls
    return next((kind for kind, of in KINDS.items() if loss in of or type(loss) in of), "")
