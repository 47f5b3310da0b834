"""Each plausible wrong answer in lesson 05 gets the hint that fits it."""

from __future__ import annotations

import math

import pytest
import torch
from exercise_answers import told, wrong_answer_tests

from mtl_tutorial.architectures import CrossModalAttention, recall_at_1
from mtl_tutorial.exercises.lesson_05 import q1, q2, q3, q4

ALL = {"q1": q1, "q2": q2, "q3": q3, "q4": q4}


def images_ask(logits):
    return (logits.argmax(dim=1) == torch.arange(len(logits))).float().mean()


def counts(logits):
    return (logits.argmax(dim=0) == torch.arange(len(logits))).sum() * 1.0


def one_a_sound(logits):
    return (logits.argmax(dim=0) == torch.arange(len(logits))).float()


def takes_the_least(logits):
    return (logits.argmin(dim=0) == torch.arange(len(logits))).float().mean() * 0


def always_four(logits):
    return sum(int(logits[:, j].argmax()) == j for j in range(len(logits))) / 4


def mean_of_the_diagonal(logits):
    return logits.diagonal().mean()


def gives_nothing(logits):
    logits.argmax(dim=0)


LN3 = math.log(3)
WRONG = [
    ("q1", [0.25, 0.1, 0.75, 0.9], "columns sum to 1"),
    ("q1", [1 / 3, 2 / 3, 1 / 3, 2 / 3], "exponentials first"),
    ("q1", [0.0294, 0.0882, 0.0882, 0.794], "softmax of its own"),
    ("q1", [0.2689, 0.7311, 0.1192, 0.8808], "left out W"),
    ("q1", [LN3, 2 * LN3, 2 * LN3, 4 * LN3], "Those are the scores"),
    ("q1", [3, 9, 9, 81], "exponentials of the scores"),
    ("q1", [0.25, 0.75, 0.5, 0.5], "Look at α_21"),
    ("q1", [0.25, 0.75], "4 numbers are needed"),
    ("q2", 0.05, "Twice the digit"),
    ("q2", 0.95, "nine other digits share"),
    ("q2", 0.5, "match half of the time"),
    ("q2", 0.1, "equally likely"),
    ("q2", 1 / 19, "sees the image"),
    ("q2", 0.095, "not ten"),
    ("q2", 1, "does not tell"),
    ("q2", 0.3, "Ten sums"),
    ("q3", images_ask, "lets images ask"),
    ("q3", counts, "Divide by the number"),
    ("q3", one_a_sound, "one value a sound"),
    ("q3", takes_the_least, "finds none"),
    ("q3", always_four, "number of pairs fixed"),
    ("q3", mean_of_the_diagonal, "yours gives 4.5"),
    ("q3", gives_nothing, "return"),
    ("q3", 0.25, "A function is needed"),
    ("q4", "a", "shared by all tasks"),
    ("q4", "b", "second row"),
    ("q4", "d", "clean and on noisy"),
    ("q4", "e", "never moves"),
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
