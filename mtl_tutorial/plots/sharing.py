"""Pictures of what networks share: units, masks, attention, similarities."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import cycle

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MultipleLocator, NullLocator

from mtl_tutorial.plots.style import (
    BLACK,
    BLUE,
    GREY,
    SKY,
    VERMILION,
    annotate,
    draw_band,
    figure_legend,
    label_ends,
    panels,
    task_style,
)
from mtl_tutorial.tasks import Task


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
    figure.subplots_adjust(0.075, 0.15, 0.94, 0.74, wspace=0.2 + 0.08 * len(starts))
    for axes, (start, value) in zip(row, starts.items(), strict=True):
        axes.set(xlim=(units[0] - 0.1, units[-1]), ylim=(low, high), xticks=units)
        axes.set(xlabel="unit")
        axes.axhline(0, color=BLACK, linewidth=0.8)
        axes.axhline(value, color=GREY, linewidth=1.4, linestyle=":")
        rows = frame[frame["start"] == start]
        ends = []
        for task in tasks:
            style = task_style(task.name)
            mean = draw_band(axes, rows[rows["task"] == task.name], "unit", marker="o", **style)
            ends.append((units[-1], mean.iloc[-1], task.name))
        axes.set_title(f"{start}\nfrom {value:g}")
        label_ends(axes, ends)
        axes.tick_params(labelleft=axes is row[0])  # one scale for all
    row[0].set_ylabel("α of the other task's features")
    figure.suptitle(title, x=0.012, ha="left", fontweight="bold", fontsize=13)
    return title


SPOKE = 25  # points of a line from a seed to the mean


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

    Colours are for tasks, so settings differ in their marks. Both axes have the same ends.

    Args:
        frame: columns ``seed``, ``task``, ``value`` (the metric), and the one named by ``by``.
        tasks: two tasks; the first goes along the horizontal axis.
        by: the column of the setting, of at most seven.
        title: what the picture shows.
        star: the setting that the others are compared with, drawn as a star.
    """
    axes = panels(figure)[0, 0]
    across, along = (task.name for task in tasks)
    seeds = frame.pivot_table(index=[by, "seed"], columns="task", values="value", sort=False)
    means = seeds.groupby(by, sort=False).mean()
    low, high = seeds.to_numpy().min() - 0.04, seeds.to_numpy().max() + 0.04
    low, high = max(0, math.floor(20 * low) / 20), min(1, math.ceil(20 * high) / 20)
    axes.set(xlim=(low, high), ylim=(low, high))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MultipleLocator(0.1))
    figure.subplots_adjust(0.08, 0.14, 0.98, 0.8)
    marks, inks, points = iter("osD^vPX"), cycle([BLACK, "#5A5A5A"]), []
    for setting, point in means.iterrows():
        mark, size = ("*", 17) if setting == star else (next(marks), 9)
        place, style = (point[across], point[along]), {"color": next(inks)}
        runs = seeds.loc[setting][[across, along]].to_numpy()
        for run in runs:
            axes.plot(*zip(run, place, strict=True), linewidth=0.8, alpha=0.6, **style)
            points += [(setting, *xy) for xy in np.linspace(run, place, SPOKE)]
        small = {"markersize": 4.5, "markerfacecolor": "white", "linestyle": "none", **style}
        axes.plot(*runs.T, marker=mark if mark != "*" else "o", **small)
        axes.plot(*place, mark, markersize=size, **style)
    for setting, (x, y, side) in _free_places(axes, pd.DataFrame(points).set_index(0)).items():
        words = {"ha": side, "va": "center", "fontweight": "bold", "color": BLACK}
        axes.text(x, y, setting, **words)
    for task, label in zip(tasks, (axes.set_xlabel, axes.set_ylabel), strict=True):
        label(f"validation {task.name} {task.metric_name}", color=task_style(task.name)["color"])
    figure.suptitle(title, x=0.012, ha="left", fontweight="bold", fontsize=13)
    cut = f"; both axes begin at {low:g}" if low else ""
    axes.set_title(f"small: a seed; large: the mean of the seeds{cut}", fontweight="normal")
    return title


def _free_places(axes: Axes, points: pd.DataFrame) -> dict[str, tuple[float, float, str]]:
    """Find a place for each name beside its points, left or right, clear of all points and names.

    Args:
        axes: with its limits and its place in the figure.
        points: x and y of all that is drawn, with the name as index.

    Returns:
        By name, x, y and the side of the name that lies there.
    """
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    box, (wide, tall) = axes.get_position(), axes.figure.get_size_inches()
    inch = (right - left) / (box.width * wide), (high - low) / (box.height * tall)
    taken, places = points.to_numpy(), {}
    for name, own in points.groupby(level=0, sort=False):
        length, half = 0.105 * inch[0] * len(name), 0.13 * inch[1]
        options = []
        for x, y in own.to_numpy()[::SPOKE]:  # the seeds
            for side, start in (("left", x + 0.1 * inch[0]), ("right", x - 0.1 * inch[0] - length)):
                inside = left <= start and start + length <= right
                across = abs(taken[:, 0] - start - length / 2) < length / 2 + 0.06 * inch[0]
                hits = (across & (abs(taken[:, 1] - y) < half)).sum()
                options.append((not inside, hits, -abs(x - own.mean().iloc[0]), start, y, side))
        *_, start, y, side = min(options)
        places[str(name)] = (start if side == "left" else start + length, y, side)
        written = [(x, y) for x in np.linspace(start, start + length, 12)]
        taken = np.concatenate([taken, written, [(x, y + half) for x, _ in written]])
    return places


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
        annotate(
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


def draw_attention(
    figure: Figure, weights: Mapping[str, Sequence[torch.Tensor]], *, title: str, dots: int = 100
) -> str:
    """Draw how far attention weights differ from scene to scene: a dot a scene, a column a network.

    The spread that is written is that of all scenes, drawn or not.

    Args:
        weights: by the title of a panel, one tensor a network, shape ``(scenes,)``, each number
            from 0 to 1.
        title: what the picture shows.
        dots: how many scenes are drawn, at most.
    """
    row = panels(figure, 1, len(weights))[0]
    for axes, (words, networks) in zip(row, weights.items(), strict=True):
        for place, values in enumerate(networks):
            drawn = values[:dots].cpu()
            spread = torch.linspace(-0.28, 0.28, len(drawn))
            axes.plot(place + spread, drawn, "o", color=SKY, markersize=3)
            axes.text(place, 1.09, f"±{values.std().item():.2f}", ha="center", color=BLUE)
        count = len(networks)
        axes.set(ylim=(-0.04, 1.2), xlim=(-0.5, count - 0.5), yticks=[0, 0.5, 1])
        axes.set_xticks(range(count), [f"network {k + 1}" for k in range(count)])
        axes.set_title(words)
    row[0].set_ylabel("a weight α, by scene")
    figure.subplots_adjust(0.075, 0.1, 0.99, 0.78, wspace=0.16)
    figure.suptitle(title, x=0.012, ha="left", fontweight="bold", fontsize=13)
    return title


def draw_similarity(
    figure: Figure, matrices: Mapping[str, torch.Tensor], names: tuple[str, str], title: str
) -> str:
    """Draw matrices of cosines between two senses, side by side, red below 0 and blue above.

    Above each stands the range of its numbers.

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
        axes.set_title(f"{words}: {values.min():.2f} to {values.max():.2f}")
    row[0].set_ylabel(names[0])
    figure.subplots_adjust(0.07, 0.13, 0.9, 0.8, wspace=0.12)
    bar = figure.colorbar(image, ax=list(row), fraction=0.03, pad=0.03)
    bar.set_label("mean cosine")
    figure.suptitle(title, x=0.012, ha="left", fontweight="bold", fontsize=13)
    return title


def draw_by_unit(
    figure: Figure,
    frame: pd.DataFrame,
    tasks: Sequence[Task],
    *,
    unit: str,
    title: str,
    bands: bool = True,
) -> str:
    """Draw one panel a task: its metric against the unit of a loss, a line for each method.

    Args:
        frame: columns ``unit``, ``method``, ``seed``, ``task`` and ``value`` (the metric).
        tasks: what there is a panel for.
        unit: what the horizontal axis is called.
        title: what the picture shows.
        bands: whether the range over seeds is drawn; without it, all axes begin where the lowest
            mean lies, and the picture says so.
    """
    dashes = (0, (3, 1.2, 0.8, 1.2, 0.8, 1.2))
    lines = cycle([("-", "o"), ("--", "s"), (":", "^"), (dashes, "D")])
    means = frame.groupby(["task", "method", "unit"])["value"].mean()
    low = 0 if bands else math.floor(10 * means.min()) / 10
    styles = dict(zip(dict.fromkeys(frame["method"]), lines, strict=False))
    row = panels(figure, 1, len(tasks))[0]
    for axes, task in zip(row, tasks, strict=True):
        colour = task_style(task.name)["color"]
        rows = frame[frame["task"] == task.name]
        for method, (line, marker) in styles.items():
            style = {"color": colour, "linestyle": line, "marker": marker, "label": method}
            mine = rows[rows["method"] == method]
            if bands:
                draw_band(axes, mine, "unit", **style)
            else:
                axes.plot(mine.groupby("unit")["value"].mean(), **style)
        units = sorted(set(rows["unit"]))
        axes.set(xscale="log", xlim=(units[0] / 1.5, units[-1] * 1.5), ylim=(low, 1), xlabel=unit)
        axes.set_xticks(units, [f"{value:g}" for value in units])
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set(ylabel=f"validation {task.metric_name}")
        axes.set_title(task.name + (f", from {low:g} up" if low else ""), color=colour)
    keys = {
        method: Line2D([], [], color=BLACK, linestyle=line, marker=marker)
        for method, (line, marker) in styles.items()
    }
    place = {"loc": "upper right", "bbox_to_anchor": (0.985, 0.95), "handlelength": 4.5}
    figure_legend(figure, keys, **place)  # the lines mean the same in every panel
    figure.subplots_adjust(0.075, 0.15, 0.98, 0.74, wspace=0.22)
    figure.suptitle(title, x=0.012, ha="left", fontweight="bold", fontsize=13)
    return title
