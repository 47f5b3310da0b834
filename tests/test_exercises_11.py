"""Each plausible wrong answer in lesson 11 gets the hint that fits it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from exercise_answers import told, wrong_answer_tests
from scipy import stats

from mtl_tutorial.exercises.lesson_11 import q1, q2, q3, q4, q5
from mtl_tutorial.experiments.inference import holm, interval

ALL = {"q1": q1, "q2": q2, "q3": q3, "q4": q4, "q5": q5}
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


def least(margin_reached):
    """The least n from 2 on for which a half-width reaches the margin."""

    def seeds_needed(s, margin):
        return next(n for n in range(2, 10_000) if margin_reached(n, s, margin))

    return seeds_needed


right_number = least(lambda n, s, margin: stats.t.ppf(0.975, n - 1) * s / n**0.5 <= margin)
whole = least(lambda n, s, margin: 2 * stats.t.ppf(0.975, n - 1) * s / n**0.5 <= margin)


def rounded_normal(s, margin):
    return int(np.ceil((1.96 * s / margin) ** 2))


def always_five(s, margin):
    return 5


def all_ones(p):
    return np.ones(len(p))


WRONG = [
    ("q1", all_ones, "Smallest p-value times m"),
    ("q1", len, "p-value 1"),
    ("q2", "f", "is needed"),
    ("q3", rounded_normal, "many seeds"),
    ("q3", always_five, "stop at the first"),
    ("q4", 2.5, "A number of seeds"),
    ("q4", "five", "without quotation marks"),
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
    ("q5", STUDY | {"multi-task": list(SINGLE)}, "the same list"),
    ("q5", STUDY | {"multi-task": torch.tensor(0.75)}, "best is no result"),
    ("q5", STUDY | {"baseline": []}, "same seeds"),
    ("q5", STUDY | {"baseline": torch.ones(4, 1)}, "yours has 2 dimensions"),
    ("q5", STUDY | {"baseline": {0.5, 0.52}}, "yours is a set"),
    ("q5", STUDY | {"baseline": "0.5"}, "yours is a str"),
    ("q5", STUDY | {"baseline": pd.Series([0.5, np.nan, 0.5, 0.5])}, "finite"),
    ("q5", "it helped", "A dict"),
]

test_a_wrong_answer_gets_the_hint_that_fits_it, test_four_are_tried = wrong_answer_tests(ALL, WRONG)


def test_the_packages_answers_are_right(capsys) -> None:
    assert "Correct." in told(q1, holm, capsys)
    assert "Correct." in told(q2, " C", capsys)
    assert "Correct." in told(q3, right_number, capsys)
    assert "Correct." in told(q4, 10, capsys)


def test_a_study_may_be_a_dict_of_lists_or_arrays_or_a_column_of_a_table(capsys) -> None:
    assert "Correct." in told(q5, STUDY, capsys)
    assert "Correct." in told(q5, {k: np.asarray(v) for k, v in STUDY.items()}, capsys)
    assert "Correct." in told(q5, pd.Series(STUDY), capsys)


@pytest.mark.parametrize("form", [torch.tensor, pd.Series, tuple])
def test_scores_may_be_tensors_or_columns_of_a_table(form, capsys) -> None:
    assert "Correct." in told(q5, {name: form(values) for name, values in STUDY.items()}, capsys)


def test_a_study_of_three_seeds_may_be_a_whole_table(capsys) -> None:
    study = {name: values[:3] for name, values in STUDY.items()}
    table = pd.DataFrame(study | {"difference": interval(GAIN[:3])}, index=[7, 8, 9])
    assert "Correct." in told(q5, table, capsys)


@pytest.mark.parametrize(("unit", "decimals"), [(100, 1), (2127, 0), (2127, 1)])
def test_a_study_may_be_in_any_unit_and_rounded_as_it_is_read(unit, decimals, capsys) -> None:
    study = {
        name: [round(unit * value, decimals) for value in values] for name, values in STUDY.items()
    }
    gain = np.subtract(study["multi-task"], study["single-task"])
    study["difference"] = [round(value, decimals) for value in interval(gain)]
    assert "Correct." in told(q5, study, capsys)


def test_two_decimals_of_an_interval_are_enough(capsys) -> None:
    study = STUDY | {"difference": [round(value, 2) for value in interval(GAIN)]}
    assert "Correct." in told(q5, study, capsys)


def test_a_study_in_which_sharing_does_harm_is_as_good_as_any(capsys) -> None:
    worse = MULTI - 0.1
    study = STUDY | {"multi-task": worse, "difference": interval(worse - SINGLE)}
    assert "Correct." in told(q5, study, capsys)
