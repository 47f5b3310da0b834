"""The luck machine: tables of methods that are equal, and a real one to be taken apart."""

from __future__ import annotations

from typing import Any

import pandas as pd
import traitlets

from mtl_tutorial.plots.results import ALONE, method_label
from mtl_tutorial.widgets.explorable import Choice, Explorable, Fixed, Number, Switch

TABLES = ("equal methods", "the real table")


class Chosen(traitlets.List):
    """Some of the seeds, or of the methods, of the real table."""

    def __init__(self, name: str, among: str) -> None:
        super().__init__()
        self.what, self.among = name, among
        self.tag(sync=True)

    def validate(self, obj: Any, value: Any) -> list[Any]:
        """Give them back as a list.

        Raises:
            TraitError: where one of them is not in the table.
        """
        known = getattr(obj, self.among)()
        for one in value:
            if one not in known:
                raise traitlets.TraitError(
                    f"{self.what} must be among {', '.join(map(str, known))}, got {one!r}"
                )
        return list(value)


class LuckMachine(Explorable):
    """Draw tables of equal methods; leave seeds and methods out of a real one.

    Args:
        leads: of a real table: a column a method, a row a seed, each the primary outcome (0 to 1)
            minus that of equal weights. Without it there are drawn tables alone.
        state: any of the traits to begin with.

    Raises:
        ValueError: where a number of the table is missing, or it has fewer than two seeds.
        TraitError: for a state that can't be.
    """

    module = "luck_machine"
    table = Choice("table", TABLES, TABLES[0])
    number = Number("number of the table", 1, 1, 10_000)
    methods = Number("methods", 11, 1, 20)
    seeds = Number("seeds", 5, 3, 30)
    gain = Number("true gain of method 1", 0, 0, 3)
    correct, again = Switch(False), Switch(False)
    names, differences, seed_names = Fixed(), Fixed(), Fixed()
    left_out = Chosen("places of the seeds left out", "_places")
    opponents = Chosen("methods left out", "_methods")

    def __init__(self, leads: pd.DataFrame | None = None, **state: Any) -> None:
        table = pd.DataFrame() if leads is None else leads
        if leads is not None and (len(table) < 2 or table.isna().to_numpy().any()):
            raise ValueError(
                f"a table of leads has two seeds or more and no gap, got {len(table)} seeds and "
                f"{int(table.isna().to_numpy().sum())} gaps; leave methods out that lack a seed"
            )
        self._leads = table.rename(
            columns=lambda name: ALONE.get(name) or method_label(name, "hard_sharing")
        )
        table = self._leads
        super().__init__(
            names=list(table),
            differences=[[float(f"{100 * v:.5g}") for v in table[name]] for name in table],
            seed_names=[str(seed) for seed in table.index],
            **state,
        )

    def _places(self) -> list[int]:
        return list(range(len(self._leads)))

    def _methods(self) -> list[str]:
        return list(self._leads)
