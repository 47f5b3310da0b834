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


def gives_all_the_same(alpha, features):
    return [mixes_once(alpha, features) for _ in features]


def keeps_to_itself(alpha, features):
    return [alpha[i, i] * x for i, x in enumerate(features)]


def knows_two_tasks(alpha, features):
    x, y = features
    return [alpha[0, 0] * x + alpha[0, 1] * y, alpha[1, 0] * x + alpha[1, 1] * y]


def leaves_one_out(alpha, features):
    return turns_alpha_round(alpha, features)[:1]


def adds_all(alpha, features):
    return [sum(features) for _ in features]


def gives_nothing(alpha, features):
    sum(features)


WRONG = [
    ("q1", [-1, 2, -2, 6], "changed places"),
    ("q1", [1, 2, -2, -6], "signs are turned"),
    ("q1", [-0.5, -1, 1, 3], "No mean"),
    ("q1", [3, 8, 3, 8], "sums of the features"),
    ("q1", [0, 0, 2, 2], "Multiply with the features first"),
    ("q1", [-1, -2, 2, 0], "Look at α_bb again"),
    ("q1", [-1, -2], "4 numbers are needed"),
    ("q2", 4096, "one C × C matrix"),
    ("q2", 12288, "its own mixture"),
    ("q2", 576, "`channel` form"),
    ("q2", 9, "`scalar` form"),
    ("q2", 24576, "from itself too"),
    ("q2", 16384, "right for 2 tasks"),
    ("q2", 192, "pairs of tasks first"),
    ("q2", 7, "a task with itself included"),
    ("q3", turns_alpha_round, "changed places"),
    ("q3", mixes_once, "one mixture"),
    ("q3", gives_all_the_same, "first row's mixture"),
    ("q3", keeps_to_itself, "only its own features"),
    ("q3", knows_two_tasks, "With 3 it stops"),
    ("q3", leaves_one_out, "2 tasks need 2 mixtures"),
    ("q3", adds_all, "not x̃_i"),
    ("q3", gives_nothing, "return"),
    ("q3", lambda: None, "TypeError"),
    ("q3", 3, "A function is needed"),
    ("q4", 3, "features grew"),
    ("q4", 0.3, "ten times as much"),
    ("q4", 0.09, "features that stayed"),
    ("q4", 9, "0.9 stays"),
    ("q4", 0.003, "not a hundred"),
    ("q4", 1, "has to stay what it was"),
    ("q5", "a", "comparison stays unfair"),
    ("q5", "c", "second encoder"),
    ("q5", "d", "unfair comparison precise"),
    ("q5", "e", "what they are good for"),
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
