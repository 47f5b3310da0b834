"""Loss weights from the losses' speed of descent (dynamic weight average)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mtl_tutorial.balancing.base import backward_weighted_sum, check_finite, progress


def dwa_weights(
    last: Sequence[float], before: Sequence[float], *, temperature: float = 2.0
) -> list[float]:
    """Give λ_i = T softmax(r / τ)_i, with r_i = last_i / before_i: slow tasks weigh more.

    Args:
        last: mean loss of each task over the last epoch.
        before: over the epoch before it, above 0.
        temperature: τ, > 0; the larger, the more equal.

    Raises:
        ValueError: as `progress`, and where the temperature is not above 0.

    Source: Liu et al. 2019, equation 7 (arXiv 1803.10704).
    """
    _check_temperature(temperature)
    rates = [rate / temperature for rate in progress(last, before)]
    powers = [math.exp(rate - max(rates)) for rate in rates]
    return [len(rates) * power / sum(powers) for power in powers]


def _check_temperature(temperature: float) -> None:
    if not 0 < temperature < math.inf:
        raise ValueError(f"temperature must be finite and > 0, got {temperature}")


class DynamicWeightAverage:
    """Weigh the losses anew after every epoch; see `dwa_weights`.

    The network gets ∇ Σ_i λ_i L_i. λ_i is 1 in the first two epochs.

    Args:
        steps_per_epoch: steps over which a loss is averaged, ≥ 1.
        temperature: τ, > 0.

    Raises:
        ValueError: where an argument is out of its range.

    Source: Liu et al. 2019, section 4.1.3 (arXiv 1803.10704).
    """

    def __init__(self, steps_per_epoch: int, temperature: float = 2.0) -> None:
        if not isinstance(steps_per_epoch, int) or steps_per_epoch < 1:
            raise ValueError(
                f"steps_per_epoch must be a whole number from 1 on, got {steps_per_epoch}"
            )
        _check_temperature(temperature)
        self.steps_per_epoch, self.temperature = steps_per_epoch, temperature
        self._sum: Tensor | None = None
        self._steps = 0
        self._means: list[list[float]] = []  # of the last two epochs
        self._weights: dict[str, float] = {}

    @property
    def weights(self) -> dict[str, float]:
        """A copy of the weights that the next step will use; empty before the first."""
        return dict(self._weights)

    def backward(self, losses: Mapping[str, Tensor], model: nn.Module) -> dict[str, float]:
        """Fill ``.grad`` with ∇ Σ_i λ_i L_i, and give the λ_i.

        Raises:
            ValueError: where the tasks are others than before, an epoch's mean loss is not above
                0, or as `backward_weighted_sum`.
        """
        weights = self._weights or dict.fromkeys(losses, 1.0)
        if losses.keys() != weights.keys():
            raise ValueError(
                f"the dynamic weight average began with the tasks {list(weights)} and now "
                f"got {list(losses)}; use a new one for other tasks"
            )
        used = {name: weights[name] for name in losses}
        backward_weighted_sum(losses, used)
        self._weights = weights
        now = torch.stack([losses[name].detach().float() for name in self._weights])
        self._sum = now if self._sum is None else self._sum.to(now.device) + now
        self._steps += 1
        if self._steps == self.steps_per_epoch:
            self._end_epoch()
        return used

    def _end_epoch(self) -> None:
        means = (self._sum / self._steps).tolist()
        check_finite(means, self._weights, "mean loss over an epoch")
        for name, mean in zip(self._weights, means, strict=True):
            if not mean > 0:
                raise ValueError(
                    f"the dynamic weight average divides by each epoch's mean loss, and that of "
                    f"task {name!r} is {mean}; it needs losses above 0"
                )
        self._means = [*self._means[-1:], means]
        self._sum, self._steps = None, 0
        if len(self._means) == 2:
            before, last = self._means
            weights = dwa_weights(last, before, temperature=self.temperature)
            self._weights = dict(zip(self._weights, weights, strict=True))

    def state_dict(self) -> dict[str, Any]:
        """The weights, and the losses that the next ones will come from; to be saved."""
        return {
            "weights": self.weights,
            "means": [list(means) for means in self._means],
            "sum": None if self._sum is None else self._sum.clone(),
            "steps": self._steps,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take what `state_dict` gave."""
        self._weights, self._steps = dict(state["weights"]), state["steps"]
        self._means, self._sum = [list(means) for means in state["means"]], state["sum"]
