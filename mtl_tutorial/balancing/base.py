"""What every balancer is: a class with one method, and a memory where it needs one."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from mtl_tutorial.balancing.graph import Scale, check_losses, factor_of, wide
from mtl_tutorial.balancing.replicas import check_same_tasks

if TYPE_CHECKING:
    from typing_extensions import Self

Numbers = Tensor | Sequence[float]


class Balancer:
    """Turns the losses of several tasks into one set of gradients.

    Subclasses give `backward`. One that remembers something of each task keeps it in ``memory``:
    then it is saved, loaded, and kept for tasks that are not there in a step.

    Attributes:
        memory: a row of numbers for each task's name.
        replayable: whether `backward` changes nothing but gradients, ``memory`` and generators,
            and reads no value, so that a CUDA graph may replay it; what else it does in Python,
            `replayed` does too. A method that does not say so is never replayed.
    """

    memory: dict[str, Tensor]
    replayable: bool = False

    def __new__(cls, *args: Any, **options: Any) -> Self:
        """Give a balancer that remembers nothing yet, whatever its ``__init__`` does."""
        balancer = super().__new__(cls)
        balancer.memory = {}
        return balancer

    def backward(
        self, losses: Mapping[str, Tensor], model: nn.Module, *, scale: Scale = None
    ) -> dict[str, Tensor]:
        """Fill ``.grad``, and give the weight that each task got, a tensor without dimensions.

        It stands where ``sum(losses.values()).backward()`` would stand: gradients are added to what
        ``.grad`` holds, nothing waits for the device, and any module will do, wrapped or not.

        Args:
            losses: a scalar tensor for each task's name; the tasks that are there in this step.
            model: what the losses were computed with.
            scale: a GradScaler, or a number; the losses are given without it. ``.grad`` gets the
                gradients of ``scale * loss``, weights are as without it, and gradients that are
                not finite are left for ``scaler.step``, which then skips the step.

        Raises:
            ValueError: where there is no loss, or one is no scalar or has no graph.
        """
        raise NotImplementedError(f"{type(self).__name__} needs a method backward()")

    def after_step(self, losses: Any) -> None:
        """Learn from what the step did; called by `fit` after every step of the optimizer.

        Args:
            losses: a function without arguments that gives the losses of the same batch anew.
        """

    def replayed(self) -> None:
        """Do what `backward` does in Python, after a step that a CUDA graph has replayed."""

    @property
    def method_name(self) -> str:
        """Whose state it is that `state_dict` gives."""
        return type(self).__name__

    def state_dict(self) -> dict[str, Any]:
        """What is remembered, of each task and else, and whose it is; to be saved."""
        memory = {name: row.clone() for name, row in self.memory.items()}
        return {"of": self.method_name, "memory": memory}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take what `state_dict` gave.

        Raises:
            ValueError: where it is the state of something else; nothing is changed then.
        """
        given = state if isinstance(state, Mapping) else {}
        if (of := given.get("of", "something else")) != self.method_name:
            raise ValueError(
                f"this is the state of {of}, and not of {self.method_name}; load what its own "
                f"state_dict() gave"
            )
        expected = self.state_dict().keys()
        if state.keys() != expected:
            raise ValueError(
                f"this state of {self.method_name} has the parts {sorted(state)} in place of "
                f"{sorted(expected)}; make the balancer as the one that was saved"
            )
        self.memory = {name: row.clone() for name, row in state["memory"].items()}

    def recall(self, names: Iterable[str], start: Tensor) -> Tensor:
        """Give the rows of ``memory`` of these tasks, shape ``(T, ...)``, where ``start`` lives.

        Args:
            start: a row for each task, taken for those that are new, shape ``(T, ...)``.
        """
        rows = [self.memory.get(name, new) for name, new in zip(names, start, strict=True)]
        return torch.stack([row.to(start.device, start.dtype) for row in rows])

    def remember(self, names: Iterable[str], rows: Tensor, old: Tensor) -> None:
        """Keep a row for each of these tasks; the old rows where a number is not finite.

        A step that a scaler skips for the sake of these numbers teaches nothing.

        Args:
            rows, old: shape ``(T, ...)``.
        """
        rows = torch.where(rows.isfinite().all(), rows, old).detach()
        self.memory |= dict(zip(names, rows.unbind(), strict=True))


def backward_weighted_sum(
    losses: Mapping[str, Tensor],
    weights: Mapping[str, float | Tensor],
    model: nn.Module,
    scale: Scale = None,
) -> dict[str, Tensor]:
    """Fill ``.grad`` with ∇ Σ_i λ_i L_i, of shared and task parameters alike, and give the λ_i.

    Args:
        losses: a scalar tensor for each task's name.
        weights: λ_i, likewise; a constant.
        scale: the gradients are those of ``scale * Σ_i λ_i L_i``.

    Raises:
        ValueError: where there is no loss, or one is no scalar or has no graph.
    """
    check_losses(losses)
    check_same_tasks(losses, model)
    used = {
        name: weight.detach()
        if isinstance(weight := weights[name], Tensor)
        else torch.full((), weight, dtype=wide(loss.dtype), device=loss.device)
        for name, loss in losses.items()
    }
    starts = []  # ∂/∂L_i of the sum, which need not be computed for that
    for name, loss in losses.items():
        start = used[name]
        if (factor := factor_of(scale, start)) is not None:
            start = start * factor
        starts.append(start.to(loss.device, loss.dtype))
    torch.autograd.backward(list(losses.values()), starts)
    return used


def as_floats(numbers: Numbers) -> Tensor:
    """Give numbers as a tensor of floating-point numbers."""
    tensor = torch.as_tensor(numbers)
    return tensor if tensor.is_floating_point() else tensor.float()


def check_one_length(**numbers: Tensor) -> None:
    """Check that there is one number for each task in all of these, by what they are.

    Raises:
        ValueError: where it is not so.
    """
    shapes = {what: tuple(values.shape) for what, values in numbers.items()}
    if len(set(shapes.values())) > 1 or any(len(shape) != 1 for shape in shapes.values()):
        names, got = " and ".join(shapes), list(shapes.values())
        raise ValueError(f"{names} must have one number a task, got shapes {got}")


def stacked(losses: Mapping[str, Tensor]) -> Tensor:
    """The values of the losses, detached, in float32 at least, shape ``(T,)``."""
    values = [loss.detach() for loss in losses.values()]
    return torch.stack([value.to(values[0].device, wide(value.dtype)) for value in values])


class NonFiniteError(ValueError):
    """A loss or a gradient of a task is NaN or infinite: the training has diverged.

    Args:
        what: what it is, such as ``"gradient"``.
        task: whose.
        value: what it became.
    """

    def __init__(self, what: str, task: Hashable, value: float) -> None:
        self.what, self.task, self.value = what, task, value
        super().__init__(
            f"{what} of task {task!r} is {value}; lower the learning rate, or look for a division "
            f"by zero, a root of zero or a number near 1e38 in its loss"
        )


def check_finite(values: Tensor, names: Iterable[Hashable], what: str) -> None:
    """Check one number for each task, where that does not have to wait for a device: on a CPU.

    Args:
        values: shape ``(T,)``.
        what: what they are, such as ``"gradient"``.

    Raises:
        NonFiniteError: naming the first task whose number is NaN or infinite.
    """
    if values.device.type != "cpu" or values.isfinite().all():
        return
    for name, value in zip(names, values.tolist(), strict=True):
        if not abs(value) < float("inf"):
            raise NonFiniteError(what, name, value)


def check_positive(values: Tensor, names: Iterable[Hashable], what: str, *, strict: bool) -> None:
    """Check one number for each task, where that does not have to wait for a device: on a CPU.

    Args:
        values: shape ``(T,)``.
        what: why they must be so, such as ``"GradNorm divides by the first loss"``.
        strict: whether 0 is refused too.

    Raises:
        ValueError: naming the first task whose number is below 0, or 0 where ``strict``.
    """
    if values.device.type != "cpu":
        return
    wrong = values <= 0 if strict else values < 0
    if wrong.any():
        place = int(wrong.nonzero()[0])
        rule = "above 0" if strict else "≥ 0"
        raise ValueError(
            f"{what}, so it needs losses {rule}; that of task {list(names)[place]!r} is "
            f"{values[place].item():.3g}; leave the task out, or shift its loss"
        )
