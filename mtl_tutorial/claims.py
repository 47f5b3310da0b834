"""Claims: sentences about effects, each with what it measures, and whether it holds."""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from mtl_tutorial.profiles import KNOBS

MOST_SHOWN = 8  # numbers of a claim; of more, the ends are told
RANGES = {"steps": ("step", "epoch", "episode"), "rate": ("rate",), "seeds": ("seed",)}


class ClaimError(AssertionError):
    """A claim that does not hold at the setting for which it was written."""


def claim(
    sentence: str,
    value: Any,
    *,
    at_least: float | None = None,
    at_most: float | None = None,
    only_at: str | None = None,
) -> None:
    """Say a sentence, and show whether what was measured bears it out.

    It shows one line, such as ``✓ The box falls back: 0.31, 0.23, 0.29 (each at least 0.10)``. Of
    several numbers, one a seed, all have to keep to the bounds. Where ``MTL_CLAIMS`` names a file,
    the claim is added to it, as a line of JSON.

    Args:
        sentence: what is claimed, with the range in which it holds.
        value: whether it holds, a number, or one number a seed.
        at_least, at_most: bounds, both inclusive; NaN keeps to none.
        only_at: the range that the sentence names: ``"steps"``, ``"rate"`` or ``"seeds"``, or
            several of them with spaces between. The claim is then not held to other ones.

    Raises:
        ValueError: where there is nothing measured, a number has no bound, a truth has one, or the
            sentence does not name its range.
        ClaimError: where it does not hold in the quick profile as it comes. At other sizes the
            line begins with ✗, and the lesson goes on.
    """
    _check_range(sentence, only_at)
    truth = _as_truth(value)
    bounded = at_least is not None or at_most is not None
    if truth is not None:
        if bounded:
            raise ValueError(
                f"a bound is for numbers, and {sentence!r} is given {value!r}; leave the bound "
                f"out, or give what was measured"
            )
        numbers, holds, measured = [float(truth)], truth, ""
    else:
        numbers = _as_numbers(sentence, value)
        if not bounded:
            raise ValueError(
                f"claim {sentence!r} needs a bound for its numbers, at_least or at_most"
            )
        holds = all(_room(number, at_least, at_most) >= 0 for number in numbers)
        measured = _measured(numbers, at_least, at_most)
    line = f"{'✓' if holds else '✗'} {sentence}{measured}"
    row = {
        "cell": _cell(),
        "sentence": sentence,
        "values": [number if math.isfinite(number) else str(number) for number in numbers],
        "at_least": at_least,
        "at_most": at_most,
        "only_at": only_at,
        "holds": holds,
    }
    _write(row)
    if not holds and _has_to_hold():
        raise ClaimError(line)
    print(line)


def _check_range(sentence: str, only_at: str | None) -> None:
    for name in (only_at or "").split():
        if name not in RANGES:
            raise ValueError(
                f"only_at must be made of {', '.join(map(repr, RANGES))}, got {only_at!r}"
            )
        if not any(word in sentence.lower() for word in RANGES[name]):
            raise ValueError(
                f"claim {sentence!r} is said to hold only at its {name}, and does not name them; "
                f"say in the sentence at which {name} it holds"
            )


def _as_truth(value: Any) -> bool | None:
    """True or False where that is what the value is, of whatever library."""
    if getattr(value, "shape", None) == () and hasattr(value, "item"):
        value = value.item()
    return value if isinstance(value, bool) else None


def _as_numbers(sentence: str, value: Any) -> list[float]:
    if isinstance(value, Mapping):
        value = value.values()
    elif hasattr(value, "tolist"):
        value = value.tolist()
    try:
        several = isinstance(value, Iterable) and not isinstance(value, str)
        numbers = [float(number) for number in (value if several else [value])]
    except (TypeError, ValueError):
        numbers = []
    if not numbers:
        raise ValueError(
            f"claim {sentence!r} needs True, False, a number or one number a seed, got {value!r}"
        )
    return numbers


def _room(number: float, at_least: float | None, at_most: float | None) -> float:
    """How far a number lies inside the bounds; negative outside of them."""
    if math.isnan(number):
        return -math.inf
    below = math.inf if at_least is None else number - at_least
    above = math.inf if at_most is None else at_most - number
    return min(below, above)


def _measured(numbers: list[float], at_least: float | None, at_most: float | None) -> str:
    bounds = [
        f"{words} {_short(bound)}"
        for words, bound in (("at least", at_least), ("at most", at_most))
        if bound is not None
    ]
    within = ", ".join(bounds)
    if len(numbers) == 1:
        return f": {_short(numbers[0])} ({within})"
    if len(numbers) <= MOST_SHOWN:
        return f": {', '.join(map(_short, numbers))} (each {within})"
    ends = [_short(end) for end in (min(numbers), max(numbers))]
    return f": {len(numbers)} numbers, {ends[0]} to {ends[1]} (each {within})"


def _short(number: float) -> str:
    """A number in as many digits as a reader wants."""
    if not math.isfinite(number) or number == 0 or 0.1 <= abs(number) < 1000:
        return f"{number:.2f}"
    return f"{number:.2g}" if abs(number) < 1 else f"{number:,.0f}"


def _cell() -> int:
    """The number of the notebook's cell that is running; 0 outside of notebooks."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return shell.execution_count if shell else 0


def _has_to_hold() -> bool:
    """Whether the profile is the quick one at its own size, and nobody collects the claims."""
    environment = ("MTL_CLAIMS", *KNOBS)
    return os.environ.get("MTL_PROFILE", "quick") in ("", "quick") and not any(
        map(os.environ.get, environment)
    )


def _write(row: dict[str, Any]) -> None:
    if not (path := os.environ.get("MTL_CLAIMS")):
        return
    try:
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
    except OSError as error:
        print(f"claims can't be added to {path} ({error.strerror})", file=sys.stderr)
