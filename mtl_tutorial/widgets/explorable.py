"""Explorables: pictures drawn and moved in the browser, with a state that Python shares."""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar

import anywidget
import traitlets

from mtl_tutorial.web import bundle


class Explorable(anywidget.AnyWidget):
    """A picture that answers to the hand, in the page; its state is a few numbers.

    Subclasses name their ``module`` of `mtl_tutorial.web`, and have a synchronised trait for each
    name of its state. A state that can't be is refused in a sentence, whoever sets it.
    """

    module: ClassVar[str]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "module" in vars(cls):
            cls._esm = bundle(cls.module)

    @classmethod
    def from_files(cls) -> dict[str, Any]:
        """Give the parts of a state that come with the course in a file, by name.

        A lesson that was built leaves them out of what it keeps of a picture's state.
        """
        return {}

    @classmethod
    def kept(cls, state: Mapping[str, Any]) -> dict[str, Any]:
        """Give what a lesson keeps of a state, so that its picture is alive without a kernel."""
        held = cls.from_files()
        foreign = anywidget.AnyWidget.class_trait_names(sync=True)
        names = set(cls.class_trait_names(sync=True)).difference(foreign)
        return {n: state[n] for n in sorted(names) if n not in held or held[n] != state[n]}

    def __init__(self, **state: Any) -> None:
        known = self.trait_names()
        if unknown := [name for name in state if name not in known]:
            raise TypeError(f"{type(self).__name__} has no {unknown[0]!r}")
        super().__init__(**state)

    def _repr_mimebundle_(self, **kwargs: Any):
        found = super()._repr_mimebundle_(**kwargs)
        data, metadata = found if isinstance(found, tuple) else (found, {})
        return {
            **(data or {}),
            "text/plain": f"{type(self).__name__}: drawn in the browser",
        }, metadata


class Number(traitlets.Float):
    """A finite number within bounds."""

    def __init__(self, name: str, default: float, low: float, high: float) -> None:
        super().__init__(default)
        self.what, self.low, self.high = name, low, high
        self.tag(sync=True)

    def validate(self, obj: Any, value: Any) -> float:
        """Give the number back.

        Raises:
            TraitError: naming it, the bounds and the value.
        """
        if isinstance(value, bool) or not isinstance(value, numbers.Real):
            raise traitlets.TraitError(f"{self.what} must be a number, got {value!r}")
        found = float(value)
        if not (math.isfinite(found) and self.low <= found <= self.high):
            raise traitlets.TraitError(
                f"{self.what} must be from {self.low:g} to {self.high:g}, got {value}"
            )
        return found


class Point(traitlets.List):
    """A point of the plane, or a vector: two finite numbers within bounds."""

    def __init__(self, name: str, default: Sequence[float], low: float, high: float) -> None:
        super().__init__(default_value=list(default))
        self.what, self.low, self.high = name, low, high
        self.tag(sync=True)

    def validate(self, obj: Any, value: Any) -> list[float]:
        """Give the point back as a list.

        Raises:
            TraitError: naming it, the bounds and the value.
        """
        return check_point(self.what, value, self.low, self.high)


def check_point(name: str, value: Any, low: float, high: float) -> list[float]:
    """Give two numbers as a list.

    Raises:
        TraitError: where they are not two, or not within the bounds.
    """
    try:
        found = [float(number) for number in value]
    except (TypeError, ValueError):
        found = []
    if len(found) != 2 or not all(low <= number <= high for number in found):
        raise traitlets.TraitError(
            f"{name} must be two numbers from {low:g} to {high:g}, got {value!r}"
        )
    return found


class Choice(traitlets.Enum):
    """One of some words."""

    def __init__(self, name: str, choices: Iterable[str], default: str) -> None:
        self.what, self.choices = name, list(choices)
        super().__init__(self.choices, default_value=default)
        self.tag(sync=True)

    def validate(self, obj: Any, value: Any) -> str:
        """Give the word back.

        Raises:
            TraitError: naming the choices and the value.
        """
        return check_choice(self.what, value, self.choices)


class Words(traitlets.Unicode):
    """A name among those that stand in what the widget shows; a number is taken for its digits.

    Args:
        known: gives the names, for a widget.
    """

    def __init__(self, name: str, known: Callable[[Any], Iterable[str]]) -> None:
        super().__init__()
        self.what, self.known = name, known
        self.tag(sync=True)

    def validate(self, obj: Any, value: Any) -> str:
        """Give the name back.

        Raises:
            TraitError: naming those that there are, and the value.
        """
        return check_choice(self.what, str(value), dict.fromkeys(self.known(obj)))


def check_choice(name: str, value: Any, choices: Iterable[str]) -> str:
    """Give a word back.

    Raises:
        TraitError: where it is none of the choices.
    """
    if value not in (known := list(choices)):
        raise traitlets.TraitError(
            f"{name} must be one of {', '.join(map(repr, known))}, got {value!r}"
        )
    return value


class Numbers(traitlets.List):
    """Finite numbers within bounds: so many, or one for each entry of another trait."""

    def __init__(
        self,
        name: str,
        count: int | str,
        low: float,
        high: float,
        default: Sequence[float] | None = None,
    ) -> None:
        known = count if isinstance(count, int) else 0
        super().__init__(default_value=list(default or [low] * known))
        self.what, self.count, self.low, self.high = name, count, low, high
        self.tag(sync=True)

    def validate(self, obj: Any, value: Any) -> list[float]:
        """Give them back as a list.

        Raises:
            TraitError: naming them, their number, the bounds and the value.
        """
        try:
            found = [float(number) for number in value]
        except (TypeError, ValueError):
            found = []
        count = len(getattr(obj, self.count)) if isinstance(self.count, str) else self.count
        if len(found) != count or not all(self.low <= number <= self.high for number in found):
            within = f"{count} numbers from {self.low:g} to {self.high:g}"
            raise traitlets.TraitError(f"{self.what} must be {within}, got {value!r}")
        return found


class Switch(traitlets.Bool):
    """On or off."""

    def __init__(self, default: bool) -> None:
        super().__init__(default)
        self.tag(sync=True)


class Fixed(traitlets.Any):
    """What the picture shows and no hand moves: names, measured numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.tag(sync=True)
