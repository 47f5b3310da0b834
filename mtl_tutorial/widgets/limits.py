"""What a control may start at: a slider would clamp another value without a word."""

from __future__ import annotations

from numbers import Real


def check_within(what: str, value: float, least: float, most: float) -> None:
    """Refuse what lies outside of two ends.

    Raises:
        ValueError: naming what it is, the ends, and the value; for NaN and what is no number, too.
    """
    if not isinstance(value, Real) or not least <= value <= most:
        raise ValueError(f"{what} must be a number from {least:g} to {most:g}, got {value!r}")
