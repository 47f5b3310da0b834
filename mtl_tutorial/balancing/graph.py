"""What the losses reach: the graph says which parameters tasks share."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import BackwardCFunction
from torch.nn.parameter import is_lazy

from mtl_tutorial.balancing.replicas import (
    agree_on_reach,
    check_same_tasks,
    mean_over_replicas,
    replicated,
)
from mtl_tutorial.tasks import check_scalar

Scale = torch.amp.GradScaler | float | Tensor | None


def is_scaled(scale: Scale) -> bool:
    """Whether there is a scaler that skips steps with gradients that are not finite."""
    return scale is not None and not (
        isinstance(scale, torch.amp.GradScaler) and not scale.is_enabled()
    )


def factor_of(scale: Scale, loss: Tensor) -> Tensor | None:
    """Give the number that a ``scale`` stands for, where a loss lives and in its precision.

    Raises:
        ValueError: where it is no number above 0; that of a tensor is looked at on a CPU alone.
    """
    if not is_scaled(scale):
        return None
    if isinstance(scale, torch.amp.GradScaler):
        scale = scale.scale(torch.ones((), device=loss.device))
    if isinstance(scale, Tensor) and scale.numel() == 1:
        if scale.device.type != "cpu" or 0 < scale.item() < math.inf:
            return scale.to(loss.device, loss.dtype).view(())
    elif isinstance(scale, int | float) and 0 < scale < math.inf:
        return torch.full((), scale, dtype=loss.dtype, device=loss.device)
    raise ValueError(f"scale must be a GradScaler or a finite number above 0, got {scale!r}")


class Reached(NamedTuple):
    """The leaves of a graph.

    Args:
        leaves: every tensor that a backward pass would fill, once each.
        opaque: whether a function on the way is written in Python, as those of `torch.compile` and
            ``DataParallel`` are: such a function gives zeros where an output does not depend on an
            input, so that a gradient alone does not say whether the loss reaches the parameter.
    """

    leaves: list[Tensor]
    opaque: bool


def reached(losses: Iterable[Tensor]) -> Reached:
    """Walk the graph of the losses, from the losses to the leaves."""
    losses = list(losses)
    leaves = {id(loss): loss for loss in losses if loss.grad_fn is None}
    waiting = [loss.grad_fn for loss in losses if loss.grad_fn is not None]
    seen, opaque = set(waiting), False
    while waiting:
        node = waiting.pop()
        if isinstance(node, torch._C._functions.AccumulateGrad):
            leaves[id(node.variable)] = node.variable
            continue
        opaque = opaque or isinstance(node, BackwardCFunction)
        for following, _ in node.next_functions:
            if following is not None and following not in seen:
                seen.add(following)
                waiting.append(following)
    return Reached(list(leaves.values()), opaque)


def shared_parameters(losses: Mapping[str, Tensor], model: nn.Module) -> list[nn.Parameter]:
    """The trained parameters of a model that two or more losses reach: θ, each once.

    The graph is kept.

    Args:
        losses: a scalar tensor for each task's name.
        model: any module, wrapped or not.

    Raises:
        ValueError: where there is no loss, or one has no graph.
    """
    check_losses(losses)
    return _gradients(losses, model, None, keep=True).theta()


def task_gradients(losses: Mapping[str, Tensor], parameters: Iterable[Tensor]) -> Tensor:
    """Give the Jacobian of the losses: row i is ∇_θ L_i, flattened, 0 where it does not reach.

    Args:
        losses: a scalar tensor for each task's name.
        parameters: θ, such as ``shared_parameters(losses, model)``; frozen ones are left out.

    Returns:
        Shape ``(T, P)``, in float32 at least. The graph is kept, so ``backward`` can follow.

    Raises:
        ValueError: where a loss has no graph or reaches none of the parameters, or none is trained.
    """
    check_losses(losses)
    parameters = [parameter for parameter in parameters if parameter.requires_grad]
    if not parameters:
        raise ValueError("none of the parameters is trained; unfreeze one (requires_grad=True)")
    rows = []
    for name, loss in losses.items():
        row = pass_back(loss, parameters, None, keep=True)
        if all(gradient is None for gradient in row):
            raise ValueError(
                f"loss of task {name!r} does not reach the parameters; leave the task out, or let "
                f"it use them"
            )
        rows.append(row)
    return _jacobian(rows, parameters)


@dataclass(frozen=True)
class TaskGradients:
    """Every task's gradients, one backward pass a task.

    Args:
        names: of the tasks.
        shared: θ, the trained parameters that two or more losses reach.
        jacobian: row i is ∇_θ L_i, shape ``(T, P)``, in float32 at least; mean over the replicas
            under DistributedDataParallel.
        own: the index of a task, a parameter that its loss alone reaches, and the gradient.
        apart: the tasks whose losses reach nothing of θ.
        factor: what the passes were scaled by, and ``own`` is; the Jacobian is without it.
        rest: of an opaque graph, columns of θ that one task alone reaches after all, ``(T, P)``.
    """

    names: list[str]
    shared: list[nn.Parameter]
    jacobian: Tensor
    own: list[tuple[int, Tensor, Tensor]]
    apart: list[str]
    factor: Tensor | None
    rest: Tensor | None

    def theta(self) -> list[nn.Parameter]:
        """``shared``, without what an opaque graph took for shared."""
        if self.rest is None:
            return self.shared
        parts = self.rest.split([parameter.numel() for parameter in self.shared], dim=1)
        return [p for p, part in zip(self.shared, parts, strict=True) if not part.any()]

    def fill(self, direction: Tensor, weights: Tensor | None = None) -> None:
        """Add to ``.grad``, as ``backward`` does.

        Hooks of ``register_post_accumulate_grad_hook`` run; those of ``register_hook`` have seen
        each task's gradient.

        Args:
            direction: for θ, flattened, shape ``(P,)``.
            weights: of the tasks' own gradients, shape ``(T,)``; left out, 1 each.
        """
        if self.rest is not None:
            ones = self.rest.new_ones(len(self.rest))
            direction = direction + (ones if weights is None else weights) @ self.rest
        if self.factor is not None:
            direction = direction * self.factor
        sizes = [parameter.numel() for parameter in self.shared]
        for parameter, part in zip(self.shared, direction.split(sizes), strict=True):
            add_gradient(parameter, part.view(parameter.shape))
        for task, leaf, gradient in self.own:
            own = gradient.clone() if weights is None else weights[task] * gradient
            add_gradient(leaf, own)


def split_gradients(
    losses: Mapping[str, Tensor], model: nn.Module, scale: Scale = None
) -> TaskGradients:
    """Give every task's gradients of θ and of what is its own; the graph is freed.

    A parameter that two or more losses reach belongs to θ, once, however often the model holds it;
    one that a single loss reaches is that task's own, and so is what lies outside of the model.

    Args:
        scale: ``.grad`` gets the gradients of ``scale * loss``.

    Raises:
        ValueError: where there is no loss or one has no graph; or where one of several reaches no
            parameter that another reaches.
    """
    check_losses(losses)
    gradients = _gradients(losses, model, scale, keep=False)
    if len(losses) > 1 and not gradients.shared:
        raise ValueError(_nothing_shared(gradients, model))
    if len(losses) > 1 and gradients.apart:
        raise ValueError(
            f"loss of task {gradients.apart[0]!r} shares no trained parameter with another, so "
            f"there is nothing to balance it with; train this task by itself, or use FixedWeights()"
        )
    return gradients


def _gradients(
    losses: Mapping[str, Tensor], model: nn.Module, scale: Scale, *, keep: bool
) -> TaskGradients:
    _check_model(model)
    graph = reached(losses.values())
    inside = [p for p in model.parameters() if p.requires_grad and not is_lazy(p)]
    known = {id(parameter) for parameter in inside}
    outside = [leaf for leaf in graph.leaves if leaf.requires_grad and id(leaf) not in known]
    leaves, last = [*inside, *outside], len(losses) - 1
    rows: Sequence[Sequence[Tensor | None]] = [
        pass_back(loss, leaves, scale, keep=keep or i < last)
        for i, loss in enumerate(losses.values())
    ]
    if replicated(model) is not None:
        check_same_tasks(losses, model)
        rows = agree_on_reach(rows, leaves, model)
    by_two = [k for k in range(len(inside)) if sum(row[k] is not None for row in rows) > 1]
    shared, of_shared = [inside[k] for k in by_two], [[row[k] for k in by_two] for row in rows]
    _check_dense(model, shared, of_shared)
    taken = set(by_two)
    apart = [n for n, row in zip(losses, of_shared, strict=True) if all(g is None for g in row)]
    own = [
        (i, leaves[k], mean_over_replicas(gradient, model))
        for i, row in enumerate(rows)
        for k, gradient in enumerate(row)
        if gradient is not None and k not in taken
    ]
    if shared:
        jacobian = mean_over_replicas(_jacobian(of_shared, shared), model)
    else:
        like = next(iter(losses.values()))
        jacobian = torch.zeros(len(losses), 0, dtype=wide(like.dtype), device=like.device)
    if (factor := factor_of(scale, jacobian)) is not None:
        jacobian = jacobian / factor
    rest = None
    if graph.opaque and shared:
        mask = _reached_by_two(jacobian, shared)
        jacobian, rest = jacobian * mask, jacobian * ~mask
    return TaskGradients(list(losses), shared, jacobian, own, apart, factor, rest)


def _reached_by_two(jacobian: Tensor, shared: Sequence[Tensor]) -> Tensor:
    """Columns of parameters on which two tasks' gradients are not all 0, ``(P,)``, bool.

    A task whose gradient is 0 everywhere counts as reaching them all.
    """
    sizes = [parameter.numel() for parameter in shared]
    touched = torch.stack([part.any(1) for part in jacobian.split(sizes, dim=1)], dim=1)
    touched = touched | ~touched.any(1, keepdim=True)
    several = touched.sum(0) > 1
    return torch.cat([one.expand(size) for one, size in zip(several, sizes, strict=True)])


EXPLAINED = {  # what torch says, and what to do
    "donated buffers": (
        "the compiled model gives its buffers away in the first of several backward passes; set "
        "torch._functorch.config.donated_buffer = False before the model's first call, or train it "
        "with mtl_tutorial.training.fit, which does"
    ),
    "use_reentrant": (
        "a part of the model is checkpointed with use_reentrant=True, which gives no gradients "
        "task by task; call torch.utils.checkpoint.checkpoint with use_reentrant=False"
    ),
    "cudnn RNN backward": (
        "a recurrent layer of cuDNN gives no gradients in evaluation mode; measure inside "
        "torch.backends.cudnn.flags(enabled=False)"
    ),
    "graph a second time": (
        "the graph of the losses is gone after one backward pass; call the balancer in place of "
        "loss.backward(), once for each forward pass"
    ),
}


def pass_back(
    loss: Tensor, parameters: Sequence[Tensor], scale: Scale, *, keep: bool
) -> tuple[Tensor | None, ...]:
    """Give the gradients of one loss times ``scale``; None for what it does not reach."""
    factor = factor_of(scale, loss)
    try:
        return torch.autograd.grad(loss, parameters, factor, retain_graph=keep, allow_unused=True)
    except RuntimeError as error:
        for words, explanation in EXPLAINED.items():
            if words in str(error):
                raise ValueError(explanation) from error
        raise


def wide(dtype: torch.dtype) -> torch.dtype:
    """float32 at least: squares of float16 overflow or vanish."""
    return torch.promote_types(dtype, torch.float32)


def _jacobian(rows: Sequence[Sequence[Tensor | None]], parameters: Sequence[Tensor]) -> Tensor:
    return torch.stack([flattened(row, parameters) for row in rows])


def flattened(row: Sequence[Tensor | None], parameters: Sequence[Tensor]) -> Tensor:
    """One task's gradients as one vector, in float32 at least, 0 for what it does not reach."""
    dtype = wide(parameters[0].dtype)
    for parameter in parameters[1:]:
        dtype = torch.promote_types(dtype, parameter.dtype)
    parts = [
        (torch.zeros_like(parameter) if gradient is None else gradient.to_dense()).flatten()
        for gradient, parameter in zip(row, parameters, strict=True)
    ]
    return torch.cat([part.to(parameters[0].device, dtype) for part in parts])


def add_gradient(parameter: Tensor, gradient: Tensor) -> None:
    """Add to a leaf's ``.grad``, and run its post-accumulate hooks, as ``backward`` does.

    Args:
        gradient: nobody else's memory; where it is laid out as the leaf is, it becomes ``.grad``.
    """
    with torch.no_grad():
        gradient = gradient.to(parameter.device, parameter.dtype)
        if parameter.grad is None:
            if not gradient.is_sparse and gradient.stride() != parameter.stride():
                gradient = torch.empty_like(parameter).copy_(gradient)
            parameter.grad = gradient
        elif parameter.grad.is_sparse and not gradient.is_sparse:
            parameter.grad = gradient + parameter.grad
        else:
            parameter.grad += gradient
    for hook in (parameter._post_accumulate_grad_hooks or {}).values():
        hook(parameter)


def check_losses(losses: Mapping[str, Tensor]) -> None:
    """Check that there are losses, and that a gradient can be taken of each.

    Raises:
        ValueError: where they are no dict; naming the first task whose loss is no scalar tensor,
            or has no graph.
    """
    if not isinstance(losses, Mapping):
        raise ValueError(
            f"losses must be a dict by task name, got a {type(losses).__name__}; "
            f"mtl_tutorial.tasks.task_losses gives one"
        )
    if not losses:
        raise ValueError("there is no loss to go down on; at least 1 task is needed")
    for name, loss in losses.items():
        check_scalar(name, loss)
        if not loss.requires_grad:
            raise ValueError(
                f"loss of task {name!r} depends on no trained parameter; was it computed under "
                f"no_grad, or is everything frozen that it uses?"
            )


def _check_model(model: nn.Module) -> None:
    if not isinstance(model, nn.Module):
        raise ValueError(
            f"model must be the torch module that the losses were computed with, got a "
            f"{type(model).__name__}"
        )
    first = next(model.parameters(), None)
    if type(model).__name__ == "FullyShardedDataParallel" or hasattr(first, "device_mesh"):
        raise ValueError(
            f"the parameters of this {type(model).__name__} are sharded over processes, and task "
            f"gradients are compared whole; use DistributedDataParallel, or FixedWeights()"
        )


def _check_dense(
    model: nn.Module, shared: Sequence[Tensor], rows: Sequence[Sequence[Tensor | None]]
) -> None:
    for k, parameter in enumerate(shared):
        of_tasks = [gradient for row in rows if (gradient := row[k]) is not None]
        if any(gradient.layout != torch.strided for gradient in of_tasks):
            rule, way_out = "sparse", "build its embedding with sparse=False"
        elif parameter.is_complex():
            rule, way_out = "complex", "hold its real and imaginary part in two parameters"
        else:
            continue
        raise ValueError(
            f"the gradient of shared parameter {_name_of(parameter, model)!r} is {rule}, and task "
            f"gradients are compared as rows of real numbers; {way_out}, or use FixedWeights()"
        )


def _name_of(parameter: Tensor, model: nn.Module) -> str:
    return next(name for name, p in model.named_parameters() if p is parameter)


def _nothing_shared(gradients: TaskGradients, model: nn.Module) -> str:
    parameters = list(model.parameters())
    if not {id(p) for p in parameters} & {id(p) for _, p, _ in gradients.own}:
        return (
            f"the losses {gradients.names} reach no trained parameter of this "
            f"{type(model).__name__}; give the model that they were computed with"
        )
    frozen = sum(not parameter.requires_grad for parameter in parameters)
    why = f" ({frozen} of its {len(parameters)} parameters are frozen)" if frozen else ""
    return (
        f"no trained parameter of {type(model).__name__}{why} is reached by two of the losses "
        f"{gradients.names}, so there is nothing to balance; let tasks share layers, or use "
        f"FixedWeights()"
    )
