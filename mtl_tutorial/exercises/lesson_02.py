"""Exercises of lesson 02: what a loss weight does, what sharing costs, and weights that move."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from mtl_tutorial.architectures import ConvEncoder, HardSharing
from mtl_tutorial.data import located_digits
from mtl_tutorial.exercises.core import (
    AnswerError,
    Exercise,
    Verdict,
    as_function,
    as_number,
    choice,
    gradients,
    number,
    numbers,
    one_value,
    same_tensor,
    solution_of,
)
from mtl_tutorial.experiments.schedules import train_on_schedule

# Exercise 1: the pulls on θ at weight 1 are −2 and 6, as in the lesson; −2 a + 6 b = 1, a + b = 2.
PULL_MISTAKES = (
    ((1.5, 0.5), "With these θ stands still. Exercise 1 asks for a pull of +1."),
    ((1.625, 0.375), "Mind the sign: with these ∂L/∂θ is −1."),
    ((0.625, 1.375), "Which of the two is the weight of `a`? It stands first."),
    ((0.625, 0.375), "The pull is +1, but the two add up to 1."),
    ((1.0, 0.5), "The pull is +1, but the two add up to 1.5."),
    (
        (0.5, 1.5),
        "These are the weights that keep θ still, the wrong way round: ∂L/∂θ is 8. `b` pulls three "
        "times as hard as `a` anyway. Which of them needs the larger weight?",
    ),
)


def _pull(given: tuple[float, ...]) -> str:
    a, b = given
    pull = 6 * b - 2 * a
    said = f"With these ∂L/∂θ is −2 · {a:g} + 6 · {b:g} = {pull:g}, and they add up to {a + b:g}."
    if abs(a + b - 2) > 1e-3:
        return said
    return (
        f"{said} Which of the two has too {'large' if pull > 1 else 'small'} a pull: `b`, or `a`?"
    )


q1 = Exercise(
    name="Exercise 1",
    verdict=numbers(
        {"a": 1.375, "b": 0.625}, tolerance=1e-3, mistakes=PULL_MISTAKES, otherwise=_pull
    ),
    praise="−2 · 1.375 + 6 · 0.625 = 1. Any pull from −4 to 12 can be had by a choice of weights.",
    hints=(
        "The first two rows print the pulls on θ at weight 1. How does a weight change a pull?",
        "Two equations: one for the pull, one for the sum. Put a = 2 − b into the first.",
    ),
    solution_code="b = (1 + 2 * 2) / (2 + 6)\nanswer = [2 - b, b]",
)


class _Encoder(nn.Module):
    """Scales its input, and counts how often it runs."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(2.0))
        self.calls = 0

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return self.scale * images


def _case(names: str, seed: int) -> tuple:
    """Arguments of a call; the weights stand in another order than the heads."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        heads = nn.ModuleDict({name: nn.Linear(3, 2) for name in names})
        images = torch.randn(4, 3)
        targets = {name: torch.randn(4, 2) for name in names}
    losses = {n: F.l1_loss if i % 2 else F.mse_loss for i, n in enumerate(names)}
    weights = {name: 0.5 + 1.5 * i for i, name in enumerate(reversed(names))}
    return _Encoder(), heads, images, targets, losses, weights


def _objective(encoder, heads, images, targets, losses, weights):
    features = encoder(images)
    return sum(
        weights[name] * losses[name](head(features), targets[name]) for name, head in heads.items()
    )


def _unweighted(e, h, x, y, losses, w):
    return _objective(e, h, x, y, losses, dict.fromkeys(w, 1.0))


def _weighted_predictions(e, heads, x, targets, losses, weights):
    z = e(x)
    return sum(losses[n](weights[n] * head(z), targets[n]) for n, head in heads.items())


def _by_place(e, heads, x, targets, losses, weights):
    names = list(heads)
    return _objective(e, heads, x, targets, losses, dict(zip(names, weights.values(), strict=True)))


def _heads_on_images(e, heads, x, targets, losses, weights):
    return _objective(nn.Identity(), heads, x, targets, losses, weights)


def _only_the_last(e, heads, x, targets, losses, weights):
    name = list(heads)[-1]
    return weights[name] * losses[name](heads[name](e(x)), targets[name])


OBJECTIVE_MISTAKES = (
    (
        lambda *case: _objective(*case) / len(case[1]),
        "That is the mean over the tasks. L = Σ λ_i L_i is a sum: a further task must not "
        "weaken the pulls of the others.",
    ),
    (
        lambda *case: _objective(*case) / sum(case[-1].values()),
        "Your weights are divided by their sum. Then twice all weights would change nothing; in "
        "L = Σ λ_i L_i they double L.",
    ),
    (_unweighted, "Those are the losses added up as they are. Where do the weights come in?"),
    (
        _weighted_predictions,
        "You weigh the predictions. The weight belongs before the loss: λ_i L_i.",
    ),
    (
        _by_place,
        "The weights got to other tasks: the dict of weights has another order. Look each up by "
        "its name.",
    ),
    (
        _heads_on_images,
        "Your heads see the images. They should see what the encoder makes of them.",
    ),
    (
        _only_the_last,
        "Only the last task is left in it. Does your loop replace the sum, or add to it?",
    ),
)


def _judge_objective(answer: Any) -> str | None:
    function = as_function(answer)
    cases = [("ab", 0), ("abc", 1)]
    given = []
    for names, seed in cases:
        encoder, *others = _case(names, seed)
        value = function(encoder, *others)
        if value is None or value is ...:
            raise AnswerError(f"Your function gives {value}; its last line has to return L.")
        if isinstance(value, (list, tuple, Mapping)):
            return f"L is one number for all tasks; yours is a {type(value).__name__}."
        given.append((one_value(value), encoder.calls))

    def agrees(known: Any) -> bool:
        return all(
            abs(got - as_number(known(*_case(*case)))) < 1e-5
            for (got, _), case in zip(given, cases, strict=True)
        )

    if not agrees(_objective):
        hints = (hint for known, hint in OBJECTIVE_MISTAKES if agrees(known))
        return next(hints, "With two tasks it should be λ_1 L_1 + λ_2 L_2. Write that out first.")
    calls = given[-1][1]
    if calls != 1:
        return (
            f"The value is right, but the encoder ran {calls} times for 3 tasks. "
            "What can be kept between the heads?"
        )
    return _cut_off(function)


def _cut_off(function: Any) -> str | None:
    """Say what a function with the right value is cut off from, if anything."""
    found = []
    for call in (function, _objective):
        encoder, heads, *others = _case("abc", 1)
        value = call(encoder, heads, *others)
        found.append(gradients(value, [encoder.scale, *heads.parameters()]))
    given, right = found
    if given is None or right is None:
        return "The number is right, but nothing can be learned from it: return a tensor."
    (pull, *heads), (right_pull, *right_heads) = given, right
    if not pull.any():
        return "The number is right, but no gradient comes to the encoder. What cuts it off?"
    if not same_tensor(pull, right_pull):
        return (
            "The number is right, but the encoder does not get the gradient of every task. Which "
            "of them is cut off?"
        )
    if not all(map(same_tensor, heads, right_heads)):
        return "The number is right, but not every head gets its gradient. What cuts it off?"
    return None


q2 = Exercise(
    name="Exercise 2",
    verdict=Verdict(_judge_objective, OBJECTIVE_MISTAKES),
    praise="The encoder runs once, however many tasks there are, and every task pulls on it.",
    hints=(
        "`heads.items()` gives each task's name and head; everything else is looked up by name.",
        "First `features = encoder(images)`, once. Then add up, over the tasks, the weight times "
        "`losses[name](head(features), targets[name])`.",
    ),
    solution_code=solution_of(_objective),
)

ENCODER, HEAD = 1_198_592, (128 + 1) * 784

q3 = Exercise(
    name="Exercise 3",
    verdict=number(
        (ENCODER + 2 * HEAD) / (2 * ENCODER + 2 * HEAD),
        tolerance=1e-3,
        mistakes={
            0.5: "Half would be right if heads cost nothing, or were shared too. Do they?",
            (2 * ENCODER + 2 * HEAD) / (ENCODER + 2 * HEAD): "Which of the two is the whole? Turn "
            "the fraction round.",
            (ENCODER + 2 * HEAD) / (ENCODER + HEAD): "That compares with one network. How many "
            "encoders and heads have two separate ones?",
            ENCODER / (ENCODER + 2 * HEAD): "That is the encoder's share of the shared network. "
            "What is it to be compared with?",
            (ENCODER + 2 * HEAD) / (2 * ENCODER + HEAD): "How many heads have two networks?",
            (ENCODER + HEAD) / (2 * ENCODER + 2 * HEAD): "Are the heads shared, too?",
        },
        otherwise="Count encoders and heads: how many has the shared network, how many have two "
        "separate ones?",
    ),
    praise="The wider the heads, the less sharing saves: they are never shared.",
    hints=(
        "A linear layer from 128 to 784 numbers has 128 · 784 weights and 784 biases.",
        "Shared: one encoder + two heads. Separate: two encoders + two heads.",
    ),
    solution_code="""
encoder, head = 1_198_592, 128 * 784 + 784
answer = (encoder + 2 * head) / (2 * encoder + 2 * head)
""",
)

STEPS, LEAST_DIGIT, LEAST_BOX = 800, 0.65, 0.74  # exercise 4
VALIDATION = 256  # scenes, those of the tuner
LIMITS = (0.01, 30.0)  # the slider's end, and that of the exercise


def _as_schedule(answer: Any) -> tuple[tuple[int, float], ...]:
    form = "A list of pairs is needed, each a step and the weight of `box` from there on"
    if isinstance(answer, Mapping):
        answer = list(answer.items())
    if isinstance(answer, (np.ndarray, torch.Tensor)):
        answer = answer.tolist()
    if not isinstance(answer, (list, tuple)) or not answer:
        raise AnswerError(f"{form}, such as [(0, 1), (100, 5)].")
    if not all(isinstance(pair, (list, tuple)) and len(pair) == 2 for pair in answer):
        raise AnswerError(f"{form}, such as [(0, 1), (100, 5)].")
    pairs = tuple((int(as_number(step)), as_number(weight)) for step, weight in answer)
    steps = [step for step, _ in pairs]
    if steps != sorted(set(steps)) or steps[0] != 0 or steps[-1] >= STEPS:
        raise AnswerError(f"The steps have to begin at 0, to rise, and to stay below {STEPS}.")
    if not all(LIMITS[0] <= weight <= LIMITS[1] for _, weight in pairs):
        raise AnswerError("The weight of `box` has to lie between 0.01 and 30 here.")
    return pairs


@functools.cache
def _reached(pairs: tuple[tuple[int, float], ...]) -> dict[str, float]:
    """The metrics after 800 steps of the tuner's first run, turned at these steps."""
    scenes, held_out = located_digits("train"), located_digits("validation")
    tasks = scenes.tasks[:2]
    table = train_on_schedule(
        lambda: HardSharing(ConvEncoder(width=8), tasks),
        tasks,
        scenes,
        held_out.draw(VALIDATION, torch.Generator().manual_seed(0)),
        {step: {"box": weight} for step, weight in pairs},
        seed=0,
        at=[STEPS],
    )
    return dict(zip(table["task"], table["value"], strict=True))


def _judge_schedule(answer: Any) -> str | None:
    pairs = _as_schedule(answer)
    reached = _reached(pairs)
    digit, box = reached["digit"], reached["box"]
    if digit >= LEAST_DIGIT and box >= LEAST_BOX:
        return None
    said = f"A run with these weights ends at digit {digit:.2f} and box {box:.2f}."
    if len({weight for _, weight in pairs}) == 1:
        return f"{said} That weight never moves. What does the slow task need first?"
    if digit < LEAST_DIGIT and box < LEAST_BOX:
        return f"{said} Both are short. Which of them needs many steps, and which few?"
    if digit < LEAST_DIGIT:
        return f"{said} The digit is short. Which weight has the box while the digit is to start?"
    return f"{said} The box is short. Which weight has it at the end, and for how many steps?"


q4 = Exercise(
    name="Exercise 4",
    verdict=_judge_schedule,
    praise="First the slow task, then the quick one, each for as long as it needs.",
    hints=(
        "Turn the weight to 30 at some step, and watch how many steps the box needs from there.",
        "At weight 30 the box needs more than half of the run. Turn earlier.",
    ),
    solution_code="answer = [(0, 1), (200, 30)]",
)

q5 = Exercise(
    name="Exercise 5",
    verdict=choice(
        "b",
        {
            "a": "More seeds would tell how sure the 0.4 is. Can they tell what comes after step "
            "300?",
            "c": "That gives a further point of the same picture, at the same step. Is 300 steps "
            "the end of the digit's training?",
            "d": "With weights that stand still, what does Adam do with a factor common to both?",
            "e": "That gives the height to be reached. Does it say whether the shared network is "
            "still on its way there?",
        },
    ),
    praise="After 300 steps, slow and kept down look the same. A longer run tells them apart.",
    hints=(
        "Two readings: the digit is kept down, or it is slowed down. Where do they differ?",
        "They differ later. Which of the runs goes on?",
    ),
    solution_code='answer = "b"',
)
