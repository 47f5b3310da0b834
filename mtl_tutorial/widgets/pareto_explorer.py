"""The Pareto explorer: bend the front of two tasks, and see which trade-offs a weight finds."""

from __future__ import annotations

from mtl_tutorial.experiments.pareto import RULES
from mtl_tutorial.widgets.explorable import Choice, Explorable, Number

DISTANCES, WEIGHTS = (0.6, 2.4), (0.05, 0.95)  # from the least to the most


class ParetoExplorer(Explorable):
    """Bend the front, turn the line of the weighted sum, and choose what is made small.

    Args:
        distance: between the least values of the two losses, at the start, 0.6 to 2.4.
        weight: of task 1 at the start, 0.05 to 0.95.
        rule: ``"weighted sum"`` or ``"min-max"``.

    Raises:
        TraitError: for an unknown rule, or another distance or weight.
    """

    module = "pareto_explorer"
    distance = Number("distance", 1.6, *DISTANCES)
    weight = Number("weight", 0.4, *WEIGHTS)
    rule = Choice("rule", RULES, RULES[0])

    def __init__(
        self, distance: float = 1.6, weight: float = 0.4, rule: str = "weighted sum"
    ) -> None:
        super().__init__(distance=distance, weight=weight, rule=rule)
