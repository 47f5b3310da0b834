"""Few-shot tasks made of scenes, and ways to train on them beside the meta-learning ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import repeat
from typing import Any, NamedTuple, cast

import torch
from torch import Generator, Tensor, nn
from torch.func import functional_call, vmap
from torch.nn import functional as F

from mtl_tutorial.balancing import FixedWeights
from mtl_tutorial.data import Digits, Scenes
from mtl_tutorial.experiments.meta import Loss, Parameters, adapt, check_episode
from mtl_tutorial.experiments.runs import Run, seeded
from mtl_tutorial.experiments.side_by_side import SideBySide
from mtl_tutorial.measuring import predict
from mtl_tutorial.tasks import Batch, Task, accuracy
from mtl_tutorial.training import fit

WAYS = 3  # classes of a few-shot task
NO_LABEL = -100  # what a cross-entropy leaves out


def _cross_entropy(prediction: Tensor, target: Tensor) -> Tensor:
    """The mean over all examples with a label; ``(..., classes)`` and ``(...)``."""
    return F.cross_entropy(prediction.flatten(0, -2), target.flatten(), ignore_index=NO_LABEL)


OLD = Task("digit", _cross_entropy, accuracy, 10)
NEW = Task("new", _cross_entropy, accuracy, WAYS)


class Episode(NamedTuple):
    """Few-shot tasks, one each in the first dimension.

    Args:
        support: inputs to learn from, shape ``(T, WAYS * shots, ...)``.
        support_targets: 0 to ``WAYS - 1``, shape ``(T, WAYS * shots)``.
        query: inputs to be judged on; no digit is in support and query of one task.
        query_targets: shape ``(T, WAYS * queries)``.
    """

    support: Tensor
    support_targets: Tensor
    query: Tensor
    query_targets: Tensor


def of_classes(digits: Digits, classes: Tensor) -> Digits:
    """Give the digits of some classes alone.

    Raises:
        ValueError: where there is none.
    """
    chosen = torch.isin(digits.labels, classes.to(digits.labels.device))
    if not chosen.any():
        raise ValueError(
            f"no digit is of the classes {classes.tolist()}; there are "
            f"{digits.labels.unique().tolist()}"
        )
    return Digits(digits.images[chosen], digits.labels[chosen], digits.split)


def draw_episode(
    scenes: Scenes,
    classes: Tensor | Sequence[int],
    *,
    count: int,
    shots: int,
    queries: int,
    generator: Generator,
) -> Episode:
    """Draw tasks: which of three classes is it? The classes get the numbers 0 to 2 in random order.

    Args:
        scenes: what to compose images with.
        classes: the labels to choose from, shape ``(C,)``, at least three, all different.
        count: T, tasks.
        shots, queries: examples a class to learn from and to be judged on, all different digits.
        generator: source of everything random.

    Raises:
        ValueError: where there are fewer than three classes or two are the same, a class has too
            few digits, or a number is below 1.
    """
    labels, classes = scenes.digits.labels, torch.as_tensor(classes)
    whole = classes.ndim == 1 and not classes.is_floating_point()
    if not whole or len(classes.unique()) < len(classes):
        raise ValueError(f"classes must be different whole numbers, got {classes.tolist()}")
    if len(classes) < WAYS:
        raise ValueError(f"a task needs {WAYS} classes, got {classes.tolist()} to choose from")
    for what, number in (("count", count), ("shots", shots), ("queries", queries)):
        if number < 1:
            raise ValueError(f"{what} must be at least 1, got {number}")
    fewest = min((int((labels == label).sum()), int(label)) for label in classes)
    if fewest[0] < shots + queries:
        raise ValueError(
            f"{shots} shots and {queries} queries need {shots + queries} digits a class, and class "
            f"{fewest[1]} has {fewest[0]}; ask for fewer"
        )
    where = generator.device
    order = torch.rand(count, len(classes), generator=generator, device=where).argsort(1)
    chosen = classes.to(where)[order[:, :WAYS]].to(labels.device)
    luck = torch.rand(count, WAYS, len(labels), generator=generator, device=where)
    luck = luck.to(labels.device).masked_fill(labels != chosen[..., None], -1)
    index = luck.topk(shots + queries).indices
    inputs: Any = scenes.compose(index.flatten(), generator).inputs
    images = inputs.unflatten(0, index.shape)
    numbers = torch.arange(WAYS, device=labels.device)[:, None].expand(count, WAYS, 1)
    parts = []
    for part in (images[:, :, :shots], images[:, :, shots:]):
        parts += [part.flatten(1, 2), numbers.expand(*part.shape[:3]).flatten(1)]
    return Episode(*parts)


def new_task_loss(model: nn.Module) -> Loss:
    """Give the loss of the task ``new`` as a function of the model's parameters by name.

    Raises, when it is called:
        ValueError: where the targets are no class numbers.
    """

    def loss(theta: Parameters, inputs: Tensor, targets: Tensor) -> Tensor:
        if targets.dtype != torch.int64:
            raise ValueError(
                f"targets of the task {NEW.name!r} must be class numbers (torch.int64), got "
                f"{targets.dtype}"
            )
        outputs = functional_call(model, dict(theta), (inputs,))
        return F.cross_entropy(outputs[NEW.name], targets)

    return loss


def adapted_accuracy(
    model: nn.Module,
    theta: Parameters,
    episode: Episode,
    *,
    rate: float | Tensor,
    steps: int,
    only: str = "",
) -> Tensor:
    """Give the mean accuracy on the queries after `adapt` on each task's support, from one start.

    Args:
        model: a network with a head for `NEW`.
        theta: the start, parameters by name.
        episode: the tasks.
        rate, steps, only: as for `adapt`.
    """
    loss = new_task_loss(model)

    def of_one(support, support_targets, query, query_targets):
        own = adapt(loss, theta, support, support_targets, rate=rate, steps=steps, only=only)
        return accuracy(functional_call(model, own, (query,))[NEW.name], query_targets)

    return vmap(of_one)(*episode).mean()


def best_rate(
    model: nn.Module,
    theta: Parameters,
    episode: Episode,
    rates: Sequence[float],
    *,
    steps: int,
    only: str = "",
) -> float:
    """Give the rate with the highest `adapted_accuracy`, the first where several have it."""
    found = [
        adapted_accuracy(model, theta, episode, rate=rate, steps=steps, only=only) for rate in rates
    ]
    return rates[int(torch.stack(found).argmax())]


def query_accuracy(networks: SideBySide, episode: Episode) -> float:
    """Give the mean accuracy on the queries of networks of which each has learned one task."""
    answers = predict(networks, Batch(episode.query, {}))[NEW.name].argmax(-1)
    return (answers == episode.query_targets).float().mean().item()


def train_alone(
    build: Callable[[], nn.Module],
    episode: Episode,
    *,
    seed: int,
    steps: int,
    learning_rate: float,
) -> SideBySide:
    """Train a network for each few-shot task on its support examples, and on nothing else.

    It is `train_jointly` without the old task: the same first weights, steps and optimizer.

    Args:
        build: makes a network with a head for `NEW`; it may give one that was trained before.
        episode: the new tasks; queries are not looked at.
        seed: of the parameters.
        steps: training steps, with all support examples in each.
        learning_rate: Adam's.

    Raises:
        ValueError: where the parts of the episode do not fit.
    """
    check_episode(episode)
    with seeded(seed):
        networks = SideBySide([build() for _ in episode.support]).to(episode.support.device)
    adam = torch.optim.Adam(networks.parameters(), lr=learning_rate)
    batches = repeat(Batch(episode.support, {NEW.name: episode.support_targets}))
    for _ in fit(networks, (NEW,), batches, FixedWeights(), adam, steps):
        pass
    return networks


def train_jointly(
    build: Callable[[], nn.Module],
    old: Scenes,
    episode: Episode,
    *,
    seed: int,
    steps: int,
    batch_size: int,
    learning_rate: float,
) -> SideBySide:
    """Train a network for each few-shot task, on the old task and the new one at the same time.

    L = L_digit + L_new: a batch of old scenes and all support examples, in every step.

    Args:
        build: makes a network with the heads of `OLD` and `NEW`.
        old: scenes with the target ``digit``.
        episode: the new tasks; queries are not looked at.
        seed: of the scenes and the parameters; each network draws first weights of its own.
        steps: training steps.
        batch_size: old scenes a step, the same for all networks.
        learning_rate: Adam's.

    Raises:
        ValueError: where the parts of the episode do not fit.
    """
    check_episode(episode)
    support, targets = episode.support, episode.support_targets
    count = len(support)

    def with_support(index: Tensor, generator: Generator) -> Batch:
        batch = old.compose(index, generator)
        images: Any = batch.inputs
        inputs = images.expand(count, *images.shape)
        labels = batch.targets[OLD.name].expand(count, -1)
        return Batch(
            torch.cat([inputs, support], 1),
            {
                OLD.name: torch.cat([labels, torch.full_like(targets, NO_LABEL)], 1),
                NEW.name: torch.cat([torch.full_like(labels, NO_LABEL), targets], 1),
            },
        )

    run = Run(
        lambda: SideBySide([build() for _ in range(count)]),
        (OLD, NEW),
        Scenes((OLD, NEW), old.digits, with_support),
        seed=seed,
        steps=steps,
        batch_size=batch_size,
        learning_rate=learning_rate,
    )
    for _ in run:
        pass
    return cast("SideBySide", run.model)
