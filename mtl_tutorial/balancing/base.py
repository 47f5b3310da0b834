"""What every balancer does, and the gradients that it looks at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
            model: knows its ``shared_parameters()`` and ``task_parameters(name)``.
        """
        ...


def task_gradients(losses: Mapping[str, Tensor], parameters: Sequence[Tensor]) -> Tensor:
    """Give the Jacobian of the losses: row i is ∇_θ L_i, flattened.

    Args:
        losses: a scalar tensor for each task's name.
        parameters: θ, usually ``model.shared_parameters()``.

    Returns:
        Shape ``(T, P)``. The graph is kept, so ``backward`` can follow.

    Raises:
        ValueError: where a loss does not depend on the parameters.
    """
    rows = []
    for name, loss in losses.items():
        if not loss.requires_grad:
            raise ValueError(
                f"loss of task {name!r} depends on no parameter; was it computed under no_grad?"
            )
        gradients = torch.autograd.grad(
            loss, parameters, retain_graph=True, allow_unused=True, materialize_grads=False
        )
        if all(gradient is None for gradient in gradients):
            raise ValueError(
                f"loss of task {name!r} does not reach the shared parameters; "
                f"leave the task out, or let it use the encoder"
            )
        rows.append(
            torch.cat(
                [
                    torch.zeros_like(p).flatten() if g is None else g.flatten()
                    for g, p in zip(gradients, parameters, strict=True)
                ]
            )
        )
    return torch.stack(rows)
