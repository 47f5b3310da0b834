"""Each plausible wrong answer in lesson 12 gets the hint that fits it."""

from __future__ import annotations

import pytest
import torch
from exercise_answers import told, wrong_answer_tests

from mtl_tutorial.exercises.lesson_12 import LABELS_ALONE, q1, q2, q3, q4

ALL = {"q1": q1, "q2": q2, "q3": q3, "q4": q4}


def where_after(prediction, target):
    there = ~target.isnan()
    squares = torch.where(there, (prediction - target) ** 2, torch.zeros(()))
    return squares.sum() / there.sum().clamp(min=1)


def mean_of_nothing(prediction, target):
    return ((prediction - target) ** 2).nanmean()


def plain_mean(prediction, target):
    return ((prediction - target) ** 2).mean()


def number_alone(prediction, target):
    there = ~target.isnan()
    return ((prediction - target)[there] ** 2).sum().item() / max(int(there.sum()), 1)


def cubes(prediction, target):
    there = ~target.isnan()
    return ((prediction - target)[there].abs() ** 3).sum() / max(int(there.sum()), 1)


def zero_without_a_graph(prediction, target):
    kept = [
        (p - t) ** 2
        for p, t in zip(prediction.ravel(), target.ravel(), strict=True)
        if not t.isnan()
    ]
    return sum(kept) / len(kept) if kept else torch.tensor(0.0)


def nothing_is_0(prediction, target):
    there = ~target.isnan()
    return ((prediction - target)[there] ** 2).mean() if there.any() else 0


def a_leaf(prediction, target):
    there = ~target.isnan()
    if there.any():
        return ((prediction - target)[there] ** 2).mean()
    return torch.zeros((), requires_grad=True)


def writes_over(prediction, target):
    there = ~target.isnan()
    target[~there] = 0
    squares = ((prediction - target) * there) ** 2
    return squares.sum() / there.sum().clamp(min=1)


def the_other_way_round(target, prediction):
    there = ~target.isnan()
    return ((prediction - target)[there] ** 2).mean()


def nearly_squares(prediction, target):
    there = ~target.isnan()
    if not there.any():
        return 0 * prediction.sum()
    return torch.nn.functional.huber_loss(prediction[there], target[there], delta=5)


WRONG = [
    ("q1", [-125, -26.56], "in per cent"),
    ("q2", 0.12, "a difference of two"),
    ("q2", 263, "labels are lost"),
    ("q2", 224, "weight and stop chosen"),
    ("q2", 60, "not the curve"),
    ("q2", 10, "at the right end"),
    ("q3", lambda p, t: 2 * nearly_squares(p, t), "Not the mean over the labels"),
    ("q3", nothing_is_0, "`backward()` would stop"),
    ("q3", zero_without_a_graph, "`backward()` would stop"),
    ("q3", a_leaf, "`backward()` would stop"),
    ("q3", writes_over, "writes into the tensors"),
    ("q3", the_other_way_round, "the second argument"),
    ("q1", [0, 0], "Z_ab is not right yet"),
    ("q1", [-1.25, 0], "Z_ba is not right yet"),
    ("q1", 3, "2 numbers are needed"),
    ("q2", 150, "Read the end of the sentence"),
    ("q2", "30", "without quotation marks"),
    ("q3", where_after, "its gradient is NaN"),
    ("q3", mean_of_nothing, "a mean over nothing"),
    ("q3", plain_mean, "has come into the sum"),
    ("q3", number_alone, "`.item()`"),
    ("q3", cubes, "on paper"),
    ("q4", "f", "is needed"),
]

test_a_wrong_answer_gets_the_hint_that_fits_it, test_four_are_tried = wrong_answer_tests(ALL, WRONG)


def filled(prediction, target):
    there = ~target.isnan()
    error = torch.where(there, prediction - target.nan_to_num(), torch.zeros(()))
    return (error**2).sum() / there.sum().clamp(min=1)


def by_weights(prediction, target):
    there = (~target.isnan()).float()
    return (there * (prediction - target.nan_to_num()) ** 2).sum() / there.sum().clamp(min=1)


@pytest.mark.parametrize("answer", [filled, by_weights])
def test_a_masked_loss_may_be_written_in_several_ways(answer, capsys) -> None:
    assert "Correct." in told(q3, answer, capsys)


def test_the_dial_says_what_exercise_2_asks_for() -> None:
    assert 10 < LABELS_ALONE < 300
