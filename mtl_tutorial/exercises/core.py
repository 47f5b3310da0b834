"""Exercises that look at an answer and say what is wrong with it."""

from __future__ import annotations

import copy
import html
import inspect
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

NOT_ANSWERED = "Put your answer where the `...` is; for a function, its name."


class AnswerError(ValueError):
    """An answer of a form that can't be judged; the text tells the learner what is needed."""


@dataclass(frozen=True)
class Form:
    """What a page without a kernel asks for, and what it needs to judge it.

    Args:
        known: the right answer, with None, then wrong ones in the order in which they are tried,
            each with its hint. An answer is a word, or a number for each field, of which None
            means any.
        fields: what each number is; none where words are asked for.
        words: those to choose from.
        several: more than one of them may be chosen.
        tolerance: greatest distance of a number that counts as equal.
        otherwise: the hint for all other answers; None where only Python can make it.
    """

    known: Sequence[tuple[Any, str | None]]
    fields: Sequence[str] = ()
    words: Sequence[str] = ()
    several: bool = False
    tolerance: float = 0.0
    otherwise: str | None = None


@dataclass(frozen=True)
class Verdict:
    """Judges an answer, and knows the wrong ones that can be foreseen.

    Args:
        judge: ``judge(answer)`` gives None for a right answer, else the hint that fits that wrong
            one. It may raise: `AnswerError` shows its text, anything else is named.
        wrong: answers that can be foreseen, each with words of the hint that it gets.
        form: how a page without a kernel asks; None where it can't.
    """

    judge: Callable[[Any], str | None]
    wrong: Sequence[tuple[Any, str]] = ()
    form: Form | None = None

    def __call__(self, answer: Any) -> str | None:
        """Judge an answer."""
        return self.judge(answer)


@dataclass(repr=False)
class Exercise:
    """A question with a checker, hints and a solution.

    Args:
        name: what messages call it, such as ``"Exercise 1"``.
        verdict: what judges an answer: a `Verdict`, or a function like its ``judge``.
        praise: why the right answer is right.
        hints: shown one after the other.
        solution_code: Python that defines ``answer`` when it is run alone; empty where none is to
            be shown.
    """

    name: str
    verdict: Callable[[Any], str | None]
    praise: str
    hints: Sequence[str]
    solution_code: str
    _hints_shown: int = field(default=0, init=False)

    def __repr__(self) -> str:
        return f"{self.name}: check(answer), hint(), solution()"

    def check(self, answer: Any = None) -> None:
        """Say whether the answer is right, and if not, what to look at."""
        hint = self.fault(answer)
        if hint is None:
            _show(f"{self.name}. Correct.", self.praise, GREEN)
        elif hint is NOT_ANSWERED:
            _show(f"{self.name}. Not answered yet.", hint, GREY)
        else:
            _show(f"{self.name}. Not yet.", hint, ORANGE)

    def fault(self, answer: Any) -> str | None:
        """Say what is wrong with an answer, in words for a learner; None where nothing is."""
        if answer is None or answer is ...:
            return NOT_ANSWERED
        try:
            return self.verdict(answer)
        except AnswerError as error:
            return str(error)
        except Exception as error:  # an answer may be code, and may break in any way
            return f"Your answer stopped with {type(error).__name__}: {error}"

    def hint(self) -> None:
        """Show the next hint; the last one stays."""
        self._hints_shown = min(self._hints_shown + 1, len(self.hints))
        number = f"Hint {self._hints_shown} of {len(self.hints)}."
        _show(f"{self.name}. {number}", self.hints[self._hints_shown - 1], SKY)

    def solution(self) -> None:
        """Show code that you can paste into a cell; it defines ``answer``."""
        if not self.solution_code:
            _show(f"{self.name}. No solution is shown here.", "`hint()` helps.", SKY)
            return
        _show(f"{self.name}. A solution:", "", SKY, code=self.solution_code.strip())


class Message:
    """A sentence with a coloured edge; plain text where there is no HTML."""

    def __init__(self, head: str, body: str, colour: str, code: str = "") -> None:
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
    display(Message(head, body, colour, code))


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


def one_value(value: Any) -> float:
    """Give the one finite number that a function gives, in a tensor or array of any shape.

    Raises:
        AnswerError: as `as_number`.
    """
    if isinstance(value, (torch.Tensor, np.ndarray)) and math.prod(value.shape) == 1:
        value = value.reshape(())
    return as_number(value)


def gradients(value: Any, by: Sequence[torch.Tensor]) -> tuple[torch.Tensor, ...] | None:
    """Give the gradient of a function's value by some tensors, 0 where it is cut off from one.

    Args:
        value: a tensor; each of its elements pulls with a weight of its own. None is given for
            all that has no gradient.
    """
    if not isinstance(value, torch.Tensor) or not value.requires_grad:
        return None
    pull = torch.linspace(1, 2, value.numel()).view_as(value)
    return torch.autograd.grad(value, by, pull, allow_unused=True, materialize_grads=True)


def as_numbers(answer: Any, names: Sequence[str]) -> tuple[float, ...]:
    """Give the finite numbers that an answer lists, one for each name.

    Args:
        answer: a list, tuple, tensor, array or column of a table, of that length or of rows that
            have it together, or a dict with those keys.
        names: what each number is.

    Raises:
        AnswerError: for anything else.
    """
    wanted = f"{len(names)} numbers are needed, for {', '.join(names)}"
    if isinstance(answer, Mapping):
        if set(answer) != set(names):
            raise AnswerError(f"{wanted}; yours has the keys {list(answer)}.")
        answer = [answer[name] for name in names]
    if getattr(answer, "ndim", 0) and hasattr(answer, "tolist"):  # also a Series of pandas
        answer = answer.tolist()
    if not isinstance(answer, (list, tuple)):
        raise AnswerError(f"{wanted}; yours is of type {type(answer).__name__}.")
    if answer and all(isinstance(row, (list, tuple)) for row in answer):
        answer = [item for row in answer for item in row]
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

    foreseen = tuple((mistakes or {}).items())

    def judge(answer: Any) -> str | None:
        given = as_number(answer)
        for known, hint in ((value, None), *foreseen):
            if abs(given - known) <= tolerance:
                return hint
        return in_other_words([given], [value]) or otherwise

    known = [((a,), hint) for a, hint in ((value, None), *foreseen)]
    return Verdict(judge, foreseen, Form(known, ("",), tolerance=tolerance, otherwise=otherwise))


def in_other_words(given: Sequence[float], right: Sequence[float]) -> str | None:
    """Say so where numbers are the right ones, rounded further or in per cent.

    Args:
        given, right: of equal length, and not the same.
    """
    pairs = list(zip(given, right, strict=True))
    # 1 in place of 0.8 is no rounding
    broken = all(_decimals(a) or abs(a) >= 10 or a == b for a, b in pairs)
    if broken and all(a == round(b, _decimals(a)) for a, b in pairs):
        return "You are there, but for the rounding: give more decimals."
    if all(abs(b) <= 1 and math.isclose(a, 100 * b, rel_tol=5e-3) for a, b in pairs):
        return "The right size, in per cent. A fraction of 1 is asked for here."
    if broken and all(abs(a) <= 1 and math.isclose(100 * a, b, rel_tol=5e-3) for a, b in pairs):
        return "The right size, as a fraction of 1. Per cent are asked for here."
    return None


def _decimals(number: float) -> int:
    """How many stand behind the point as it is written."""
    exponent = Decimal(repr(number)).normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def numbers(
    right: Mapping[str, float],
    *,
    tolerance: float = 5e-3,
    mistakes: Sequence[tuple],
    otherwise: str | Callable[[tuple[float, ...]], str],
) -> Verdict:
    """Make the verdict for several numbers.

    Args:
        right: the right ones, by what each is.
        tolerance: greatest distance of each that counts as equal.
        mistakes: wrong numbers that can be foreseen, each with its hint; None in place of one
            means any. Where a rule stands third, ``rule(given)`` tells what else gets that hint.
        otherwise: the hint for all others, or a function that makes it from them; ``{off}`` in a
            text becomes the name of the first number that is not right.
    """
    values = tuple(right.values())

    def near(given: tuple[float, ...], known: Sequence[float | None]) -> bool:
        pairs = zip(given, known, strict=True)
        return all(b is None or abs(a - b) <= tolerance for a, b in pairs)

    def judge(answer: Any) -> str | None:
        given = as_numbers(answer, list(right))
        if near(given, values):
            return None
        for known, hint, *rule in mistakes:
            if rule[0](given) if rule else near(given, known):
                return hint
        if told := in_other_words(given, values):
            return told
        if callable(otherwise):
            return otherwise(given)
        pairs = zip(right, given, values, strict=True)
        return otherwise.replace(
            "{off}", next(n for n, a, b in pairs if not abs(a - b) <= tolerance)
        )

    def filled(known: Sequence[float | None]) -> tuple[float, ...]:
        return tuple(b if a is None else a for a, b in zip(known, values, strict=True))

    wrong = [(filled(known), hint) for known, hint, *_ in mistakes]
    tried = [(tuple(known), hint) for known, hint, *_ in mistakes]
    told = None if callable(otherwise) else otherwise
    form = Form([(values, None), *tried], tuple(right), tolerance=tolerance, otherwise=told)
    return Verdict(judge, wrong, form)


def function(
    right: Callable,
    cases: Sequence[tuple],
    *,
    returns: str = "",
    read: Callable[[Any, tuple], Any] = lambda value, case: one_value(value),
    tolerance: float = 1e-5,
    mistakes: Sequence[tuple[Callable, str]],
    otherwise: str | Callable[[list], str],
    then: Callable[[Callable], str | None] = lambda function: None,
) -> Verdict:
    """Make the verdict for a function, from what it gives in some cases.

    Args:
        right: a right one.
        cases: the arguments of each call; the answer gets copies.
        returns: what it has to return, in words; left out, `read` sees None and ``...`` too.
        read: ``read(value, case)`` gives the number or array to compare, or raises `AnswerError`.
        tolerance: greatest distance that counts as equal, beside rounding.
        mistakes: wrong functions that can be foreseen, each with its hint; one that stops gives it
            to all that stop with the same error.
        otherwise: the hint for all others, or a function that makes it from what was read.
        then: ``then(answer)`` looks further at an answer that is right in all cases.
    """

    def called(known: Callable) -> list | Exception:
        try:
            return [known(*copy.deepcopy(case)) for case in cases]
        except Exception as error:  # it is a learner's code, and may break in any way
            return error

    def judge(answer: Any) -> str | None:
        given = called(as_function(answer))
        if isinstance(given, Exception):
            for known, hint in mistakes:
                if repr(called(known)) == repr(given):  # the type and the message
                    return hint
            raise given
        nothing = [value for value in given if value is None or value is ...]
        if nothing and returns:
            raise AnswerError(
                f"Your function gives {nothing[0]}; its last line has to return {returns}."
            )
        given = [read(value, case) for value, case in zip(given, cases, strict=True)]

        def agrees(known: Callable) -> bool:
            found = called(known)
            if isinstance(found, Exception):
                return False
            pairs = zip(given, found, cases, strict=True)
            return all(_same(a, read(b, case), tolerance) for a, b, case in pairs)

        if agrees(right):
            return then(answer)
        for known, hint in mistakes:
            if agrees(known):
                return hint
        return otherwise(given) if callable(otherwise) else otherwise

    return Verdict(judge, mistakes)


def _same(given: Any, right: Any, tolerance: float) -> bool:
    given, right = np.asarray(given), np.asarray(right)
    return given.shape == right.shape and np.allclose(given, right, atol=tolerance)


def passes_gradients(
    right: Callable, cases: Sequence[tuple], hint: str
) -> Callable[[Callable], str | None]:
    """Make a ``then`` of `function`: every input must get the gradient that a right one gives it.

    Args:
        right: a right function; it gives a tensor, or a list of tensors of one shape.
        cases: its arguments; their tensors of floating-point numbers and the parameters of their
            modules are the inputs.
        hint: for a function whose values are right, but not its gradients.
    """

    def found(function: Callable, case: tuple) -> tuple[torch.Tensor, ...] | None:
        inputs: list[torch.Tensor] = []

        def learning(thing: Any) -> Any:
            if isinstance(thing, torch.Tensor) and thing.is_floating_point():
                inputs.append(thing.detach().clone().requires_grad_())
                return inputs[-1] * 1  # no leaf, so that it may be changed in place
            if isinstance(thing, torch.nn.Module):
                thing = copy.deepcopy(thing).requires_grad_()
                inputs.extend(thing.parameters())
            return [learning(part) for part in thing] if isinstance(thing, list) else thing

        value = function(*(learning(thing) for thing in case))
        several = isinstance(value, (list, tuple))
        return gradients(torch.stack([*value]) if several else value, inputs)

    def judge(function: Callable) -> str | None:
        for case in cases:
            pairs = zip(found(function, case) or (), found(right, case) or (), strict=False)
            same = [torch.allclose(a, b, atol=1e-4) for a, b in pairs]
            if not same or not all(same):
                return hint
        return None

    return judge


WRITTEN_OVER = (
    "The value is right, but your function writes into the tensors that it was given. Whoever "
    "calls it needs them as they were: make new ones."
)


def leaves_inputs(cases: Sequence[tuple]) -> Callable[[Callable], str | None]:
    """Make a ``then`` of `function`: the tensors that it is given, its cases, must stay."""

    def judge(function: Callable) -> str | None:
        for case in cases:
            given = copy.deepcopy(case)
            function(*given)
            for after, before in zip(given, case, strict=True):
                if isinstance(before, torch.Tensor) and not torch.equal(
                    after.nan_to_num(7e7), before.nan_to_num(7e7)
                ):
                    return WRITTEN_OVER
        return None

    return judge


def solution_of(function: Callable, imports: str = "") -> str:
    """Give the source of a module's private function as a solution, without its underscore.

    Args:
        function: such as ``_end_point``.
        imports: the lines that it needs above it.
    """
    name = function.__name__
    public = name.removeprefix("_")
    source = inspect.getsource(function).replace(name, public)
    return (f"{imports}\n\n\n" if imports else "") + f"{source}\n\nanswer = {public}"


def choice(right: str, wrong: Mapping[str, str]) -> Verdict:
    """Make the verdict for one of several words or letters; case and spaces around do not count.

    Args:
        right: the right one.
        wrong: the hint for each of the others.
    """

    def judge(answer: Any) -> str | None:
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

    form = Form([(right, None), *wrong.items()], words=sorted([right, *wrong]))
    return Verdict(judge, tuple(wrong.items()), form)
