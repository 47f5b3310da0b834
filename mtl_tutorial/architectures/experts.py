"""A mixture of experts: encoders for all tasks, and gates that say how much each counts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from mtl_tutorial.architectures.encoders import (
    at_least_one,
    feature_count,
    features_of,
    place_like,
)
from mtl_tutorial.architectures.hard_sharing import linear_heads
from mtl_tutorial.architectures.layered import last_layer
from mtl_tutorial.profiles import check_choice
from mtl_tutorial.tasks import Task, unique_names

ALL = "all_tasks"  # the name of the gate that serves them all


class Experts(nn.Module):
    """Encoders that all tasks use, each task as much of each as its gate says (MMoE).

    Task k gets f_k(x) = Σ_i g_k(x)_i f_i(x) from the experts f_1 … f_n, with its gate
    g_k(x) = softmax(W_k x), and answers ŷ_k = h_k(f_k(x)) with a linear head h_k. x is the input
    as one vector: an image is flattened.

    With one expert this is hard sharing. With one gate for all tasks, g_k = g, it is the mixture
    that the paper calls OMoE.

    Args:
        experts: n of them, with equal ``out_features``: encoders, or ``nn.Linear`` for vectors.
            They are used, not copied.
        tasks: one head of width ``task.out_features`` for each.
        in_features: how many numbers x has, 784 for images of 28 x 28.
        gate: ``"task"``, one for each task, or ``"all"``, one that serves all.

    Raises:
        ValueError: where there is no task, two have one name, there is no expert, one is given
            twice or has no ``out_features``, they have different ones, a number is below 1, or
            the gate is unknown.

    Source: Ma et al. 2018, Modeling Task Relationships in Multi-task Learning with Multi-gate
    Mixture-of-Experts (KDD), equations 6 to 8.
    """

    def __init__(
        self,
        experts: Iterable[nn.Module],
        tasks: Iterable[Task],
        in_features: int,
        *,
        gate: str = "task",
    ) -> None:
        super().__init__()
        experts, tasks = tuple(experts), tuple(tasks)
        names = unique_names(tasks)
        at_least_one(experts=len(experts), in_features=in_features)
        if len({id(expert) for expert in experts}) < len(experts):
            raise ValueError("experts must be modules of their own, but one was given twice")
        widths = [feature_count(expert) for expert in experts]
        if len(set(widths)) > 1:
            raise ValueError(
                f"experts must have equal out_features so that they can be mixed, got {widths}"
            )
        self.gate = check_choice("gate", gate, ("task", "all"))
        self.in_features = in_features
        self.experts = nn.ModuleList(experts)
        gates = {
            name: nn.Linear(in_features, len(experts), bias=False)
            for name in (names if gate == "task" else [ALL])
        }
        self.gate_layers = place_like(nn.ModuleDict(gates), experts[0])  # the W_k
        self.heads = linear_heads(experts[0], tasks)

    def gates(self, inputs: Tensor) -> dict[str, Tensor]:
        """Give each task's weights of the experts, shape ``(B, n)``; each row sums to 1.

        Raises:
            ValueError: where an input has another number of values than the gates are built for.
        """
        if not isinstance(inputs, Tensor) or inputs.shape[1:].numel() != self.in_features:
            got = tuple(inputs.shape) if isinstance(inputs, Tensor) else type(inputs).__name__
            raise ValueError(
                f"the gates need one tensor with {self.in_features} numbers an example, got {got}; "
                f"build them for others by in_features"
            )
        x = inputs.flatten(1)
        found = {name: layer(x).softmax(dim=1) for name, layer in self.gate_layers.items()}
        return {name: found[name if self.gate == "task" else ALL] for name in self.heads}

    def forward(
        self, inputs: Tensor, gates: Mapping[str, Tensor] | None = None
    ) -> dict[str, Tensor]:
        """Give the prediction of each task, shape ``(B, task.out_features)``, by its name.

        Args:
            inputs: shape ``(B, ...)``, with ``in_features`` numbers an example.
            gates: used in place of a task's own, shape ``(B, n)`` or ``(n,)``.

        Raises:
            ValueError: where gates are for an unknown task, are not one number an expert, or are
                for another number of examples.
        """
        for name, weights in (gates or {}).items():
            check_choice("task", name, self.heads)
            shape = tuple(weights.shape) if isinstance(weights, Tensor) else None
            if shape is None or len(shape) not in (1, 2) or shape[-1] != len(self.experts):
                got = type(weights).__name__ if shape is None else f"shape {shape}"
                raise ValueError(
                    f"gates of task {name!r} must be a tensor with one number for each of "
                    f"{len(self.experts)} experts, got {got}"
                )
        used = self.gates(inputs)
        for name, weights in (gates or {}).items():
            if weights.ndim == 2 and len(weights) != len(inputs):
                raise ValueError(
                    f"gates of task {name!r} are for {len(weights)} examples, but there are "
                    f"{len(inputs)}"
                )
            used[name] = weights
        features = torch.stack(
            [features_of(expert, inputs) for expert in self.experts], dim=1
        )  # (B, n, F)
        return {
            name: head((used[name].unsqueeze(-1) * features).sum(dim=1))
            for name, head in self.heads.items()
        }

    def last_shared_layer(self) -> nn.Module:
        """The last layer with a weight matrix or kernel of every expert.

        Raises:
            ValueError: where one has none, or it is not certain which is the last.
        """
        return nn.ModuleList(
            last_layer(expert, f"model.experts[{i}]") for i, expert in enumerate(self.experts)
        )


def importance_loss(gates: Tensor) -> Tensor:
    """Give how unevenly a batch uses the experts; with a weight it is added to the losses.

    L = CV(v)² = Var(v) / mean(v)², with v_i = Σ_x g(x)_i, the importance of expert i in the batch.
    It is 0 where all n experts count the same, and n − 1 where one of them gets all. It looks at
    the batch as a whole: each example may still choose one expert.

    Args:
        gates: of one task, shape ``(B, n)``; or of T tasks, ``(T, B, n)``, and then L is the mean
            over the tasks.

    Raises:
        ValueError: for what is no tensor, another shape, no example, a weight that is negative or
            not finite, or gates whose mean is 0.

    Source: Shazeer et al. 2017, Outrageously Large Neural Networks (arXiv 1701.06538), section 4.
    There the gates are sparse, a second loss evens out how many examples an expert gets, and L is
    weighted by w_importance.
    """
    gates = _as_gates(gates)
    if gates.ndim > 3:
        raise ValueError(
            f"gates must have shape (B, n), or (T, B, n) for T tasks, got {tuple(gates.shape)}"
        )
    v = gates.sum(dim=-2)
    mean = v.mean(dim=-1)
    if not mean.all():
        raise ValueError("gates must let an expert through: those of a task are 0 on average")
    return (v.var(dim=-1, correction=0) / mean**2).mean()


def experts_used(gates: Tensor) -> Tensor:
    """Give how many experts a task uses over a batch, from 1 to n: exp H(ḡ).

    ḡ_i is the mean of g(x)_i over the batch, and H(ḡ) = −Σ_i ḡ_i log ḡ_i its entropy.

    Args:
        gates: shape ``(..., B, n)``.

    Raises:
        ValueError: for what is no tensor, another shape, no example, or weights that are negative,
            not finite, or do not sum to 1 in every row.
    """
    gates = _as_gates(gates)
    if ((gates.sum(-1) - 1).abs() > 1e-2).any():
        raise ValueError("gates must sum to 1 in every row; take the softmax of the scores first")
    mean = gates.mean(dim=-2)
    return torch.special.entr(mean).sum(dim=-1).exp()


def _as_gates(gates: object) -> Tensor:
    """Give gates in single precision or more: a sum over a batch leaves the range of less."""
    if not isinstance(gates, Tensor) or not gates.is_floating_point():
        kind = str(gates.dtype) if isinstance(gates, Tensor) else type(gates).__name__
        raise ValueError(f"gates must be a tensor of floating-point numbers, got {kind}")
    if gates.ndim < 2 or not gates.numel():
        raise ValueError(
            f"gates must have shape (B, n), or (T, B, n) for T tasks, with an example at least, "
            f"got {tuple(gates.shape)}"
        )
    if not (gates >= 0).all() or gates.isinf().any():
        raise ValueError(
            "gates must be weights from 0 on, and finite; take the softmax of the scores first"
        )
    return gates.to(torch.promote_types(gates.dtype, torch.float32))
