"""Exercises of lesson 06: loss weights from units, noise and speed."""

from __future__ import annotations

import functools
import math
from typing import Any

import torch

from mtl_tutorial.architectures import ConvEncoder, HardSharing
from mtl_tutorial.data import located_digits
from mtl_tutorial.exercises.core import (
    AnswerError,
    Exercise,
    Verdict,
    as_number,
    choice,
    function,
    number,
    numbers,
    passes_gradients,
    solution_of,
)
from mtl_tutorial.experiments import Run
from mtl_tutorial.experiments.units import METHODS, Snapshot, compute_shares, take_snapshot

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
    return "Write down the three r. Which task is the slowest? It gets the largest weight."


KINDS = {"regression": 0.5, "classification": 1.0}
CASES = tuple(
    (torch.tensor(losses), torch.tensor(s), kinds)
    for losses, s, kinds in (
        ([2.0, 0.3], [0.7, -1.0], ["classification", "regression"]),
        ([1.5, 0.2, 0.9], [0.4, 1.3, -0.6], ["regression", "classification", "classification"]),
        ([0.8, 3.0], [2.0, 0.5], ["regression", "regression"]),
    )
)


def _uncertainty_loss(losses, s, kinds):
    c = torch.tensor([0.5 if kind == "regression" else 1.0 for kind in kinds])
    return (c * torch.exp(-s) * losses + s / 2).sum()


def _other(**changed):
    """The objective with a mistake in one place."""

    def objective(losses, s, kinds):
        c = torch.tensor([changed.get("c", KINDS)[kind] for kind in kinds])
        weight = changed.get("weight", lambda s: torch.exp(-s))(s)
        penalty = changed.get("penalty", lambda s, c: s / 2)(s, c)
        return changed.get("together", torch.sum)(c * weight * losses + penalty)

    return objective


LOSS_MISTAKES = (
    (
        _other(c={"regression": 0.5, "classification": 0.5}),
        "The ½ comes from the Gaussian, so from the squared error. Is a cross-entropy one?",
    ),
    (
        _other(c={"regression": 1.0, "classification": 1.0}),
        "Write down the negative log-likelihood of a Gaussian. What stands before the squared "
        "error?",
    ),
    (
        _other(c={"regression": 1.0, "classification": 0.5}),
        "Each kind has the factor of the other with you.",
    ),
    (
        _other(weight=lambda s: torch.exp(-2 * s), penalty=lambda s, c: s),
        "You took s for log σ. Which power of σ is s the logarithm of?",
    ),
    (
        _other(weight=lambda s: 1 / s, penalty=lambda s, c: s.abs().log() / 2),
        "You took s for σ² itself. With s = log σ², what is 1 / σ²?",
    ),
    (
        _other(weight=torch.exp),
        "With you, more noise means more weight. What is the sign in the exponent?",
    ),
    (
        _other(penalty=lambda s, c: 0 * s),
        "What keeps s from growing for ever, with every weight at 0?",
    ),
    (
        _other(penalty=lambda s, c: s),
        "The penalty is log σ. How much of s = log σ² is that?",
    ),
    (
        _other(penalty=lambda s, c: c * s),
        "c stands before the loss alone. The penalty is log σ for both kinds.",
    ),
    (
        _other(penalty=lambda s, c: -s / 2),
        "Your penalty rewards noise. Derive by s: can both terms pull the same way?",
    ),
    (
        _other(penalty=lambda s, c: torch.log1p(torch.exp(s))),
        "log(1 + σ²) is the penalty of a later paper (Liebel and Körner 2018), so that it stays "
        "above 0. Here it is ½ log σ².",
    ),
    (
        _other(penalty=lambda s, c: torch.log1p(torch.exp(s)) / 2),
        "log(1 + σ²) is the penalty of a later paper (Liebel and Körner 2018), and yours has half "
        "of it. Here it is ½ log σ².",
    ),
    (
        _other(together=torch.mean),
        "The mean in place of the sum: s would get its step divided by the number of tasks.",
    ),
)


def _as_total(value: Any, case: tuple) -> float:
    if isinstance(value, torch.Tensor) and value.shape != ():
        raise AnswerError("Give one number for all tasks together: the terms are summed.")
    return as_number(value.detach() if isinstance(value, torch.Tensor) else value)


@functools.cache
def _snapshot() -> Snapshot:
    """What the lesson's mixer starts from."""
    scenes, tasks = located_digits("train"), located_digits("train").tasks[:2]
    networks = []
    for steps in (50, 100):
        run = Run(
            lambda: HardSharing(ConvEncoder(width=8), tasks), tasks, scenes, seed=0, steps=steps
        )
        list(run)
        networks.append(run.model)
    earlier, now = networks
    return take_snapshot(earlier, now, tasks, scenes.draw(256, torch.Generator()))


def _judge_factor(answer: Any) -> str | None:
    factor, snapshot = as_number(answer), _snapshot()
    if factor <= 0:
        return "A factor on a loss is above 0."
    right = snapshot.norms["digit"] / snapshot.norms["box"]
    if abs(math.log10(factor / right)) <= 0.1:
        return None
    if abs(math.log10(factor * right)) <= 0.1:
        return "Turned over: you may have moved the digit's slider. Move the box's."
    if abs(math.log10(factor / math.sqrt(right))) <= 0.1:
        return "Have you moved both sliders? Press the button, and move the box's alone."
    shares = compute_shares(snapshot, {"digit": 1.0, "box": factor})[METHODS[0]]
    share = f"{shares['box']:.0%} of the upper bar"
    return f"With box × {factor:g} the box has {share}, and half is asked for."


FACTOR_MISTAKES = (
    (1, "of the upper bar"),
    (1000, "of the upper bar"),
    (0, "above 0"),
    (-3, "above 0"),
)


q1 = Exercise(
    name="Exercise 1",
    verdict=numbers(
        dict(zip(["task 1", "task 2", "task 3"], SPEED, strict=True)),
        tolerance=0.01,  # two decimals, rounded or cut
        mistakes=SPEED_MISTAKES,
        otherwise=_speed_hint,
    ),
    praise="The second task did not move at all (r = 1), so it gets most. The third was fastest.",
    hints=(
        "r = [0.5 / 1, 2 / 2, 1 / 4].",
        "What goes into the softmax is r / τ. It sums to 1: what do the weights sum to?",
    ),
    solution_code="""
import torch

r = torch.tensor([0.5, 2.0, 1.0]) / torch.tensor([1.0, 2.0, 4.0])
answer = 3 * torch.softmax(r / 2, dim=0)
""",
)


q2 = Exercise(
    name="Exercise 2",
    verdict=function(
        _uncertainty_loss,
        CASES,
        returns="objective",
        read=_as_total,
        mistakes=LOSS_MISTAKES,
        otherwise="Try one regression alone, with s = 0: the total is half of its loss. And one "
        "classification with s = 0: the loss itself. Then let s be 1.",
        then=passes_gradients(
            _uncertainty_loss,
            CASES[:1],
            "The number is right, but no gradient of it, or another one, reaches the losses or s, "
            "so nothing would learn. What cuts it off: detach, item, a new tensor?",
        ),
    ),
    praise="That is the objective: a weight that falls with the noise, and a price for the noise.",
    hints=(
        "First a tensor with the c of each kind. Then the weight of each loss: c times what?",
        "The formula has one more term for each task, which keeps s from growing. Then the sum.",
    ),
    solution_code=solution_of(_uncertainty_loss, "import torch"),
)


q3 = Exercise(
    name="Exercise 3",
    verdict=number(
        math.log(4) / 2,
        tolerance=5e-3,
        mistakes={
            0: "Weight times loss stays at ½: that term does not move. Does the penalty ½ s?",
            math.log(4): "That is by how much log L falls. How much of it stands in the sum?",
            0.375: "Your weight stayed at 25. Here s is at its optimum after the fall, too.",
            0.015: "That is the fall of the loss itself. What does the objective make of it?",
            -math.log(4) / 2: "By how much does it *fall*? And in which direction did the loss go?",
            math.log10(4) / 2: "The logarithm is the natural one.",
            4: "That is the factor by which the loss falls. Which function of the loss is summed?",
        },
        otherwise="With the best s put back in, which function of L is left? Take it at both.",
    ),
    praise="½ log 4. Any loss that falls to a quarter lowers the objective as much, large or "
    "small: only the factor counts.",
    hints=(
        "The text above says what is left of the objective when s is at its optimum.",
        "The constants cancel in the difference. What is log a − log b?",
    ),
    solution_code="""
import math

answer = math.log(0.02 / 0.005) / 2
""",
)


q4 = Exercise(
    name="Exercise 4",
    verdict=Verdict(_judge_factor, FACTOR_MISTAKES),
    praise="There the box's gradient has been made as long as the digit's. A unit is a weight.",
    hints=(
        "Press *Units as they were*, and move the slider of the box until the upper bar is halved.",
        "At 1 the shares are in the ratio of the gradients' lengths. Which factor evens it out?",
    ),
    solution_code="""
from mtl_tutorial.exercises.lesson_06 import _snapshot

norms = _snapshot().norms
answer = norms["digit"] / norms["box"]
""",
)


q5 = Exercise(
    name="Exercise 5",
    verdict=choice(
        "b",
        {
            "a": "Equal weights look at the sum. What do the two updates do to the product?",
            "c": "Multiply: what is the product before, after the first, and after the second?",
            "d": "A unit is a factor on both sides of the comparison. It cancels.",
        },
    ),
    praise="The first leaves the product at 0.02, the second halves it. What a human would want "
    "is another question.",
    hints=("Before: 2 · 0.01. After the first: 1 · 0.02.", "After the second: 2 · 0.005."),
    solution_code='answer = "b"',
)
