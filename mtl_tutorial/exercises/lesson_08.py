"""Exercises of lesson 08: conflicts of gradients, and surgery on them."""

from __future__ import annotations

import torch

from mtl_tutorial.exercises.core import Exercise, choice, function, numbers, solution_of

# Exercise 1: g_1 = (4, 1), g_2 = (−1, 1); g_1·g_2 = −3, squared lengths 17 and 2.
DIRECTION = (75 / 34, 125 / 34)
DIRECTION_MISTAKES = (
    ((3.0, 2.0), "That is the plain sum. The two conflict: 4 · (−1) + 1 · 1 = −3."),
    ((75 / 68, 125 / 68), "That is the mean of the two. PCGrad sums."),
    ((2.5, 2.5), "That is the first one alone. The second one is projected too."),
    ((-5 / 17, 20 / 17), "That is the second one alone. The first one is projected too."),
    (
        (2 * 3 - 75 / 34, 2 * 2 - 125 / 34),
        "Mind the sign: the part along the other gradient is taken away.",
    ),
    ((0.0, 1.0), "That is MGDA's direction: the shortest vector between the two."),
)

WEIGHTS = (1.25, 2.0)
WEIGHT_MISTAKES = (
    ((2.0, 1.25), "The other way round: the task with the larger K_ii gets the smaller weight."),
    ((0.75, 0.0), "Mind the sign: K_12 is negative, so both weights are above 1."),
    ((0.25, 1.0), "These are the parts that are added. Each gradient also keeps its own 1."),
    ((1.0, 1.0), "Those are the weights of the plain sum. K_12 is negative: there is a conflict."),
    ((1.5, 2.0), "K_11 is a squared length already; no root is taken."),
    ((0.625, 1.0), "PCGrad sums. It does not take the mean."),
)


def _conflict_share(gradients):
    dots = gradients @ gradients.T
    pairs = [dots[i, j] < 0 for i in range(len(dots)) for j in range(i)]
    return sum(pairs) / len(pairs)


CASES = (
    (torch.tensor([[1.0, 0.0], [-1.0, 1.0], [0.0, 1.0]]),),  # 1 of 3 pairs
    (torch.tensor([[1.0, 2.0], [-3.0, 0.1], [0.5, -2.0], [1.0, 1.0]]),),
    (torch.tensor([[1.0, 0.0], [2.0, 0.0]]),),
)
SHARE_MISTAKES = (
    (
        lambda g: ((g @ g.T) < 0).float().mean(),
        "The table of dot products holds every pair twice, and every task with itself. "
        "Count the pairs of different tasks.",
    ),
    (
        lambda g: 1 - _conflict_share(g),
        "That is the share of pairs that do not conflict. Negative is the conflict.",
    ),
    (
        lambda g: _conflict_share(g) * len(g) * (len(g) - 1) / 2,
        "That is their number. Divide it by the number of pairs.",
    ),
    (
        lambda g: ((g @ g.T) < 0).sum() / (len(g) * (len(g) - 1) / 2),
        "Your numerator counts each pair twice, your denominator once.",
    ),
    (
        lambda g: ((g @ g.T) < 0).any(1).float().mean(),
        "That is the share of tasks with some conflict. Count pairs.",
    ),
)


q1 = Exercise(
    name="Exercise 1",
    verdict=numbers(
        dict(zip(("first", "second"), DIRECTION, strict=True)),
        mistakes=DIRECTION_MISTAKES,
        otherwise="v_1 = g_1 + (3/2) g_2 and v_2 = g_2 + (3/17) g_1; then add.",
    ),
    praise="Both tasks agree with it: the dot products are 12.5 and 1.47.",
    hints=(
        "The dot product is −3, the squared lengths are 17 and 2.",
        "v_1 = (4, 1) + 3/2 · (−1, 1) and v_2 = (−1, 1) + 3/17 · (4, 1).",
    ),
    solution_code="""
import torch

first, second = torch.tensor([4.0, 1.0]), torch.tensor([-1.0, 1.0])
dot = first @ second
v1 = first - dot / (second @ second) * second
v2 = second - dot / (first @ first) * first
answer = (v1 + v2).tolist()
""",
)

q2 = Exercise(
    name="Exercise 2",
    verdict=numbers(
        dict(zip(("first", "second"), WEIGHTS, strict=True)),
        mistakes=WEIGHT_MISTAKES,
        otherwise="The weights are 1 − K_12 / K_11 and 1 − K_12 / K_22.",
    ),
    praise="The second gradient is half as long, and gets the larger weight.",
    hints=("1 − K_12 / K_11 for the first one.", "1 + 1/4 and 1 + 1/1."),
    solution_code="answer = [1 + 1 / 4, 1 + 1 / 1]",
)

q3 = Exercise(
    name="Exercise 3",
    verdict=choice(
        "b",
        {
            "a": "Two equally long gradients at 150° are projected, and come out longer than in "
            "the sum. Which condition stands in front of a projection?",
            "c": "The first example of the lesson had two tasks, and another direction.",
            "d": "A projection takes place only where a dot product is negative.",
        },
    ),
    praise="No negative dot product, no projection: what is left is the sum.",
    hints=("Look at the `if` in the code from scratch.", "When is it never true?"),
    solution_code='answer = "b"',
)

q4 = Exercise(
    name="Exercise 4",
    verdict=function(
        _conflict_share,
        CASES,
        returns="a share",
        mistakes=SHARE_MISTAKES,
        otherwise="For each pair i > j: is `gradients[i] @ gradients[j]` negative? Then take the "
        "share.",
    ),
    praise="With three tasks there are three pairs, with eight there are 28.",
    hints=(
        "`gradients @ gradients.T` holds all dot products, each pair twice.",
        "Loop over i, and over j < i.",
    ),
    solution_code=solution_of(_conflict_share),
)
