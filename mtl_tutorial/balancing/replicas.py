"""The replicas of a model under DistributedDataParallel: what they average, and agree on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel


def replicated(model: nn.Module) -> DistributedDataParallel | None:
    """The DistributedDataParallel that a model is, or holds, as a compiled one does."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return None
    return next((m for m in model.modules() if isinstance(m, DistributedDataParallel)), None)


def mean_over_replicas(values: Tensor, model: nn.Module) -> Tensor:
    """The mean over the replicas of a model under DistributedDataParallel; elsewhere ``values``."""
    if (replicas := replicated(model)) is None:
        return values
    values = values.detach().clone(memory_format=torch.contiguous_format)
    torch.distributed.all_reduce(values, group=replicas.process_group)
    return values / torch.distributed.get_world_size(replicas.process_group)


def same_on_replicas(values: Tensor, model: nn.Module) -> Tensor:
    """The first replica's under DistributedDataParallel, where chance has a part in them."""
    if (replicas := replicated(model)) is not None:
        values = values.detach().contiguous()
        source = torch.distributed.get_global_rank(replicas.process_group, 0)
        torch.distributed.broadcast(values, source, group=replicas.process_group)
    return values


def check_same_tasks(losses: Mapping[str, Tensor], model: nn.Module) -> None:
    """Check that all replicas have losses of the same tasks, which they would else wait for.

    Raises:
        ValueError: on every replica, where they differ.
    """
    if (replicas := replicated(model)) is None:
        return
    of_replicas: list = [None] * torch.distributed.get_world_size(replicas.process_group)
    torch.distributed.all_gather_object(of_replicas, list(losses), group=replicas.process_group)
    if any(names != of_replicas[0] for names in of_replicas):
        raise ValueError(
            f"replicas must have losses of the same tasks in the same order, got {of_replicas}; "
            f"give every replica a label of each task in every batch"
        )


def agree_on_reach(
    rows: Sequence[Sequence[Tensor | None]],
    parameters: Sequence[Tensor],
    model: nn.Module,
) -> list[list[Tensor | None]]:
    """Give gradients with zeros for what a loss reaches on another replica alone.

    It can be so only in a model that is said to leave parameters unused.

    Args:
        rows: each task's gradients; None for what its loss does not reach.
    """
    if (replicas := replicated(model)) is None or not replicas.find_unused_parameters:
        return [list(row) for row in rows]
    flags = [[gradient is not None for gradient in row] for row in rows]
    somewhere = torch.tensor(flags, dtype=torch.uint8, device=parameters[0].device)
    highest = torch.distributed.ReduceOp.MAX
    torch.distributed.all_reduce(somewhere, highest, group=replicas.process_group)
    return [
        [
            torch.zeros_like(parameter) if gradient is None and reaches else gradient
            for gradient, parameter, reaches in zip(row, parameters, reached, strict=True)
        ]
        for row, reached in zip(rows, somewhere.tolist(), strict=True)
    ]
