"""What a training step costs: cross-stitch and MTAN against hard sharing of the same size.

python benchmarks/architecture_cost.py

All networks learn the three tasks of `located_digits`, in one process, a round of each in turn.
Hard sharing is widened to as many parameters as the network that it is compared with.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from mtl_tutorial.architectures import MTAN, ConvEncoder, HardSharing, VGGEncoder
from mtl_tutorial.balancing import FixedWeights
from mtl_tutorial.data import Scenes, located_digits
from mtl_tutorial.experiments import seeded
from mtl_tutorial.profiles import resolve_device
from mtl_tutorial.training import fit

Build = Callable[[], nn.Module]


def size(model: nn.Module) -> int:
    """The number of parameters."""
    return sum(p.numel() for p in model.parameters())


def operations(model: nn.Module) -> float:
    """Millions of operations of a training step for one image; convolutions and linear layers."""
    images = torch.zeros(2, 1, 28, 28)
    with FlopCounterMode(display=False) as counter:
        sum(output.sum() for output in model(images).values()).backward()
    return counter.get_total_flops() / 2e6


def nearest(builds: Sequence[Build], model: nn.Module) -> Build:
    """The one of several networks whose number of parameters is nearest to a model's."""
    return min(builds, key=lambda build: abs(size(build()) - size(model)))


def rivals(scenes: Scenes) -> dict[str, tuple[Build, Build]]:
    """By name, a network and hard sharing with the same kind of trunk and as many parameters."""
    from mtl_tutorial.architectures import CrossStitch

    tasks, channels = scenes.tasks, (8, 8, 16)
    wider = [(*channels[:-1], channels[-1] + more) for more in range(8)]
    pairs: dict[str, tuple[Build, Sequence[Build]]] = {
        "MTAN": (
            lambda: MTAN(VGGEncoder(channels), tasks),
            [lambda c=c: HardSharing(VGGEncoder(c), tasks) for c in wider],
        ),
        "cross-stitch": (
            lambda: CrossStitch([ConvEncoder(8) for _ in tasks], tasks),
            [lambda w=w: HardSharing(ConvEncoder(w), tasks) for w in range(8, 25)],
        ),
    }
    return {name: (build, nearest(hard, build())) for name, (build, hard) in pairs.items()}


def milliseconds(build: Build, scenes: Scenes, batch_size: int, seconds: float) -> float:
    """Wall time of a training step, data included; the mean over some seconds of steps."""
    device = scenes.digits.labels.device
    with seeded(0):
        model = build().to(device)
    stream = scenes.stream(batch_size, torch.Generator(device).manual_seed(0))
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3, fused=True)
    records = fit(model, scenes.tasks, stream, FixedWeights(), optimizer, 10**9)
    for _ in range(3):
        next(records)
    wait(device)
    steps, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        next(records)
        steps += 1
    wait(device)
    return 1e3 * (time.perf_counter() - start) / steps


def wait(device: torch.device) -> None:
    """Wait for the work that was given to a GPU."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--batch-size", type=int, default=64, help="scenes a step")
    parser.add_argument("--rounds", type=int, default=7, help="measurements of each")
    parser.add_argument("--seconds", type=float, default=2.0, help="of each measurement")
    parser.add_argument("--threads", type=int, default=1, help="torch's threads")
    parser.add_argument("--device", default="cpu", help="such as cpu or cuda")
    choice = parser.parse_args()
    torch.set_num_threads(choice.threads)
    scenes = located_digits("train", device=str(resolve_device(choice.device)))

    print(f"batches of {choice.batch_size}, {choice.threads} threads, on {choice.device}")
    print(
        "| network | parameters | of hard sharing | operations, ratio | ms a step | of hard ",
        end="",
    )
    print("sharing | time, ratio: median (range) |")
    print("|---|---|---|---|---|---|---|")
    for name, builds in rivals(scenes).items():
        times: list[tuple[float, float]] = []
        for _ in range(choice.rounds):
            one, hard = (milliseconds(b, scenes, choice.batch_size, choice.seconds) for b in builds)
            times.append((one, hard))
        ratios = [one / hard for one, hard in times]
        middle = [statistics.median(column) for column in zip(*times, strict=True)]
        model, shared = (build() for build in builds)
        print(
            f"| {name} | {size(model):,} | {size(shared):,} "
            f"| {operations(model) / operations(shared):.1f} "
            f"| {middle[0]:.1f} | {middle[1]:.1f} "
            f"| {statistics.median(ratios):.1f} ({min(ratios):.1f} to {max(ratios):.1f}) |"
        )


if __name__ == "__main__":
    main()
