"""Pictures of gradients and trade-offs: directions, descents, fronts."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from textwrap import fill

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
            place.set_title(fill(idea, 17) if i == 0 else "", fontsize=11)
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
    """Draw the front of one seed with the methods near it, and the gaps of all seeds.

    An arrow shows the largest gap of that seed.

    Args:
        fronts: the metrics, a column each task; indexed by ``weight`` and ``seed``. Of the first
            seed those that no other beats are joined, as for the gaps, and named by their weight.
        methods: likewise, indexed by ``method`` and ``seed``.
        gaps: by how much the front is better than a method in both metrics, indexed likewise;
            column ``gap``.
        tasks: two tasks.
        title: what the picture shows.
    """
    plane, bars = panels(figure, 1, 2)[0]
    plane.set_position([0.08, 0.12, 0.44, 0.7])
    bars.set_position([0.685, 0.12, 0.305, 0.7])
    names = [task.name for task in tasks]
    seed = fronts.index.get_level_values("seed")[0]
    corners = _corners(fronts[names].xs(seed, level="seed"))
    here = methods[names].xs(seed, level="seed")
    low = here.min() - 0.05
    seen = corners[(corners > low).all(axis=1)]
    high = pd.concat([here, seen]).max() + 0.05
    limits = [(low[name], high[name]) for name in names]
    axis_names = [f"{task.name} {task.metric_name}" for task in tasks]
    plane.set(xlim=limits[0], ylim=limits[1], xlabel=axis_names[0], ylabel=axis_names[1])
    plane.plot(*corners.to_numpy().T, "o-", color=BLACK, ms=5)
    plane.plot(*here.to_numpy().T, "o", color=BLUE, ms=7, markeredgecolor="white")
    points = [(f"weight {weight:g}", tuple(row), BLACK) for weight, row in seen.iterrows()]
    points += [(name.replace("\n", " "), tuple(row), BLUE) for name, row in here.iterrows()]
    busy = [_along(corners.to_numpy())]
    gap_of = gaps["gap"].xs(seed, level="seed")
    if (gap := gap_of.max()) > 0:
        start = here.loc[gap_of.idxmax()].to_numpy()
        style = {"arrowstyle": "-|>", "color": VERMILION, "linewidth": 2, "shrinkA": 5}
        plane.annotate("", tuple(start + gap), tuple(start), arrowprops=style | {"shrinkB": 0})
        points.append((f"gap {gap:.2f}", tuple(start + 0.5 * gap), VERMILION))
        busy.append(_along(np.stack([start, start + gap])))
    _name_points(plane, points, np.concatenate(busy))
    plane.set_title(f"Seed {seed}; line: front of the weighted sums")

    labels = list(dict.fromkeys(methods.index.get_level_values("method")))
    bars.axvline(0, color=BLACK, linewidth=1.2)
    for row, name in enumerate(labels):
        values = gaps.loc[name]["gap"]
        bars.plot(values, row + np.linspace(-0.16, 0.16, len(values)), "o", ms=5, alpha=0.5,
                  color=BLUE)  # fmt: skip
        bars.vlines(values.mean(), row - 0.32, row + 0.32, color=BLUE, linewidth=3)
    reach = max(0.06, 1.1 * gaps["gap"].abs().max())
    bars.set(xlim=(-reach, reach), ylim=(len(labels) - 0.5, -0.5), yticks=range(len(labels)))
    bars.set_yticklabels(labels)
    bars.set_xlabel("gap to the front, accuracy")
    bars.grid(axis="y", visible=False)
    bars.set_title("Seeds: ← beyond it  inside it →", fontweight="normal")
    figure.suptitle(title, x=0.012, ha="left", fontweight="bold", fontsize=13)
    return title


def _corners(front: pd.DataFrame) -> pd.DataFrame:
    """Those rows that no other row beats in both columns, from the best of the first column on."""
    first, second = front.columns
    front = front.sort_values([first, second], ascending=False)
    return front[front[second] > front[second].cummax().shift(fill_value=-np.inf)]


def _along(corners: np.ndarray) -> np.ndarray:
    """Many points of the line through some corners."""
    places = np.linspace(0, len(corners) - 1, 60 * len(corners))
    return np.stack([np.interp(places, range(len(corners)), c) for c in corners.T], axis=1)


def _name_points(axes: Axes, points: Sequence[tuple[str, tuple, str]], busy: np.ndarray) -> None:
    """Write names beside points, the nearest place first at which a name covers nothing.

    Points that coincide share a place. Names that had to go further have a line to their point.

    Args:
        points: name, place and colour of each.
        busy: further places that no name may cover, shape ``(n, 2)``.
    """
    shared: dict[tuple, tuple[str, tuple, str]] = {}
    for name, point, colour in points:
        old = shared.get(key := tuple(np.round(point, 3)))
        shared[key] = (f"{old[0]}, {name}" if old else name, point, colour)

    def to_print(places: Sequence | np.ndarray) -> np.ndarray:
        return 72 / axes.figure.dpi * axes.transData.transform(places)

    dots = to_print([point for _, point, _ in shared.values()])
    lines, boxes = to_print(busy), np.empty((0, 2, 2))
    inside = axes.bbox.extents.reshape(2, 2) * 72 / axes.figure.dpi
    near = np.linalg.norm(dots - dots[:, None], axis=-1) < 60
    for i in np.argsort(-near.sum(axis=1), kind="stable"):  # those with the least room first
        start, (name, point, colour) = dots[i], [*shared.values()][i]
        half = np.array([2.6 * len(name) + 2, 7])  # of a name's box, in points of print
        busy, best = np.concatenate([lines, dots]), np.inf
        for distance, turn in itertools.product(range(8, 100, 6), np.arange(24) / 12):
            way = np.array([np.cos(np.pi * turn), np.sin(np.pi * turn)])
            middle = start + way * (distance + half)
            cost = float(distance)
            cost += 1e4 * bool(
                (np.abs(middle - inside.mean(0)) + half > np.ptp(inside, 0) / 2).any()
            )
            cost += 1e3 * bool(_within(boxes[:, 0], middle, half + boxes[:, 1]).any())
            cost += 5e2 * bool(_within(busy, middle, half + 3).any())
            if cost >= best:
                continue
            line = start + np.arange(0, distance, 2)[:, None] * way
            far = line[3:, None]  # where it has left its own point
            crosses = _within(far, boxes[:, 0], boxes[:, 1]).any() or _within(far, busy, 2.5).any()
            if (cost := cost + 60 * bool(crosses)) < best:
                best, shift, box, leader = cost, middle - start, [middle, half], line
        boxes, lines = np.concatenate([boxes, [box]]), np.concatenate([lines, leader])
        arrow = {"arrowstyle": "-", "color": GREY, "linewidth": 0.8, "shrinkA": 0, "shrinkB": 3}
        annotate(axes, point, name, dx=shift[0], dy=shift[1], ha="center", va="center",
                 color=colour, fontsize=9,
                 arrowprops=arrow if np.ptp(leader, axis=0).max() > 8 else None)  # fmt: skip


def _within(places: np.ndarray, middle: np.ndarray, half: np.ndarray | float) -> np.ndarray:
    """Which places lie in a box."""
    return (np.abs(places - middle) < half).all(axis=-1)
