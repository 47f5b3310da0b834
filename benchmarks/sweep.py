"""What a sweep over loss weights costs, as a multiple of one run and of all its runs one by one.

Both train the same networks on the same batches in one process, one round after the other. Before
anything is timed, a sweep must give the losses that separate runs give. The aim: on a large GPU
(H200), 64 weights × 5 seeds take at most 5 times as long as one run.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import nn

from mtl_tutorial.architectures import ConvEncoder, HardSharing
from mtl_tutorial.balancing import FixedWeights
from mtl_tutorial.data import two_digits
from mtl_tutorial.experiments import sweep, train


class DenseEncoder(nn.Module):
    """Linear 784 → hidden → 16, a ReLU after each; lesson 10 has 32 hidden units."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.out_features = 16
        self.layers = nn.Sequential(
            *(nn.Flatten(), nn.Linear(784, hidden), nn.ReLU()),
            *(nn.Linear(hidden, 16), nn.ReLU()),
        )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Give the features of each image."""
        return self.layers(images)


ENCODERS: dict[str, Callable[[], nn.Module]] = {  # by kind, and hidden units or width
    "dense-32": lambda: DenseEncoder(32),
    "dense-256": lambda: DenseEncoder(256),
    "conv-4": lambda: ConvEncoder(4),
    "conv-8": lambda: ConvEncoder(8),
    "conv-16": lambda: ConvEncoder(16),
}


class Bench:
    """Runs one by one and sweeps of one encoder on one device."""

    def __init__(self, encoder: Callable[[], nn.Module], device: str, batch_size: int) -> None:
        self.scenes = two_digits("train", device=device)
        self.validation = self.scenes.draw(64, torch.Generator(device).manual_seed(1))
        self.build = lambda: HardSharing(encoder(), self.scenes.tasks)
        self.batch_size = batch_size

    def weights(self, count: int) -> list[dict[str, float]]:
        """Shares of the two tasks, from one end to the other."""
        shares = torch.linspace(0.05, 0.95, count).tolist()
        return [{"left": share, "right": 1 - share} for share in shares]

    def sweep(self, weights: list[dict[str, float]], seeds: range, steps: int):
        """Train all networks side by side."""
        return sweep(
            self.build,
            self.scenes.tasks,
            self.scenes,
            self.validation,
            weights=weights,
            seeds=seeds,
            steps=steps,
            batch_size=self.batch_size,
        )

    def run(self, weights: dict[str, float], seed: int, steps: int):
        """Train one network, and give its losses, shape ``(steps, 2)``."""
        _, history = train(
            self.build,
            self.scenes.tasks,
            self.scenes,
            self.validation,
            seed=seed,
            steps=steps,
            batch_size=self.batch_size,
            balancer=FixedWeights(weights),
        )
        return torch.stack([torch.stack(list(r.losses.values())) for r in history.records])

    def assert_agreement(self) -> None:
        """Check that a sweep gives the losses of separate runs."""
        weights, seeds = self.weights(3), range(2)
        losses = self.sweep(weights, seeds, 10).losses
        for i, row in enumerate(weights):
            for seed in seeds:
                assert torch.allclose(losses[:, i, seed], self.run(row, seed, 10), rtol=1e-2)

    def seconds_per_step(self, train_for: Callable[[int], object], steps: int) -> float:
        """Time of a step, without what a run costs before and after its steps."""
        return (self.seconds(train_for, 2 * steps) - self.seconds(train_for, steps)) / steps

    def seconds(self, train_for: Callable[[int], object], steps: int) -> float:
        """Time of a whole run."""
        self.synchronise()
        start = time.perf_counter()
        train_for(steps)
        self.synchronise()
        return time.perf_counter() - start

    def synchronise(self) -> None:
        """Wait until a GPU has done what it was given."""
        if self.scenes.digits.labels.is_cuda:
            torch.cuda.synchronize()


def device_name(device: str, threads: int) -> str:
    if device == "cuda":
        return torch.cuda.get_device_name()
    return f"CPU, {threads} thread{'s' * (threads > 1)}"


def main() -> None:
    """Measure, and print a table for each device."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", type=int, default=64)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--steps", type=int, default=10, help="of a timed run")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--encoders", nargs="+", default=list(ENCODERS), choices=list(ENCODERS))
    here = ["cpu"] + ["cuda"] * torch.cuda.is_available()
    parser.add_argument("--devices", nargs="+", default=here, help="default: %(default)s")
    choice = parser.parse_args()
    torch.set_num_threads(choice.threads)
    networks = choice.weights * choice.seeds
    for device in choice.devices:
        print(
            f"{choice.weights} weights × {choice.seeds} seeds, batches of {choice.batch_size}, on "
            f"{device_name(device, choice.threads)}; median (range) of {choice.rounds} rounds\n"
        )
        print(f"| encoder | a step of one run, ms | a step of the sweep | of {networks} runs |")
        print("|---|---|---|---|")
        for label in choice.encoders:
            bench = Bench(ENCODERS[label], device, choice.batch_size)
            bench.assert_agreement()
            singles, ratios = measure(bench, choice)
            each = [ratio / networks for ratio in ratios]
            print(
                f"| {label} | {1000 * statistics.median(singles):.2f} | "
                f"{spread(ratios, '.1f')} times one | {spread(each, '.0%')} of one by one |",
                flush=True,
            )
        print()


def measure(bench: Bench, choice: argparse.Namespace) -> tuple[list[float], list[float]]:
    """Seconds of a step of one run, and what a step of the sweep costs as a multiple of it."""
    weights, seeds = bench.weights(choice.weights), range(choice.seeds)
    singles, ratios = [], []
    many = choice.steps * 10  # a run is short, and a clock is coarse
    for _ in range(choice.rounds):
        singles.append(bench.seconds_per_step(lambda n: bench.run(weights[0], 0, n), many))
        together = bench.seconds_per_step(lambda n: bench.sweep(weights, seeds, n), choice.steps)
        ratios.append(together / singles[-1])
    return singles, ratios


def spread(values: list[float], form: str) -> str:
    """Median and range in words."""
    return f"{statistics.median(values):{form}} ({min(values):{form}}-{max(values):{form}})"


if __name__ == "__main__":
    main()
