"""Exercises that look at an answer and say what is wrong with it."""

from __future__ import annotations

import html
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np
import torch
from IPython.display import display

from mtl_tutorial.plots import GREEN, GREY, ORANGE, SKY

Verdict = Callable[[Any], str | None]


class AnswerError(ValueError):
    """An answer of a form that can't be judged; the text tells the learner what is needed."""


@dataclass(repr=False)
class Exercise:
    """A question with a checker, hints and a solution.

    Args:
        name: what messages call it, such as ``"Exercise 1"``.
        verdict: ``verdict(answer)`` gives None for a right answer, else the hint that fits that
            wrong one. It may raise: `AnswerError` shows its text, anything else is named.
        praise: why the right answer is right.
        hints: shown one after the other.
        solution_code: Python that defines ``answer`` when it is run alone.
    """

    name: str
    verdict: Verdict
    praise: str
    hints: Sequence[str]
    solution_code: str
    _hints_shown: int = field(default=0, init=False)

    def __repr__(self) -> str:
        return f"{self.name}: check(answer), hint(), solution()"

    def check(self, answer: Any = None) -> None:
        """Say whether the answer is right, and if not, what to look at."""
        if answer is None or answer is ...:
            _show(
                f"{self.name}. Not answered yet.",
                "Put your answer where the `...` is; for a function, its name.",
                GREY,
            )
            return
        try:
            hint = self.verdict(answer)
        except AnswerError as error:
            hint = str(error)
        except Exception as error:  # an answer may be code, and may break in any way
            hint = f"Your answer stopped with {type(error).__name__}: {error}"
        if hint is None:
            _show(f"{self.name}. Correct.", self.praise, GREEN)
        else:
            _show(f"{self.name}. Not yet.", hint, ORANGE)

    def hint(self) -> None:
        """Show the next hint; the last one stays."""
        self._hints_shown = min(self._hints_shown + 1, len(self.hints))
        number = f"Hint {self._hints_shown} of {len(self.hints)}."
        _show(f"{self.name}. {number}", self.hints[self._hints_shown - 1], SKY)

    def solution(self) -> None:
        """Show code that you can paste into a cell; it defines ``answer``."""
        _show(f"{self.name}. A solution:", "", SKY, code=self.solution_code.strip())


class _Message:
    """A sentence with a coloured edge; plain text where there is no HTML."""

    def __init__(self, head: str, body: str, colour: str, code: str) -> None:
        self.head, self.body, self.colour, self.code = head, body, colour, code

    def __repr__(self) -> str:
        text = f"{self.head} {self.body}".strip()
        return f"{text}\n\n{self.code}" if self.code else text

    def _repr_html_(self) -> str:
        body = re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(self.body))
        code = f"<pre style='margin:8px 0'>{html.escape(self.code)}</pre>" if self.code else ""
        style = f"border-left:6px solid {self.colour};padding:6px 12px;font-size:15px"
        return f"<div style='{style}'><b>{html.escape(self.head)}</b> {body}{code}</div>"


def _show(head: str, body: str, colour: str, *, code: str = "") -> None:
    display(_Message(head, body, colour, code))


def as_number(answer: Any) -> float:
    """Give the one finite number that an answer is, in whatever form.

    Args:
        answer: an int, float, fraction, or a tensor or array of shape ``()``.

    Raises:
        AnswerError: for anything else; NaN, infinity, True and text are no numbers here.
    """
    if isinstance(answer, (torch.Tensor, np.ndarray)):
        if answer.shape != ():
            raise AnswerError(f"One number is needed; yours has the shape {tuple(answer.shape)}.")
        answer = answer.item()
    if isinstance(answer, str):
        raise AnswerError(f"A number is needed, without quotation marks; yours is {answer!r}.")
    if isinstance(answer, (list, tuple, set, dict)):
        raise AnswerError(f"One number is needed; yours is a {type(answer).__name__}.")
    if isinstance(answer, (bool, np.bool_)) or not isinstance(answer, (Real, Decimal)):
        raise AnswerError(f"A number is needed; yours is of type {type(answer).__name__}.")
    try:
        number = float(answer)
    except (OverflowError, ValueError):
        number = math.inf
    if not math.isfinite(number):
        raise AnswerError(f"A finite number is needed; yours is {number}.")
    return number


def as_numbers(answer: Any, names: Sequence[str]) -> tuple[float, ...]:
    """Give the finite numbers that an answer lists, one for each name.

    Args:
        answer: a list, tuple, tensor, array or column of a table, of that length, or a dict with
            those keys.
        names: what each number is.

    Raises:
        AnswerError: for anything else.
    """
    wanted = f"{len(names)} numbers are needed, for {', '.join(names)}"
    if isinstance(answer, Mapping):
        if set(answer) != set(names):
            raise AnswerError(f"{wanted}; yours has the keys {list(answer)}.")
        answer = [answer[name] for name in names]
    if getattr(answer, "ndim", None) == 1:  # a tensor, an array, a Series of pandas
        answer = list(answer)
    if not isinstance(answer, (list, tuple)):
        raise AnswerError(f"{wanted}; yours is of type {type(answer).__name__}.")
    if len(answer) != len(names):
        raise AnswerError(f"{wanted}; yours has {len(answer)}.")
    return tuple(as_number(item) for item in answer)


def as_function(answer: Any) -> Callable:
    """Give the function that an answer is.

    Raises:
        AnswerError: where it can't be called.
    """
    if not callable(answer):
        raise AnswerError(
            f"A function is needed, without brackets after its name; "
            f"yours is of type {type(answer).__name__}."
        )
    return answer


def same_tensor(given: torch.Tensor, right: torch.Tensor) -> bool:
    """Whether a tensor has the shape and, but for rounding, the values of the right one."""
    return given.shape == right.shape and torch.allclose(given, right)


def number(
    value: float,
    *,
    tolerance: float = 1e-3,
    mistakes: Mapping[float, str] | None = None,
    otherwise: str,
) -> Verdict:
    """Make the verdict for one number.

    Args:
        value: the right one.
        tolerance: greatest distance that counts as equal.
        mistakes: the hint for each wrong number that can be foreseen.
        otherwise: the hint for every other number.
    """

    def verdict(answer: Any) -> str | None:
        given = as_number(answer)
        if abs(given - value) <= tolerance:
            return None
        for mistake, hint in (mistakes or {}).items():
            if abs(given - mistake) <= tolerance:
                return hint
        return otherwise

    return verdict


def numbers(
    right: Mapping[str, float],
    *,
    tolerance: float = 5e-3,
    mistakes: Sequence[tuple[Sequence[float], str]],
    otherwise: str,
) -> Verdict:
    """Make the verdict for several numbers.

    Args:
        right: the right ones, by what each is.
        tolerance: greatest distance of each that counts as equal.
        mistakes: wrong numbers that can be foreseen, each with its hint.
        otherwise: the hint for all others.
    """

    def verdict(answer: Any) -> str | None:
        given = as_numbers(answer, list(right))
        for values, hint in ((tuple(right.values()), None), *mistakes):
            if all(abs(a - b) <= tolerance for a, b in zip(given, values, strict=True)):
                return hint
        return otherwise

    return verdict


def choice(right: str, wrong: Mapping[str, str]) -> Verdict:
    """Make the verdict for one of several words or letters; case and spaces around do not count.

    Args:
        right: the right one.
        wrong: the hint for each of the others.
    """

    def verdict(answer: Any) -> str | None:
        choices = ", ".join(repr(name) for name in sorted([right, *wrong]))
        if not isinstance(answer, str):
            raise AnswerError(
                f"One of {choices} is needed, in quotation marks; "
                f"yours is of type {type(answer).__name__}."
            )
        given = answer.strip().casefold()
        if given == right.casefold():
            return None
        for name, hint in wrong.items():
            if given == name.casefold():
                return hint
        raise AnswerError(f"One of {choices} is needed; yours is {answer!r}.")

    return verdict
