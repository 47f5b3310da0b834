"""Exercises of lesson 12: affinity by hand, the dial, missing labels, a fair comparison."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from mtl_tutorial.exercises.core import (
    AnswerError,
    Exercise,
    choice,
    function,
    leaves_inputs,
    number,
    numbers,
    one_value,
    solution_of,
)
from mtl_tutorial.experiments.few_labels import (
    AS_IT_COMES,
    TUNED,
    at_moment,
    label_runs,
    labels_for,
)

# Exercise 1: losses ½ (θ − 2)² and ½ (θ + 1)² at θ = 0, η = 0.25.
AFFINITIES = {"Z_ab": 1 - 1.125 / 0.5, "Z_ba": 1 - 2.53125 / 2}
AFFINITY_MISTAKES = (
    ((-0.265625, -1.25), "Two right numbers in each other's place. Z_ab: a steps, b is asked."),
    ((1.25, 0.265625), "Mind the sign: where a loss grows, the affinity is below 0."),
    ((2.25, 1.265625), "Those are L after / L before. The affinity is 1 minus that."),
    ((0.4375, 0.4375), "That is what each step does for its own loss. Whose loss is asked?"),
    ((-125.0, -26.5625), "Right, in per cent. A share is asked for: 1 minus L after / L before."),
    ((0.625, 0.53125), "That is how much the loss grows. An affinity divides, and has a sign."),
    (
        (-0.625, -0.53125),
        "That is how much the loss falls. Divide by the loss before.",
    ),
    ((-8.0, -1.25), "A whole gradient is too long a step: η is 0.25."),
    ((0.75, 0.234375), "A step goes against the gradient. Yours has climbed."),
)


def _masked_loss(prediction, target):
    there = ~target.isnan()
    if not there.any():
        return 0 * prediction.sum()
    return ((prediction[there] - target[there]) ** 2).mean()


def _cases() -> list[tuple[Tensor, Tensor]]:
    draws, nan = torch.Generator().manual_seed(0), float("nan")
    cases = [(torch.randn(6, generator=draws), torch.randn(6, generator=draws)) for _ in range(3)]
    for (_, target), missing in zip(cases, ([1, 4], [], range(6)), strict=True):
        target[list(missing)] = nan
    table = torch.tensor([[1.0, nan], [nan, 0.0], [0.0, -2.0]])  # a label of 0 is a label
    one = torch.tensor([2.0], dtype=torch.float64)
    far = torch.tensor([60.0, nan, -35.0])  # large errors are squared, too
    return [
        *cases,
        (torch.zeros(3, 2), table),
        (torch.zeros_like(one), one),
        (torch.zeros(3), far),
    ]


CASES = _cases()
BROKEN = (
    "The value is right, but its gradient is NaN: error² has the slope 2 · error, and 0 · NaN is "
    "NaN. Leave the missing labels out before you compute the error, not after."
)


NO_WAY_BACK = (
    "Where no label is there, your 0 does not come from the predictions, and `backward()` would "
    "stop there. Make it of them: it is then 0 with gradients of 0."
)


def _passes_numbers(answer: Callable) -> str | None:
    """Every prediction gets the gradient that a right loss gives it, and the targets stay."""
    if written := leaves_inputs(CASES)(answer):
        return written
    for prediction, target in CASES:
        slopes: list[Tensor | None] = []
        for loss in (answer, _masked_loss):
            given = prediction.clone().requires_grad_()
            value = loss(given, target.clone())
            if not isinstance(value, Tensor) or not value.requires_grad:
                if target.isnan().all():
                    return NO_WAY_BACK
                return (
                    "The value is right, but no gradient goes back from it to the predictions: "
                    "the network could not learn from it. (`.item()` and `.detach()` cut it off.)"
                )
            value.sum().backward()
            if given.grad is None:
                return NO_WAY_BACK
            slopes.append(given.grad)
        own, right = slopes
        if own is None or right is None or not torch.allclose(own, right, atol=1e-6):
            return BROKEN
    return None


def _read(value: Any, case: tuple) -> float:
    if isinstance(value, Tensor) and value.numel() == 1 and value.isnan():
        if case[1].isnan().all():
            raise AnswerError(
                "Where no label is there, your loss is NaN: a mean over nothing. What should a "
                "batch without labels do to the network?"
            )
        raise AnswerError(
            "Your loss is NaN: a missing label has come into the sum. "
            "(NaNs are in the second argument, the target.)"
        )
    return one_value(value)


def _zeros_in_place(prediction, target):
    return torch.nan_to_num((prediction - target) ** 2).mean()


def _labels_are_zero(prediction, target):
    return ((prediction - torch.nan_to_num(target)) ** 2).mean()


def _sum(prediction, target):
    return torch.nan_to_num((prediction - target) ** 2).sum()


def _halves(prediction, target):
    return _masked_loss(prediction, target) / 2


def _distance(prediction, target):
    there = ~target.isnan()
    return (prediction[there] - target[there]).abs().sum() / max(int(there.sum()), 1)


MASKED_MISTAKES = (
    (_zeros_in_place, "You divide by all examples: zeros stand in place of the missing losses."),
    (_labels_are_zero, "A missing label is taken for the label 0, and the network learns it."),
    (
        _sum,
        "That is a sum, twice as large with twice as many labels: divide by their number.",
    ),
    (_halves, "Half of what is asked for: the mean of the squared errors, without a ½."),
    (_distance, "Those are distances. Squared errors are asked for."),
)


def _labels_alone(runs: pd.DataFrame, moment: str) -> tuple[float, float]:
    """What the box's score with masks is worth at 300 labels; and the score."""
    means = (
        at_moment(runs[runs["task"] == "box"], moment)
        .groupby(["helpers", "labels"])["value"]
        .mean()
    )
    alone, score = means["alone"], means["with mask"].loc[300]
    return labels_for(alone.index, alone, score), score


RUNS = label_runs()[0]
LABELS_ALONE, SCORE = _labels_alone(RUNS, AS_IT_COMES)
IF_CHOSEN, _ = _labels_alone(RUNS, TUNED)

q1 = Exercise(
    name="Exercise 1",
    verdict=numbers(
        AFFINITIES,
        tolerance=5e-3,
        mistakes=AFFINITY_MISTAKES,
        otherwise="{off} is not right yet. Where does the step lead, and what is the other's loss "
        "there?",
    ),
    praise="Both steps hurt the other task, by different shares: an affinity has a direction.",
    hints=(
        "The slopes at θ = 0 are −2 and 1. Where does each step, −0.25 times the slope, lead?",
        "A step of a leads to θ = 0.5. What is ½ (θ + 1)² there, and what was it at 0?",
    ),
    solution_code="""
def loss_a(theta):
    return 0.5 * (theta - 2) ** 2


def loss_b(theta):
    return 0.5 * (theta + 1) ** 2


after_a, after_b = -0.25 * (0 - 2), -0.25 * (0 + 1)
answer = [1 - loss_b(after_a) / loss_b(0), 1 - loss_a(after_b) / loss_a(0)]
""",
)

q2 = Exercise(
    name="Exercise 2",
    verdict=number(
        LABELS_ALONE,
        tolerance=max(3.0, 0.15 * LABELS_ALONE),
        mistakes={
            300: "That is how many labels it has in company. How many does it take alone?",
            round(100 * SCORE): "That looks like the score in per cent. The labels are asked for.",
            round(SCORE, 2): "A score, a difference of two, or nothing, but no number of labels. "
            "How many does it take alone?",
            300 - round(LABELS_ALONE): "So many labels are lost. How many does it take alone?",
            round(IF_CHOSEN): "That is with weight and stop chosen. Turn to equal weights, "
            "to the end.",
            10: "Is the handle at 300 labels, at the right end, and mask the only helper?",
            1000: "The dial ends at 300 labels for the box. Read the end of the sentence.",
        },
        otherwise="Read the end of the sentence, not the curve. Is the task the box, the training "
        "to the end at equal weights, and mask the only helper?",
    ),
    praise="So many of the 300 labels are left in such company, at equal weights and to the end.",
    hints=(
        "Choose box, equal weights, tick mask alone, and drag the handle to the right end.",
        "The sentence below ends with what the score takes alone. A thin broken "
        "line goes from your handle to a ring, and the ring is above that number.",
    ),
    solution_code="""
from mtl_tutorial.experiments.few_labels import AS_IT_COMES, at_moment, label_runs, labels_for

runs = at_moment(label_runs()[0], AS_IT_COMES)
means = runs[runs["task"] == "box"].groupby(["helpers", "labels"])["value"].mean()
alone = means["alone"]
answer = labels_for(list(alone.index), list(alone), means["with mask"].loc[300])
""",
)

q3 = Exercise(
    name="Exercise 3",
    verdict=function(
        _masked_loss,
        CASES,
        returns="the loss",
        read=_read,
        mistakes=MASKED_MISTAKES,
        otherwise="Not the mean over the labels that are there. Try prediction = [0, 0, 0] and "
        "target = [1, nan, 3] on paper.",
        then=_passes_numbers,
    ),
    praise="Only labels that are there count, in the sum and in what divides it, and their "
    "gradients are numbers.",
    hints=(
        "`target.isnan()` says which labels are missing; `~` turns it round.",
        "A tensor takes such a tensor as an index: `prediction[there]` has the others alone.",
        "Where nothing is there, `0 * prediction.sum()` is 0 and has a gradient, of zeros.",
    ),
    solution_code=solution_of(_masked_loss),
)

q4 = Exercise(
    name="Exercise 4",
    verdict=choice(
        "c",
        {
            "a": "In match, this comparison says that the helper makes the task possible. What did "
            "a quarter of the rate show?",
            "b": "What did the first 50 steps of match say of its best helper?",
            "d": "The two then differ in the helper and in the steps. Which of them was it?",
            "e": "With 10 labels a task and no decay, this said that sharing costs, though all was "
            "common. What had to be chosen first?",
        },
    ),
    praise="Alone at its best, in company at its best, equal steps, seeds on both sides.",
    hints=(
        "Which of the five would have told the truth about match, and about many related tasks?",
        "Alone and in company should differ in the helper, and in nothing that could be tuned.",
    ),
    solution_code='answer = "c"',
)
