"""Exercises of lesson 09: transfer, multi-task learning and meta-learning."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mtl_tutorial.exercises.core import (
    AnswerError,
    Exercise,
    Verdict,
    choice,
    function,
    number,
    numbers,
    solution_of,
)
from mtl_tutorial.experiments.relatedness import FEWEST, MOST, error_joint

# Exercise 1: losses ½·1·(θ − 2)² and ½·3·(θ + 1)², α = 0.1, θ = 1.
SLOPES = {"MAML": -0.81 + 2.94, "first order": -0.9 + 4.2}
SLOPE_MISTAKES = (
    ((5.0, 5.0), "Those are the slopes of the sum now. Where does each task stand after its step?"),
    ((3.3, 2.13), "Two right numbers. Which of them has the slope at θ′, used at θ as it is?"),
    ((1.065, 1.65), "Is the objective the mean over the tasks, or their sum?"),
    ((2.13, 2.13), "MAML's is right. What does first order leave out of it?"),
    ((3.3, 3.3), "First order is right. MAML also asks how θ′ moves when θ does."),
    ((2.13, 5.0), "MAML's is right. First order takes a slope too, but at which place?"),
    ((-0.81, -0.9), "There is a second task. What is its slope at θ = 1?"),
    ((2.58, 3.9), "The second task pulls towards −1, the first one towards 2. Mind the signs."),
)


def _outer_step(loss, theta, tasks, alpha, beta):
    total = 0.0
    for support, query in tasks:
        value = loss(theta, support)
        slope = torch.autograd.grad(value, theta, create_graph=True)[0]
        adapted = theta - alpha * slope
        total = total + loss(adapted, query)
    return (theta - beta * torch.autograd.grad(total, theta)[0]).detach()


def _distance(theta: Tensor, examples: tuple[Tensor, Tensor]) -> Tensor:
    """A loss whose second derivative changes from place to place."""
    inputs, targets = examples
    return ((torch.tanh(inputs @ theta) - targets) ** 2).mean()


def _cases() -> Iterator[tuple]:
    draws = torch.Generator().manual_seed(0)
    for count, alpha, beta in ((2, 0.5, 0.3), (3, 1.0, 0.1)):
        theta = torch.randn(3, generator=draws).requires_grad_()
        parts = [
            (torch.randn(4, 3, generator=draws), torch.rand(4, generator=draws))
            for _ in range(2 * count)
        ]
        yield _distance, theta, list(zip(parts[::2], parts[1::2], strict=True)), alpha, beta


def _by_hand(
    *,
    adapt_on: int = 0,
    judge_on: int = 1,
    through: bool = True,
    mean: bool = False,
    chained: bool = False,
    inner: float = 1.0,
    outer: float = 1.0,
    swapped_rates: bool = False,
    start_from: str = "theta",
) -> Callable:
    """A step that goes wrong in one way or another."""

    def step(loss, theta, tasks, alpha, beta):
        if swapped_rates:
            alpha, beta = beta, alpha
        total, here = 0.0, theta
        for pair in tasks:
            slope = torch.autograd.grad(loss(here, pair[adapt_on]), here, create_graph=True)[0]
            adapted = here - inner * alpha * (slope if through else slope.detach())
            total = total + loss(adapted, pair[judge_on])
            here = adapted if chained else theta
        slope = torch.autograd.grad(total / (len(tasks) if mean else 1), theta)[0]
        start = {"theta": theta, "adapted": adapted, "nothing": 0 * theta}[start_from]
        return (start - outer * beta * slope).detach()

    return step


def _in_place(loss, theta, tasks, alpha, beta):
    theta = theta.detach().clone().requires_grad_()
    total = torch.zeros_like(theta)
    for support, query in tasks:
        slope = torch.autograd.grad(loss(theta, support), theta)[0]
        theta.data -= alpha * slope
        total += torch.autograd.grad(loss(theta, query), theta)[0]
    return (theta - beta * total).detach()


def _renamed(loss, theta, tasks, alpha, beta):
    total = 0.0
    for support, query in tasks:
        slope = torch.autograd.grad(loss(theta, support), theta, create_graph=True)[0]
        theta = theta - alpha * slope
        total = total + loss(theta, query)
    return (theta - beta * torch.autograd.grad(total, theta)[0]).detach()


FIRST_ORDER = (
    "That is the step of first-order MAML: your gradient does not go through the inner step. "
    "Where does your code forget how the slope depends on θ?"
)
CHAINED = (
    "After the first task, θ is no longer where it was: the second task starts where the first one "
    "ended. Each task has to start from the same θ."
)
OUTER_STEP_MISTAKES = (
    (_by_hand(through=False), FIRST_ORDER),
    (
        _by_hand(adapt_on=1, judge_on=0),
        "Support and query have changed places. Which one does a task learn from?",
    ),
    (
        _by_hand(judge_on=0),
        "You judge θ′ on the examples from which the task has learned. What is the query for?",
    ),
    (
        _by_hand(adapt_on=1),
        "The task learns from the query: it has seen the answers before it is asked.",
    ),
    (_by_hand(inner=0), "That is the step of the plain sum. Where do you judge, at θ or at θ′?"),
    (_by_hand(mean=True), "Your step is too short, by the number of tasks: mean or sum?"),
    (_by_hand(inner=-1), "Mind the sign of the inner step: the task climbs."),
    (_by_hand(outer=-1), "Mind the sign of the outer step: θ climbs."),
    (_by_hand(swapped_rates=True), "Which rate is whose? α is for the tasks, β for θ."),
    (
        _by_hand(start_from="adapted"),
        "Your outer step starts at the last task's θ′. It is θ that moves.",
    ),
    (
        _by_hand(start_from="nothing"),
        "That is the way that θ goes, not the place where it ends.",
    ),
    (_by_hand(chained=True), CHAINED),
    (_by_hand(chained=True, start_from="adapted"), CHAINED),
    (_by_hand(chained=True, through=False), CHAINED),
    (_in_place, CHAINED),
    (_renamed, CHAINED),
)


def _as_place(value: Any, case: tuple) -> Any:
    if not isinstance(value, Tensor):
        raise AnswerError(
            f"The new θ is needed, a tensor; yours is of type {type(value).__name__}."
        )
    if value.shape != case[1].shape:
        raise AnswerError(
            f"The new θ has the shape of θ, {tuple(case[1].shape)}; yours has {tuple(value.shape)}."
        )
    return np.asarray(value.detach())


def _with_words_for_autograd(verdict: Verdict) -> Verdict:
    """Say in the lesson's words what torch says where it can't go on."""

    def judge(answer: Any) -> str | None:
        try:
            return verdict(answer)
        except RuntimeError as error:
            text = str(error)
            if "in-place" in text or "inplace" in text:
                return (
                    "torch refuses to change θ in place, for good reason: the other tasks need it "
                    "as it was. Make a new tensor, θ′."
                )
            if "does not require grad" in text or "not have been used" in text:
                return (
                    "torch finds no way back from your loss to θ. Is there a `.detach()`, an "
                    "`.item()`, or a θ′ made of something else?"
                )
            raise

    return Verdict(judge, verdict.wrong)


# Exercise 3: task 1 has 20 samples, noise 1, the teachers are 60° apart.
STOPS = range(FEWEST, MOST + 1, 5)  # of the slider
ERRORS = {other: error_joint(60, 20, other, 1.0) for other in STOPS}
BEST = [other for other, error in ERRORS.items() if error < 1.005 * min(ERRORS.values())]  # flat

q1 = Exercise(
    name="Exercise 1",
    verdict=numbers(
        SLOPES,
        tolerance=0.011,
        mistakes=SLOPE_MISTAKES,
        otherwise="{off} is not right yet. What is each task's slope before its step, and how much "
        "of its distance is left after it?",
    ),
    praise="The slope of the plain sum is 5. The steep task counts for less, and least in MAML.",
    hints=(
        "Begin with the slope of each task at θ = 1, h_i (θ − a_i). Where is the second target?",
        "Then come the factors 1 − α h_i, one a task. How often does each stand in the slope of "
        "MAML, and how often in that of first order?",
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
    verdict=_with_words_for_autograd(
        function(
            _outer_step,
            list(_cases()),
            returns="the new θ",
            read=_as_place,
            mistakes=OUTER_STEP_MISTAKES,
            otherwise="Not the place where MAML's step ends. Do it on paper for one task: where is "
            "θ′, what is the loss there, and how does that loss move with θ?",
        )
    ),
    praise="Adapt on support, judge on query, and let the gradient go through the inner step.",
    hints=(
        "For each pair: where does the task go from θ, and which loss does it have there?",
        "You need two kinds of slope: one of each task, and one of the sum. Which of them has to "
        "remember how it depends on θ?",
        "θ itself must stay as it was for the next task: `theta -= ...` would change it.",
    ),
    solution_code=solution_of(_outer_step, "import torch"),
)

q3 = Exercise(
    name="Exercise 3",
    verdict=number(
        (BEST[0] + BEST[-1]) / 2,
        tolerance=(BEST[-1] - BEST[0]) / 2,
        mistakes={
            MOST: "Read the error of task 1 there, and again with half as many. Does it fall?",
            60: "That is where the slider stands at the beginning. Move it, and watch the error.",
            FEWEST: "Near, but a few more still help. Watch the third digit of task 1's error.",
            20: "Very near. Compare the third digit of task 1's error with its neighbours'.",
            35: "Very near. Compare the third digit of task 1's error with its neighbours'.",
        },
        otherwise="Is the angle 60°, the noise 1, and are there 20 samples of task 1? Then watch "
        "the error of task 1 in the sentence below the picture.",
    ),
    praise="Up to there the other task's samples take away more noise than they pull. (25 and 30 "
    "differ in the third digit.) At a smaller angle the best number is larger.",
    hints=(
        "Set the three other sliders, then move that of task 2's samples from left to right.",
        "The error of task 1 falls first, then it rises again. Read it at 15, 40 and 80, and go "
        "on around the best.",
    ),
    solution_code="""
from mtl_tutorial.experiments.relatedness import error_joint

answer = min(range(15, 121, 5), key=lambda other: error_joint(60, 20, other, noise=1.0))
""",
)

q4 = Exercise(
    name="Exercise 4",
    verdict=choice(
        "d",
        {
            "a": "Multi-task learned the new task in how many steps, and with which optimizer? And "
            "from scratch?",
            "b": "The old images are in both of these rows.",
            "c": "There are no old images in either of these rows. What do they differ in?",
            "e": "Here, too, both rows have seen old images. And they differ in steps.",
        },
    ),
    praise="The same first weights, optimizer, steps on the new task. Only the old task differs.",
    hints=(
        "Two rows answer a question about old images if they differ in old images, and in nothing "
        "else.",
        "Write down for each row: old images or none, 20 steps or 200.",
    ),
    solution_code='answer = "d"',
)

q5 = Exercise(
    name="Exercise 5",
    verdict=choice(
        "c",
        {
            "a": "Without inner steps nothing is adapted. How many heads are there then?",
            "b": "The support loss is not the query loss. With what examples are the heads judged "
            "in multi-task learning?",
            "d": "A few steps leave the head on its way. What stands in multi-task learning's "
            "objective, a head on its way or the best head?",
        },
    ),
    praise="min over θ of Σ_i min over φ_i of L_i(θ, φ_i): the formula of multi-task learning.",
    hints=(
        "Multi-task learning: one loss a task, on one set of examples, and the smallest over θ "
        "**and** the heads.",
        "Which of the four gives each task the best head for the current θ, on the examples on "
        "which it is judged?",
    ),
    solution_code='answer = "c"',
)
