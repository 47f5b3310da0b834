"""Exercises of lesson 00: weighted sums, units, and answers that never look."""

from __future__ import annotations

import functools
from typing import Any

from mtl_tutorial.data import load_digits
from mtl_tutorial.exercises.core import (
    AnswerError,
    Exercise,
    Verdict,
    as_numbers,
    function,
    number,
    solution_of,
)
from mtl_tutorial.experiments.chance import POOL, blind_box_iou
from mtl_tutorial.profiles import load_profile

# Targets, weights and units that a function for the end point is tried on.
TRIALS = [
    ({"low": 0.0, "high": 4.0}, {"low": 3.0, "high": 1.0}, {"low": 1.0, "high": 2.0}),
    ({"low": 1.0, "high": 4.0}, {"low": 1.0, "high": 1.0}, {"high": 1.0, "low": 10.0}),
    (
        {"a": 1.0, "b": 2.0, "c": -6.0},
        {"c": 2.0, "a": 0.5, "b": 1.5},
        {"b": 0.5, "c": 1.0, "a": 3.0},
    ),
    ({"a": 5.0, "b": -1.0}, {"b": 2.0, "a": 0.0}, {"a": 7.0, "b": 0.1}),
]


def _end_point(targets, weights, units):
    strength = {task: weights[task] * units[task] ** 2 for task in targets}
    pulled = sum(strength[task] * target for task, target in targets.items())
    return pulled / sum(strength.values())


def _weighted_mean(strength):
    """The end point with another idea of how strong each task is."""

    def end(targets, weights, units):
        strong = {task: strength(weights[task], units[task]) for task in targets}
        return sum(strong[task] * targets[task] for task in targets) / sum(strong.values())

    return end


def _over_weights(targets, weights, units):
    pulled = sum(weights[task] * units[task] ** 2 * targets[task] for task in targets)
    return pulled / sum(weights.values())


def _sum_alone(targets, weights, units):
    return sum(weights[task] * units[task] ** 2 * targets[task] for task in targets)


def _by_order(targets, weights, units):
    rows = list(zip(targets.values(), weights.values(), units.values(), strict=True))
    return sum(w * u**2 * t for t, w, u in rows) / sum(w * u**2 for _, w, u in rows)


END_POINT_MISTAKES = (
    (
        _weighted_mean(lambda weight, unit: weight),
        "The units do not count in yours yet. Where do they stand in the gradient?",
    ),
    (
        _weighted_mean(lambda weight, unit: weight * unit),
        "A task with a unit of 10 counts 10 times in yours. How many times as large is its loss?",
    ),
    (
        _weighted_mean(lambda weight, unit: unit**2),
        "The weights do not count in yours.",
    ),
    (
        _weighted_mean(lambda weight, unit: weight / unit**2),
        "A larger unit makes a loss smaller in yours. Does a task measured in millimetres pull "
        "less?",
    ),
    (
        _over_weights,
        "With all targets at the same place, θ has to end there. Does it? Look at what you divide "
        "by.",
    ),
    (
        _sum_alone,
        "With all targets at the same place, θ has to end there. Yours grows with the "
        "number of tasks.",
    ),
    (_by_order, "Two dicts may list the tasks in different orders. How do you find a task's own?"),
)


def _pulls_at(given: list) -> str:
    targets, weights, units = TRIALS[0]
    pulls = {t: weights[t] * units[t] ** 2 * (given[0] - targets[t]) for t in targets}
    words = ", ".join(f"{task} {pull:.3g}" for task, pull in pulls.items())
    return (
        f"With targets {targets}, weights {weights} and units {units} yours ends at "
        f"{given[0]:.3g}. The terms of the gradient there: {words}. What must their sum be?"
    )


ENOUGH = 0.70  # mean IoU of an answer that never looks
SMALLEST, LARGEST = 8, 28  # pixels; the ends of the sampler's slider


@functools.cache
def _blind_iou(smallest: float, largest: float) -> float:
    """The number that the sampler shows at these sizes."""
    source = load_digits("train", digits=load_profile().digits)
    return round(blind_box_iou(source, (smallest, largest)), 2)


def _sizes_verdict(answer: Any) -> str | None:
    smallest, largest = as_numbers(answer, ["the smallest", "the largest"])
    if smallest > largest:
        raise AnswerError(f"The smallest comes first; yours are {smallest:g} and {largest:g}.")
    if smallest < SMALLEST or largest > LARGEST:
        raise AnswerError(f"The slider goes from {SMALLEST} to {LARGEST} pixels.")
    score = _blind_iou(smallest, largest)
    if score >= ENOUGH:
        return None
    said = f"At {smallest:g} to {largest:g} px never looking scores {score:.2f}."
    if smallest < 14 and largest > 22:
        return f"{said} Are more sizes or fewer easier to guess?"
    if largest - smallest <= 2 and largest <= 22:
        return f"{said} All boxes are about as large. What else differs from scene to scene?"
    return f"{said} Which of these digits have the most room to move? Leave some of them out."


q1 = Exercise(
    name="Exercise 1",
    verdict=number(
        3,
        mistakes={
            0.75: "0.75 is the share that `high` has of both weights. How large is its weight?",
            1 / 3: "1/3 ends at 1. Which task do you want it nearer to?",
            1: "Weight 1 is the equal one; it ends in the middle, at 2.",
            4: "Weight 4 ends at 16 / 5 = 3.2: a little too far.",
            2: "Weight 2 ends at 8 / 3 = 2.67: not far enough.",
        },
        otherwise="Put your weight into the formula of θ*. Where does it end?",
    ),
    praise="4 · 3 / (1 + 3) = 3: three times as far from 0 as from 4.",
    hints=(
        "Write θ* down with λ_high unknown, and set it to 3.",
        "4 λ / (1 + λ) = 3. Multiply both sides by 1 + λ.",
    ),
    solution_code="answer = 3  # 4 * 3 / (1 + 3) == 3",
)

q2 = Exercise(
    name="Exercise 2",
    verdict=number(
        0.01,
        tolerance=1e-6,
        mistakes={
            100: "100 goes the wrong way: loss and weight multiply, so both together give 10,000.",
            0.1: "0.1 undoes a factor of 10. The error is 10 times as large. And the loss?",
            10: "10 makes the loss even larger. The weight has to undo a factor of the loss.",
            1: "Weight 1 leaves the loss 100 times as large as before; the compromise moves.",
            0.0001: "0.0001 undoes a factor of 10,000. How many times as large is the loss?",
            -0.01: "The size is right; but a negative weight pushes away from the target.",
        },
        otherwise="By which factor has the loss grown? What has the product of weight and loss to "
        "be?",
    ),
    praise="0.01 · 100 = 1. A weight has units too: those of one over its loss.",
    hints=(
        "In the sum, only the product of weight and loss counts.",
        "How much larger is the loss after the change of unit? Which weight undoes that?",
        "λ_high · 100 has to be 1.",
    ),
    solution_code="answer = 1 / 100",
)

q3 = Exercise(
    name="Exercise 3",
    verdict=function(
        _end_point,
        TRIALS,
        returns="θ*",
        tolerance=1e-3,
        mistakes=END_POINT_MISTAKES,
        otherwise=_pulls_at,
    ),
    praise="A task counts with λ u²: its weight and its unit act as one number.",
    hints=(
        "Take the derivative of one loss: what stands before (θ − t_i)?",
        "The gradient is Σ λ_i u_i² (θ − t_i). For which θ is it zero?",
        "θ* is a weighted mean again, with λ_i u_i² as the weights. Look tasks up by their names.",
    ),
    solution_code=solution_of(_end_point),
)

q4 = Exercise(
    name="Exercise 4",
    verdict=Verdict(_sizes_verdict),
    praise="A digit as large as the image has no room to move, and there is little to find. Ask "
    "what never looking scores on those scenes before you admire a score.",
    hints=(
        f"The sentence under the picture gives the score on {POOL:,} scenes of those sizes.",
        "Compare small digits of one size with large digits of one size.",
        "The larger a digit, the less room it has to move. Which end of the slider do you move, "
        "and which way?",
    ),
    solution_code="answer = (26, 28)",
)
