"""Images with several targets, composed in batches of tensors."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from numbers import Integral, Real

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from mtl_tutorial.data.digits import Digits, load_digits
from mtl_tutorial.data.questions import TASKS, mask_task
from mtl_tutorial.tasks import Batch, Task, map_batches

INK = 0.3  # a pixel is ink where it is brighter than this share of the brightest
LEAST_EXTENT = 8  # pixels; thin strokes fall between the samples of a smaller digit
MOST_NOISE = 1e6  # standard deviation; float32 holds the squares of larger noise no more

Compose = Callable[[Tensor, Generator], Batch]


@dataclass(frozen=True, eq=False)
class Scenes:
    """A source of scenes: draws digits of one split and composes them into images.

    Args:
        tasks: what is asked about every scene.
        digits: what the scenes are made of.
        compose: ``compose(index, generator)`` makes one scene for each digit number in
            ``index``, shape ``(B,)``, from 0 on.

    ``len`` is the number of digits. All randomness comes from the generator handed in; it may
    live on the CPU (the same scenes on every device) or on the scenes' device (faster there).
    Fewer scenes than one, or what is no generator, are refused with a ``ValueError``. Scenes of
    this package can be copied and pickled.
    """

    tasks: tuple[Task, ...]
    digits: Digits
    compose: Compose

    def __len__(self) -> int:
        return len(self.digits)

    def draw(self, count: int, generator: Generator) -> Batch:
        """Compose ``count`` scenes of digits drawn with replacement."""
        return self.compose(self._numbers(count, generator), generator)

    def stream(self, batch_size: int, generator: Generator) -> Iterator[Batch]:
        """Compose new batches without end."""
        check_whole("batch_size", batch_size, "scenes")
        while True:
            yield self.draw(batch_size, generator)

    def epoch(self, batch_size: int, generator: Generator) -> Iterator[Batch]:
        """Compose one scene for each digit, in random order; the last batch may be smaller."""
        check_whole("batch_size", batch_size, "scenes")
        for index in self.order(generator).split(batch_size):
            yield self.compose(index, generator)

    def order(self, generator: Generator) -> Tensor:
        """Give the numbers of all digits in random order, as an epoch visits them."""
        check_generator(generator)
        order = torch.randperm(len(self), generator=generator, device=generator.device)
        return order.to(self.digits.labels.device)

    def keep(self, count: int, generator: Generator) -> Scenes:
        """Compose ``count`` scenes once, and give a source that draws from these."""
        order = self._numbers(count, generator)
        parts = [self.compose(index, generator) for index in order.split(256)]
        kept = map_batches(lambda *tensors: torch.cat(tensors), *parts)
        digits = Digits(self.digits.images[order], self.digits.labels[order], self.digits.split)
        return Scenes(self.tasks, digits, _Kept(kept))

    def _numbers(self, count: int, generator: Generator) -> Tensor:
        check_whole("count", count, "scenes")
        check_generator(generator)
        index = torch.randint(len(self), (count,), generator=generator, device=generator.device)
        return index.to(self.digits.labels.device)


@dataclass(frozen=True, eq=False)
class _Kept:
    batch: Batch

    def __call__(self, index: Tensor, generator: Generator) -> Batch:
        return map_batches(lambda tensor: tensor[index], self.batch)


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
        digits: ``"embedded"``, ``"mnist"`` or ``"fashion"``; or digits of this split that you
            have loaded, each with some ink, which are used where they are.
        size: side of the image, in pixels.
        extent: least and greatest length of the longer side of the ink, in pixels, from 8 on.
        noise: standard deviation of the noise added to every pixel, up to 1e6.
        device: where scenes are composed.

    Raises:
        ValueError: for an unknown split, source or device, sizes that do not fit, or a digit
            without ink.
        DataUnavailableError: where the digits can't be had.
    """
    check_whole("size", size, "pixels")
    low, high = least_and_greatest("extent", extent)
    if not LEAST_EXTENT <= low <= high <= size:
        raise ValueError(
            f"extent must be {LEAST_EXTENT} ≤ least ≤ greatest ≤ size={size}, got {extent}"
        )
    if not isinstance(noise, Real) or not 0 <= noise <= MOST_NOISE:
        raise ValueError(f"noise must be a number from 0 to {MOST_NOISE:g}, got {noise}")
    source = source_of(split, digits, device)
    corner, end = _boxes_of_all(source).split(2, dim=1)
    ink = torch.cat([corner, end - corner, (end - corner).amax(1, keepdim=True)], dim=1)
    tasks = (*TASKS["located_digits"][:-1], mask_task(size))
    # where samples lie at most two pixels apart, bilinear ones catch every pixel of ink
    complete = bool(ink[:, 4].max() <= 2 * low)
    compose = _Located(source, ink, size, (low, high), noise, complete)
    return Scenes(tasks, source, compose)


@dataclass(frozen=True, eq=False)
class _Located:
    source: Digits
    ink: Tensor  # x0, y0, width, height, longer side of each digit's; (N, 5)
    size: int
    extent: tuple[float, float]
    noise: float
    complete: bool  # else ink may fall between the samples, and leave no box

    def __call__(self, index: Tensor, generator: Generator) -> Batch:
        (low, high), size = self.extent, self.size
        corner, sides, longer = self.ink.index_select(0, index).split([2, 2, 1], dim=1)
        chance = uniform((len(index), 3), generator, index.device)
        step = longer / (low + (high - low) * chance[:, :1])
        start = corner - chance[:, 1:] * (size * step - sides)
        images = self.source.images.index_select(0, index).float().div_(255)
        clean = resample(images, start, step, size)
        mask = is_ink(clean[:, 0])
        targets = {
            "digit": self.source.labels[index],
            "box": tight_boxes(mask) / size,
            "mask": mask.view(torch.uint8).float(),  # faster than from bool
        }
        images = with_noise(clean, self.noise, generator).clamp_(0, 1)
        return Batch(images, targets, self.complete)


def untouched_digits(
    split: str, *, digits: str | Digits = "embedded", device: str = "cpu"
) -> Scenes:
    """The 28x28 images as they are, with the tight box of their ink.

    Tasks ``digit`` and ``box``, arguments and errors as in `located_digits`. Inputs: shape
    ``(B, 1, 28, 28)``, 0 to 1.
    """
    source = source_of(split, digits, device)
    boxes = _boxes_of_all(source) / source.images.shape[-1]
    return Scenes(TASKS["untouched_digits"], source, _Untouched(source, boxes))


@dataclass(frozen=True, eq=False)
class _Untouched:
    source: Digits
    boxes: Tensor

    def __call__(self, index: Tensor, generator: Generator) -> Batch:
        targets = {"digit": self.source.labels[index], "box": self.boxes[index]}
        return Batch(self.source.images[index].float() / 255, targets, complete=True)


def is_ink(images: Tensor) -> Tensor:
    """Which pixels of each image are ink: brighter than 0.3 of its brightest; ``(B, H, W)``."""
    return images > INK * images.amax((1, 2), keepdim=True)


def tight_boxes(ink: Tensor) -> Tensor:
    """The smallest box around each image's ink.

    Args:
        ink: which pixels are ink, bool, shape ``(B, H, W)``.

    Returns:
        ``x0, y0, x1, y1`` in pixels, the far edges exclusive, shape ``(B, 4)``, float32. An image
        without ink has no box: its row is NaN.
    """
    ink = ink.view(torch.uint8).float()  # sums of floats are faster than maxima of bytes
    edges = []
    for along in (ink.sum(1), ink.sum(2)):  # columns, then rows
        some, first = along.clamp_(max=1).max(1)  # the first of several equal values
        edges += [first, along.shape[1] - along.flip(1).argmax(1)]
    x0, x1, y0, y1 = edges
    boxes = torch.stack([x0, y0, x1, y1], dim=1).float()
    return boxes.masked_fill_((some == 0)[:, None], math.nan)


def _boxes_of_all(source: Digits) -> Tensor:
    parts = source.images[:, 0].split(1024)  # as floats all at once would be large
    boxes = torch.cat([tight_boxes(is_ink(part)) for part in parts])
    blank = boxes[:, 0].isnan().nonzero()[:, 0].tolist()
    if blank:
        raise ValueError(
            f"every digit must have some ink, or it has no box; {len(blank)} of {len(source)} "
            f"digits have none, the first of them number {blank[0]}; leave them out"
        )
    return boxes


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
    cells = torch.arange(size, dtype=torch.float32, device="cpu") + 0.5
    matrix = torch.zeros(4, size, size, 2, dtype=torch.float32, device="cpu")
    matrix[0, ..., 0] = matrix[1, ..., 1] = 1
    matrix[2, ..., 0] = cells
    matrix[3, ..., 1] = cells[:, None]
    return (matrix * 2 / torch.tensor([width, height], device="cpu")).view(4, -1).to(device)


def uniform(shape: tuple[int, ...], generator: Generator, device: torch.device) -> Tensor:
    """Numbers from 0 to 1, drawn where the generator lives and brought to a device."""
    where = generator.device
    return torch.rand(shape, generator=generator, device=where, dtype=torch.float32).to(device)


def with_noise(clean: Tensor, deviation: float | Tensor, generator: Generator) -> Tensor:
    """Add white noise; its standard deviation is one number, or a tensor ``(B, 1, ...)``."""
    where = generator.device
    noise = torch.randn(clean.shape, generator=generator, device=where, dtype=clean.dtype)
    return noise.to(clean.device).mul_(deviation).add_(clean)


def source_of(split: str, digits: str | Digits, device: str) -> Digits:
    """Load digits by the name of their source, or take loaded ones of this split.

    Raises:
        ValueError: for an unknown split, source or device, or digits of another split.
        DataUnavailableError: where the digits can't be had.
    """
    if isinstance(digits, Digits):
        check_split("digits", digits.split, split)
        return digits
    if not isinstance(digits, str):
        raise ValueError(
            f"digits must be the name of a source or a Digits object, got "
            f"{type(digits).__name__}; Digits(images, labels, split) makes one of tensors"
        )
    return load_digits(split, digits=digits, device=device)


def check_split(what: str, found: str, split: str) -> None:
    """Refuse what is of another split than the one asked for."""
    if found != split:
        raise ValueError(
            f"the {what} handed in are of split {found!r}, but {split!r} was asked for; "
            f"splits never mix"
        )


def check_whole(what: str, number: int, unit: str) -> None:
    """Refuse what is no whole number from 1 on."""
    if not isinstance(number, Integral) or isinstance(number, bool) or number < 1:
        raise ValueError(f"{what} must be a whole number of {unit} from 1 on, got {number!r}")


def check_generator(generator: Generator) -> None:
    """Refuse what is no source of random numbers, such as a bare seed."""
    if not isinstance(generator, Generator):
        raise ValueError(
            f"generator must be a torch.Generator, got {generator!r}; "
            f"torch.Generator().manual_seed(0) makes one"
        )


def least_and_greatest(what: str, pair: tuple[float, float]) -> tuple[float, float]:
    """Give the two ends of a range; what is no pair of numbers is refused."""
    try:
        least, greatest = pair
        if isinstance(least, Real) and isinstance(greatest, Real):
            return least, greatest
    except (TypeError, ValueError):
        pass
    raise ValueError(f"{what} must be two numbers, the least and the greatest, got {pair!r}")
