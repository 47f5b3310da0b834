"""Training runs, one by one and in grids, over seeds and settings; sweeps and trade-offs."""

from mtl_tutorial.experiments.chance import blind_scores
from mtl_tutorial.experiments.pareto import gap_to_front, non_dominated
from mtl_tutorial.experiments.runs import Run, grid, seeded, train
from mtl_tutorial.experiments.schedules import above_line, train_on_schedule
from mtl_tutorial.experiments.sweep import Sweep, sweep

__all__ = [
    "Run",
    "Sweep",
    "above_line",
    "blind_scores",
    "gap_to_front",
    "grid",
    "non_dominated",
    "seeded",
    "sweep",
    "train",
    "train_on_schedule",
]
