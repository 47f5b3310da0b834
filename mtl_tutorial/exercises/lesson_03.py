"""Exercises of lesson 03: what cross-stitch units mix, and who deserves the credit."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from mtl_tutorial.exercises.core import (
    AnswerError,
    Exercise,
    Verdict,
    choice,
    function,
    numbers,
    passes_gradients,
    solution_of,
)
from mtl_tutorial.widgets.cross_stitch_mixer import Mixture

# Exercise 1: features a = [1, 2] and b = [3, 5]; ∂L/∂ã = [1, -1] and ∂L/∂b̃ = [2, 0].
ALPHAS = {"α_aa": -1.0, "α_ab": -2.0, "α_ba": 2.0, "α_bb": 6.0}


ALPHA_MISTAKES = (
    (
        (-1, 2, -2, 6),
        "Two of them have changed places. α_ab is what a takes of b: whose gradient does it meet, "
        "and whose features?",
    ),
    ((1, 2, -2, -6), "All signs are turned. Is the gradient asked for, or the step against it?"),
    ((-0.5, -1, 1, 3), "Half of what is asked for. Does the formula take a mean over the scenes?"),
    (
        (3, 8, 3, 8),
        "Those are sums of the features, as in the example above, where the gradient was 1 on each "
        "scene. Here it is not.",
    ),
    (
        (0, 0, 2, 2),
        "Those are sums of ∂L/∂ã and ∂L/∂b̃. Where have the features gone?",
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
        "One product a scene, then the sum over the two scenes.",
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


def _mix(alpha, features):
    tasks = range(len(features))
    return [sum(features[j] @ alpha[i, j].T for j in tasks) for i in tasks]


def _summed(product, alpha, features):
    return [sum(product(a, x) for a, x in zip(row, features, strict=True)) for row in alpha]


def _flipped(alpha, features):
    """With the matrix between two tasks turned round."""
    return _mix(alpha.transpose(2, 3), features)


MIX_MISTAKES = (
    (
        lambda alpha, features: [_mix(alpha, features)[0] for _ in features],
        "Every task got the same mixture. Which index of alpha says who receives?",
    ),
    (
        lambda alpha, features: [sum(_mix(alpha, features)) for _ in features],
        "Every task got the same mixture. Which index of alpha says who receives?",
    ),
    (
        lambda alpha, features: [sum(features) for _ in features],
        "Every task got the plain sum of all features, as if alpha held ones. What stands in it?",
    ),
    (
        _flipped,
        "Who takes from whom is right. Inside a pair, rows and columns of T_ij have changed "
        "places: how does a matrix that stands left of a column act on a row?",
    ),
    (
        lambda alpha, features: _mix(alpha.transpose(0, 1), features),
        "alpha[i, j] is what i takes of j. Yours gives it to j.",
    ),
    (
        lambda alpha, features: _flipped(alpha.transpose(0, 1), features),
        "All four indices of alpha are turned round: who receives, and what a row of T_ij means.",
    ),
    (
        lambda alpha, features: [x @ alpha[i, i].T for i, x in enumerate(features)],
        "Each task has a mixture of its own features alone. What does it take of the others?",
    ),
    (
        lambda alpha, features: _mix(torch.diag_embed(alpha.diagonal(dim1=2, dim2=3)), features),
        "Only the diagonal of each T_ij is used: the form with a vector a pair. A matrix also "
        "mixes channel 1 into channel 2.",
    ),
    *(
        (
            wrong,
            "This stops: in the formula x_j is a column of C numbers, in `features` a scene is a "
            "row. How does a matrix act on every row of x_j?",
        )
        for wrong in (
            lambda alpha, features: _summed(lambda a, x: a @ x, alpha, features),
            lambda alpha, features: [row @ x for row, x in zip(alpha, features, strict=True)],
            lambda alpha, features: [alpha @ x for x in features],
        )
    ),
    *(
        (
            wrong,
            "This stops: `*` multiplies element by element. T_ij is read as a matrix product here.",
        )
        for wrong in (
            lambda alpha, features: _summed(lambda a, x: a * x, alpha, features),
            lambda alpha, features: _summed(lambda a, x: x * a, alpha, features),
        )
    ),
)


def _mix_case(tasks: int, scenes: int, channels: int) -> tuple:
    generator = torch.Generator().manual_seed(tasks)
    alpha = torch.randn(tasks, tasks, channels, channels, generator=generator)
    return alpha, [torch.randn(scenes, channels, generator=generator) for _ in range(tasks)]


def _parts(given: Any) -> list:
    return list(given) if isinstance(given, (list, tuple)) else []


def _read_mixtures(given: Any, case: tuple) -> np.ndarray:
    _, features = case
    one = tuple(features[0].shape)
    if isinstance(given, (torch.Tensor, np.ndarray)) and tuple(given.shape) == one:
        raise AnswerError("That is one mixture. How many receivers are there?")
    if any(isinstance(part, np.ndarray) for part in (given, *_parts(given))):
        raise AnswerError("Give torch tensors: numpy passes no gradient, so alpha could not learn.")
    if not isinstance(given, (list, tuple, torch.Tensor)):
        raise AnswerError(f"A list of tensors is needed; yours is a {type(given).__name__}.")
    if len(given) != len(features):
        count = len(features)
        raise AnswerError(
            f"{count} tasks need {count} mixtures, not {len(given)}; any number may come."
        )
    for mixture in given:
        shape = tuple(getattr(mixture, "shape", ()))
        if not isinstance(mixture, torch.Tensor) or shape != one:
            raise AnswerError(f"A mixture has the shape of the features, {one}, not {shape}.")
    return torch.stack([*given]).detach().numpy()


MIX_CASES = (_mix_case(2, 4, 3), _mix_case(3, 5, 2))


def _say_what_is_off(given: list) -> str:
    if np.allclose(given[0], _mix(*MIX_CASES[0]), atol=1e-5):
        return (
            "For two tasks your mixtures are right, for three they are not. Any number of tasks "
            "may come: which part of yours knows that there are two?"
        )
    return (
        "Your mixtures are not x̃_i = Σ_j T_ij x_j. Try two tasks and one scene by hand, with an "
        "alpha of zeros but for one entry."
    )


q2 = Exercise(
    name="Exercise 2",
    verdict=function(
        _mix,
        MIX_CASES,
        returns="a list of mixtures",
        read=_read_mixtures,
        mistakes=MIX_MISTAKES,
        otherwise=_say_what_is_off,
        then=passes_gradients(
            _mix,
            MIX_CASES[1:2],
            "The mixtures are right, but alpha or the features get no gradient, or another one, so "
            "a unit of yours would not learn. What cuts it off: detach, no_grad, a new tensor?",
        ),
    ),
    praise="A receiver, a sum over givers, a matrix over channels: that is all a unit does.",
    hints=(
        "Two loops: one over the task i that receives, one over the task j that gives.",
        "A scene is a row of x_j, and the formula has it as a column: (M x)ᵀ = xᵀ Mᵀ.",
        "alpha[i, j] is the matrix M of one pair. Write the term of a pair for all rows at once, "
        "then add up over j.",
    ),
    solution_code=solution_of(_mix),
)

LOSES = 0.2  # what a task has to lose in exercise 3


def _mixer_verdict(answer: Any) -> str | None:
    now, then = (getattr(answer, name, None) for name in ("mixture", "reference"))
    if not isinstance(now, Mixture) or not isinstance(then, Mixture):
        raise AnswerError("Turn a slider of the mixer, and hand in the mixer: answer = mixer.")
    turned = [
        (unit, row)
        for unit, (alpha, learned) in enumerate(zip(now.alphas, then.alphas, strict=True))
        for row in range(len(alpha))
        if not torch.equal(alpha[row], learned[row])
    ]
    if not turned:
        raise AnswerError("The units are as they were learned. Turn one slider first.")
    if len(turned) > 1:
        return f"{len(turned)} sliders are turned. Press `learned`, and turn one alone."
    ((unit, row),) = turned
    names = list(now.metrics)
    lost = {name: then.metrics[name] - now.metrics[name] for name in names}
    taker, other = names[row], names[1 - row]
    if not torch.equal(now.outputs[other], then.outputs[other]):
        return (
            f"{taker} loses {lost[taker]:.2f}, and the answers of {other} have changed, too (it "
            f"loses {lost[other]:.2f}). Through which units does the changed stream pass after "
            f"unit {unit + 1}?"
        )
    if lost[taker] < LOSES:
        return f"{other} notices nothing. But {taker} loses {lost[taker]:.2f}; turn further."
    return None


q3 = Exercise(
    name="Exercise 3",
    verdict=Verdict(_mixer_verdict),
    praise="After the last unit the streams never meet again: its row i is task i's business "
    "alone. Every earlier mixture is mixed once more.",
    hints=(
        "Follow what changes: the stream of one task, after one unit. Where do streams meet next?",
        "After which unit do they not meet any more?",
        "A slider turned far, to one side or the other, does most harm. Press `learned` before "
        "you try the next one.",
    ),
    solution_code="""
mixer.presets.value = "learned"
mixer.sliders[2, 1].value = mixer.sliders[2, 1].max  # unit 3, what box takes
answer = mixer
""",
)

SCALED = {"α_dd": 1.8, "α_db": 0.03, "α_bd": 0.4, "α_bb": 0.08}
SCALED_MISTAKES = (
    (
        (0.45, 3.0, 0.1, 8.0),
        "The features of box are larger now. To get the same product, does α grow or shrink?",
    ),
    (
        (0.45, 0.03, 0.1, 0.08),
        "What is taken of box is right. The features of digit are smaller now: does α grow or "
        "shrink?",
    ),
    (
        (1.8, 0.3, 0.4, 0.8),
        "What is taken of digit is right. With these, both get ten times as much of box's.",
    ),
    (
        (0.9, 0.03, 0.2, 0.08),
        "What is taken of box is right. With these, both get half as much of digit's features.",
    ),
    (
        (1.8, 0.3, 0.2, 0.08),
        "Each takes of its own encoder what it took before. Each takes of the other's, too.",
    ),
    (
        (0.9, 0.03, 0.4, 0.8),
        "Each takes of the other's encoder what it took before. Each takes of its own, too.",
    ),
    (
        (1.8, 0.6, 0.02, 0.08),
        "You changed a row by one factor. The features that have changed belong to one giver, "
        "whoever receives them.",
    ),
    (
        (0.9, 0.3, 0.2, 0.8),
        "With these, both tasks get ten times as much of box's features, and half of digit's.",
    ),
)

q4 = Exercise(
    name="Exercise 4",
    verdict=numbers(
        SCALED,
        tolerance=1e-4,
        mistakes=SCALED_MISTAKES,
        otherwise="Look at {off} again: α times the giver's features has to stay what it was.",
    ),
    praise="A column of α divided by ten, the other doubled: the same network, and other numbers. "
    "α alone does not tell how much is shared.",
    hints=(
        "α_ij times what j gives must stay what it was.",
        "j = box gives ten times as much, to digit and to box. And j = digit?",
        "α_db: 0.3 · x = α · (10 x). All four numbers change.",
    ),
    solution_code="answer = [0.9 * 2, 0.3 / 10, 0.2 * 2, 0.8 / 10]",
)

q5 = Exercise(
    name="Exercise 5",
    verdict=choice(
        "b",
        {
            "a": "Then both numbers change, and two things still differ between the networks. "
            "Which two?",
            "c": "That may move cross-stitch up. What would you know about the units then that you "
            "do not know now?",
            "d": "More seeds make the difference precise. A difference between what and what?",
            "e": "The table says what the units are. It does not say what they are good for.",
        },
    ),
    praise="The same encoders without exchange: what is left over is what the units add.",
    hints=(
        "Two things differ between the networks compared. Change one at a time.",
        "Which network has both encoders and no exchange?",
    ),
    solution_code='answer = "b"',
)
