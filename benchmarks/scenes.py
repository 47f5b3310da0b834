"""How many scenes a second: composed in batches, against a DataLoader that composes one by one.

Both give the same thing: a digit of random size at a random place in a noisy 28x28 image, with
its class, its tight box and its mask. All run in one process, a round of each in turn.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, RandomSampler
from torchvision.ops import masks_to_boxes
from torchvision.transforms.v2 import functional as transforms

from mtl_tutorial.data import Digits, load_digits, located_digits
from mtl_tutorial.tasks import Batch

EXTENT, SIZE, NOISE = (14.0, 22.0), 28, 0.1


class LocatedDigits(Dataset):
    """`located_digits`, one scene at a time, with torchvision's transforms."""

    def __init__(self, digits: Digits) -> None:
        self.ink = []  # cut out once, not for every scene
        for image in transforms.to_dtype(digits.images, torch.float32, scale=True):
            x0, y0, x1, y1 = masks_to_boxes(image > 0.3 * image.max())[0].int().tolist()
            self.ink.append(image[:, y0 : y1 + 1, x0 : x1 + 1])
        self.labels = digits.labels.tolist()

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, dict[str, Tensor | int]]:
        image = self.ink[index]
        longer = EXTENT[0] + (EXTENT[1] - EXTENT[0]) * torch.rand(()).item()
        scale = longer / max(image.shape[1:])
        height, width = (max(round(side * scale), 1) for side in image.shape[1:])
        top = int(torch.randint(SIZE - height + 1, ()))
        left = int(torch.randint(SIZE - width + 1, ()))
        image = transforms.resize(image, [height, width])
        image = transforms.pad(image, [left, top, SIZE - width - left, SIZE - height - top])
        mask = image > 0.3 * image.max()
        box = masks_to_boxes(mask)[0] + torch.tensor([0, 0, 1, 1])
        targets = {"digit": self.labels[index], "box": box / SIZE, "mask": mask[0].float()}
        return (image + NOISE * torch.randn(image.shape)).clamp(0, 1), targets


def loader_stream(dataset: Dataset, batch_size: int, workers: int) -> Iterator[Batch]:
    """Give batches of scenes of digits drawn with replacement, as `Scenes.stream` does."""
    sampler = RandomSampler(dataset, replacement=True, num_samples=10**8)
    loader = DataLoader(dataset, batch_size, sampler=sampler, num_workers=workers)
    for inputs, targets in loader:
        yield Batch(inputs, targets)


def scenes_a_second(stream: Iterator[Batch], seconds: float) -> float:
    """Draw from the stream for some seconds, after batches that may have been made before."""
    for _ in range(6):
        next(stream)
    count, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        count += len(next(stream))
    return count / (time.perf_counter() - start)


def assert_alike(one: Batch, other: Batch) -> None:
    """Check that two streams give the same kind of thing."""
    pairs = [(one.inputs, other.inputs), *((t, other.targets[n]) for n, t in one.targets.items())]
    for a, b in pairs:
        assert a.shape == b.shape and a.dtype == b.dtype, (a.shape, a.dtype, b.shape, b.dtype)
        assert abs(a.float().mean() - b.float().mean()) < 0.15 * a.float().mean() + 0.02


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--digits", default="embedded", help="embedded, mnist or fashion")
    parser.add_argument("--batch-size", type=int, default=64, help="scenes a batch")
    parser.add_argument("--threads", type=int, default=2, help="torch's threads")
    parser.add_argument("--rounds", type=int, default=7, help="measurements of each")
    parser.add_argument("--seconds", type=float, default=1.0, help="of each measurement")
    choice = parser.parse_args()
    torch.set_num_threads(choice.threads)

    digits = load_digits("train", digits=choice.digits)
    scenes = located_digits("train", digits=choice.digits, extent=EXTENT, size=SIZE, noise=NOISE)
    streams = {"composed in batches": scenes.stream(choice.batch_size, torch.Generator())}
    for workers in (0, 2):
        name = f"DataLoader, {workers} workers"
        streams[name] = loader_stream(LocatedDigits(digits), choice.batch_size, workers)
    ours, *theirs = streams
    few = 1024 // choice.batch_size + 1
    for name in theirs:
        assert_alike(joined(streams[ours], few), joined(streams[name], few))

    rates = {name: [] for name in streams}
    for _ in range(choice.rounds):
        for name, stream in streams.items():
            rates[name].append(scenes_a_second(stream, choice.seconds))

    print(f"{choice.digits} digits, batches of {choice.batch_size}, {choice.threads} threads")
    print(f"{'':22}{'scenes/s':>10}   times as many when composed in batches (median, range)")
    for name, values in rates.items():
        ratios = [a / b for a, b in zip(rates[ours], values, strict=True)]
        line = f"{name:22}{statistics.median(values):10,.0f}"
        if name != ours:
            line += f"   {statistics.median(ratios):.1f}  ({min(ratios):.1f} to {max(ratios):.1f})"
        print(line)


def joined(stream: Iterator[Batch], count: int) -> Batch:
    """Several batches of a stream as one."""
    batches = [next(stream) for _ in range(count)]
    targets = {n: torch.cat([b.targets[n] for b in batches]) for n in batches[0].targets}
    return Batch(torch.cat([batch.inputs for batch in batches]), targets)


if __name__ == "__main__":
    main()
