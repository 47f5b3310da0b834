"""The uncertainty bowl: where the log-variances of two tasks want to go, and how they get there."""

from __future__ import annotations

from collections.abc import Sequence

from mtl_tutorial.tasks import Task
from mtl_tutorial.widgets.explorable import Explorable, Fixed, Number, Numbers


class UncertaintyBowl(Explorable):
    """Move the lowest point, which two losses put where it is; see the way down to it.

    Args:
        tasks: two; their ``kind`` gives the form of the objective.
        losses: L_i at the start, 0.001 to 10.

    Raises:
        ValueError: where there are not two tasks.
        TraitError: for other losses.
    """

    module = "uncertainty_bowl"
    tasks, kinds = Fixed(), Fixed()
    losses = Numbers("losses", 2, 1e-3, 10)
    start = Numbers("start", 2, -8, 4, default=(0, 0))
    rate = Number("learning rate", 0.1, 0.01, 1)

    def __init__(self, tasks: Sequence[Task], losses: Sequence[float]) -> None:
        if len(tasks) != 2:
            raise ValueError(f"tasks must be two, got {len(tasks)}")
        names, kinds = [task.name for task in tasks], [task.kind for task in tasks]
        super().__init__(tasks=names, kinds=kinds, losses=list(losses))
