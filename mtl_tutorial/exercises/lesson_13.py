"""Exercises of lesson 13: many experts, and a gate for each task."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from mtl_tutorial.exercises.core import (
    Exercise,
    choice,
    function,
    numbers,
    passes_gradients,
    solution_of,
)
from mtl_tutorial.widgets.gate_viewer import trained_mixture

# Exercise 1: scores (log 2, 0, log 5); the experts say 4, 0 and 2.
SCORES, SAID = (math.log(2), 0.0, math.log(5)), (4.0, 0.0, 2.0)


def _with_mixture(gate: tuple[float, ...]) -> tuple[float, ...]:
    return (*gate, sum(g * f for g, f in zip(gate, SAID, strict=True)))


RIGHT = _with_mixture((0.25, 0.125, 0.625))
MIXTURE_MISTAKES = (
    (
        _with_mixture((2.0, 1.0, 5.0)),
        "Those are exp(score). What makes them sum to 1?",
    ),
    (
        _with_mixture((math.log10(2), 0.0, math.log10(5))),
        "You share out the scores themselves. The gate is a softmax: exp comes first.",
    ),
    (
        _with_mixture((2 / 3, 1 / 2, 5 / 6)),
        "Those are sigmoids, each on its own. A softmax lets the experts compete: what is their "
        "sum?",
    ),
    (
        _with_mixture((1 / 3, 1 / 3, 1 / 3)),
        "That is the plain mean. The scores are not all equal.",
    ),
    (
        _with_mixture((0.0, 0.0, 1.0)),
        "You take the best expert alone. A softmax gives each of them a part.",
    ),
    ((0.25, 0.125, 0.625, 2.0), "The gate is right. Weigh the experts by it: 0.25 · 4 + …"),
    ((0.25, 0.125, 0.625, 6.0), "The gate is right. The mixture weighs the experts, it does not "
     "add them."),
)  # fmt: skip


# Exercise 2: read in the gate viewer.
def _overlap(correlation: float) -> float:
    """Σ_i min(g_1, g_2)_i, the mean over inputs of length 1.5, as the viewer says it."""
    at = torch.arange(120) * 2 * torch.pi / 120
    x = 1.5 * torch.stack([at.cos(), at.sin()], 1)
    with torch.no_grad():
        first, second = trained_mixture(correlation, "a gate a task").gates(x).values()
    return torch.minimum(first, second).sum(1).mean().item()


AT_ZERO, APART, ALIKE = 0.25, _overlap(0.0), _overlap(1.0)


# Exercise 3: the importance loss.
def _importance(gates):
    v = gates.sum(dim=0)
    return v.var(correction=0) / v.mean() ** 2


def _cases() -> Iterator[tuple[Tensor]]:
    draws = torch.Generator().manual_seed(0)
    for batch, count in ((5, 3), (7, 4), (4, 4)):
        yield ((2 * torch.randn(batch, count, generator=draws)).softmax(1),)


IMPORTANCE_MISTAKES: tuple[tuple[Callable, str], ...] = (
    (
        lambda gates: gates.sum(1).var(correction=0) / gates.sum(1).mean() ** 2,
        "You sum over the experts: every row sums to 1, so there is nothing to even out. "
        "Importance is a sum over the examples.",
    ),
    (
        lambda gates: gates.sum(0).var() / gates.sum(0).mean() ** 2,
        "Nearly: `var()` divides by n − 1. The variance of all n experts divides by n.",
    ),
    (
        lambda gates: gates.sum(0).std(correction=0) / gates.sum(0).mean(),
        "That is CV. The loss is CV².",
    ),
    (
        lambda gates: gates.sum(0).std() / gates.sum(0).mean(),
        "That is CV, with n − 1 below the root. The loss is CV², with n.",
    ),
    (
        lambda gates: gates.sum(0).var(correction=0) / gates.sum(0).mean(),
        "The mean below the variance is squared, too: else the loss grows with the batch.",
    ),
    (
        lambda gates: gates.sum(0).var(correction=0),
        "That grows with the batch. Divide by the squared mean of the importance.",
    ),
    (
        lambda gates: gates.mean(0).var(correction=0),
        "That is a variance. CV² divides it by the squared mean.",
    ),
    (
        lambda gates: gates.var(correction=0) / gates.mean() ** 2,
        "You take the variance over all single weights: a gate that chooses one expert an example "
        "is punished, even if it is fair over the batch. Sum over the examples first.",
    ),
    (
        lambda gates: 0.1 * _importance(gates),
        "Nearly: leave out w, the weight comes later.",
    ),
    (
        lambda gates: -_importance(gates),
        "Mind the sign: the loss is 0 where all count the same, and larger elsewhere.",
    ),
)


def _of_scores(function: Callable) -> Callable:
    return lambda scores: function(scores.softmax(1) * 1)  # * 1: it may be changed in place


_through_scores = passes_gradients(
    _of_scores(_importance),
    [(gates.log(),) for (gates,) in _cases()],
    "The values are right, but no gradient comes back to the gates. Is there an `.item()`, "
    "a `float()` or a `.detach()`?",
)


def _gradients(function: Callable) -> str | None:
    """Hold gradients to the right ones where gates sum to 1, so that a constant mean is right."""
    return _through_scores(_of_scores(function))


q1 = Exercise(
    name="Exercise 1",
    verdict=numbers(
        dict(zip(("the weight of expert 1", "that of expert 2", "that of expert 3", "the mixture"),
                 RIGHT, strict=True)),
        tolerance=0.0051,
        mistakes=MIXTURE_MISTAKES,
        otherwise="Not right yet: {off}. Scores first, then exp, then divide by the sum.",
    ),
    praise="2 : 1 : 5, so 0.25, 0.125 and 0.625. The mixture is 0.25 · 4 + 0.625 · 2 = 2.25.",
    hints=(
        "A row of W times x gives an expert's score. What is exp(log 2)?",
        "The three numbers exp(score) are 2, 1 and 5. Divide them by their sum.",
    ),
    solution_code="""
import torch

scores = torch.tensor([2.0, 1.0, 5.0]).log()
gate = scores.softmax(0)
answer = [*gate.tolist(), (gate * torch.tensor([4.0, 0.0, 2.0])).sum().item()]
""",
)  # fmt: skip

q2 = Exercise(
    name="Exercise 2",
    verdict=numbers(
        {"the weight at x = 0": AT_ZERO, "the overlap at cosine 0": APART,
         "the overlap at cosine 1": ALIKE},
        tolerance=0.011,
        mistakes=(
            ((AT_ZERO, 1.0, 1.0), "That is one gate for both tasks. Choose a gate a task."),
            ((AT_ZERO, ALIKE, APART), "You have them the wrong way round: where are the teachers "
             "alike?"),
            ((AT_ZERO, APART, 1.0), "Pull w₂ onto w₁, and read the last number below the picture. "
             "Is it really 1?"),
            ((AT_ZERO, 0.0, ALIKE), "Put w₂ at a right angle to w₁. The overlap is small: how "
             "small?"),
            ((AT_ZERO, 1 - APART, 1 - ALIKE), "That is how far they differ, 1 − overlap. The "
             "sentence below the picture says the overlap itself."),
            ((1.0, APART, ALIKE), "Pull x into the very middle, and look at the bars."),
            ((0.5, APART, ALIKE), "There are four experts. Pull x into the very middle, and look "
             "at the bars."),
        ),
        otherwise="Not right yet: {off}. Is it a gate a task? The overlap stands at the end of "
        "the sentence below the picture.",
    ),
    praise="At 0 every score is 0. And even for two equal tasks the gates agree on less than half: "
    "two ways of using the experts can serve one function.",
    hints=(
        "W times 0 is 0 for every expert. What is the softmax of four zeros?",
        "Move w₂ with the arrow keys until it lies on w₁, and read the last number.",
    ),
    solution_code="""
import torch

from mtl_tutorial.widgets.gate_viewer import trained_mixture

at = torch.arange(120) * 2 * torch.pi / 120
x = 1.5 * torch.stack([at.cos(), at.sin()], 1)
answer = [0.25]
for correlation in (0.0, 1.0):
    first, second = trained_mixture(correlation, "a gate a task").gates(x).values()
    answer.append(torch.minimum(first, second).sum(1).mean().item())
""",
)  # fmt: skip

q3 = Exercise(
    name="Exercise 3",
    verdict=choice(
        "c",
        {
            "a": "Both share everything. They differ in gates, and in one layer or eight experts.",
            "b": "Both share all experts. They differ in the number of gates, one or two.",
            "d": "Neither of them shares anything. They differ in gates.",
            "e": "These two differ in sharing, in gates and in experts: three causes for one "
            "difference.",
        },
    ),
    praise="Both have a gate a task, and as many parameters. It is not quite sharing alone: a gate "
    "chooses among 8 shared experts of 16 units, or among 4 of its own of 17.",
    hints=(
        "Write down for each network: are there gates? Are experts shared?",
        "You need two networks of which both have gates, and one shares.",
    ),
    solution_code='answer = "c"',
)

q4 = Exercise(
    name="Exercise 4",
    verdict=function(
        _importance,
        list(_cases()),
        returns="one number, as a tensor",
        mistakes=IMPORTANCE_MISTAKES,
        otherwise="Not CV². Try gates that you can check by hand: with [[1, 0], [0, 1]] it is 0, "
        "with [[1, 0], [1, 0]] it is 1.",
        then=_gradients,
    ),
    praise="A gate that gives every example to another expert has loss 0: fair over the batch, "
    "sharp on each example.",
    hints=(
        "First the importance: one number an expert. Over which axis is the sum?",
        "`v.var(correction=0)` is the variance that divides by n.",
    ),
    solution_code=solution_of(_importance),
)
