"""Graded notebooks get the checkers' hints, and no solutions."""

from __future__ import annotations

import pytest

from mtl_tutorial.exercises import lesson_00
from mtl_tutorial.exercises.grading import grade, without_solutions


def test_an_exercise_without_its_solution_still_checks_and_hints(capsys) -> None:
    (q1,) = without_solutions(lesson_00.q1)
    q1.solution()
    q1.check(1)
    assert lesson_00.q1.solution_code
    said = capsys.readouterr().out
    assert "No solution is shown here" in said
    assert lesson_00.q1.solution_code.strip() not in said


def test_a_wrong_answer_is_graded_with_the_checkers_hint() -> None:
    with pytest.raises(AssertionError) as told:
        grade("00", "q1", 1.0)
    assert str(told.value) == lesson_00.q1.fault(1.0)
    with pytest.raises(AssertionError, match="Put your answer where"):
        grade("00", "q1", ...)
    with pytest.raises(AssertionError, match="stopped with ZeroDivisionError"):
        grade("00", "q3", lambda *arguments: 1 / 0)
