"""Exercises of lesson 06: loss weights from units, noise and speed."""

from __future__ import annotations

import math

from mtl_tutorial.exercises.core import (
    Exercise,
    choice,
    function,
    number,
    numbers,
    solution_of,
)

LAST, BEFORE, TEMPERATURE = (0.5, 2.0, 1.0), (1.0, 2.0, 4.0), 2.0


def _softmax(values: list[float]) -> list[float]:
    powers = [math.exp(value) for value in values]
    return [power / sum(powers) for power in powers]


def _speed(last, before, temperature) -> list[float]:
    rates = [a / b / temperature for a, b in zip(last, before, strict=True)]
    return [len(rates) * share for share in _softmax(rates)]


SPEED = _speed(LAST, BEFORE, TEMPERATURE)
SPEED_MISTAKES = (
    (
        [share / len(SPEED) for share in SPEED],
        "These sum to 1. The weights sum to the number of tasks, T = 3.",
    ),
    (
        _speed(LAST, BEFORE, 1.0),
        "That is the softmax of r itself. Divide r by the temperature first.",
    ),
    (
        _speed(BEFORE, LAST, TEMPERATURE),
        "Your r is turned over: the last mean goes above, the one before below.",
    ),
    (
        [3 * share for share in _softmax([value / TEMPERATURE for value in LAST])],
        "That is the softmax of the last losses. The method compares each loss with itself, "
        "an epoch earlier.",
    ),
    (
        [a / b for a, b in zip(LAST, BEFORE, strict=True)],
        "These are the r. The weights are T softmax(r / τ).",
    ),
)


def _speed_hint(given: tuple[float, ...]) -> str:
    if abs(sum(given) - 3) > 0.15:
        return f"The weights sum to T = 3; yours sum to {sum(given):.3g}."
    return "First r = last / before, then 3 · softmax(r / 2)."


POINTS = ((-1.0, 0.3, 0.5, 0.2), (0.7, 1.5, 0.5, 0.05), (0.4, 2.0, 1.0, 0.1))  # s, L, c, rate
STEP_MISTAKES = (
    (
        lambda s, loss, c, rate: s + rate * (0.5 - c * math.exp(-s) * loss),
        "That goes up the bowl. A descent step goes against the derivative.",
    ),
    (
        lambda s, loss, c, rate: s + rate * c * math.exp(-s) * loss,
        "The derivative of s / 2 is missing: without it s would grow for ever.",
    ),
    (
        lambda s, loss, c, rate: s - rate * (1 - c * math.exp(-s) * loss),
        "The derivative of s / 2 is 1/2, not 1.",
    ),
    (
        lambda s, loss, c, rate: s - rate * (0.5 + c * math.exp(-s) * loss),
        "The derivative of e^(−s) is −e^(−s): mind the sign.",
    ),
    (
        lambda s, loss, c, rate: s - rate * (0.5 - math.exp(-s) * loss),
        "The factor c is missing: 1/2 for regression.",
    ),
    (
        lambda s, loss, c, rate: s - rate * (0.5 - c * math.exp(s) * loss),
        "The weight is e^(−s), not e^s.",
    ),
    (
        lambda s, loss, c, rate: 0.5 - c * math.exp(-s) * loss,
        "That is the derivative. Take a step against it: s − rate · derivative.",
    ),
)


def _step(s, loss, c, rate):
    derivative = 1 / 2 - c * math.exp(-s) * loss
    return s - rate * derivative


q1 = Exercise(
    name="Exercise 1",
    verdict=number(
        100,
        mistakes={
            200: "1 / L is what e^(−s) ends at. For regression the weight is half of that.",
            50: "The half is in there already: λ = c e^(−s) = (1/2) · (1 / L).",
            math.log(0.005): "That is the log-variance s. The weight is e^(−s) / 2.",
            0.005: "That is the variance, e^s. The weight is one over it, halved.",
            0.0025: "Turned over: the smaller the loss, the larger its weight.",
        },
        otherwise="The weight ends at 1 / (2 L).",
    ),
    praise="1 / (2 · 0.005) = 100. Weight times loss is 1/2, for every task.",
    hints=(
        "The tiny example printed where the weights end.",
        "1 / (2 L), with L = 0.005.",
    ),
    solution_code="answer = 1 / (2 * 0.005)",
)

q2 = Exercise(
    name="Exercise 2",
    verdict=numbers(
        dict(zip(["task 1", "task 2", "task 3"], SPEED, strict=True)),
        mistakes=SPEED_MISTAKES,
        otherwise=_speed_hint,
    ),
    praise="The second task did not move at all (r = 1), so it gets most. The third was fastest.",
    hints=(
        "r = [0.5 / 1, 2 / 2, 1 / 4].",
        "`3 * torch.softmax(torch.tensor(r) / 2, dim=0)`, or `speed_weights` from the lesson.",
    ),
    solution_code="""
import torch

r = torch.tensor([0.5, 2.0, 1.0]) / torch.tensor([1.0, 2.0, 4.0])
answer = 3 * torch.softmax(r / 2, dim=0)
""",
)

q3 = Exercise(
    name="Exercise 3",
    verdict=choice(
        "b",
        {
            "a": "Equal weights look at the sum. What do the two updates do to the product?",
            "c": "The first one halves one loss and doubles the other: its product stays at 0.02.",
            "d": "A unit is a factor on both sides of the comparison. It cancels.",
        },
    ),
    praise="The first leaves the product at 0.02, the second halves it. What a human would want "
    "is another question.",
    hints=("Before: 2 · 0.01. After the first: 1 · 0.02.", "After the second: 2 · 0.005."),
    solution_code='answer = "b"',
)

q4 = Exercise(
    name="Exercise 4",
    verdict=function(
        _step,
        POINTS,
        returns="new s",
        tolerance=1e-6,
        mistakes=STEP_MISTAKES,
        otherwise="The derivative of c e^(−s) L + s / 2 is 1/2 − c e^(−s) L. Step against it.",
    ),
    praise="A loss above its optimum pushes s up, and the weight down.",
    hints=(
        "Derive c e^(−s) L + s / 2 by s.",
        "The derivative is 1/2 − c e^(−s) L. The new s is s − rate · derivative.",
    ),
    solution_code=solution_of(_step, "import math"),
)
