"""Each plausible wrong answer in lesson 05 gets the hint that fits it."""

from __future__ import annotations

import math

import pytest
import torch
from exercise_answers import told, wrong_answer_tests

from mtl_tutorial.architectures import CrossModalAttention, recall_at_1
from mtl_tutorial.exercises.lesson_05 import q1, q2, q3, q4

ALL = {"q1": q1, "q2": q2, "q3": q3, "q4": q4}


def one_a_sound(logits):
    return (logits.argmax(dim=0) == torch.arange(len(logits))).float()


def always_four(logits):
    return sum(int(logits[:, j].argmax()) == j for j in range(len(logits))) / 4


def mean_of_the_diagonal(logits):
    return logits.diagonal().mean()


LN3 = math.log(3)
WRONG = [
    ("q1", [0.25, 0.75, 0.5, 0.5], "Look at α_21"),
    ("q1", [0.25, 0.75], "4 numbers are needed"),
    ("q2", 0.3, "Ten sums"),
    ("q3", one_a_sound, "one value a sound"),
    ("q3", always_four, "number of pairs fixed"),
    ("q3", mean_of_the_diagonal, "yours gives 4.5"),
    ("q4", "f", "is needed"),
]

test_a_wrong_answer_gets_the_hint_that_fits_it, test_four_are_tried = wrong_answer_tests(ALL, WRONG)


def test_the_packages_attention_gives_the_weights_that_are_asked_for(capsys) -> None:
    attention = CrossModalAttention(1)
    attention.weight.data.fill_(LN3)
    answer = attention.weights(torch.tensor([[[1.0], [2.0]]]))[0].flatten()
    assert "Correct." in told(q1, answer, capsys)


def test_the_packages_recall_of_the_turned_matrix_is_right(capsys) -> None:
    assert "Correct." in told(q3, lambda logits: recall_at_1(logits.T), capsys)


@pytest.mark.parametrize("answer", [0.1056, torch.tensor(0.10556)])
def test_the_share_may_be_rounded_and_of_any_type(answer, capsys) -> None:
    assert "Correct." in told(q2, answer, capsys)


def test_the_largest_size_is_not_the_largest_similarity(capsys) -> None:
    def by_size(logits):
        pairs = torch.arange(len(logits))
        return (logits.abs().argmax(dim=0) == pairs).float().mean()

    assert "may be negative" in told(q3, by_size, capsys)
