"""Exercises of lesson 11: many tests, enough seeds, and a problem of your own."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from mtl_tutorial.exercises.core import (
    AnswerError,
    Exercise,
    Verdict,
    as_number,
    as_numbers,
    choice,
    function,
    solution_of,
)
from mtl_tutorial.experiments.inference import differences, found_with_fewer
from mtl_tutorial.experiments.store import committed_results
from mtl_tutorial.experiments.summary import to_frame


def _seeds_needed(s, margin, quantile=0.975, lost=1, power=0.5, first=2):
    """The least n from ``first`` on with t_{n−lost} s / n^power ≤ margin."""
    n = first
    while stats.t.ppf(quantile, n - lost) * s / n**power > margin:
        n += 1
    return n


SEEDS_CASES = ((1.0, 1.0), (2.0, 1.0), (1.0, 5.0), (0.5, 0.4), (0.1, 5.0), (1.0, 0.2))
SEEDS_MISTAKES = (
    (
        lambda s, margin: np.ceil((1.96 * s / margin) ** 2),
        "1.96 is for many seeds. With few, Student's t is larger, and it depends on n.",
    ),
    (
        lambda s, margin: max(2, np.ceil((1.96 * s / margin) ** 2)),
        "1.96 is for many seeds. With few, Student's t is larger, and it depends on n.",
    ),
    (
        lambda s, margin: _seeds_needed(s, margin, lost=0),
        "That takes t for n degrees of freedom. With n seeds there are n − 1.",
    ),
    (
        lambda s, margin: _seeds_needed(s, margin, quantile=0.95),
        "That leaves out 5 % on each side. For a 95 % interval take `ppf(0.975, …)`.",
    ),
    (
        lambda s, margin: _seeds_needed(2 * s, margin),
        "That makes the whole interval as short as the margin. Half of it is asked for.",
    ),
    (
        lambda s, margin: _seeds_needed(s, margin, power=1),
        "Divide s by √n, not by n: noise goes down slowly.",
    ),
    (
        lambda s, margin: _seeds_needed(s, margin) - 1,
        "That is one seed too few: its interval is still longer than the margin.",
    ),
    (
        lambda s, margin: _seeds_needed(s, margin) + 1,
        "That is one seed too many: stop as soon as the margin is reached.",
    ),
    (
        lambda s, margin: _seeds_needed(s, margin, first=3),
        "You start at 3 seeds. Two have a spread already, and can be enough: start at n = 2.",
    ),
    (
        lambda s, margin: 1,
        "You start at 1 seed, which has no spread: t for 0 degrees of freedom is `nan`. Start at "
        "n = 2.",
    ),
)


def _holm_by_hand(p_values):
    order, adjusted, largest = np.argsort(p_values), np.zeros(len(p_values)), 0.0
    for rank, i in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - rank) * p_values[i]))
        adjusted[i] = largest
    return adjusted


def _without_cap(p_values):
    p, order = np.asarray(p_values), np.argsort(p_values)
    adjusted = np.empty(len(p))
    adjusted[order] = np.maximum.accumulate((len(p) - np.arange(len(p))) * p[order])
    return adjusted


def _without_order(p_values):
    p, order = np.asarray(p_values), np.argsort(p_values)
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(1, (len(p) - np.arange(len(p))) * p[order])
    return adjusted


def _in_given_order(p_values):
    m = len(p_values)
    factors = m - np.arange(m)
    return np.maximum.accumulate(np.minimum(1, factors * np.asarray(p_values)))


P_VALUES = (
    (np.array([0.04, 0.001, 0.03, 0.2]),),
    (np.array([0.02, 0.021, 0.6]),),
    (np.array([0.9, 0.5, 0.004, 0.012, 0.013]),),
    (np.array([0.6, 0.7]),),
)
HOLM_MISTAKES = (
    (lambda p: p, "Those are the p-values as they were. Nothing is corrected yet."),
    (
        lambda p: np.minimum(1, len(p) * p),
        "That multiplies all by m: Bonferroni's correction. Holm's factor falls: m, m − 1, …, 1.",
    ),
    (
        lambda p: stats.false_discovery_control(p),
        "That is Benjamini and Hochberg's: it controls the share of false finds. Holm's keeps even "
        "one of them unlikely.",
    ),
    (_without_cap, "A probability is at most 1: `min(1, …)` for each product."),
    (
        _without_order,
        "The factors are right. But no value may fall below the one before it: take the largest "
        "so far.",
    ),
    (
        _in_given_order,
        "The factor m belongs to the smallest p-value, not to the first in the list. Sort first.",
    ),
    (
        lambda p: np.sort(_holm_by_hand(p)),
        "The numbers are right, but sorted. Give them back in the order of the question.",
    ),
)


def _as_list(value: Any, case: tuple) -> tuple[float, ...]:
    return as_numbers(value, [f"p-value {i + 1}" for i in range(len(case[0]))])


# Exercise 4: how many of the table's seeds find PCGrad's difference, tested alone.
ENOUGH, NOISE = 0.8, 0.02  # the noise is that of 2000 draws
POWER_WRONG = (
    (1, "One seed has no spread"),
    (3, "far too few"),
    (11, "two points"),
    (12, "fewer are, too"),
    (20, "With all twenty"),
    (0.8, "A number of seeds"),
)


@functools.cache
def _power() -> pd.Series:
    leads = differences(to_frame(committed_results("two_digits_8_epochs")))
    return found_with_fewer(leads[["pcgrad"]], range(2, 21), m=1, draws=2000)["pcgrad"]


def _power_verdict(answer: Any) -> str | None:
    seeds = as_number(answer)
    if seeds != int(seeds) or seeds < 1:
        return "A number of seeds is asked for: 2, 3, …, 20."
    if seeds == 1:
        return "One seed has no spread, and no test. Begin with 2."
    if seeds >= 20:
        return "With all twenty there is one table only. Do fewer suffice?"
    share = _power()[int(seeds)]
    before = _power().get(int(seeds) - 1, 0.0)
    if before < ENOUGH <= share:
        return None
    if ENOUGH <= before < ENOUGH + NOISE:  # other draws may fall below
        return (
            "Near. Two thousand draws tell a share to about two points. With one seed fewer it is "
            "so near to 80 % that other draws may say less. Draw more tables, `draws=20_000`."
        )
    if share < ENOUGH:
        few = "That is far too few" if share < 0.5 else "That is too few"
        return f"{few}: it would be found in {share:.0%} of the tables."
    return "That is enough, and fewer are, too: look for the least number."


# Exercise 5: what a study of one's own has to hold.
SCORES = ("baseline", "single-task", "multi-task")
KEYS = (*SCORES, "difference")


def _study_verdict(answer: Any) -> str | None:
    if not isinstance(answer, Mapping) and hasattr(answer, "items"):  # a table of pandas
        answer = dict(answer.items())
    if not isinstance(answer, Mapping):
        raise AnswerError(
            f"A dict with the keys {', '.join(map(repr, KEYS))} is needed; "
            f"yours is of type {type(answer).__name__}."
        )
    if missing := [key for key in KEYS if key not in answer]:
        if missing[0] == "baseline":
            return (
                "There is no 'baseline'. What does a guess score that looks at no input, such as "
                "the mean or the most frequent class?"
            )
        return f"There is no {missing[0]!r}; the keys are {', '.join(map(repr, KEYS))}."
    scores = {name: _scores(name, answer[name]) for name in SCORES}
    counts = {name: len(values) for name, values in scores.items()}
    if len(set(counts.values())) > 1:
        return f"Every method needs the same seeds; yours have {counts}."
    if counts["multi-task"] < 3:
        return f"{counts['multi-task']} seeds are an anecdote. Take 3 or more."
    if scores["multi-task"].std() == 0:
        return "Every seed gives the same score: does the seed reach the split and the network?"
    if np.array_equal(scores["multi-task"], scores["single-task"]):
        return "'single-task' and 'multi-task' are the same list: has each method its own run?"
    given = np.array(as_numbers(answer["difference"], ("mean", "low end", "high end")))
    return _interval_hint(given, scores["multi-task"], scores["single-task"])


def _scores(name: str, values: Any) -> np.ndarray:
    dimensions = getattr(values, "ndim", None)  # of a tensor, an array, a Series of pandas
    if dimensions == 0 or (isinstance(values, int | float) and not isinstance(values, bool)):
        raise AnswerError(
            f"{name!r} is one number. Give a list, a score for each seed; which of them is best is "
            f"no result."
        )
    if not (dimensions == 1 or isinstance(values, list | tuple)):
        form = f"has {dimensions} dimensions" if dimensions else f"is a {type(values).__name__}"
        raise AnswerError(f"{name!r} has to be a list with a score for each seed; yours {form}.")
    return np.array([as_number(value) for value in values])


def _interval_hint(given: np.ndarray, multi: np.ndarray, single: np.ndarray) -> str | None:
    """None where the interval is right; else what went wrong in it."""
    n = len(multi)
    t = stats.t.ppf(0.975, n - 1)
    difference = multi - single
    mean, s = difference.mean(), difference.std(ddof=1)
    unpaired = ((multi.var(ddof=1) + single.var(ddof=1)) / n) ** 0.5
    best = multi.max() - single.max()
    rounding = max(6e-3, 1e-3 * np.abs([multi, single]).max())  # of numbers in any unit
    candidates = (
        (t * s / n**0.5, None),
        (s, "Your ends are mean ± s. The interval of the mean is mean ± t s / √n."),
        (s / n**0.5, "Your ends are mean ± standard error. Multiply it by t."),
        (t * s, "Your ends are mean ± t s. Divide s by √n."),
        (1.96 * s / n**0.5, "1.96 is for many seeds. With few, take t for n − 1 degrees."),
        (
            stats.t.ppf(0.975, 2 * n - 2) * unpaired,
            "Your interval is that of an unpaired comparison. Take the difference of each seed.",
        ),
    )
    for sign in (1, -1):
        off = [
            (np.abs(given - [sign * mean, sign * mean - half, sign * mean + half]).max(), hint)
            for half, hint in candidates
        ]
        distance, hint = min(off, key=lambda pair: pair[0])
        if distance < np.clip(0.2 * candidates[0][0], 6e-4, rounding):  # two decimals are enough
            turned = "The sign is turned: multi-task minus single-task is asked for."
            return hint if sign == 1 else turned
    if np.isclose(given[0], best, atol=5e-4) and not np.isclose(best, mean, atol=5e-4):
        return "That is the difference of the best seeds. Take the mean of all differences."
    if not given[1] <= given[0] <= given[2]:
        return "The order is mean, low end, high end; the mean lies between the ends."
    if np.isclose(given[0], mean, atol=5e-4):
        return (
            "The mean is right, its interval is not: ± t s / √n of the differences, seed by seed."
        )
    return "'difference' is the mean of multi-task minus single-task, seed by seed, and its ends."


q1 = Exercise(
    name="Exercise 1",
    verdict=function(
        _holm_by_hand,
        P_VALUES,
        returns="it",
        read=_as_list,
        tolerance=1e-6,
        mistakes=HOLM_MISTAKES,
        otherwise="Smallest p-value times m, next one times m − 1, …; at most 1, and never below "
        "the one before.",
    ),
    praise="However many comparisons: if there is nothing to find, the chance of even one find is "
    "at most one in twenty.",
    hints=(
        "`np.argsort(p)` gives the places of the values from the smallest on.",
        "Go through them in this order: which factor has the first, and which the last? And what "
        "may no value fall below?",
    ),
    solution_code=solution_of(_holm_by_hand, "import numpy as np"),
)

q2 = Exercise(
    name="Exercise 2",
    verdict=choice(
        "c",
        {
            "a": "The best of five seeds lies above their mean for every method, and most for the "
            "one that varies most. In the lesson's first picture, how far is the best seed from "
            "the mean?",
            "b": "Who looks at the test set twelve times and keeps the best has trained on it a "
            "little. Choose on validation.",
            "d": "Equal weights with a rate from elsewhere lose to that rate. They need a search, "
            "as the others had it.",
            "e": "Of 22 tests at 0.05 each, how often does one find a difference among equals? "
            "Which correction is missing?",
        },
    ),
    praise="One search for all, chosen on validation; all seeds; one correction for all tests.",
    hints=(
        "Which of them gives every method, the baseline too, the same chances?",
        "Two of them look at the test set or the best seed before they choose.",
    ),
    solution_code='answer = "c"',
)

q3 = Exercise(
    name="Exercise 3",
    verdict=function(
        _seeds_needed,
        SEEDS_CASES,
        returns="it",
        tolerance=1e-6,
        mistakes=SEEDS_MISTAKES,
        otherwise="Try n = 2, 3, 4, …: stop at the first one with t · s / √n at most the margin.",
    ),
    praise="To see a difference half as large takes about four times the seeds.",
    hints=(
        "Half of the interval is t · s / √n. It shrinks with n, and so does t.",
        "So no formula gives n at once. Try n = 2, 3, 4, … in turn: what tells you to stop?",
    ),
    solution_code="""
from scipy import stats


def seeds_needed(s, margin):
    n = 2
    while stats.t.ppf(0.975, n - 1) * s / n**0.5 > margin:
        n += 1
    return n


answer = seeds_needed
""",
)

q4 = Exercise(
    name="Exercise 4",
    verdict=Verdict(_power_verdict, POWER_WRONG),
    praise="A table of three to five seeds, as most papers have it, would most often have missed "
    "it, even with no other test beside it.",
    hints=(
        '`found_with_fewer(leads[["pcgrad"]], range(2, 21), m=1, draws=2000)` gives a share for '
        "each count. Which is the first that is 0.8 or more?",
        'Call the table `power`; then `power["pcgrad"] >= 0.8` says which counts suffice.',
    ),
    solution_code="""
from mtl_tutorial.experiments.inference import differences, found_with_fewer
from mtl_tutorial.experiments.store import committed_results
from mtl_tutorial.experiments.summary import to_frame

leads = differences(to_frame(committed_results("two_digits_8_epochs")))
power = found_with_fewer(leads[["pcgrad"]], range(2, 21), m=1, draws=2000)
answer = (power["pcgrad"] >= 0.8).idxmax()
""",
)

q5 = Exercise(
    name="Exercise 5",
    verdict=_study_verdict,
    praise="A guess, a network for each task, the same seeds for all, and an interval. Whether "
    "sharing helped, and whether the guess was beaten, your numbers say.",
    hints=(
        "Copy the page on the gym, and change its steps one by one; begin with the tasks.",
        "The difference is `interval(multi - single)`, with an array of scores for each.",
    ),
    solution_code="""
import numpy as np

from mtl_tutorial.experiments.inference import interval

# In place of these numbers, the scores of your own runs.
baseline, single = np.array([0.50, 0.52, 0.51]), np.array([0.70, 0.74, 0.71])
multi = np.array([0.72, 0.75, 0.75])
answer = {
    "baseline": baseline,
    "single-task": single,
    "multi-task": multi,
    "difference": interval(multi - single),
}
""",
)
