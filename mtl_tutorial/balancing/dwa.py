"""Loss weights from the losses' speed of descent (dynamic weight average)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, SupportsIndex

import torch
from torch import Tensor, nn

from mtl_tutorial.balancing.base import (
    Balancer,
    Numbers,
    as_floats,
    backward_weighted_sum,
    check_finite,
    check_one_length,
    check_positive,
    stacked,
)
from mtl_tutorial.balancing.graph import Scale, check_losses, is_scaled
from mtl_tutorial.balancing.replicas import mean_over_replicas


def dwa_weights(
    last: Numbers,
    before: Numbers,
    *,
    temperature: float = 2.0,
) -> Tensor:
    """Give λ_i = T softmax(r / τ)_i, with r_i = last_i / before_i: slow tasks weigh more.

    Args:
        last: mean loss of each task over the last epoch, ≥ 0, shape ``(T,)``.
        before: over the epoch before it, above 0, shape ``(T,)``.
        temperature: τ, > 0; the larger, the more equal.

    Raises:
        ValueError: where the temperature is not above 0; and, on a CPU, a loss out of its range.

    Source: Liu et al. 2019, equation 7 (arXiv 1803.10704).
    """
    _check_temperature(temperature)
    last, before = as_floats(last), as_floats(before)
    check_one_length(last=last, before=before)
    for values in (last, before):
        check_finite(values, range(len(values)), "mean loss over an epoch")
    check_positive(last, range(len(last)), "losses tell a speed", strict=False)
    check_positive(before, range(len(before)), "losses are divided by earlier ones", strict=True)
    return len(last) * torch.softmax(last / before / temperature, dim=0)


def _check_temperature(temperature: float) -> None:
    if not 0 < temperature < math.inf:
        raise ValueError(f"temperature must be finite and > 0, got {temperature}")


class DynamicWeightAverage(Balancer):
    """Weigh the losses anew after every epoch; see `dwa_weights`.

    The network gets ∇ Σ_i λ_i L_i. λ_i is 1 until the task has been there in two epochs; its mean
    loss over an epoch is over the steps in which it was there, and is kept where it was in none.

    Args:
        steps_per_epoch: steps over which a loss is averaged, ≥ 1.
        temperature: τ, > 0.

    Raises:
        ValueError: where an argument is out of its range.

    Source: Liu et al. 2019, section 4.1.3 (arXiv 1803.10704).
    """

    replayable = True

    def __init__(self, steps_per_epoch: int, temperature: float = 2.0) -> None:
        if not isinstance(steps_per_epoch, SupportsIndex) or steps_per_epoch < 1:
            raise ValueError(
                f"steps_per_epoch must be a whole number from 1 on, got {steps_per_epoch}"
            )
        _check_temperature(temperature)
        self.steps_per_epoch, self.temperature = int(steps_per_epoch), temperature
        self._steps = 0  # of the present epoch
        # a row of memory: λ, sum and count of the losses of this epoch, the last mean, the one
        # before, and the number of means

    @property
    def weights(self) -> dict[str, Tensor]:
        """The weights that the next step will use; empty before the first."""
        return {name: row[0] for name, row in self.memory.items()}

    def backward(
        self, losses: Mapping[str, Tensor], model: nn.Module, *, scale: Scale = None
    ) -> dict[str, Tensor]:
        """Fill ``.grad`` with ∇ Σ_i λ_i L_i, and give the λ_i.

        Raises:
            ValueError: where a loss is not finite or an epoch's mean loss not above 0 (on a CPU),
                or as `backward_weighted_sum`.
        """
        check_losses(losses)
        values = mean_over_replicas(stacked(losses), model)
        if not is_scaled(scale):
            check_finite(values, losses, "loss")
        start = torch.eye(1, 6, dtype=values.dtype, device=values.device).expand(len(losses), 6)
        rows = self.recall(losses, start)
        used = dict(zip(losses, rows[:, 0].unbind(), strict=True))
        backward_weighted_sum(losses, used, model, scale)
        seen = torch.stack([values, torch.ones_like(values)], dim=1)
        self.remember(losses, torch.cat([rows[:, :1], rows[:, 1:3] + seen, rows[:, 3:]], 1), rows)
        self.replayed()
        return used

    def replayed(self) -> None:
        """Count a step, and weigh anew where it was the last one of an epoch."""
        self._steps += 1
        if self._steps >= self.steps_per_epoch:
            self._end_epoch()

    def _end_epoch(self) -> None:
        rows = torch.stack([row.to(self._device) for row in self.memory.values()])
        weights, total, count, last, before, means = rows.unbind(1)
        there = count > 0
        mean = total / count.clamp(min=1)
        names = [*self.memory]
        check_finite(mean, names, "mean loss over an epoch")
        check_positive(
            torch.where(there, mean, 1.0),
            names,
            "the dynamic weight average divides by each epoch's mean loss",
            strict=True,
        )
        before, last = torch.where(there, last, before), torch.where(there, mean, last)
        means = means + there
        ready = means >= 2
        speeds = torch.where(ready, last / before / self.temperature, -torch.inf)
        weights = torch.where(ready, ready.sum() * torch.softmax(speeds, dim=0), 1.0)
        none = torch.zeros_like(total)
        rows = torch.stack([weights, none, none, last, before, means], dim=1)
        self.memory = dict(zip(names, rows.unbind(), strict=True))
        self._steps = 0

    @property
    def _device(self) -> torch.device:
        return next(iter(self.memory.values())).device

    def state_dict(self) -> dict[str, Any]:
        """The weights, and the losses that the next ones will come from; to be saved."""
        return {**super().state_dict(), "steps": self._steps}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take what `state_dict` gave.

        Raises:
            ValueError: where it is the state of something else.
        """
        super().load_state_dict(state)
        self._steps = state["steps"]
