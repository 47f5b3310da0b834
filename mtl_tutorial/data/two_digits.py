"""Scenes of two overlapping digits (MultiMNIST)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from mtl_tutorial.data.digits import Digits
from mtl_tutorial.data.questions import TASKS
from mtl_tutorial.data.scenes import Scenes, check_generator, source_of
from mtl_tutorial.tasks import Batch

SIDE, SHIFT, CANVAS = 28, 6, 36  # pixels
MEAN, DEVIATION = 0.1307, 0.3081  # of MNIST's training pixels, 0 to 1
TWO_DIGITS_RECIPE = 2  # that of new runs; results without a recipe were made by 1


def two_digits(
    split: str,
    *,
    digits: str | Digits = "embedded",
    recipe: int = TWO_DIGITS_RECIPE,
    generator: Generator | None = None,
    device: str = "cpu",
) -> Scenes:
    """Scenes of two overlapping digits, one at the top left and one at the bottom right.

    A 36x36 canvas holds the left digit at rows and columns 0 to 27 and the right one at 6 to 33;
    where they overlap the brighter pixel counts; the canvas is resized to 28x28 by taking the
    pixel nearest to each centre. Pixels x, 0 to 1, become (x − 0.1307) / 0.3081, whatever the
    source; `to_pixels` turns them back for a picture. The right digit of each left one is drawn
    from the same split, once, when the scenes are made, and kept: an epoch visits each pair once,
    `draw` and `stream` draw pairs with replacement.

    Tasks: ``left`` and ``right``, 10 classes each. Inputs: shape ``(B, 1, 28, 28)``, −0.42 (paper)
    to 2.82 (ink).

    Args:
        split, digits, device: as in `located_digits`; digits of 28x28.
        recipe: 2 is the one above. 1 made the results in which no recipe is named: the right digit
            is drawn anew in every batch, resizing takes the pixel at each corner, and pixels stay
            0 to 1.
        generator: draws the right digits of recipe 2. Left out, it starts from seed 0, so that
            all runs see the same pairs, on every device, as they would those of a file.

    Raises:
        ValueError: as in `located_digits`; for another recipe, digits of another size, or a
            generator for recipe 1.
        DataUnavailableError: where the digits can't be had.

    Source: Sener & Koltun 2018 (arXiv 1810.04650) and their code.
    """
    if isinstance(recipe, bool) or recipe not in (1, 2):
        raise ValueError(f"recipe of two_digits must be 1 or 2, got {recipe!r}")
    source = source_of(split, digits, device)
    if source.images.shape[-1] != SIDE:
        raise ValueError(
            f"two_digits needs images of {SIDE}x{SIDE}, got {tuple(source.images.shape)}; "
            f"resize them first"
        )
    if recipe == 1:
        if generator is not None:
            raise ValueError(
                "recipe 1 draws the right digits from the generator of each batch; leave "
                "generator out"
            )
        return Scenes(TASKS["two_digits"], source, _NewPairs(source))
    generator = generator if generator is not None else Generator("cpu").manual_seed(0)
    check_generator(generator)
    count, where = len(source), source.labels.device
    partner = torch.randint(count, (count,), generator=generator, device=generator.device)
    partner = partner.to(where)
    parts = zip(source.images.split(4096), source.images[partner].split(4096), strict=True)
    images = torch.cat([_overlaid(left, right, "nearest-exact") for left, right in parts])
    pairs = _Pairs(images, source.labels, source.labels[partner])
    return Scenes(TASKS["two_digits"], source, pairs)


def to_pixels(inputs: Tensor) -> Tensor:
    """Turn inputs of `two_digits` back into pixels, 0 (paper) to 1 (ink), for a picture."""
    return (inputs * DEVIATION + MEAN).clamp(0, 1)


def _overlaid(left: Tensor, right: Tensor, nearest: str) -> Tensor:
    """Both digits in one image, uint8; ``(B, 1, 28, 28)`` each."""
    rest = CANVAS - SIDE
    canvas = torch.maximum(
        F.pad(left, (0, rest, 0, rest)), F.pad(right, (SHIFT, rest - SHIFT, SHIFT, rest - SHIFT))
    )
    return F.interpolate(canvas, size=SIDE, mode=nearest)


@dataclass(frozen=True, eq=False)
class _Pairs:
    """Recipe 2."""

    images: Tensor
    left: Tensor
    right: Tensor

    def __call__(self, index: Tensor, generator: Generator) -> Batch:
        pixels = self.images.index_select(0, index).float().div_(255)
        targets = {"left": self.left[index], "right": self.right[index]}
        return Batch(pixels.sub_(MEAN).div_(DEVIATION), targets, complete=True)


@dataclass(frozen=True, eq=False)
class _NewPairs:
    """Recipe 1."""

    source: Digits

    def __call__(self, index: Tensor, generator: Generator) -> Batch:
        count, where = len(self.source), generator.device
        partner = torch.randint(count, (len(index),), generator=generator, device=where)
        partner = partner.to(index.device)
        images, labels = self.source.images, self.source.labels
        pixels = _overlaid(images[index], images[partner], "nearest").float() / 255
        targets = {"left": labels[index], "right": labels[partner]}
        return Batch(pixels, targets, complete=True)
