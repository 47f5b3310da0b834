"""The look that all pictures share: colours, a style for each task, panels, bands, labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

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
        axes.relim()  # what is gone leaves no room behind
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


def percent_axis(axes: Axes) -> None:
    """Label the y axis in per cent, from 0 to 100."""
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.set_ylim(0, 1)


def figure_legend(figure: Figure, handles: Mapping[str, Artist], **place: Any) -> None:
    """Give a figure one legend for all its panels, in a row, in place of the one it had.

    Args:
        handles: what stands for each label.
        place: as for matplotlib's ``figure.legend``; left out, the lower right corner.
    """
    place = place or {"loc": "lower right", "borderpad": 0, "borderaxespad": 0.4}
    for legend in list(figure.legends):
        legend.remove()
    figure.legend(list(handles.values()), list(handles), ncols=len(handles), **place)


def annotate(axes: Axes, point: tuple, text: str, *, dx: float = 5, dy: float = 7, **style) -> None:
    """Write beside a point, ``dx`` and ``dy`` points of print away from it."""
    axes.annotate(text, point, xytext=(dx, dy), textcoords="offset points", **style)


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
