"""Loss weights in proportion to gradient norms: often called GradNorm, and the opposite of it."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from mtl_tutorial.balancing.base import Balancer, backward_weighted_sum, check_finite
from mtl_tutorial.balancing.gramian import full_precision, row_norms
from mtl_tutorial.balancing.graph import Scale, is_scaled, split_gradients
from mtl_tutorial.balancing.layers import Layer, layer_gradient_norms


class GradientNormWeights(Balancer):
    """Weigh each loss by its share of the gradient norms: λ_i = n_i / Σ_j n_j.

    n_i = ‖∇_θ L_i‖, over all shared parameters θ; or over the weights of one layer. The network
    gets ∇ Σ_i λ_i L_i. The task with the larger gradient gets **more** weight. This is not Chen's
    `GradNorm`, which pulls the norms of the weighted losses together; it is here because texts
    mistake one for the other. All weights are equal where every norm is 0.

    Args:
        layer: a module, whose weight matrices and kernels are looked at, or a parameter; left out,
            all of θ.
    """

    replayable = True

    def __init__(self, layer: Layer = None) -> None:
        self.layer = layer

    def backward(
        self, losses: Mapping[str, Tensor], model: nn.Module, *, scale: Scale = None
    ) -> dict[str, Tensor]:
        """Fill ``.grad`` with ∇ Σ_i λ_i L_i, and give the λ_i.

        Raises:
            ValueError: where there is no loss, one has no graph, two tasks share nothing or do not
                reach the layer; and for a norm that is NaN or infinite, on a CPU and without a
                ``scale``.
        """
        if self.layer is not None:
            norms = layer_gradient_norms(losses, model, self.layer, scale)
            weights = self._shares(norms, losses, scale)
            return backward_weighted_sum(
                losses, dict(zip(losses, weights.unbind(), strict=True)), model, scale
            )
        gradients = split_gradients(losses, model, scale)
        jacobian = gradients.jacobian
        with full_precision(jacobian):
            weights = self._shares(row_norms(jacobian), losses, scale)
            gradients.fill(weights @ jacobian, weights)
        return dict(zip(losses, weights.unbind(), strict=True))

    @staticmethod
    def _shares(norms: Tensor, losses: Mapping[str, Tensor], scale: Scale) -> Tensor:
        if not is_scaled(scale):
            check_finite(norms, losses, "norm of the shared gradient")
        total = norms.sum()
        return torch.where(total == 0, 1 / len(norms), norms / total)
