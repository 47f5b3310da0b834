"""The landscape race: from starts that are dragged to the best trade-offs of two tasks."""

from __future__ import annotations

import traitlets

from mtl_tutorial.data.landscape import STARTS
from mtl_tutorial.experiments.race import OPTIMIZERS
from mtl_tutorial.widgets.explorable import Choice, Explorable, Number, check_point

MOST_STARTS = 8


class Starts(traitlets.List):
    """One to eight points of the landscape."""

    def validate(self, obj, value):
        """Give them back as lists.

        Raises:
            TraitError: where there are none or too many, or one is no point.
        """
        if not 1 <= len(value) <= MOST_STARTS:
            raise traitlets.TraitError(
                f"starts must be 1 to {MOST_STARTS} points, got {len(value)} of them"
            )
        return [check_point(f"start {i}", point, -13, 11) for i, point in enumerate(value, 1)]


class LandscapeRace(Explorable):
    """Drag the starts; see three methods' ways over the landscape, and when they arrive.

    Args:
        steps: of every race, 100 to 100,000.

    Raises:
        TraitError: for other steps.
    """

    module = "landscape_race"
    starts = Starts([list(start) for start in STARTS]).tag(sync=True)
    optimizer = Choice("optimizer", OPTIMIZERS, "Adam")
    rate = Number("rate", 0.1, 0.001, 0.5)
    weight = Number("weight of task 1", 0.5, 0.05, 0.95)
    steps = Number("steps", 500, 100, 100_000)
    shown = Number("share of the steps that is shown", 1, 0, 1)

    def __init__(self, steps: int = 500) -> None:
        super().__init__(steps=steps)
