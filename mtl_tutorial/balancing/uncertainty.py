"""Loss weights learned as the noise of each task (homoscedastic uncertainty)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from mtl_tutorial.balancing.adam import Moments, adam_step
from mtl_tutorial.balancing.base import Balancer, backward_weighted_sum, check_finite, stacked
from mtl_tutorial.balancing.graph import Scale, check_losses, is_scaled
from mtl_tutorial.balancing.replicas import mean_over_replicas
from mtl_tutorial.tasks import Task, unique_names

SCALE = {"regression": 0.5, "classification": 1.0}  # of e^{−s} L


class UncertaintyWeights(Balancer):
    """Learn one log-variance s_i = log σ_i² a task, together with the network.

    L = Σ_i (c_i e^{−s_i} L_i + s_i / 2), with c_i = 1/2 for regression (L_i the squared error) and
    1 for classification (L_i the cross-entropy); so λ_i = c_i e^{−s_i}. At fixed losses the least L
    lies at s_i = log L_i for regression and log 2 L_i for classification: λ_i = 1 / (2 L_i) for
    both. L may be negative.

    Each call of ``backward`` also takes one step of Adam on the s_i of the tasks that are there,
    from ∂L/∂s_i = 1/2 − c_i e^{−s_i} L_i.

    Args:
        tasks: two or more; their ``kind`` picks c_i.
        learning_rate: of s, > 0.

    Raises:
        ValueError: where there are fewer than two tasks, two have one name, one has no kind, or
            the rate is not above 0.

    Source: Kendall et al. 2018, equations 7 and 10 (arXiv 1705.07115).
    """

    replayable = True

    def __init__(self, tasks: Iterable[Task], learning_rate: float = 0.025) -> None:
        tasks = tuple(tasks)
        unique_names(tasks, least=2)
        if not 0 < learning_rate < float("inf"):
            raise ValueError(f"learning_rate must be finite and > 0, got {learning_rate}")
        for task in tasks:
            if not task.kind:
                raise ValueError(
                    f"the kind of task {task.name!r} does not follow from its loss; build the Task "
                    f"with kind='regression' where that is a squared error, or with "
                    f"kind='classification' where it is a cross-entropy"
                )
        self.learning_rate = learning_rate
        self._scale = {task.name: SCALE[task.kind] for task in tasks}
        self.memory = {name: torch.zeros(4) for name in self._scale}  # s, and Adam's moments

    @property
    def log_variances(self) -> dict[str, Tensor]:
        """s_i, by task name."""
        return {name: row[0] for name, row in self.memory.items()}

    @property
    def weights(self) -> dict[str, Tensor]:
        """λ_i = c_i e^{−s_i}, by task name, as the next step will use them."""
        return {name: self._scale[name] * (-s).exp() for name, s in self.log_variances.items()}

    def backward(
        self, losses: Mapping[str, Tensor], model: nn.Module, *, scale: Scale = None
    ) -> dict[str, Tensor]:
        """Fill ``.grad`` with ∇ Σ_i λ_i L_i, give the λ_i, then take a step on s.

        Raises:
            ValueError: where a loss is of another task, one is NaN or infinite (on a CPU), or as
                `backward_weighted_sum`.
        """
        check_losses(losses)
        if unknown := losses.keys() - self._scale.keys():
            raise ValueError(
                f"these uncertainty weights are for the tasks {list(self._scale)}, but there is a "
                f"loss for {min(unknown)!r}; make them with this task too"
            )
        values = mean_over_replicas(stacked(losses), model)
        if not is_scaled(scale):
            check_finite(values, losses, "loss")
        rows = self.recall(losses, values.new_zeros(len(losses), 4))
        s, *moments = rows.unbind(1)
        c = torch.stack([values.new_full((), self._scale[name]) for name in losses])
        weights = c * (-s).exp()
        move, after = adam_step(
            0.5 - weights * values, Moments(*moments), learning_rate=self.learning_rate
        )
        if not is_scaled(scale):
            check_finite(after.second, losses, "what Adam remembers")
        used = dict(zip(losses, weights.unbind(), strict=True))
        backward_weighted_sum(losses, used, model, scale)
        self.remember(losses, torch.stack([s - move, *after], dim=1), rows)
        return used

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take what `state_dict` gave.

        Raises:
            ValueError: where it is the state of something else, or for other tasks.
        """
        before = self.memory
        super().load_state_dict(state)
        if (given := self.memory.keys()) != self._scale.keys():
            self.memory = before
            raise ValueError(
                f"the state is for the tasks {list(given)}, but these are {list(self._scale)}"
            )
