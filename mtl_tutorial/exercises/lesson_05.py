"""Exercises of lesson 05: attention between senses, what one sense can know, and recall."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch

from mtl_tutorial.exercises.core import (
    AnswerError,
    Exercise,
    Verdict,
    as_number,
    choice,
    function,
    number,
    numbers,
    solution_of,
)

# Exercise 1: one feature a sense, h = (1, 2), W = ln 3; scores ln 3 · [[1, 2], [2, 4]].
ALPHA = {"α_11": 3 / 12, "α_12": 9 / 12, "α_21": 9 / 90, "α_22": 81 / 90}
E1, E2 = 1 / (1 + math.e), 1 / (1 + math.e**2)
MISTAKEN_ALPHAS = (
    (
        (3 / 12, 9 / 90, 9 / 12, 81 / 90),
        "Your columns sum to 1. The softmax runs over n, the second index: the rows sum to 1.",
    ),
    (
        (1 / 3, 2 / 3, 1 / 3, 2 / 3),
        "That divides the scores by their sum. A softmax takes their exponentials first.",
    ),
    (
        (3 / 102, 9 / 102, 9 / 102, 81 / 102),
        "All four of yours sum to 1. Each row has a softmax of its own.",
    ),
    (
        (E1, 1 - E1, E2, 1 - E2),
        "You left out W. The score is h_m · W · h_n, with W = ln 3.",
    ),
    (
        tuple(math.log(3) * score for score in (1, 2, 2, 4)),
        "Those are the scores. Turn each row into weights by a softmax.",
    ),
    ((3, 9, 9, 81), "Those are the exponentials of the scores. Divide each by the sum of its row."),
)


q1 = Exercise(
    name="Exercise 1",
    verdict=numbers(
        ALPHA,
        tolerance=4e-3,
        mistakes=MISTAKEN_ALPHAS,
        otherwise="Look at {off} again: exp(score) over the sum of its row, with exp(ln 3 · k) = "
        "3ᵏ.",
    ),
    praise="3¹ and 3² in the first row, 3² and 3⁴ in the second. The larger h_n draws the weight.",
    hints=(
        "The scores are ln 3 times 1, 2 in the first row and 2, 4 in the second.",
        "exp(ln 3 · k) = 3ᵏ. First row: 3 / (3 + 9) and 9 / (3 + 9).",
    ),
    solution_code="answer = [3 / 12, 9 / 12, 9 / 90, 81 / 90]",
)

_sum_verdict = number(
    0.95 / 9,
    tolerance=1e-3,
    mistakes={
        0.05: "Twice the digit is right in 5 scenes of 100. One of the other sums does better.",
        0.95: "In 95 scenes of 100 the digits differ, but nine other digits share them.",
        0.5: "Half was right where sounds match half of the time. Here they do in 5 of 100.",
        0.1: "Ten digits would have 0.1 each if all were equally likely. They are not.",
        1 / 19: "The network sees the image: only ten of the nineteen sums are left.",
        0.095: "The other 0.95 are shared by nine digits, not ten.",
        1: "The image alone does not tell what is heard.",
    },
    otherwise="Ten sums are possible. How likely is twice the digit, how likely each other?",
)


def _rounded_sum_verdict(answer: Any) -> str | None:
    return None if as_number(answer) == 0.11 else _sum_verdict(answer)  # two decimals are enough


q2 = Exercise(
    name="Exercise 2",
    verdict=Verdict(_rounded_sum_verdict, _sum_verdict.wrong),
    praise="Each of nine other digits comes with probability 0.95 / 9, more than the 0.05 of a "
    "match.",
    hints=(
        "The image gives one digit. What can the other be, and how likely is each?",
        "The same digit: 0.05. Each of the nine others: (1 − 0.05) / 9. Take the largest.",
    ),
    solution_code="answer = max(0.05, (1 - 0.05) / 9)",
)


def _recall_of_sounds(logits):
    return (logits.argmax(dim=0) == torch.arange(len(logits))).float().mean()


# Columns: 5 is the largest of its column, 6 is not on the diagonal, 9 neither, 7 neither.
LOGITS = torch.tensor([[5.0, 6.0, 0.0, 7.0], [1.0, 4.0, 9.0, 2.0], [0, 0, 3, 0], [2, 1, 1, 6]])
RECALL_MISTAKES = (
    (
        lambda logits: _recall_of_sounds(logits.T),
        "Yours lets images ask. A sound is a column: it finds the largest entry of its own.",
    ),
    (
        lambda logits: _recall_of_sounds(logits) * len(logits),
        "Yours counts the sounds that found one. Divide by the number of sounds.",
    ),
    (
        lambda logits: 0 * _recall_of_sounds(logits),
        "Yours finds none. The right image of sound j is in row j; take the largest entry.",
    ),
)


def _recall(value: Any, case: tuple) -> float:
    if isinstance(value, torch.Tensor) and value.shape == (4,):
        raise AnswerError("That is one value a sound. Recall is their mean, one number.")
    return as_number(value)


def _other_sizes_and_signs_hint(recall: Callable) -> str | None:
    if abs(as_number(recall(torch.eye(3))) - 1) > 1e-4:
        return "Where every sound finds its image, recall is 1. Is your number of pairs fixed?"
    if abs(as_number(recall(torch.tensor([[0.1, -0.9], [-0.9, 0.1]]))) - 1) > 1e-4:
        return "A similarity may be negative, and then it is smaller than every positive one."
    return None


q3 = Exercise(
    name="Exercise 3",
    verdict=function(
        _recall_of_sounds,
        [(LOGITS,)],
        returns="the share",
        read=_recall,
        tolerance=1e-4,
        mistakes=RECALL_MISTAKES,
        otherwise=lambda given: (
            f"Here one sound of four finds its image, so recall is 0.25; yours gives {given[0]:g}."
        ),
        then=_other_sizes_and_signs_hint,
    ),
    praise="Each column asks, `argmax(dim=0)` answers, and the mean is a share.",
    hints=(
        "Sound j is column j. Which row holds the largest entry of each column?",
        "`logits.argmax(dim=0)` gives that row. It should be `torch.arange(len(logits))`.",
    ),
    solution_code=solution_of(_recall_of_sounds, "import torch"),
)

q4 = Exercise(
    name="Exercise 4",
    verdict=choice(
        "c",
        {
            "a": "One weight is shared by all tasks, `speaker` among them, and `speaker` can't be "
            "told from an image. Which products are summed?",
            "b": "The second row is the sound asking. Which product does it weigh by 1?",
            "d": "The lesson measured it: the weights were the same on clean and on noisy scenes.",
            "e": "A weight that never moves can't tell one scene from another. It belongs to the "
            "network, as its wiring does.",
        },
    ),
    praise="Σ_m Σ_n α_mn h_m ⊙ h_n = h_1 ⊙ h_1 + h_2 ⊙ h_1. The sound enters through a product.",
    hints=(
        "Write the sum out: four products, each times its weight.",
        "α_11 h_1 ⊙ h_1 + α_12 h_1 ⊙ h_2 + α_21 h_2 ⊙ h_1 + α_22 h_2 ⊙ h_2. Which are left?",
    ),
    solution_code='answer = "c"',
)
