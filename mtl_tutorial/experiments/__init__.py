"""Training runs, one by one and in grids, over seeds and settings."""

from mtl_tutorial.experiments.runs import grid, seeded, train

__all__ = ["grid", "seeded", "train"]
