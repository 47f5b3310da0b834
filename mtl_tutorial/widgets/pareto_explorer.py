"""The Pareto explorer: bend the front of two tasks, and see which trade-offs a weight finds."""

from __future__ import annotations

import ipywidgets
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mtl_tutorial.experiments.pareto import POINTS, RULES, Exploration, explore_front
from mtl_tutorial.plots import BLACK, GREEN, ORANGE, panels
from mtl_tutorial.profiles import check_choice
from mtl_tutorial.widgets.events import redraw_on_moves
from mtl_tutorial.widgets.limits import check_within
from mtl_tutorial.widgets.view import View

DISTANCES, WEIGHTS = (0.6, 2.4), (0.05, 0.95)  # from the least to the most
EVERY = 12  # of them is enough to draw a line


def draw_front_explorer(figure: Figure, exploration: Exploration, rule: str) -> str:
    """Draw the front with the level line of a rule, and beside it the rule's value along it."""
    plane, along = panels(figure, 1, 2)[0]
    plane.set_position([0.075, 0.14, 0.385, 0.74])
    along.set_position([0.585, 0.14, 0.385, 0.74])
    front = exploration.front[::EVERY]
    x, y = np.vstack([front[::-1], [2, 0]]).T  # all that is worse: above, and to the right
    plane.fill_between(x, y, 2, color=GREEN, alpha=0.08, linewidth=0)
    _draw_level(plane, exploration, rule)
    values = exploration.values[rule][::EVERY]
    share = np.linspace(0, 1, len(values))
    missed = exploration.unreached[::EVERY]
    for axes, x, y in ((plane, *front.T), (along, share, values)):
        axes.plot(x, np.where(missed, np.nan, y), color=GREEN, linewidth=5, alpha=0.8)
        axes.plot(x, np.where(missed, y, np.nan), color=ORANGE, linewidth=3.5, linestyle=":")
    other = RULES[1 - RULES.index(rule)]
    for name, style in ((other, {"markerfacecolor": "white"}), (rule, {})):
        for k in exploration.found[name]:
            plane.plot(*exploration.front[k], "o", color=BLACK, markersize=9, **style)
            if name == rule:
                where = k / (POINTS - 1), exploration.values[name][k]
                along.plot(*where, "o", color=BLACK, markersize=9)
    plane.set(
        xlim=(-0.03, 1.1), ylim=(-0.03, 1.1), xlabel="loss of task 1", ylabel="loss of task 2"
    )
    plane.set_title(f"Full dot: {rule}; open: {other}")
    along.set(xlim=(-0.03, 1.03), ylim=(0, 1), ylabel=f"value of the {rule}")
    along.set(xlabel="place: 0 is best for task 2, 1 for task 1")
    along.set_title(_title(exploration, rule))
    return describe_exploration(exploration)


def _draw_level(axes: Axes, exploration: Exploration, rule: str) -> None:
    """Draw where a rule has the value that it has at the point it finds."""
    weights = np.array([exploration.weight, 1 - exploration.weight])
    x, y = exploration.front[exploration.found[rule][0]]
    style = {"color": BLACK, "linewidth": 1.4, "linestyle": "--"}
    if rule == RULES[1]:
        a, b = weights * (x, y)
        x, y = max(a, b) / weights  # the corner
        axes.plot([x, x, -1], [-1, y, y], **style)
        return
    slope = -weights[0] / weights[1]
    axes.plot([x - 2, x + 2], [y - 2 * slope, y + 2 * slope], **style)


def _title(exploration: Exploration, rule: str) -> str:
    if rule == RULES[1]:
        return "Min-max is lowest inside"
    if exploration.share:
        return "Dotted: no weight of the sum finds it"
    return "Some weight finds each place"


def describe_exploration(exploration: Exploration) -> str:
    """Say which share of the front no weight reaches, and what the two rules find."""
    share = exploration.share
    missed = "no part of the front" if not share else f"{share:.0%} of the front"
    missed = missed if share < 0.985 else "all of the front but its ends"
    places = {
        rule: " or ".join("({:.2f}, {:.2f})".format(*exploration.front[k]) for k in points)
        for rule, points in exploration.found.items()
    }
    return (
        f"Least values {exploration.distance:.2f} apart: {missed} is out of the weighted sum's "
        f"reach. With weight {exploration.weight:.2f} for task 1 it ends at the losses "
        f"{places[RULES[0]]}; min-max ends at {places[RULES[1]]}."
    )


class ParetoExplorer(View):
    """Bend the front, turn the weight, and choose what is made small.

    Args:
        distance: between the least values of the two losses, at the start, 0.6 to 2.4.
        weight: of task 1 at the start, 0.05 to 0.95.
        rule: ``"weighted sum"`` or ``"min-max"``.

    Raises:
        ValueError: for an unknown rule, or another distance or weight.
    """

    def __init__(
        self, distance: float = 1.6, weight: float = 0.4, rule: str = "weighted sum"
    ) -> None:
        check_choice("rule", rule, RULES)
        check_within("distance", distance, *DISTANCES)
        check_within("weight", weight, *WEIGHTS)
        self.rule = ipywidgets.ToggleButtons(
            options=RULES, value=rule, style={"button_width": "120px"}
        )
        wide = {"style": {"description_width": "120px"}, "layout": {"width": "440px"}}
        self.distance = ipywidgets.FloatSlider(
            value=distance, min=DISTANCES[0], max=DISTANCES[1], step=0.05,
            description="distance of tasks", **wide,
        )  # fmt: skip
        self.weight = ipywidgets.FloatSlider(
            value=weight, min=WEIGHTS[0], max=WEIGHTS[1], step=0.05,
            description="weight of task 1", **wide,
        )  # fmt: skip
        self.button = ipywidgets.Button(
            description="As it was", icon="undo", layout={"width": "120px"}
        )
        rows = [
            ipywidgets.HBox([self.rule, self.button]),
            ipywidgets.HBox([self.distance, self.weight], layout={"width": "900px"}),
        ]
        super().__init__(draw_front_explorer, size=(9, 4.1), above=rows)
        redraw_on_moves((self.distance, self.weight, self.rule), self._refresh, self.button)
        self._refresh()

    def _refresh(self) -> None:
        exploration = explore_front(self.distance.value, self.weight.value)
        self.redraw(exploration, self.rule.value)
