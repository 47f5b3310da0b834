"""Loss weights learned as the noise of each task (homoscedastic uncertainty)."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from mtl_tutorial.balancing.base import backward_weighted_sum, check_finite
from mtl_tutorial.tasks import Task, unique_names

SCALE = {"regression": 0.5, "classification": 1.0}  # of e^{−s} L


class UncertaintyWeights:
    """Learn one log-variance s_i = log σ_i² a task, together with the network.

    L = Σ_i (c_i e^{−s_i} L_i + s_i / 2), with c_i = 1/2 for regression (L_i the squared error) and
    1 for classification (L_i the cross-entropy); so λ_i = c_i e^{−s_i}. At fixed losses the least L
    lies at s_i = log L_i for regression and log 2 L_i for classification: λ_i = 1 / (2 L_i) for
    both. L may be negative.

    Each call of ``backward`` also takes one step of Adam on s.

    Args:
        tasks: two or more; their ``kind`` picks c_i.
        learning_rate: of s, > 0.

    Raises:
        ValueError: where there are fewer than two tasks, two have one name, one has no kind, or
            the rate is not above 0.

    Source: Kendall et al. 2018, equations 7 and 10 (arXiv 1705.07115).
    """

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
        self._scale = {task.name: SCALE[task.kind] for task in tasks}
        self._log_variances = torch.zeros(len(tasks), requires_grad=True)
        self._optimizer = torch.optim.Adam([self._log_variances], lr=learning_rate)

    @property
    def log_variances(self) -> dict[str, float]:
        """s_i, by task name."""
        return dict(zip(self._scale, self._log_variances.tolist(), strict=True))

    @property
    def weights(self) -> dict[str, float]:
        """λ_i = c_i e^{−s_i}, by task name, as the next step will use them."""
        powers = (-self._log_variances.detach()).exp().tolist()
        return {
            name: c * power for (name, c), power in zip(self._scale.items(), powers, strict=True)
        }

    def backward(self, losses: Mapping[str, Tensor], model: nn.Module) -> dict[str, float]:
        """Fill ``.grad`` with ∇ Σ_i λ_i L_i, give the λ_i, then take a step on s.

        Raises:
            ValueError: where the losses are not those of the tasks, one is NaN or infinite, or as
                `backward_weighted_sum`.
        """
        if losses.keys() != self._scale.keys():
            raise ValueError(
                f"these uncertainty weights are for the tasks {list(self._scale)}, but there are "
                f"losses for {list(losses)}"
            )
        used = self.weights
        values = torch.stack([losses[name].detach() for name in used]).float().cpu()
        check_finite(values.tolist(), used, "loss")
        backward_weighted_sum(losses, used)
        # ∂L/∂s_i = 1/2 − c_i e^{−s_i} L_i
        self._log_variances.grad = 0.5 - torch.tensor(list(used.values())) * values
        self._optimizer.step()
        return {name: used[name] for name in losses}

    def state_dict(self) -> dict[str, Any]:
        """The s_i and their optimizer's state, to be saved."""
        return {
            "tasks": list(self._scale),
            "log_variances": self._log_variances.detach().clone(),
            "optimizer": copy.deepcopy(self._optimizer.state_dict()),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take what `state_dict` gave.

        Raises:
            ValueError: where it is for other tasks, or in another order.
        """
        if state["tasks"] != list(self._scale):
            raise ValueError(
                f"the state is for the tasks {state['tasks']}, but these are {list(self._scale)}"
            )
        with torch.no_grad():
            self._log_variances.copy_(state["log_variances"])
        self._optimizer.load_state_dict(copy.deepcopy(state["optimizer"]))
