"""Each plausible wrong answer in lesson 00 gets the hint that fits it."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
import torch
from exercise_answers import told, wrong_answer_tests

from mtl_tutorial.data import load_digits
from mtl_tutorial.exercises.lesson_00 import _end_point, q1, q2, q3, q4
from mtl_tutorial.widgets.scene_sampler import Knobs, compute_scenes, describe_sample

ALL = {"q1": q1, "q2": q2, "q3": q3, "q4": q4}


def two_tasks_only(targets, weights, units):
    low, high = weights["low"] * units["low"] ** 2, weights["high"] * units["high"] ** 2
    return (low * targets["low"] + high * targets["high"]) / (low + high)


def drops_the_last(targets, weights, units):
    names = list(targets)[:2]
    return _end_point({name: targets[name] for name in names}, weights, units)


def spoils_the_weights(targets, weights, units):
    weights.clear()
    return 2.0


def plain_mean(targets, weights, units):
    return sum(targets.values()) / len(targets)


WRONG = [
    ("q1", -3, "Where does it end?"),
    ("q1", 0.333333, "nearer to"),
    ("q1", torch.tensor(4.0), "a little too far"),
    ("q2", 0.02, "By which factor"),
    ("q2", "1/100", "without quotation marks"),
    ("q3", two_tasks_only, "KeyError"),
    ("q3", drops_the_last, "What must their sum be?"),
    ("q3", spoils_the_weights, "What must their sum be?"),
    ("q3", plain_mean, "What must their sum be?"),
    ("q3", lambda targets, weights, units: math.nan, "finite"),
    ("q3", lambda targets, weights, units: 1 / 0, "ZeroDivisionError"),
    ("q3", lambda targets, weights: 1.0, "TypeError"),
    ("q4", (14, 14), "What else differs"),
    ("q4", (22, 22), "What else differs"),
    ("q4", (8, 28), "easier to guess"),
    ("q4", (18, 26), "most room to move"),
    ("q4", (22, 28), "scores 0.68"),
    ("q4", (28, 26), "The smallest comes first"),
    ("q4", (2, 28), "from 8 to 28"),
    ("q4", 28, "2 numbers are needed"),
    ("q4", (14, 22, 28), "yours has 3"),
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
    def as_tensor(targets, weights, units):
        strength = torch.tensor([weights[t] * units[t] ** 2 for t in targets])
        return (strength * torch.tensor(list(targets.values()))).sum() / strength.sum()

    assert "Correct." in told(q3, as_tensor, capsys)
    assert "Correct." in told(q3, lambda *case: np.array([_end_point(*case)]), capsys)


@pytest.mark.parametrize("sizes", [(28, 28), [27, 28], (26.0, 28.0), np.array([26, 28])])
def test_large_digits_of_nearly_one_size_are_found(sizes, capsys) -> None:
    assert "Correct." in told(q4, sizes, capsys)


def test_the_checker_and_the_sampler_name_the_same_score(capsys) -> None:
    source = load_digits("train")
    for sizes in ((14, 22), (22, 28), (23, 28), (24, 28)):
        shown = describe_sample(compute_scenes(source, Knobs("located", *sizes)))
        score = float(re.search(r"mean IoU of (0\.\d\d) at best", shown).group(1))
        said = told(q4, sizes, capsys)
        assert "Correct." in said if score >= 0.70 else f"scores {score:.2f}." in said
