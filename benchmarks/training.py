"""What a run of ``train`` costs over the bare loop, how many a minute there are, and how fast
the command line answers.

python benchmarks/training.py --profile full --epochs 8 --runs 4
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from mtl_tutorial.balancing import FixedWeights
from mtl_tutorial.data import Scenes
from mtl_tutorial.experiments import seeded
from mtl_tutorial.experiments.catalogue import load_scenes, make_network, make_optimizer
from mtl_tutorial.experiments.dispatch import run_grid
from mtl_tutorial.experiments.execute import execute, score
from mtl_tutorial.experiments.protocol import Protocol, Setting, make_protocol, settings
from mtl_tutorial.training import fit

Watch = Callable[[nn.Module], object]


def bare_loop(setting: Setting, protocol: Protocol, after_epoch: Watch = id) -> nn.Module:
    """The same training by `fit` alone: no scores, records, gradients or files."""
    scenes = scenes_of(setting, protocol)["train"]
    with seeded(setting.seed) as generator:
        model = make_network(setting.data, setting.architecture, scenes.tasks)
        optimizer = make_optimizer(setting.data, model, setting.learning_rate)
        for _epoch in range(protocol.epochs):
            batches = scenes.epoch(protocol.batch_size, generator)
            steps = -(-len(scenes) // protocol.batch_size)
            for _record in fit(model, scenes.tasks, batches, FixedWeights(), optimizer, steps):
                pass
            after_epoch(model)
    return model


def scored_loop(setting: Setting, protocol: Protocol) -> None:
    """The bare loop, and what the best epoch is chosen by: scores after each, and a test."""
    scenes, count = scenes_of(setting, protocol), protocol.held_out
    tasks = scenes["train"].tasks
    validation = scenes["validation"].draw(count, torch.Generator().manual_seed(0))
    test = scenes["test"].draw(max(len(scenes["test"]), count), torch.Generator().manual_seed(1))
    model = bare_loop(setting, protocol, lambda model: score(model, tasks, validation))
    score(model, tasks, test)


def whole_run(setting: Setting, protocol: Protocol) -> None:
    """`execute`, with everything that it measures and writes."""
    with tempfile.TemporaryDirectory() as folder:
        execute(setting, protocol, checkpoint=Path(folder) / "run.pt")


def scenes_of(setting: Setting, protocol: Protocol) -> dict[str, Scenes]:
    digits, sound = protocol.sources(setting.data)
    return load_scenes(setting.data, digits, sound, "cpu", protocol.recipe)


def cpu_seconds(train: Callable[[Setting, Protocol], object], *run) -> float:
    start = time.process_time()
    train(*run)
    return time.process_time() - start


def runs_a_minute(protocol: Protocol, runs: int) -> float:
    """Runs on two digits a minute, by the clock, of two workers that have loaded their data."""
    grid = settings(["two_digits"], ["hard_sharing"], ["equal"], seeds=range(runs))
    with tempfile.TemporaryDirectory() as folder:
        run_grid(grid[:2], replace(protocol, epochs=1), Path(folder) / "first", workers=2)
        start = time.perf_counter()
        run_grid(grid, protocol, Path(folder) / "timed", workers=2)
        return 60 * runs / (time.perf_counter() - start)


def seconds_of_help() -> float:
    start = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "mtl_tutorial", "--help"], check=True, stdout=subprocess.DEVNULL
    )
    return time.perf_counter() - start


def ratios(setting: Setting, protocol: Protocol, rounds: int) -> tuple[str, str, float]:
    """The cost of a run over that of both loops, side by side; and its CPU seconds."""
    bare_loop(setting, replace(protocol, epochs=1))  # warm up
    over_bare, over_scored, seconds = [], [], []
    for _ in range(rounds):
        bare, scored, whole = (
            cpu_seconds(train, setting, protocol) for train in (bare_loop, scored_loop, whole_run)
        )
        over_bare.append(whole / bare)
        over_scored.append(whole / scored)
        seconds.append(whole)
    return spread(over_bare), spread(over_scored), statistics.median(seconds)


def spread(values: list[float]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f}-{max(values):.2f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--epochs", type=int, help="those of the profile if left out")
    parser.add_argument("--profile", default="full", help="quick or full; full needs MNIST")
    parser.add_argument("--runs", type=int, default=4, help="of the grid that is timed")
    choice = parser.parse_args()
    torch.set_num_threads(1)
    protocol = make_protocol(choice.profile, epochs=choice.epochs)
    print(f"{choice.profile} profile, {protocol.epochs} epochs, CPU time; median (range)\n")
    print("| data | run / bare loop | run / loop with scores | runs a minute on two such cores |")
    print("|---|---|---|---|")
    for data in ("two_digits", "located_digits"):
        (setting,) = settings([data], ["hard_sharing"], ["equal"])
        over_bare, over_scored, seconds = ratios(setting, protocol, choice.rounds)
        print(f"| {data} | {over_bare} | {over_scored} | {120 / seconds:.2f} |")
    print(f"\ntwo digits, two workers, {choice.runs} runs, by the clock:", end=" ")
    print(f"{runs_a_minute(protocol, choice.runs):.2f} runs a minute")
    print(f"--help: {spread([seconds_of_help() for _ in range(choice.rounds)])} s")


if __name__ == "__main__":
    main()
