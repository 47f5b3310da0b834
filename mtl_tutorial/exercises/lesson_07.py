"""Exercises of lesson 07: GradNorm, by hand and in code."""

from __future__ import annotations

from typing import Any

import torch

from mtl_tutorial.exercises.core import (
    AnswerError,
    Exercise,
    choice,
    function,
    numbers,
    solution_of,
)

TASKS = ["task 1", "task 2", "task 3"]
RATES = (0.75, 1.5, 0.75)  # progress 1/2, 1, 1/2 with mean 2/3
RATE_MISTAKES = (
    ((0.5, 1.0, 0.5), "That is the progress L / L(0). Divide it by its mean over the tasks."),
    ((4 / 3, 2 / 3, 4 / 3), "Turned over: a loss that has not moved lags, and has r above 1."),
    ((1.2, 0.6, 1.2), "That starts from L(0) / L. The present loss goes above."),
    (
        (6 / 11, 24 / 11, 3 / 11),
        "That compares the losses of different tasks. Divide each by its own first loss.",
    ),
    ((0.25, 0.5, 0.25), "That is divided by the sum. Divide by the mean, so that 1 is average."),
)

WEIGHTS = (2 * 1.3 / 2.1, 2 * 0.8 / 2.1)  # G = (3, 2), targets 3.75 and 1.25
WEIGHT_MISTAKES = (
    ((1.3, 0.8), "These are right before the last step: scale them so that they sum to 2."),
    (
        (2 * 0.7 / 1.9, 2 * 1.2 / 1.9),
        "Both moved the wrong way. The targets are 3.75 and 1.25: task 1 lags and is below its "
        "target, so its weight rises.",
    ),
    ((1.0, 1.0), "A G that is off its target moves its weight, however near it is."),
    ((1.1, 0.9), "The derivative is the sign times the norm ‖∇ L_i‖, not the sign alone."),
    (
        (2 * 1.3 / 2.5, 2 * 1.2 / 2.5),
        "Task 2 is above its target: G = 2, target 2.5 · 0.5 = 1.25.",
    ),
)

CASES = (
    (torch.tensor([4.0, 1.0, 1.0]), torch.tensor([1.0, 4.0, 0.3]), torch.tensor([2.0, 5, 1]), 1.5),
    (torch.tensor([0.2, 0.7]), torch.tensor([3.0, 0.1]), torch.tensor([2.0, 0.4]), 0.5),
)


def _targets(g, losses, first_losses, alpha):
    progress = losses / first_losses
    r = progress / progress.mean()
    return g.mean() * r**alpha


TARGET_MISTAKES = (
    (
        lambda g, now, first, alpha: _targets(g, now, first, -alpha),
        "The exponent is +α: a task that lags has r above 1 and needs a larger gradient.",
    ),
    (
        lambda g, now, first, alpha: g.mean() * (now / first) ** alpha,
        "L / L(0) has still to be divided by its mean over the tasks.",
    ),
    (
        lambda g, now, first, alpha: _targets(g, first, now, alpha),
        "Your progress is turned over: the present loss goes above.",
    ),
    (
        lambda g, now, first, alpha: g * _targets(g, now, first, alpha) / g.mean(),
        "All targets start from the mean of G, not from the task's own.",
    ),
    (
        lambda g, now, first, alpha: g.sum() * _targets(g, now, first, alpha) / g.mean(),
        "The mean of G, not the sum.",
    ),
    (
        lambda g, now, first, alpha: g.mean() * (now / now.mean()) ** alpha,
        "Divide each loss by its own first loss: losses of different tasks have different units.",
    ),
    (
        lambda g, now, first, alpha: alpha * g.mean() * now / first / (now / first).mean(),
        "α is an exponent of r, not a factor.",
    ),
)


def _as_targets(value: Any, case: tuple) -> torch.Tensor:
    if not isinstance(value, torch.Tensor):
        raise AnswerError("Give a tensor with one target for each task.")
    return value.detach().float().cpu()


q1 = Exercise(
    name="Exercise 1",
    verdict=numbers(
        dict(zip(TASKS, RATES, strict=True)),
        mistakes=RATE_MISTAKES,
        otherwise="First L / L(0) for each task, then divide by the mean of the three.",
    ),
    praise="The second task has not moved: it lags, with r above 1. The mean of the r is 1.",
    hints=("Progress is L / L(0): 1/2, 1, 1/2.", "Divide by the mean of the three, 2/3."),
    solution_code="""
progress = [1 / 2, 4 / 4, 0.5 / 1]
answer = [value / (sum(progress) / 3) for value in progress]
""",
)

q2 = Exercise(
    name="Exercise 2",
    verdict=numbers(
        dict(zip(TASKS[:2], WEIGHTS, strict=True)),
        mistakes=WEIGHT_MISTAKES,
        otherwise="Targets: 2.5 · 1.5 and 2.5 · 0.5. Then w − 0.1 · sign(G − target) · norm, and "
        "scale.",
    ),
    praise="Task 1 is the louder one, and its weight rises all the same: it lags.",
    hints=(
        "G = (3, 2), so the mean is 2.5 and the targets are 3.75 and 1.25.",
        "1 + 0.1 · 3 and 1 − 0.1 · 2; then scale both so that they sum to 2.",
    ),
    solution_code="""
first, second = 1 + 0.1 * 3, 1 - 0.1 * 2
answer = [2 * first / (first + second), 2 * second / (first + second)]
""",
)

q3 = Exercise(
    name="Exercise 3",
    verdict=choice(
        "b",
        {
            "a": "With −α a task that lags gets a lower target, and falls further behind.",
            "c": "The paper scales after every step. In between, the weights would drift and "
            "change the learning rate of the whole network.",
            "d": "Then r would compare one step with the next. It is meant to say how far a task "
            "has come since the start.",
            "e": "w is the weight of the whole loss: L = Σ w_i L_i trains encoder and heads.",
        },
    ),
    praise="G_i is w_i times a number that does not depend on w_i. So both give the same.",
    hints=(
        "Which of them computes the same numbers in another way?",
        "What is the derivative of |w n − target| by w?",
    ),
    solution_code='answer = "b"',
)

q4 = Exercise(
    name="Exercise 4",
    verdict=function(
        _targets,
        CASES,
        returns="targets",
        read=_as_targets,
        mistakes=TARGET_MISTAKES,
        otherwise="The target of task i is mean(G) · r_i ** α, with r as in exercise 1.",
    ),
    praise="That is the whole idea of GradNorm in three lines.",
    hints=(
        "First the progress of each task, then r, as in exercise 1.",
        "The target is `g.mean() * r**alpha`.",
    ),
    solution_code=solution_of(_targets),
)
