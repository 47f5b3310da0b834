"""Pictures of a network that is asked in words: its row of tokens, and how it answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter
from torch import Tensor

from mtl_tutorial.plots.style import BLACK, GREY, VERMILION, draw_band, panels, percent_axis


def draw_row(
    figure: Figure, image: Tensor, sound: Tensor, words: Sequence[str], *, title: str
) -> str:
    """Draw what stands in a row of tokens: patches, columns and words, cut apart.

    Args:
        image: shape ``(16, 16)``, in patches of 4 x 4.
        sound: shape ``(32, 8)``, a column a token.
        words: of the question.
        title: what the picture shows.
    """
    left, middle, right = panels(figure, 1, 3)[0]
    for axes, values, colours, ends, how in (
        (left, 1 - image.numpy(), "gray", (0, 1), {}),
        (middle, sound.numpy(), "Greys", (-1, 1.2), {"origin": "lower", "aspect": "auto"}),
    ):
        axes.imshow(values, cmap=colours, vmin=ends[0], vmax=ends[1], **how)
        axes.grid(False)
        axes.set(xticks=[], yticks=[])
    for k in range(1, 4):
        left.axhline(4 * k - 0.5, color=VERMILION, linewidth=1.5)
        left.axvline(4 * k - 0.5, color=VERMILION, linewidth=1.5)
    for k in range(1, sound.shape[1]):
        middle.axvline(k - 0.5, color=VERMILION, linewidth=1.5)
    middle.set(xlabel="time", ylabel="pitch")
    for place, word in enumerate(words):
        box = {"boxstyle": "round,pad=0.35", "facecolor": "white", "edgecolor": VERMILION}
        right.text(0.5, place, word, ha="center", va="center", bbox=box, fontsize=12)
    right.set(xlim=(0, 1), ylim=(len(words) - 0.4, -0.6), xticks=[], yticks=[])
    right.grid(False)
    for side in right.spines.values():
        side.set_visible(False)
    names = (f"{16} patches are seen", f"{sound.shape[1]} columns are heard", "words ask")
    for axes, name in zip((left, middle, right), names, strict=True):
        axes.set_title(name)
    figure.subplots_adjust(0.02, 0.09, 0.98, 0.8, wspace=0.16)
    _headline(figure, title)
    return title


def draw_growth(
    figure: Figure,
    frame: pd.DataFrame,
    colours: Mapping[str, str],
    *,
    title: str,
    ylabel: str = "right answers, test",
    chance: Mapping[str, float] | float | None = None,
) -> str:
    """Draw how lines grow with the steps, mean and range over seeds, in panels side by side.

    Args:
        frame: columns ``panel``, ``line``, ``seed``, ``step`` and ``value``, from 0 to 1.
        colours: by line; its name stands at its end in the last panel that has it.
        title: what the picture shows.
        ylabel: what the values are.
        chance: that of a guess, as a dotted line; in all panels, or by panel.
    """
    names = list(dict.fromkeys(frame["panel"]))
    row = panels(figure, 1, len(names))[0]
    for axes, name in zip(row, names, strict=True):
        rows = frame[frame["panel"] == name]
        ends = []
        for line, colour in colours.items():
            chosen = rows[rows["line"] == line]
            if len(chosen):
                mean = draw_band(axes, chosen, "step", color=colour, marker="o", markersize=4)
                ends.append((mean.index[-1], mean.iloc[-1], line))
        percent_axis(axes)
        axes.set_xscale("log")
        steps = sorted(rows["step"].unique())
        axes.set_xticks(
            steps, [f"{step / 1000:g}k" if step >= 1000 else str(step) for step in steps]
        )
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_xlim(steps[0] / 1.2, steps[-1] * 1.2)
        axes.tick_params(axis="x", which="minor", length=0)
        axes.set(xlabel="training steps", title=name)
        level = chance.get(name) if isinstance(chance, Mapping) else chance
        if level is not None:
            axes.axhline(level, color=GREY, linestyle=":", linewidth=1.4)
        if axes is not row[0]:
            axes.set_yticklabels([])
        else:
            axes.set_ylabel(ylabel)
        if axes is row[-1]:
            _name_ends(axes, ends, colours)
    room = 0.012 * max(map(len, colours)) * 9 / figure.get_figwidth()
    figure.subplots_adjust(0.085, 0.16, 0.985 - room, 0.79, wspace=0.1)
    _headline(figure, title)
    return title


def _name_ends(axes: Axes, ends: Sequence[tuple], colours: Mapping[str, str]) -> None:
    """Write names beside the ends of their lines, one line of text apart at least."""
    last = -1.0
    for x, y, name in sorted(ends, key=lambda end: end[1]):
        height = max(y, last + 0.085)
        last = height
        style: dict[str, Any] = {"color": colours[name], "fontweight": "bold", "va": "center"}
        axes.annotate(name, (x, height), xytext=(8, 0), textcoords="offset points",
                      annotation_clip=False, **style)  # fmt: skip


def draw_answers(
    figure: Figure,
    frame: pd.DataFrame,
    colours: Mapping[str, str],
    *,
    title: str,
    xlabel: str = "right answers, test",
    chance: float | None = 0.5,
) -> str:
    """Draw a row a question: every seed as a dot, the mean as a bar.

    Args:
        frame: columns ``row``, ``group``, ``seed`` and ``value``, from 0 to 1.
        colours: by group; a group's rows have its colour.
        title: what the picture shows.
        xlabel: what the values are.
        chance: that of a guess, as a dotted line.
    """
    axes = panels(figure)[0, 0]
    rows = list(dict.fromkeys(frame["row"]))
    if chance is not None:
        axes.axvline(chance, color=GREY, linestyle=":", linewidth=1.4)
    shades = []
    for place, row in enumerate(rows):
        chosen = frame[frame["row"] == row]
        colour = colours[chosen["group"].iloc[0]]
        values = chosen["value"].to_numpy()
        spread = np.linspace(-0.14, 0.14, len(values)) if len(values) > 1 else np.zeros(1)
        axes.plot(values, place + spread, "o", color=colour, alpha=0.7, clip_on=False)
        axes.vlines(values.mean(), place - 0.3, place + 0.3, color=colour, linewidth=3)
        axes.text(1.11, place, f"{values.mean():.2f}", ha="right", va="center", color=colour)
        shades.append(colour)
    axes.set(xlim=(0, 1.12), ylim=(len(rows) - 0.5, -0.5), xlabel=xlabel)
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1])
    axes.set_yticks(range(len(rows)), rows)
    for label, colour in zip(axes.get_yticklabels(), shades, strict=True):
        label.set_color(colour)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="y", visible=False)
    height = figure.get_figheight()
    left = 0.012 * max(map(len, rows)) * 8 / figure.get_figwidth()
    figure.subplots_adjust(left, 0.52 / height, 0.985, 1 - 0.5 / height)
    _headline(figure, title)
    return title


def draw_angles(figure: Figure, parts: Mapping[str, pd.DataFrame], *, title: str) -> str:
    """Draw tables of cosines side by side, red below 0 and blue above.

    Args:
        parts: square tables of cosines from -1 to 1, by what they are of.
        title: what the picture shows.
    """
    row = panels(figure, 1, len(parts))[0]
    for axes, (name, table) in zip(row, parts.items(), strict=True):
        values = table.to_numpy()
        axes.imshow(values, cmap="RdBu", vmin=-1.4, vmax=1.4)
        axes.grid(False)
        axes.set_xticks(range(len(table)), table.columns)
        axes.set_yticks(range(len(table)), table.index if axes is row[0] else [])
        axes.tick_params(length=0)
        for i, j in np.ndindex(*values.shape):
            colour = "white" if abs(values[i, j]) > 0.85 else BLACK
            middle = {"ha": "center", "va": "center", "color": colour}
            axes.text(j, i, f"{values[i, j]:+.2f}", fontsize=9, **middle)
        axes.set_title(name)
    figure.subplots_adjust(0.075, 0.1, 0.99, 0.8, wspace=0.08)
    _headline(figure, title)
    return title


def _headline(figure: Figure, title: str) -> None:
    figure.suptitle(title, x=0.012, ha="left", fontweight="bold", fontsize=13)
