"""Exercises of lesson 00: weighted sums, units, and guesses that never look."""

from __future__ import annotations

from typing import Any

from mtl_tutorial.exercises.core import (
    AnswerError,
    Exercise,
    Verdict,
    as_function,
    as_number,
    choice,
    number,
    solution_of,
)

# Targets and weights that a function for the end point is tried on, and what each one finds out.
TRIALS = (
    ({"low": 0.0, "high": 4.0}, {"low": 1.0, "high": 1.0}, "equal weights"),
    ({"low": 1.0, "high": 4.0}, {"low": 3.0, "high": 1.0}, "different weights"),
    ({"a": 1.0, "b": 2.0, "c": -6.0}, {"a": 0.5, "b": 1.5, "c": 2.0}, "three tasks"),
    ({"a": 5.0, "b": -1.0}, {"b": 2.0, "a": 0.0}, "a weight of 0"),
)


def _end_point_verdict(answer: Any) -> str | None:
    function = as_function(answer)
    for targets, weights, name in TRIALS:
        given = function(dict(targets), dict(weights))
        if given is None:
            raise AnswerError("Your function gives None; does its last line begin with return?")
        value = as_number(given)
        if abs(value - _end_point(targets, weights)) <= 1e-3:
            continue
        case = f"With {name} (targets {targets}, weights {weights}) it gives {value:.3g}."
        for mistake, hint in END_POINT_MISTAKES:
            if abs(value - mistake(targets, weights)) <= 1e-3:
                return f"{case} {hint}"
        return f"{case} The gradient of the weighted sum is not zero there."
    return None


def _end_point(targets: dict[str, float], weights: dict[str, float]) -> float:
    weighted = sum(weights[task] * target for task, target in targets.items())
    return weighted / sum(weights.values())


def _weighted_sum(targets: dict[str, float], weights: dict[str, float]) -> float:
    return sum(weights[task] * target for task, target in targets.items())


END_POINT_MISTAKES = (
    (
        lambda targets, weights: sum(targets.values()) / len(targets),
        "That is the plain mean; the weights do not count in it yet.",
    ),
    (_weighted_sum, "That is the weighted sum; divide it by the sum of the weights."),
    (
        lambda targets, weights: _weighted_sum(targets, weights) / len(targets),
        "That divides by the number of tasks; divide by the sum of the weights.",
    ),
    (
        lambda targets, weights: (
            sum(w * t for w, t in zip(weights.values(), targets.values(), strict=True))
            / sum(weights.values())
        ),
        "Look weights up by the task's name: the two dicts differ in order.",
    ),
)


q1 = Exercise(
    name="Exercise 1",
    verdict=number(
        8,
        mistakes={
            6: "6 is the plain mean: where equal weights would end. Here they are 1 and 3.",
            4: "4 is what you get with the two weights swapped. Which target has weight 3?",
            32: "32 is the weighted sum of the targets; divide it by the sum of the weights.",
            16: "16 divides by the number of tasks; divide by the sum of the weights.",
            10: "10 is what the heavier task wants. It pulls harder, but the other one pulls too.",
        },
        otherwise="Set the gradient to zero: 1 · (θ − 2) + 3 · (θ − 10) = 0. Which θ does that?",
    ),
    praise="1 · (8 − 2) = 6 and 3 · (8 − 10) = −6: the two pulls cancel.",
    hints=(
        "Training ends where the weighted pulls cancel.",
        "θ* = (λ_low · t_low + λ_high · t_high) / (λ_low + λ_high).",
    ),
    solution_code="answer = (1 * 2 + 3 * 10) / (1 + 3)",
)

q2 = Exercise(
    name="Exercise 2",
    verdict=number(
        3,
        mistakes={
            0.75: "0.75 is the share that `high` has of both weights. How large is its weight?",
            1 / 3: "1/3 ends at 1: it pulls the number towards 0. You want 3, nearer to 4.",
            1: "Weight 1 is the equal one; it ends in the middle, at 2.",
            4: "Weight 4 ends at 16 / 5 = 3.2: a little too far.",
            2: "Weight 2 ends at 8 / 3 = 2.67: not far enough.",
        },
        otherwise="Put it into θ* = 4 λ / (1 + λ): does 3 come out?",
    ),
    praise="4 · 3 / (1 + 3) = 3: three times as far from 0 as from 4.",
    hints=(
        "Write θ* down with λ_high unknown, and set it to 3.",
        "4 λ / (1 + λ) = 3. Multiply both sides by 1 + λ.",
    ),
    solution_code="answer = 3  # 4 * 3 / (1 + 3) == 3",
)

q3 = Exercise(
    name="Exercise 3",
    verdict=number(
        0.01,
        tolerance=1e-6,
        mistakes={
            100: "100 goes the wrong way: loss and weight multiply, so both together give 10,000.",
            0.1: "0.1 undoes the factor of the error, 10. The loss is squared: its factor is 100.",
            10: "10 makes the loss even larger. The weight has to undo a factor of the loss.",
            1: "Weight 1 leaves the loss 100 times as large as before; the compromise moves.",
            0.0001: "0.0001 squares the factor twice: 100 is already the square of 10.",
            -0.01: "The size is right; but a negative weight pushes away from the target.",
        },
        otherwise="λ_high · (100 · L_high) has to equal 1 · L_high.",
    ),
    praise="0.01 · 100 = 1. A weight has units too: those of one over its loss.",
    hints=(
        "In the sum, only the product of weight and loss counts.",
        "How much larger is the loss after the change of unit? Which weight undoes that?",
    ),
    solution_code="answer = 1 / 100",
)

q4 = Exercise(
    name="Exercise 4",
    verdict=Verdict(_end_point_verdict, END_POINT_MISTAKES),
    praise="It is right for any number of tasks, and a task of weight 0 has no say.",
    hints=(
        "`targets` and `weights` are dicts with the same keys: the names of the tasks.",
        "Add up weight times target, task by task; then divide by the sum of the weights.",
    ),
    solution_code=solution_of(_end_point),
)

q5 = Exercise(
    name="Exercise 5",
    verdict=choice(
        "b",
        {
            "a": "IoU does not start at 0. What did the guess that never looks score?",
            "c": "0.50 would be a coin's accuracy at two classes. IoU has a baseline of its own.",
            "d": "A loss has units and no scale of its own. A metric can be judged by a baseline.",
            "e": "More training may help, but the question is what the number says now.",
        },
    ),
    praise="A score says something once you know what a guess that never looks would get.",
    hints=(
        "Which baseline did the lesson measure for the box task?",
        "Compare 0.42 with the score of the mean box.",
    ),
    solution_code='answer = "b"',
)
