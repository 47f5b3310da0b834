"""Exercises that a page judges: what it needs to know, and nobody reads in passing.

Every answer that is known is a key; what it opens, the numbers and the hint, is written in a cipher
that the same key makes. It keeps a solution from the eye, not from a determined reader.
"""

from __future__ import annotations

import base64
import itertools
import json
import math
from collections.abc import Sequence
from typing import Any

from mtl_tutorial.exercises import Exercise
from mtl_tutorial.exercises.core import Form, in_other_words

MOST_DECIMALS = 4


def puzzle(exercise: Exercise, lesson: str) -> dict[str, Any] | None:
    """Give what a page needs to ask and to judge; None where only Python can.

    Args:
        exercise: of a lesson.
        lesson: its name; the same answer has another key in every exercise.
    """
    form = getattr(exercise.verdict, "form", None)
    if form is None:
        return None
    salt = f"{lesson} {exercise.name}"
    asked = {
        "salt": salt,
        "name": exercise.name,
        "fields": list(form.fields),
        "words": list(form.words),
        "several": form.several,
        "hints": list(exercise.hints),
        "otherwise": form.otherwise or exercise.hints[0],
    }
    if form.words:
        return asked | {"locks": _word_locks(form, exercise.praise, salt)}
    known = [(a, h or exercise.praise, form.tolerance) for a, h in form.known]
    return asked | {
        "locks": _number_locks([*known, *_other_words(form)], salt),
        "places": _place_locks(form, salt),
    }


def _word_locks(form: Form, praise: str, salt: str) -> dict[str, str]:
    locks: dict[str, str] = {}
    for answer, hint in form.known:
        word = "".join(sorted(answer.casefold())) if form.several else answer.casefold()
        locks |= _lock(f"{salt}|{word}", [hint is None, hint or praise])
    return locks


def _other_words(form: Form) -> list[tuple[tuple[float, ...], str, float]]:
    """The right numbers, rounded further or in per cent, with what is said to them."""
    right = form.known[0][0]
    digits = range(MOST_DECIMALS + 1)
    tried = [tuple(round(v, d) for v in right) for d in digits]
    if len(right) == 2:  # each rounded for itself
        tried += itertools.product(*([round(v, d) for d in digits] for v in right))
    for factor in (100, 0.01):
        tried.append(tuple(factor * v for v in right))
        tried += [tuple(round(factor * v, d) for v in right) for d in digits]
    told = [(given, in_other_words(given, right)) for given in dict.fromkeys(tried)]
    return [(given, text, 1e-9) for given, text in told if text and given != right]


def _number_locks(
    known: Sequence[tuple[Sequence[float | None], str, float]], salt: str
) -> list[dict[str, Any]]:
    """The keys, those together that look at the same numbers with the same tolerance."""
    groups: dict[tuple, dict[str, str]] = {}
    for order, (answer, text, tolerance) in enumerate(known):
        places = tuple(i for i, value in enumerate(answer) if value is not None)
        locks = groups.setdefault((places, tolerance), {})
        values, group = [answer[i] for i in places], [*groups].index((places, tolerance))
        made = _lock(f"{salt}|{group}|{_steps(values, tolerance)}", [order, values, text])
        locks |= {key: content for key, content in made.items() if key not in locks}
    return [
        {"places": list(places), "tolerance": tolerance, "locks": locks}
        for (places, tolerance), locks in groups.items()
    ]


def _place_locks(form: Form, salt: str) -> list[dict[str, str]]:
    """For each number its own lock, which tells whether it is right."""
    if "{off}" not in (form.otherwise or ""):
        return []
    right = form.known[0][0]
    return [
        _lock(f"{salt}|at {i}|{_steps([value], form.tolerance)}", [0, [value], ""])
        for i, value in enumerate(right)
    ]


def _steps(values: Sequence[Any], tolerance: float) -> str:
    """Which step of the tolerance each number lies in; a near number lies in this or the next."""
    return ",".join(str(math.floor(value / tolerance)) for value in values)


def _lock(key: str, content: Any) -> dict[str, str]:
    text = json.dumps(content, ensure_ascii=False).encode()
    stream, made = digest(f"{key}|"), bytearray()
    for byte in text:
        stream = _next(stream)
        made.append(byte ^ (stream & 255))
    return {f"{digest(key):08x}": base64.b64encode(bytes(made)).decode()}


def digest(text: str) -> int:
    """Give the 32-bit FNV-1a hash of a text, never 0."""
    number = 0x811C9DC5
    for byte in text.encode():
        number = ((number ^ byte) * 0x01000193) & 0xFFFFFFFF
    return number or 1


def _next(number: int) -> int:
    """The next number of Marsaglia's 32-bit xorshift."""
    number ^= (number << 13) & 0xFFFFFFFF
    number ^= number >> 17
    return number ^ ((number << 5) & 0xFFFFFFFF)
