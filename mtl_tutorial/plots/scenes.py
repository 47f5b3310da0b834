"""Pictures of inputs: scenes with their targets, images, spectrograms, matrices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.collections import PatchCollection
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor
from torch.nn import functional as F
from torchvision.utils import make_grid

from mtl_tutorial.data.sound import BANDS, FRAMES, HOP, RATE, mel
from mtl_tutorial.plots.style import BLACK, GREEN, VERMILION, panels, task_style
from mtl_tutorial.tasks import Batch


def draw_scenes(
    figure: Figure,
    batch: Batch,
    outputs: Mapping[str, torch.Tensor] | None = None,
    *,
    columns: int = 6,
    title: str = "",
) -> str:
    """Draw images with their targets, and predictions where there are some.

    Args:
        batch: as for `draw_scenes_on`.
        outputs: as for `draw_scenes_on`.
        columns: images a row.
        title: what the picture shows.
    """
    axes = panels(figure)[0, 0]
    draw_scenes_on(axes, batch, outputs, columns=columns)
    axes.set_title(title)
    head = 0.42 / figure.get_figheight() if title else 0.01
    figure.subplots_adjust(0.01, 0.01, 0.99, 1 - head)
    return title or f"{len(batch)} scenes"


def draw_scenes_on(
    axes: Axes,
    batch: Batch,
    outputs: Mapping[str, torch.Tensor] | None = None,
    *,
    columns: int = 6,
) -> None:
    """Draw images in a grid: true boxes grey and solid, predicted ones dashed.

    Args:
        batch: single-channel images, 0 (paper) to 1 (ink). Targets ``digit``, ``left`` and
            ``right`` become a label, ``box`` a frame, ``mask`` a tint.
        outputs: predictions by task name; a class is marked ✓ or ✗, a mask is tinted in place
            of the true one.
        columns: images a row.

    Raises:
        ValueError: for pixels out of that range, such as those of `two_digits`.
    """
    outputs = outputs or {}
    inputs: Any = batch.inputs
    images = inputs.detach().cpu()
    if images.min() < 0 or images.max() > 1:
        raise ValueError(
            f"pixels of a picture must be 0 (paper) to 1 (ink), got {images.min():.2f} to "
            f"{images.max():.2f}; to_pixels turns those of two_digits back"
        )
    size, gap = images.shape[-1], 2
    head = 7 if batch.targets.keys() & {"digit", "left", "right"} else 0  # rows for the label
    columns = min(columns, len(images))
    framed = F.pad(images, (0, 0, head, 0))
    tiles = 1 - make_grid(framed, nrow=columns, padding=gap, pad_value=0)[0].numpy()
    tiles = np.repeat(tiles[:, :, None], 3, axis=2)
    corners = [
        (gap + (i % columns) * (size + gap), head + gap + (i // columns) * (size + head + gap))
        for i in range(len(images))
    ]
    if "mask" in batch.targets:
        masks = batch.targets["mask"]
        if "mask" in outputs:
            masks = (outputs["mask"] > 0).float().reshape(masks.shape)
        _tint_masks(tiles, masks.cpu(), corners)
    axes.imshow((255 * tiles).astype(np.uint8), interpolation="nearest")
    if "box" in batch.targets:
        _add_boxes(axes, batch.targets["box"], corners, size, edgecolor="#555555", linewidth=1.6)
    if "box" in outputs:
        style = {"edgecolor": task_style("box")["color"], "linestyle": "--", "linewidth": 2}
        _add_boxes(axes, outputs["box"], corners, size, **style)
    for i, (x, y) in enumerate(corners):
        text, right = _scene_label(batch, outputs, i)
        colour = BLACK if right else VERMILION
        axes.text(x, y - 1, text, va="bottom", fontsize=12, fontweight="bold", color=colour)
    height, width, _ = tiles.shape
    axes.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5))  # whatever a predicted box does
    axes.set_axis_off()


def _tint_masks(tiles: np.ndarray, masks: torch.Tensor, corners: list) -> None:
    tint = np.array([int(GREEN[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    for mask, (x, y) in zip(masks.numpy(), corners, strict=True):
        part = tiles[y : y + mask.shape[0], x : x + mask.shape[1]]
        part += 0.45 * mask[:, :, None] * (tint - part)


def _add_boxes(axes: Axes, boxes: torch.Tensor, corners: list, size: int, **style) -> None:
    patches = []
    for (x, y), box in zip(corners, boxes.detach().cpu().tolist(), strict=True):
        x0, y0, x1, y1 = (min(max(side, 0.0), 1.0) * size - 0.5 for side in box)
        patches.append(Rectangle((x + x0, y + y0), x1 - x0, y1 - y0))
    axes.add_collection(PatchCollection(patches, facecolor="none", **style))


def _scene_label(batch: Batch, outputs: Mapping[str, torch.Tensor], i: int) -> tuple[str, bool]:
    true = [
        str(batch.targets[n][i].item()) for n in ("digit", "left", "right") if n in batch.targets
    ]
    guess = [str(outputs[n][i].argmax().item()) for n in ("digit", "left", "right") if n in outputs]
    if not guess:
        return " ".join(true), True
    if guess == true:
        return f"{' '.join(guess)} ✓", True
    return f"{' '.join(guess)} ✗", False


def draw_tasks(figure: Figure, tasks: Any, *, title: str) -> str:
    """Draw few-shot tasks, one a row: what it learns from, and what it is asked.

    Args:
        tasks: an `Episode` of `experiments.few_shot`.
        title: what the picture shows.
    """
    parts = (
        ("learn", 0.01, 0.24, tasks.support, tasks.support_targets),
        ("asked", 0.28, 0.71, tasks.query, tasks.query_targets),
    )
    for axes, (word, left, width, images, numbers) in zip(
        panels(figure, 1, 2)[0], parts, strict=True
    ):
        batch = Batch(images.flatten(0, 1), {"digit": numbers.flatten()})
        draw_scenes_on(axes, batch, columns=images.shape[1])
        for label in axes.texts:
            label.set(text=f"class {label.get_text()}", fontsize=10)
        axes.set_title(word)
        axes.set_position((left, 0.01, width, 0.72))
    figure.suptitle(title, x=0.012, ha="left", fontweight="bold", fontsize=13)
    return title


def draw_image_on(axes: Axes, image: torch.Tensor | None, *, title: str) -> None:
    """Draw one image, shape ``(1, H, W)``, as ink on paper; None is a sense that is lost."""
    _draw_sense(axes, None if image is None else 1 - image[0].cpu().numpy(), "gray", (0, 1))
    axes.set(xticks=[], yticks=[])
    axes.set_title(title)


def draw_spectrogram_on(
    axes: Axes, spectrogram: torch.Tensor | None, *, title: str, labels: bool = True
) -> None:
    """Draw one log-mel spectrogram, shape ``(1, 32, 32)``, dark where it is loud.

    Args:
        spectrogram: None is a sense that is lost.
        title: what is heard.
        labels: whether the axes are labelled.
    """
    values = None if spectrogram is None else spectrogram[0].cpu().numpy()
    _draw_sense(axes, values, "Greys", (-1, 1.2), origin="lower")
    hertz = (200, 500, 1000, 2000, 3500)
    rows = [mel(f) / mel(RATE / 2) * (BANDS + 1) - 1 for f in hertz]
    seconds = (0, 0.3, 0.6)
    columns = [t * RATE / HOP - 0.5 for t in seconds]
    axes.set_yticks(rows, [f"{f:,}" for f in hertz] if labels else [""] * len(hertz))
    axes.set_xticks(columns, seconds if labels else [""] * len(seconds))
    if labels:
        axes.set(xlabel="time, s", ylabel="pitch, Hz")
    axes.set_title(title)


def _draw_sense(
    axes: Axes, values: np.ndarray | None, colours: str, ends: tuple[float, float], **how
) -> None:
    axes.grid(False)
    if values is None:
        values = np.full((FRAMES, FRAMES), 0.5)
        colours, ends = "Greys", (0, 3)
        middle = {"ha": "center", "va": "center", "transform": axes.transAxes}
        axes.text(0.5, 0.5, "lost", fontsize=14, **middle)
    axes.imshow(values, cmap=colours, vmin=ends[0], vmax=ends[1], aspect="auto", **how)
    height, width = values.shape
    bottom, top = (-0.5, height - 0.5) if "origin" in how else (height - 0.5, -0.5)
    axes.set(xlim=(-0.5, width - 0.5), ylim=(bottom, top))


def draw_matrix_on(
    axes: Axes, matrix: torch.Tensor, rows: Sequence[str], columns: Sequence[str]
) -> None:
    """Draw a matrix of numbers from 0 to 1 as a heat map with its numbers.

    Args:
        matrix: shape ``(len(rows), len(columns))``.
        rows, columns: their labels; empty ones leave the axis bare.
    """
    values = matrix.detach().cpu().numpy()
    axes.grid(False)
    axes.imshow(values, cmap="Blues", vmin=0, vmax=1.25, aspect="auto")
    height, width = values.shape
    axes.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5))
    axes.set_xticks(range(width), columns or [""] * width)
    axes.set_yticks(range(height), rows or [""] * height)
    axes.tick_params(length=0)
    for i, j in np.ndindex(height, width):
        colour = "white" if values[i, j] > 0.6 else BLACK
        middle = {"ha": "center", "va": "center", "color": colour}
        axes.text(j, i, f"{values[i, j]:.2f}", fontweight="bold", **middle)


def draw_senses(figure: Figure, batch: Batch, *, title: str) -> str:
    """Draw scenes for two senses: the images above, the spectrograms below, with the answers."""
    count, senses = len(batch), cast("Mapping[str, Tensor]", batch.inputs)
    axes = panels(figure, 2, count)
    for i in range(count):
        seen, speaker, match, total = (
            batch.targets[name][i].item() for name in ("digit", "speaker", "match", "sum")
        )
        draw_image_on(axes[0, i], senses["image"][i], title=f"sees {seen}")
        words = f"hears {total - seen}"
        draw_spectrogram_on(axes[1, i], senses["sound"][i], title=words, labels=i == 0)
        lines = f"match {'yes' if match else 'no'}\nsum {total}\nspeaker {speaker}"
        axes[1, i].text(0, -0.1, lines, transform=axes[1, i].transAxes, va="top", fontsize=10)
        for row in axes[:, i]:
            row.title.set_size(11)
        axes[1, i].set(xlabel="", xticks=[])
        axes[1, i].tick_params(length=0 if i else 3.5)
    figure.subplots_adjust(0.085, 0.17, 0.99, 0.84, wspace=0.12, hspace=0.24)
    figure.suptitle(title, x=0.012, ha="left", fontweight="bold", fontsize=13)
    return title
