"""What every balancer does, and the gradients that it looks at."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Protocol

import torch
from torch import Tensor, nn


class Balancer(Protocol):
    """Turns the losses of several tasks into one set of gradients."""

    def backward(self, losses: Mapping[str, Tensor], model: nn.Module) -> dict[str, float]:
        """Fill ``.grad`` of the model's parameters, and give the weight that each task got.

        It stands where ``sum(losses.values()).backward()`` would stand.

        Args:
            losses: a scalar tensor for each task's name.
            model: knows its ``shared_parameters()`` and ``task_parameters(name)``. A weighted sum
                asks for neither: a loss without a head of its own, such as a penalty, may be in it.
        """
        ...


def task_gradients(losses: Mapping[str, Tensor], parameters: Sequence[Tensor]) -> Tensor:
    """Give the Jacobian of the losses: row i is ∇_θ L_i, flattened.

    Args:
        losses: a scalar tensor for each task's name.
        parameters: θ, usually ``model.shared_parameters()``.

    Returns:
        Shape ``(T, P)``, over ``trained(parameters)``. The graph is kept, so ``backward`` can
        follow.

    Raises:
        ValueError: where a loss has no graph or does not reach the parameters, or none is trained.
    """
    check_graphs(losses)
    if not (parameters := trained(parameters)):
        raise ValueError("none of the parameters is trained; unfreeze one (requires_grad=True)")
    rows = []
    for name, loss in losses.items():
        gradients = torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True)
        rows.append(_flat(name, gradients, parameters))
    return torch.stack(rows)


def split_gradients(
    losses: Mapping[str, Tensor], model: nn.Module
) -> tuple[Tensor, list[tuple[nn.Parameter, Tensor]]]:
    """Give the Jacobian of the shared parameters, and each task's gradient of its own ones.

    One backward pass for each task. The graph is freed.

    Returns:
        The Jacobian, shape ``(T, P)``, over ``trained(model.shared_parameters())``; and pairs of a
        task's own parameter and its gradient ∇_φi L_i.

    Raises:
        ValueError: where there are fewer than two tasks, the model lacks one, a loss has no graph
            or does not reach the shared parameters, or none of these is trained.
    """
    check_several(losses)
    check_graphs(losses)
    shared = shared_parameters(model)
    rows, own_gradients = [], []
    for left, (name, loss) in enumerate(losses.items(), start=1 - len(losses)):
        own = trained(model.task_parameters(name))
        gradients = torch.autograd.grad(
            loss, [*shared, *own], retain_graph=left < 0, allow_unused=True
        )
        rows.append(_flat(name, gradients[: len(shared)], shared))
        own_gradients += [
            (parameter, gradient)
            for parameter, gradient in zip(own, gradients[len(shared) :], strict=True)
            if gradient is not None
        ]
    return torch.stack(rows), own_gradients


def backward_weighted_sum(losses: Mapping[str, Tensor], weights: Mapping[str, float]) -> None:
    """Fill ``.grad`` with ∇ Σ_i λ_i L_i, of shared and task parameters alike.

    Args:
        losses: a scalar tensor for each task's name.
        weights: λ_i, likewise.

    Raises:
        ValueError: where there is no loss, or one has no graph.
    """
    check_graphs(losses)
    sum(weights[name] * loss for name, loss in losses.items()).backward()


def fill_gradients(
    model: nn.Module, direction: Tensor, own_gradients: Iterable[tuple[nn.Parameter, Tensor]]
) -> None:
    """Add to ``.grad``, as ``backward`` does: a direction for θ, and each task's own gradients.

    Args:
        model: knows its ``shared_parameters()``.
        direction: for ``trained(model.shared_parameters())``, flattened, shape ``(P,)``.
        own_gradients: as `split_gradients` gives them.
    """
    shared = trained(model.shared_parameters())
    parts = direction.split([parameter.numel() for parameter in shared])
    pairs = [(p, part.view_as(p).to(p.dtype)) for p, part in zip(shared, parts, strict=True)]
    for parameter, gradient in (*pairs, *own_gradients):
        parameter.grad = gradient if parameter.grad is None else parameter.grad + gradient


def trained(parameters: Iterable[nn.Parameter]) -> list[nn.Parameter]:
    """Those parameters that are not frozen."""
    return [parameter for parameter in parameters if parameter.requires_grad]


def shared_parameters(model: nn.Module) -> list[nn.Parameter]:
    """The shared parameters that are trained: θ.

    Raises:
        ValueError: where the model shares none, or all of them are frozen.
    """
    shared = model.shared_parameters()
    if not shared:
        raise ValueError(
            f"{type(model).__name__} shares no parameter between its tasks, so there is nothing "
            f"to balance; use FixedWeights()"
        )
    if not (left := trained(shared)):
        raise ValueError(
            f"all {len(shared)} shared parameters of {type(model).__name__} are frozen "
            f"(requires_grad=False), so there is nothing to balance; unfreeze them, or use "
            f"FixedWeights()"
        )
    return left


def check_several(losses: Mapping[str, Tensor]) -> None:
    """Check that there is something to balance.

    Raises:
        ValueError: where there are fewer than two tasks.
    """
    if len(losses) < 2:
        raise ValueError(
            f"balancing needs at least 2 tasks, got {list(losses)}; use FixedWeights() for one"
        )


def check_graphs(losses: Mapping[str, Tensor]) -> None:
    """Check that there are losses, and that a gradient can be taken of each.

    Raises:
        ValueError: naming the first task whose loss has no graph.
    """
    if not losses:
        raise ValueError("there is no loss to go down on; at least 1 task is needed")
    for name, loss in losses.items():
        if not loss.requires_grad:
            raise ValueError(
                f"loss of task {name!r} depends on no trained parameter; was it computed under "
                f"no_grad, or is everything frozen that it uses?"
            )


class NonFiniteError(ValueError):
    """A loss or a gradient of a task is NaN or infinite: the training has diverged."""


def check_finite(values: Sequence[float], names: Iterable[Hashable], what: str) -> None:
    """Check one number for each task.

    Args:
        what: what they are, such as ``"gradient"``.

    Raises:
        NonFiniteError: naming the first task whose number is NaN or infinite.
    """
    for name, value in zip(names, values, strict=True):
        if not abs(value) < float("inf"):
            raise NonFiniteError(
                f"{what} of task {name!r} is {value}; lower the learning rate, or look for a "
                f"division by zero or a root of zero in its loss"
            )


def progress(losses: Sequence[float], earlier: Sequence[float]) -> list[float]:
    """Give L_i / L_i', with L_i' an earlier value of the same loss.

    Raises:
        ValueError: where a loss is negative, an earlier one not above 0, or a number not finite.
    """
    for now, then in zip(losses, earlier, strict=True):
        if not (0 <= now and 0 < then < float("inf") and now / then < float("inf")):
            raise ValueError(
                f"a loss is divided by an earlier value of it, so it must be finite and ≥ 0 and "
                f"the earlier value finite and > 0, got {now} and {then}; leave such a task out"
            )
    return [now / then for now, then in zip(losses, earlier, strict=True)]


def _flat(name: str, gradients: Sequence[Tensor | None], parameters: Sequence[Tensor]) -> Tensor:
    if all(gradient is None for gradient in gradients):
        raise ValueError(
            f"loss of task {name!r} does not reach the shared parameters; "
            f"leave the task out, or let it use the encoder"
        )
    return torch.cat(
        [
            torch.zeros_like(p).flatten() if g is None else g.flatten()
            for g, p in zip(gradients, parameters, strict=True)
        ]
    )
