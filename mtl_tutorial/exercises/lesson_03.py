"""Exercises of lesson 03: what cross-stitch units mix, and who deserves the credit."""

from __future__ import annotations

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
    solution_of,
)

# Exercise 1: features a = [1, 2] and b = [3, 5]; ∂L/∂ã = [1, -1] and ∂L/∂b̃ = [2, 0].
ALPHAS = {"α_aa": -1.0, "α_ab": -2.0, "α_ba": 2.0, "α_bb": 6.0}


ALPHA_MISTAKES = (
    (
        (-1, 2, -2, 6),
        "α_ab and α_ba have changed places: α_ab is what a takes from b, so it meets ∂L/∂ã and b.",
    ),
    ((1, 2, -2, -6), "All signs are turned: you gave the step, which goes against the gradient."),
    ((-0.5, -1, 1, 3), "No mean is taken: the gradient is the sum over the scenes."),
    (
        (3, 8, 3, 8),
        "Those are sums of the features. Weigh each by the gradient of what it goes into.",
    ),
    (
        (0, 0, 2, 2),
        "Those are sums of ∂L/∂ã and ∂L/∂b̃. Multiply with the features first, then add.",
    ),
)

q1 = Exercise(
    name="Exercise 1",
    verdict=numbers(
        ALPHAS,
        tolerance=1e-3,
        mistakes=ALPHA_MISTAKES,
        otherwise="Look at {off} again: which gradient, and which features?",
    ),
    praise="∂L/∂α_ij = Σ (∂L/∂x̃_i) x_j: the receiver's gradient times the giver's features.",
    hints=(
        "∂L/∂α_ab = Σ (∂L/∂ã) b, over the two scenes.",
        "α_aa: 1 · 1 + (−1) · 2 = −1. The others follow the same pattern.",
    ),
    solution_code="""
a, b = [1, 2], [3, 5]
grad_a, grad_b = [1, -1], [2, 0]


def dot(u, v):
    return sum(x * y for x, y in zip(u, v))


answer = [dot(grad_a, a), dot(grad_a, b), dot(grad_b, a), dot(grad_b, b)]
""",
)

q2 = Exercise(
    name="Exercise 2",
    verdict=number(
        3**2 * 64**2,
        tolerance=0.5,
        mistakes={
            64**2: "That is one C × C matrix. Every task needs one for every task it takes from.",
            3
            * 64
            ** 2: "Three matrices would mix one stream. Each of the 3 tasks has its own mixture.",
            3**2 * 64: "That is the `channel` form: a vector for each pair. `matrix` has C × C.",
            3**2: "That is the `scalar` form: one number for each pair of tasks.",
            3 * 2 * 64**2: "A task takes from itself too: there are 3 · 3 pairs, not 3 · 2.",
            2**2 * 64**2: "That is right for 2 tasks. Here are 3.",
            3 * 64: "Count the pairs of tasks first, then the numbers of one pair.",
        },
        otherwise="Pairs of tasks, a task with itself included, times the numbers in one matrix.",
    ),
    praise="T² C²: the form that says most costs most, and its cost grows with the width.",
    hints=(
        "α has the shape (T, T, C, C).",
        "T = 3 and C = 64.",
    ),
    solution_code="answer = 3**2 * 64**2",
)


def _mix_verdict(answer: Any) -> str | None:
    function = as_function(answer)
    for tasks in (2, 3):
        generator = torch.Generator().manual_seed(tasks)
        alpha = torch.rand(tasks, tasks, generator=generator)
        features = [torch.rand(4, 5, generator=generator) for _ in range(tasks)]
        try:
            given = function(alpha, features)
        except Exception as error:
            if tasks == 2:
                raise
            return f"It works for 2 tasks. With 3 it stops: {type(error).__name__}: {error}"
        if given is None or given is ...:
            raise AnswerError(f"Your function gives {given}; its last line has to return the list.")
        if isinstance(given, torch.Tensor) and given.shape == (4, 5):
            return "That is one mixture. Every task has a row of α, and gets its own mixture."
        if len(given) != tasks:
            return f"{tasks} tasks need {tasks} mixtures; yours are {len(given)}."
        if _same(given, _mix(alpha, features)):
            continue
        for mistake, hint in MIX_MISTAKES:
            if _same(given, mistake(alpha, features)):
                return hint
        return f"For {tasks} tasks the result is not x̃_i = Σ_j α_ij x_j."
    return None


def _same(given: Any, right: list[torch.Tensor]) -> bool:
    return all(
        isinstance(a, torch.Tensor) and a.shape == b.shape and torch.allclose(a, b)
        for a, b in zip(given, right, strict=True)
    )


def _mix(alpha, features):
    return [sum(a * x for a, x in zip(row, features, strict=True)) for row in alpha]


MIX_MISTAKES = (
    (
        lambda alpha, features: _mix(alpha.T, features),
        "Row and column have changed places: x̃_i takes α_ij of x_j. Row i is task i.",
    ),
    (
        lambda alpha, features: [_mix(alpha, features)[0]] * len(features),
        "Every task got the first row's mixture. Each row of α is another task.",
    ),
    (
        lambda alpha, features: [x * alpha[i, i] for i, x in enumerate(features)],
        "Each task has only its own features. Add what it takes from the others.",
    ),
)


q3 = Exercise(
    name="Exercise 3",
    verdict=Verdict(_mix_verdict, MIX_MISTAKES),
    praise="One row of α a task, one term a row for every task it takes from.",
    hints=(
        "A loop over the rows of `alpha` gives one row a task.",
        "For one row: `sum(a * x for a, x in zip(row, features))`.",
    ),
    solution_code=solution_of(_mix),
)

q4 = Exercise(
    name="Exercise 4",
    verdict=number(
        0.03,
        tolerance=1e-4,
        mistakes={
            3.0: "That multiplies where you have to divide: the features grew, so α shrinks.",
            0.3: "With the same α, digit would now get ten times as much of box's features.",
            0.09: "Look at what digit takes of box, 0.3. Its own 0.9 meets features that stayed.",
            9.0: "Its own features have not changed, so 0.9 stays. The question is about the 0.3.",
            0.003: "Ten, not a hundred: the features are multiplied once.",
        },
        otherwise="The product of α and the features has to stay what it was: α · 10 x = 0.3 · x.",
    ),
    praise="The same network, and yet α says 0.03 in place of 0.3. α alone does not tell.",
    hints=(
        "What the next block sees must not change.",
        "0.3 · x = α · (10 x).",
    ),
    solution_code="answer = 0.3 / 10",
)

q5 = Exercise(
    name="Exercise 5",
    verdict=choice(
        "b",
        {
            "a": "Longer training may change both numbers, but the comparison stays unfair: one "
            "network has two encoders.",
            "c": "A better rate for the units makes cross-stitch better or worse. It does not "
            "tell what its second encoder is worth.",
            "d": "More seeds make an unfair comparison precise. What differs besides the units?",
            "e": "A table of α says what the units are, not what they are good for.",
        },
    ),
    praise="The same encoders without exchange: what is left is what the units add.",
    hints=(
        "Two things differ between the networks compared. Change one at a time.",
        "Which network has both encoders and no exchange?",
    ),
    solution_code='answer = "b"',
)
