"""Exercises of lesson 04: what a mask can do, what it costs, and what a difference proves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from mtl_tutorial.exercises.core import (
    AnswerError,
    Exercise,
    Verdict,
    as_function,
    choice,
    number,
    numbers,
    same_tensor,
    solution_of,
)

# Exercise 1: p = (4, 0, 2), mask logits (0, 5, -100).
MASKED = {"place 1": 2.0, "place 2": 0.0, "place 3": 0.0}


MASKED_MISTAKES = (
    ((4, None, None), "σ(0) is one half, not 1: a logit of 0 opens the mask half."),
    (
        (0, None, None),
        "σ(0) is one half. A logit of 0 does not close the mask; a very negative one does.",
    ),
    (
        (2, 1, 0),
        "Place 2 has p = 0. What does a mask make of nothing?",
        lambda given: abs(given[1]) > 1e-2,
    ),
    (
        (1, 0, 0),
        "Masks are no softmax: they need not sum to 1. Each place has a σ of its own.",
        lambda given: abs(sum(given) - 1) <= 1e-2,
    ),
    ((2, 0, 2), "σ(−100) is nearly 0: place 3 is closed.", lambda given: abs(given[2]) > 1e-2),
)

q1 = Exercise(
    name="Exercise 1",
    verdict=numbers(
        MASKED,
        tolerance=1e-2,
        mistakes=MASKED_MISTAKES,
        otherwise="Multiply place by place: σ(logit) · p.",
    ),
    praise="Half of 4, all of nothing, nothing of 2. A mask scales what is there.",
    hints=(
        "σ(0) = 1/2, σ(5) is nearly 1, σ(−100) is nearly 0.",
        "The first place: σ(0) · 4 = 2.",
    ),
    solution_code="answer = [0.5 * 4, 1.0 * 0, 0.0 * 2]",
)

CHANNELS = 16
STACK = 2 * CHANNELS * CHANNELS + CHANNELS * CHANNELS + 2 * 2 * CHANNELS

q2 = Exercise(
    name="Exercise 2",
    verdict=number(
        STACK,
        tolerance=0.5,
        mistakes={
            STACK - CHANNELS * CHANNELS: "From block 2 on the mask sees two inputs: u, and what "
            "came from the block before. The first 1×1 convolution has 32 channels to read.",
            STACK - 4 * CHANNELS: "The convolutions are right. Each batch norm adds a scale and a "
            "shift for every channel.",
            9 * (STACK - 4 * CHANNELS) + 4 * CHANNELS: "That is for 3×3 kernels. A mask looks at "
            "one place at a time: its kernels are 1×1.",
            3 * STACK: "That is for all three tasks. The question is about one.",
            STACK
            + 2 * CHANNELS: "These convolutions have no bias: the shift of batch norm is one.",
        },
        otherwise="Two 1×1 convolutions, 32 → 16 and 16 → 16, and two batch norms of 16 channels.",
    ),
    praise="832 numbers: a mask is small. Computing it at every place is what costs.",
    hints=(
        "A 1×1 convolution from a to b channels has a · b weights, and no bias here.",
        "32 · 16 + 16 · 16 for the convolutions, 2 · 16 for each of two batch norms.",
    ),
    solution_code="answer = 32 * 16 + 16 * 16 + 2 * (2 * 16)",
)

q3 = Exercise(
    name="Exercise 3",
    verdict=choice(
        "b",
        {
            "a": "It may be so, but the pictures do not show it: two masks of one task differ too. "
            "What do you compare with?",
            "c": "A mean of one half says that features are halved on average. It does not say "
            "whether places and images are told apart.",
            "d": "Channels of two networks have no common order: channel 3 of one is not channel 3 "
            "of the other. Compare inside one network.",
            "e": "The loss says how well a task is solved. It does not say what its masks do.",
        },
    ),
    praise="A difference means something against the difference of two masks that should agree.",
    hints=(
        "How much do masks differ when nothing but their first weights differs?",
        "In the lesson, which pair of masks had the same task, trunk, scenes and steps?",
    ),
    solution_code='answer = "b"',
)


# What a task may get in place of its masked features, from its logits and the features.
MASK_MISTAKES = (
    (
        lambda z, features: z.sigmoid(),
        "Those are the masks alone. Multiply the features by them.",
    ),
    (lambda z, features: z * features, "The logits are no masks yet. Send them through σ first."),
    (lambda z, features: features + z.sigmoid(), "Multiply by the mask, do not add it."),
    (
        lambda z, features: z.softmax(1) * features,
        "A softmax over channels makes them compete. Each number has a σ of its own.",
    ),
    (
        lambda z, features: z.flatten(2).softmax(2).view_as(z) * features,
        "A softmax over places makes them compete. Each number has a σ of its own.",
    ),
    (
        lambda z, features: features,
        "Those are the features as they were: no task's mask acts on them.",
    ),
)


def _for_every_task(mistake: Callable) -> Callable:
    return lambda features, logits: {name: mistake(z, features) for name, z in logits.items()}


def _attend_verdict(answer: Any) -> str | None:
    function = as_function(answer)
    generator = torch.Generator().manual_seed(0)
    names = ("digit", "box", "mask", "depth")
    logits = {n: torch.randn(2, 3, 4, 4, generator=generator) for n in names}
    features = torch.rand(2, 3, 4, 4, generator=generator) + 0.5
    given = function(features.clone(), {n: z.clone() for n, z in logits.items()})
    if given is None or given is ...:
        raise AnswerError(f"Your function gives {given}; its last line has to return the dict.")
    if not isinstance(given, dict):
        return f"Give a dict of features by task name; yours is a {type(given).__name__}."
    if set(given) != set(logits):
        differ = sorted(set(logits) ^ set(given))
        return f"There are logits for {sorted(logits)}; yours differs in {differ}. Loop over them."
    for name, z in logits.items():
        if not isinstance(given[name], torch.Tensor):
            return f"What {name!r} gets must be a tensor."
        for mistake, hint in MASK_MISTAKES:
            if same_tensor(given[name], mistake(z, features)):
                return hint
        if not same_tensor(given[name], z.sigmoid() * features):
            return f"What {name!r} gets is not its own σ(logits) times the features."
    return None


def _attend(features, logits):
    return {name: torch.sigmoid(z) * features for name, z in logits.items()}


q4 = Exercise(
    name="Exercise 4",
    verdict=Verdict(
        _attend_verdict, [(_for_every_task(mistake), hint) for mistake, hint in MASK_MISTAKES]
    ),
    praise="One set of features, one mask a task: â_i = σ(z_i) ⊙ p.",
    hints=(
        "`logits` is a dict: `logits.items()` gives each task's name and logits.",
        "`torch.sigmoid(z) * features` multiplies place by place and channel by channel.",
    ),
    solution_code=solution_of(_attend, "import torch"),
)
