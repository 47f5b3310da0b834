"""Loss weights in proportion to gradient norms: often called GradNorm, and the opposite of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from mtl_tutorial.balancing.base import backward_weighted_sum, check_finite, check_several
from mtl_tutorial.balancing.gradnorm import layer_gradient_norms


class GradientNormWeights:
    """Weigh each loss by its share of the gradient norms: λ_i = n_i / Σ_j n_j.

    n_i = ‖∇_W L_i‖, with W the weight of ``model.last_shared_layer()``. The task with the larger
    gradient gets **more** weight. This is not Chen's `GradNorm`, which pulls the norms of the
    weighted losses together; it is here because texts mistake one for the other. All weights are
    equal where every norm is 0.
    """

    def backward(self, losses: Mapping[str, Tensor], model: nn.Module) -> dict[str, float]:
        """Fill ``.grad`` with ∇ Σ_i λ_i L_i, and give the λ_i.

        Raises:
            ValueError: where there are fewer than two tasks, a loss does not reach the last shared
                layer, or a norm is NaN or infinite.
        """
        check_several(losses)
        norms = torch.stack(layer_gradient_norms(losses, model)).tolist()
        check_finite(norms, losses, "norm of the last shared layer's gradient")
        total = sum(norms)
        shares = [norm / total if total > 0 else 1 / len(norms) for norm in norms]
        weights = dict(zip(losses, shares, strict=True))
        backward_weighted_sum(losses, weights)
        return weights

    def state_dict(self) -> dict[str, Any]:
        """Nothing: every step is on its own."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take what `state_dict` gave."""
