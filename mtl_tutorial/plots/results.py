"""Pictures of the results of `train`, and the names that methods and data sets have there."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from itertools import cycle

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator, PercentFormatter
from scipy import stats

from mtl_tutorial.plots.style import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    SKY,
    VERMILION,
    annotate,
    figure_legend,
    panels,
    percent_axis,
    task_style,
)
from mtl_tutorial.tasks import Task

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
SMALL = ("single_task_small", "equal")
ALONE = {"single_task": "single-task networks", "single_task_small": "small single-task networks"}
METRICS = {"box": "mean IoU", "mask": "pixel IoU"}  # of the other tasks it is the accuracy
ARCHITECTURE_NAMES = {"cross_stitch": "cross-stitch", "mtan": "MTAN"}


def method_label(method: str, architecture: str) -> str:
    """What a method is called in pictures; hard sharing goes without saying."""
    if architecture in ALONE:
        return ALONE[architecture]
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

    Square: equal weights; star: tuned weighted sum; diamonds: single-task networks, thin where they
    are small. The legend names the rest.

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
            elif key[1] == "equal" and key != SMALL:
                axes.axvspan(row["low"], row["high"], color=GREY, alpha=0.22, linewidth=0)
        for place, (key, row) in enumerate(own.items()):
            mark, size, ink = marks.get(key, ("o", 8.0, colour))
            fill = ink if key in marks or (*key, task) in notable else "white"
            if row["mean"] < left:
                _say_beyond(axes, left, place, row["mean"], ink)
                continue
            axes.hlines(place, max(row["low"], left), row["high"], color=ink, linewidth=2)
            axes.plot(row["mean"], place, mark, color=ink, markersize=size, markerfacecolor=fill)
        axes.set(xlim=(left, right), ylim=(len(keys) - 0.4, -0.6), yticks=range(len(keys)))
        labels = [method_label(m, a if a in ALONE else "hard_sharing") for a, m in keys]
        axes.set_yticklabels(labels if task == tasks[0] else [])
        axes.grid(axis="y", visible=False)
        axes.tick_params(axis="y", length=0)
        _percent_below(axes, right - left, ticks=4)
        axes.set_xlabel(f"test {METRICS.get(task, 'accuracy')}")
        axes.set_title(task, color=colour)
    head = 0.7 / figure.get_figheight()
    figure.subplots_adjust(0.215, 0.8 / figure.get_figheight(), 0.98, 1 - head, wspace=0.1)
    signs = {
        "interval of equal weights": Patch(color=GREY, alpha=0.22, linewidth=0),
        "mean of single-task networks": Line2D([], [], color=GREY, linestyle=":", linewidth=1.6),
        "filled: differs from equal weights": Line2D(
            [], [], color=GREY, linestyle="", marker="o", markersize=8
        ),
    }
    figure_legend(figure, signs)
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


def _percent_below(axes: Axes, width: float, ticks: int) -> None:
    """Label the x axis in per cent, with so many ticks at most and decimals as it is wide."""
    axes.xaxis.set_major_locator(MaxNLocator(ticks, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0 if width > 0.03 else 1))


def _say_beyond(axes: Axes, left: float, place: float, value: float, colour: str) -> None:
    """Write a value that lies beyond the left end of the axis."""
    annotate(axes, (left, place), f"◂ {100 * value:.1f}", dx=4, dy=0, va="center", color=colour,
             fontsize=10)  # fmt: skip


def _marks(keys: Iterable[tuple[str, str]]) -> dict[tuple[str, str], tuple[str, float, str]]:
    """Marker, size and colour of the baselines that are there, in the order of their rows."""
    marks: dict[tuple[str, str], tuple[str, float, str]] = {}
    for method, mark in (("equal", ("s", 8.0, BLACK)), ("fixed", ("*", 15.0, BLACK))):
        marks |= {key: mark for key in keys if key[1] == method and key[0] not in ALONE}
    alone = {SINGLE: ("D", 8.0, BLACK), SMALL: ("d", 8.0, BLACK)}
    return {key: mark for key, mark in alone.items() if key in keys} | marks


def draw_differences(
    figure: Figure,
    table: pd.DataFrame,
    found: Container[str] | None = None,
    *,
    margin: float | None = None,
    title: str,
) -> str:
    """Draw rows of a table minus their reference: a dot a seed, the mean with its 95 % interval.

    Args:
        table: differences as `experiments.inference.differences` gives them; the highest mean comes
            first.
        found: rows whose mean is filled: they are told apart. None: nothing is tested yet, and all
            are filled.
        margin: drawn as a band: two methods are equivalent where the 90 % interval, drawn thicker,
            lies within it.
        title: what the picture shows.
    """
    axes = panels(figure)[0, 0]
    rows = table.mean().sort_values(ascending=False).index
    if margin is not None:
        axes.axvspan(-margin, margin, color=GREY, alpha=0.18, linewidth=0)
    axes.axvline(0, color=BLACK, linewidth=1)
    for place, name in enumerate(rows):
        values = table[name].dropna()
        colour = _colour_of(name)
        lift = place - 0.22 + 0.1 * (np.arange(len(values)) % 2)  # equal values stay two dots
        axes.plot(values, lift, "o", color=colour, alpha=0.35, markersize=4, markeredgewidth=0)
        for level, width in ((0.95, 2),) if margin is None else ((0.95, 2), (0.9, 5)):
            half = stats.t.ppf((1 + level) / 2, len(values) - 1) * values.sem()
            ends = values.mean() - half, values.mean() + half
            axes.hlines(place + 0.12, *ends, color=colour, linewidth=width)
        fill = colour if found is None or name in found else "white"
        axes.plot(values.mean(), place + 0.12, "o", color=colour, ms=9, markerfacecolor=fill)
    axes.set_yticks(range(len(rows)), [ALONE.get(n, METHOD_NAMES.get(n, n)) for n in rows])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="y", visible=False)
    axes.xaxis.set_major_formatter(lambda value, _: f"{100 * value:+.3g}" if value else "0")
    axes.set_xlabel("points of test accuracy, mean of the tasks, minus equal weights of that seed")
    axes.set_title(title)
    height = figure.get_figheight()
    figure_legend(figure, _signs_of_differences(rows, found, margin))
    longest = max(len(label.get_text()) for label in figure.axes[0].get_yticklabels())
    left = 0.09 if longest < 8 else 0.215 if longest < 24 else 0.265
    figure.subplots_adjust(left, 0.85 / height, 0.98, 1 - 0.42 / height)
    return title


def _colour_of(name: str) -> str:
    return BLACK if name in ALONE or name == "fixed" else BLUE


def _signs_of_differences(
    rows: Iterable[str], found: Container[str] | None, margin: float | None
) -> dict[str, Artist]:
    """The legend of `draw_differences`, in the colour of most of its rows."""
    colour = BLUE if BLUE in map(_colour_of, rows) else BLACK
    dot = {"color": colour, "linestyle": "", "marker": "o", "markersize": 9}
    if found is None:
        signs = {"mean of the seeds": Line2D([], [], **dot)}
    else:
        signs = {
            "told apart": Line2D([], [], **dot),
            "not told apart": Line2D([], [], **dot, markerfacecolor="white"),
        }
    signs["95 %"] = Line2D([], [], color=colour, linewidth=2)
    if margin is not None:
        signs["90 %"] = Line2D([], [], color=colour, linewidth=5)
        signs[f"± {100 * margin:g}"] = Patch(color=GREY, alpha=0.18, linewidth=0)
    return signs


def draw_shares(
    figure: Figure, table: pd.DataFrame, *, x: str, y: str, level: float | None = None, title: str
) -> str:
    """Draw shares against a number, a line a column, with its name at the line's end.

    Args:
        table: shares from 0 to 1, by the number.
        x, y: what the axes show.
        level: drawn as a dotted line.
        title: what the picture shows.
    """
    axes = panels(figure)[0, 0]
    percent_axis(axes)
    colours = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, BLACK)
    order = sorted(table, key=lambda name: tuple(table[name])[::-1])  # ties: by what came before
    figure.subplots_adjust(0.09, 0.5 / figure.get_figheight(), 0.73, 0.88)
    line = 0.19 / (axes.get_position().height * figure.get_figheight())  # of text
    heights = _apart(table.iloc[-1][order].to_numpy(), line)
    for i, (name, place) in enumerate(zip(order, heights, strict=True)):
        style = {"color": colours[i % len(colours)], "linestyle": ("-", "--", "-.")[i % 3]}
        axes.plot(table.index, table[name], marker="o", markersize=5, clip_on=False, **style)
        last = (table.index[-1], table[name].iloc[-1])
        axes.annotate("", last, (1.04, place), textcoords="axes fraction", zorder=0,
                      arrowprops={"arrowstyle": "-", "color": GREY, "alpha": 0.4})  # fmt: skip
        axes.annotate(
            ALONE.get(name, METHOD_NAMES.get(name, name)),
            (1.045, place),
            xycoords="axes fraction",
            va="center",
            color=style["color"],
        )
    if level is not None:
        axes.axhline(level, color=GREY, linestyle=":", linewidth=1.6)
        annotate(axes, (table.index[0], level), f"{level:.0%}", dx=0, dy=4, color=GREY)
    axes.set(xlabel=x, ylabel=y, title=title)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    return title


def _apart(values: np.ndarray, least: float) -> np.ndarray:
    """Move rising values so that neighbours are so far apart at least, and none is above 1."""
    places = np.array(values, dtype=float)
    for i in range(1, len(places)):
        places[i] = max(places[i], places[i - 1] + least)
    below = 1 + least
    for i in reversed(range(len(places))):
        below = places[i] = min(places[i], below - least)
    return places


def draw_steps(figure: Figure, frames: Mapping[str, pd.DataFrame], *, title: str) -> str:
    """Draw methods' metric against their steps, rate × sum of the weights, a panel a frame.

    Args:
        frames: columns ``method``, ``step`` and ``value``, by the panel's title.
        title: what the picture shows.
    """
    for axes, (name, frame) in zip(panels(figure, 1, len(frames))[0], frames.items(), strict=True):
        frame = frame.sort_values("value")
        low, high = frame["value"].min(), frame["value"].max()
        height = (high - low) or 0.01
        axes.plot(frame["step"], frame["value"], "o", color=BLUE, markersize=8)
        axes.set_ylim(low - 0.06 * height, high + 0.06 * height)
        heights = _apart(0.06 / 1.12 + (frame["value"].to_numpy() - low) / height / 1.12, 0.07)
        for row, place in zip(frame.itertuples(), heights, strict=True):
            end = (1.02, place)
            axes.annotate("", (row.step, row.value), end, textcoords="axes fraction", zorder=0,
                          arrowprops={"arrowstyle": "-", "color": GREY, "alpha": 0.4})  # fmt: skip
            label = METHOD_NAMES.get(row.method, row.method)
            axes.annotate(label, end, xycoords="axes fraction", va="center", fontsize=9)
        axes.set(xlabel="rate × sum of the loss weights", title=name)
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=1))
    figure.axes[0].set_ylabel("mean of both tasks")
    figure.suptitle(title, x=0.012, ha="left", fontweight="bold", fontsize=13)
    height = figure.get_figheight()
    figure.subplots_adjust(0.1, 0.5 / height, 0.835, 1 - 0.75 / height, wspace=0.95)
    return title


def draw_tuning(figure: Figure, frame: pd.DataFrame, *, title: str) -> str:
    """Draw what the learning rate does to each method, and how far apart the methods are.

    Args:
        frame: columns ``label`` (of the method), ``learning_rate`` and ``value``, the validation
            metric; one row each, the highest where several settings have that rate.
        title: what the picture shows.
    """
    axes = panels(figure)[0, 0]
    best = frame.groupby("label")["value"].max().sort_values(ascending=False)
    left, right = _limits(pd.DataFrame({name: frame["value"] for name in ("mean", "low", "high")}))
    axes.axvspan(best.min(), best.max(), color=GREY, alpha=0.22, linewidth=0)
    rates = sorted(frame["learning_rate"].unique())
    colours = (SKY, BLUE, BLACK, GREEN, PURPLE, VERMILION)
    marks = dict(zip(rates, cycle(zip("ov^sDP", colours, strict=True))))
    for place, label in enumerate(best.index):
        rows = frame[frame["label"] == label]
        start = max(rows["value"].min(), left)
        axes.hlines(place, start, rows["value"].max(), color=GREY, linewidth=1.5)
        for rate, value in zip(rows["learning_rate"], rows["value"], strict=True):
            axes.plot(value, place, marks[rate][0], color=marks[rate][1], markersize=8)
        beyond = rows[rows["value"] < left]
        if len(beyond):  # on its own line, which begins behind the number
            colour = marks[beyond["learning_rate"].iloc[0]][1] if len(beyond) == 1 else BLACK
            words = ", ".join(f"{100 * value:.1f}" for value in beyond["value"])
            paper = {"facecolor": "white", "linewidth": 0, "pad": 1}
            annotate(axes, (left, place), f"◂ {words}", dx=4, dy=0, va="center", color=colour,
                     fontsize=10, bbox=paper)  # fmt: skip
    axes.set(xlim=(left, right), ylim=(len(best) - 0.4, -0.6))
    axes.set(xlabel="validation metric, mean of the tasks")
    axes.set_yticks(range(len(best)), best.index)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="y", visible=False)
    _percent_below(axes, right - left, ticks=8)
    signs = {
        f"rate {rate:g}": Line2D([], [], linestyle="", marker=mark, color=colour, markersize=8)
        for rate, (mark, colour) in marks.items()
    }
    figure_legend(figure, signs)
    axes.set_title(title)
    figure.subplots_adjust(0.215, 0.8 / figure.get_figheight(), 0.98, 0.9)
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
    annotate(axes, (-0.5, 0), "the mean of all rows", dx=5, dy=5)
    handles = [
        Line2D([], [], linestyle="", marker="o", color=task_style(task.name)["color"])
        for task in tasks
    ]
    axes.legend(handles, [task.name for task in tasks], loc="lower right", ncols=len(tasks))
    axes.set_title(title)
    figure.subplots_adjust(0.09, 0.16, 0.98, 0.9)
    return title
