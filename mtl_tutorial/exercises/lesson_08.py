"""Exercises of lesson 08: conflicts of gradients, and surgery on them."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mtl_tutorial.data.landscape import STARTS
from mtl_tutorial.exercises.core import (
    AnswerError,
    Exercise,
    Verdict,
    as_function,
    as_number,
    choice,
    number,
    solution_of,
)
from mtl_tutorial.experiments.race import run_race

# --- 1: write PCGrad for any number of tasks ---


def _surgery(jacobian):
    direction = torch.zeros_like(jacobian[0])
    for i in range(len(jacobian)):
        v = jacobian[i].clone()
        for j in torch.randperm(len(jacobian)).tolist():
            other = jacobian[j]
            if j != i and v @ other < 0:
                v = v - (v @ other) / (other @ other) * other
        direction = direction + v
    return direction


def _unit_vectors(*degrees: float) -> Tensor:
    angles = torch.deg2rad(torch.tensor(degrees, dtype=torch.float64))
    return torch.stack([angles.cos(), angles.sin(), torch.zeros_like(angles)], dim=1)


def _rows(*rows: list[float]) -> Tensor:
    return torch.tensor(rows, dtype=torch.float64)


PAIRS = (  # two tasks: the order can't matter
    _rows([1, 0, 2], [2, 1, 0]),
    _rows([4, 1, 0], [-1, 1, 0]),
    _rows([1, 0, 0], [-2, 2, 1]),
)
TRIPLES = (  # three tasks: it does
    _unit_vectors(0, 150, 210),
    _rows([2, 0, 1], [-2, 1, 0], [-2, 1, 1]),  # a cut off one of two that are alike
    _rows([0, 0, 0, 1], [1, 0, 0, 0], [-1, 1, 0, 0], [-1, -1, 1, 0]),  # four, one without conflict
)
ZERO = _rows([1, 2, -1], [0, 0, 0])  # of a task that has nothing to learn
DRAWS, ALL_DRAWS = 40, 100  # of the order: of an answer, and to see every direction there is


def _variant(
    *,
    skip_itself: bool = True,
    only: Callable[[Tensor, Tensor, Tensor], bool] = lambda v, own, other: bool(v @ other < 0),
    length: Callable[[Tensor], Tensor] = lambda other: other @ other,
    sign: float = 1.0,
    keep: bool = False,
    reduce: Callable[[Tensor], Tensor] = lambda parts: parts.sum(0),
    order: Callable[[int, int], list[int]] = lambda count, i: torch.randperm(count).tolist(),
) -> Callable[[Tensor], Tensor]:
    """PCGrad, but for one thing."""

    def surgery(jacobian: Tensor) -> Tensor:
        gradients, parts = jacobian.clone(), []
        for i, own in enumerate(jacobian):
            v = own.clone()
            for j in order(len(jacobian), i):
                other = gradients[j]
                if (j != i or not skip_itself) and only(v, own, other):
                    v = v - sign * (v @ other) / length(other) * other
            parts.append(v)
            if keep:
                gradients[i] = v
        return reduce(torch.stack(parts))

    return surgery


def _divides_first(jacobian: Tensor) -> Tensor:
    """Takes away the part along the other, or nothing of it; 0 / 0 where the other is 0."""
    direction = torch.zeros_like(jacobian[0])
    for i, own in enumerate(jacobian):
        v = own.clone()
        for j in torch.randperm(len(jacobian)).tolist():
            if j != i:
                share = (v @ jacobian[j]) / (jacobian[j] @ jacobian[j])
                v = v - share.clamp(max=0) * jacobian[j]
        direction = direction + v
    return direction


SURGERY_MISTAKES: tuple[tuple[Callable, str], ...] = (
    (_variant(only=lambda v, own, other: False), "That is the plain sum. Where do you project?"),
    (
        _variant(reduce=lambda parts: parts.mean(0)),
        "You give the mean of the v. What does the formula do with them?",
    ),
    (
        _variant(keep=True),
        "Right for the first task. For the next ones, look at what you project off: has that "
        "gradient been cut already? (`v -= …` also changes the row that v was taken from.)",
    ),
    (
        _variant(skip_itself=False),
        "Right for two tasks. With three, v may come to point against its own g_i. Is a task one "
        "of its own others?",
    ),
    (
        _variant(only=lambda v, own, other: bool(own @ other < 0)),
        "Right for two tasks. With three, v has changed by the time it meets the next task. Which "
        "dot product does the formula ask about, that of g_i or that of v?",
    ),
    (
        _variant(only=lambda v, own, other: bool(other @ other > 0)),
        "Two gradients that agree are projected too. When does the formula project?",
    ),
    (
        _variant(length=lambda other: (other @ other).sqrt()),
        "The cut has the wrong length. Which power of ‖g_j‖ does the formula divide by?",
    ),
    (
        _variant(sign=-1.0),
        "After the cut the two still work against each other, more than before. Which way does "
        "the cut go?",
    ),
    (
        _variant(order=lambda count, i: list(range(i))),
        "Of each pair you cut one gradient only. Who are the others of the first task?",
    ),
    (
        _variant(reduce=lambda parts: parts),
        "One direction is needed, of the shape (P,). You have one v a task; what comes last?",
    ),
    (
        _divides_first,
        "One of the unseen cases has a gradient that is 0, and yours gives NaN there. What do you "
        "divide by, and when?",
    ),
    (
        _variant(order=lambda count, i: torch.randperm(min(count, 3)).tolist()),
        "Right up to three tasks. With four, does every v meet three others?",
    ),
    (
        _variant(order=lambda count, i: list(range(count))),
        "Every direction is a possible one. But from three tasks on the order matters, and yours "
        "is the same each time. What does the formula say about the order?",
    ),
)
NO_ORDER = SURGERY_MISTAKES[-1][1]
Found = list[list[np.ndarray]]


def _found(answer: Callable, draws: int) -> Found:
    """The directions that a function gives: for each case as many as it makes."""
    found: Found = []
    with torch.random.fork_rng(devices=[]):
        for case in (*PAIRS, ZERO, *TRIPLES):
            times = draws if len(case) > 2 else 1
            found.append(_distinct([_direction(answer, case) for _ in range(times)]))
    return found


@functools.cache
def _known(answer: Callable) -> Found:
    return _found(answer, ALL_DRAWS)


def _direction(answer: Callable, case: Tensor) -> np.ndarray:
    given = answer(copy.deepcopy(case))
    if given is None or given is ...:
        raise AnswerError(
            f"Your function gives {given}; its last line has to return the direction."
        )
    try:
        return np.asarray(given, dtype=float)
    except (TypeError, ValueError):
        raise AnswerError(
            f"A tensor of the shape ({case.shape[1]},) is needed; yours is of type "
            f"{type(given).__name__}."
        ) from None


def _same(a: np.ndarray, b: np.ndarray) -> bool:
    return a.shape == b.shape and np.allclose(a, b, atol=1e-4, equal_nan=True)


def _distinct(values: list[np.ndarray]) -> list[np.ndarray]:
    kept: list[np.ndarray] = []
    for value in values:
        if not any(_same(value, known) for known in kept):
            kept.append(value)
    return kept


def _within(given: Found, known: Found) -> bool:
    """Whether all directions of one function are among those of another."""
    return all(
        any(_same(value, other) for other in others)
        for values, others in zip(given, known, strict=True)
        for value in values
    )


def _judge_surgery(answer: Any) -> str | None:
    given = _found(as_function(answer), DRAWS)
    if _within(given, _known(_surgery)):
        return None if any(len(values) > 1 for values in given) else NO_ORDER
    for known, hint in SURGERY_MISTAKES:
        if _within(given, _known(known)):
            return hint
    shape, wanted = given[0][0].shape, PAIRS[0][0].shape
    if shape != wanted:
        return f"One direction is needed, of the shape {tuple(wanted)}; yours is {shape}."
    by_hand = _surgery(PAIRS[1]).numpy()
    if not _same(given[1][0], by_hand):
        return (
            "Try it on (4, 1, 0) and (−1, 1, 0), one pair that you can do on paper. After the cut, "
            "is each v at right angles to the other gradient?"
        )
    return "Right for two tasks, not for three. Follow one v through its two others, on paper."


q1 = Exercise(
    name="Exercise 1",
    verdict=Verdict(_judge_surgery, SURGERY_MISTAKES),
    praise="That is PCGrad: originals to project off, running v, random order, and a sum.",
    hints=(
        "Two loops: over the tasks i, and inside over all others in an order that you draw anew "
        "(`torch.randperm(T).tolist()`).",
        "Begin each v with `jacobian[i].clone()`, and change v alone. The question `if` asks is "
        "about v as it is by then, and about the untouched `jacobian[j]`.",
        "The inner line is `v = v - (v @ other) / (other @ other) * other`, under "
        "`if j != i and v @ other < 0`.",
    ),
    solution_code=solution_of(_surgery, "import torch"),
)

# --- 2: when does the sum hurt? g_2 · (g_1 + g_2) = ‖g_1‖ ‖g_2‖ cos + ‖g_2‖² = −1.5 ‖g_2‖ + ‖g_2‖²

q2 = Exercise(
    name="Exercise 2",
    verdict=number(
        1.5,
        tolerance=0.01,
        mistakes={
            6.0: "From a length of 6 on, the sum hurts task 1: the other end. Which of the two is "
            "the shorter one here?",
            0.5: "That is a ratio. The length of the first gradient is 3.",
            -1.5: "A length is not negative. Where does the minus belong?",
            3.0: "With equal lengths the sum is the bisector, and nobody is hurt.",
            1.732: "That is the half of 3 times √3. Which function of the angle is in the "
            "condition?",
        },
        otherwise="Write g_2 · (g_1 + g_2) with the two lengths and the cosine. Where is it zero? "
        "The compass shows it too: set the angle that has this cosine.",
    ),
    praise="Half of 3: the cosine says at which share of the longer one the shorter one is hurt.",
    hints=(
        "A cosine of −0.5 is an angle of 120°. In the compass the first gradient has length 1: "
        "shorten g₂ until the sum leaves the wedge.",
        "g_2 · (g_1 + g_2) = 3 · ‖g_2‖ · (−0.5) + ‖g_2‖². Set it to 0.",
    ),
    solution_code="answer = 0.5 * 3  # minus the cosine, times the longer length",
)

# --- 3: other units ---

q3 = Exercise(
    name="Exercise 3",
    verdict=choice(
        "b",
        {
            "a": "Follow v_box from its start, g_box. Is that still the same vector?",
            "c": "Work out the cut of v_digit once more, with 10 g_box in place of g_box: how "
            "often does the 10 stand above the fraction bar and beside it, how often below?",
            "d": "v_digit starts as g_digit, which has no 10 in it. Does its cut bring one in?",
        },
    ),
    praise="The cut sees directions only. The sum sees lengths: PCGrad does not free you from the "
    "choice of units.",
    hints=(
        "Write both v with 10 g_box in place of g_box, and cancel.",
        "(g_digit · 10 g_box) / ‖10 g_box‖² · 10 g_box: the tens above and below cancel.",
    ),
    solution_code='answer = "b"',
)

# --- 4: find a rate with which the sum arrives ---

RACE_STEPS = 500
LARGEST_RATE = 0.502  # of the widget's slider


def _home(rate: float) -> torch.Tensor:
    """Tell from which starts the sum arrives."""
    race = run_race(optimizer="Adam", learning_rate=rate, steps=RACE_STEPS)
    return race.arrived(RACE_STEPS)[0]


def _judge_rate(answer: Any) -> str | None:
    rate = as_number(answer)
    if not 0 < rate <= LARGEST_RATE:
        return f"The slider goes from 0.001 to 0.5; your rate is {rate:g}."
    there = _home(rate)
    if there.all():
        return None
    away = ", ".join(str(i + 1) for i in range(len(STARTS)) if not there[i])
    return (
        f"With a rate of {rate:g}, {RACE_STEPS} steps of the sum do not lead to a best trade-off "
        f"from start {away}. Look at the ends of these ways in the widget: do they lie still, or "
        f"were they cut off on their way?"
    )


q4 = Exercise(
    name="Exercise 4",
    verdict=Verdict(
        _judge_rate,
        (
            (0.1, "from start 1, 3, 4."),
            (0.03, "cut off on their way"),
            (0.16, "from start"),
            (0, "The slider goes"),
            (5, "The slider goes"),
        ),
    ),
    praise="All five arrive, by the sum alone. Whoever says that the sum gets stuck here owes you "
    "the rate.",
    hints=(
        "Leave Adam on, choose all starts, and move the learning rate alone. The sentence below "
        "the picture counts who has arrived.",
        "At 0.1 three ways are cut off: are their steps too short, or too long? And not every rate "
        "beyond brings all five home: read the count at each.",
    ),
    solution_code="answer = 0.15",
)
