"""Each plausible wrong answer in lesson 08 gets the hint that fits it."""

from __future__ import annotations

import torch
from exercise_answers import told, wrong_answer_tests

from mtl_tutorial.balancing import mgda, pcgrad
from mtl_tutorial.balancing.pcgrad import pcgrad_weights
from mtl_tutorial.exercises.lesson_08 import q1, q2, q3, q4

ALL = {"q1": q1, "q2": q2, "q3": q3, "q4": q4}
PAIR = torch.tensor([[4.0, 1.0], [-1.0, 1.0]])


def counts_every_entry(gradients):
    return ((gradients @ gradients.T) < 0).float().mean()


def counts_agreement(gradients):
    dots = gradients @ gradients.T
    pairs = [dots[i, j] >= 0 for i in range(len(dots)) for j in range(i)]
    return sum(pairs) / len(pairs)


def gives_the_number(gradients):
    dots = gradients @ gradients.T
    return sum(dots[i, j] < 0 for i in range(len(dots)) for j in range(i))


def counts_pairs_twice(gradients):
    count = len(gradients)
    return ((gradients @ gradients.T) < 0).sum() / (count * (count - 1) / 2)


def counts_tasks(gradients):
    return ((gradients @ gradients.T) < 0).any(dim=1).float().mean()


def gives_nothing(gradients):
    counts_tasks(gradients)


def gives_a_half(gradients):
    return 0.5


WRONG = [
    ("q1", [3, 2], "plain sum"),
    ("q1", [75 / 68, 125 / 68], "mean"),
    ("q1", [2.5, 2.5], "first one alone"),
    ("q1", [-5 / 17, 20 / 17], "second one alone"),
    ("q1", [6 - 75 / 34, 4 - 125 / 34], "Mind the sign"),
    ("q1", mgda(PAIR), "MGDA"),
    ("q1", [1, 1], "v_1"),
    ("q1", 3, "2 numbers are needed"),
    ("q2", [2, 1.25], "other way round"),
    ("q2", [0.75, 0], "Mind the sign"),
    ("q2", [0.25, 1], "keeps its own 1"),
    ("q2", [1, 1], "there is a conflict"),
    ("q2", [1.5, 2], "no root"),
    ("q2", [0.625, 1], "does not take the mean"),
    ("q2", [3, 3], "The weights are"),
    ("q3", "a", "150°"),
    ("q3", "c", "two tasks"),
    ("q3", "d", "only where"),
    ("q3", "e", "is needed"),
    ("q4", counts_every_entry, "every pair twice"),
    ("q4", counts_agreement, "do not conflict"),
    ("q4", gives_the_number, "number of pairs"),
    ("q4", counts_pairs_twice, "counts each pair twice"),
    ("q4", counts_tasks, "share of tasks"),
    ("q4", gives_nothing, "return"),
    ("q4", gives_a_half, "For each pair"),
    ("q4", 3, "A function is needed"),
]

test_a_wrong_answer_gets_the_hint_that_fits_it, test_four_are_tried = wrong_answer_tests(ALL, WRONG)


def test_the_packages_answers_are_right(capsys) -> None:
    assert "Correct." in told(q1, pcgrad(PAIR), capsys)
    assert "Correct." in told(q2, pcgrad_weights([[4, -1], [-1, 1]]), capsys)
