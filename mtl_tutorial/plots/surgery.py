"""Pictures of gradient surgery: the projection, conflicts over training, arrivals of a race."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Polygon, Wedge

from mtl_tutorial.plots.style import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    PURPLE,
    SKY,
    VERMILION,
    annotate,
    panels,
)

METHOD_STYLES = {"sum": (BLACK, "o"), "PCGrad": (SKY, "s"), "MGDA": (PURPLE, "^")}


def draw_projection(figure: Figure, gradients: torch.Tensor, *, title: str) -> str:
    """Draw in three steps what surgery does to two gradients in conflict.

    The green wedge holds the directions that help both tasks: less than 90° from both gradients.

    Args:
        gradients: g_1 and g_2, shape ``(2, 2)``; g_1 · g_2 < 0.
        title: what the picture shows.
    """
    g1, g2 = gradients.double().numpy()
    v1, v2 = g1 - (g1 @ g2) / (g2 @ g2) * g2, g2 - (g1 @ g2) / (g1 @ g1) * g1
    before, cut, after = panels(figure, 1, 3)[0]
    tips = np.stack([g1, g2, v1, v2, g1 + g2, v1 + v2, 0 * g1])
    low, high = tips.min(0) - np.array([0.5, 0.15]), tips.max(0) + np.array([0.75, 0.4])
    titles = ("The sum leaves the wedge", "Cut at right angles", "Add what is left")
    for number, (axes, words) in enumerate(zip((before, cut, after), titles, strict=True), 1):
        axes.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), aspect="equal")
        axes.set_axis_off()
        axes.set_title(f"{number}. {words}")
        _wedge(axes, g1, g2, 3 * float(np.abs(tips).max()))
    for axes, width in ((before, 3.5), (cut, 1.8), (after, 1.0)):
        _vector(axes, g1, "g₁", BLUE, width)
        _vector(axes, g2, "g₂", VERMILION, width)
    _parallelogram(before, g1, g2)
    _vector(before, g1 + g2, "sum", BLACK, 3.5)
    for g, v, along, colour in ((g1, v1, g2, BLUE), (g2, v2, g1, VERMILION)):
        cut.plot(*np.stack([g, v]).T, color=colour, linestyle=":", linewidth=2.5)
        _right_angle(cut, v, along)
    for axes in (cut, after):
        _vector(axes, v1, "v₁", BLUE, 3.5)
        _vector(axes, v2, "v₂", VERMILION, 3.5, shift=(-0.27, -0.45))
    _parallelogram(after, v1, v2)
    _vector(after, v1 + v2, "PCGrad", SKY, 3.5)
    figure.subplots_adjust(0.01, 0.0, 0.99, 0.79, wspace=0.06)
    figure.suptitle(title, x=0.012, ha="left", fontweight="bold", fontsize=13)
    return title


def _wedge(axes: Axes, g1: np.ndarray, g2: np.ndarray, reach: float) -> None:
    a, b = (math.degrees(math.atan2(*g[::-1])) for g in (g1, g2))
    low, high = max(a, b) - 90, min(a, b) + 90
    axes.add_patch(Wedge((0, 0), reach, low, high, color=GREEN, alpha=0.2, linewidth=0))
    x, y = axes.get_xlim()[1], axes.get_ylim()[1]
    axes.text(x - 0.08, 0.62 * y, "helps\nboth", color=GREEN, ha="right", va="center", fontsize=11)


def _vector(
    axes: Axes,
    tip: np.ndarray,
    name: str,
    colour: str,
    width: float,
    *,
    shift: tuple[float, float] | None = None,
) -> None:
    """Draw an arrow from the origin, with its name beyond the tip or ``shift`` away from it."""
    head = {"arrowstyle": "-|>", "color": colour, "linewidth": width, "mutation_scale": 18,
            "shrinkA": 0, "shrinkB": 0}  # fmt: skip
    axes.annotate("", tuple(tip), (0, 0), arrowprops=head)
    place = tip + (0.24 * tip / np.linalg.norm(tip) if shift is None else shift)
    axes.text(*place, name, color=colour, fontweight="bold", fontsize=13, ha="center", va="center")


def _parallelogram(axes: Axes, a: np.ndarray, b: np.ndarray) -> None:
    for side in (a, b):
        axes.plot(*np.stack([side, a + b]).T, color=GREY, linestyle="--", linewidth=1)


def _right_angle(axes: Axes, corner: np.ndarray, along: np.ndarray) -> None:
    """Mark that a vector that ends in the corner is at right angles to another."""
    back = -0.17 * corner / np.linalg.norm(corner)
    side = -0.17 * along / np.linalg.norm(along)
    points = [corner + back, corner + back + side, corner + side]
    axes.add_patch(Polygon(points, closed=False, fill=False, edgecolor=BLACK, linewidth=1.2))


def draw_conflicts(figure: Figure, frame: pd.DataFrame, *, title: str) -> str:
    """Draw the cosine of two gradients over training, a panel a seed, a dot a batch.

    Small dots are the smaller batches, rings the larger ones. The shaded part is where the sum of
    the two gradients hurts a task: the cosine lies below minus the shorter length over the longer.

    Args:
        frame: columns ``seed``, ``step``, ``scenes``, ``cosine`` and ``limit``, one row a batch, as
            `experiments.conflicts.watch_conflicts` gives them; two sizes of batches.
        title: what the picture shows.
    """
    seeds, (small, large) = list(dict.fromkeys(frame["seed"])), sorted(set(frame["scenes"]))
    row = panels(figure, 1, len(seeds))[0]
    dots = {"color": BLUE, "marker": "o", "ms": 3.5, "alpha": 0.55, "linestyle": "none"}
    rings = {"color": BLACK, "marker": "o", "ms": 7, "mfc": "none", "linestyle": "none"}
    for axes, seed in zip(row, seeds, strict=True):
        rows = frame[frame["seed"] == seed]
        limit = rows.groupby("step")["limit"].median()
        axes.fill_between(limit.index, -1, limit, color=VERMILION, alpha=0.15, linewidth=0)
        axes.axhline(0, color=BLACK, linewidth=1)
        for size, style in ((small, dots), (large, rings)):
            of_size = rows[rows["scenes"] == size]
            axes.plot(of_size["step"], of_size["cosine"], label=f"{size} scenes", **style)
        axes.set(xlim=(0, 1.03 * frame["step"].max()), ylim=(-1, 1), xlabel="training step")
        axes.set_title(f"seed {seed}", fontsize=11)
        axes.tick_params(labelleft=axes is row[0])
    row[0].set_ylabel("cosine of the two gradients")
    annotate(row[0], (0, -1), "here the sum hurts a task", dx=6, dy=5, color=VERMILION, fontsize=10)
    row[-1].legend(loc="lower right", fontsize=10, handletextpad=0.1)
    figure.subplots_adjust(0.085, 0.14, 0.99, 0.79, wspace=0.07)
    figure.suptitle(title, x=0.012, ha="left", fontweight="bold", fontsize=13)
    return title


def draw_arrivals(
    figure: Figure, frame: pd.DataFrame, methods: Sequence[str], *, steps: int, title: str
) -> str:
    """Draw after how many steps each racer arrives, by learning rate, a panel a method.

    Args:
        frame: columns ``learning_rate``, ``method``, ``start``, ``copy`` and ``arrival``, infinite
            for those that have not arrived after all steps; they lie in the band at the top.
        methods: the panels.
        steps: that were made.
        title: what the picture shows.
    """
    row = panels(figure, 1, len(methods))[0]
    rates = sorted(frame["learning_rate"].unique())
    late = 2.2 * steps
    for axes, method in zip(row, methods, strict=True):
        colour, mark = METHOD_STYLES[method]
        rows = frame[frame["method"] == method]
        places = rows["learning_rate"].map(rates.index) + 0.12 * (rows["start"] - 3)
        axes.axhspan(steps, 4.5 * steps, color=GREY, alpha=0.15, linewidth=0)
        axes.plot(places, rows["arrival"].clip(upper=late), mark, color=colour, alpha=0.5, ms=5)
        axes.set(yscale="log", ylim=(20, 4.5 * steps), xlim=(-0.5, len(rates) - 0.5))
        axes.set_xticks(range(len(rates)), [f"{rate:g}" for rate in rates], fontsize=9)
        axes.set_xlabel("learning rate of Adam")
        axes.grid(axis="x", visible=False)
        axes.set_title(method, color=colour)
        axes.tick_params(labelleft=axes is row[0])
    first = frame[(frame["method"] == methods[0]) & (frame["learning_rate"] == rates[0])]
    for start, arrival in first.groupby("start")["arrival"].max().clip(upper=late).items():
        annotate(row[0], (0.12 * (start - 3), arrival), f"{start}", dx=-3, dy=6, fontsize=9)
    row[0].set_ylabel("steps until it arrives")
    annotate(row[0], (0.4, late), f"not in {steps:,} steps", dx=5, dy=0, color=GREY, fontsize=9)
    figure.subplots_adjust(0.095, 0.14, 0.99, 0.79, wspace=0.07)
    figure.suptitle(title, x=0.012, ha="left", fontweight="bold", fontsize=13)
    return title
