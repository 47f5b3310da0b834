"""Meta-learning by gradients: a start from which a few steps learn a new task (MAML)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

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
        only: parameters move whose names start with this; the others are frozen.

    Returns:
        θ′ by name.

    Raises:
        ValueError: where no parameter's name starts with ``only``.
    """
    moving = {name for name in theta if name.startswith(only)}
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

    Source: Finn et al. 2017, Algorithm 2 (arXiv 1703.03400): the sum, not the mean, over tasks.
    """

    def of_one_task(start, support, support_targets, query, query_targets):
        adapted = adapt(loss, start, support, support_targets, rate=rate, steps=steps)
        return loss(adapted, query, query_targets)

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

    return _summed(of_one_task, theta, episode)


def _summed(of_one_task: Callable, theta: Parameters, episode: tuple) -> dict[str, Tensor]:
    gradients = vmap(of_one_task, in_dims=(None, 0, 0, 0, 0))(dict(theta), *episode)
    return {name: gradient.sum(0) for name, gradient in gradients.items()}
