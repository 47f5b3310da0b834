"""What capturing a step in CUDA graphs saves, and how many steps a second several runs make.

Two digits, LeNet, batches of 256. For each method: a step launched one by one, a step replayed,
side by side in one process; then the steps a second of several processes at a time. Runs on a CUDA
GPU; with the Multi-Process Service the kernels of several processes run at the same time.
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
from collections.abc import Callable

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from mtl_tutorial.architectures import HardSharing, LeNet
from mtl_tutorial.balancing import BALANCERS, Making, make_balancer
from mtl_tutorial.data import Scenes, two_digits
from mtl_tutorial.experiments import Run
from mtl_tutorial.experiments.captured import CapturedSteps
from mtl_tutorial.experiments.execute import repeatable


def steps_of(name: str, seed: int = 0) -> CapturedSteps:
    scenes = two_digits("train", device="cuda").keep(256 * 50, torch.Generator("cuda"))
    return CapturedSteps(run_of(name, scenes, seed), scenes, 256)


def run_of(name: str, scenes: Scenes, seed: int = 0, steps: int = 0) -> Run:
    generator = torch.Generator(scenes.digits.labels.device).manual_seed(seed)
    return Run(
        lambda: HardSharing(LeNet(), scenes.tasks),
        scenes.tasks,
        scenes,
        seed=seed,
        steps=steps,
        batch_size=256,
        balancer=make_balancer(name, Making(scenes.tasks, 50, generator)),
        optimizer=lambda model: torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9),
    )


def milliseconds(epoch: Callable[[], object], epochs: int = 2) -> float:
    """Of one of 50 steps, after a first epoch."""
    epoch()
    torch.cuda.synchronize()
    start = time.perf_counter()
    for _ in range(epochs):
        epoch()
    torch.cuda.synchronize()
    return 1000 * (time.perf_counter() - start) / (50 * epochs)


def methods() -> None:
    print("| method | one by one, ms | captured, ms | times faster |\n|---|---|---|---|")
    for name in BALANCERS:
        try:
            captured, plain = steps_of(name), steps_of(name)
        except ValueError as error:  # a library that is not here
            print(f"| {name} | {error} | | |")
            continue
        plain.why_not = "for comparison"
        slow, fast = milliseconds(plain.epoch), milliseconds(captured.epoch)
        note = "" if captured.outcome == "yes" else f" ({captured.outcome})"
        print(f"| {name} | {slow:.2f} | {fast:.2f}{note} | {slow / fast:.1f} |", flush=True)


def several(name: str, workers: int, seconds: float) -> float:
    """Steps a second of this many processes at a time, added up."""
    context = multiprocessing.get_context("spawn")
    ready, counts = context.Queue(), context.Queue()
    processes = [
        context.Process(target=_several, args=(name, seed, seconds, ready, counts))
        for seed in range(workers)
    ]
    for process in processes:
        process.start()
    for _ in processes:
        ready.get(timeout=60)
    start = time.perf_counter()
    for _ in processes:
        counts.put(start)
    total = sum(ready.get(timeout=60) for _ in processes)
    for process in processes:
        process.join()
    return total


def _several(name: str, seed: int, seconds: float, ready, go) -> None:
    torch.set_num_threads(1)
    with repeatable():
        steps = steps_of(name, seed)
        steps.epoch()
        torch.cuda.synchronize()
        ready.put(0)
        go.get(timeout=60)
        made, start = 0, time.perf_counter()
        while time.perf_counter() < start + seconds:
            steps.epoch()
            made += 50
        ready.put(made / (time.perf_counter() - start))


class Counter(TorchDispatchMode):
    """Counts what a step asks of a device: calls, operations, and bytes read and written."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = self.moved = 0

    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        """Count a call, unless it only makes a view."""
        result = function(*arguments, **(options or {}))
        aliases = [info.alias_info for info in function._schema.arguments if info.alias_info]
        if all(alias.is_write for alias in aliases):
            self.calls += 1
            tensors = [
                t for t in tree_leaves((arguments, options, result)) if isinstance(t, Tensor)
            ]
            self.moved += sum(t.numel() * t.element_size() for t in tensors)
        return result


def counts() -> None:
    """Print what one step needs, and what the card could make of that alone."""
    print("| method | calls | million operations | MB read and written |\n|---|---|---|---|")
    for name in ("equal", "gradnorm", "pcgrad", "mgda"):
        run = run_of(name, two_digits("train"), steps=2)
        next(run)
        with Counter() as counter, FlopCounterMode(display=False) as operations:
            next(run)
        found = counter.calls, operations.get_total_flops() / 1e6, counter.moved / 1e6
        print("| {} | {} | {:.0f} | {:.0f} |".format(name, *found))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 8])
    parser.add_argument("--methods", nargs="+", default=["pcgrad"])
    parser.add_argument("--seconds", type=float, default=2)
    choice = parser.parse_args()
    counts()
    if not torch.cuda.is_available():
        print("There is no CUDA GPU here, so nothing is captured.")
        return
    print(torch.cuda.get_device_name(), "\n")
    with repeatable():
        methods()
    print("\n| processes | " + " | ".join(choice.methods) + " (steps a second) |")
    print("|---" * (len(choice.methods) + 1) + "|")
    for workers in choice.workers:
        rates = [f"{several(name, workers, choice.seconds):.0f}" for name in choice.methods]
        print(f"| {workers} | " + " | ".join(rates) + " |", flush=True)


if __name__ == "__main__":
    main()
