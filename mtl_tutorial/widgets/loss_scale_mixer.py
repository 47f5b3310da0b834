"""The loss-scale mixer: change the unit of a loss, and see who then has the say."""

from __future__ import annotations

from mtl_tutorial.experiments.units import Snapshot
from mtl_tutorial.widgets.explorable import Explorable, Fixed, Numbers


class LossScaleMixer(Explorable):
    """Drag the border between the tasks' shares: the unit of a loss; see the shares by method.

    Args:
        snapshot: as `experiments.units.take_snapshot` gives it.
    """

    module = "loss_scale_mixer"
    tasks, losses, before, norms = Fixed(), Fixed(), Fixed(), Fixed()
    units = Numbers("units", "tasks", 1e-3, 1e3)

    def __init__(self, snapshot: Snapshot) -> None:
        names = [task.name for task in snapshot.tasks]
        parts = {name: getattr(snapshot, name) for name in ("losses", "before", "norms")}
        numbers = {part: [by_task[name] for name in names] for part, by_task in parts.items()}
        super().__init__(tasks=names, units=[1.0] * len(names), **numbers)
