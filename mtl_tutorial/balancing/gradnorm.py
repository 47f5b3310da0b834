"""Loss weights that follow training speed (GradNorm)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from mtl_tutorial.balancing.base import (
    backward_weighted_sum,
    check_finite,
    check_graphs,
    check_several,
    progress,
    shared_parameters,
    trained,
)


class GradNormStep(NamedTuple):
    """One update of the loss weights, with all that led to it; one entry a task.

    Args:
        weights: w_i, used for the network in this step.
        gradient_norms: ‖∇_W L_i‖, of the unweighted losses.
        rates: r_i, see `training_rates`.
        norms: G_i = w_i ‖∇_W L_i‖.
        targets: Ḡ r_i^α, with Ḡ = mean_i G_i.
        gradients: ∂/∂w_i Σ_j |G_j − target_j| = sign(G_i − target_i) ‖∇_W L_i‖.
        new_weights: w_i for the next step; they sum to T.
    """

    weights: list[float]
    gradient_norms: list[float]
    rates: list[float]
    norms: list[float]
    targets: list[float]
    gradients: list[float]
    new_weights: list[float]


def training_rates(losses: Sequence[float], initial_losses: Sequence[float]) -> list[float]:
    """Give r_i = (L_i / L_i(0)) / mean_j (L_j / L_j(0)): above 1 for a task that lags.

    Raises:
        ValueError: as `progress`.
    """
    left = progress(losses, initial_losses)
    mean = sum(left) / len(left)
    return [p / mean if mean > 0 else 1.0 for p in left]


def gradnorm_step(
    weights: Sequence[float],
    gradient_norms: Sequence[float],
    rates: Sequence[float],
    *,
    alpha: float,
    learning_rate: float,
) -> GradNormStep:
    """Move the loss weights so that every G_i comes nearer to its target.

    Args:
        weights: w_i.
        gradient_norms: ‖∇_W L_i‖, of the unweighted losses.
        rates: r_i, as `training_rates` gives them.
        alpha: how strongly tasks that lag are favoured, ≥ 0; 0 makes all G_i equal.
        learning_rate: of the weights.

    Raises:
        ValueError: where a number is negative or not finite, or α so large that r_i^α overflows.

    Source: Chen et al. 2018, Algorithm 1 and equation 2 (arXiv 1711.02257). Added: a weight that
    a step would make negative becomes 0; from there it can only grow.
    """
    for what, numbers in (
        ("weights", weights),
        ("gradient_norms", gradient_norms),
        ("rates", rates),
        ("alpha and learning_rate", (alpha, learning_rate)),
    ):
        if not all(0 <= number < float("inf") for number in numbers):
            raise ValueError(f"{what} must be finite and ≥ 0, got {list(numbers)}")
    norms = [w * n for w, n in zip(weights, gradient_norms, strict=True)]
    mean_norm = sum(norms) / len(norms)
    try:
        targets = [mean_norm * r**alpha for r in rates]
    except OverflowError as error:
        raise ValueError(
            f"alpha is too large, got {alpha}: a rate of {max(rates):.3g} to that power "
            f"overflows; 1.5 suits unequal tasks"
        ) from error
    gradients = [
        n * ((g > target) - (g < target))
        for n, g, target in zip(gradient_norms, norms, targets, strict=True)
    ]
    moved = [max(w - learning_rate * d, 0.0) for w, d in zip(weights, gradients, strict=True)]
    total = sum(moved)
    new_weights = [len(moved) * w / total if total > 0 else 1.0 for w in moved]
    return GradNormStep(
        list(weights), list(gradient_norms), list(rates), norms, targets, gradients, new_weights
    )


class GradNorm:
    """Learn the loss weights so that all tasks train at similar rates.

    The network gets ∇ Σ_i w_i L_i. Then w takes one gradient step on Σ_i |G_i − Ḡ r_i^α|, with the
    targets held constant, and is scaled so that Σ_i w_i = T; see `GradNormStep`. W is the weight of
    ``model.last_shared_layer()``, L_i(0) the loss in the first step, w_i starts at 1.

    Args:
        alpha: how strongly slow tasks are favoured, ≥ 0; 1.5 suits unequal tasks, 0.12 equal ones.
        learning_rate: of the weights, > 0.

    Raises:
        ValueError: where an argument is out of its range.

    Source: Chen et al. 2018, Algorithm 1 (arXiv 1711.02257).
    """

    def __init__(self, alpha: float = 1.5, learning_rate: float = 0.025) -> None:
        for what, value, fits in (
            ("alpha must be finite and ≥ 0", alpha, alpha >= 0),
            ("learning_rate must be finite and > 0", learning_rate, learning_rate > 0),
        ):
            if not (fits and value < float("inf")):
                raise ValueError(f"{what}, got {value}")
        self.alpha, self.learning_rate = alpha, learning_rate
        self.last_step: GradNormStep | None = None
        self._initial: dict[str, float] = {}
        self._weights: dict[str, float] = {}

    @property
    def weights(self) -> dict[str, float]:
        """A copy of the weights that the next step will use; empty before the first."""
        return dict(self._weights)

    def backward(self, losses: Mapping[str, Tensor], model: nn.Module) -> dict[str, float]:
        """Fill ``.grad`` with ∇ Σ_i w_i L_i, give the w_i, then move them.

        Raises:
            ValueError: where there are fewer than two tasks, other tasks than before, a first loss
                that is not above 0, a loss below 0, or one that does not reach the last shared
                layer.
        """
        check_several(losses)
        gradient_norms = layer_gradient_norms(losses, model)
        numbers = torch.stack([*gradient_norms, *(loss.detach() for loss in losses.values())])
        values = numbers.tolist()
        norms, current = values[: len(losses)], values[len(losses) :]
        check_finite(norms, losses, "norm of the last shared layer's gradient")
        check_finite(current, losses, "loss")
        if not self._initial:
            self._begin(dict(zip(losses, current, strict=True)))
        if losses.keys() != self._initial.keys():
            raise ValueError(
                f"GradNorm began with the tasks {list(self._initial)} and now got {list(losses)}; "
                f"use a new one for other tasks"
            )
        for name, loss in zip(losses, current, strict=True):
            if loss < 0:
                raise ValueError(
                    f"GradNorm compares each loss with its first, so it needs losses ≥ 0; that of "
                    f"task {name!r} is {loss:.3g}"
                )
        used = {name: self._weights[name] for name in losses}
        backward_weighted_sum(losses, used)
        self.last_step = gradnorm_step(
            list(used.values()),
            norms,
            training_rates(current, [self._initial[name] for name in losses]),
            alpha=self.alpha,
            learning_rate=self.learning_rate,
        )
        self._weights = dict(zip(losses, self.last_step.new_weights, strict=True))
        return used

    def _begin(self, losses: dict[str, float]) -> None:
        for name, loss in losses.items():
            if not loss > 0:
                raise ValueError(
                    f"GradNorm divides by the first loss of every task, and that of {name!r} is "
                    f"{loss}; it needs losses above 0"
                )
        self._initial, self._weights = losses, dict.fromkeys(losses, 1.0)

    def state_dict(self) -> dict[str, Any]:
        """The weights and the first losses, to be saved."""
        return {"weights": self.weights, "initial": dict(self._initial)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take what `state_dict` gave."""
        self._weights, self._initial = dict(state["weights"]), dict(state["initial"])


def layer_gradient_norms(losses: Mapping[str, Tensor], model: nn.Module) -> list[Tensor]:
    """Give ‖∇_W L_i‖ of each task, with W the weight of the last shared layer; the graph is kept.

    Raises:
        ValueError: where the model shares no parameter, W is frozen, or a loss has no graph or does
            not reach it.
    """
    check_graphs(losses)
    shared_parameters(model)
    layer = model.last_shared_layer()
    weight = [parameter for parameter in trained(layer.parameters()) if parameter.ndim > 1]
    if not weight:
        raise ValueError(
            f"the last shared layer of {type(model).__name__} has no weight that is trained; "
            f"unfreeze it (requires_grad=True), or use FixedWeights()"
        )
    norms = []
    for name, loss in losses.items():
        gradients = [
            gradient
            for gradient in torch.autograd.grad(loss, weight, retain_graph=True, allow_unused=True)
            if gradient is not None
        ]
        if not gradients:
            raise ValueError(
                f"loss of task {name!r} does not reach the last shared layer; leave the task out, "
                f"or let it use the encoder"
            )
        norms.append(torch.stack([gradient.norm() for gradient in gradients]).norm())
    return norms
