"""Fixed loss weights: the weighted sum."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor, nn

from mtl_tutorial.balancing.base import Balancer, backward_weighted_sum
from mtl_tutorial.balancing.graph import Scale, check_losses

LARGEST = 1e38  # a number of 32 bits can hold it


class FixedWeights(Balancer):
    """Weigh the losses by numbers that you choose, and may change between two steps.

    L = Σ_i λ_i L_i over the tasks that are there, minimised over shared and task parameters alike.

    Args:
        weights: λ_i ≥ 0 by task name; left out, 1 for every task.

    Raises:
        ValueError: where a weight is negative or not finite.
    """

    replayable = True

    def __init__(self, weights: Mapping[str, float] | None = None) -> None:
        self._weights: dict[str, float] = {}
        self._default = 1.0 if weights is None else None
        for name, weight in (weights or {}).items():
            self.set_weight(name, weight)

    @property
    def weights(self) -> dict[str, float]:
        """A copy of the weights that were given, by task name."""
        return dict(self._weights)

    def set_weight(self, name: str, weight: float) -> None:
        """Give task ``name`` another weight, from the next step on.

        Raises:
            ValueError: where the weight is negative or not finite.
        """
        try:
            number = float(weight)
        except (TypeError, ValueError, OverflowError):
            number = math.nan
        if not (math.isfinite(number) and number >= 0):
            raise ValueError(f"weight of task {name!r} must be finite and ≥ 0, got {weight!r}")
        if number > LARGEST:
            raise ValueError(f"weight of task {name!r} must be at most {LARGEST:g}, got {weight}")
        self._weights[name] = number

    def weights_of(self, names: Iterable[str]) -> dict[str, float]:
        """Give the λ_i of these tasks, in their order.

        Raises:
            ValueError: where a task has no weight, or a weight no task.
        """
        weights = self._present(names := list(names))
        if unknown := self._weights.keys() - weights.keys():
            raise ValueError(
                f"there is a weight for {min(unknown)!r}, but no such task; "
                f"the tasks are {sorted(names)}"
            )
        return weights

    def _present(self, names: Iterable[str]) -> dict[str, float]:
        found = {name: self._weights.get(name, self._default) for name in names}
        weights = {name: weight for name, weight in found.items() if weight is not None}
        if missing := found.keys() - weights.keys():
            raise ValueError(
                f"task {min(missing)!r} has no weight; there are weights for "
                f"{sorted(self._weights)}. Give it one, 0 to switch it off"
            )
        return weights

    def backward(
        self, losses: Mapping[str, Tensor], model: nn.Module, *, scale: Scale = None
    ) -> dict[str, Tensor]:
        """Fill ``.grad`` with ∇ Σ_i λ_i L_i, and give the λ_i.

        Raises:
            ValueError: where a task has no weight, or as `backward_weighted_sum`.
        """
        check_losses(losses)
        return backward_weighted_sum(losses, self._present(losses), model, scale)

    def state_dict(self) -> dict[str, Any]:
        """The weights, to be saved."""
        return {**super().state_dict(), "weights": self.weights, "default": self._default}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take the weights that `state_dict` gave.

        Raises:
            ValueError: where it is the state of something else, or a weight is negative or not
                finite; the weights stay as they were.
        """
        super().load_state_dict(state)
        checked = FixedWeights(state["weights"])
        self._weights, self._default = checked._weights, state["default"]
