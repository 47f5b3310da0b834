"""Pictures of mixtures of experts: errors by step, and what gates choose."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import NullLocator

from mtl_tutorial.plots.style import (
    GREEN,
    ORANGE,
    PURPLE,
    SKY,
    draw_band,
    figure_legend,
    panels,
    task_style,
)

EXPERTS = (GREEN, ORANGE, PURPLE, SKY)


def draw_errors(
    figure: Figure, frame: pd.DataFrame, styles: Mapping[str, tuple[str, str]], *, title: str
) -> str:
    """Draw a panel a correlation: the error of each network by step, the mean and all seeds.

    Args:
        frame: columns ``correlation``, ``network``, ``seed``, ``step`` and ``error``.
        styles: colour and line of each network, by its name.
        title: what the picture shows.
    """
    correlations = sorted(set(frame["correlation"]))
    row = panels(figure, 1, len(correlations))[0]
    top = 1.05 * frame["error"].max()
    for axes, correlation in zip(row, correlations, strict=True):
        rows = frame[frame["correlation"] == correlation]
        for network, (colour, line) in styles.items():
            part = rows[rows["network"] == network]
            draw_band(axes, part, "step", "error", color=colour, linestyle=line, marker="o")
        steps = sorted(set(rows["step"]))
        axes.set(xscale="log", xlim=(steps[0] / 1.1, steps[-1] * 1.1), ylim=(0, top))
        axes.set_xticks(steps, [str(step) for step in steps])
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set(xlabel="training steps")
        axes.set_title(f"teachers at cosine {correlation:g}", fontweight="normal")
        if axes is row[0]:
            axes.set_ylabel("error, share of the variance")
        else:
            axes.set_yticklabels([])
    height = figure.get_figheight()
    figure.subplots_adjust(0.075, 0.55 / height, 0.98, 1 - 1.05 / height, wspace=0.08)
    lines = {
        name: Line2D([], [], color=colour, linestyle=line, linewidth=2)
        for name, (colour, line) in styles.items()
    }
    place = {"loc": "upper left", "bbox_to_anchor": (0.005, 1 - 0.3 / height), "handlelength": 2.6}
    figure_legend(figure, lines, **place)
    figure.suptitle(title, x=0.012, ha="left", fontweight="bold", fontsize=13)
    return title


def draw_choices(figure: Figure, frame: pd.DataFrame, *, panel: str, row: str, title: str) -> str:
    """Draw how much of each expert is used, as bars that are cut in parts.

    Args:
        frame: columns ``expert`` (1 to 4), ``share``, and those named by ``panel`` and ``row``.
            A row or panel that is named as a task has its colour.
        panel: the column of the panels, side by side.
        row: the column of the bars in a panel.
        title: what the picture shows.

    Raises:
        ValueError: where an expert has no colour.
    """
    if unknown := sorted(set(frame["expert"]) - set(range(1, len(EXPERTS) + 1))):
        raise ValueError(f"experts must be from 1 to {len(EXPERTS)}, got {unknown}")
    places, bars = (list(dict.fromkeys(frame[name])) for name in (panel, row))
    line = panels(figure, 1, len(places))[0]
    for axes, place in zip(line, places, strict=True):
        part = frame[frame[panel] == place]
        shares = part.pivot_table(index=row, columns="expert", values="share").loc[bars]
        left = pd.Series(0.0, index=shares.index)
        for expert in shares:
            widths = shares[expert]
            axes.barh(range(len(bars)), widths, left=left, color=EXPERTS[expert - 1], height=0.72)
            for at, (start, width) in enumerate(zip(left, widths, strict=True)):
                if width >= 0.12:
                    axes.text(start + width / 2, at, f"{width:.2f}", ha="center", va="center")
            left = left + widths
        axes.set(
            xlim=(0, 1),
            ylim=(len(bars) - 0.5, -0.5),
            xticks=[0, 0.5, 1],
            xticklabels=["0", "0.5", "1"],
        )
        axes.set_yticks(range(len(bars)), [str(bar) for bar in bars] if axes is line[0] else [])
        axes.tick_params(axis="y", length=0)
        axes.grid(visible=False)
        axes.set_xlabel("mean weight g(x)")
        axes.set_title(str(place), fontweight="normal")
    for label, bar in zip(line[0].get_yticklabels(), bars, strict=True):
        if bar in ("digit", "box"):
            label.set_color(task_style(str(bar))["color"])
    height = figure.get_figheight()
    figure.subplots_adjust(0.075, 0.55 / height, 0.98, 1 - 1.05 / height, wspace=0.1)
    keys = {f"expert {n}": Patch(color=EXPERTS[n - 1]) for n in sorted(set(frame["expert"]))}
    place_of = {"loc": "upper right", "bbox_to_anchor": (0.985, 1 - 0.3 / height)}
    figure_legend(figure, keys, **place_of)
    figure.suptitle(title, x=0.012, ha="left", fontweight="bold", fontsize=13)
    return title
