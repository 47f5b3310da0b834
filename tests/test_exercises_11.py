"""Each plausible wrong answer in lesson 11 gets the hint that fits it."""

from __future__ import annotations

import numpy as np
import pandas as pd
from exercise_answers import told, wrong_answer_tests
from scipy import stats

from mtl_tutorial.exercises.lesson_11 import q1, q2, q3, q4, q5
from mtl_tutorial.experiments.summary import holm, interval

ALL = {"q1": q1, "q2": q2, "q3": q3, "q4": q4, "q5": q5}
DIFFERENCES = np.array([-1.0, 1, 2, 3, 5])
SINGLE = np.array([0.70, 0.74, 0.71, 0.72])
MULTI = np.array([0.72, 0.75, 0.75, 0.70])
GAIN = MULTI - SINGLE
STUDY = {
    "baseline": [0.5, 0.52, 0.51, 0.5],
    "single-task": list(SINGLE),
    "multi-task": list(MULTI),
    "difference": interval(GAIN),
}


def ends(half, mean=None):
    """An interval of some half-width around the mean difference, or another mean."""
    mean = GAIN.mean() if mean is None else mean
    return mean, mean - half, mean + half


def unpaired(a, b):
    return stats.ttest_ind(a, b).pvalue


def welch(a, b):
    return stats.ttest_ind(a, b, equal_var=False).pvalue


def one_sided(a, b):
    return stats.ttest_rel(a, b, alternative="greater").pvalue


def half_of_p(a, b):
    return stats.ttest_rel(a, b).pvalue / 2


def normal(a, b):
    return 2 * stats.norm.sf(abs(stats.ttest_rel(a, b).statistic))


def without_root(a, b):
    d = a - b
    return 2 * stats.t.sf(abs(d.mean() / d.std(ddof=1)), len(d) - 1)


def gives_t(a, b):
    return stats.ttest_rel(a, b).statistic


def ranks(a, b):
    return stats.wilcoxon(a, b).pvalue


def gives_nothing(*arguments):
    unpaired(np.arange(3.0), np.arange(3.0))


def gives_a_half(a, b):
    return 0.5


def as_it_was(p):
    return p


def bonferroni(p):
    return np.minimum(1, p * len(p))


def step_down_alone(p):
    found, order = np.empty(len(p)), np.argsort(p)
    found[order] = np.minimum(1, (len(p) - np.arange(len(p))) * p[order])
    return found


def unsorted_factors(p):
    return np.maximum.accumulate(np.minimum(1, (len(p) - np.arange(len(p))) * p))


def in_rising_order(p):
    return sorted(holm(p))


def all_ones(p):
    return np.ones(len(p))


WRONG = [
    ("q1", 2.776 * 5**0.5, "one more seed"),
    ("q1", 5**0.5, "standard deviation"),
    ("q1", 1, "standard error alone"),
    ("q1", 2 * 2.776, "Half of it"),
    ("q1", 1.96, "many seeds"),
    ("q1", 2.776 * 2 / 5**0.5, "n − 1"),
    ("q1", 2.571, "5 degrees of freedom"),
    ("q1", 2.132, "on each side"),
    ("q1", 2.776 * 5**0.5 / 5, "not by n"),
    ("q1", 17, "t · s / √n"),
    ("q2", unpaired, "strangers"),
    ("q2", welch, "Welch"),
    ("q2", one_sided, "one-sided"),
    ("q2", half_of_p, "Two-sided"),
    ("q2", normal, "normal distribution"),
    ("q2", without_root, "not by s"),
    ("q2", gives_t, "That is t"),
    ("q2", ranks, "Wilcoxon"),
    ("q2", gives_nothing, "return"),
    ("q2", gives_a_half, "mean of the differences"),
    ("q2", 0.05, "A function is needed"),
    ("q3", as_it_was, "Nothing is corrected"),
    ("q3", bonferroni, "Bonferroni"),
    ("q3", stats.false_discovery_control, "Benjamini"),
    ("q3", step_down_alone, "largest so far"),
    ("q3", unsorted_factors, "Sort first"),
    ("q3", in_rising_order, "order of the question"),
    ("q3", all_ones, "Smallest p-value times m"),
    ("q3", len, "p-value 1"),
    ("q4", "a", "best of five"),
    ("q4", "b", "on validation"),
    ("q4", "d", "elsewhere"),
    ("q4", "e", "correction"),
    ("q4", "f", "is needed"),
    ("q5", {k: v for k, v in STUDY.items() if k != "baseline"}, "no 'baseline'"),
    ("q5", {k: v for k, v in STUDY.items() if k != "single-task"}, "no 'single-task'"),
    ("q5", STUDY | {"multi-task": MULTI.max()}, "best is no result"),
    ("q5", STUDY | {"baseline": [0.5] * 3}, "same seeds"),
    ("q5", {k: v[:2] for k, v in STUDY.items()}, "anecdote"),
    ("q5", STUDY | {"multi-task": [0.75] * 4}, "does the seed reach"),
    ("q5", STUDY | {"difference": ends(GAIN.std(ddof=1))}, "mean ± s."),
    ("q5", STUDY | {"difference": ends(GAIN.std(ddof=1) / 2)}, "mean ± standard error"),
    ("q5", STUDY | {"difference": ends(3.1824 * GAIN.std(ddof=1))}, "by √n"),
    ("q5", STUDY | {"difference": ends(1.96 * GAIN.std(ddof=1) / 2)}, "many seeds"),
    (
        "q5",
        STUDY
        | {
            "difference": ends(
                stats.t.ppf(0.975, 6) * ((MULTI.var(ddof=1) + SINGLE.var(ddof=1)) / 4) ** 0.5
            )
        },
        "unpaired",
    ),
    ("q5", STUDY | {"difference": interval(-GAIN)}, "sign is turned"),
    ("q5", STUDY | {"difference": ends(0.02, MULTI.max() - SINGLE.max())}, "best seeds"),
    ("q5", STUDY | {"difference": ends(-0.02)}, "mean lies between"),
    ("q5", STUDY | {"difference": ends(0.5)}, "interval is not"),
    ("q5", STUDY | {"difference": ends(0.5, 0.3)}, "seed by seed"),
    ("q5", STUDY | {"difference": 0.01}, "3 numbers are needed"),
    ("q5", "it helped", "A dict"),
]

test_a_wrong_answer_gets_the_hint_that_fits_it, test_four_are_tried = wrong_answer_tests(ALL, WRONG)


def test_the_packages_answers_are_right(capsys) -> None:
    _, low, high = interval(DIFFERENCES)
    assert "Correct." in told(q1, (high - low) / 2, capsys)
    assert "Correct." in told(q2, lambda a, b: stats.ttest_rel(a, b).pvalue, capsys)
    assert "Correct." in told(q3, holm, capsys)
    assert "Correct." in told(q4, " C", capsys)


def test_a_study_may_be_a_dict_of_lists_or_arrays_or_a_column_of_a_table(capsys) -> None:
    assert "Correct." in told(q5, STUDY, capsys)
    assert "Correct." in told(q5, {k: np.asarray(v) for k, v in STUDY.items()}, capsys)
    assert "Correct." in told(q5, pd.Series(STUDY), capsys)


def test_a_study_in_which_sharing_does_harm_is_as_good_as_any(capsys) -> None:
    worse = MULTI - 0.1
    study = STUDY | {"multi-task": worse, "difference": interval(worse - SINGLE)}
    assert "Correct." in told(q5, study, capsys)
