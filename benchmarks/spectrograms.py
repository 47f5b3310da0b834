"""Seconds for 3,000 recordings as log-mel spectrograms: all at once, against one by one.

Both give the same numbers and run in the same process, a round of each in turn.

python benchmarks/spectrograms.py
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor

from mtl_tutorial.data import log_mel, seen_and_heard
from mtl_tutorial.data.sound import SAMPLES


def in_batches(waves: Tensor) -> Tensor:
    return torch.cat([log_mel(part) for part in waves.split(256)])


def one_by_one(waves: Tensor) -> Tensor:
    return torch.cat([log_mel(wave[None]) for wave in waves])


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recordings", type=int, default=3000)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    waves = torch.randn(args.recordings, SAMPLES, generator=generator)
    assert torch.allclose(in_batches(waves[:300]), one_by_one(waves[:300]), atol=1e-5)
    batched, single = [], []
    for _ in range(args.rounds):
        batched.append(seconds(lambda: in_batches(waves)))
        single.append(seconds(lambda: one_by_one(waves)))
    scenes = seen_and_heard("train", image_noise=(0, 1), sound_noise=(0, 4))
    scene_batches = [seconds(lambda: scenes.draw(64, generator)) for _ in range(50)]
    fast, slow = statistics.median(batched), statistics.median(single)
    print("| what | median |")
    print("|---|---|")
    print(f"| {args.recordings} spectrograms, 256 at a time | {fast:.2f} s |")
    print(f"| {args.recordings} spectrograms, one by one | {slow:.2f} s |")
    print(f"| ratio | {slow / fast:.1f} |")
    print(
        f"| 64 scenes with noise on both senses | {statistics.median(scene_batches) * 1e3:.1f} ms |"
    )


if __name__ == "__main__":
    main()
