"""Pictures of scenes and curves; each function fills a figure and says what it shows."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from itertools import cycle

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.collections import PatchCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle, Wedge
from matplotlib.ticker import MaxNLocator, NullLocator, PercentFormatter
from torch.nn import functional as F
from torchvision.utils import make_grid

from mtl_tutorial.data.sound import BANDS, FRAMES, HOP, RATE, mel
from mtl_tutorial.tasks import Batch, Task

# Okabe & Ito's colours, which people with any colour vision can tell apart.
BLUE, VERMILION, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
ORANGE, SKY, BLACK, GREY = "#E69F00", "#56B4E9", "#000000", "#767676"

TASK_STYLES = {
    "digit": (BLUE, "-"),
    "box": (VERMILION, "--"),
    "mask": (GREEN, "-."),
    "twin": (SKY, ":"),
    "left": (PURPLE, "-"),
    "right": (ORANGE, "--"),
    "match": (BLACK, "--"),
    "sum": (SKY, "-."),
    "speaker": (PURPLE, ":"),
    "weight": (SKY, "-"),
    "waist": (BLACK, ":"),
    "pulse": (GREY, "-."),
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


def draw_intake(
    figure: Figure,
    frame: pd.DataFrame,
    starts: Mapping[str, float],
    tasks: Sequence[Task],
    *,
    title: str,
) -> str:
    """Draw how much each task takes of the other's features by depth, mean and range over seeds.

    Args:
        frame: columns ``start``, ``seed``, ``task``, ``unit`` (from 1) and ``value``.
        starts: where the numbers began, by the ``start`` that names a panel, as dotted lines.
        tasks: whose rows are drawn.
        title: what the picture shows.
    """
    low, high = min(0, frame["value"].min()) - 0.08, max(0, frame["value"].max()) + 0.08
    units = sorted(frame["unit"].unique())
    row = panels(figure, 1, len(starts))[0]
    figure.subplots_adjust(0.08, 0.15, 0.93, 0.79, wspace=0.28)
    for axes, (start, value) in zip(row, starts.items(), strict=True):
        axes.set(xlim=(units[0] - 0.1, units[-1]), ylim=(low, high), xticks=units)
        axes.set(xlabel="unit, from image to head")
        axes.axhline(0, color=BLACK, linewidth=0.8)
        axes.axhline(value, color=GREY, linewidth=1.4, linestyle=":")
        rows = frame[frame["start"] == start]
        ends = []
        for task in tasks:
            style = task_style(task.name)
            mean = draw_band(axes, rows[rows["task"] == task.name], "unit", marker="o", **style)
            ends.append((units[-1], mean.iloc[-1], task.name))
        axes.set_title(f"{start}, from {value:g}")
        label_ends(axes, ends)
        axes.tick_params(labelleft=axes is row[0])  # one scale for all
    row[0].set_ylabel("α of the other task's features")
    figure.suptitle(title, x=0.012, ha="left", fontweight="bold", fontsize=13)
    return title


def draw_plane(
    figure: Figure,
    frame: pd.DataFrame,
    tasks: Sequence[Task],
    *,
    by: str,
    title: str,
    star: str | None = None,
) -> str:
    """Draw one task's metric against another's: every seed, and the mean of each setting.

    Args:
        frame: columns ``seed``, ``task``, ``value`` (the metric), and the one named by ``by``.
        tasks: two tasks; the first goes along the horizontal axis.
        by: the column of the setting.
        title: what the picture shows.
        star: the setting that the others are compared with, drawn as a star.
    """
    axes = panels(figure)[0, 0]
    across, along = (task.name for task in tasks)
    seeds = frame.pivot_table(index=[by, "seed"], columns="task", values="value", sort=False)
    means = seeds.groupby(by, sort=False).mean()
    colours = cycle([BLUE, VERMILION, GREEN, PURPLE, ORANGE, GREY])
    for setting, point in means.iterrows():
        colour = BLACK if setting == star else next(colours)
        place, runs = (point[across], point[along]), seeds.loc[setting]
        for _, run in runs.iterrows():
            spoke = [run[across], place[0]], [run[along], place[1]]
            axes.plot(*spoke, color=colour, linewidth=0.8, alpha=0.5)
        axes.plot(runs[across], runs[along], "o", color=colour, markersize=4, alpha=0.6)
        mark, size = ("*", 17) if setting == star else ("o", 9)
        axes.plot(*place, mark, color=colour, markersize=size)
        _annotate(axes, place, setting, dx=9, dy=7, color=colour, fontweight="bold")
    names = [f"{task.name} {task.metric_name}" for task in tasks]
    axes.set(xlabel=f"validation {names[0]}", ylabel=f"validation {names[1]}")
    axes.set_title(title)
    figure.subplots_adjust(0.08, 0.13, 0.9, 0.9)
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
    count = len(batch)
    axes = panels(figure, 2, count)
    for i in range(count):
        seen, speaker, match, total = (
            batch.targets[name][i].item() for name in ("digit", "speaker", "match", "sum")
        )
        draw_image_on(axes[0, i], batch.inputs["image"][i], title=f"sees {seen}")
        words = f"hears {total - seen}"
        draw_spectrogram_on(axes[1, i], batch.inputs["sound"][i], title=words, labels=i == 0)
        lines = f"match {'yes' if match else 'no'}\nsum {total}\nspeaker {speaker}"
        axes[1, i].text(0, -0.1, lines, transform=axes[1, i].transAxes, va="top", fontsize=10)
        for row in axes[:, i]:
            row.title.set_size(11)
        axes[1, i].set(xlabel="", xticks=[])
        axes[1, i].tick_params(length=0 if i else 3.5)
    figure.subplots_adjust(0.085, 0.17, 0.99, 0.84, wspace=0.12, hspace=0.24)
    figure.suptitle(title, x=0.012, ha="left", fontweight="bold", fontsize=13)
    return title


def draw_by_noise(
    figure: Figure,
    frame: pd.DataFrame,
    tasks: Sequence[Task],
    networks: Mapping[str, str],
    *,
    title: str,
) -> str:
    """Draw each task's metric against the noise on each sense, a line a network.

    Args:
        frame: columns ``noisy`` (a sense), ``noise``, ``network``, ``seed``, ``task``, ``value``.
        tasks: one column of panels each.
        networks: their line styles.
        title: what the picture shows.
    """
    senses = list(dict.fromkeys(frame["noisy"]))
    for sense, row in zip(senses, panels(figure, len(senses), len(tasks)), strict=True):
        for task, axes in zip(tasks, row, strict=True):
            part = frame[(frame["noisy"] == sense) & (frame["task"] == task.name)]
            colour = task_style(task.name)["color"]
            for network, line in networks.items():
                rows = part[part["network"] == network]
                draw_band(axes, rows, "noise", color=colour, linestyle=line)
            levels = sorted(set(part["noise"]))
            axes.set(ylim=(0, 1), xlim=(levels[0], levels[-1]), yticks=[0, 0.5, 1])
            axes.set_xticks(levels, [f"{level:g}" for level in levels])
            axes.set_xlabel(f"noise on the {sense}")
            if sense == senses[0]:
                axes.set_title(task.name, color=colour)
            if task is tasks[0]:
                axes.set_ylabel("validation accuracy")
            else:
                axes.set_yticklabels([])
    figure.subplots_adjust(0.075, 0.11, 0.98, 0.8, wspace=0.2, hspace=0.42)
    for legend in list(figure.legends):
        legend.remove()
    lines = [Line2D([], [], color=BLACK, linestyle=line) for line in networks.values()]
    figure.legend(
        lines, networks, loc="upper right", bbox_to_anchor=(0.985, 0.955), ncols=len(networks)
    )
    figure.suptitle(title, x=0.012, ha="left", fontweight="bold", fontsize=13)
    return title


def draw_attention(
    figure: Figure, weights: Mapping[str, Sequence[torch.Tensor]], senses: Sequence[str], title: str
) -> str:
    """Draw attention matrices as heat maps: a row of them a setting, a column a seed.

    Args:
        weights: by setting, one matrix a seed, shape ``(M, M)``.
        senses: the names of rows and columns.
        title: what the picture shows.
    """
    axes = panels(figure, len(weights), len(next(iter(weights.values()))))
    last = list(weights)[-1]
    for (setting, matrices), row in zip(weights.items(), axes, strict=True):
        for seed, (matrix, place) in enumerate(zip(matrices, row, strict=True)):
            asking = [f"{sense} asks" for sense in senses]
            asked = senses if setting == last else []
            draw_matrix_on(place, matrix, [] if seed else asking, asked)
            place.set_title(f"network {seed + 1}" if setting == next(iter(weights)) else "")
        row[-1].text(1.06, 0.5, setting, transform=row[-1].transAxes, va="center", fontsize=11)
    figure.subplots_adjust(0.11, 0.08, 0.86, 0.81, wspace=0.12, hspace=0.14)
    figure.suptitle(title, x=0.012, ha="left", fontweight="bold", fontsize=13)
    return title


def draw_similarity(
    figure: Figure, matrices: Mapping[str, torch.Tensor], names: tuple[str, str], title: str
) -> str:
    """Draw matrices of cosines between two senses, side by side, red below 0 and blue above.

    Args:
        matrices: by the title of their panel, shape ``(10, 10)``.
        names: what the rows and what the columns are.
        title: what the picture shows.
    """
    row = panels(figure, 1, len(matrices))[0]
    for axes, (words, matrix) in zip(row, matrices.items(), strict=True):
        values = matrix.detach().cpu().numpy()
        image = axes.imshow(values, cmap="RdBu", vmin=-1, vmax=1)
        axes.grid(False)
        axes.set(xticks=range(10), yticks=range(10), xlabel=names[1])
        axes.set_title(words)
    row[0].set_ylabel(names[0])
    figure.subplots_adjust(0.07, 0.13, 0.9, 0.8, wspace=0.12)
    bar = figure.colorbar(image, ax=list(row), fraction=0.03, pad=0.03)
    bar.set_label("mean cosine")
    figure.suptitle(title, x=0.012, ha="left", fontweight="bold", fontsize=13)
    return title


def draw_by_unit(
    figure: Figure, frame: pd.DataFrame, tasks: Sequence[Task], *, unit: str, title: str
) -> str:
    """Draw one panel a task: its metric against the unit of a loss, a line for each method.

    Args:
        frame: columns ``unit``, ``method``, ``seed``, ``task`` and ``value`` (the metric).
        tasks: what there is a panel for.
        unit: what the horizontal axis is called.
        title: what the picture shows.
    """
    lines = cycle([("-", "o"), ("--", "s"), (":", "^"), ("-.", "D")])
    styles = dict(zip(dict.fromkeys(frame["method"]), lines, strict=False))
    for axes, task in zip(panels(figure, 1, len(tasks))[0], tasks, strict=True):
        colour = task_style(task.name)["color"]
        rows = frame[frame["task"] == task.name]
        for method, (line, marker) in styles.items():
            style = {"color": colour, "linestyle": line, "marker": marker, "label": method}
            draw_band(axes, rows[rows["method"] == method], "unit", **style)
        units = sorted(set(rows["unit"]))
        axes.set(xscale="log", xlim=(units[0] / 1.5, units[-1] * 1.5), ylim=(0, 1), xlabel=unit)
        axes.set_xticks(units, [f"{value:g}" for value in units])
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set(ylabel=f"validation {task.metric_name}")
        axes.set_title(task.name, color=colour)
    axes.legend(loc="lower left", handlelength=3.2)  # the lines mean the same in every panel
    figure.subplots_adjust(0.075, 0.15, 0.98, 0.8, wspace=0.22)
    figure.suptitle(title, x=0.012, ha="left", fontweight="bold", fontsize=13)
    return title


def draw_conflicts(figure: Figure, frame: pd.DataFrame, *, title: str) -> str:
    """Draw how often two tasks pull apart: by time with its range over seeds, and by layer.

    Args:
        frame: columns ``seed``, ``step``, ``layer`` and ``cosine`` of the gradients in it; the
            layer ``"all"`` stands for all shared parameters.
        title: what the picture shows.
    """
    by_time, by_layer = panels(figure, 1, 2)[0]
    conflict = frame.assign(conflict=frame["cosine"] < 0)
    whole = conflict[conflict["layer"] == "all"]
    width = -(-frame["step"].max() // 6)  # of a window of steps
    middle = (whole["step"] - 1) // width * width + width / 2
    windows = whole.assign(step=middle).groupby(["seed", "step"], as_index=False)["conflict"].mean()
    draw_band(by_time, windows, "step", "conflict", color=BLACK, marker="o")
    by_time.set(xlim=(0, frame["step"].max()), xlabel="training step", ylabel="steps in conflict")
    percent_axis(by_time)
    by_time.set_title("By time, all shared parameters")
    layers = [layer for layer in dict.fromkeys(frame["layer"]) if layer != "all"]
    shares = conflict.groupby(["layer", "seed"])["conflict"].mean()
    for place, layer in enumerate(layers):
        values = shares[layer]
        spread = np.linspace(-0.12, 0.12, len(values)) if len(values) > 1 else [0]
        by_layer.plot(place + np.asarray(spread), values, "o", color=SKY)
        by_layer.hlines(values.mean(), place - 0.25, place + 0.25, color=BLACK, linewidth=3)
        by_layer.annotate(f"{values.mean():.0%}", (place + 0.29, values.mean()), va="center")
    by_layer.set(xlim=(-0.5, len(layers) - 0.3), xticks=range(len(layers)))
    by_layer.set_xticklabels(layers)
    percent_axis(by_layer)
    by_layer.set_title("By layer, a dot each seed")
    figure.subplots_adjust(0.09, 0.15, 0.98, 0.78, wspace=0.22)
    figure.suptitle(title, x=0.012, ha="left", fontweight="bold", fontsize=13)
    return title


def draw_by_shots(
    figure: Figure, frame: pd.DataFrame, colours: Mapping[str, str], *, title: str, chance: float
) -> str:
    """Draw one panel a number of examples: each method's accuracy, every seed and the mean.

    Args:
        frame: columns ``shots``, ``method``, ``seed`` and ``value`` (accuracy on the new task).
        colours: by method, in the order of the rows from above.
        title: what the picture shows.
        chance: the accuracy of a guess, as a dotted line.
    """
    shots = sorted(frame["shots"].unique())
    row = panels(figure, 1, len(shots))[0]
    for axes, count in zip(row, shots, strict=True):
        axes.axvline(chance, color=GREY, linewidth=1.2, linestyle=":")
        for place, (method, colour) in enumerate(colours.items()):
            chosen = (frame["shots"] == count) & (frame["method"] == method)
            values = frame[chosen]["value"]
            spread = np.linspace(-0.12, 0.12, len(values)) if len(values) > 1 else [0]
            axes.plot(values, place + np.asarray(spread), "o", color=colour, alpha=0.7)
            mean = values.mean()
            axes.vlines(mean, place - 0.3, place + 0.3, color=colour, linewidth=3)
            words = {"color": colour, "va": "center", "fontweight": "bold"}
            axes.text(1.19, place, f"{mean:.2f}", ha="right", **words)
        axes.set(xlim=(0.25, 1.2), ylim=(len(colours) - 0.5, -0.5))
        axes.set_xticks([0.4, 0.6, 0.8, 1.0])
        axes.set_yticks(range(len(colours)), list(colours) if axes is row[0] else [])
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="y", visible=False)
        axes.set_title(f"{count} example{'s' if count > 1 else ''} a class")
        axes.set_xlabel("accuracy on the new task")
    for label, colour in zip(row[0].get_yticklabels(), colours.values(), strict=True):
        label.set_color(colour)
    figure.subplots_adjust(0.175, 0.15, 0.985, 0.79, wspace=0.1)
    figure.suptitle(title, x=0.012, ha="left", fontweight="bold", fontsize=13)
    return title


def draw_descents(
    figure: Figure,
    front: torch.Tensor,
    paths: Mapping[str, torch.Tensor],
    *,
    title: str,
) -> str:
    """Draw the ways of several descents in the plane of two losses, a panel a method.

    Args:
        front: the best trade-offs, shape ``(N, 2)``.
        paths: by the title of the panel, the losses after every step, ``(steps, runs, 2)``.
        title: what the picture shows.
    """
    row = panels(figure, 1, len(paths))[0]
    for axes, (words, losses) in zip(row, paths.items(), strict=True):
        axes.plot(*front.T, color=GREEN, linewidth=5, alpha=0.6)
        for way in losses.unbind(1):
            axes.plot(*way.T, color=GREY, linewidth=0.9, alpha=0.8)
        axes.plot(*losses[0].T, "x", color=GREY, markersize=5)
        axes.plot(*losses[-1].T, "o", color=BLACK, markersize=6)
        axes.set(xlim=(-0.04, 1.04), ylim=(-0.04, 1.04), xlabel="loss of task 1")
        axes.set_title(words, fontsize=11)
        axes.tick_params(labelleft=axes is row[0])
    row[0].set_ylabel("loss of task 2")
    figure.subplots_adjust(0.07, 0.14, 0.99, 0.79, wspace=0.08)
    figure.suptitle(title, x=0.012, ha="left", fontweight="bold", fontsize=13)
    return title


def draw_directions(
    figure: Figure,
    jacobians: Mapping[str, torch.Tensor],
    groups: Mapping[str, Mapping[str, Sequence[torch.Tensor]]],
    *,
    title: str,
) -> str:
    """Draw which way each method goes from two gradients: a row a Jacobian, a column an idea.

    The wedge holds the directions that hurt no task. Arrows show directions, not lengths.

    Args:
        jacobians: shape ``(2, 2)``, by what is said about it.
        groups: by idea and by method, its direction for each Jacobian, shape ``(2,)``, or
            several, shape ``(n, 2)``, for a method that draws lots.
        title: what the picture shows.
    """
    axes = panels(figure, len(jacobians), len(groups))
    figure.subplots_adjust(0.035, 0.01, 0.995, 0.85, wspace=0.02, hspace=0.04)
    for i, (words, jacobian) in enumerate(jacobians.items()):
        axes[i, 0].set_ylabel(words, fontsize=10)
        for place, (idea, methods) in zip(axes[i], groups.items(), strict=True):
            _draw_wedge(place, jacobian)
            _draw_arrows(place, {name: found[i] for name, found in methods.items()})
            place.set(xlim=(-1.4, 1.6), ylim=(-0.85, 1.2), xticks=[], yticks=[], aspect="equal")
            place.spines[["left", "bottom"]].set_visible(False)
            place.set_title(idea if i == 0 else "", fontsize=11)
    figure.suptitle(title, x=0.012, ha="left", fontweight="bold", fontsize=13)
    return title


def _draw_wedge(axes: Axes, jacobian: torch.Tensor) -> None:
    """Draw two gradients, the longer one as long as 1, and the directions that hurt neither."""
    (a, b), scale = _angles(jacobian), jacobian.norm(dim=1).max()
    low, high = max(a, b) - 90, min(a, b) + 90
    axes.add_patch(Wedge((0, 0), 1.12, low, high, facecolor=GREEN, alpha=0.16, linewidth=0))
    for name, gradient in zip("₁₂", (jacobian / scale).tolist(), strict=True):
        _arrow(axes, gradient, GREY, 2.4)
        x, y = (0.16 / np.hypot(*gradient) + 1) * np.array(gradient)
        axes.text(x, y - 0.1, f"g{name}", color=GREY, ha="center", va="center", fontsize=10)


def _draw_arrows(axes: Axes, methods: Mapping[str, torch.Tensor]) -> None:
    """Draw one arrow a method, or many thin ones, with the names below."""
    styles = zip((BLACK, SKY, PURPLE, ORANGE), (5.5, 3.6, 2, 1), strict=False)  # all stay visible
    for k, ((name, found), (colour, width)) in enumerate(
        zip(methods.items(), styles, strict=False)
    ):
        ways = found if found.ndim == 2 else found[None]
        for way in ways:
            _arrow(axes, (way / way.norm()).tolist(), colour, width if len(ways) == 1 else 0.7)
        x, y = (-1.3, 0.35)[k % 2], -0.42 - 0.27 * (k // 2)
        axes.text(x, y, name, color=colour, fontsize=10, fontweight="bold", va="center")


def _angles(vectors: torch.Tensor) -> list[float]:
    return torch.rad2deg(torch.atan2(vectors[:, 1], vectors[:, 0])).tolist()


def _arrow(axes: Axes, tip: Sequence[float], colour: str, width: float) -> None:
    style = {"arrowstyle": "-|>", "color": colour, "linewidth": width, "shrinkA": 0, "shrinkB": 0}
    style["mutation_scale"] = 8 + 3 * width
    axes.annotate("", tuple(tip), (0, 0), arrowprops=style)


def draw_front(
    figure: Figure,
    fronts: pd.DataFrame,
    methods: pd.DataFrame,
    gaps: pd.DataFrame,
    tasks: Sequence[Task],
    *,
    title: str,
) -> str:
    """Draw a front of loss weights from close by, methods near it, and their gaps to it.

    Args:
        fronts: the metrics, a column each task; indexed by ``weight`` and ``seed``. The weights
            are written at their points.
        methods: likewise, indexed by ``method`` and ``seed``.
        gaps: by how much the front is better than a method in both metrics, indexed likewise;
            column ``gap``.
        tasks: two tasks.
        title: what the picture shows.
    """
    plane, bars = panels(figure, 1, 2)[0]
    plane.set_position([0.075, 0.14, 0.4, 0.68])
    bars.set_position([0.66, 0.14, 0.32, 0.68])
    names = [task.name for task in tasks]
    for _, front in fronts.groupby("seed"):
        plane.plot(*front[names].to_numpy().T, color=SKY, linewidth=1)
    means = fronts[names].groupby("weight").mean()
    plane.plot(*means.to_numpy().T, "o-", color=BLACK, ms=4)
    labels = list(dict.fromkeys(methods.index.get_level_values("method")))
    colours = (VERMILION, PURPLE, GREEN, ORANGE, BLUE, GREY, BLACK)
    styles = cycle(zip(colours, "osD^vPX", strict=True))
    bars.axvline(0, color=BLACK, linewidth=1.2)
    for row, (name, (colour, marker)) in enumerate(zip(labels, styles, strict=False)):
        dot = {"color": colour, "marker": marker, "linestyle": "none"}
        plane.plot(*methods.loc[name][names].mean(), ms=8, markeredgecolor="white", **dot)
        values = gaps.loc[name]["gap"]
        bars.plot(values, row + np.linspace(-0.16, 0.16, len(values)), ms=5, alpha=0.65, **dot)
        bars.vlines(values.mean(), row - 0.32, row + 0.32, color=colour, linewidth=3)
    axis_names = [f"{task.name} {task.metric_name}" for task in tasks]
    low, high = methods.groupby("method").mean()[names].min() - 0.1, means.max() + 0.02
    limits = [(low[name], high[name]) for name in names]
    plane.set(xlim=limits[0], ylim=limits[1], xlabel=axis_names[0], ylabel=axis_names[1])
    for weight, place in means.iterrows():
        if (place > low).all():
            _annotate(plane, tuple(place), f"{weight:g}", dx=4, dy=4, fontsize=9)
    plane.set_title("Line: the weighted sum; blue: its seeds")
    reach = max(0.06, 1.1 * gaps["gap"].abs().max())
    bars.set(xlim=(-reach, reach), ylim=(len(labels) - 0.5, -0.5), yticks=range(len(labels)))
    bars.set_yticklabels(labels)
    bars.set_xlabel("gap to the front, accuracy")
    bars.grid(axis="y", visible=False)
    bars.set_title("← beyond it     inside it →", fontweight="normal")
    figure.suptitle(title, x=0.012, ha="left", fontweight="bold", fontsize=13)
    return title


DATA_NAMES = {
    "two_digits": "two digits",
    "two_fashion": "two pieces of clothing",
    "located_digits": "located digit",
    "seen_and_heard": "seen and heard",
}
METHOD_NAMES = {
    "equal": "equal weights",
    "fixed": "tuned weighted sum",
    "uncertainty": "uncertainty",
    "dwa": "speed (DWA)",
    "gradnorm": "GradNorm",
    "gradient_norm_weights": "gradient-norm weights",
    "pcgrad": "PCGrad",
    "mgda": "MGDA",
    "cagrad": "CAGrad",
    "imtl_g": "IMTL-G",
    "upgrad": "UPGrad",
    "nash_mtl": "Nash-MTL",
}
SINGLE = ("single_task", "equal")
METRICS = {"box": "mean IoU", "mask": "pixel IoU"}  # of the other tasks it is the accuracy
ARCHITECTURE_NAMES = {"cross_stitch": "cross-stitch", "mtan": "MTAN"}


def method_label(method: str, architecture: str) -> str:
    """What a method is called in pictures; hard sharing goes without saying."""
    if architecture == "single_task":
        return "single-task networks"
    name = METHOD_NAMES.get(method, method)
    if architecture == "hard_sharing":
        return name
    return f"{ARCHITECTURE_NAMES[architecture]}, {name}"


def draw_methods(
    figure: Figure,
    table: pd.DataFrame,
    *,
    title: str,
    notable: Container[tuple[str, str, str]] = (),
) -> str:
    """Draw each method's test metric with its 95 % interval, one panel a task.

    The grey band is the interval of equal weights, the dotted line the mean of single-task
    networks. Square: equal weights; star: tuned weighted sum; diamond: single-task networks.

    Args:
        table: of one data set, as `experiments.summary.means` gives it; of one architecture, and
            single-task networks.
        title: what the picture shows.
        notable: architecture, method and task of the points to fill.
    """
    keys, tasks = _order_of_methods(table), list(dict.fromkeys(table["task"]))
    marks = _marks(keys)
    indexed = table.set_index(["architecture", "method", "task"])
    for axes, task in zip(panels(figure, 1, len(tasks))[0], tasks, strict=True):
        colour = task_style(task)["color"]
        own = {key: indexed.loc[(*key, task)] for key in keys}
        left, right = _limits(pd.DataFrame(own).T)
        for key, row in own.items():
            if key == SINGLE:
                axes.axvline(row["mean"], color=GREY, linestyle=":", linewidth=1.6)
            elif key[1] == "equal":
                axes.axvspan(row["low"], row["high"], color=GREY, alpha=0.22, linewidth=0)
        for place, (key, row) in enumerate(own.items()):
            mark, size, ink = marks.get(key, ("o", 8.0, colour))
            fill = ink if (*key, task) in notable or ink == BLACK else "white"
            if row["mean"] < left:
                words = f"◂ {100 * row['mean']:.1f}"
                axes.annotate(words, (left, place), xytext=(4, 0), va="center", color=ink,
                              textcoords="offset points", fontsize=10)  # fmt: skip
                continue
            axes.hlines(place, max(row["low"], left), row["high"], color=ink, linewidth=2)
            axes.plot(row["mean"], place, mark, color=ink, markersize=size, markerfacecolor=fill)
        axes.set(xlim=(left, right), ylim=(len(keys) - 0.4, -0.6), yticks=range(len(keys)))
        labels = [method_label(m, a if a == SINGLE[0] else "hard_sharing") for a, m in keys]
        axes.set_yticklabels(labels if task == tasks[0] else [])
        axes.grid(axis="y", visible=False)
        axes.tick_params(axis="y", length=0)
        axes.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
        digits = 0 if right - left > 0.03 else 1
        axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=digits))
        axes.set_xlabel(f"test {METRICS.get(task, 'accuracy')}")
        axes.set_title(task, color=colour)
    head = 0.7 / figure.get_figheight()
    figure.subplots_adjust(0.215, 0.5 / figure.get_figheight(), 0.98, 1 - head, wspace=0.1)
    figure.suptitle(title, x=0.012, ha="left", fontweight="bold", fontsize=13)
    return title


def _order_of_methods(table: pd.DataFrame) -> list[tuple[str, str]]:
    """Single-task networks, equal weights and the tuned sum first; then the best on average."""
    average = table.groupby(["architecture", "method"])["mean"].mean()
    keys = list(average.sort_values(ascending=False, na_position="last").index)
    first = list(_marks(keys))
    return [*first, *(key for key in keys if key not in first)]


def _limits(rows: pd.DataFrame) -> tuple[float, float]:
    """Ends of an axis that hold all intervals but those of methods far below the others."""
    numbers = rows[["mean", "low", "high"]].astype(float)
    middle = numbers["mean"].median()
    spread = (numbers["mean"] - middle).abs().median()
    near = numbers[numbers["mean"] > middle - max(8 * spread, 0.03)]
    left, right = np.nanmin(near.to_numpy()), np.nanmax(numbers.to_numpy())
    room = 0.08 * (right - left or 0.01)
    return left - room * (2.5 if len(near) < len(numbers) else 1), right + room


def _marks(keys: Iterable[tuple[str, str]]) -> dict[tuple[str, str], tuple[str, float, str]]:
    """Marker, size and colour of the baselines that are there, in the order of their rows."""
    marks = {}
    for method, mark in (("equal", ("s", 8.0, BLACK)), ("fixed", ("*", 15.0, BLACK))):
        marks |= {key: mark for key in keys if key[1] == method and key != SINGLE}
    return {SINGLE: ("D", 8.0, BLACK), **marks} if SINGLE in keys else marks


def draw_tuning(figure: Figure, frame: pd.DataFrame, *, title: str) -> str:
    """Draw what the learning rate does to each method, and how far apart the methods are.

    Args:
        frame: columns ``label`` (of the method), ``learning_rate`` and ``value``, the validation
            metric; one row each, the highest where several settings have that rate.
        title: what the picture shows.
    """
    axes = panels(figure)[0, 0]
    best = frame.groupby("label")["value"].max().sort_values(ascending=False)
    axes.axvspan(best.min(), best.max(), color=GREY, alpha=0.22, linewidth=0)
    rates = sorted(frame["learning_rate"].unique())
    marks = dict(zip(rates, cycle(zip("ov^sD", (SKY, BLUE, BLACK, GREEN, PURPLE), strict=True))))
    for place, label in enumerate(best.index):
        rows = frame[frame["label"] == label]
        axes.hlines(place, rows["value"].min(), rows["value"].max(), color=GREY, linewidth=1.5)
        for rate, value in zip(rows["learning_rate"], rows["value"], strict=True):
            mark, colour = marks[rate]
            axes.plot(value, place, mark, color=colour, markersize=8)
    axes.set(ylim=(len(best) - 0.4, -0.6), xlabel="validation metric, mean of the tasks")
    axes.set_yticks(range(len(best)), best.index)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="y", visible=False)
    axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    handles = [
        Line2D([], [], linestyle="", marker=mark, color=colour, markersize=8)
        for mark, colour in marks.values()
    ]
    axes.legend(handles, [f"{rate:g}" for rate in rates], title="learning rate", loc="upper left")
    axes.set_title(title)
    figure.subplots_adjust(0.215, 0.5 / figure.get_figheight(), 0.98, 0.9)
    return title


def draw_skill(figure: Figure, frame: pd.DataFrame, tasks: Sequence[Task], *, title: str) -> str:
    """Draw the skill of each method against a guess that knows the mean, every seed a dot.

    Args:
        frame: columns ``method``, ``seed``, ``task`` and ``value``, R² (1 is perfect, 0 the mean).
        tasks: their order in each method.
        title: what the picture shows.
    """
    axes = panels(figure)[0, 0]
    methods = list(dict.fromkeys(frame["method"]))
    for i, task in enumerate(tasks):
        colour = task_style(task.name)["color"]
        for place, method in enumerate(methods):
            rows = frame[(frame["method"] == method) & (frame["task"] == task.name)]
            x = place + 0.24 * (i - (len(tasks) - 1) / 2)
            axes.plot([x] * len(rows), rows["value"], "o", color=colour, alpha=0.6, markersize=6)
            axes.hlines(rows["value"].mean(), x - 0.1, x + 0.1, color=colour, linewidth=3)
    axes.axhline(0, color=BLACK, linewidth=1)
    low = min(frame["value"].min() * 1.1, -0.1)
    axes.set(xlim=(-0.5, len(methods) - 0.5), ylim=(low, max(0.3, frame["value"].max() + 0.1)))
    axes.set_xticks(range(len(methods)), [method.replace(", ", "\n") for method in methods])
    axes.grid(axis="x", visible=False)
    axes.set_ylabel("R² on held-out rows")
    _annotate(axes, (-0.5, 0), "the mean of all rows", dx=5, dy=5)
    handles = [
        Line2D([], [], linestyle="", marker="o", color=task_style(task.name)["color"])
        for task in tasks
    ]
    axes.legend(handles, [task.name for task in tasks], loc="lower right", ncols=len(tasks))
    axes.set_title(title)
    figure.subplots_adjust(0.09, 0.16, 0.98, 0.9)
    return title
