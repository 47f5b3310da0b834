"""Each plausible wrong answer in lesson 08 gets the hint that fits it."""

from __future__ import annotations

import torch
from exercise_answers import told, wrong_answer_tests

from mtl_tutorial.balancing import mgda, pcgrad
from mtl_tutorial.balancing.pcgrad import pcgrad_weights
from mtl_tutorial.exercises.lesson_08 import q1, q2, q3, q4

ALL = {"q1": q1, "q2": q2, "q3": q3, "q4": q4}
PAIR = torch.tensor([[4.0, 1.0], [-1.0, 1.0]])


def gives_a_half(gradients):
    return 0.5


WRONG = [
    ("q1", mgda(PAIR), "MGDA"),
    ("q1", [1, 1], "v_1"),
    ("q1", 3, "2 numbers are needed"),
    ("q2", [3, 3], "The weights are"),
    ("q3", "e", "is needed"),
    ("q4", gives_a_half, "For each pair"),
]

test_a_wrong_answer_gets_the_hint_that_fits_it, test_four_are_tried = wrong_answer_tests(ALL, WRONG)


def test_the_packages_answers_are_right(capsys) -> None:
    assert "Correct." in told(q1, pcgrad(PAIR), capsys)
    assert "Correct." in told(q2, pcgrad_weights(torch.tensor([[4.0, -1.0], [-1.0, 1.0]])), capsys)
