"""Loss weights that follow training speed (GradNorm)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from mtl_tutorial.balancing.adam import Moments, adam_step
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
from mtl_tutorial.balancing.graph import Scale, is_scaled
from mtl_tutorial.balancing.layers import Layer, layer_gradient_norms
from mtl_tutorial.balancing.replicas import mean_over_replicas

OPTIMIZERS = ("adam", "sgd")


class GradNormStep(NamedTuple):
    """One update of the loss weights, with all that led to it; tensors with one entry a task.

    Args:
        weights: w_i, used for the network in this step.
        gradient_norms: ‖∇_W L_i‖, of the unweighted losses.
        rates: r_i, see `training_rates`.
        norms: G_i = w_i ‖∇_W L_i‖.
        targets: Ḡ r_i^α, with Ḡ = mean_i G_i.
        gradients: ∂/∂w_i Σ_j |G_j − target_j| = sign(G_i − target_i) ‖∇_W L_i‖.
        new_weights: w_i for the next step; their sum is that of the w_i.
        moments: what Adam remembered before this step; None for a plain step.
        new_moments: what it remembers after it.
    """

    weights: Tensor
    gradient_norms: Tensor
    rates: Tensor
    norms: Tensor
    targets: Tensor
    gradients: Tensor
    new_weights: Tensor
    moments: Moments | None = None
    new_moments: Moments | None = None


def training_rates(losses: Numbers, initial_losses: Numbers) -> Tensor:
    """Give r_i = (L_i / L_i(0)) / mean_j (L_j / L_j(0)): above 1 for a task that lags.

    Raises:
        ValueError: on a CPU, where a loss is below 0, a first one not above 0, or one not finite.
    """
    losses, initial = as_floats(losses), as_floats(initial_losses)
    check_one_length(losses=losses, initial_losses=initial)
    names = range(len(losses))
    check_finite(losses, names, "loss")
    check_finite(initial, names, "first loss")
    check_positive(losses, names, "losses are compared with their first", strict=False)
    check_positive(initial, names, "losses are divided by their first", strict=True)
    check_finite(losses / initial, names, "loss divided by its first")
    return _rates(losses, initial)


def _rates(losses: Tensor, initial: Tensor) -> Tensor:
    left = losses / initial
    return torch.where(left.sum() == 0, 1.0, left / left.mean())


def gradnorm_step(
    weights: Numbers,
    gradient_norms: Numbers,
    rates: Numbers,
    *,
    alpha: float,
    learning_rate: float,
    moments: Moments | None = None,
) -> GradNormStep:
    """Move the loss weights so that every G_i comes nearer to its target.

    Args:
        weights: w_i.
        gradient_norms: ‖∇_W L_i‖, of the unweighted losses.
        rates: r_i, as `training_rates` gives them.
        alpha: how strongly tasks that lag are favoured, ≥ 0; 0 makes all G_i equal.
        learning_rate: of the weights.
        moments: of Adam, zeros before its first step; left out, a plain step down the gradient.

    Raises:
        ValueError: where α or the rate is out of its range; and, on a CPU, where a number is
            negative or not finite, or α so large that r_i^α overflows.

    Source: Chen et al. 2018, Algorithm 1 and equation 2 (arXiv 1711.02257); Adam as in its section
    5.1. Added: a weight that a step would make negative becomes 0; from there it can only grow.
    """
    check_range("alpha must be finite and ≥ 0", alpha, alpha >= 0)
    check_range("learning_rate must be finite and ≥ 0", learning_rate, learning_rate >= 0)
    w, n, r = map(as_floats, (weights, gradient_norms, rates))
    check_one_length(weights=w, gradient_norms=n, rates=r)
    for what, numbers in (("weights", w), ("gradient_norms", n), ("rates", r)):
        if numbers.device.type == "cpu" and not ((numbers >= 0) & numbers.isfinite()).all():
            raise ValueError(f"{what} must be finite and ≥ 0, got {numbers.tolist()}")
    step = _step(w, n, r, alpha, learning_rate, moments)
    _check_targets(step, alpha)
    return step


def _step(
    w: Tensor, n: Tensor, r: Tensor, alpha: float, learning_rate: float, moments: Moments | None
) -> GradNormStep:
    norms = w * n
    targets = norms.mean() * r**alpha
    gradients = n * (norms - targets).sign()
    if moments is None:
        move, new_moments = learning_rate * gradients, None
    else:
        move, new_moments = adam_step(gradients, moments, learning_rate=learning_rate)
    moved = (w - move).clamp(min=0)
    total = moved.sum()
    new_weights = torch.where(total == 0, w.sum() / len(w), w.sum() * moved / total)
    return GradNormStep(w, n, r, norms, targets, gradients, new_weights, moments, new_moments)


def _check_targets(step: GradNormStep, alpha: float) -> None:
    if step.targets.device.type == "cpu" and not step.targets.isfinite().all():
        raise ValueError(
            f"alpha is too large, got {alpha}: a rate of {step.rates.max():.3g} to that power "
            f"overflows; 1.5 suits unequal tasks"
        )


def check_range(rule: str, value: float, fits: bool) -> None:
    """Check a constant of a method, where ``fits`` says whether it is in its range.

    Raises:
        ValueError: where it is not, or the value is not finite.
    """
    if not (fits and value < float("inf")):
        raise ValueError(f"{rule}, got {value}")


class GradNorm(Balancer):
    """Learn the loss weights so that all tasks train at similar rates.

    The network gets ∇ Σ_i w_i L_i. Then w takes one step down Σ_i |G_i − Ḡ r_i^α|, with the
    targets held constant, and is scaled so that Σ_i w_i = T; see `GradNormStep`. W is the weight
    of the last shared layer, L_i(0) the first loss of task i, w_i starts at 1. Where tasks are
    missing in a step, means and sums are over those that are there; the others keep their w_i.

    Args:
        alpha: how strongly slow tasks are favoured, ≥ 0; 1.5 suits unequal tasks, 0.12 equal ones.
        learning_rate: of the weights, > 0.
        layer: the last shared layer, a module or a parameter; left out, the model's
            ``last_shared_layer()``.
        optimizer: of the weights: ``"adam"``, as in the paper's experiments, or ``"sgd"``, a plain
            step down the gradient, which is as long as a gradient norm is large.

    Raises:
        ValueError: where an argument is out of its range.

    Source: Chen et al. 2018, Algorithm 1; Adam with this rate: section 5.1 (arXiv 1711.02257).
    """

    replayable = True

    def __init__(
        self,
        alpha: float = 1.5,
        learning_rate: float = 0.025,
        *,
        layer: Layer = None,
        optimizer: str = "adam",
    ) -> None:
        check_range("alpha must be finite and ≥ 0", alpha, alpha >= 0)
        check_range("learning_rate must be finite and > 0", learning_rate, learning_rate > 0)
        if optimizer not in OPTIMIZERS:
            raise ValueError(
                f"optimizer of the weights must be one of {', '.join(map(repr, OPTIMIZERS))}, got "
                f"{optimizer!r}"
            )
        self.alpha, self.learning_rate = alpha, learning_rate
        self.layer, self.optimizer = layer, optimizer
        self.last_step: GradNormStep | None = None
        # a row of memory: w, L(0), and Adam's moments

    @property
    def weights(self) -> dict[str, Tensor]:
        """The weights that the next step will use; empty before the first."""
        return {name: row[0] for name, row in self.memory.items()}

    def backward(
        self, losses: Mapping[str, Tensor], model: nn.Module, *, scale: Scale = None
    ) -> dict[str, Tensor]:
        """Fill ``.grad`` with ∇ Σ_i w_i L_i, give the w_i, then move them.

        Raises:
            ValueError: where the last shared layer is unknown or a loss does not reach it; and, on
                a CPU, where a first loss is not above 0, or one is below 0 or not finite.
        """
        norms = layer_gradient_norms(losses, model, self.layer, scale)
        values = mean_over_replicas(stacked(losses), model)
        zeros = torch.zeros_like(values)
        start = torch.stack([torch.ones_like(values), values, zeros, zeros, zeros], dim=1)
        rows = self.recall(losses, start)
        weights, initial, *remembered = rows.unbind(1)
        initial = torch.where(initial.isfinite(), initial, values)  # its first step was skipped
        if not is_scaled(scale):
            check_finite(values, losses, "loss")
            check_finite(norms, losses, "norm of the last shared layer's gradient")
        check_positive(initial, losses, "GradNorm divides by the first loss", strict=True)
        check_positive(values, losses, "GradNorm compares losses with their first", strict=False)
        moments = Moments(*remembered)
        step = _step(
            weights,
            norms.to(values.dtype),
            _rates(values, initial),
            self.alpha,
            self.learning_rate,
            moments if self.optimizer == "adam" else None,
        )
        after = step.new_moments or moments
        if not is_scaled(scale):
            _check_targets(step, self.alpha)
            check_finite(after.second, losses, "what Adam remembers")
        used = dict(zip(losses, weights.unbind(), strict=True))
        backward_weighted_sum(losses, used, model, scale)
        self.last_step = step
        self.remember(losses, torch.stack([step.new_weights, initial, *after], dim=1), rows)
        return used
