"""Each plausible wrong answer in lesson 03 gets the hint that fits it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from exercise_answers import told, wrong_answer_tests

from mtl_tutorial.architectures import CrossStitchUnit
from mtl_tutorial.exercises.lesson_03 import q1, q2, q3, q4, q5

ALL = {"q1": q1, "q2": q2, "q3": q3, "q4": q4, "q5": q5}


def turns_alpha_round(alpha, features):
    return [sum(a * x for a, x in zip(row, features, strict=True)) for row in alpha.T]


def mixes_once(alpha, features):
    return sum(a * x for a, x in zip(alpha[0], features, strict=True))


def knows_two_tasks(alpha, features):
    x, y = features
    return [alpha[0, 0] * x + alpha[0, 1] * y, alpha[1, 0] * x + alpha[1, 1] * y]


def leaves_one_out(alpha, features):
    return turns_alpha_round(alpha, features)[:1]


def adds_all(alpha, features):
    return [sum(features) for _ in features]


WRONG = [
    ("q1", [-1, -2, 2, 0], "Look at α_bb again"),
    ("q1", [-1, -2], "4 numbers are needed"),
    ("q2", 7, "a task with itself included"),
    ("q3", mixes_once, "one mixture"),
    ("q3", knows_two_tasks, "With 3 it stops"),
    ("q3", leaves_one_out, "2 tasks need 2 mixtures"),
    ("q3", adds_all, "not x̃_i"),
    ("q4", 1, "has to stay what it was"),
    ("q5", "f", "is needed"),
]

test_a_wrong_answer_gets_the_hint_that_fits_it, test_four_are_tried = wrong_answer_tests(ALL, WRONG)


@pytest.mark.parametrize("form", [list, tuple, torch.tensor, np.array])
def test_the_gradients_may_be_of_any_form(form, capsys) -> None:
    assert "Correct." in told(q1, form([-1.0, -2.0, 2.0, 6.0]), capsys)


def test_the_gradients_are_those_of_a_real_unit(capsys) -> None:
    unit = CrossStitchUnit(2, 1)
    features = torch.tensor([[[1.0], [2.0]], [[3.0], [5.0]]])
    upstream = torch.tensor([[[1.0], [-1.0]], [[2.0], [0.0]]])
    (upstream * unit(features)).sum().backward()
    assert "Correct." in told(q1, unit.alpha.grad.flatten(), capsys)


def test_the_count_is_that_of_a_real_unit(capsys) -> None:
    unit = CrossStitchUnit(3, 64, "matrix")
    assert "Correct." in told(q2, unit.alpha.numel(), capsys)


def stacks(alpha, features):
    return torch.einsum("ij,j...->i...", alpha, torch.stack(features))


def test_the_mixtures_may_be_one_tensor(capsys) -> None:
    assert "Correct." in told(q3, stacks, capsys)


def unfinished(alpha, features):
    return ...


def test_an_unfinished_function_is_told_so(capsys) -> None:
    assert "gives Ellipsis" in told(q3, unfinished, capsys)
