"""Every aggregator of TorchJD as a balancer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mtl_tutorial.balancing.base import (
    NonFiniteError,
    check_finite,
    fill_gradients,
    split_gradients,
)
from mtl_tutorial.balancing.gramian import checked_gramian, full_precision, widen


class FromTorchJD:
    """Let an aggregator of TorchJD make the shared gradient; every head gets its own gradient.

    θ gets A(J), with A the aggregator and J the Jacobian of the shared parameters, ``(T, P)``;
    φ_i gets ∇_φi L_i.

    Args:
        aggregator: such as ``torchjd.aggregation.UPGrad()``.

    Raises:
        ValueError: where it is no aggregator of TorchJD.

    Source: Quinton & Rey 2024 (arXiv 2406.16232); each aggregator names its own.
    """

    def __init__(self, aggregator: nn.Module) -> None:
        from torchjd.aggregation import Aggregator  # slow to import

        if not isinstance(aggregator, Aggregator):
            is_class = isinstance(aggregator, type) and issubclass(aggregator, Aggregator)
            hint = "; add brackets to make one" if is_class else ""
            raise ValueError(
                f"aggregator must be one of TorchJD's, such as torchjd.aggregation.UPGrad(), "
                f"got {aggregator!r}{hint}"
            )
        self.aggregator = aggregator

    def backward(self, losses: Mapping[str, Tensor], model: nn.Module) -> dict[str, float]:
        """Fill ``.grad``, and give the w_i for which Σ_i w_i g_i comes nearest to θ's gradient.

        Most aggregators give a weighted sum of the g_i; then it is that sum's w, where the g_i
        are independent.

        Raises:
            ValueError: as `split_gradients`, and for a gradient that is NaN or infinite.
        """
        jacobian, own_gradients = split_gradients(losses, model)
        gramian = torch.tensor(checked_gramian(jacobian, losses), dtype=torch.double)
        wide = widen(jacobian)
        with full_precision(wide):
            try:
                direction = self.aggregator(wide)
            except ValueError as error:  # from a solver that can't go on with such gradients
                raise NonFiniteError(f"{self.aggregator} gave no direction: {error}") from error
            along = (wide @ direction).double().cpu()
        check_finite(along.tolist(), losses, f"progress along {self.aggregator}")
        fill_gradients(model, direction, own_gradients)
        weights = torch.linalg.pinv(gramian, hermitian=True) @ along
        return dict(zip(losses, weights.tolist(), strict=True))

    def state_dict(self) -> dict[str, Any]:
        """The aggregator's state, and arrays kept beside it, such as Nash-MTL's last weights."""
        arrays = {
            f"{place}.{name}": torch.from_numpy(value.copy())
            for place, module in self.aggregator.named_modules()
            for name, value in vars(module).items()
            if isinstance(value, np.ndarray)
        }
        return {"state": self.aggregator.state_dict(), "arrays": arrays}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take the state that `state_dict` gave."""
        self.aggregator.load_state_dict(state["state"])
        for path, value in state["arrays"].items():
            place, _, name = path.rpartition(".")
            setattr(self.aggregator.get_submodule(place), name, value.numpy().copy())
