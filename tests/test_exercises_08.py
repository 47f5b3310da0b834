"""Each plausible wrong answer in lesson 08 gets the hint that fits it."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from exercise_answers import told, wrong_answer_tests

from mtl_tutorial.balancing import pcgrad
from mtl_tutorial.exercises.lesson_08 import q1, q2, q3, q4

ALL = {"q1": q1, "q2": q2, "q3": q3, "q4": q4}


def cuts_in_place(jacobian):
    direction = torch.zeros_like(jacobian[0])
    for i, v in enumerate(jacobian):  # v is a row of the table itself
        for j in torch.randperm(len(jacobian)).tolist():
            if j != i and v @ jacobian[j] < 0:
                v -= (v @ jacobian[j]) / (jacobian[j] @ jacobian[j]) * jacobian[j]
        direction += v
    return direction


def shuffles_and_forgets(jacobian):
    order = list(range(len(jacobian)))
    direction = torch.zeros_like(jacobian[0])
    for i, own in enumerate(jacobian):
        random.sample(order, len(order))
        v = own.clone()
        for j in order:
            if j != i and v @ jacobian[j] < 0:
                v = v - (v @ jacobian[j]) / (jacobian[j] @ jacobian[j]) * jacobian[j]
        direction = direction + v
    return direction


def of_two_only(jacobian):
    return pcgrad(jacobian[:2])


WRONG = [
    ("q1", cuts_in_place, "has that gradient been cut already"),
    ("q1", shuffles_and_forgets, "the order matters"),
    ("q1", of_two_only, "Right for two tasks, not for three"),
    ("q1", lambda jacobian: jacobian[0], "on paper"),
    ("q1", lambda jacobian: 0.5, "of the shape (3,); yours is ()"),
    ("q1", lambda jacobian: "v", "is of type str"),
    ("q1", lambda jacobian: ..., "Your function gives Ellipsis"),
    ("q2", 2, "Where is it zero?"),
    ("q3", "e", "is needed"),
    ("q4", "fast", "A number is needed"),
]

test_a_wrong_answer_gets_the_hint_that_fits_it, test_four_are_tried = wrong_answer_tests(ALL, WRONG)


def one_order_for_all(jacobian):
    """As the authors' code has it: one shuffle, the same for every task."""
    order = np.random.permutation(len(jacobian))
    direction = torch.zeros(jacobian.shape[1])
    for own in jacobian:
        v = own.numpy()
        for other in jacobian[order].numpy():
            if not np.array_equal(other, own) and v @ other < 0:
                v = v - (v @ other) / (other @ other) * other
        direction = direction + torch.from_numpy(v)
    return direction


@pytest.mark.parametrize("right", [pcgrad, one_order_for_all, lambda j: pcgrad(j).tolist()])
def test_surgery_may_be_written_in_other_ways(right, capsys) -> None:
    assert "Correct." in told(q1, right, capsys)


def test_the_learners_random_numbers_are_left_as_they_were(capsys) -> None:
    before = torch.get_rng_state()
    told(q1, pcgrad, capsys)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("rate", [0.15, torch.tensor(0.15)])
def test_the_smallest_rate_that_is_fast_enough_is_right(rate, capsys) -> None:
    assert "Correct." in told(q4, rate, capsys)
