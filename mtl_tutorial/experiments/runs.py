"""Training runs in memory, and grids of them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

import pandas as pd
import torch
from torch import nn
from tqdm.auto import tqdm

from mtl_tutorial.balancing import Balancer, FixedWeights
from mtl_tutorial.data import Scenes
from mtl_tutorial.measuring import evaluate
from mtl_tutorial.tasks import Batch, Task
from mtl_tutorial.training import History, NonFiniteLossError, fit


@contextmanager
def seeded(seed: int) -> Iterator[torch.Generator]:
    """Make what is random inside the block depend on ``seed`` alone.

    Inside, torch's default generator (initial weights, dropout) starts at the seed; outside, it
    goes on as if the block had not been there. Gives a generator of its own for the data.
    """
    with torch.random.fork_rng(range(torch.cuda.device_count())):  # unnamed, several GPUs warn
        torch.manual_seed(seed)
        yield torch.Generator().manual_seed(seed)


def train(
    build: Callable[[], nn.Module],
    tasks: Sequence[Task],
    scenes: Scenes,
    validation: Batch,
    *,
    seed: int,
    steps: int,
    batch_size: int = 64,
    learning_rate: float = 5e-3,
    balancer: Balancer | None = None,
    optimizer: Callable[[nn.Module], torch.optim.Optimizer] | None = None,
    measure_every: int | None = None,
) -> tuple[nn.Module, History]:
    """Build a model and train it; the same seed gives the same numbers.

    Args:
        build: makes the model; called after seeding.
        validation: scored after the last step, and every ``measure_every`` steps.
        learning_rate: Adam's.
        balancer: left out, every loss has weight 1.
        optimizer: makes another optimizer for the model; ``learning_rate`` is then not used.

    Returns:
        The trained model, and its history.

    Raises:
        ValueError: where ``batch_size`` is below 1, or as `fit`.
        NonFiniteLossError: where a loss turns NaN or infinite; its ``history`` is the one so far.
    """
    history = History()
    device = scenes.digits.labels.device
    generator = torch.Generator(device).manual_seed(seed)
    with seeded(seed):
        model = build().to(device)
        if optimizer is None:
            stepper = torch.optim.Adam(model.parameters(), lr=learning_rate, fused=True)
        else:
            stepper = optimizer(model)
        stream = scenes.stream(batch_size, generator)
        try:
            for record in fit(model, tasks, stream, balancer or FixedWeights(), stepper, steps):
                history.append(record)
                if record.step == steps or (measure_every and record.step % measure_every == 0):
                    history.add_scores(record.step, evaluate(model, tasks, validation))
        except NonFiniteLossError as error:
            error.history = history
            raise
    return model, history


def grid(run: Callable[..., pd.DataFrame], **axes: Iterable) -> pd.DataFrame:
    """Call ``run`` for every combination of the axes, and stack the tables that it gives.

    ``grid(run, width=[2, 16], seed=range(3))`` calls ``run(width=2, seed=0)`` and so on, with a
    progress bar, and adds the columns ``width`` and ``seed``.

    Raises:
        ValueError: where an axis is empty.
    """
    values = {name: list(axis) for name, axis in axes.items()}
    for name, axis in values.items():
        if not axis:
            raise ValueError(f"axis {name!r} of the grid is empty; give it at least one value")
    settings = [
        dict(zip(values, chosen, strict=True)) for chosen in itertools.product(*values.values())
    ]
    tables = []
    for setting in tqdm(settings, unit="run", leave=False):
        table = run(**setting)
        labels = {name: [value] * len(table) for name, value in setting.items()}
        tables.append(table.assign(**labels))
    return pd.concat(tables, ignore_index=True)
