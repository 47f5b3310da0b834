"""What a live picture costs: training steps a second, and milliseconds from slider to picture.

python benchmarks/widgets.py
"""

from __future__ import annotations

import argparse
import asyncio
import time

import numpy as np
import torch

from mtl_tutorial.architectures import ConvEncoder, HardSharing
from mtl_tutorial.balancing import FixedWeights
from mtl_tutorial.data import located_digits
from mtl_tutorial.experiments import seeded
from mtl_tutorial.experiments.store import committed_results
from mtl_tutorial.training import fit
from mtl_tutorial.widgets.flight_recorder import FlightRecorder
from mtl_tutorial.widgets.loss_weight_tuner import LossWeightTuner
from mtl_tutorial.widgets.relatedness_lab import RelatednessLab
from mtl_tutorial.widgets.scene_sampler import SceneSampler
from mtl_tutorial.widgets.single_task_trainer import SingleTaskTrainer

WIDTH = 8  # of the encoder, as in lesson 02


def bare_loop(tasks, scenes, seconds: float) -> float:
    """Steps a second of `fit` alone."""
    with seeded(0) as generator:
        model = HardSharing(ConvEncoder(WIDTH), tasks)
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3, fused=True)
    weights = FixedWeights({task.name: 1.0 for task in tasks})
    steps, start = 0, time.perf_counter()
    for _record in fit(model, tasks, scenes.stream(64, generator), weights, optimizer, 10**9):
        steps += 1
        if time.perf_counter() - start > seconds:
            return steps / (time.perf_counter() - start)
    raise AssertionError("an endless stream ended")


def live_tuner(tasks, scenes, held_out, seconds: float) -> tuple[float, float]:
    """Steps and pictures a second of the tuner while it trains."""
    tuner = LossWeightTuner(
        lambda: HardSharing(ConvEncoder(WIDTH), tasks), tasks, scenes, held_out, steps=10**9
    )
    pictures = []
    tuner.image.observe(lambda change: pictures.append(change.new), "value")
    steps = []

    async def watch() -> float:
        start = time.perf_counter()
        original = tuner.session.step
        tuner.player._step = lambda: steps.append(1) or original()
        tuner.player.start()
        while time.perf_counter() - start < seconds:
            await asyncio.sleep(0.05)
            tuner.player._on_pulse(None)  # somebody is watching
        elapsed, made, drawn = time.perf_counter() - start, len(steps), len(pictures)
        tuner.player.pause()
        return made / elapsed, drawn / elapsed

    return asyncio.run(watch())


def latency(turn, picture, times: int) -> np.ndarray:
    """Milliseconds from ``turn(i)`` to the new picture, for each of ``times`` turns."""
    result = []
    for i in range(times):
        before, start = picture(), time.perf_counter()
        turn(i)
        result.append((time.perf_counter() - start) * 1e3)
        assert picture() != before, "the picture is stale"
    return np.array(result)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=6, help="of each measurement of training")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--turns", type=int, default=40, help="of each slider")
    parser.add_argument("--threads", type=int, default=1, help="of the quick profile")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    scenes, held_out = located_digits("train"), located_digits("validation")
    tasks = scenes.tasks[:2]

    bare_loop(tasks, scenes, 1)  # warm up
    ratios = []
    print("| round | bare loop, steps/s | live tuner, steps/s | pictures/s | ratio |")
    print("|---|---|---|---|---|")
    for i in range(args.rounds):
        bare = bare_loop(tasks, scenes, args.seconds)
        live, pictures = live_tuner(tasks, scenes, held_out, args.seconds)
        ratios.append(live / bare)
        print(f"| {i + 1} | {bare:.0f} | {live:.0f} | {pictures:.1f} | {live / bare:.2f} |")
    print(f"\nmedian ratio {np.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})\n")

    sampler = SceneSampler()
    tuner = LossWeightTuner(
        lambda: HardSharing(ConvEncoder(WIDTH), tasks), tasks, scenes, held_out, warm_up=300
    )
    trainer = SingleTaskTrainer(
        lambda task: HardSharing(ConvEncoder(WIDTH), [task]),
        scenes.tasks,
        scenes,
        held_out,
        warm_up=300,
    )
    lab = RelatednessLab()
    recorder = FlightRecorder(committed_results("quick_60_epochs"))
    names = [task.name for task in scenes.tasks]
    turns = {
        "scene sampler, noise": (
            lambda i: setattr(sampler.noise, "value", 0.3 if i % 2 else 0.05),
            lambda: sampler.image.value,
        ),
        "tuner at rest, weight": (
            lambda i: setattr(tuner.sliders["box"], "value", 10 if i % 2 else 100),
            lambda: tuner.image.value,
        ),
        "single-task trainer, task": (
            lambda i: setattr(trainer.choice, "value", names[(i + 1) % 3]),
            lambda: trainer.image.value,
        ),
        "relatedness lab, samples": (
            lambda i: setattr(lab.sliders["first"], "value", 40 if i % 2 else 80),
            lambda: lab.image.value,
        ),
        "flight recorder, epoch": (
            lambda i: setattr(recorder.epoch, "value", 20 if i % 2 else 40),
            lambda: recorder.image.value,
        ),
        "flight recorder, seed": (
            lambda i: setattr(recorder.seed, "value", (i + 1) % 2),
            lambda: recorder.image.value,
        ),
    }
    print("| widget and control | median ms | 95th percentile ms |")
    print("|---|---|---|")
    for name, (turn, picture) in turns.items():
        latency(turn, picture, 6)  # warm up
        values = latency(turn, picture, args.turns)
        print(f"| {name} | {np.median(values):.0f} | {np.percentile(values, 95):.0f} |")


if __name__ == "__main__":
    main()
