"""What graded notebooks call: the lessons' own checkers, without their solutions."""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Iterator
from typing import Any

from mtl_tutorial.exercises.core import Exercise


def grade(lesson: str, exercise: str, answer: Any) -> None:
    """Do nothing where an answer is right.

    Args:
        lesson: its number, such as ``"02"``.
        exercise: its name in the lesson, such as ``"q1"``.
        answer: as for ``check``.

    Raises:
        AssertionError: with the hint that fits the answer, where it is wrong.
    """
    module = importlib.import_module(f"mtl_tutorial.exercises.lesson_{lesson}")
    fault = getattr(module, exercise).fault(answer)
    if fault is not None:
        raise AssertionError(fault)


def without_solutions(*exercises: Exercise) -> Iterator[Exercise]:
    """Give the exercises with checks and hints, and no ``solution()``."""
    return (dataclasses.replace(exercise, solution_code="") for exercise in exercises)
