"""Pictures of scenes and curves; each function fills a figure and says what it shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.collections import PatchCollection
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import NullLocator, PercentFormatter
from torch.nn import functional as F
from torchvision.utils import make_grid

from mtl_tutorial.tasks import Batch, Task

# Okabe & Ito's colours, which people with any colour vision can tell apart.
BLUE, VERMILION, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
ORANGE, SKY, BLACK, GREY = "#E69F00", "#56B4E9", "#000000", "#767676"

TASK_STYLES = {
    "digit": (BLUE, "-"),
    "box": (VERMILION, "--"),
    "mask": (GREEN, "-."),
    "left": (PURPLE, "-"),
    "right": (ORANGE, "--"),
    "match": (BLACK, "--"),
    "sum": (SKY, "-."),
    "speaker": (PURPLE, ":"),
    "twin": (SKY, ":"),
}

STYLE = {
    "font.size": 11,
    "axes.titlesize": 12,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titley": 1.03,  # fixed: looking for a free place costs 40 % of a drawing
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#E6E6E6",
    "grid.linewidth": 0.8,
    "axes.axisbelow": True,
    "lines.linewidth": 2,
    "legend.frameon": False,
    "figure.facecolor": "white",
}


def panels(figure: Figure, rows: int = 1, columns: int = 1) -> np.ndarray:
    """Give the figure's axes, shape ``(rows, columns)``, with nothing drawn on them.

    Axes that are there are emptied and used again: making new ones is most of the cost of a
    drawing. Every draw function starts with this.
    """
    if len(figure.axes) != rows * columns:
        figure.clear()
        return figure.subplots(rows, columns, squeeze=False)
    for axes in figure.axes:
        for artist in (*axes.lines, *axes.collections, *axes.patches, *axes.images, *axes.texts):
            artist.remove()
        axes.set_prop_cycle(None)
    return np.array(figure.axes).reshape(rows, columns)


def task_style(name: str) -> dict[str, str]:
    """The colour and line style of a task, the same in every picture of the course."""
    if name not in TASK_STYLES:
        others = [(colour, line) for colour in (SKY, BLACK, GREY) for line in (":", "-", "-.")]
        colour, line = others[sum(map(ord, name)) % len(others)]
        return {"color": colour, "linestyle": line}
    colour, line = TASK_STYLES[name]
    return {"color": colour, "linestyle": line}


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
        batch: single-channel images. Targets ``digit``, ``left`` and ``right`` become a label,
            ``box`` a frame, ``mask`` a tint.
        outputs: predictions by task name; a class is marked ✓ or ✗, a mask is tinted in place
            of the true one.
        columns: images a row.
    """
    outputs = outputs or {}
    images = batch.inputs.detach().cpu()
    size, gap = images.shape[-1], 2
    head = 7 if batch.targets.keys() & {"digit", "left", "right"} else 0  # rows for the label
    columns = min(columns, len(images))
    framed = F.pad(images, (0, 0, head, 0))
    tiles = 1 - make_grid(framed, nrow=columns, padding=gap, pad_value=0)[0].clamp(0, 1).numpy()
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


def draw_band(axes: Axes, frame: pd.DataFrame, x: str, y: str = "value", **style) -> pd.Series:
    """Draw the mean of ``y`` over seeds at each ``x``, and its range over seeds as a band.

    Returns:
        The mean by ``x``.
    """
    groups = frame.groupby(x)[y]
    mean, colour = groups.mean(), style["color"]
    axes.fill_between(mean.index, groups.min(), groups.max(), color=colour, alpha=0.18, linewidth=0)
    axes.plot(mean.index, mean, **style)
    return mean


def label_ends(axes: Axes, ends: Sequence[tuple[float, float, str]]) -> None:
    """Write the names of tasks at the right ends of their lines, apart from each other.

    Args:
        ends: ``(x, y, label)``; the label's first word is the task, which gives the colour. Call
            it once the limits of the axes are set.
    """
    places = []
    for x, y, label in ends:
        height = axes.transAxes.inverted().transform(axes.transData.transform((x, y)))[1]
        places.append([height, x, label])
    inches = axes.get_position().height * axes.figure.get_figheight()
    line = 0.19 / inches  # the height of a line of text, as a share of the axes' height
    below = -1.0
    for place in sorted(places):
        lines = place[2].count("\n") + 1
        place[0] = max(place[0], below + line * lines / 2)
        below = place[0] + line * lines / 2
    above = 1.0
    for place in sorted(places, reverse=True):
        lines = place[2].count("\n") + 1
        place[0] = min(place[0], above - line * lines / 2)
        above = place[0] - line * lines / 2
    for height, x, label in places:
        axes.annotate(
            label,
            (x, height),
            xycoords=("data", "axes fraction"),
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
            color=task_style(label.split()[0])["color"],
            fontweight="bold",
            annotation_clip=False,
        )


def draw_learning_curves(
    figure: Figure,
    frame: pd.DataFrame,
    tasks: Sequence[Task],
    *,
    title: str,
    baselines: Mapping[str, float] | None = None,
) -> str:
    """Draw the validation metric of each task against the step, mean and range over seeds.

    Args:
        frame: as ``History.to_frame`` gives it, with a column ``seed``.
        title: what the picture shows.
        baselines: scores to compare with, by task name, as thin dotted lines.
    """
    axes = panels(figure)[0, 0]
    metrics = frame[frame["quantity"] == "validation metric"]
    figure.subplots_adjust(0.09, 0.15, 0.84, 0.9)
    last = metrics["step"].max()
    axes.set(xlabel="training step", ylabel="validation metric", xlim=(0, last), ylim=(0, 1))
    ends = []
    for task in tasks:
        rows = metrics[metrics["task"] == task.name]
        mean = draw_band(axes, rows, "step", **task_style(task.name))
        ends.append((last, mean.iloc[-1], f"{task.name}\n{task.metric_name}"))
    for name, score in (baselines or {}).items():
        axes.axhline(score, color=task_style(name)["color"], linewidth=1.2, linestyle=":")
    label_ends(axes, ends)
    axes.set_title(title)
    return title


def draw_paths(
    figure: Figure,
    paths: Mapping[str, Sequence[float]],
    targets: Mapping[str, float],
    *,
    title: str,
) -> str:
    """Draw how one shared number moves, step by step, between what its tasks want.

    Args:
        paths: the number at the start and after each step, by the label of its line.
        targets: what each task wants, by the task's name.
        title: what the picture shows.
    """
    axes = panels(figure)[0, 0]
    low, high = min(targets.values()), max(targets.values())
    last = max(len(path) for path in paths.values()) - 1
    axes.set(xlabel="training step", ylabel="shared number θ", xlim=(0, last))
    axes.set_ylim(low - 0.1 * (high - low), high + 0.15 * (high - low))
    beside = {"textcoords": "offset points", "annotation_clip": False}
    for name, target in targets.items():
        axes.axhline(target, color=GREY, linewidth=1.2)
        words = f"{name} wants {target:g}"
        axes.annotate(words, (last, target), xytext=(-4, 4), ha="right", color=GREY, **beside)
    for (label, path), line in zip(paths.items(), cycle(["-", "--", "-."]), strict=False):
        axes.plot(range(len(path)), path, color=BLACK, linestyle=line)
        end = (len(path) - 1, path[-1])
        axes.annotate(label, end, xytext=(6, 0), va="center", color=BLACK, **beside)
    axes.set_title(title)
    figure.subplots_adjust(0.08, 0.15, 0.82, 0.9)
    return title


def percent_axis(axes: Axes) -> None:
    """Label the y axis in per cent, from 0 to 100."""
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.set_ylim(0, 1)


def draw_tradeoff(
    figure: Figure,
    frame: pd.DataFrame,
    singles: Mapping[str, float],
    tasks: Sequence[Task],
    *,
    weight: str,
    title: str,
) -> str:
    """Draw what a loss weight does to two tasks: each metric by weight, and one by the other.

    Args:
        frame: columns ``weight``, ``seed``, ``task`` and ``value`` (the metric).
        singles: the metric of a network for one task alone, by task name.
        tasks: two tasks.
        weight: what the weight axis is called.
        title: what the picture shows.
    """
    by_weight, plane = panels(figure, 1, 2)[0]
    by_weight.set_position([0.075, 0.14, 0.36, 0.66])
    plane.set_position([0.585, 0.14, 0.36, 0.66])
    means = frame.groupby(["task", "weight"])["value"].mean().unstack("task")
    by_weight.set(xscale="log", xlim=(means.index[0], means.index[-1]), ylim=(0, 1))
    by_weight.set_xticks(means.index, [f"{value:g}" for value in means.index])
    by_weight.xaxis.set_minor_locator(NullLocator())
    by_weight.set(xlabel=weight, ylabel="validation metric")
    ends = []
    for task in tasks:
        style = task_style(task.name)
        mean = draw_band(by_weight, frame[frame["task"] == task.name], "weight", **style)
        by_weight.axhline(singles[task.name], color=style["color"], linewidth=1.2, linestyle=":")
        ends.append((mean.index[-1], mean.iloc[-1], f"{task.name}\n{task.metric_name}"))
    label_ends(by_weight, ends)
    by_weight.set_title("Dotted: one network a task")
    across, along = (task.name for task in tasks)
    seeds = frame.pivot_table(index=["weight", "seed"], columns="task", values="value")
    plane.plot(seeds[across], seeds[along], "o", color=SKY, markersize=6, alpha=0.9)
    plane.plot(means[across], means[along], "o-", color=BLACK, markersize=6)
    for value, point in means.iterrows():
        place = (point[across], point[along])
        _annotate(plane, place, f"{value:g}", dx=-7, dy=-14, ha="right")
    corner = (singles[across], singles[along])
    plane.plot(*corner, "*", color=BLACK, markersize=16, clip_on=False)
    _annotate(plane, corner, "two networks", fontweight="bold", ha="right", dx=-10)
    axis_names = [f"{task.name} {task.metric_name}" for task in tasks]
    plane.set(xlim=(0, 1), ylim=(0, 1), xlabel=axis_names[0], ylabel=axis_names[1])
    plane.set_title(f"Points: {weight}")
    figure.suptitle(title, x=0.012, ha="left", fontweight="bold", fontsize=13)
    return title


def _annotate(
    axes: Axes, point: tuple, text: str, *, dx: float = 5, dy: float = 7, **style
) -> None:
    axes.annotate(text, point, xytext=(dx, dy), textcoords="offset points", **style)


def draw_comparison(
    figure: Figure,
    frame: pd.DataFrame,
    tasks: Sequence[Task],
    *,
    by: str,
    title: str,
    xlabel: str = "",
    baselines: Mapping[str, float] | None = None,
) -> str:
    """Draw one panel a task with every seed as a dot and the mean as a bar, by setting.

    Args:
        frame: columns ``seed``, ``task``, ``value`` (the metric), and the one named by ``by``.
        by: the column of the setting; its values are drawn in the order in which they come.
        title: what the picture shows.
        xlabel: what the settings are.
        baselines: scores to compare with, by task name, as thin dotted lines.
    """
    settings = list(dict.fromkeys(frame[by]))
    for axes, task in zip(panels(figure, 1, len(tasks))[0], tasks, strict=True):
        colour = task_style(task.name)["color"]
        rows = frame[frame["task"] == task.name]
        for place, setting in enumerate(settings):
            values = rows[rows[by] == setting]["value"]
            spread = np.linspace(-0.12, 0.12, len(values)) if len(values) > 1 else [0]
            axes.plot(place + np.asarray(spread), values, "o", color=colour, alpha=0.7)
            axes.hlines(values.mean(), place - 0.22, place + 0.22, color=colour, linewidth=3)
            axes.annotate(
                f"{values.mean():.2f}", (place + 0.25, values.mean()), va="center", color=colour
            )
        axes.set(xlim=(-0.5, len(settings) - 0.2), ylim=(0, 1), xticks=range(len(settings)))
        axes.set_xticklabels(settings)
        if task.name in (baselines or {}):
            axes.axhline(baselines[task.name], color=colour, linewidth=1.2, linestyle=":")
        axes.set(xlabel=xlabel, ylabel=f"validation {task.metric_name}")
        axes.set_title(task.name, color=colour)
    figure.subplots_adjust(0.075, 0.15 if xlabel else 0.13, 0.98, 0.8, wspace=0.22)
    figure.suptitle(title, x=0.012, ha="left", fontweight="bold", fontsize=13)
    return title


def draw_against(
    figure: Figure,
    frame: pd.DataFrame,
    x: str,
    quantities: Mapping[str, tuple[str, tuple[float, float]]],
    task: Task,
    *,
    xlabel: str,
    title: str,
) -> str:
    """Draw several quantities of one task against the same one, side by side.

    Args:
        frame: columns ``seed``, the one named by ``x``, and one a quantity.
        x: the column on the horizontal axes.
        quantities: by column, its label with units and the ends of its axis.
        task: gives the colour and line style.
        xlabel: what ``x`` is, with units.
        title: what the picture shows.
    """
    style = task_style(task.name)
    for axes, (column, (label, ends)) in zip(
        panels(figure, 1, len(quantities))[0], quantities.items(), strict=True
    ):
        mean = draw_band(axes, frame, x, column, marker="o", **style)
        room = 0.08 * (mean.index[-1] - mean.index[0] or 1)
        axes.set(ylim=ends, xlim=(mean.index[0] - room, mean.index[-1] + room), xlabel=xlabel)
        axes.set_title(label, fontweight="normal")
        for place, value in mean.items():
            axes.annotate(
                f"{value:.2f}",
                (place, value),
                xytext=(0, 12),
                textcoords="offset points",
                ha="center",
                color=style["color"],
            )
    figure.subplots_adjust(0.06, 0.15, 0.98, 0.78, wspace=0.16)
    figure.suptitle(title, x=0.06, ha="left", fontweight="bold", fontsize=13)
    return title


def draw_mask_differences(figure: Figure, frame: pd.DataFrame, *, title: str) -> str:
    """Draw how much two masks differ in each block, for two tasks and for one task asked twice.

    Args:
        frame: columns ``seed``, ``block`` (from 1), ``pair`` (``"two tasks"`` or
            ``"one task twice"``) and ``value`` (mean absolute difference, 0 to 1); the mean of a
            pair's rows is taken for each seed.
        title: what the picture shows.
    """
    axes = panels(figure)[0, 0]
    styles = {
        "two tasks": {"color": VERMILION, "linestyle": "-", "marker": "o"},
        "one task twice": {"color": BLACK, "linestyle": "--", "marker": "s"},
    }
    by_seed = frame.groupby(["pair", "block", "seed"], as_index=False)["value"].mean()
    blocks = sorted(frame["block"].unique())
    axes.set(xlim=(blocks[0] - 0.1, blocks[-1] + 0.1), ylim=(0, 1.3 * by_seed["value"].max()))
    axes.set_xticks(blocks, [f"block {block}" for block in blocks])
    axes.set(ylabel="mean difference of masks")
    for pair, style in styles.items():
        mean = draw_band(axes, by_seed[by_seed["pair"] == pair], "block", **style)
        end = (blocks[-1], mean.iloc[-1])
        _annotate(
            axes,
            end,
            f"{pair}\n{mean.iloc[-1]:.2f}",
            dx=14,
            dy=0,
            va="center",
            color=style["color"],
            fontweight="bold",
            annotation_clip=False,
        )
    axes.set_title(title)
    figure.subplots_adjust(0.09, 0.12, 0.82, 0.88)
    return title


def draw_swaps(figure: Figure, frame: pd.DataFrame, *, title: str) -> str:
    """Draw what each task keeps of its metric with the masks of others, as a table of colours.

    Args:
        frame: columns ``seed``, ``task``, ``masks`` (``"own"`` or words for what is used in their
            place) and ``value`` (the metric). Rows and columns keep the order in which they come.
        title: what the picture shows.
    """
    axes = panels(figure)[0, 0]
    rows, columns = (list(dict.fromkeys(frame[name])) for name in ("task", "masks"))
    values = frame.groupby(["task", "masks"])["value"].agg(["mean", "min", "max"])
    means = values["mean"].unstack("masks").loc[rows, columns]
    kept = means.div(means["own"], axis=0).fillna(1.0).to_numpy()  # 0 of 0 is all of it
    axes.imshow(kept, cmap="cividis", vmin=0, vmax=1, aspect="auto")
    for i, row in enumerate(rows):
        for j, column in enumerate(columns):
            cell = values.loc[(row, column)]
            style = {"ha": "center", "color": BLACK if kept[i, j] > 0.6 else "white"}
            axes.text(j, i + 0.02, f"{cell['mean']:.2f}", va="bottom", fontweight="bold", **style)
            spread = f"{cell['min']:.2f} to {cell['max']:.2f}"
            axes.text(j, i + 0.08, spread, va="top", fontsize=9, **style)
    axes.set_xticks(range(len(columns)), columns)
    axes.set_yticks(range(len(rows)), rows)
    for label, row in zip(axes.get_yticklabels(), rows, strict=True):
        label.set(color=task_style(row)["color"], fontweight="bold")
    axes.grid(visible=False)
    axes.set(xlabel="masks in use", ylabel="task")
    axes.set_title(title)
    figure.subplots_adjust(0.1, 0.22, 0.99, 0.88)
    return title
