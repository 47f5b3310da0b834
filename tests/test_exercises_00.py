"""Each plausible wrong answer in lesson 00 gets the hint that fits it."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from exercise_answers import told, wrong_answer_tests

from mtl_tutorial.exercises.lesson_00 import q1, q2, q3, q4, q5

ALL = {"q1": q1, "q2": q2, "q3": q3, "q4": q4, "q5": q5}


def two_tasks_only(targets, weights):
    low, high = weights["low"], weights["high"]
    return (low * targets["low"] + high * targets["high"]) / (low + high)


def drops_the_last(targets, weights):
    names = list(targets)[:2]
    return sum(weights[t] * targets[t] for t in names) / sum(weights[t] for t in names)


def spoils_the_weights(targets, weights):
    weights.clear()
    return 2.0


WRONG = [
    ("q1", torch.tensor(6.0), "plain mean"),
    ("q1", 7.5, "gradient to zero"),
    ("q2", -3, "does 3 come out"),
    ("q3", 0.02, "has to equal"),
    ("q4", two_tasks_only, "KeyError"),
    ("q4", drops_the_last, "three tasks"),
    ("q4", spoils_the_weights, "different weights"),
    ("q4", lambda targets, weights: math.nan, "finite"),
    ("q4", lambda targets, weights: 1 / 0, "ZeroDivisionError"),
    ("q5", "f", "is needed"),
    ("q5", "b and c", "is needed"),
    ("q5", 2, "quotation marks"),
]

test_a_wrong_answer_gets_the_hint_that_fits_it, test_four_are_tried = wrong_answer_tests(ALL, WRONG)


BROKEN = [math.nan, math.inf, [], {}, "", b"8", True, np.array([8.0]), torch.ones(2), object()]


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("answer", BROKEN, ids=lambda v: type(v).__name__)
def test_a_broken_answer_is_refused_and_never_raises(name, answer, capsys) -> None:
    assert "Not yet." in told(ALL[name], answer, capsys)


@pytest.mark.parametrize("name", ALL)
def test_every_exercise_has_hints_and_a_name(name) -> None:
    assert ALL[name].name == f"Exercise {name[1:]}"
    assert len(ALL[name].hints) >= 2


def test_the_end_point_may_be_a_tensor(capsys) -> None:
    def as_tensor(targets, weights):
        total = torch.tensor([weights[t] for t in targets]).sum()
        return sum(weights[t] * torch.tensor(targets[t]) for t in targets) / total

    assert "Correct." in told(q4, as_tensor, capsys)
