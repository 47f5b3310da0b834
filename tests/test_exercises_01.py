"""Each plausible wrong answer in lesson 01 gets the hint that fits it."""

from __future__ import annotations

import math

import pytest
import torch
from exercise_answers import told, wrong_answer_tests
from torch.nn import functional as F

from mtl_tutorial.exercises.lesson_01 import q1, q2, q3, q4, q5
from mtl_tutorial.tasks import Task, accuracy

ALL = {"q1": q1, "q2": q2, "q3": q3, "q4": q4, "q5": q5}


def parity(
    name: object = "parity", loss=F.cross_entropy, metric=accuracy, out_features: int = 2
) -> Task:
    return Task(name, loss, metric, out_features)


def one_hot_error(prediction, target):
    return F.mse_loss(prediction, F.one_hot(target, 2).float())


def per_scene(prediction, target):
    return F.cross_entropy(prediction, target, reduction="none")


def share_wrong(prediction, target):
    return 1 - accuracy(prediction, target)


def number_right(prediction, target):
    return (prediction.argmax(1) == target).sum()


def dice(predicted, true):
    return 2 * (predicted & true).sum() / (predicted.sum() + true.sum())


def forgets_empty(predicted, true):
    return (predicted & true).sum() / (predicted | true).sum()


def forgets_empty_in_python(predicted, true):
    return (predicted & true).sum().item() / (predicted | true).sum().item()


def nothing_for_empty(predicted, true):
    return (predicted & true).sum() / (predicted | true).sum().clamp(min=1)


def prints_only(predicted, true):
    dice(predicted, true)


def spoils_the_masks(predicted, true):
    predicted.zero_()
    return 0.5


WRONG = [
    ("q1", torch.tensor(0.5), "area of one box"),
    ("q1", 0.9, "both areas minus"),
    ("q2", 7, "(s − 1) / (s + 1)"),
    ("q3", parity(name="digit"), "has to be 'parity'"),
    ("q3", parity(out_features=10), "width 10"),
    ("q3", parity(out_features=1), "one output a class"),
    ("q3", parity(out_features=3), "how many classes"),
    ("q3", parity(loss=accuracy), "no gradient"),
    ("q3", parity(loss=F.mse_loss), "Which loss did `digit` use?"),
    ("q3", parity(loss=one_hot_error), "not the cross-entropy"),
    ("q3", parity(loss=per_scene), "one number for the whole batch"),
    ("q3", parity(metric=F.cross_entropy), "metric is the loss"),
    ("q3", parity(metric=share_wrong), "Which share?"),
    ("q3", parity(metric=number_right), "Which share?"),
    ("q3", Task, "the class `Task` itself"),
    ("q3", "parity", "of type str"),
    ("q4", " B ", "Range"),
    ("q5", forgets_empty, "0 by 0"),
    ("q5", forgets_empty_in_python, "0 by 0"),
    ("q5", nothing_for_empty, "Two empty masks agree"),
]


test_a_wrong_answer_gets_the_hint_that_fits_it, test_four_are_tried = wrong_answer_tests(ALL, WRONG)


@pytest.mark.parametrize(
    ("exercise", "answer", "key"),
    [
        (q1, "1/3", "without quotation marks"),
        (q1, [1, 3], "One number"),
        (q2, math.nan, "finite"),
        (q2, None, "Not answered yet"),
        (q3, ..., "Not answered yet"),
        (q3, ["parity", 2], "A `Task` is needed"),
        (q4, 3, "quotation marks"),
        (q4, "f", "'f'"),
        (q5, 0.5, "A function is needed"),
        (q5, prints_only, "gives None"),
        (q5, lambda predicted: 1, "stopped with TypeError"),
        (q5, lambda predicted, true: predicted.missing, "stopped with AttributeError"),
        (q5, spoils_the_masks, "their IoU is 1/4"),
        (q5, lambda predicted, true: "one", "without quotation marks"),
    ],
)
def test_a_broken_answer_gets_a_sentence(exercise, answer, key, capsys) -> None:
    said = told(exercise, answer, capsys)
    assert "Correct." not in said
    assert key in said


def test_an_answer_of_another_form_is_right_too(capsys) -> None:
    for exercise, answer in [(q1, torch.tensor(1 / 3)), (q2, 9.0), (q4, "C"), (q1, 0.33)]:
        assert "Correct." in told(exercise, answer, capsys)


def test_hints_come_one_after_the_other_and_the_last_stays(capsys) -> None:
    for exercise in ALL.values():
        for expected in (*exercise.hints, exercise.hints[-1]):
            exercise.hint()
            assert expected in capsys.readouterr().out
