"""Trains the networks of the tables that come with the course, by results/PROTOCOL.md.

python benchmarks/tables.py two_digits_8_epochs --device cuda --workers 8

Stopped at any time, the same command goes on. A table is one or more grids in one folder.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from mtl_tutorial.balancing import BALANCERS

SEARCH_SEEDS = (1000, 1001, 1002)
FIRST_SEED = 1010  # of those that are tested
SGD_RATES = (0.0125, 0.025, 0.05, 0.1, 0.2)
ADAM_RATES = (0.00125, 0.0025, 0.005, 0.01, 0.02)
STITCH_RATES = (0.0015625, 0.003125, 0.00625, 0.0125, 0.025)  # units learn at 100 times these
ALONE = ("single_task", "single_task_small")
ONCE_BACK = ("equal", "uncertainty", "dwa", "gradnorm", "gradient_norm_weights")
CHEAP_FIRST = (*ONCE_BACK, "pcgrad", "mgda", "imtl_g", "upgrad", "cagrad", "nash_mtl")
LEFT_RIGHT = tuple(
    f"left={left},right={right}"
    for left, right in ((0.5, 1.5), (0.75, 1.25), (1, 1), (1.25, 0.75), (1.5, 0.5))
)
LOCATED = tuple(
    f"digit=1,box={box},mask={mask}"
    for box, mask in ((1, 1), (1, 3), (10, 1), (10, 10), (30, 3), (100, 1))
)
HEARD = tuple(
    f"digit=1,speaker=1,match={match},sum={total}" for match, total in ((1, 1), (3, 1), (1, 3))
)


@dataclass(frozen=True)
class Grid:
    """Runs of one data set: the same rates, search seeds and seeds for all of their methods."""

    data: str
    architectures: Sequence[str]
    balancers: Sequence[str]
    rates: Sequence[float]
    seeds: int
    search_seeds: Sequence[int] = SEARCH_SEEDS


@dataclass(frozen=True)
class Table:
    """Grids of one protocol."""

    epochs: int
    grids: Sequence[Grid] = field(default_factory=tuple)


SHARED = ("hard_sharing",)
THREE = ("equal", "gradnorm", "pcgrad")
TABLES = {
    "two_digits_8_epochs": Table(
        8,
        [Grid("two_digits", (*ALONE, *SHARED), (*CHEAP_FIRST, *LEFT_RIGHT), SGD_RATES, 20)],
    ),
    "located_digits_8_epochs": Table(
        8,
        [Grid("located_digits", (*ALONE, *SHARED), (*CHEAP_FIRST, *LOCATED), ADAM_RATES, 20)],
    ),
    "other_networks_8_epochs": Table(
        8,
        [
            Grid("two_digits", ["cross_stitch"], THREE, STITCH_RATES, 10),
            Grid("two_digits", ["mtan"], THREE, SGD_RATES, 10),
        ],
    ),
    "other_data_1_epoch": Table(
        1,
        [
            Grid("seen_and_heard", (*ALONE, *SHARED), (*CHEAP_FIRST, *HEARD), ADAM_RATES, 10),
            Grid("two_fashion", (*ALONE, *SHARED), (*CHEAP_FIRST, *LEFT_RIGHT), SGD_RATES, 10),
        ],
    ),
}
assert set(CHEAP_FIRST) == set(BALANCERS)
