"""The last layer that tasks share, for balancers that look at its gradients alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import cast

import torch
from torch import Tensor, nn
from torch._dynamo import OptimizedModule
from torch.nn.parallel import DataParallel, DistributedDataParallel

from mtl_tutorial.balancing.gramian import row_norms
from mtl_tutorial.balancing.graph import Scale, check_losses, factor_of, flattened, pass_back
from mtl_tutorial.balancing.replicas import mean_over_replicas

Layer = nn.Module | nn.Parameter | None


def layer_gradient_norms(
    losses: Mapping[str, Tensor], model: nn.Module, layer: Layer = None, scale: Scale = None
) -> Tensor:
    """Give ‖∇_W L_i‖ of each task, with W the weights of the last shared layer; the graph is kept.

    Args:
        losses: a scalar tensor for each task's name.
        model: has a ``last_shared_layer()`` where no layer is named.
        layer: whose weight matrices and kernels are W; or W itself.
        scale: passes are of ``scale * L_i``, as float16 may need; the norms are without it.

    Returns:
        Shape ``(T,)``, in float32 at least.

    Raises:
        ValueError: where the layer is unknown, has no trained weight, or a loss has no graph or
            does not reach it.
    """
    check_losses(losses)
    weights = _weights(model, layer)
    rows = []
    for name, loss in losses.items():
        row = pass_back(loss, weights, scale, keep=True)
        if all(gradient is None for gradient in row):
            raise ValueError(
                f"loss of task {name!r} does not reach the last shared layer; name one that all "
                f"tasks use by layer=, or leave the task out"
            )
        rows.append(flattened(row, weights).to(loss.device))
    norms = row_norms(mean_over_replicas(torch.stack(rows), model))
    factor = factor_of(scale, norms)
    return norms if factor is None else norms / factor


def _weights(model: nn.Module, layer: Layer) -> list[nn.Parameter]:
    if isinstance(layer, nn.Parameter):
        weights, what = [layer], "the parameter given by layer="
    else:
        layer = last_shared_layer(model) if layer is None else layer
        if not isinstance(layer, nn.Module):
            raise ValueError(f"layer must be a module or a parameter, got {layer!r}")
        weights = [parameter for parameter in layer.parameters() if parameter.ndim > 1]
        what = f"the last shared layer of {type(model).__name__}, {type(layer).__name__},"
        if not weights:
            raise ValueError(
                f"{what} has no weight matrix or kernel; name a layer that has one by layer="
            )
    trained = [weight for weight in weights if weight.requires_grad]
    if not trained:
        raise ValueError(
            f"{what} is frozen; unfreeze it (requires_grad=True), or name another by layer="
        )
    return trained


def last_shared_layer(model: nn.Module) -> nn.Module:
    """The ``last_shared_layer()`` of a model, or of the one that it wraps.

    Raises:
        ValueError: where it has none.
    """
    while isinstance(model, DataParallel | DistributedDataParallel | OptimizedModule):
        model = model._orig_mod if isinstance(model, OptimizedModule) else model.module
    if not hasattr(model, "last_shared_layer"):
        raise ValueError(
            f"{type(model).__name__} does not say which layer its tasks share last; name it, such "
            f"as layer=model.encoder[-1], a module or a parameter, or use a method that needs none"
        )
    return cast("Callable[[], nn.Module]", model.last_shared_layer)()
