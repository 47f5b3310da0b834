"""Scenes with few labels, and streams of several data sets that have a task each.

A label is missing where its target is absent from the batch, or is NaN (floating-point targets)
or −100 (class numbers).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from numbers import Integral, Real

import torch
from torch import Generator, Tensor

from mtl_tutorial.data.scenes import Compose, Scenes, check_generator
from mtl_tutorial.profiles import check_choice
from mtl_tutorial.tasks import NO_LABEL, Batch, map_batches


def with_few_labels(
    scenes: Scenes, labels: Mapping[str, float | int], generator: Generator
) -> Scenes:
    """Take labels of some tasks away from most examples; images and all other labels stay.

    Which digits keep a task's label is drawn once: a digit has it in every batch and epoch, or
    never. From generators with the same seed, more labels include all of fewer, and what is
    asked of one task changes nothing for another.

    Args:
        scenes: where all labels are.
        labels: how many digits keep the label, by task name: a share from 0.0 to 1.0, or a whole
            number from 0 on. Tasks that are not named keep all.
        generator: draws which.

    Raises:
        ValueError: for a task that is not there, or a share or number out of range.
    """
    check_generator(generator)
    names = [task.name for task in scenes.tasks]
    counts = {
        check_choice("task", name, names): _count(name, share, len(scenes))
        for name, share in labels.items()
    }
    kept = {}
    for name in names:  # all of them, so that each has an order of its own
        order = torch.randperm(len(scenes), generator=generator, device=generator.device)
        if name in counts:
            has = torch.zeros(len(scenes), dtype=torch.bool, device="cpu")
            has[order[: counts[name]].cpu()] = True
            kept[name] = has.to(scenes.digits.labels.device)
    return Scenes(scenes.tasks, scenes.digits, _FewLabels(scenes.compose, kept))


def _count(name: str, share: float | int, total: int) -> int:
    if isinstance(share, Integral) and not isinstance(share, bool):
        if 0 <= share <= total:
            return int(share)
    elif isinstance(share, Real) and not isinstance(share, bool) and 0 <= share <= 1:
        return round(share * total)
    raise ValueError(
        f"labels of task {name!r} must be a share from 0.0 to 1.0 or a whole number from 0 to "
        f"{total}, the number of digits, got {share!r}"
    )


@dataclass(frozen=True, eq=False)
class _FewLabels:
    compose: Compose
    kept: dict[str, Tensor]  # by task name: which digits have a label, (N,)

    def __call__(self, index: Tensor, generator: Generator) -> Batch:
        batch = self.compose(index, generator)
        targets = dict(batch.targets)
        for name, has in self.kept.items():
            target = targets[name]
            has = has[index].view(-1, *[1] * (target.ndim - 1))
            targets[name] = torch.where(has, target, _no_label(name, target))
        return Batch(batch.inputs, targets)


def _no_label(task: str, target: Tensor) -> float | int:
    if target.is_floating_point():
        return math.nan
    if target.dtype == torch.int64:
        return NO_LABEL
    raise ValueError(
        f"targets of task {task!r} are {target.dtype}, which has no mark for a missing label; "
        f"make them int64 (class numbers) or float32"
    )


def only(stream: Iterable[Batch], *tasks: str) -> Iterator[Batch]:
    """Give a stream's batches with the labels of these tasks alone.

    Raises:
        ValueError: where no task is named, or a batch has no target for one.
    """
    if not tasks:
        raise ValueError("only needs a task to keep, such as only(stream, 'digit'), got none")
    return (
        replace(
            batch, targets={t: batch.targets[check_choice("task", t, batch.targets)] for t in tasks}
        )
        for batch in stream
    )


def in_turn(*streams: Iterable[Batch]) -> Iterator[Batch]:
    """Give a batch of each stream in turn, until one of them has no more for a whole round.

    One data set a task: ``in_turn(only(some, "digit"), only(others, "box"))``.

    Raises:
        ValueError: where there is no stream.
    """
    _check_several("in_turn", streams)
    return (batch for batches in zip(*streams, strict=False) for batch in batches)


def mixed(*streams: Iterable[Batch]) -> Iterator[Batch]:
    """Join a batch of each stream into one by `joined`, until one of them has no more.

    Raises:
        ValueError: where there is no stream, or their batches can't be joined.
    """
    _check_several("mixed", streams)
    return (joined(*batches) for batches in zip(*streams, strict=False))


def joined(*batches: Batch) -> Batch:
    """Make one batch of several, whatever tasks each has labels for.

    Every example keeps its labels; those of the tasks that only other batches have are missing.

    Args:
        batches: with inputs of one shape, type and device; likewise the targets of a task.

    Raises:
        ValueError: where there is no batch, what is to be joined differs, or a target's type
            (such as bool) has no mark for a missing label.
    """
    _check_several("joined", batches, kind=Batch)
    names = dict.fromkeys(name for batch in batches for name in batch.targets)
    likes = {n: next(b.targets[n] for b in batches if n in b.targets) for n in names}
    _check_alike("inputs", [batch.inputs for batch in batches])
    for name in names:
        found = [batch.targets[name] for batch in batches if name in batch.targets]
        _check_alike(f"targets of task {name!r}", found)
    whole = []
    for batch in batches:
        absent = {
            name: like.new_full((_examples(batch), *like.shape[1:]), _no_label(name, like))
            for name, like in likes.items()
            if name not in batch.targets
        }
        targets = {**batch.targets, **absent}
        ordered = {name: targets[name] for name in names}
        whole.append(Batch(batch.inputs, ordered, batch.complete and not absent))
    return map_batches(lambda *parts: torch.cat(parts), *whole)


def _examples(batch: Batch) -> int:
    inputs = batch.inputs
    return len(inputs if isinstance(inputs, Tensor) else next(iter(inputs.values())))


def _check_alike(what: str, parts: Sequence[Tensor | Mapping[str, Tensor]]) -> None:
    kinds = [_kind(part) for part in parts]
    for kind in kinds:
        if kind != kinds[0]:
            raise ValueError(
                f"{what} must be alike in all batches that are joined, got {kinds[0]} and {kind}"
            )


def _kind(part: Tensor | Mapping[str, Tensor]) -> str:
    if isinstance(part, Tensor):
        shape = ", ".join(map(str, ("B", *part.shape[1:])))
        return f"({shape}) {part.dtype} on {part.device}"
    return "; ".join(f"{name}: {_kind(part[name])}" for name in sorted(part))


def _check_several(what: str, sources: Sequence, *, kind: type = Iterable) -> None:
    if not sources:
        raise ValueError(f"{what} needs a stream or a batch to take from, got none")
    for source in sources:
        if not isinstance(source, kind):
            wanted = "batches" if kind is Batch else "streams, such as scenes.stream(64, generator)"
            raise ValueError(f"{what} takes {wanted}, got {type(source).__name__}")
