"""Exercises of lesson 10: fronts, how large they are, and what finds a place on them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mtl_tutorial.exercises.core import (
    AnswerError,
    Exercise,
    Form,
    Verdict,
    choice,
    function,
    number,
    solution_of,
)


def letters(right: str, mistakes: Mapping[str, str], otherwise: str) -> Verdict:
    """Make the verdict for a set of letters, given as a text or a list; the order is free.

    Args:
        right: the right ones.
        mistakes: the hint for each wrong set that can be foreseen.
        otherwise: the hint for all others.
    """
    known = set(right).union(*mistakes)

    def judge(answer: Any) -> str | None:
        if not isinstance(answer, (str, list, tuple, set, frozenset)):
            raise AnswerError(
                f'Letters are needed, such as "AC"; yours is of type {type(answer).__name__}.'
            )
        given = {str(item).strip().upper() for item in answer} - {"", ","}
        if wrong := given - known:
            raise AnswerError(
                f"The letters are {', '.join(sorted(known))}; yours has {min(wrong)!r}."
            )
        for name, hint in {right: None, **mistakes}.items():
            if given == set(name):
                return hint
        return otherwise

    tried = [(right, None), *mistakes.items()]
    form = Form(tried, words=sorted(known), several=True, otherwise=otherwise)
    return Verdict(judge, tuple(mistakes.items()), form)


# Exercise 1: accuracy and milliseconds: A (0.90, 5), B (0.80, 3), C (0.85, 6), D (0.70, 2),
# E (0.75, 4).
q1 = Exercise(
    name="Exercise 1",
    verdict=letters(
        "ABD",
        {
            "D": "Is a small accuracy good?",
            "AC": "Is a long time good?",
            "CDE": "Look at D: few milliseconds, low accuracy. Which of the two is good?",
            "C": "C is slow, and A is more accurate. What is to be large, and what small?",
            "CE": "Those two can be deleted. Which ones are asked for?",
            "AD": "Those are the most accurate one and the fastest one. Does anything dominate B?",
            "AB": "Is there a network that is as fast as D, or faster?",
            "ABCD": "Compare C with A, in both columns.",
            "ABDE": "Compare E with B, in both columns.",
            "ABCDE": "Some pair has one network that is more accurate **and** faster.",
        },
        "Take each network: is there another one that is nowhere worse, and somewhere better? "
        "Large is good in one column, small in the other.",
    ),
    praise="With the error in place of the accuracy, or a minus sign, small is good in both.",
    hints=(
        "`non_dominated` takes small for good. Which column needs a minus sign?",
        "A against C: more accurate, and faster.",
    ),
    solution_code="""
import torch

from mtl_tutorial.experiments import non_dominated

networks = torch.tensor([[0.90, 5], [0.80, 3], [0.85, 6], [0.70, 2], [0.75, 4]])
keep = non_dominated(networks * torch.tensor([-1.0, 1.0]))
answer = [letter for letter, kept in zip("ABCDE", keep.tolist()) if kept]
""",
)

# Exercise 2: P (0, 10), Q (4, 7), R (7, 4), S (10, 0); weights 0.6 and 0.4.
q2 = Exercise(
    name="Exercise 2",
    verdict=choice(
        "b",
        {
            "a": "P is right for the sum. Which of P's two weighted losses does min-max see, and "
            "which of Q's?",
            "c": "One of the two goes to an end, and one to the inside. Which one?",
            "d": "Which task has the weight 0.6?",
            "e": "Min-max is right. Is there a weight for which the sum of Q is below those of P "
            "and S?",
        },
    ),
    praise="The sum goes to an end of this front, whatever the weights. Min-max does not.",
    hints=(
        "For each point, work out 0.6 L₁ and 0.4 L₂.",
        "The sum adds them, min-max takes the larger one. Then look for the smallest.",
    ),
    solution_code='answer = "b"',
)

q3 = Exercise(
    name="Exercise 3",
    verdict=number(
        1.45,
        tolerance=0.011,
        mistakes={
            1.41: "That is where it begins. Where is half of the front out of reach?",
            1.5: "Read the sentence below the picture: more than half. And a little nearer?",
            1.6: "That is where the explorer begins. What does the sentence say?",
            2.0: "There nearly all of it is out of reach, for some time already.",
        },
        otherwise="Bend the front by its middle, and read in the sentence below the picture how "
        "much is out of the weighted sum's reach.",
    ),
    praise="At √2 all of the front is within reach. A step of 0.05 further, half of it is gone.",
    hints=(
        "At 1.6 it is 87 %. Is that nearer to the beginning of the trouble, or to its end?",
        "It begins at √2. Go on from there in small steps; the arrow keys make them.",
    ),
    solution_code="""
from mtl_tutorial.experiments.pareto import explore_front

distances = [0.6 + 0.05 * i for i in range(37)]
answer = min(distances, key=lambda d: abs(explore_front(d, 0.5).share - 0.5))
""",
)


def _frank_wolfe_step(gramian, a):
    toward = gramian @ a  # how far each task agrees with the present direction
    t = toward.argmin()
    p, q, c = toward[t], a @ toward, gramian[t, t]
    if c <= p:
        gamma = 1.0
    elif q <= p:
        gamma = 0.0
    else:
        gamma = (q - p) / (q + c - 2 * p)
    moved = (1 - gamma) * a
    moved[t] = moved[t] + gamma
    return moved


def _step(
    *,
    pick: Callable = lambda gramian, a: (gramian @ a).argmin(),
    clip: bool = True,
    swap: bool = False,
    shrink: bool = True,
    twice: bool = True,
    size: Callable | None = None,
) -> Callable:
    """A step that goes wrong in one way or another."""

    def step(gramian: Tensor, a: Tensor) -> Tensor:
        t = pick(gramian, a)
        p, q, c = (gramian @ a)[t], a @ gramian @ a, gramian[t, t]
        gamma = (q - p) / (q + c - (2 if twice else 1) * p)
        if clip:
            gamma = torch.where(c <= p, 1.0, torch.where(q <= p, 0.0, gamma))
        if size:
            gamma = torch.as_tensor(size(gramian, a))
        gamma = torch.nan_to_num(1 - gamma if swap else gamma)
        moved = ((1 - gamma) if shrink else 1.0) * a
        return moved + gamma * torch.nn.functional.one_hot(t, len(a))

    return step


def _gramian(rows: list[list[float]]) -> Tensor:
    jacobian = torch.tensor(rows).double()
    return jacobian @ jacobian.T


STEPS = [
    (_gramian([[1, 0], [-1, 1]]), torch.tensor([0.5, 0.5]).double()),
    (_gramian([[3, 0], [1, 0.5]]), torch.tensor([0.5, 0.5]).double()),  # γ = 1
    (_gramian([[2, 0, 1], [0, 3, 1], [-1, -1, 2]]), torch.tensor([1, 1, 1]).double() / 3),
    (_gramian([[2, 0, 1], [0, 3, 1], [-1, -1, 2]]), torch.tensor([0.2, 0.7, 0.1]).double()),
    (_gramian([[1, 0], [0, 1]]), torch.tensor([0.5, 0.5]).double()),  # it is there: γ = 0
]


def _as_weights(value: Any, case: tuple) -> Any:
    if isinstance(value, (list, tuple, np.ndarray)):
        value = torch.tensor([float(item) for item in value])
    if not isinstance(value, Tensor) or value.shape != case[1].shape:
        shape = tuple(getattr(value, "shape", ()))
        raise AnswerError(
            f"The new weights are needed, {len(case[1])} numbers; yours is of type "
            f"{type(value).__name__} and shape {shape}."
        )
    return value.detach().double().numpy()


NOT_CLIPPED = (
    "One weight becomes negative: your step goes beyond the corner. When is the corner itself the "
    "best place on the way?"
)
FRANK_WOLFE_MISTAKES = (
    (
        _step(pick=lambda gramian, a: (gramian @ a).argmax()),
        "Towards which task do you step? One that agrees with the present direction most of all "
        "needs no help, and the weights hardly move.",
    ),
    (
        _step(pick=lambda gramian, a: gramian.diagonal().argmin()),
        "You step towards the shortest gradient. It is the product with the present direction that "
        "counts, K a.",
    ),
    (_step(clip=False), NOT_CLIPPED),
    (
        _step(swap=True),
        "γ and 1 − γ have changed places: at γ = 1 the weights shall be those of the corner.",
    ),
    (
        _step(shrink=False),
        "Your weights no longer add up to 1. What happens to the others when task t gains γ?",
    ),
    (_step(twice=False), "Work out ‖(1 − γ) d + γ g_t‖² again: how often does p stand in it?"),
    (
        _step(twice=False, clip=False),
        "Work out ‖(1 − γ) d + γ g_t‖² again: how often does p stand in it?",
    ),
    (
        _step(size=lambda gramian, a: 1.0),
        "You go all the way to the corner. Where between a and the corner is the vector shortest?",
    ),
    (
        _step(size=lambda gramian, a: 0.5),
        "You go half of the way. Where between a and the corner is the vector shortest?",
    ),
    (
        _step(size=lambda gramian, a: 2 / 3),
        "The step of 2 / (k + 2) is for when one can't find the best place on the way. Here one "
        "can: where is the vector shortest?",
    ),
)

q4 = Exercise(
    name="Exercise 4",
    verdict=function(
        _frank_wolfe_step,
        STEPS,
        returns="the new weights",
        read=_as_weights,
        mistakes=FRANK_WOLFE_MISTAKES,
        otherwise="Try it on the two gradients (1, 0) and (−1, 1) with a = (½, ½), by hand: what "
        "are K a, t, p, q, c and γ, and what does your function give?",
    ),
    praise="Towards the task that agrees least, and as far as the vector gets shorter.",
    hints=(
        "`toward = gramian @ a` holds K a. Then t, p, q and c are four short lines.",
        "The three cases of γ are in the text. Then `moved = (1 - gamma) * a`, and task t gets γ "
        "on top.",
    ),
    solution_code=solution_of(_frank_wolfe_step),
)


def _hypervolume(points, reference):
    area, top = 0.0, reference[1]
    for first, second in sorted(points):  # from the smallest loss of task 1
        if first < reference[0] and second < top:  # else it is dominated, or beyond
            area += (reference[0] - first) * (top - second)  # the strip that is new
            top = second
    return area


FRONTS = (
    ([(1.0, 4.0), (2.0, 2.0), (4.0, 1.0)], (5.0, 5.0)),  # a front, in order
    ([(4.0, 1.0), (1.0, 4.0), (2.0, 2.0)], (5.0, 5.0)),  # in another order
    ([(1.0, 4.0), (3.0, 3.0), (2.0, 2.0), (2.0, 4.5)], (5.0, 5.0)),  # with dominated points
    ([(1.0, 4.0), (2.0, 2.0), (6.0, 1.0), (7.0, 7.0)], (5.0, 5.0)),  # with points beyond
    ([(0.5, 0.25)], (1.0, 2.0)),
    ([(1.0, 4.0), (2.0, 2.0), (4.0, 1.0), (3.0, 3.0), (2.0, 4.0)], (5.0, 5.0)),  # with a tie
    ([(-1.0, 0.5), (0.5, -1.0)], (1.0, 1.0)),  # with losses below 0
)


def _inside(points, reference):
    return [p for p in points if p[0] < reference[0] and p[1] < reference[1]]


def _best_of(points):
    return [p for p in points if not any(q != p and q[0] <= p[0] and q[1] <= p[1] for q in points)]


def _not_worse_in_both(points):
    return [p for p in points if not any(q[0] < p[0] and q[1] < p[1] for q in points)]


def _added(points, reference):
    return sum((reference[0] - a) * (reference[1] - b) for a, b in points)


def _strips(points, reference, *, drop):
    area, top = 0.0, reference[1]
    for first, second in points:
        if not drop or second < top:
            area += (reference[0] - first) * (top - second)
            top = second
    return area


def _below(points, reference):
    return reference[0] * reference[1] - _hypervolume(points, reference)


def _with_lines(points, reference):
    kept = sorted(_best_of(_inside(points, reference)))
    pairs = [*kept, (reference[0], kept[-1][1])]
    pairs = [(kept[0][0], reference[1]), *pairs]
    heights = [(reference[1] - b) for _, b in pairs]
    places = [a for a, _ in pairs]
    return float(torch.trapezoid(torch.tensor(heights), torch.tensor(places)))


OVERLAP = (
    "Your rectangles overlap, and what lies in two of them counts twice. Which strip does a point "
    "add to those before it?"
)
TIE = (
    "A point that ties in one loss and is worse in the other is dominated as well. What does your "
    "code do with (2, 4) beside (2, 2)?"
)
BEYOND = (
    "A point beyond the reference dominates nothing that counts. What does your code do with one?"
)
DOMINATED = "A dominated point adds nothing. What does your code do with one?"
ORDER = (
    "It hangs on the order in which the points come. In which order can one go through them strip "
    "by strip?"
)
HYPERVOLUME_MISTAKES = (
    (lambda points, r: _added(points, r), OVERLAP),
    (lambda points, r: _added(_inside(points, r), r), OVERLAP),
    (lambda points, r: _added(_best_of(points), r), OVERLAP),
    (lambda points, r: _added(_best_of(_inside(points, r)), r), OVERLAP),
    (lambda points, r: _strips(sorted(points), r, drop=True), BEYOND),
    (lambda points, r: _strips(sorted(_best_of(points)), r, drop=False), BEYOND),
    (lambda points, r: _strips(sorted(_inside(points, r)), r, drop=False), DOMINATED),
    (lambda points, r: _strips(sorted(_not_worse_in_both(_inside(points, r))), r, drop=False), TIE),
    (lambda points, r: _strips(_inside(points, r), r, drop=True), ORDER),
    (lambda points, r: _strips(_best_of(_inside(points, r)), r, drop=False), ORDER),
    (lambda points, r: _strips(points, r, drop=False), ORDER),
    (
        lambda points, r: (r[0] - min(a for a, _ in points)) * (r[1] - min(b for _, b in points)),
        "You take the best of each column, as if one network had both. No point lies there.",
    ),
    (
        lambda points, r: max(_added([p], r) for p in _inside(points, r)),
        "That is the largest rectangle. What do the other points add to it?",
    ),
    (_below, "That is what the points do **not** dominate, between zero and the front."),
    (
        _with_lines,
        "You join the points by straight lines. What a point dominates is a rectangle.",
    ),
)


q5 = Exercise(
    name="Exercise 5",
    verdict=function(
        _hypervolume,
        FRONTS,
        returns="the area",
        mistakes=HYPERVOLUME_MISTAKES,
        otherwise="Draw the three points of the text on paper, with the rectangle of each. What is "
        "the area that they cover together, and what does your function give?",
    ),
    praise="Strip by strip, from the smallest loss of task 1: dominated points add nothing.",
    hints=(
        "For A, B and C of the text and the reference (5, 5) the area is 4 · 1 + 3 · 2 + 1 · 1.",
        "Go through `sorted(points)` and keep the smallest loss of task 2 so far, at first that of "
        "the reference. A point that lies below it adds a strip of that height.",
    ),
    solution_code=solution_of(_hypervolume),
)
