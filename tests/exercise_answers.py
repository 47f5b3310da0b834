"""Gives answers to exercises, and reads what a learner is told."""

from __future__ import annotations

import pytest

from mtl_tutorial.exercises import Exercise


def told(exercise: Exercise, answer: object, capsys: pytest.CaptureFixture) -> str:
    """What the exercise says to an answer."""
    exercise.check(answer)
    return capsys.readouterr().out
