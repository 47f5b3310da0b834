"""Gives answers to exercises, and reads what a learner is told."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pytest

from mtl_tutorial.exercises import Exercise

Row = tuple[str, object, str]
NO_FUNCTIONS = (
    (3, "A function is needed"),
    (lambda: None, "TypeError"),
    (lambda *arguments: None, "Your function gives None"),
)


def told(exercise: Exercise, answer: object, capsys: pytest.CaptureFixture) -> str:
    """What the exercise says to an answer."""
    exercise.check(answer)
    return capsys.readouterr().out


def foreseen(exercise: Exercise) -> list[tuple[object, str]]:
    """The wrong answers that an exercise knows; where they are functions, no functions too."""
    wrong = list(getattr(exercise.verdict, "wrong", ()))
    return wrong + list(NO_FUNCTIONS) if any(callable(answer) for answer, _ in wrong) else wrong


def wrong_answer_tests(
    exercises: Mapping[str, Exercise], others: Sequence[Row]
) -> tuple[Callable, Callable]:
    """Two tests of a lesson: each wrong answer gets its hint; every exercise is tried with four.

    Args:
        exercises: by name; the wrong answers that they know are tried.
        others: also tried: the exercise's name, an answer, and words of the hint that fits it.
    """
    rows = [(name, *row) for name, exercise in exercises.items() for row in foreseen(exercise)]
    rows += others

    @pytest.mark.parametrize(("name", "answer", "fits"), rows)
    def hint_fits(name, answer, fits, capsys) -> None:
        text = told(exercises[name], answer, capsys)
        assert "Not yet." in text and "Correct." not in text
        assert fits in text

    @pytest.mark.parametrize("name", exercises)
    def enough(name) -> None:
        assert sum(other == name for other, _, _ in rows) >= 4

    return hint_fits, enough
