"""Exercises of lesson 10: dominance, fronts, and what a weighted sum finds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import torch

from mtl_tutorial.exercises.core import (
    AnswerError,
    Exercise,
    Verdict,
    choice,
    function,
    number,
    solution_of,
)


def letters(right: str, mistakes: Mapping[str, str], otherwise: str) -> Verdict:
    """Make the verdict for a set of letters, given as a text or a list; the order is free.

    Args:
        right: the right ones.
        mistakes: the hint for each wrong set that can be foreseen.
        otherwise: the hint for all others.
    """
    known = set(right).union(*mistakes)

    def judge(answer: Any) -> str | None:
        if not isinstance(answer, (str, list, tuple, set, frozenset)):
            raise AnswerError(
                f'Letters are needed, such as "AC"; yours is of type {type(answer).__name__}.'
            )
        given = {str(item).strip().upper() for item in answer} - {"", ","}
        if wrong := given - known:
            raise AnswerError(
                f"The letters are {', '.join(sorted(known))}; yours has {min(wrong)!r}."
            )
        for name, hint in {right: None, **mistakes}.items():
            if given == set(name):
                return hint
        return otherwise

    return Verdict(judge, tuple(mistakes.items()))


def _dominates(q, p):
    nowhere_worse = all(a <= b for a, b in zip(q, p, strict=True))
    somewhere_better = any(a < b for a, b in zip(q, p, strict=True))
    return nowhere_worse and somewhere_better


PAIRS = [
    (q, p)
    for q in ((1.0, 2.0), (2.0, 1.0), (2.0, 2.0), (1.0, 5.0), (0.5, 0.5))
    for p in ((1.0, 2.0), (2.0, 2.0), (3.0, 1.0), (2.0, 5.0))
]
TRIPLES = [((1.0, 1.0, 3.0), (2.0, 2.0, 2.5)), ((1.0, 3.0, 1.0), (2.0, 2.5, 2.0))]  # worse in one
TWO_ALONE = "That is right for two losses. Look at all of them, however many there are."
DOMINANCE_MISTAKES = (
    (
        lambda q, p: all(a <= b for a, b in zip(q, p, strict=True)),
        "Two equal points would dominate each other. One value has to be smaller.",
    ),
    (
        lambda q, p: all(a < b for a, b in zip(q, p, strict=True)),
        "A tie in one loss is allowed: (1, 2) dominates (2, 2).",
    ),
    (
        lambda q, p: any(a < b for a, b in zip(q, p, strict=True)),
        "Better somewhere is not enough: it must be nowhere worse as well.",
    ),
    (
        lambda q, p: any(a <= b for a, b in zip(q, p, strict=True)),
        "Better somewhere is not enough: it must be nowhere worse as well.",
    ),
    (lambda q, p: _dominates(p, q), "These are losses: small is good. Yours is the other way."),
    (
        lambda q, p: sum(q) < sum(p),
        "You compare the sums, so one loss can pay for the other. Compare loss by loss.",
    ),
    (
        lambda q, p: sum(q) <= sum(p),
        "You compare the sums, so one loss can pay for the other. Compare loss by loss.",
    ),
)


def _as_truth(value: Any, case: tuple) -> bool:
    if isinstance(value, (torch.Tensor, np.ndarray)) and value.shape == ():
        value = value.item()
    if isinstance(value, Iterable):
        raise AnswerError("One True or False is needed for all losses together: use all and any.")
    if not isinstance(value, (bool, np.bool_)):
        raise AnswerError(f"True or False is needed; yours gives {value!r}.")
    return bool(value)


def _more_losses_hint(dominates: Callable) -> str | None:
    try:
        right = all(_as_truth(dominates(*case), case) == _dominates(*case) for case in TRIPLES)
    except Exception:  # such as too many values to unpack
        right = False
    return None if right else TWO_ALONE


# A (1, 5), B (2, 3), C (3, 3), D (4, 1), E (2, 4), all losses.
q1 = Exercise(
    name="Exercise 1",
    verdict=letters(
        "ABD",
        {
            "ABCDE": "B ties with C in one loss and with E in the other, and is better in the "
            "rest. A tie does not save a point.",
            "ABCD": "B is nowhere worse than C: the losses of task 2 tie, and that of task 1 is "
            "smaller.",
            "ABDE": "B is nowhere worse than E: the losses of task 1 tie, and that of task 2 is "
            "smaller.",
            "ACDE": "You took large for good. These are losses.",
            "BD": "Those have the smallest mean. No mean is taken: A has the smallest loss of "
            "task 1, so nothing dominates it.",
            "B": "B is a good compromise, but nothing dominates A or D either.",
            "AD": "Those are the ends, the best for one task each. Does anything dominate B?",
            "CE": "Those are the dominated ones. The front is the rest.",
        },
        "Take each point: is there another one that is nowhere worse, and somewhere better?",
    ),
    praise="B dominates C and E, each with a tie in one loss.",
    hints=(
        "Which point has the smallest loss of task 1? Nothing can dominate it.",
        "Compare B with C, and B with E.",
    ),
    solution_code='answer = "ABD"',
)

q2 = Exercise(
    name="Exercise 2",
    verdict=function(
        _dominates,
        PAIRS,
        returns="something",
        read=_as_truth,
        mistakes=DOMINANCE_MISTAKES,
        otherwise="q dominates p if every loss of q is at most that of p, and one is smaller.",
        then=_more_losses_hint,
    ),
    praise="Nowhere worse, and somewhere better.",
    hints=(
        "Two conditions: one with `all`, one with `any`.",
        "`all(a <= b for a, b in zip(q, p, strict=True))` is the first one.",
    ),
    solution_code=solution_of(_dominates),
)

# Accuracy and milliseconds: A (0.90, 5), B (0.80, 3), C (0.85, 6), D (0.70, 2), E (0.75, 4).
q3 = Exercise(
    name="Exercise 3",
    verdict=letters(
        "ABD",
        {
            "D": "You took a small accuracy for good. It is to be large; the time is to be small.",
            "AC": "You took a long time for good. It is to be short; the accuracy is to be large.",
            "CDE": "Both are turned round: you keep what is slow and wrong. Large accuracy, short "
            "time.",
            "C": "Both are turned round: you keep what is slow and wrong. Large accuracy, short "
            "time.",
            "CE": "Those are the dominated ones. The front is the rest.",
            "AD": "Those are the most accurate one and the fastest one. Does anything dominate B?",
            "AB": "D is the fastest, so nothing dominates it.",
            "ABCD": "A is more accurate than C, and faster.",
            "ABDE": "B is more accurate than E, and faster.",
        },
        "Turn one of the two round, for example accuracy to error. Then small is good in both.",
    ),
    praise="With the error in place of the accuracy, or a minus sign, small is good in both.",
    hints=(
        "`non_dominated` takes small for good. Which column needs a minus sign?",
        "A against C: more accurate, and faster.",
    ),
    solution_code="""
import torch

from mtl_tutorial.experiments import non_dominated

networks = torch.tensor([[0.90, 5], [0.80, 3], [0.85, 6], [0.70, 2], [0.75, 4]])
keep = non_dominated(networks * torch.tensor([-1.0, 1.0]))
answer = [letter for letter, kept in zip("ABCDE", keep.tolist()) if kept]
""",
)

# λ L₁ + (1 − λ) / L₁ is least where λ = (1 − λ) / L₁²; at L₁ = 2, λ = 1/5.
q4 = Exercise(
    name="Exercise 4",
    verdict=number(
        0.2,
        tolerance=5e-3,
        mistakes={
            0.8: "That is the weight of task 2. λ belongs to task 1.",
            0.25: "That is the ratio λ / (1 − λ). Solve it for λ.",
            4.0: "That is the ratio (1 − λ) / λ. Solve it for λ.",
            0.5: "With equal weights the sum ends at (1, 1), where the front has slope −1.",
            1 / 3: "You took the slope −1/L₁. The derivative of 1/L₁ is −1/L₁².",
            -0.25: "That is the slope of the front there. A weight is not negative.",
        },
        otherwise="Put the derivative of λ L₁ + (1 − λ) / L₁ to zero at L₁ = 2.",
    ),
    praise="The level line with weights 0.2 and 0.8 has the slope of the front, −1/4.",
    hints=(
        "Where the sum is least, its level line touches the front: the slopes are equal.",
        "The front has the slope −1/L₁² = −1/4, the level line −λ / (1 − λ).",
    ),
    solution_code="answer = 0.2  # λ / (1 − λ) = 1/4",
)

# P (0, 10), Q (4, 7), R (7, 4), S (10, 0); weights 0.6 and 0.4.
q5 = Exercise(
    name="Exercise 5",
    verdict=choice(
        "b",
        {
            "a": "The sums are 4, 5.2, 5.8 and 6, so P is right for the sum. For min-max take the "
            "larger of the two weighted losses: 4, 2.8, 4.2 and 6.",
            "c": "The other way round: the sum goes to an end, min-max to the inside.",
            "d": "You gave the weight 0.6 to task 2.",
            "e": "Q and R lie above the line from P to S, so no weight makes the sum choose them.",
        },
    ),
    praise="The sum goes to an end of this front, whatever the weights. Min-max does not.",
    hints=(
        "For each point, work out 0.6 L₁ and 0.4 L₂.",
        "The sum adds them, min-max takes the larger one. Then look for the smallest.",
    ),
    solution_code='answer = "b"',
)
