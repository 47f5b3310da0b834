"""A place for what a learner expects, before a lesson shows what is."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from numbers import Real
from typing import Any

import ipywidgets
from IPython.display import display

from mtl_tutorial.exercises.core import Message
from mtl_tutorial.plots import GREEN, GREY, ORANGE

WIDE = {"width": "max-content", "max_width": "min(900px, 100%)"}


class Guess(ipywidgets.VBox):
    """A question that is answered before the next cell; nothing is graded.

    Args:
        question: what is asked.
        choices: what to choose from; left out, something to type.
        unit: of a number that is typed.

    Attributes:
        value: the guess; None where there is none.
    """

    def __init__(
        self, question: str, choices: Sequence[str] | None = None, *, unit: str = ""
    ) -> None:
        self.question, self.choices, self.unit = question, choices and list(choices), unit
        if self.choices is not None and len(self.choices) < 2:
            raise ValueError(f"choices of a guess must be two or more, got {choices!r}")
        self._entry: Any
        if self.choices:
            self._entry = ipywidgets.ToggleButtons(
                options=self.choices, value=None, style={"button_width": "auto"}, layout=WIDE
            )
        else:
            self._entry = ipywidgets.Text(
                description=f"your guess{f', in {unit}' if unit else ''}",
                style={"description_width": "initial"},
                layout={"width": "260px"},
            )
        self._entry.tooltip = question.replace("`", "")
        words = re.sub("`(.+?)`", r"<code>\1</code>", html.escape(question))
        asked = ipywidgets.HTML(f"<b>{words}</b>", layout=WIDE)
        super().__init__([asked, self._entry])

    @property
    def value(self) -> str | float | None:
        """The guess so far; 14 % is 0.14 where the guess has no unit."""
        given = self._entry.value
        if self.choices or not given:
            return given or None
        typed = given.strip()
        try:
            number = float(typed.replace(",", ".").replace("−", "-").removesuffix("%"))
        except ValueError:
            return typed or None
        return number / 100 if typed.endswith("%") and not self.unit else number

    @value.setter
    def value(self, guessed: str | float | None) -> None:
        self._entry.value = guessed if self.choices else "" if guessed is None else str(guessed)

    def compare(self, result: Any, *, within: float | None = None) -> None:
        """Show the guess beside what came out.

        Args:
            result: one of the choices, or what was measured.
            within: a number so near to the result is told that it is near; left out, a tenth of
                the result.

        Raises:
            ValueError: for a result that is none of the choices.
        """
        if self.choices and result not in self.choices:
            raise ValueError(
                f"result of the guess {self.question!r} must be one of "
                f"{', '.join(map(repr, self.choices))}, got {result!r}"
            )
        came_out = f"{self._in_words(result)} came out"
        if self.value is None:
            display(Message("No guess yet.", f"{came_out[0].upper()}{came_out[1:]}.", GREY))
            return
        near = self._is_near(result, within)
        head = f"You guessed {self._in_words(self.value)}"
        display(Message(f"{head};", f"{came_out}.", GREEN if near else ORANGE))

    def _is_near(self, result: Any, within: float | None) -> bool:
        if isinstance(result, Real) and isinstance(self.value, float):
            room = abs(float(result)) / 10 if within is None else within
            return abs(self.value - float(result)) <= room
        return self.value == result

    def _in_words(self, value: Any) -> str:
        if not isinstance(value, Real):
            return str(value)
        return f"{float(value):.3g}{f' {self.unit}' if self.unit else ''}"

    def _repr_mimebundle_(self, **kwargs: Any):
        choices = f"Choose: {' / '.join(self.choices)}" if self.choices else "Your guess: …"
        return {
            **super()._repr_mimebundle_(**kwargs),
            "text/plain": f"{self.question} {choices}",
            "text/markdown": f"**{self.question}** {choices}",
        }


def guess(question: str, choices: Sequence[str] | None = None, *, unit: str = "") -> Guess:
    """Ask for a guess; ``compare(result)`` in the next cell shows it beside the result.

    Args:
        question: what is asked.
        choices: what to choose from; left out, something to type.
        unit: of a number that is typed.

    Raises:
        ValueError: where there is nothing to choose between.
    """
    return Guess(question, choices, unit=unit)
