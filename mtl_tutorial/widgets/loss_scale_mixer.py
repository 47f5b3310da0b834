"""The loss-scale mixer: change the unit of a loss, and see who then has the say."""

from __future__ import annotations

from collections.abc import Mapping

import ipywidgets
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from mtl_tutorial.experiments.units import METHODS, Snapshot, compute_shares
from mtl_tutorial.plots import panels, task_style
from mtl_tutorial.widgets.events import redraw_on_moves
from mtl_tutorial.widgets.view import View


def draw_shares(figure: Figure, shares: Mapping[str, Mapping[str, float]], title: str) -> str:
    """Draw a bar for each method, divided among the tasks."""
    axes = panels(figure)[0, 0]
    for row, by_task in enumerate(shares.values()):
        start = 0.0
        for name, share in by_task.items():
            axes.barh(row, share, left=start, height=0.62, color=task_style(name)["color"])
            if share > 0.12:
                text = f"{name} {share:.0%}"
                style = {"ha": "center", "va": "center", "color": "white", "fontweight": "bold"}
                axes.text(start + share / 2, row, text, **style)
            start += share
    axes.set(xlim=(0, 1), ylim=(len(shares) - 0.5, -0.5), xlabel="share of the shared gradient")
    axes.set_yticks(range(len(shares)), [method.replace(", ", ",\n") for method in shares])
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.grid(axis="y", visible=False)
    axes.set_title(title)
    figure.subplots_adjust(0.24, 0.17, 0.97, 0.88)
    return title


def describe_units(snapshot: Snapshot, factors: Mapping[str, float]) -> tuple[str, str]:
    """Give a title and a sentence on what the units do to the shares."""
    shares = compute_shares(snapshot, factors)
    plain = compute_shares(snapshot, dict.fromkeys(factors, 1.0))
    moved = {
        method: max(abs(shares[method][name] - plain[method][name]) for name in factors)
        for method in shares
    }
    units = ", ".join(f"{name} × {factor:.3g}" for name, factor in factors.items())
    first = next(iter(factors))
    ends = ", ".join(f"{method}: {shares[method][first]:.0%}" for method in METHODS)
    sentence = f"Units: {units}. Share of {first}: {ends}."
    if max(moved.values()) < 0.02:
        return "Three methods, and who has the say with each", f"{sentence} Now turn a unit."
    kept = [method for method, change in moved.items() if change < 0.001]
    title = (
        "Another unit, another vote; only one method keeps its own"
        if len(kept) == 1
        else "Another unit, another vote"
    )
    largest = max(moved, key=moved.__getitem__)
    return title, (
        f"{sentence} The unit alone moved {moved[largest]:.0%} of the vote with {largest}, and "
        f"{moved[METHODS[2]]:.0%} with {METHODS[2]}."
    )


class LossScaleMixer(View):
    """Turn the unit of each loss; see each task's share of the shared gradient, by method.

    Args:
        snapshot: as `experiments.units.take_snapshot` gives it.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.sliders = {
            task.name: ipywidgets.FloatLogSlider(
                value=1,
                min=-3,
                max=3,
                step=0.1,
                description=f"{task.name} loss ×",
                readout_format=".3g",
                style={"description_width": "110px"},
                layout={"width": "350px"},
            )
            for task in snapshot.tasks
        }
        self.button = ipywidgets.Button(
            description="Units as they were", icon="undo", layout={"width": "160px"}
        )
        row = ipywidgets.HBox(
            [self.button, *self.sliders.values()],
            layout={"flex_flow": "row wrap", "width": "900px"},
        )
        super().__init__(draw_shares, size=(9, 2.9), above=[row])
        redraw_on_moves(self.sliders.values(), self._refresh, self.button)
        self._refresh()

    def _refresh(self) -> None:
        factors = {name: slider.value for name, slider in self.sliders.items()}
        title, sentence = describe_units(self.snapshot, factors)
        self.redraw(compute_shares(self.snapshot, factors), title, sentence=sentence)
