"""Each plausible wrong answer in lesson 07 gets the hint that fits it."""

from __future__ import annotations

from exercise_answers import told, wrong_answer_tests

from mtl_tutorial.balancing import gradnorm_step, training_rates
from mtl_tutorial.exercises.lesson_07 import q1, q2, q3, q4

ALL = {"q1": q1, "q2": q2, "q3": q3, "q4": q4}


def gives_one_number(g, losses, first_losses, alpha):
    return g.mean()


def gives_a_float(g, losses, first_losses, alpha):
    return g.mean().item()


WRONG = [
    ("q1", [1, 1, 1], "First L / L(0)"),
    ("q1", [0.75, 1.5], "3 numbers are needed"),
    ("q2", [0.5, 1.5], "Targets"),
    ("q3", "f", "is needed"),
    ("q4", gives_one_number, "mean(G)"),
    ("q4", gives_a_float, "Give a tensor"),
]

test_a_wrong_answer_gets_the_hint_that_fits_it, test_four_are_tried = wrong_answer_tests(ALL, WRONG)


def test_the_packages_numbers_are_right(capsys) -> None:
    assert "Correct." in told(q1, training_rates([1, 4, 0.5], [2, 4, 1]), capsys)
    made = gradnorm_step([1, 1], [3, 2], [1.5, 0.5], alpha=1, learning_rate=0.1)
    assert "Correct." in told(q2, made.new_weights, capsys)
