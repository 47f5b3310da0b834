"""A slider with a name that assistive technology reads, for one number or for a range."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Real
from typing import Any

import traitlets

from mtl_tutorial.widgets.explorable import Explorable


class Slider(Explorable):
    """A number within bounds, or the two ends of a range.

    It takes whole numbers alone where ``step`` is a whole number. Where a bound moves past the
    value, the value goes along.

    Args:
        description: its name, on the page and for assistive technology.
        value: where it begins: a number, or a pair for a range.
        min, max: the bounds.
        step: what an arrow key moves it by.

    Raises:
        TraitError: for a value or a bound that can't be, now or when it is set.
    """

    module = "slider"
    description = traitlets.Unicode().tag(sync=True)
    value: Any = traitlets.TraitType(0).tag(sync=True)
    min: Any = traitlets.TraitType(0).tag(sync=True)
    max: Any = traitlets.TraitType(1).tag(sync=True)
    step: Any = traitlets.TraitType(1).tag(sync=True)
    disabled = traitlets.Bool(False).tag(sync=True)

    def __init__(
        self,
        description: str,
        value: float | Sequence[float],
        *,
        min: float,
        max: float,
        step: float = 1,
    ) -> None:
        self._is_range = isinstance(value, (tuple, list))
        super().__init__(description=description, value=value, min=min, max=max, step=step)

    @traitlets.validate("value")
    def _check_value(self, proposal: Any) -> Any:
        self._refuse_bounds()
        given, whole = proposal["value"], isinstance(self.step, int)
        ends = list(given) if isinstance(given, (tuple, list)) else [given]
        fit = all(_is_number(end, whole) and self.min <= end <= self.max for end in ends)
        if not fit or len(ends) != 1 + self._is_range or ends[0] > ends[-1]:
            number = "whole number" if whole else "number"
            wanted = f"two {number}s, the smaller first," if self._is_range else f"a {number}"
            raise traitlets.TraitError(
                f"{self.description} must be {wanted} from {self.min:g} to {self.max:g}, "
                f"got {given!r}"
            )
        found = tuple(int(end) if whole else float(end) for end in ends)
        return found if self._is_range else found[0]

    @traitlets.validate("min", "max", "step")
    def _check_bounds(self, proposal: Any) -> Any:
        self._refuse_bounds(**{proposal["trait"].name: proposal["value"]})
        return proposal["value"]

    def _refuse_bounds(self, **changed: Any) -> None:
        now = {"min": self.min, "max": self.max, "step": self.step, **changed}
        if not all(map(_is_number, now.values())) or now["min"] > now["max"] or now["step"] <= 0:
            got = ", ".join(f"{name} = {value!r}" for name, value in now.items())
            raise traitlets.TraitError(
                f"{self.description} needs numbers with min ≤ max and step > 0, got {got}"
            )

    @traitlets.observe("min", "max")
    def _follow_bounds(self, _: Any) -> None:
        ends = self.value if self._is_range else (self.value,)
        inside = tuple(sorted((self.min, end, self.max))[1] for end in ends)
        self.value = inside if self._is_range else inside[0]


def _is_number(value: Any, whole: bool = False) -> bool:
    """Whether it is a finite number; with ``whole``, one without a fraction."""
    if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value):
        return False
    return not whole or float(value).is_integer()
