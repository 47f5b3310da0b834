"""Each plausible wrong answer in lesson 06 gets the hint that fits it."""

from __future__ import annotations

import torch
from exercise_answers import told, wrong_answer_tests

from mtl_tutorial.balancing import UncertaintyWeights, dwa_weights
from mtl_tutorial.exercises.lesson_06 import q1, q2, q3, q4
from mtl_tutorial.tasks import Task, accuracy

ALL = {"q1": q1, "q2": q2, "q3": q3, "q4": q4}
LAST, BEFORE = [0.5, 2.0, 1.0], [1.0, 2.0, 4.0]


def stays(s, loss, c, rate):
    return s


WRONG = [
    ("q1", 1, "ends at"),
    ("q1", "100", "without quotation marks"),
    ("q2", [0.3, 0.4, 0.3], "3"),
    ("q2", torch.softmax(torch.tensor([0.25, 0.5, 0.125]), 0), "sum to 1"),
    ("q2", dwa_weights(LAST, BEFORE, temperature=1), "temperature"),
    ("q2", dwa_weights(BEFORE, LAST), "turned over"),
    ("q2", 3 * torch.softmax(torch.tensor(LAST) / 2, 0), "compares each loss with itself"),
    ("q2", [1, 1, 1], "First r"),
    ("q2", 1.2, "3 numbers are needed"),
    ("q3", "e", "is needed"),
    ("q3", 3, "quotation marks"),
    ("q4", stays, "The derivative of"),
]

test_a_wrong_answer_gets_the_hint_that_fits_it, test_four_are_tried = wrong_answer_tests(ALL, WRONG)


def test_the_speed_weights_are_the_packages(capsys) -> None:
    assert "Correct." in told(q2, dwa_weights(LAST, BEFORE), capsys)


def test_the_weight_is_where_the_package_ends(capsys) -> None:
    tasks = [Task(name, torch.nn.functional.mse_loss, accuracy, 1) for name in ("one", "two")]
    balancer = UncertaintyWeights(tasks, learning_rate=0.2)
    anchor = torch.zeros((), requires_grad=True)
    for _ in range(600):
        balancer.backward({task.name: 0 * anchor + 0.005 for task in tasks}, None)
    assert "Correct." in told(q1, balancer.weights["one"], capsys)
