"""Training runs in memory, and grids of them."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from mtl_tutorial.balancing import Balancer, FixedWeights
from mtl_tutorial.data import Scenes
from mtl_tutorial.measuring import evaluate
from mtl_tutorial.tasks import Batch, Task
from mtl_tutorial.training import History, NonFiniteLossError, StepRecord, fit


class Randomness:
    """States of torch's default generators (initial weights, dropout), kept for one purpose.

    Args:
        seed: where they start.

    Attributes:
        states: where they stand: the CPU's, then that of every CUDA GPU.
    """

    def __init__(self, seed: int) -> None:
        self._gpus = range(torch.cuda.device_count())  # slow to ask, and the same in every step
        with torch.random.fork_rng(self._gpus):  # unnamed, several GPUs warn
            torch.manual_seed(seed)
            self.states = self._found()

    @contextmanager
    def in_force(self) -> Iterator[None]:
        """Inside, torch draws from these; outside, as if the block had not been there."""
        with torch.random.fork_rng(self._gpus):
            torch.set_rng_state(self.states[0])
            for gpu, state in zip(self._gpus, self.states[1:], strict=True):
                torch.cuda.set_rng_state(state, gpu)
            try:
                yield
            finally:
                self.states = self._found()

    def _found(self) -> list[Tensor]:
        return [torch.get_rng_state(), *map(torch.cuda.get_rng_state, self._gpus)]


@contextmanager
def seeded(seed: int) -> Iterator[torch.Generator]:
    """Make what is random inside the block depend on ``seed`` alone.

    Inside, torch's default generators (initial weights, dropout) start at the seed; outside, they
    go on as if the block had not been there. Gives a generator of its own for the data.
    """
    with Randomness(seed).in_force():
        yield torch.Generator().manual_seed(seed)


class Run:
    """A network in training: each item that it is asked for is one step, as of `fit`.

    What is random in it (initial weights, batches, dropout) depends on its seed alone, whatever
    happens between two steps, and leaves what is random elsewhere as it is. Between two steps the
    caller may change weights or learning rates.

    Args:
        build: makes the model; called after seeding.
        tasks: what it learns.
        scenes: what it trains on, and where: on their device.
        seed: of all that is random.
        steps: how many there are.
        batch_size: scenes a step.
        learning_rate: Adam's.
        balancer: left out, every loss has weight 1.
        optimizer: makes another optimizer for the model; ``learning_rate`` is then not used.

    Attributes:
        model, optimizer, balancer: as the last step left them.
        generator: of the batches.
        randomness: of all else.
    """

    def __init__(
        self,
        build: Callable[[], nn.Module],
        tasks: Sequence[Task],
        scenes: Scenes,
        *,
        seed: int,
        steps: int,
        batch_size: int = 64,
        learning_rate: float = 5e-3,
        balancer: Balancer | None = None,
        optimizer: Callable[[nn.Module], torch.optim.Optimizer] | None = None,
    ) -> None:
        device = scenes.digits.labels.device
        optimizer = optimizer or functools.partial(_adam, learning_rate=learning_rate)
        self.tasks = tuple(tasks)
        self.balancer = FixedWeights() if balancer is None else balancer
        self.generator = torch.Generator(device).manual_seed(seed)
        self.randomness = Randomness(seed)
        with self.randomness.in_force():
            self.model = build().to(device)
            self.optimizer = (
                optimizer(self.model) if optimizer else _adam(self.model, learning_rate)
            )
        self._records = self.over(scenes.stream(batch_size, self.generator), steps)

    def __iter__(self) -> Run:
        return self

    def __next__(self) -> StepRecord:
        """Make a step.

        Raises:
            ValueError, NonFiniteLossError: as `fit`.
        """
        return next(self._records)

    def over(self, batches: Iterable[Batch], steps: int) -> Iterator[StepRecord]:
        """Make steps on batches from elsewhere, such as those of an epoch."""
        records = fit(self.model, self.tasks, batches, self.balancer, self.optimizer, steps)
        while True:
            with self.randomness.in_force():
                record = next(records, None)
            if record is None:
                return
            yield record


def _adam(model: nn.Module, learning_rate: float) -> torch.optim.Optimizer:
    return torch.optim.Adam(model.parameters(), lr=learning_rate, fused=True)


def train(
    build: Callable[[], nn.Module],
    tasks: Sequence[Task],
    scenes: Scenes,
    validation: Batch,
    *,
    seed: int,
    steps: int,
    measure_every: int | None = None,
    **settings: Any,
) -> tuple[nn.Module, History]:
    """Build a model and train it; the same seed gives the same numbers.

    Args:
        build, tasks, scenes, seed, steps: as for `Run`.
        validation: scored after the last step, and every ``measure_every`` steps.
        settings: ``batch_size``, ``learning_rate``, ``balancer``, ``optimizer``, as for `Run`.

    Returns:
        The trained model, and its history.

    Raises:
        ValueError: where ``batch_size`` is below 1, or as `fit`.
        NonFiniteLossError: where a loss turns NaN or infinite; its ``history`` is the one so far.
    """
    history = History()
    run = Run(build, tasks, scenes, seed=seed, steps=steps, **settings)
    with seeded(seed):  # a metric, too, may draw
        try:
            for record in run:
                history.append(record)
                if record.step == steps or (measure_every and record.step % measure_every == 0):
                    history.add_scores(record.step, evaluate(run.model, tasks, validation))
        except NonFiniteLossError as error:
            error.history = history
            raise
    return run.model, history


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
