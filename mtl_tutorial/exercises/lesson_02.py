"""Exercises of lesson 02: what a loss weight does, and what sharing costs."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn

from mtl_tutorial.exercises.core import (
    AnswerError,
    Exercise,
    as_function,
    choice,
    number,
    numbers,
    same_tensor,
    solution_of,
)

# Exercise 1: θ = 1, x = 2, a = 1, b = -1, targets 3 and 1, as in the lesson; weights 2 and 1.
GRADIENTS = {"θ": 2.0, "a": -4.0, "b": -6.0}
MEAN_TAKEN = "No mean is taken: L = Σ λ_i L_i is a sum, and so is its gradient."
GRADIENT_MISTAKES = (
    ((-2, 4, 6), "All signs are turned: you gave the step, which goes against the gradient."),
    (
        (4, None, None),
        "4 is the pull on θ with equal weights. Weigh each pull first: 2 · (−2) + 1 · 6.",
    ),
    ((10, None, None), "10 adds the sizes 4 and 6. The two pulls on θ have different signs."),
    ((1, None, None), MEAN_TAKEN),
    ((2 / 3, None, None), MEAN_TAKEN),
    (
        (None, -2, None),
        "A head's gradient is scaled by the weight of its own task: 2 · (−2) for `a`.",
    ),
    ((None, None, -12), "Head `b` sees the weight of its own task only, and that is 1."),
)


def _forward_verdict(answer: Any) -> str | None:
    function = as_function(answer)
    encoder, heads = _CountingEncoder(), nn.ModuleDict()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for name, width in (("digit", 10), ("box", 4), ("mask", 9)):
            heads[name] = nn.Linear(3, width)
    images = torch.arange(6.0).reshape(2, 3)
    given = function(encoder, heads, images)
    if given is None or given is ...:
        raise AnswerError(f"Your function gives {given}; its last line has to return the dict.")
    if not isinstance(given, dict):
        return f"Give a dict of predictions by task name; yours is a {type(given).__name__}."
    if set(given) != set(heads):
        missing = sorted(set(heads) - set(given))
        return f"There are heads for {sorted(heads)}; yours gives no prediction for {missing}."
    features = images * 2
    for name, head in heads.items():
        if not isinstance(given[name], torch.Tensor):
            return f"The prediction of {name!r} must be a tensor: call the head on the features."
        if given[name].shape == (2, 3) and torch.equal(given[name], features):
            return "Those are the features. Each head has still to turn them into an answer."
        if same_tensor(given[name], head(images)):
            return "Your heads see the images. They should see what the encoder makes of them."
        if not same_tensor(given[name], head(features)):
            return f"The prediction of {name!r} is not its head on the encoder's features."
    if encoder.calls > 1:
        return (
            f"The answers are right, but the encoder ran {encoder.calls} times for 3 tasks. "
            "Run it once and keep the features: that is the bargain of hard sharing."
        )
    return None


class _CountingEncoder(nn.Module):
    """Doubles its input, and counts how often it runs."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return 2 * images


def _predict(encoder, heads, images):
    features = encoder(images)
    return {name: head(features) for name, head in heads.items()}


q1 = Exercise(
    name="Exercise 1",
    verdict=numbers(
        GRADIENTS,
        tolerance=1e-3,
        mistakes=GRADIENT_MISTAKES,
        otherwise="Look at {off} again: which tasks does it serve, and with which weights?",
    ),
    praise="θ hears a weighted vote, 2 · (−2) + 1 · 6 = 2; each head hears its own weight alone.",
    hints=(
        "The pulls with weight 1 are printed in the first two rows of the tiny example.",
        "θ: 2 · (−2) + 1 · 6. Head `a`: 2 times its own pull. Head `b`: once its own pull.",
    ),
    solution_code="answer = [2 * (-2) + 1 * 6, 2 * (-2), 1 * (-6)]",
)

ENCODER, HEAD = 1_198_592, (128 + 1) * 784

q2 = Exercise(
    name="Exercise 2",
    verdict=number(
        (ENCODER + 2 * HEAD) / (2 * ENCODER + 2 * HEAD),
        tolerance=1e-3,
        mistakes={
            0.5: "Half would be right if heads cost nothing, or were shared too. Here they are "
            "large, and each task keeps its own.",
            (2 * ENCODER + 2 * HEAD) / (ENCODER + 2 * HEAD): "Turn the fraction round: the shared "
            "network above, two networks below.",
            (ENCODER + 2 * HEAD) / (ENCODER + HEAD): "That compares with one network. Two separate "
            "ones have two encoders and two heads.",
            ENCODER / (ENCODER + 2 * HEAD): "That is the encoder's share of the shared network. "
            "Compare the whole of it with two networks.",
            (ENCODER + 2 * HEAD) / (2 * ENCODER + HEAD): "Two separate networks have two heads.",
        },
        otherwise="One encoder + two heads, divided by two encoders + two heads.",
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

q3 = Exercise(
    name="Exercise 3",
    verdict=number(
        math.log(2),
        tolerance=4e-3,
        mistakes={
            1 / math.log(2): "1.443 goes the wrong way: the loss is already 1.443 times as large.",
            math.log(2) ** 2: "That undoes the factor twice. Cross-entropy is not squared, so its "
            "factor counts once.",
            1: "Weight 1 keeps the loss 1.443 times as large, and its vote too.",
            1 / 784: "784 came from a squared error in pixels. Here the factor is 1.443.",
            0.5: "A bit is not half a nat. Undo the factor of 1.443.",
        },
        otherwise="The product of weight and loss has to stay what it was: λ · 1.443 · L = 1 · L.",
    ),
    praise="ln 2 times 1 / ln 2 is 1. A weight carries the units of one over its loss.",
    hints=(
        "In the sum, only the product of weight and loss counts.",
        "The loss is 1.443 times as large. Which weight undoes that?",
    ),
    solution_code="import math\n\nanswer = math.log(2)  # about 0.693",
)

q4 = Exercise(
    name="Exercise 4",
    verdict=_forward_verdict,
    praise="The encoder runs once, however many tasks there are.",
    hints=(
        "`heads` is like a dict: `heads.items()` gives each task's name and head.",
        "First `features = encoder(images)`, once. Then one dict with `head(features)` a task.",
    ),
    solution_code=solution_of(_predict),
)

q5 = Exercise(
    name="Exercise 5",
    verdict=choice(
        "c",
        {
            "a": "The shared network has fewer parameters, but that says nothing about its score "
            "against one network per task. What did the lesson compare with?",
            "b": "A gain over other weights shows that the weight was better chosen. It does not "
            "show that sharing beats not sharing.",
            "d": "The sum of the losses depends on the units of each. Metrics can be compared, "
            "task by task.",
            "e": "One seed can be luck. The bands of the lesson show how far seeds differ.",
        },
    ),
    praise="One network per task, the same encoder, several seeds, task by task.",
    hints=(
        "Sharing is compared with not sharing.",
        "Which baseline are the dotted lines of the lesson's picture?",
    ),
    solution_code='answer = "c"',
)
