"""Images with several targets, composed in batches of tensors."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from mtl_tutorial.data.digits import Digits, load_digits
from mtl_tutorial.tasks import (
    Batch,
    Task,
    accuracy,
    map_batches,
    mean_iou,
    pixel_cross_entropy,
    pixel_iou,
)

INK = 0.3  # a pixel is ink where it is brighter than this share of the brightest
LEAST_EXTENT = 8  # pixels; thin strokes fall between the samples of a smaller digit


@dataclass(frozen=True)
class Scenes:
    """A source of scenes: draws digits of one split and composes them into images.

    Args:
        tasks: what is asked about every scene.
        digits: what the scenes are made of.
        compose: ``compose(index, generator)`` makes one scene for each digit number in
            ``index``, shape ``(B,)``.

    ``len`` is the number of digits. All randomness comes from the generator handed in; it may
    live on the CPU (the same scenes on every device) or on the scenes' device (faster there).
    Fewer scenes than one are refused with a ``ValueError``.
    """

    tasks: tuple[Task, ...]
    digits: Digits
    compose: Callable[[Tensor, Generator], Batch]

    def __len__(self) -> int:
        return len(self.digits)

    def draw(self, count: int, generator: Generator) -> Batch:
        """Compose ``count`` scenes of digits drawn with replacement."""
        return self.compose(self._numbers(count, generator), generator)

    def stream(self, batch_size: int, generator: Generator) -> Iterator[Batch]:
        """Compose new batches without end."""
        _check_size("batch_size", batch_size)
        while True:
            yield self.draw(batch_size, generator)

    def epoch(self, batch_size: int, generator: Generator) -> Iterator[Batch]:
        """Compose one scene for each digit, in random order; the last batch may be smaller."""
        _check_size("batch_size", batch_size)
        order = torch.randperm(len(self), generator=generator, device=generator.device)
        for index in order.to(self.digits.labels.device).split(batch_size):
            yield self.compose(index, generator)

    def keep(self, count: int, generator: Generator) -> Scenes:
        """Compose ``count`` scenes once, and give a source that draws from these."""
        order = self._numbers(count, generator)
        parts = [self.compose(index, generator) for index in order.split(256)]
        kept = map_batches(lambda *tensors: torch.cat(tensors), *parts)

        def compose(index: Tensor, generator: Generator) -> Batch:
            return map_batches(lambda tensor: tensor[index], kept)

        images, labels = self.digits.images[order], self.digits.labels[order]
        return Scenes(self.tasks, Digits(images, labels, self.digits.split), compose)

    def _numbers(self, count: int, generator: Generator) -> Tensor:
        _check_size("count", count)
        index = torch.randint(len(self), (count,), generator=generator, device=generator.device)
        return index.to(self.digits.labels.device)


DIGIT = Task("digit", F.cross_entropy, accuracy, 10)
BOX = Task("box", F.mse_loss, mean_iou, 4)
LEFT = Task("left", F.cross_entropy, accuracy, 10)
RIGHT = Task("right", F.cross_entropy, accuracy, 10)


def mask_task(size: int) -> Task:
    """The task that marks every pixel of a ``size`` x ``size`` image as ink or not."""
    return Task("mask", pixel_cross_entropy, pixel_iou, size * size)


def located_digits(
    split: str,
    *,
    digits: str | Digits = "embedded",
    size: int = 28,
    extent: tuple[float, float] = (14.0, 22.0),
    noise: float = 0.1,
    device: str = "cpu",
) -> Scenes:
    """Scenes of one digit of random size at a random place in a noisy image.

    Tasks: ``digit`` (10 classes), ``box`` (tight box of the ink, ``x0, y0, x1, y1`` as fractions
    of the image's side, shape ``(B, 4)``), ``mask`` (1 where there is ink, shape
    ``(B, size, size)``). Inputs: shape ``(B, 1, size, size)``, 0 to 1.

    Args:
        split: ``"train"``, ``"validation"`` or ``"test"``; no digit is in two of them.
        digits: ``"embedded"``, ``"mnist"`` or ``"fashion"``; or digits that you have loaded,
            which are used as they are, whatever split and device.
        size: side of the image, in pixels.
        extent: least and greatest length of the longer side of the ink, in pixels, from 8 on.
        noise: standard deviation of the noise added to every pixel.
        device: where scenes are composed.

    Raises:
        ValueError: for an unknown split, source or device, or sizes that do not fit.
        DataUnavailableError: where the digits can't be had.
    """
    low, high = extent
    if not LEAST_EXTENT <= low <= high <= size:
        raise ValueError(
            f"extent must be {LEAST_EXTENT} ≤ least ≤ greatest ≤ size={size}, got {extent}"
        )
    if not 0 <= noise < float("inf"):
        raise ValueError(f"noise must be finite and ≥ 0, got {noise}")
    source = _source(split, digits, device)
    corner, end = tight_boxes(is_ink(source.images[:, 0])).split(2, dim=1)
    ink = torch.cat([corner, end - corner, (end - corner).amax(1, keepdim=True)], dim=1)

    def compose(index: Tensor, generator: Generator) -> Batch:
        corner, sides, longer = ink.index_select(0, index).split([2, 2, 1], dim=1)
        chance = uniform((len(index), 3), generator, index.device)
        step = longer / (low + (high - low) * chance[:, :1])
        start = corner - chance[:, 1:] * (size * step - sides)
        images = source.images.index_select(0, index).float().div_(255)
        clean = resample(images, start, step, size)
        mask = is_ink(clean[:, 0])
        targets = {
            "digit": source.labels[index],
            "box": tight_boxes(mask) / size,
            "mask": mask.view(torch.uint8).float(),  # faster than from bool
        }
        return Batch(with_noise(clean, noise, generator).clamp_(0, 1), targets)

    return Scenes((DIGIT, BOX, mask_task(size)), source, compose)


def untouched_digits(
    split: str, *, digits: str | Digits = "embedded", device: str = "cpu"
) -> Scenes:
    """The 28x28 images as they are, with the tight box of their ink.

    Tasks ``digit`` and ``box``, as in `located_digits`. Inputs: shape ``(B, 1, 28, 28)``, 0 to 1.
    """
    source = _source(split, digits, device)
    boxes = tight_boxes(is_ink(source.images[:, 0])) / source.images.shape[-1]

    def compose(index: Tensor, generator: Generator) -> Batch:
        targets = {"digit": source.labels[index], "box": boxes[index]}
        return Batch(source.images[index].float() / 255, targets)

    return Scenes((DIGIT, BOX), source, compose)


def two_digits(split: str, *, digits: str | Digits = "embedded", device: str = "cpu") -> Scenes:
    """Scenes of two overlapping digits, one at the top left and one at the bottom right.

    A 36x36 canvas holds the left digit at rows and columns 0 to 27 and the right one at 6 to 33;
    where they overlap the brighter pixel counts; the canvas is then resized to 28x28 by nearest
    neighbour. The right digit is drawn at random from the same split.

    Tasks: ``left`` and ``right``, 10 classes each. Inputs: shape ``(B, 1, 28, 28)``, 0 to 1.

    Source: Sener & Koltun 2018 (arXiv 1810.04650); sizes and the maximum are those of their code.
    """
    source = _source(split, digits, device)

    def compose(index: Tensor, generator: Generator) -> Batch:
        shape, where = (len(index),), generator.device
        partner = torch.randint(len(source), shape, generator=generator, device=where)
        partner = partner.to(index.device)
        left, right = source.images[index], source.images[partner]
        canvas = torch.maximum(F.pad(left, (0, 8, 0, 8)), F.pad(right, (6, 2, 6, 2)))
        image = F.interpolate(canvas.float() / 255, size=28, mode="nearest")
        return Batch(image, {"left": source.labels[index], "right": source.labels[partner]})

    return Scenes((LEFT, RIGHT), source, compose)


def is_ink(images: Tensor) -> Tensor:
    """Which pixels of each image are ink: brighter than 0.3 of its brightest; ``(B, H, W)``."""
    return images > INK * images.amax((1, 2), keepdim=True)


def tight_boxes(ink: Tensor) -> Tensor:
    """The smallest box around each image's ink.

    Args:
        ink: which pixels are ink, bool, shape ``(B, H, W)``; each image has some.

    Returns:
        ``x0, y0, x1, y1`` in pixels, the far edges exclusive, shape ``(B, 4)``, float32.
    """
    ink = ink.view(torch.uint8)
    edges = []
    for along in (ink.amax(1), ink.amax(2)):  # columns, then rows
        # argmax gives the first of several equal values
        edges += [along.argmax(1), along.shape[1] - along.flip(1).argmax(1)]
    x0, x1, y0, y1 = edges
    return torch.stack([x0, y0, x1, y1], dim=1).float()


def resample(images: Tensor, start: Tensor, step: Tensor, size: int) -> Tensor:
    """Sample each image on a square grid of its own, bilinearly, with 0 outside.

    The value at column c, row r is that of the image at ``start + ((c, r) + 1/2) * step``.

    Args:
        images: shape ``(B, 1, H, W)``.
        start: x and y of the grid's corner, in the image's pixels, shape ``(B, 2)``.
        step: pixels of the image a grid cell, shape ``(B, 1)``, or ``(B, 2)`` for x and y apart.
        size: cells a side.

    Returns:
        Shape ``(B, 1, size, size)``.
    """
    height, width = images.shape[2:]
    points = torch.cat([start, step.expand(-1, 2)], dim=1) @ _grid(
        size, height, width, str(images.device)
    )
    grid = points.sub_(1).view(-1, size, size, 2)  # grid_sample counts from -1 to 1
    return F.grid_sample(images, grid, mode="bilinear", align_corners=False)


@functools.cache
def _grid(size: int, height: int, width: int, device: str) -> Tensor:
    """The matrix from (start x, start y, step x, step y) to all points, shape ``(4, 2 size²)``.

    One matrix product is the fastest way to write so many points.
    """
    cells = torch.arange(size) + 0.5
    matrix = torch.zeros(4, size, size, 2)
    matrix[0, ..., 0] = matrix[1, ..., 1] = 1
    matrix[2, ..., 0] = cells
    matrix[3, ..., 1] = cells[:, None]
    return (matrix * 2 / torch.tensor([width, height])).view(4, -1).to(device)


def uniform(shape: tuple[int, ...], generator: Generator, device: torch.device) -> Tensor:
    """Numbers from 0 to 1, drawn where the generator lives and brought to a device."""
    return torch.rand(shape, generator=generator, device=generator.device).to(device)


def with_noise(clean: Tensor, deviation: float | Tensor, generator: Generator) -> Tensor:
    """Add white noise; its standard deviation is one number, or a tensor ``(B, 1, ...)``."""
    noise = torch.randn(clean.shape, generator=generator, device=generator.device)
    return noise.to(clean.device).mul_(deviation).add_(clean)


def _check_size(what: str, size: int) -> None:
    if size < 1:
        raise ValueError(f"{what} must be a whole number of scenes from 1 on, got {size}")


def _source(split: str, digits: str | Digits, device: str) -> Digits:
    if isinstance(digits, Digits):
        if digits.split != split:
            raise ValueError(
                f"the digits handed in are of split {digits.split!r}, but {split!r} was asked for; "
                f"splits never mix"
            )
        return digits
    return load_digits(split, digits=digits, device=device)
