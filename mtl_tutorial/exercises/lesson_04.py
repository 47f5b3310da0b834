"""Exercises of lesson 04: what a mask can do, what it costs, and what a difference proves."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from mtl_tutorial.architectures.attention import mask_stack
from mtl_tutorial.exercises.core import (
    AnswerError,
    Exercise,
    Verdict,
    choice,
    function,
    number,
    numbers,
    passes_gradients,
    solution_of,
)
from mtl_tutorial.widgets.attention_mask_viewer import FLAT, OWN, MaskView

# Exercise 1: p = (4, 0, 2), mask logits (0, 5, -100).
MASKED = {"place 1": 2.0, "place 2": 0.0, "place 3": 0.0}


MASKED_MISTAKES = (
    ((4, None, None), "Look at place 1. What does σ make of 0: nothing, half, or one?"),
    ((0, None, None), "Look at place 1. What does σ make of 0: nothing, half, or one?"),
    (
        (2, 1, 0),
        "Place 2 has p = 0. What does a mask make of nothing?",
        lambda given: abs(given[1]) > 1e-2,
    ),
    (
        (1, 0, 0),
        "Yours sum to 1, as after a softmax. Do the places of a mask know of each other?",
        lambda given: abs(sum(given) - 1) <= 1e-2,
    ),
    (
        (2, 0, 2),
        "Look at place 3. Where does σ go when its logit goes to −∞?",
        lambda given: abs(given[2]) > 1e-2,
    ),
)

q1 = Exercise(
    name="Exercise 1",
    verdict=numbers(
        MASKED,
        tolerance=1e-2,
        mistakes=MASKED_MISTAKES,
        otherwise="Look at {off} again: multiply place by place, σ(logit) · p.",
    ),
    praise="Half of 4, all of nothing, nothing of 2. A mask scales what is there.",
    hints=(
        "First the mask: σ of each logit. Then multiply by p, place by place.",
        "σ(0) = 1/2, σ(5) is nearly 1, σ(−100) is nearly 0.",
    ),
    solution_code="answer = [0.5 * 4, 1.0 * 0, 0.0 * 2]",
)


def _attend(stack, u, p, passed):
    seen = u if passed is None else torch.cat([u, passed], dim=1)
    return torch.sigmoid(stack(seen)) * p


def _gate(by, on="p"):
    """An attention with another gate than σ, or on other features than p."""

    def attend(stack, u, p, passed):
        seen = u if passed is None else torch.cat([u, passed], dim=1)
        return by(stack(seen)) * {"p": p, "u": u}[on]

    return attend


def _looks_at_p(stack, u, p, passed):
    return _attend(stack, p, p, passed)


def _turned_round(stack, u, p, passed):
    return _attend(stack, u, p, None) if passed is None else _attend(stack, passed, p, u)


def _gated(stack, seen, p):
    return torch.sigmoid(stack(seen)) * p


def _over_places(z):
    return z.flatten(2).softmax(2).view_as(z)


def _asks_a_tensor(stack, u, p, passed):
    seen = torch.cat([u, passed], dim=1) if passed else u
    return torch.sigmoid(stack(seen)) * p


ATTEND_MISTAKES = (
    (
        _asks_a_tensor,
        "`if passed` asks a whole tensor for one yes or no. What is `passed` in block 1, and how "
        "does Python ask for that?",
    ),
    (
        _gate(torch.sigmoid, on="u"),
        "A mask is made, but of which features does it leave a part? Look at â in the formula.",
    ),
    (
        _looks_at_p,
        "The mask acts on the right features. But which features does it look at, to decide?",
    ),
    (
        _gate(lambda z: z),
        "Your mask can be 7, or −3. What keeps it between closed and open?",
    ),
    (
        _gate(lambda z: z.softmax(1)),
        "Your channels compete: their masks sum to 1 at every place. May two channels be open at "
        "once in MTAN?",
    ),
    (
        _gate(_over_places),
        "Your places compete: their masks sum to 1 in every channel. That is attention of the "
        "other kind. May two places be open at once in MTAN?",
    ),
    (
        lambda stack, u, p, passed: _attend(stack, u, torch.ones_like(p), passed),
        "Those are the masks alone. What do they do to the features?",
    ),
    (
        lambda stack, u, p, passed: _gate(torch.sigmoid)(stack, u, p, passed) + p,
        "Yours leaves all of p and adds a part to it. A closed mask lets nothing through.",
    ),
    (
        _turned_round,
        "The mask sees the right two things. Are they in the order of the formula?",
    ),
    (
        lambda stack, u, p, passed: p,
        "Those are the features as they were: no mask acts on them.",
    ),
    *(
        (
            wrong,
            "In one of the two calls `passed` is None. What does a mask of block 1 see?",
        )
        for wrong in (
            lambda stack, u, p, passed: _gated(stack, torch.cat([u, passed], dim=1), p),
            lambda stack, u, p, passed: _gated(stack, u + passed, p),
        )
    ),
    (
        lambda stack, u, p, passed: _gated(stack, u if passed is None else u + passed, p),
        "From block 2 on the stack reads 2 C channels, and yours gives it C. Which two things does "
        "a mask see, and what does [ ; ] do with them?",
    ),
    (
        lambda stack, u, p, passed: _gated(
            stack, u if passed is None else torch.cat([u, passed]), p
        ),
        "Yours puts images beside images. Which dimension holds the channels?",
    ),
)


def _attend_case(channels: int, first: bool) -> tuple:
    generator = torch.Generator().manual_seed(channels)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(channels)
        stack = mask_stack(channels if first else 2 * channels, channels)[:-1]  # without its σ
    u, p, passed = (torch.rand(2, channels, 4, 4, generator=generator) + 0.5 for _ in range(3))
    return stack, u, p, None if first else passed


def _read_features(given: Any, case: tuple) -> np.ndarray:
    shape = tuple(case[2].shape)
    if isinstance(given, np.ndarray):
        raise AnswerError("Give a torch tensor: numpy passes no gradient, so no mask could learn.")
    if not isinstance(given, torch.Tensor):
        raise AnswerError(f"A tensor is needed, of shape {shape}; yours is {type(given).__name__}.")
    if tuple(given.shape) != shape:
        raise AnswerError(f"What is left of p has its shape, {shape}, not {tuple(given.shape)}.")
    return given.detach().numpy()


ATTEND_CASES = [_attend_case(3, first=True), _attend_case(4, first=False)]

q2 = Exercise(
    name="Exercise 2",
    verdict=function(
        _attend,
        ATTEND_CASES,
        returns="the tensor â",
        read=_read_features,
        mistakes=ATTEND_MISTAKES,
        otherwise="Follow the formula from inside: what the mask sees, the stack, σ, the product.",
        then=passes_gradients(
            _attend,
            ATTEND_CASES,
            "The numbers are right, but the stack or the features get no gradient, or another one, "
            "so the mask would not learn. What cuts it off: detach, no_grad, a new tensor?",
        ),
    ),
    praise="Look, decide at every place and channel, multiply: that is all of MTAN's attention.",
    hints=(
        "Block 1 has no block before it: `passed` is None there, and the mask sees u alone.",
        "`torch.cat([u, passed], dim=1)` puts channels beside channels.",
        "The last line: `torch.sigmoid(...) * ...`. What does the stack get, and what is masked?",
    ),
    solution_code=solution_of(_attend, "import torch"),
)

q3 = Exercise(
    name="Exercise 3",
    verdict=choice(
        "b",
        {
            "a": "Then you have more differences to look at. Differences from what?",
            "c": "A mean says how far a mask is open. Can it say why two masks differ?",
            "d": "Is channel 3 of one network channel 3 of the other? Stay inside one network.",
            "e": "The loss says how well a task is solved. Does it look at the masks?",
        },
    ),
    praise="A difference means something beside the difference of two masks that should agree.",
    hints=(
        "Masks start from random numbers. How much do they differ when nothing else does?",
        "You need two masks between which the task is the same, and all else is as it was.",
    ),
    solution_code='answer = "b"',
)

GOOD = 0.4  # IoU that the box needs with its own masks
KEPT = 2 / 3  # of it that it may keep at most with those of digit


def _viewer_verdict(answer: Any) -> str | None:
    view = getattr(answer, "view", None)
    if not isinstance(view, MaskView):
        raise AnswerError("Choose in the viewer, and hand in the viewer: answer = viewer.")
    task, source = view.choice.task, view.choice.source
    if task != "box":
        return f"You look at the answer of {task}. Choose `box` there."
    if source in (OWN, FLAT, "box"):
        return f"You give box {source} masks. Give it those of digit."
    if source != "digit":
        return f"You give box the masks of {source}. Those of digit are asked for."
    own, other = view.own_metric, view.metric
    if own < GOOD:
        return (
            f"With its own masks box has an IoU of {own:.2f} here: it was lost before. Look for an "
            f"image where it has {GOOD} or more."
        )
    if other > KEPT * own:
        return f"With digit's masks box keeps {other:.2f} of {own:.2f}. Look for more harm."
    return None


q4 = Exercise(
    name="Exercise 4",
    verdict=Verdict(_viewer_verdict),
    praise="Nothing changed but which features are let through. One picked image proves nothing: "
    "others may gain. The picture below has the mean over many.",
    hints=(
        "Set `answer of` to box and `with masks` to digit, then go through the images: about one "
        "in five will do.",
        "The sentence below gives both scores. You need 0.4 or more, and then two thirds of it or "
        "less.",
    ),
    solution_code="""
viewer.task.value, viewer.source.value = "box", "digit"
for number in range(1, viewer.image_number.max + 1):
    viewer.image_number.value = number
    own, other = viewer.view.own_metric, viewer.view.metric
    if own >= 0.4 and other <= own * 2 / 3:
        break
answer = viewer
""",
)

CHANNELS = 16
STACK = 2 * CHANNELS * CHANNELS + CHANNELS * CHANNELS + 2 * 2 * CHANNELS

q5 = Exercise(
    name="Exercise 5",
    verdict=number(
        STACK,
        tolerance=0.5,
        mistakes={
            STACK - CHANNELS * CHANNELS: "That would be a stack of block 1. What else does a later "
            "mask see, beside u?",
            STACK - 4 * CHANNELS: "The convolutions are right. Each batch norm learns something, "
            "too.",
            STACK - 2 * CHANNELS: "One batch norm is missing, or half of each. What does a batch "
            "norm learn for a channel?",
            9 * (STACK - 4 * CHANNELS) + 4 * CHANNELS: "That is for 3×3 kernels. How many places "
            "does a mask look at?",
            3 * STACK: "That is for all three tasks. The question is about one.",
            4 * STACK: "That is for all four questions. The question is about one.",
            STACK
            + 2 * CHANNELS: "You have counted biases of the convolutions. Why are there none?",
        },
        otherwise="Two convolutions and two batch norms. How many channels go in and out of each?",
    ),
    praise="832 numbers: a mask is small. Computing it at every place is what costs.",
    hints=(
        "A 1×1 convolution from a to b channels has a · b weights, and no bias here.",
        "The first reads 32 channels: 16 of u, 16 from the block before.",
        "32 · 16 + 16 · 16 for the convolutions, 2 · 16 for each of two batch norms.",
    ),
    solution_code="answer = 32 * 16 + 16 * 16 + 2 * (2 * 16)",
)
