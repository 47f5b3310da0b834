"""What a task is, and what a batch of examples for several tasks is."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Loss = Callable[[Tensor, Tensor], Tensor]
Inputs = Tensor | Mapping[str, Tensor]
NO_LABEL = -100  # the class number of an example without a label, as in F.cross_entropy


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
    """Some examples: the inputs, and the right answer of every task that has one.

    A task may be missing from the targets; then it sits out a step. Single examples without a label
    have NaN in targets of floating-point numbers, and `NO_LABEL`, -100, in class numbers.

    Args:
        inputs: a tensor ``(B, ...)``, or a dict of them by modality.
        targets: a tensor ``(B, ...)`` by task name.
        complete: a promise that no example lacks a label of these targets, so that none is looked
            for; looking waits for a GPU.

    Raises:
        ValueError: where targets are not by name.
    """

    inputs: Inputs
    targets: dict[str, Tensor]
    complete: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.targets, Mapping):
            raise ValueError(
                f"targets of a batch must be a dict by task name, got a "
                f"{type(self.targets).__name__}; wrap them, such as {{'digit': labels}}"
            )

    def __len__(self) -> int:
        inputs = self.inputs
        return len(inputs if isinstance(inputs, Tensor) else next(iter(inputs.values())))


def map_batches(change: Callable[..., Tensor], *batches: Batch) -> Batch:
    """Make one batch of several alike, or of one: ``change`` gets the tensors of each place.

    ``map_batches(lambda x: x[:4], batch)`` has the first four examples.

    Raises:
        ValueError: where the batches have other inputs or targets than each other.
    """

    def changed(parts: list) -> Any:
        kinds = [None if isinstance(part, Tensor) else sorted(part) for part in parts]
        if kinds != kinds[:1] * len(kinds):
            raise ValueError(
                f"batches must be alike to be mapped together, got {kinds}; give all of them the "
                f"same inputs and targets, NaN or -100 where a label is missing"
            )
        if kinds[0] is None:
            return change(*parts)
        return {name: change(*(part[name] for part in parts)) for name in parts[0]}

    inputs = changed([batch.inputs for batch in batches])
    targets = changed([batch.targets for batch in batches])
    return Batch(inputs, targets, all(batch.complete for batch in batches))


def task_losses(
    outputs: Mapping[str, Tensor],
    targets: Mapping[str, Tensor],
    tasks: Iterable[Task],
    *,
    complete: bool = False,
) -> dict[str, Tensor]:
    """Give L_i = loss_i(outputs[i], targets[i]) of every task that has a label in this batch.

    Examples without a label are left out, of the mean too.

    Args:
        complete: as in `Batch`.

    Raises:
        ValueError: where a task has no output, its labels stand under another name, or shapes,
            labels or the loss itself are not what a loss needs.
    """
    losses: dict[str, Tensor] = {}
    for task in tasks:
        if task.name in losses:
            raise ValueError(f"two tasks have the name {task.name!r}; give each one of its own")
        if (pair := labelled_pair(task, outputs, targets, complete=complete)) is not None:
            losses[task.name] = loss_of(task, *pair)
    return losses


def labelled_pair(
    task: Task,
    outputs: Mapping[str, Tensor],
    targets: Mapping[str, Tensor],
    *,
    complete: bool = False,
) -> tuple[Tensor, Tensor] | None:
    """Give a task's predictions and targets where there is a label; None where there is none.

    Raises:
        ValueError: as `task_losses`, for all but the loss.
    """
    name = task.name
    for what, given in (("a model must give predictions", outputs), ("targets are", targets)):
        if not isinstance(given, Mapping):
            raise ValueError(f"{what} in a dict by task name, got a {type(given).__name__}")
    if name not in outputs:
        raise ValueError(
            f"task {name!r} has no output; there are outputs for {sorted(outputs)}. Add one, or "
            f"leave the task out"
        )
    prediction, target = outputs[name], targets.get(name)
    if target is None:
        if near := difflib.get_close_matches(name, targets.keys() - outputs.keys(), n=1):
            raise ValueError(
                f"task {name!r} has no label in this batch, but there are labels for {near[0]!r}; "
                f"give both one name"
            )
        return None
    _check_pair(task, prediction, target)
    if not target.numel():
        return None
    if complete:
        return prediction, target
    rows = has_label(target)
    if not rows.any():
        return None
    return (prediction, target) if rows.all() else (prediction[rows], target[rows])


def has_label(target: Tensor) -> Tensor:
    """Which examples have a label, ``(B,)``, bool.

    One without has a NaN among its floating-point numbers, or only -100 in its class numbers.
    """
    there = is_label(target)
    there = there.flatten(1) if there.ndim > 1 else there[..., None]
    return there.all(-1) if target.is_floating_point() else there.any(-1)


def is_label(target: Tensor) -> Tensor:
    """Which numbers are a label: not NaN, and not -100 among whole numbers; of target's shape."""
    if target.is_floating_point():
        return ~target.isnan()
    return target.long() != NO_LABEL  # uint8 would take -100 for 156


def _check_pair(task: Task, prediction: Any, target: Any) -> None:
    for what, tensor in (("predictions", prediction), ("labels", target)):
        if not isinstance(tensor, Tensor):
            raise ValueError(
                f"{what} of task {task.name!r} must be a tensor with one row an example, got "
                f"{tensor!r}"
            )
    if not prediction.ndim and not target.ndim:
        return  # one answer for the whole batch
    shapes = tuple(prediction.shape), tuple(target.shape)
    if shapes[0][:1] != shapes[1][:1]:
        raise ValueError(
            f"task {task.name!r} has predictions of shape {shapes[0]} and labels of shape "
            f"{shapes[1]}; one row an example is needed in both"
        )
    loss = getattr(task.loss, "func", task.loss)
    elementwise = loss in ELEMENTWISE or type(loss) in ELEMENTWISE
    column = {len(shapes[0]), len(shapes[1])} == {1, 2} and prediction.numel() == target.numel()
    if shapes[0] != shapes[1] and (elementwise or (column and target.is_floating_point())):
        raise ValueError(
            f"predictions and labels of task {task.name!r} must have one shape, got {shapes[0]} "
            f"and {shapes[1]}, and would be compared all with all; reshape the labels"
        )


def _of_task(task: Task, what: str, prediction: Tensor, target: Tensor) -> Tensor:
    """Call a task's loss or metric; where it fails, say whose it is and what it got."""
    try:
        return getattr(task, what)(prediction, target)
    except torch.OutOfMemoryError:
        raise  # for callers that go on with a smaller batch
    except Exception as error:  # a caller's own code may raise anything
        reason = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        raise ValueError(
            f"{what} of task {task.name!r} fails on predictions of shape "
            f"{tuple(prediction.shape)} ({prediction.dtype}) and labels of shape "
            f"{tuple(target.shape)} ({target.dtype}): {reason}. Check the labels and out_features"
        ) from error


def loss_of(task: Task, prediction: Tensor, target: Tensor) -> Tensor:
    """Give a task's loss.

    Raises:
        ValueError: where it fails, or is no scalar tensor.
    """
    loss = _of_task(task, "loss", prediction, target)
    check_scalar(task.name, loss)
    return loss


def metric_of(task: Task, prediction: Tensor, target: Tensor) -> Tensor:
    """Give a task's metric.

    Raises:
        ValueError: where it fails, or gives no single number.
    """
    value = _of_task(task, "metric", prediction, target)
    if not isinstance(value, Tensor) or value.numel() != 1:
        got = f"shape {tuple(value.shape)}" if isinstance(value, Tensor) else repr(value)
        raise ValueError(
            f"metric of task {task.name!r} must give one number in a tensor, got {got}; average "
            f"it over the batch"
        )
    return value


def check_scalar(name: str, loss: object) -> None:
    """Check that a loss is one floating-point number in a tensor.

    Raises:
        ValueError: where it is not.
    """
    if not isinstance(loss, Tensor):
        got = f"{loss!r}, a {type(loss).__name__}"
    elif loss.ndim or not loss.is_floating_point():
        got = f"shape {tuple(loss.shape)} of {loss.dtype}"
    else:
        return
    raise ValueError(
        f"loss of task {name!r} must be a scalar tensor, got {got}. Average it over the batch, and "
        f"keep it a tensor"
    )


def accuracy(prediction: Tensor, target: Tensor) -> Tensor:
    """Share of the examples with a label whose largest logit is the right class.

    Args:
        prediction: logits, shape ``(B, classes)``, or ``(B, classes, ...)`` for a class a place.
        target: class numbers, shape ``(B,)`` or ``(B, ...)``; -100 where there is no label.

    Raises:
        ValueError: for other shapes, targets that are no whole numbers, or are no class.
    """
    shapes = tuple(prediction.shape), tuple(target.shape)
    fits = prediction.ndim == target.ndim + 1 and shapes[0][:1] + shapes[0][2:] == shapes[1]
    if not fits or shapes[0][1] < 2 or target.is_floating_point():
        raise ValueError(
            f"accuracy needs logits of shape (B, classes), two classes or more, and class numbers "
            f"of shape (B,), got {shapes[0]} and {shapes[1]} of {target.dtype}; for one logit an "
            f"example use binary_accuracy"
        )
    target, there = target.long(), is_label(target)
    wrong = there & ((target < 0) | (target >= shapes[0][1]))
    if not torch._C._functorch.is_batchedtensor(wrong) and wrong.any():  # vmap can't ask
        raise ValueError(
            f"accuracy needs class numbers from 0 to {shapes[0][1] - 1}, or {NO_LABEL} where there "
            f"is no label, got {target[wrong][0].item()}"
        )
    return ((prediction.argmax(1) == target) & there).sum() / there.sum()


def binary_accuracy(prediction: Tensor, target: Tensor) -> Tensor:
    """Share of the examples with a label for which "logit above 0" is "target above 1/2".

    Args:
        prediction: one logit an example or place, shape ``(B, ...)``.
        target: 0 or 1, of the same shape; NaN, or -100, where there is no label.

    Raises:
        ValueError: where the shapes differ.
    """
    _check_same_shape("binary_accuracy", prediction, target)
    there = is_label(target)
    return (((prediction > 0) == (target > 0.5)) & there).sum() / there.sum()


def mean_iou(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean over the examples with a label of IoU = area of intersection / area of union.

    A box whose right edge lies left of its left edge (or bottom above top) covers nothing: its IoU
    with one that covers something is 0; two that cover nothing agree, their IoU is 1.

    Args:
        prediction, target: boxes ``(x0, y0, x1, y1)``, shape ``(B, 4)``.

    Raises:
        ValueError: for other shapes.
    """
    _check_same_shape("mean_iou", prediction, target)
    if prediction.ndim != 2 or prediction.shape[1] != 4:
        raise ValueError(f"mean_iou needs boxes of shape (B, 4), got {tuple(prediction.shape)}")
    there = has_label(target)
    dtype = torch.result_type(prediction, target)
    dtype = torch.promote_types(dtype, torch.float32)  # areas in pixels leave float16
    boxes = prediction[there].to(dtype), target[there].to(dtype)
    corners, ends = zip(*(box.split(2, dim=1) for box in boxes), strict=True)
    areas = [(end - corner).clamp(min=0).prod(1) for corner, end in zip(corners, ends, strict=True)]
    overlap = (torch.minimum(*ends) - torch.maximum(*corners)).clamp(min=0).prod(1)
    overlap = torch.minimum(overlap, torch.minimum(*areas))  # nothing overlaps an empty box
    union = areas[0] + areas[1] - overlap
    return torch.where(union == 0, 1.0, overlap / union).mean()


def pixel_iou(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean over the examples with a label of the IoU of two sets of pixels.

    A logit above 0 means "ink".

    Two empty sets agree: their IoU is 1.

    Args:
        prediction: logits, shape ``(B, H * W)`` or ``(B, H, W)``.
        target: 0 or 1, shape ``(B, H, W)``.

    Raises:
        ValueError: where they differ in their number of pixels.
    """
    if min(prediction.ndim, target.ndim) < 2:
        raise ValueError(
            f"pixel_iou needs one row of pixels an example, got shapes {tuple(prediction.shape)} "
            f"and {tuple(target.shape)}"
        )
    prediction, target = prediction.flatten(1), target.flatten(1)
    _check_same_shape("pixel_iou", prediction, target)
    there = has_label(target)
    prediction, target = prediction[there], target[there]
    predicted, true = prediction > 0, target > 0.5
    union = (predicted | true).sum(1)
    overlap = (predicted & true).sum(1)
    return torch.where(union > 0, overlap / union.clamp(min=1), 1.0).mean()


def _check_same_shape(metric: str, prediction: Tensor, target: Tensor) -> None:
    if prediction.shape != target.shape:
        raise ValueError(
            f"{metric} needs predictions and targets of one shape, got {tuple(prediction.shape)} "
            f"and {tuple(target.shape)}; reshape one of them"
        )


def pixel_cross_entropy(prediction: Tensor, target: Tensor) -> Tensor:
    """Binary cross-entropy averaged over pixels and examples, in nats.

    Args:
        prediction: logits, shape ``(B, H * W)`` or ``(B, H, W)``.
        target: 0 or 1, shape ``(B, H, W)``.
    """
    return F.binary_cross_entropy_with_logits(prediction.flatten(1), target.flatten(1))


ELEMENTWISE = (  # losses that would compare all with all where shapes differ
    *(F.mse_loss, nn.MSELoss, F.l1_loss, nn.L1Loss, F.huber_loss, nn.HuberLoss),
    *(F.smooth_l1_loss, nn.SmoothL1Loss),
    *(F.binary_cross_entropy, nn.BCELoss),
    *(F.binary_cross_entropy_with_logits, nn.BCEWithLogitsLoss),
)
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
