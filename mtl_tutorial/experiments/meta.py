"""Meta-learning by gradients: a start from which a few steps learn a new task (MAML)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor
from torch.func import grad, vmap

Parameters = Mapping[str, Tensor]
Loss = Callable[[Parameters, Tensor, Tensor], Tensor]  # loss(theta, inputs, targets) -> scalar


def adapt(
    loss: Loss,
    theta: Parameters,
    inputs: Tensor,
    targets: Tensor,
    *,
    rate: float,
    steps: int,
    only: str = "",
) -> dict[str, Tensor]:
    """Take steps of gradient descent on one task, the inner loop: θ′ ← θ′ − α ∇L(θ′), θ′ = θ first.

    Args:
        loss: L.
        theta: θ by name; it is left as it is.
        inputs, targets: the examples, all of them in every step.
        rate: α.
        steps: how many; with 0 the result is θ.
        only: a parameter's name, or the start of it up to a dot, such as ``"heads.new"``: these
            parameters move, and the others are frozen.

    Returns:
        θ′ by name.

    Raises:
        ValueError: where no parameter's name starts with ``only``, the rate is negative or not
            finite, or the steps are fewer than 0.
    """
    _check_inner_loop(rate, steps)
    start = only.removesuffix(".")
    moving = {name for name in theta if not start or f"{name}.".startswith(f"{start}.")}
    if not moving:
        raise ValueError(f"only must be the start of a parameter's name, got {only!r}")
    adapted = dict(theta)
    for _ in range(steps):
        gradient = grad(loss)(adapted, inputs, targets)
        adapted = {
            name: value - rate * gradient[name] if name in moving else value
            for name, value in adapted.items()
        }
    return adapted


def maml_gradient(
    loss: Loss, theta: Parameters, episode: tuple[Tensor, ...], *, rate: float, steps: int
) -> dict[str, Tensor]:
    """Give the gradient of MAML's objective, Σ_i ∇_θ L_i(θ_i′), through the inner loop.

    θ_i′ is `adapt` on the support examples of task i; L_i is its loss on the query examples. The
    derivative of θ_i′ by θ contains second derivatives of the loss.

    Args:
        loss: L.
        theta: θ by name.
        episode: support inputs, support targets, query inputs, query targets, each with the tasks
            as first dimension.
        rate: α of the inner loop.
        steps: of the inner loop.

    Raises:
        ValueError: as `adapt`, and where the parts of the episode do not fit.

    Source: Finn et al. 2017, Algorithm 2 (arXiv 1703.03400): the sum, not the mean, over tasks.
    """

    def of_one_task(start, support, support_targets, query, query_targets):
        adapted = adapt(loss, start, support, support_targets, rate=rate, steps=steps)
        return loss(adapted, query, query_targets)

    _check_inner_loop(rate, steps)
    return _summed(grad(of_one_task), theta, episode)


def first_order_maml_gradient(
    loss: Loss, theta: Parameters, episode: tuple[Tensor, ...], *, rate: float, steps: int
) -> dict[str, Tensor]:
    """Give the first-order form of `maml_gradient`: Σ_i ∇L_i, taken at θ_i′, not at θ.

    The derivative of θ_i′ by θ is taken to be the identity. Arguments as for `maml_gradient`.

    Source: Finn et al. 2017, section 5.2 (arXiv 1703.03400).
    """

    def of_one_task(start, support, support_targets, query, query_targets):
        adapted = adapt(loss, start, support, support_targets, rate=rate, steps=steps)
        return grad(loss)(adapted, query, query_targets)

    _check_inner_loop(rate, steps)
    return _summed(of_one_task, theta, episode)


def check_episode(episode: Sequence[Tensor]) -> None:
    """Check that few-shot tasks have what the functions of this module take.

    Raises:
        ValueError: where there are not 4 tensors, a part has no task or another number of tasks or
            examples than its targets, or targets are whole numbers of another kind than int64.
    """
    if len(episode) != 4:
        raise ValueError(
            f"an episode has 4 parts, support inputs and targets and query inputs and targets, got "
            f"{len(episode)}"
        )
    parts = {"support": episode[:2], "query": episode[2:]}
    for name, (inputs, targets) in parts.items():
        for what, tensor in ((name, inputs), (f"{name} targets", targets)):
            if not isinstance(tensor, Tensor):
                raise ValueError(f"{what} must be a tensor, got {type(tensor).__name__}")
        if inputs.shape[:2] != targets.shape[:2]:
            raise ValueError(
                f"{name} {tuple(inputs.shape)} and its targets {tuple(targets.shape)} must have "
                f"the same numbers of tasks and examples, their first two dimensions"
            )
        if not len(inputs):
            raise ValueError(f"{name} must have one task or more, got none")
        if not targets.is_floating_point() and targets.dtype != torch.int64:
            raise ValueError(
                f"{name} targets that are class numbers must be torch.int64, got {targets.dtype}; "
                f"use .long()"
            )
    if len(episode[0]) != len(episode[2]):
        raise ValueError(
            f"support has {len(episode[0])} tasks, and query {len(episode[2])}; each task needs "
            f"both"
        )


def _check_inner_loop(rate: float | Tensor, steps: int) -> None:
    if not isinstance(rate, Tensor) and not 0 <= rate < math.inf:  # vmap hands in tensors
        raise ValueError(f"rate must be finite and ≥ 0, got {rate}")
    if steps < 0:
        raise ValueError(f"steps must be a whole number from 0 on, got {steps}")


def _summed(of_one_task: Callable, theta: Parameters, episode: tuple) -> dict[str, Tensor]:
    check_episode(episode)
    gradients = vmap(of_one_task, in_dims=(None, 0, 0, 0, 0))(dict(theta), *episode)
    return {name: gradient.sum(0) for name, gradient in gradients.items()}
