"""Each plausible wrong answer in lesson 00 gets the hint that fits it."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from exercise_answers import told, wrong_answer_tests

from mtl_tutorial.exercises.lesson_00 import q1, q2, q3, q4, q5

ALL = {"q1": q1, "q2": q2, "q3": q3, "q4": q4, "q5": q5}


def plain_mean(targets, weights):
    return sum(targets.values()) / len(targets)


def weighted_sum(targets, weights):
    return sum(weights[t] * targets[t] for t in targets)


def over_tasks(targets, weights):
    return weighted_sum(targets, weights) / len(targets)


def by_position(targets, weights):
    pairs = zip(targets.values(), weights.values(), strict=True)
    return sum(t * w for t, w in pairs) / sum(weights.values())


def two_tasks_only(targets, weights):
    low, high = weights["low"], weights["high"]
    return (low * targets["low"] + high * targets["high"]) / (low + high)


def drops_the_last(targets, weights):
    names = list(targets)[:2]
    return sum(weights[t] * targets[t] for t in names) / sum(weights[t] for t in names)


def prints_only(targets, weights):
    weighted_sum(targets, weights)


def spoils_the_weights(targets, weights):
    weights.clear()
    return 2.0


WRONG = [
    ("q1", 6, "plain mean"),
    ("q1", torch.tensor(6.0), "plain mean"),
    ("q1", 4, "swapped"),
    ("q1", 32, "divide it by the sum"),
    ("q1", 16, "number of tasks"),
    ("q1", 10, "heavier task"),
    ("q1", 7.5, "gradient to zero"),
    ("q2", 0.75, "share"),
    ("q2", 1 / 3, "ends at 1"),
    ("q2", 1, "equal one"),
    ("q2", 4, "too far"),
    ("q2", 2, "not far enough"),
    ("q2", -3, "does 3 come out"),
    ("q3", 100, "wrong way"),
    ("q3", 0.1, "squared"),
    ("q3", 10, "even larger"),
    ("q3", 1, "100 times as large"),
    ("q3", 0.0001, "twice"),
    ("q3", -0.01, "negative"),
    ("q3", 0.02, "has to equal"),
    ("q4", plain_mean, "plain mean"),
    ("q4", weighted_sum, "weighted sum"),
    ("q4", over_tasks, "number of tasks"),
    ("q4", by_position, "order"),
    ("q4", two_tasks_only, "KeyError"),
    ("q4", drops_the_last, "three tasks"),
    ("q4", prints_only, "return"),
    ("q4", spoils_the_weights, "different weights"),
    ("q4", lambda: 2, "TypeError"),
    ("q4", lambda targets, weights: math.nan, "finite"),
    ("q4", lambda targets, weights: ..., "number is needed"),
    ("q4", lambda targets, weights: 1 / 0, "ZeroDivisionError"),
    ("q4", 2.0, "function is needed"),
    ("q5", "a", "never looks"),
    ("q5", "c", "baseline"),
    ("q5", "d", "metric"),
    ("q5", "e", "says now"),
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
