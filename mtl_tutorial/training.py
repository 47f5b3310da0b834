"""The one training loop, and what it leaves behind."""

from __future__ import annotations

import inspect
import math
import numbers
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

import pandas as pd
import torch
from torch import Tensor, nn

from mtl_tutorial.balancing import Balancer, NonFiniteError
from mtl_tutorial.measuring import Score
from mtl_tutorial.tasks import Batch, Task, has_label, task_losses, unique_names

CHECK_EVERY = 64  # steps between two looks at the losses on a GPU; each look waits for it


class NonFiniteLossError(ArithmeticError):
    """A loss or a gradient became NaN or infinite; ``task`` and ``step`` say whose and when.

    ``history`` is what a caller that keeps one has recorded so far.
    """

    def __init__(
        self, task: str, step: int, value: float, what: str = "loss", why: str = ""
    ) -> None:
        self.task, self.step = task, step
        self.history: History | None = None
        super().__init__(
            f"{what} of task {task!r} became {value} at step {step}{why}; lower the learning rate "
            f"or the weight of the task. The history up to step {step - 1} is kept"
        )


@dataclass(frozen=True)
class StepRecord:
    """What one training step did; of the tasks that had a label in it.

    Args:
        step: its number, from 1.
        losses: the loss of each task before the step, detached, on the training device.
        weights: the weight that each task got, likewise.
    """

    step: int
    losses: dict[str, Tensor]
    weights: dict[str, Tensor]


def fit(
    model: nn.Module,
    tasks: Iterable[Task],
    data: Iterable[Batch],
    balancer: Balancer,
    optimizer: torch.optim.Optimizer,
    steps: int,
) -> Iterator[StepRecord]:
    """Train, one step an item; the caller decides when to draw, evaluate or stop.

    Nothing is trained before the first item is asked for. Between two items the caller may
    change weights or learning rates: the next step uses them. Training ends early where
    ``data`` does. A task without a label in a batch sits that step out; a batch in which no task
    has one counts as a step, and changes nothing.

    Args:
        model: ``model(inputs)`` gives one prediction for each task's name.
        tasks: what to train on.
        data: batches, such as ``scenes.stream(64, generator)``.
        balancer: fills the gradients from the losses.
        optimizer: steps the parameters.
        steps: number of steps.

    Raises:
        ValueError: where steps are no whole number from 0 on; there is no task, two have one name,
            or one has no prediction, a loss that is not a scalar, or no label in any step; or where
            the balancer, the optimizer or the data can't be used.
        NonFiniteLossError: where a loss or a gradient is NaN or infinite. On the CPU the step that
            would have used it is not made; on a GPU a loss is found at most 64 steps later.
    """
    tasks = tuple(tasks)
    names = unique_names(tasks)
    _check_parts(model, data, balancer, optimizer, steps)
    unchecked: list[StepRecord] = []
    unlabelled, step = set(names), 0
    seen: set[str] = set()
    parts, reusable = list(model.modules()), _reusable_graph(model)
    for step, batch in zip(range(1, steps + 1), data, strict=False):
        if not isinstance(batch, Batch):
            raise ValueError(
                f"data must give Batch objects, got {type(batch).__name__}; wrap inputs and "
                f"targets by Batch(inputs, targets)"
            )
        if step == 1 or not all(part.training for part in parts):
            model.train()  # it is slow, so not where it would do nothing
        chance = torch.get_rng_state()
        with reusable(), nullcontext() if _has_labels(batch, names) else _without_trace(model):
            losses = _losses(model, batch, tasks)
        record = StepRecord(step, {name: loss.detach() for name, loss in losses.items()}, {})
        seen |= batch.targets.keys()
        unlabelled -= losses.keys()
        if losses:
            unchecked.append(record)
            on_cpu = all(loss.device.type == "cpu" for loss in losses.values())
            if on_cpu or len(unchecked) == CHECK_EVERY or step == steps:
                _check_losses(unchecked, batch)
                unchecked.clear()
            optimizer.zero_grad()
            try:
                with reusable():
                    weights = balancer.backward(losses, model)
            except NonFiniteError as error:
                optimizer.zero_grad()
                task = str(error.task)
                raise NonFiniteLossError(task, step, error.value, error.what) from error
            if not isinstance(weights, Mapping) or weights.keys() != losses.keys():
                raise ValueError(
                    f"backward() of {type(balancer).__name__} must give a weight for each of the "
                    f"tasks {list(losses)}, got {weights!r}"
                )
            record.weights.update(weights)
            if on_cpu:
                _check_gradients(optimizer, model, batch, tasks, step, chance)
            optimizer.step()
            balancer.after_step(lambda again=(batch, tasks, chance): _losses_again(model, *again))
        yield record
    if unchecked:
        _check_losses(unchecked)
    if step and unlabelled:
        raise ValueError(
            f"task {min(unlabelled)!r} had no label in any of {step} steps, and was not trained; "
            f"the batches have labels for {sorted(seen)}. Give it some (not all NaN or -100), or "
            f"leave the task out"
        )


def _check_parts(
    model: nn.Module,
    data: Iterable[Batch],
    balancer: Balancer,
    optimizer: torch.optim.Optimizer,
    steps: int,
) -> None:
    if not isinstance(model, nn.Module):
        raise ValueError(f"model must be a torch module, got a {type(model).__name__}")
    if not isinstance(data, Iterable):
        raise ValueError(
            f"data must give Batch objects one after the other, got one {type(data).__name__}; "
            f"put batches in a list, such as [batch] * steps"
        )
    if not isinstance(balancer, Balancer):
        raise ValueError(
            f"balancer must be a Balancer, got {balancer!r}; make one, such as PCGrad(), or let "
            f"its class be a mtl_tutorial.balancing.Balancer"
        )
    if not isinstance(optimizer, torch.optim.Optimizer):
        raise ValueError(
            f"optimizer must be one of torch.optim's kind, got a {type(optimizer).__name__}"
        )
    held = {id(p) for group in optimizer.param_groups for p in group["params"]}
    if not any(id(parameter) in held for parameter in model.parameters()):
        raise ValueError(
            f"this {type(optimizer).__name__} holds no parameter of this {type(model).__name__}, "
            f"and would not train it; make it from model.parameters()"
        )
    closure = inspect.signature(optimizer.step).parameters.get("closure")
    if closure is not None and closure.default is inspect.Parameter.empty:
        raise ValueError(
            f"{type(optimizer).__name__} asks for the losses several times in a step, and a "
            f"balancer weighs them once; use an optimizer whose step() needs no closure, such as "
            f"torch.optim.SGD or Adam"
        )
    if not isinstance(steps, numbers.Integral) or steps < 0:
        raise ValueError(f"steps must be a whole number from 0 on, got {steps}")


def _losses(model: nn.Module, batch: Batch, tasks: Sequence[Task]) -> dict[str, Tensor]:
    return task_losses(model(batch.inputs), batch.targets, tasks, complete=batch.complete)


def _has_labels(batch: Batch, names: Iterable[str]) -> bool:
    """Whether any of these tasks has a label; what is no tensor, a loss finds out."""
    targets = [batch.targets[name] for name in names if batch.targets.get(name) is not None]
    return any(
        batch.complete or not isinstance(target, Tensor) or bool(has_label(target).any())
        for target in targets
    )


@contextmanager
def _without_trace(model: nn.Module, chance: Tensor | None = None) -> Iterator[None]:
    """Inside, a pass of the model leaves its buffers and the random state as they were.

    Args:
        chance: the random state to begin with, so that dropout is that of an earlier pass.
    """
    buffers = [(buffer, buffer.clone()) for buffer in model.buffers()]
    gpus = {p.device.index for p in model.parameters() if p.device.type == "cuda"}
    try:
        with torch.random.fork_rng(devices=gpus):
            if chance is not None:
                torch.set_rng_state(chance)
            yield
    finally:
        with torch.no_grad():
            for buffer, before in buffers:
                buffer.copy_(before)


def _losses_again(
    model: nn.Module, batch: Batch, tasks: Sequence[Task], chance: Tensor
) -> dict[str, Tensor]:
    """Compute the losses of a batch once more, from the same random state, without a trace."""
    with _without_trace(model, chance):
        return _losses(model, batch, tasks)


def _reusable_graph(model: nn.Module) -> Callable[[], AbstractContextManager[object]]:
    """Inside what is given, a compiled model keeps its buffers for the passes of several tasks."""
    compiled = any(
        "_orig_mod" in part._modules or part._compiled_call_impl is not None
        for part in model.modules()
    )
    if not compiled:
        return nullcontext
    import torch._functorch.config as functorch  # slow to import

    return lambda: functorch.patch(donated_buffer=False)


def _check_losses(records: Sequence[StepRecord], batch: Batch | None = None) -> None:
    values = torch.stack([loss for record in records for loss in record.losses.values()])
    if values.isfinite().all():
        return
    places = [(record.step, name) for record in records for name in record.losses]
    for (step, name), value in zip(places, values.tolist(), strict=True):
        if not math.isfinite(value):
            last = step == records[-1].step  # the one that the batch belongs to
            raise NonFiniteLossError(name, step, value, why=_why(name, batch if last else None))


def _why(task: str, batch: Batch | None) -> str:
    """Say what is wrong with the labels, where they are the cause."""
    if batch is None or task not in batch.targets:
        return ""
    target = batch.targets[task]
    missing = int((~has_label(target)).sum())
    if missing and batch.complete:
        return (
            f", for {missing} of its {len(target)} labels are missing (NaN or -100), though the "
            f"batch is said to be complete"
        )
    if infinite := int(target.isinf().sum()):
        return f", for {infinite} of the numbers in its labels are infinite"
    return ""


def _check_gradients(
    optimizer: torch.optim.Optimizer,
    model: nn.Module,
    batch: Batch,
    tasks: Sequence[Task],
    step: int,
    chance: Tensor,
) -> None:
    """Check what the optimizer is about to use; only where something is wrong, find out whose.

    Args:
        chance: the random state before the losses were computed.

    Raises:
        NonFiniteLossError: naming the task.
    """
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    gradients = [p.grad.detach() for p in parameters if p.grad is not None]
    dense = [g.coalesce().values() if g.is_sparse else g for g in gradients]
    norms = [norm.float() for norm in torch._foreach_norm(dense)] if dense else []
    if not norms or math.isfinite(torch.stack(norms).sum()):
        return
    if all(g.isfinite().all() for g in dense):  # large, but numbers: their squares overflowed
        return
    optimizer.zero_grad()
    with _without_trace(model, chance):
        losses = _losses(model, batch, tasks)
        largest = {name: _largest(loss, parameters) for name, loss in losses.items()}
    for name, value in largest.items():
        if not math.isfinite(value):
            why = f", though its loss is {losses[name].item():.3g}: look for a division by zero or "
            raise NonFiniteLossError(name, step, value, "gradient", why + "a root of zero in it")
    raise NonFiniteLossError(
        max(largest, key=largest.__getitem__), step, math.inf, "weighted gradient"
    )


def _largest(loss: Tensor, parameters: Sequence[Tensor]) -> float:
    """The largest entry of a loss's gradient."""
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    gradients = torch.autograd.grad(loss, trained, retain_graph=True, allow_unused=True)
    largest = [g.detach().to_dense().abs().amax() for g in gradients if g is not None and g.numel()]
    return torch.stack([value.float() for value in largest]).amax().item() if largest else 0.0


class History:
    """The records of a training run, and scores taken on the way."""

    def __init__(self) -> None:
        self.records: list[StepRecord] = []
        self.scores: list[tuple[int, dict[str, Score]]] = []

    def __len__(self) -> int:
        return len(self.records)

    def append(self, record: StepRecord) -> None:
        """Keep what a training step did."""
        self.records.append(record)

    def add_scores(self, step: int, scores: dict[str, Score]) -> None:
        """Keep validation scores taken after ``step`` steps."""
        self.scores.append((step, scores))

    def to_frame(self) -> pd.DataFrame:
        """Give everything as a tidy table: ``step``, ``task``, ``quantity``, ``value``.

        The quantities are ``loss`` and ``weight`` (every step), and ``validation loss`` and
        ``validation metric`` (where scores were taken).
        """
        rows = []
        if self.records:
            numbers = [
                (record.step, name, quantity, value)
                for record in self.records
                for name in record.losses
                for quantity, value in (
                    ("loss", record.losses[name]),
                    ("weight", record.weights[name]),
                )
            ]
            values = torch.stack([value.float() for *_, value in numbers]).tolist()
            rows = [(*label[:3], value) for label, value in zip(numbers, values, strict=True)]
        for step, scores in self.scores:
            for name, score in scores.items():
                rows.append((step, name, "validation loss", score.loss))
                rows.append((step, name, "validation metric", score.metric))
        return pd.DataFrame(rows, columns=["step", "task", "quantity", "value"])
