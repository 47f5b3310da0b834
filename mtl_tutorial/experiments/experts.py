"""Mixtures of experts beside their rivals: on two regressions, and on scenes."""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn
from torch.func import functional_call, jacrev, stack_module_state, vmap

from mtl_tutorial.architectures import (
    ConvEncoder,
    Experts,
    HardSharing,
    SingleTaskNetworks,
    importance_loss,
)
from mtl_tutorial.architectures.encoders import at_least_one
from mtl_tutorial.data import Scenes
from mtl_tutorial.data.related_pair import INPUTS, NOISE, PAIR, related_pair, taught
from mtl_tutorial.experiments.runs import seeded
from mtl_tutorial.measuring import evaluate
from mtl_tutorial.places import RESULTS, read_from_course
from mtl_tutorial.profiles import check_choice
from mtl_tutorial.tasks import Batch, Task, task_losses

LONG_RUNS = RESULTS / "experts.json"
COUNT = 8  # experts of a mixture
TOWER = 8  # units of the hidden layer of a head, where it has one
# By name: how many units its trunk or each of its experts has, so that all have as many
# parameters, with linear heads and with heads that have a hidden layer.
WIDTHS = {
    "hard sharing": (139, 113),
    "one gate": (17, 17),
    "a gate a task": (16, 16),
    "own experts": (17, 17),
    "own network": (71, 64),
}
NETWORKS = tuple(WIDTHS)
SCENE_NETWORKS = ("hard sharing", "one gate", "a gate a task", "own network")
UNSEEN = 2000  # examples on which networks are tested


class Layer(nn.Sequential):
    """The smallest expert: f(x) = ReLU(W x + b).

    Args:
        inputs: numbers in x.
        width: numbers in f(x).
    """

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__(nn.Linear(inputs, width), nn.ReLU())
        self.out_features = width


def network_for_pair(name: str, *, deep_heads: bool = False) -> nn.Module:
    """Give a network for `related_pair`, with as many parameters as its rivals.

    Args:
        name: ``"hard sharing"``, one layer for both tasks; ``"one gate"``, 8 experts with a gate
            that serves both tasks; ``"a gate a task"``, the same with a gate for each; ``"own
            experts"``, 4 experts and a gate for each task, so that nothing is shared; or ``"own
            network"``, one layer for each task.
        deep_heads: gives each head a hidden layer of 8, as in the paper; else heads are linear.
    """
    width = WIDTHS[check_choice("network", name, NETWORKS)][deep_heads]

    def experts(count: int) -> list[Layer]:
        return [Layer(INPUTS, width) for _ in range(count)]

    if name == "hard sharing":
        model: nn.Module = HardSharing(Layer(INPUTS, width), PAIR)
    elif name == "own network":
        model = SingleTaskNetworks({t.name: HardSharing(Layer(INPUTS, width), [t]) for t in PAIR})
    elif name == "own experts":
        half = COUNT // 2
        model = SingleTaskNetworks({t.name: Experts(experts(half), [t], INPUTS) for t in PAIR})
    else:
        model = Experts(experts(COUNT), PAIR, INPUTS, gate="all" if name == "one gate" else "task")
    if deep_heads:
        for part in list(model.modules()):
            if isinstance(part, (HardSharing, Experts)):
                for task in list(part.heads):
                    layers = nn.Linear(width, TOWER), nn.ReLU(), nn.Linear(TOWER, 1)
                    part.heads[task] = nn.Sequential(*layers)
    return model


def learn_pairs(
    name: str,
    correlations: Sequence[float],
    *,
    seeds: Iterable[int],
    steps: int,
    marks: Collection[int] = (),
    deep_heads: bool = False,
    batch_size: int = 128,
    learning_rate: float = 5e-3,
) -> pd.DataFrame:
    """Train a network for every correlation and seed, all in one pass, by Adam on fresh examples.

    A seed has the same initial weights, inputs and first teacher at every correlation. The noise of
    all rows is drawn by the first seed's generator: a row is the same again beside the same others.

    Args:
        name: as in `network_for_pair`.
        correlations: p of `related_pair`.
        marks: after how many steps to look, beside the last.
        deep_heads: as in `network_for_pair`.

    Returns:
        For every correlation, seed and mark: ``correlation``, ``seed``, ``step``, ``error`` (the
        squared error on unseen examples without noise, divided by the variance of the labels; the
        mean of the two tasks) and ``cosine`` (between the two tasks' gradients of the trunk or the
        experts, on the same examples; NaN where nothing is shared).

    Raises:
        ValueError: where there is no step, no correlation or no seed, or a mark is after the last
            step.
    """
    seeds, correlations, marks = list(seeds), list(correlations), set(marks)
    at_least_one(
        steps=steps, batch_size=batch_size, correlations=len(correlations), seeds=len(seeds)
    )
    if late := [mark for mark in marks if not 1 <= mark <= steps]:
        raise ValueError(f"marks must be from 1 to {steps}, the last step, got {late}")
    rows = [(p, seed) for p in correlations for seed in seeds]
    models, teachers = [], []
    for p, seed in rows:
        with seeded(seed) as generator:
            models.append(network_for_pair(name, deep_heads=deep_heads))
            teachers.append(related_pair(p, generator).teachers)
    parameters, _ = stack_module_state(models)
    model, w = copy.deepcopy(models[0]).to("meta"), torch.stack(teachers)

    def losses(theta: dict[str, Tensor], x: Tensor, y: Tensor) -> Tensor:
        outputs = functional_call(model, theta, (x,))
        return (torch.cat([*outputs.values()], 1) - y).square().mean(0)

    draws = {seed: torch.Generator().manual_seed(seed) for _, seed in rows}

    def inputs(count: int) -> Tensor:
        drawn = {seed: torch.randn(count, INPUTS, generator=g) for seed, g in draws.items()}
        return torch.stack([drawn[seed] for _, seed in rows])

    unseen = inputs(UNSEEN)
    answers = taught(unseen, w)
    adam = torch.optim.Adam(parameters.values(), lr=learning_rate, fused=True)
    tables = []
    for step in range(1, steps + 1):
        x = inputs(batch_size)
        y = taught(x, w)
        y = y + NOISE * torch.randn(y.shape, generator=draws[rows[0][1]])
        adam.zero_grad()
        vmap(losses)(parameters, x, y).sum().backward()
        adam.step()
        if step in marks or step == steps:
            theta = {key: value.detach() for key, value in parameters.items()}
            error = (vmap(losses)(theta, unseen, answers) / answers.var(1)).mean(1)
            cosine = _cosines(vmap(jacrev(losses))(theta, unseen[:, :512], answers[:, :512]))
            table = pd.DataFrame(rows, columns=["correlation", "seed"])
            tables.append(table.assign(step=step, error=error.tolist(), cosine=cosine.tolist()))
    return pd.concat(tables, ignore_index=True)


def _cosines(jacobian: dict[str, Tensor]) -> Tensor:
    """Between two tasks' gradients of what both use; each entry of shape (S, 2, ...)."""
    shared = [g.flatten(2) for key, g in jacobian.items() if key.startswith(("encoder", "experts"))]
    if not shared:
        return torch.full_like(next(iter(jacobian.values())).flatten(1)[:, 0], float("nan"))
    first, second = torch.cat(shared, 2).unbind(1)
    return torch.cosine_similarity(first, second, dim=1)


def network_for_scenes(name: str, tasks: Sequence[Task]) -> nn.Module:
    """Give a network for scenes, with as many parameters as its rivals.

    Args:
        name: ``"hard sharing"``, one encoder; ``"one gate"`` or ``"a gate a task"``, 3 smaller
            encoders as experts; or ``"own network"``, an encoder for each of two tasks.
        tasks: two.
    """
    check_choice("network", name, SCENE_NETWORKS)
    if name == "hard sharing":
        return HardSharing(ConvEncoder(11, out_features=43), tasks)
    if name == "own network":
        return SingleTaskNetworks(
            {t.name: HardSharing(ConvEncoder(8, out_features=30), [t]) for t in tasks}
        )
    encoders = [ConvEncoder(6, out_features=24) for _ in range(3)]
    return Experts(encoders, tasks, 784, gate="all" if name == "one gate" else "task")


def train_mixture(
    build: Callable[[], nn.Module],
    tasks: Sequence[Task],
    scenes: Scenes,
    validation: Batch,
    *,
    seed: int,
    steps: int,
    balance: float = 0.0,
    batch_size: int = 64,
    learning_rate: float = 5e-3,
) -> tuple[Any, dict[str, float]]:
    """Train a network by Adam on Σ_k L_k + w · L_importance, the mean over the tasks' gates.

    Args:
        build: makes the model; one with a method ``gates`` where ``balance`` is not 0.
        tasks, scenes, validation, seed, steps: as of `train`.
        balance: w, the weight of `importance_loss`; 0 leaves it out.

    Returns:
        The trained model, and its metrics on the validation batch by task name.

    Raises:
        ValueError: where ``balance`` is negative or not finite, or the model has no gates for it.
    """
    if not (math.isfinite(balance) and balance >= 0):
        raise ValueError(f"balance must be a number from 0 on, got {balance}")
    tasks = tuple(tasks)
    device = scenes.digits.labels.device
    with seeded(seed):
        model = build()
        if balance and not hasattr(model, "gates"):
            raise ValueError(f"balance needs a model with gates, and a {_kind(model)} has none")
        model, generator = model.to(device), torch.Generator(device).manual_seed(seed)
        adam = torch.optim.Adam(model.parameters(), lr=learning_rate, fused=True)
        for batch in itertools.islice(scenes.stream(batch_size, generator), steps):
            losses = task_losses(model(batch.inputs), batch.targets, tasks)
            total = torch.stack([*losses.values()]).sum()
            if balance:
                gates = model.gates(batch.inputs)  # type: ignore[operator]
                total = total + balance * importance_loss(torch.stack([*gates.values()]))
            adam.zero_grad()
            total.backward()
            adam.step()
    scores = evaluate(model, tasks, validation)
    return model, {name: score.metric for name, score in scores.items()}


def gate_choices(model: Experts, batch: Batch) -> pd.DataFrame:
    """Give what each task's gate does on a batch, and on the scenes of each digit alone.

    Returns:
        For every task, every digit of the batch and ``"all"``: ``task``, ``digit``, ``expert``
        (from 1 on) and ``share``, the mean of g_k(x)_i.

    Raises:
        ValueError: where the model has no gates.
    """
    if not hasattr(model, "gates"):
        raise ValueError(f"choices are made by gates, and a {_kind(model)} has none")
    images: Any = batch.inputs
    with torch.no_grad():
        gates, digits = model.gates(images), batch.targets["digit"]
    rows = []
    for task, found in gates.items():
        for digit in ("all", *range(10)):
            part = found if digit == "all" else found[digits == digit]
            if not len(part):
                continue
            shares = enumerate(part.mean(0).tolist(), 1)
            rows += [(task, str(digit), expert, share) for expert, share in shares]
    return pd.DataFrame(rows, columns=["task", "digit", "expert", "share"])


def _kind(model: object) -> str:
    return type(model).__name__


def long_runs(path: Path = LONG_RUNS) -> tuple[dict[str, pd.DataFrame], dict[str, Any]]:
    """Read the long runs that come with the course, and where they are from.

    Returns:
        Three tables and their provenance. ``"pairs"`` has the columns of `learn_pairs`,
        ``network``, ``heads`` (``"linear"`` or ``"deep"``) and ``rate``.
        ``"scenes"`` has ``network``,
        ``balance``, ``steps``, ``seed``, the metrics ``digit`` and ``box``, and for mixtures
        ``box_used`` and ``digit_used`` (see `experts_used`) and ``box_most`` (the mean of the
        largest weight that the box's gate gives). ``"twins"`` has the tasks ``first`` and
        ``second``, which may be one task twice, ``seed``, ``overlap`` (Σ_i of the smaller of the
        two gates' mean weights) and the metrics ``first_score`` and ``second_score``.

    Raises:
        ValueError: where they are not there.
    """
    content = read_from_course(path)
    tables = {
        name: pd.DataFrame(content[name]["rows"], columns=content[name]["columns"])
        for name in content
        if name != "provenance"
    }
    return tables, content["provenance"]
