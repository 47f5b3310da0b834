"""Pictures of what training gave: curves, trade-offs, comparisons over seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from mtl_tutorial.plots.style import (
    BLACK,
    GREEN,
    GREY,
    TASK_STYLES,
    annotate,
    draw_band,
    figure_legend,
    label_ends,
    panels,
    task_style,
)
from mtl_tutorial.tasks import Task


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


def draw_schedules(
    figure: Figure,
    frame: pd.DataFrame,
    singles: pd.DataFrame | None,
    tasks: Sequence[Task],
    *,
    fixed: Sequence[str],
    title: str,
    by: str = "steps",
    panel: str = "After {:g} steps",
    near: bool = False,
) -> str:
    """Draw what two tasks reach with fixed loss weights and with others, a panel a setting.

    Args:
        frame: columns ``weight`` (a label), the one named by ``by``, ``seed``, ``task`` and
            ``value`` (the metric).
        singles: networks for one task alone, likewise but for the weight, in the settings in which
            there are any.
        tasks: two tasks, across and along.
        fixed: labels of the weights that are joined by a line; the others are diamonds.
        title: what the picture shows.
        by: the column of the setting, such as the length of the run.
        panel: what stands above a panel, with a place for the setting.
        near: whether the axes end near the points, the same in all panels.
    """
    across, along = (task.name for task in tasks)
    settings = sorted(frame[by].unique())
    ends = {across: (0.0, 1.0), along: (0.3, 1.0)}
    if near:
        for name, values in frame.groupby("task")["value"]:
            low, high = 10 * values.min() - 0.5, 10 * values.max() + 0.5
            ends[name] = (max(0.0, np.floor(low) / 10), min(1.0, np.ceil(high) / 10))
    for axes, setting in zip(panels(figure, 1, len(settings))[0], settings, strict=True):
        seeds = frame[frame[by] == setting].pivot_table(
            index=["weight", "seed"], columns="task", values="value"
        )
        means, others = seeds.groupby("weight").mean(), set(frame["weight"]) - set(fixed)
        for labels, colour, line in ((fixed, BLACK, "o-"), (sorted(others), GREEN, "D")):
            chosen = seeds[seeds.index.get_level_values("weight").isin(labels)]
            axes.plot(chosen[across], chosen[along], line[0], color=colour, alpha=0.35)
            points = means.loc[list(labels)]
            axes.plot(points[across], points[along], line, color=colour, markersize=7)
            for label, point in points.iterrows():
                words = {"color": colour, "fontweight": "bold", "ha": "right"}
                dx, dy = (4, 13) if colour == GREEN else (-7, -15)
                if near and colour == GREEN:  # the line falls: the room is on its right
                    dx, dy, words["ha"] = 10, 18, "left"
                annotate(axes, (point[across], point[along]), label, dx=dx, dy=dy, **words)
        if singles is not None and (singles[by] == setting).any():
            alone = singles[singles[by] == setting].groupby("task")["value"].mean()
            corner = (alone[across], alone[along])
            axes.plot(*corner, "*", color=GREY, markersize=16, clip_on=False)
            annotate(axes, corner, "two networks", color=GREY, ha="center", dx=0, dy=12)
        axes.set(xlim=ends[across], ylim=ends[along])
        axes.set_xlabel(f"{across} {tasks[0].metric_name}")
        axes.set_title(panel.format(setting))
    figure.axes[0].set_ylabel(f"{along} {tasks[1].metric_name}")
    figure.subplots_adjust(0.075, 0.14, 0.97, 0.8, wspace=0.16)
    figure.suptitle(title, x=0.012, ha="left", fontweight="bold", fontsize=13)
    return title


def draw_runs(
    figure: Figure,
    frame: pd.DataFrame,
    quantities: Mapping[str, tuple[str, tuple[float, float]]],
    settings: Sequence[str],
    *,
    x: str,
    by: str,
    title: str,
    levels: Mapping[str, tuple[float, str]] | None = None,
) -> str:
    """Draw every single run: a row of panels a quantity, a column a setting, a line style a seed.

    Args:
        frame: columns ``seed``, the ones named by ``x`` and ``by``, and one a quantity.
        quantities: by column, its label and the ends of its axis; tasks have their colours.
        settings: those that are drawn, in their order.
        x: the column along the runs, whole numbers, such as ``"epoch"``.
        by: the column of the setting.
        title: what the picture shows.
        levels: what to compare a quantity with, as a grey line, and the words for it
            (in the last column).
    """
    grid = panels(figure, len(quantities), len(settings))
    styles = dict(zip(sorted(set(frame["seed"])), cycle(["-", "--", ":"]), strict=False))
    for number, (column, (label, ends)) in enumerate(quantities.items(), 1):
        colour = task_style(column)["color"] if column in TASK_STYLES else BLACK
        row, last = grid[number - 1], number == len(quantities)
        for axes, setting in zip(row, settings, strict=True):
            for seed, run in frame[frame[by] == setting].groupby("seed"):
                style = {"color": colour, "linestyle": styles[seed], "linewidth": 1.6}
                axes.plot(run[x], run[column], **style)
            axes.set(xlim=(0, frame[x].max()), ylim=ends, xlabel=x if last else "")
            axes.set_title(setting if number == 1 else "")
            axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
            axes.tick_params(labelleft=axes is row[0], labelbottom=last)
            if levels and column in levels:
                axes.axhline(levels[column][0], color=GREY, linewidth=1.2)
        row[0].set_ylabel(label, color=colour)
        if levels and column in levels:
            level, words = levels[column]
            annotate(row[-1], (0, level), words, dx=4, dy=3, color=GREY, fontsize=10)
    height = figure.get_figheight()  # inches: the words above and below keep their room
    figure.subplots_adjust(0.09, 0.55 / height, 0.98, 1 - 0.95 / height, wspace=0.16, hspace=0.14)
    keys = {f"seed {seed}": Line2D([], [], color=BLACK, linestyle=s) for seed, s in styles.items()}
    place = {"loc": "upper right", "bbox_to_anchor": (0.99, 1 - 0.27 / height)}
    figure_legend(figure, keys, **place)
    figure.suptitle(title, x=0.012, ha="left", fontweight="bold", fontsize=13)
    return title


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
        if baselines and task.name in baselines:
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
    height = figure.get_figheight()
    figure.subplots_adjust(0.075, 0.55 / height, 0.98, 1 - 1 / height, wspace=0.2, hspace=0.42)
    lines = {name: Line2D([], [], color=BLACK, linestyle=line) for name, line in networks.items()}
    figure_legend(figure, lines, loc="upper right", bbox_to_anchor=(0.985, 1 - 0.225 / height))
    figure.suptitle(title, x=0.012, ha="left", fontweight="bold", fontsize=13)
    return title


def draw_rows(
    figure: Figure,
    frame: pd.DataFrame,
    *,
    by: str,
    title: str,
    guesses: Mapping[str, float] | None = None,
) -> str:
    """Draw a row a setting and a panel a question: every seed as a dot, the mean as a bar.

    Args:
        frame: columns ``question``, ``seed``, ``value`` (accuracy) and the one named by ``by``.
            The first word of a question is the task, which gives the colour.
        by: the column of the setting; rows and panels keep the order in which they come.
        title: what the picture shows.
        guesses: the accuracy of a guess, by question, as a dotted line.
    """
    settings, questions = (list(dict.fromkeys(frame[name])) for name in (by, "question"))
    row = panels(figure, 1, len(questions))[0]
    end = 1.05 / (1 - 0.5 * len(questions) / figure.get_figwidth())  # room for a number beyond 1
    for axes, question in zip(row, questions, strict=True):
        colour = task_style(question.split()[0])["color"]
        if guesses:
            axes.axvline(guesses[question], color=GREY, linewidth=1.2, linestyle=":")
        for place, setting in enumerate(settings):
            chosen = (frame["question"] == question) & (frame[by] == setting)
            values = frame[chosen]["value"]
            spread = np.linspace(-0.12, 0.12, len(values)) if len(values) > 1 else [0]
            axes.plot(values, place + np.asarray(spread), "o", color=colour, alpha=0.7)
            mean = values.mean()
            axes.vlines(mean, place - 0.3, place + 0.3, color=colour, linewidth=3)
            axes.text(end - 0.02, place, f"{mean:.2f}", ha="right", va="center", color=colour)
        axes.set(xlim=(0, end), ylim=(len(settings) - 0.5, -0.5), xticks=[0, 0.5, 1])
        axes.set_yticks(range(len(settings)), settings if axes is row[0] else [])
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="y", visible=False)
        axes.set_title(question, color=colour)
        axes.set_xlabel("validation accuracy")
    height = figure.get_figheight()
    figure.subplots_adjust(0.19, 0.55 / height, 0.985, 1 - 0.75 / height, wspace=0.1)
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
    left = 0.175 if max(map(len, colours)) < 18 else 0.2
    figure.subplots_adjust(left, 0.15, 0.985, 0.79, wspace=0.1)
    figure.suptitle(title, x=0.012, ha="left", fontweight="bold", fontsize=13)
    return title
