"""Exercises of lesson 14: one network that is asked in words."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mtl_tutorial.exercises.core import (
    AnswerError,
    Exercise,
    choice,
    function,
    leaves_inputs,
    number,
    numbers,
    passes_gradients,
    solution_of,
)

# Exercise 1: scores log 6, log 3 and log 1, values 10, 20 and 0.
READ = {"the weight of the first key": 0.6, "what is read": 12.0}
READ_MISTAKES = (
    ((1 / 3, 10.0), "That is the mean of all values. Larger scores count for more: exponentials."),
    ((1.0, 10.0), "Softmax is soft: the largest score gets the largest share, not all of it."),
    ((6.0, 120.0), "Those are the exponentials. What must the three weights sum to?"),
    ((6.0, 12.0), "The second number is right. The weight is a share: the three sum to 1."),
    (
        (math.log(6) / math.log(18), 10 * (math.log(6) + 2 * math.log(3)) / math.log(18)),
        "Those are shares of the scores themselves. Softmax takes exponentials first.",
    ),
    ((0.6, 30.0), "The weight is right. The values are weighed before they are added."),
    ((12.0, 0.6), "Both numbers are right. The weight comes first, then what is read."),
    ((60.0, 12.0), "The second number is right. Give the weight as a share, from 0 to 1."),
    ((0.6, 6.0), "The weight is right. What do the two other keys add?"),
)


def _masked_attention(q, k, v, may):
    scores = q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5
    scores = scores.masked_fill(~may, -torch.inf)
    return scores.softmax(dim=-1) @ v


def _cases() -> Iterator[tuple]:
    draws = torch.Generator().manual_seed(0)
    for n, m, d in ((3, 5, 4), (2, 6, 9)):
        q, k, v = (2 * torch.randn(s, d, generator=draws) for s in (n, m, m))
        may = torch.rand(m, generator=draws) > 0.4
        may[0] = True
        yield q, k, v, may
    q, k, v = (torch.randn(2, 4, width, generator=draws) for width in (3, 3, 5))
    yield q, k, v, torch.tensor([True, True, False, True])
    yield 30 * q, 3 * k, v, torch.tensor([False, True, False, True])  # scores far from 0


CASES = list(_cases())


def _other(
    *,
    fill: float | None = -math.inf,
    flip: bool = False,
    scale: str = "root",
    after: str = "",
    weights: bool = False,
) -> Callable:
    """Attention that goes wrong in one way or another."""

    def attend(q, k, v, may):
        divisor = {"root": q.shape[-1] ** 0.5, "none": 1.0, "width": q.shape[-1]}[scale]
        scores = q @ k.transpose(-2, -1) / divisor
        allowed = ~may if flip else may
        if fill is not None:
            scores = scores.masked_fill(~allowed, fill)
        shares = scores.softmax(dim=-1)
        if after:
            shares = shares * allowed
        return shares if weights else shares @ v

    return attend


MASK_MISTAKES = (
    (
        _other(fill=None, after="times"),
        "Hidden keys have the weight 0, and the others no longer sum to 1. Hide them before the "
        "softmax.",
    ),
    (
        _other(fill=0.0),
        "A score of 0 is not nothing: exp(0) = 1. Which score has the exponential 0?",
    ),
    (
        _other(fill=-20.0),
        "Some scores are lower than −20. Which score is lower than all, and has the exponential 0?",
    ),
    (_other(fill=None), "Every key is still looked at. Where does `may` come in?"),
    (_other(flip=True), "You hide what may be seen. `may` is True where a key may be looked at."),
    (_other(scale="none"), "Right but for the scale: the product is divided by √d."),
    (_other(scale="width"), "Right but for the scale: √d, the root of the width, not d."),
    (_other(weights=True), "Those are the weights. What is read with them from the values?"),
)


def _as_array(value: Any, case: tuple) -> Any:
    value = _read(value)
    if not isinstance(value, Tensor):
        raise AnswerError(
            f"What is read is needed, a tensor; yours is of type {type(value).__name__}."
        )
    return np.asarray(value.detach())


_passes_gradients = passes_gradients(
    _masked_attention,
    CASES,
    "The values are right, but no gradient goes back to queries, keys and values: a network could "
    "not learn with it. (`torch.no_grad()`, `.detach()` and `.item()` cut it off.)",
)


def _read(value: Any) -> Any:
    """What is read, where the weights come with it."""
    pair = isinstance(value, tuple) and value and isinstance(value[0], Tensor)
    return value[0] if pair else value


def _learns_and_leaves(answer: Callable) -> str | None:
    """The inputs stay, and get the gradients that a right function gives them."""
    return leaves_inputs(CASES)(answer) or _passes_gradients(lambda *case: _read(answer(*case)))


def _what_is_wrong(given: list) -> str:
    if any(np.isnan(value).any() for value in given):
        return (
            "There are NaNs: −∞ times 0, ∞ / ∞ or 0 / 0. Give hidden keys their score by "
            "`masked_fill`, and take the softmax afterwards: it bears large scores."
        )
    return (
        "Not what is read where only some keys may be looked at. Try one query and two keys, one "
        "of them hidden: the weight of the other has to be 1."
    )


q1 = Exercise(
    name="Exercise 1",
    verdict=numbers(
        READ,
        tolerance=0.011,
        mistakes=READ_MISTAKES,
        otherwise="{off} is not right yet. Take the exponential of each score, then shares of "
        "their sum.",
    ),
    praise="exp of the scores: 6, 3, 1; shares 0.6, 0.3, 0.1; 0.6 · 10 + 0.3 · 20 + 0.1 · 0 = 12.",
    hints=(
        "exp(log 6) = 6. What are the three exponentials, and what is their sum?",
        "The weights are shares of that sum. What is read is the weighted sum of the values.",
    ),
    solution_code="""
weights = [6 / 10, 3 / 10, 1 / 10]
answer = [weights[0], sum(w * value for w, value in zip(weights, (10, 20, 0)))]
""",
)

q2 = Exercise(
    name="Exercise 2",
    verdict=function(
        _masked_attention,
        CASES,
        returns="what is read",
        read=_as_array,
        mistakes=MASK_MISTAKES,
        otherwise=_what_is_wrong,
        then=_learns_and_leaves,
    ),
    praise="A hidden key has the score −∞, the weight 0, and the others share the whole.",
    hints=(
        "Write attention without the mask first: scores, softmax over the keys, values.",
        "`scores.masked_fill(~may, -torch.inf)` changes the scores where `may` is False.",
    ),
    solution_code=solution_of(_masked_attention, "import torch"),
)

q3 = Exercise(
    name="Exercise 3",
    verdict=number(
        9.0,
        mistakes={
            0.0: "Read the answers again: is there a yes or a no for each heard digit?",
            1.0: "One of the ten is not a number. How many are?",
            90.0: "A count is needed, of the ten digits; not percent.",
            0.9: "A count is needed, of the ten digits; not a share.",
            10.0: "Nearly. Is the 8 among those that you asked about?",
            8.0: "Nearly. Is a 7 seen, in the handwriting, at the place and with the phone of the "
            "beginning?",
            5.0: "That would be a guess. Pick each digit from 0 to 9 to be heard, and count.",
        },
        otherwise="Is the question 'is heard even', and is a 7 seen, as at the beginning? Then "
        "pick each digit from 0 to 9 to be heard, and count the answers that are numbers.",
    ),
    praise="The network answers another question, one that begins with 'which'. It has learned "
    "rows of words, more than words.",
    hints=(
        "Build the question from its three words, or pick it from the list.",
        "Numbers are answers such as '1'; yes and no are none. Count over all ten heard digits.",
    ),
    solution_code="answer = 9",
)

q4 = Exercise(
    name="Exercise 4",
    verdict=choice(
        "b",
        {
            "a": "More scenes make the same number more exact. What was trained, and what was not?",
            "c": "What does a size say about questions that were never asked?",
            "d": "Rarely is not never. Could it have learned those sentences one by one?",
            "e": "'Larger than four', answered as 'larger than five', is right on most scenes. "
            "Which scenes tell the two apart?",
        },
    ),
    praise="Held out, and where half an understanding fails: both are needed.",
    hints=(
        "General is a claim about what was not trained.",
        "On which scenes is a network wrong that takes one word of the question for another?",
    ),
    solution_code='answer = "b"',
)
