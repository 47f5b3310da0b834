"""Exercises of lesson 01: overlap, what a task is made of, and why the metric is not the loss."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from mtl_tutorial.exercises.core import (
    AnswerError,
    Exercise,
    as_number,
    choice,
    function,
    number,
    solution_of,
)
from mtl_tutorial.tasks import Task, accuracy


def _task_verdict(answer: Any) -> str | None:
    if isinstance(answer, type):
        raise AnswerError("That is the class `Task` itself. Call it: `Task(name, loss, ...)`.")
    if not isinstance(answer, Task):
        raise AnswerError(f"A `Task` is needed; yours is of type {type(answer).__name__}.")
    if answer.name != "parity":
        return f"The name is how targets are found: it has to be 'parity', not {answer.name!r}."
    if answer.out_features == 10:
        return "A head of width 10 answers which digit it is. Even or odd are two classes."
    if answer.out_features == 1:
        return (
            "Cross-entropy compares classes with each other, and one class alone always wins. "
            "Give the head one output a class."
        )
    if answer.out_features != 2:
        return f"Even or odd: how many classes are that? Your head has {answer.out_features}."
    return _parity_loss_hint(answer) or _parity_metric_hint(answer)


def _parity_loss_hint(task: Task) -> str | None:
    logits = torch.tensor([[2.0, -1.0], [0.5, 0.0], [-1.0, 3.0]], requires_grad=True)
    parity = torch.tensor([0, 1, 1])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the hint below says it better
            loss = task.loss(logits, parity)
    except (RuntimeError, TypeError, ValueError) as error:
        return (
            f"The loss stopped on logits of shape (3, 2) and three class numbers: {error}. "
            f"Which loss did `digit` use?"
        )
    if not isinstance(loss, Tensor) or loss.ndim != 0:
        return "The loss has to be one number for the whole batch, as a tensor."
    if not loss.requires_grad:
        return "Your loss has no gradient, so training can't follow it. That one is a metric."
    if abs(loss.item() - F.cross_entropy(logits, parity).item()) > 1e-4:
        return "The loss has a gradient, but it is not the cross-entropy that classes use."
    return None


def _parity_metric_hint(task: Task) -> str | None:
    logits = torch.tensor([[2.0, -1.0], [0.5, 0.0], [-1.0, 3.0]])
    parity = torch.tensor([0, 1, 1])
    score = as_number(task.metric(logits, parity))
    if abs(score - F.cross_entropy(logits, parity).item()) <= 1e-4:
        return "Your metric is the loss: smaller is better, in nats. People ask how many are right."
    if abs(score - accuracy(logits, parity).item()) > 1e-4:
        return f"Two of three answers are right, but the metric gives {score:.3g}. Which share?"
    return None


# Predicted and true masks that a function for their IoU is tried on.
MASKS = [
    (torch.tensor(predicted) > 0, torch.tensor(true) > 0)
    for predicted, true in (
        ([[1, 1, 0], [0, 0, 0]], [[1, 0, 0], [1, 1, 0]]),
        ([[1, 0, 0], [0, 0, 0]], [[1, 1, 1], [1, 1, 1]]),
        ([[1, 1, 1], [1, 1, 1]], [[0, 1, 0], [0, 0, 0]]),
        ([[1, 0, 0], [0, 0, 0]], [[0, 0, 0], [0, 0, 1]]),
    )
]

# What else a function may work out, from the two masks, and what to say to it.
MASK_MISTAKES = (
    (
        lambda p, t: (p == t).float().mean(),
        "the share of pixels that agree: paper counts there as well as ink. Count ink alone.",
    ),
    (
        lambda p, t: 2 * (p & t).sum() / (p.sum() + t.sum()),
        "Dice, twice the overlap by the sum of both masks. IoU divides by the union.",
    ),
    (
        lambda p, t: (p & t).sum() / (p.sum() + t.sum()),
        "the overlap by the sum of both masks, where it is counted twice. Divide by the union.",
    ),
    (
        lambda p, t: (p & t).sum() / t.sum(),
        "the share of the true mask alone: marking every pixel would be perfect. "
        "Divide by the union.",
    ),
    (
        lambda p, t: (p & t).sum() / p.sum(),
        "the share of the predicted mask alone: marking one sure pixel would be perfect. "
        "Divide by the union.",
    ),
    (lambda p, t: (p & t).sum(), "the number of pixels in both; divide it by the union."),
    (lambda p, t: (p | t).sum(), "the number of pixels in at least one; IoU divides by it."),
)


def _share(value: Any, case: tuple) -> float:
    if value is None:
        raise AnswerError("Your function gives None; does its last line begin with return?")
    return as_number(value)


def _empty_mask_hint(iou: Callable) -> str | None:
    nothing = torch.zeros(2, 3, dtype=torch.bool)
    try:
        empty = iou(nothing.clone(), nothing.clone())
    except ZeroDivisionError:
        empty = math.nan
    if torch.as_tensor(empty, dtype=torch.float64).isnan().any():
        return "With two empty masks it divides 0 by 0. They agree, so let the answer be 1."
    if abs(as_number(empty) - 1) > 1e-3:
        return "Two empty masks agree in every pixel: their IoU has to be 1."
    return None


def _mask_iou(predicted, true):
    overlap = (predicted & true).sum().item()
    union = (predicted | true).sum().item()
    return overlap / union if union else 1.0


q1 = Exercise(
    name="Exercise 1",
    verdict=number(
        1 / 3,
        tolerance=4e-3,
        mistakes={
            1 / 2: "1/2 divides by the area of one box. Divide by the area that both cover.",
            1 / 4: "1/4 divides by the sum of both areas; the overlap is counted twice in it.",
            3: "3 is the union over the intersection. Turn the fraction over: IoU is at most 1.",
            4: "4 is the area of the intersection alone; divide it by the area of the union.",
            1: "1 would be the same box twice. How much of each box lies outside the other?",
            0: "0 would be boxes that do not touch. From x = 2 to x = 4 both are there.",
        },
        otherwise="The intersection is 2 wide and 2 high. The union is both areas minus that.",
    ),
    praise="4 in common, 8 + 8 − 4 = 12 covered: half of each box overlaps, and IoU is 1/3.",
    hints=(
        "Draw both boxes on squared paper, and count squares.",
        "The intersection has area 4. Each box has area 8. The union counts the overlap once.",
    ),
    solution_code="answer = 4 / (8 + 8 - 4)",
)

q2 = Exercise(
    name="Exercise 2",
    verdict=number(
        9,
        tolerance=0.02,
        mistakes={
            5: "5 solves (s − 1) / s = 0.8: that divides by one box. Divide by the union, s + 1.",
            0.8: "0.8 is the IoU that you want. Which side gives it?",
            4: "With side 4 the IoU is 3 / 5 = 0.6: one pixel costs a small box more.",
            10: "With side 10 the IoU is 9 / 11 = 0.82: close, but a little too large.",
            17.485: "17.49 belongs to a move to the right and down. Here it is to the right alone.",
            1 / 9: "That is the share of the side that one pixel is; the side is asked for.",
        },
        otherwise="Put your side s into (s − 1) / (s + 1): does 0.8 come out?",
    ),
    praise="(9 − 1) / (9 + 1) = 0.8. Any smaller box falls below 0.8 for the same one pixel.",
    hints=(
        "Moved by one pixel, a box of side s has s − 1 columns in common with the true one.",
        "The union has s + 1 columns. Solve (s − 1) / (s + 1) = 0.8.",
    ),
    solution_code="answer = 9  # (9 - 1) / (9 + 1) == 0.8",
)

q3 = Exercise(
    name="Exercise 3",
    verdict=_task_verdict,
    praise="Four things make a task, and two of them you could take over from `digit`.",
    hints=(
        "Look at the four parts of `digit`. Which of them change for even and odd?",
        "Two classes need a head of width 2. Loss and metric are those of every classification.",
    ),
    solution_code="""
from torch.nn import functional as F

from mtl_tutorial.tasks import Task, accuracy

answer = Task("parity", F.cross_entropy, accuracy, 2)
""",
)

q4 = Exercise(
    name="Exercise 4",
    verdict=choice(
        "c",
        {
            "a": "Counting right answers is as quick as a cross-entropy. Speed is not the reason.",
            "b": "Range does not matter to a gradient: you can minimise 1 − accuracy. Look at its "
            "slope.",
            "d": "Both read the same targets, no more and no fewer. What differs is the slope.",
            "e": "Accuracy is defined on every batch, even of one scene. Look at its slope.",
        },
    ),
    praise="A tiny step changes no argmax, so accuracy stays flat: its gradient is zero.",
    hints=(
        "Move one logit by a millionth. What happens to the loss? What happens to the accuracy?",
        "The lesson asked PyTorch for the gradient of each metric.",
    ),
    solution_code='answer = "c"',
)

q5 = Exercise(
    name="Exercise 5",
    verdict=function(
        _mask_iou,
        MASKS,
        read=_share,
        tolerance=1e-3,
        mistakes=[(mistake, f"What you give is {what}") for mistake, what in MASK_MISTAKES],
        otherwise=lambda given: (
            f"One pixel is in both of two masks, four are in at least one: their IoU is 1/4, "
            f"and your function gives {given[0]:.3g}."
        ),
        then=_empty_mask_hint,
    ),
    praise="The same idea as for boxes, counted in pixels, and two empty masks agree.",
    hints=(
        "`predicted & true` are the pixels in both, `predicted | true` those in at least one.",
        "Divide the two counts. What if nothing is marked and nothing is there?",
    ),
    solution_code=solution_of(_mask_iou),
)
