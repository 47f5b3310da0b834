"""Pictures of tasks alone and in company: runs side by side, affinities, and related tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd
import torch
from matplotlib.figure import Figure

from mtl_tutorial.plots.style import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    PURPLE,
    SKY,
    annotate,
    label_ends,
    panels,
    task_style,
)

COLOURS = (GREY, BLUE, SKY, GREEN)
LOOKS = ((GREY, "-"), (BLACK, "--"), (PURPLE, ":"))


def draw_company(
    figure: Figure,
    ends: Mapping[str, Sequence[float]],
    paths: Mapping[str, pd.DataFrame],
    *,
    chance: float,
    within: str,
    title: str,
) -> str:
    """Draw where short runs end, a dot a seed, and how longer ones go, a line a seed.

    Args:
        ends: accuracies by what was done, one a seed.
        paths: by what was done: accuracies, a row for each number of steps and a column a seed.
        chance: the accuracy of a guess, where every path begins.
        within: says how long the short runs are.
        title: what the picture shows.
    """
    left, right = panels(figure, 1, 2)[0]
    for place, (values, colour) in enumerate(zip(ends.values(), COLOURS, strict=False)):
        left.plot([place] * len(values), list(values), "o", color=colour, markersize=8, alpha=0.7)
    left.set(xlim=(-0.5, len(ends) - 0.5), ylim=(chance - 0.1, 1.02), ylabel="accuracy")
    left.set_xticks(range(len(ends)), list(ends), fontsize=9)
    left.set_title(within, fontsize=11)
    last = max(path.index.max() for path in paths.values())
    places = _apart([path.loc[path.index.max()].mean() for path in paths.values()], 0.11)
    for (name, path), (colour, line), y in zip(paths.items(), LOOKS, places, strict=False):
        for seed in path:
            right.plot([0, *path.index], [chance, *path[seed]], line, color=colour, linewidth=1.6)
        right.annotate(
            name, (1.02 * last, y), color=colour, va="center", annotation_clip=False, fontsize=10
        )
    right.set(xlim=(0, last), ylim=(chance - 0.1, 1.02), xlabel="steps")
    right.set_title("longer, a line a seed", fontsize=11)
    figure.subplots_adjust(0.07, 0.17, 0.83, 0.78, wspace=0.18)
    figure.suptitle(title, x=0.01, ha="left", fontweight="bold", fontsize=13)
    return title


def _apart(heights: Sequence[float], least: float) -> list[float]:
    """Move heights up where they are nearer to each other than ``least``."""
    found, below = [0.0] * len(heights), -1.0
    for place in sorted(range(len(heights)), key=lambda k: heights[k]):
        found[place] = below = max(heights[place], below + least)
    return found


def draw_affinity(
    figure: Figure, affinities: Mapping[str, torch.Tensor], every: int, *, onto: str, title: str
) -> str:
    """Draw affinities over a joint training: the mean over seeds, and their range as a band.

    Args:
        affinities: by helper, each of shape ``(seeds, times)``.
        every: steps from one time to the next.
        onto: the task that is helped.
        title: what the picture shows.
    """
    (axes,) = panels(figure, 1, 1)[0]
    ends = []
    for name, z in affinities.items():
        steps, style = [every * k for k in range(z.shape[1])], task_style(name)
        axes.fill_between(
            steps, z.amin(0), z.amax(0), color=style["color"], alpha=0.15, linewidth=0
        )
        axes.plot(steps, z.mean(0), color=style["color"], linestyle=style["linestyle"])
        ends.append((steps[-1], z[:, -1].mean().item(), name))
    axes.axhline(0, color=BLACK, linewidth=0.8)
    axes.set(xlim=(0, steps[-1]), xlabel="steps of joint training", ylabel=f"affinity to {onto}")
    axes.set_title(title)
    figure.subplots_adjust(0.11, 0.16, 0.88, 0.86)
    label_ends(axes, ends)
    return title


def draw_relatedness(
    figure: Figure, chosen: pd.Series, plain: pd.Series, ways: Sequence[str], *, title: str
) -> str:
    """Draw what is left of the variance over the relatedness, a panel for each number of labels.

    Thick, with a dot a seed: each way at the decay and the stop chosen for it. Thin: the other one.
    All panels have one scale; names stand in the first.

    Args:
        chosen, plain: by ``labels``, ``relatedness``, ``seed`` and ``way``.
        ways: two of them.
        title: what the picture shows.
    """
    counts = chosen.index.unique("labels")
    every = pd.concat([chosen, plain.groupby(["labels", "relatedness", "way"]).mean()])
    for axes, labels in zip(panels(figure, 1, len(counts))[0], counts, strict=True):
        middle = {way: chosen.xs(way, level="way")[labels].groupby("relatedness").mean()
                  for way in ways}  # fmt: skip
        first = middle[ways[0]].index[0]
        for way, (colour, line) in zip(ways, ((GREY, "--"), (BLUE, "-")), strict=True):
            own = chosen.xs(way, level="way")[labels].unstack("seed")
            axes.plot(own.index, own, "o", color=colour, alpha=0.5, markersize=5)
            axes.plot(own.index, own.mean(axis=1), line, color=colour, linewidth=2.5)
            other = plain.xs(way, level="way")[labels].groupby("relatedness").mean()
            axes.plot(other.index, other, line, color=colour, linewidth=1)
            if axes is not figure.axes[0]:
                continue  # the names stand where there is room for them
            above = middle[way][first] == max(m[first] for m in middle.values())
            place = {"dx": 6, "dy": 8 if above else -17}
            annotate(
                axes, (first, middle[way][first]), way, **place, color=colour, fontweight="bold"
            )
        axes.set(xlabel="relatedness", ylim=(0, 1.05 * every.max()))
        axes.set_title(f"{labels} labels a task", fontsize=11)
    figure.axes[0].set_ylabel("share of the variance left")
    figure.subplots_adjust(0.08, 0.15, 0.98, 0.74, wspace=0.15)
    words = f"{title}\n(thick: decay and stop chosen; thin: trained to the end without decay)"
    figure.suptitle(words, x=0.01, ha="left", fontweight="bold", fontsize=12)
    return title
