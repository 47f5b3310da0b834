"""Each plausible wrong answer in lesson 13 gets the hint that fits it."""

from __future__ import annotations

import pytest
import torch
from exercise_answers import told, wrong_answer_tests

from mtl_tutorial.architectures import importance_loss
from mtl_tutorial.exercises.lesson_13 import ALIKE, APART, AT_ZERO, q1, q2, q3, q4

ALL = {"q1": q1, "q2": q2, "q3": q3, "q4": q4}

WRONG = [
    ("q1", [0.3, 0.1, 0.6, 2.4], "Not right yet: the weight of expert 1."),
    ("q1", [0.25, 0.125, 0.625], "needed"),
    ("q2", [0.25, 0.2, 0.43], "Not right yet: the overlap at cosine 0."),
    ("q2", 0.25, "needed"),
    ("q3", "f", "is needed"),
    ("q4", lambda gates: gates.mean(), "Not CV²"),
    ("q4", lambda gates: gates.sum(0), "One number is needed"),
    ("q4", lambda gates: importance_loss(gates.detach()), "no gradient comes back"),
    ("q4", lambda gates: importance_loss(gates).item(), "no gradient comes back"),
]

test_each_wrong_answer_gets_its_hint, test_every_exercise_is_tried = wrong_answer_tests(ALL, WRONG)


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("q1", [0.25, 0.125, 0.625, 2.25]),
        ("q2", [AT_ZERO, round(APART, 2), round(ALIKE, 2)]),
        ("q3", "C"),
        ("q4", importance_loss),
        ("q4", lambda g: ((g.mean(0) - g.mean()) ** 2).mean() / g.mean() ** 2),
        ("q1", [0.25, 0.13, 0.63, 2.25]),
        ("q4", lambda g: g.sum(0).var(correction=0) / (len(g) / g.shape[1]) ** 2),
        ("q4", lambda g: g.shape[1] * (g.sum(0) / g.sum()).square().sum() - 1),
    ],
)
def test_right_answers_are_praised(name, answer, capsys) -> None:
    assert "Correct." in told(ALL[name], answer, capsys)


def test_the_first_answer_is_a_softmax() -> None:
    gate = torch.tensor([2.0, 1.0, 5.0]).log().softmax(0)
    assert gate.tolist() == pytest.approx([0.25, 0.125, 0.625])
