"""Exercises of lesson 09: transfer, multi-task learning and meta-learning."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.func import grad

from mtl_tutorial.exercises.core import (
    Exercise,
    as_number,
    choice,
    function,
    number,
    numbers,
    solution_of,
)

# Exercise 1: losses ½·1·(θ − 2)² and ½·3·(θ + 1)², α = 0.1, θ = 1.
SLOPES = {"MAML": -0.81 + 2.94, "first order": -0.9 + 4.2}
SLOPE_MISTAKES = (
    ((5.0, 5.0), "Those are the slopes before the step: −1 and 6. Each task takes a step first."),
    ((3.3, 2.13), "The other way round: MAML has the factor 1 − α h twice, first order once."),
    ((1.065, 1.65), "That is the mean over the two tasks. The objective is their sum."),
    ((2.13, 2.13), "First order takes the slope at θ′ as it is: one factor 1 − α h less."),
    (
        (3.3, 3.3),
        "MAML's gradient goes through the step: one more factor 1 − α h, the slope of θ′.",
    ),
    (
        (2.13, 5.0),
        "First order leaves out how θ′ depends on θ. But it takes the slope at θ′, not at θ.",
    ),
    (
        (-0.81, -0.9),
        "That is the first task alone. The second one has slope 3 · (θ + 1) = 6 before its step.",
    ),
)


def _meta_loss(loss, theta, support, query, rate):
    total = 0.0
    for given, asked in zip(support, query, strict=True):
        adapted = theta - rate * grad(loss)(theta, given)
        total = total + loss(adapted, asked)
    return total


def _squared(theta, target):
    return ((theta - target) ** 2).sum()


THETA = torch.tensor([1.0, -0.5])
SUPPORT = [torch.tensor([0.0, 1.0]), torch.tensor([2.0, 2.0]), torch.tensor([-1.0, 0.5])]
QUERY = [torch.tensor([0.3, 1.2]), torch.tensor([1.5, 2.5]), torch.tensor([-1.5, 0.2])]
RATES = (0.1, 0.3)


CASES = [(_squared, THETA, SUPPORT, QUERY, rate) for rate in RATES]
META_LOSS_MISTAKES = (
    (
        lambda loss, theta, support, query, rate: _meta_loss(loss, theta, support, support, rate),
        "You judge on the support set, from which the task has learned. Use the query set.",
    ),
    (
        lambda loss, theta, support, query, rate: sum(loss(theta, asked) for asked in query),
        "That is the loss at θ, before the step. Judge θ′.",
    ),
    (
        lambda loss, theta, support, query, rate: (
            _meta_loss(loss, theta, support, query, rate) / len(support)
        ),
        "That is the mean over the tasks. MAML's objective is the sum.",
    ),
    (
        lambda loss, theta, support, query, rate: _meta_loss(loss, theta, query, query, rate),
        "You adapt on the query set: that looks at the answers. Use support.",
    ),
    (
        lambda loss, theta, support, query, rate: _meta_loss(loss, theta, query, support, rate),
        "Support and query are swapped: adapt on support, judge on query.",
    ),
    (
        lambda loss, theta, support, query, rate: _meta_loss(loss, theta, support, query, -rate),
        "Mind the sign: a step goes against the gradient.",
    ),
)
NO_GRADIENT = (
    "The value is right, but no gradient goes through it. Return a tensor, without `float`, "
    "`.item()` or `.detach()`."
)


def _value(given: Any, case: tuple) -> float:
    return as_number(given.detach() if isinstance(given, torch.Tensor) else given)


def _gradient_hint(meta_loss: Callable) -> str | None:
    """Judge the gradient of a function whose values are right."""
    theta = THETA.clone().requires_grad_()
    sums = [meta_loss(_squared, theta, SUPPORT, QUERY, rate) for rate in RATES]
    if not all(isinstance(value, torch.Tensor) and value.requires_grad for value in sums):
        return NO_GRADIENT
    given = torch.cat([torch.autograd.grad(value, theta)[0] for value in sums]).tolist()
    if _near(given, _slopes()):
        return None
    if _near(given, _slopes(first_order=True)):
        return (
            "The value is right, but its gradient is that of first-order MAML: it does not go "
            "through the step. Use the slope of the support loss as it is, without `.detach()`."
        )
    return "The value is right, its gradient is not. θ′ has to depend on θ, and on the slope at θ."


def _slopes(*, first_order: bool = False) -> list[float]:
    """The gradient of the right function for each rate, one after the other."""
    slopes: list[float] = []
    for rate in RATES:
        factor = 1 if first_order else 1 - 2 * rate  # 1 − α h, with h = 2
        pairs = zip(SUPPORT, QUERY, strict=True)
        slope = torch.stack([2 * (THETA - rate * 2 * (THETA - s) - q) for s, q in pairs]).sum(0)
        slopes += (factor * slope).tolist()
    return slopes


def _near(given: Sequence[float], wanted: Sequence[float]) -> bool:
    return all(math.isclose(a, b, abs_tol=1e-3) for a, b in zip(given, wanted, strict=True))


# Exercise 4: n_1 = 21, n_2 = 20, d = 10, σ = 1, c = 0.25: saved 1 − 1/3 = 2/3, cos = 1 − 4/3.
TURNING = math.degrees(math.acos(1 - (1 - 1 / 3) / 0.5))

q1 = Exercise(
    name="Exercise 1",
    verdict=numbers(
        SLOPES,
        tolerance=0.011,
        mistakes=SLOPE_MISTAKES,
        otherwise="Slopes before the step: −1 and 6. Factors 1 − α h: 0.9 and 0.7. MAML has each "
        "factor squared, first order once. Then add.",
    ),
    praise="The slope of the plain sum is 5. The steep task counts for less, and least in MAML.",
    hints=(
        "h_i (θ − a_i) is −1 for the first task and 6 for the second. Then come the factors.",
        "The factors 1 − α h_i are 0.9 and 0.7: squared for MAML, once for first order.",
    ),
    solution_code="""
before, factor = (1 * (1 - 2), 3 * (1 + 1)), (1 - 0.1 * 1, 1 - 0.1 * 3)
maml = sum(b * f**2 for b, f in zip(before, factor))
first_order = sum(b * f for b, f in zip(before, factor))
answer = [maml, first_order]
""",
)

q2 = Exercise(
    name="Exercise 2",
    verdict=choice(
        "c",
        {
            "a": "With zero inner steps nothing is adapted, so no second derivative appears. "
            "But what becomes of θ′ in the objective?",
            "b": "That would be transfer: two stages. Here all tasks are in one sum.",
            "d": "The heads are part of MAML's θ. Without inner steps no task has parameters of "
            "its own.",
        },
    ),
    praise="θ′ is θ, so the objective is a plain sum over tasks, with every parameter shared.",
    hints=("Put θ′ = θ into MAML's objective.", "Which parameters does one task have for itself?"),
    solution_code='answer = "c"',
)

q3 = Exercise(
    name="Exercise 3",
    verdict=function(
        _meta_loss,
        CASES,
        returns="the sum",
        read=_value,
        tolerance=1e-3,
        mistakes=META_LOSS_MISTAKES,
        otherwise="For each task: θ′ = θ − rate · slope of the support loss, then add the query "
        "loss at θ′.",
        then=_gradient_hint,
    ),
    praise="Adapt on support, judge on query, add over tasks: that is MAML's objective.",
    hints=(
        "`grad(loss)(theta, given)` is the slope of the support loss at θ.",
        "Loop over `zip(support, query)`: one step on the first, then the loss on the second.",
    ),
    solution_code=solution_of(_meta_loss, "from torch.func import grad"),
)

q4 = Exercise(
    name="Exercise 4",
    verdict=number(
        TURNING,
        tolerance=1.0,
        mistakes={
            1 - 4 / 3: "That is the cosine of the angle. `math.degrees(math.acos(...))` turns it "
            "into degrees.",
            math.acos(-1 / 3): "That is the angle in radians. Give degrees.",
            180 - TURNING: "Mind the sign: cos = 1 − (2/3) / (2 c), which is negative here.",
            113.6: "Is that with c = (n2 / n)²? Here c = 0.25.",
            91.54: "Is that with the exact c, as in `turning_angle`? Here c = 0.25.",
            90.0: "A right angle is not special. Where are the two errors equal?",
        },
        otherwise="Alone 1, jointly 1/3 + 0.25 · (2 − 2 cos angle). Set them equal.",
    ),
    praise="More than a right angle: ten numbers from 21 samples with this noise need help.",
    hints=(
        "Alone: 10 / (21 − 11) = 1. The variance jointly: 10 / (41 − 11) = 1/3.",
        "0.25 · (2 − 2 cos) = 2/3. Solve for the cosine, then for the angle.",
    ),
    solution_code="""
import math

alone, less_noise, c = 10 / (21 - 11), 10 / (41 - 11), 0.25
answer = math.degrees(math.acos(1 - (alone - less_noise) / (2 * c)))
""",
)

q5 = Exercise(
    name="Exercise 5",
    verdict=choice(
        "b",
        {
            "a": "Multi-task needs the old images while it learns the new task. They are gone.",
            "c": "MAML's start has to be learned before, from few-shot tasks. What was trained "
            "here is an ordinary classifier.",
            "d": "From scratch throws away what the classifier knows, and was the worst at five "
            "examples a class.",
        },
    ),
    praise="Fine-tuning, or a probe, needs the trained network alone.",
    hints=("Which methods still need the old images?", "Which start was trained how?"),
    solution_code='answer = "b"',
)
