"""Pictures of gradients and trade-offs: directions, descents, fronts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Wedge

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
    panels,
)
from mtl_tutorial.tasks import Task


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
    """Draw the loss weights of one seed, methods near them, and the gaps of all seeds.

    Args:
        fronts: the metrics, a column each task; indexed by ``weight`` and ``seed``. The first seed
            is drawn, with the weights at their points.
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
    seed = fronts.index.get_level_values("seed")[0]
    front = fronts[names].xs(seed, level="seed")
    plane.plot(*front.to_numpy().T, "o-", color=BLACK, ms=4)
    labels = list(dict.fromkeys(methods.index.get_level_values("method")))
    colours = (VERMILION, PURPLE, GREEN, ORANGE, BLUE, GREY, BLACK)
    styles = cycle(zip(cycle(colours), "osD^vPX<>p*hd8", strict=False))  # 14 that differ
    bars.axvline(0, color=BLACK, linewidth=1.2)
    for row, (name, (colour, marker)) in enumerate(zip(labels, styles, strict=False)):
        dot = {"color": colour, "marker": marker, "linestyle": "none"}
        plane.plot(*methods.loc[name].loc[seed, names], ms=8, markeredgecolor="white", **dot)
        values = gaps.loc[name]["gap"]
        bars.plot(values, row + np.linspace(-0.16, 0.16, len(values)), ms=5, alpha=0.65, **dot)
        bars.vlines(values.mean(), row - 0.32, row + 0.32, color=colour, linewidth=3)
    axis_names = [f"{task.name} {task.metric_name}" for task in tasks]
    low = methods[names].xs(seed, level="seed").min() - 0.06
    limits = [(low[name], front[name].max() + 0.03) for name in names]
    plane.set(xlim=limits[0], ylim=limits[1], xlabel=axis_names[0], ylabel=axis_names[1])
    for weight, place in front.iterrows():
        if (place > low).all():
            annotate(plane, tuple(place), f"{weight:g}", dx=4, dy=4, fontsize=9)
    plane.set_title(f"Seed {seed}; line: the weighted sums")
    reach = max(0.06, 1.1 * gaps["gap"].abs().max())
    bars.set(xlim=(-reach, reach), ylim=(len(labels) - 0.5, -0.5), yticks=range(len(labels)))
    bars.set_yticklabels(labels)
    bars.set_xlabel("gap to the front, accuracy")
    bars.grid(axis="y", visible=False)
    bars.set_title("All seeds: ← beyond it   inside it →", fontweight="normal")
    figure.suptitle(title, x=0.012, ha="left", fontweight="bold", fontsize=13)
    return title
