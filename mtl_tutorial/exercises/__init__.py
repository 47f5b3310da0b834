"""Exercises of the lessons: each can be checked, gives hints, and shows a solution."""

from mtl_tutorial.exercises.core import (
    AnswerError,
    Exercise,
    as_function,
    as_number,
    as_numbers,
    choice,
    number,
)
from mtl_tutorial.exercises.guess import Guess, guess

__all__ = [
    "AnswerError",
    "Exercise",
    "Guess",
    "as_function",
    "as_number",
    "as_numbers",
    "choice",
    "guess",
    "number",
]
