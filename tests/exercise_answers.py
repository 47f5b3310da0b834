"""Gives answers to exercises, and reads what a learner is told."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pytest

from mtl_tutorial.exercises import Exercise


def told(exercise: Exercise, answer: object, capsys: pytest.CaptureFixture) -> str:
    """What the exercise says to an answer."""
    exercise.check(answer)
    return capsys.readouterr().out


def wrong_answer_tests(
    exercises: Mapping[str, Exercise], wrong: Sequence[tuple[str, object, str]]
) -> tuple[Callable, Callable]:
    """Two tests of a lesson: each wrong answer gets its hint; every exercise is tried with four.

    Args:
        exercises: by name.
        wrong: the exercise's name, an answer, and words of the hint that fits it.
    """

    @pytest.mark.parametrize(("name", "answer", "fits"), wrong)
    def hint_fits(name, answer, fits, capsys) -> None:
        text = told(exercises[name], answer, capsys)
        assert "Not yet." in text and "Correct." not in text
        assert fits in text

    @pytest.mark.parametrize("name", exercises)
    def enough(name) -> None:
        assert sum(other == name for other, _, _ in wrong) >= 4

    return hint_fits, enough
