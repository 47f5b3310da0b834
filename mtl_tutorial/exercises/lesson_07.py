"""Exercises of lesson 07: GradNorm, by hand and in code."""

from __future__ import annotations

import functools
import math
from typing import Any

import torch

from mtl_tutorial.architectures import ConvEncoder, HardSharing
from mtl_tutorial.balancing import GradNorm, GradNormStep
from mtl_tutorial.data import located_digits
from mtl_tutorial.exercises.core import (
    AnswerError,
    Exercise,
    Verdict,
    as_number,
    choice,
    function,
    numbers,
    solution_of,
)
from mtl_tutorial.experiments import Run

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


def _weight_step(w, norms, losses, first_losses, alpha, rate):
    g = w * norms
    progress = losses / first_losses
    r = progress / progress.mean()
    target = g.mean() * r**alpha
    w = w - rate * torch.sign(g - target) * norms
    return len(w) * w / w.sum()


CASES = tuple(
    (*map(torch.tensor, columns), alpha, rate)
    for columns, alpha, rate in (  # in them, every mistake below ends elsewhere
        (([1.0, 1.0], [1.0, 2.0], [1.0, 3.0], [2.0, 3.0]), 3, 0.1),
        (([0.5, 1.5], [1.7, 2.9], [3.8, 4.9], [1.1, 2.8]), 1.5, 0.05),
        (([0.5, 1.5, 1.0], [2.0, 0.4, 0.7], [1.0, 4.0, 0.3], [2.0, 5.0, 1.0]), 1.5, 0.05),
        (
            (
                [1.3, 0.5, 0.5, 1.7],
                [1.2, 2.3, 1.5, 1.1],
                [4.3, 3.1, 2.9, 3.3],
                [1.3, 1.5, 0.6, 1.4],
            ),
            1,
            0.05,
        ),
    )
)


def _step(w, norms, losses, first_losses, alpha, rate, **changed):
    """GradNorm's step with a mistake in one place."""
    parts = {
        "g": lambda: w * norms,
        "progress": lambda: losses / first_losses,
        "rates": lambda progress: progress / progress.mean(),
        "target": lambda g, r: g.mean() * r**alpha,
        "slope": lambda g, target: torch.sign(g - target) * norms,
        "moved": lambda slope: w - rate * slope,
        "scaled": lambda moved: len(w) * moved / moved.sum(),
    } | {name: part(w, norms, losses, first_losses, alpha) for name, part in changed.items()}
    g = parts["g"]()
    target = parts["target"](g, parts["rates"](parts["progress"]()))
    return parts["scaled"](parts["moved"](parts["slope"](g, target)))


def _with(**changed):
    """The step with other parts, each made from ``(w, norms, losses, first_losses, alpha)``."""
    return lambda *case: _step(*case, **changed)


def _through_the_target(w, norms, losses, first_losses, alpha, rate):
    """The step of autograd where the target is no constant."""
    w = w.clone().requires_grad_()
    g = w * norms
    progress = losses / first_losses
    (g - g.mean() * (progress / progress.mean()) ** alpha).abs().sum().backward()
    moved = w.detach() - rate * w.grad
    return len(w) * moved / moved.sum()


STEP_MISTAKES = (
    (
        _with(target=lambda w, n, now, first, alpha: lambda g, r: g.mean() * r**-alpha),
        "Try it with a task that lags: r is above 1. Does your target lie above the mean of G?",
    ),
    (
        _through_the_target,
        "Your derivative goes through the target, too: it holds the mean of G, and so every w. "
        "The target is to be a constant; in torch, `.detach()` makes one.",
    ),
    (
        _with(scaled=lambda w, *_: lambda moved: moved),
        "Do your new weights sum to the number of tasks? What would weights that drift do to the "
        "learning rate of the whole network?",
    ),
    (
        _with(scaled=lambda w, *_: lambda moved: moved / moved.sum()),
        "Your weights sum to 1. They started at 1 each: what did they sum to then?",
    ),
    (
        _with(scaled=lambda w, *_: lambda moved: len(w) * torch.softmax(moved, dim=0)),
        "A softmax makes the sum right, and changes the ratios. Scaling keeps them.",
    ),
    (
        _with(g=lambda w, n, *_: lambda: n),
        "Your G does not know w. It is the norm of the gradient of w_i L_i, the one that the "
        "network gets.",
    ),
    (
        _with(slope=lambda w, *_: lambda g, target: torch.sign(g - target)),
        "Your step is equally long for every task. By how much does G_i change when w_i does?",
    ),
    (
        _with(slope=lambda w, *_: lambda g, target: torch.sign(g - target) * g),
        "Almost: derive G_i = w_i n_i by w_i. Is w_i still in it?",
    ),
    (
        _with(slope=lambda w, n, *_: lambda g, target: 2 * (g - target) * n),
        "That is the derivative of the squared distance. What is that of the absolute value?",
    ),
    (
        _with(slope=lambda w, n, *_: lambda g, target: torch.sign(target - g) * n),
        "Your weights walk up the hill: a task that is too loud gets louder.",
    ),
    (
        _with(progress=lambda w, n, now, first, alpha: lambda: first / now),
        "A task that has halved its loss has come further than one that has not moved. Which of "
        "them has the larger r with you?",
    ),
    (
        _with(rates=lambda *_: lambda progress: progress),
        "Your r is the progress. Divide it by its mean over the tasks: 1 is to be average.",
    ),
    (
        _with(rates=lambda *_: lambda progress: progress / progress.sum()),
        "Your r sum to 1. They are to have the mean 1.",
    ),
    (
        _with(progress=lambda w, n, now, first, alpha: lambda: now),
        "Your r compares the losses of different tasks. What does each have to be divided by?",
    ),
    (
        _with(target=lambda w, n, now, first, alpha: lambda g, r: g.sum() * r**alpha),
        "Your targets start from the sum of G. Then all tasks are below it, and all rise.",
    ),
    (
        _with(target=lambda w, n, now, first, alpha: lambda g, r: g * r**alpha),
        "Your target of a task starts from its own G, and so never brings two tasks together.",
    ),
)


def _as_weights(value: Any, case: tuple) -> torch.Tensor:
    if not isinstance(value, torch.Tensor):
        raise AnswerError("Give a tensor with one weight for each task.")
    return value.detach().float().cpu()


WARM_UP = 30  # steps of the lesson's stepper


@functools.cache
def _thirtieth_step() -> GradNormStep:
    """What GradNorm did in the step that the lesson's stepper shows first."""
    scenes = located_digits("train")
    tasks, balancer = scenes.tasks[:2], GradNorm()
    run = Run(
        lambda: HardSharing(ConvEncoder(width=8), tasks),
        tasks,
        scenes,
        seed=0,
        steps=WARM_UP,
        balancer=balancer,
    )
    list(run)
    assert balancer.last_step is not None
    return balancer.last_step


def _level(g: float, mean: float, rate: float) -> float:
    """The α at which the target of a task is its G."""
    return math.log(g / mean) / math.log(rate)


def _judge_alpha(answer: Any) -> str | None:
    alpha, made = as_number(answer), _thirtieth_step()
    if not 0 <= alpha <= 3:
        return f"The slider goes from 0 to 3; yours is {alpha:g}. At which α do bar and line meet?"
    norms, rates = made.norms.tolist(), made.rates.tolist()
    mean = sum(norms) / len(norms)
    right = _level(norms[0], mean, rates[0])
    if abs(alpha - right) <= 0.1:
        return None
    if abs(alpha - _level(norms[1], mean, rates[1])) <= 0.05:
        return "There the target of the box stands at its bar. Look at the other bar."
    side = "above" if alpha > right else "below"
    return (
        f"With α = {alpha:g} the digit's target is {mean * rates[0] ** alpha:.3g}, {side} its G of "
        f"{norms[0]:.3g}. Is your stepper at step {WARM_UP}? Then turn α and look at the black "
        f"line."
    )


ALPHA_MISTAKES = (
    (0, "below its G"),
    (3, "above its G"),
    (-0.5, "The slider goes from 0 to 3"),
    (1.5, "above its G"),
)

q1 = Exercise(
    name="Exercise 1",
    verdict=numbers(
        dict(zip(TASKS, RATES, strict=True)),
        mistakes=RATE_MISTAKES,
        otherwise="Write down L / L(0) of each task. Which has moved least? It has the largest r.",
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
    verdict=function(
        _weight_step,
        CASES,
        returns="new weights",
        read=_as_weights,
        mistakes=STEP_MISTAKES,
        otherwise="Print every line of yours for w = (1, 1), norms (1, 2), progress ½ and 1, α = 3 "
        "and check by hand: G = (1, 2), r = (2/3, 4/3), targets 0.44 and 3.56. Which line is the "
        "first that differs?",
    ),
    praise="That is GradNorm: four lines for the targets, one for the derivative, one for the sum.",
    hints=(
        "Five quantities, a line each: G, progress, r, target, new w. You had r in exercise 1.",
        "The derivative stands in the text: no autograd is needed. Is G in it, or ‖∇_W L_i‖?",
        "Which way does a step go, with or against the derivative? What is the sum afterwards?",
    ),
    solution_code=solution_of(_weight_step, "import torch"),
)

q3 = Exercise(
    name="Exercise 3",
    verdict=Verdict(_judge_alpha, ALPHA_MISTAKES),
    praise="There Ḡ r^α = G for the digit. A task that lags and is louder than the mean gains "
    "weight only with a larger α.",
    hints=(
        "Press Reset, so that 30 steps are made. The sentence names target and G of each task.",
        "Or compute it: at which α is Ḡ r^α = G? Take logarithms of both sides.",
    ),
    solution_code="""
from mtl_tutorial.exercises.lesson_07 import _thirtieth_step

made = _thirtieth_step()
answer = ((made.norms[0] / made.norms.mean()).log() / made.rates[0].log()).item()
""",
)

q4 = Exercise(
    name="Exercise 4",
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
