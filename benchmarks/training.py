"""What a run of ``train`` costs over the bare loop, and how fast the command line answers.

python benchmarks/training.py
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

from mtl_tutorial.balancing import FixedWeights
from mtl_tutorial.experiments import seeded
from mtl_tutorial.experiments.catalogue import load_scenes, make_network, make_optimizer
from mtl_tutorial.experiments.execute import execute
from mtl_tutorial.experiments.protocol import Protocol, Setting
from mtl_tutorial.training import fit


def bare_loop(setting: Setting, protocol: Protocol) -> float:
    """CPU seconds of the same training by `fit` alone: no scores, records, gradients or files."""
    digits, sound = protocol.sources(setting.data)
    scenes = load_scenes(setting.data, digits, sound, "cpu")["train"]
    start = time.process_time()
    with seeded(setting.seed) as generator:
        model = make_network(setting.data, setting.architecture, scenes.tasks)
        optimizer = make_optimizer(setting.data, model, setting.learning_rate)
        for _epoch in range(protocol.epochs):
            batches = scenes.epoch(protocol.batch_size, generator)
            steps = -(-len(scenes) // protocol.batch_size)
            for _record in fit(model, scenes.tasks, batches, FixedWeights(), optimizer, steps):
                pass
    return time.process_time() - start


def whole_run(setting: Setting, protocol: Protocol) -> float:
    """CPU seconds of `execute`, with everything that it measures and writes."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.process_time()
        execute(setting, protocol, checkpoint=Path(folder) / "run.pt")
        return time.process_time() - start


def seconds_of_help() -> float:
    start = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "mtl_tutorial", "--help"], check=True, stdout=subprocess.DEVNULL
    )
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--profile", default="full", help="full needs MNIST")
    choice = parser.parse_args()
    torch.set_num_threads(1)
    print("| data | profile | run / bare loop, median (range) |\n|---|---|---|")
    protocol = Protocol(choice.profile, choice.epochs, {"quick": 64, "full": 256}[choice.profile])
    for data, rate in (("two_digits", 0.03), ("located_digits", 2e-3)):
        setting = Setting(data, "hard_sharing", "equal", rate, 0)
        bare_loop(setting, Protocol(choice.profile, 1, protocol.batch_size))  # warm up
        ratios = []
        for _ in range(choice.rounds):
            bare = bare_loop(setting, protocol)
            ratios.append(whole_run(setting, protocol) / bare)
        spread = f"{min(ratios):.2f}-{max(ratios):.2f}"
        print(f"| {data} | {choice.profile} | {statistics.median(ratios):.2f} ({spread}) |")
    seconds = [seconds_of_help() for _ in range(choice.rounds)]
    print(f"\n--help: {statistics.median(seconds):.2f} s (at most {max(seconds):.2f})")


if __name__ == "__main__":
    main()
