"""Two linear tasks: the formulas are those of drawn data."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtl_tutorial.experiments.relatedness import (
    ANGLES,
    bias_share,
    compute_relatedness,
    error_alone,
    error_joint,
    simulate_joint,
    turning_angle,
)

UNHURRIED = settings(deadline=None, max_examples=20)


@pytest.mark.parametrize("samples", [(20, 60), (15, 120), (60, 30)])
def test_the_drawn_errors_have_the_mean_that_the_formula_gives(samples) -> None:
    angles = np.array([0.0, 40.0, 120.0])
    drawn = simulate_joint(angles, samples, 0.7, sets=3000)
    for errors, way in zip(drawn, (samples, samples[::-1]), strict=True):
        exact = error_joint(angles, *way, 0.7)
        standard = errors.std(0) / math.sqrt(len(errors))
        assert (np.abs(errors.mean(0) - exact) < 5 * standard).all()


def test_the_pull_of_the_other_task_is_all_of_it_where_it_has_all_samples() -> None:
    assert bias_share(0, 40) == pytest.approx(1)
    assert bias_share(40, 0) == pytest.approx(0)
    assert bias_share(4000, 4000) == pytest.approx(0.25, abs=1e-3)


def test_one_dimension_gives_the_moments_of_a_beta_variable() -> None:
    a, b = 20 / 2, 30 / 2  # of n_2 / 2 and n_1 / 2
    assert bias_share(30, 20, 1) == pytest.approx(a * (a + 1) / ((a + b) * (a + b + 1)))


@UNHURRIED
@given(st.integers(15, 120), st.integers(15, 120), st.floats(0.1, 2))
def test_at_the_turning_angle_both_ways_are_equally_good(own, other, noise) -> None:
    angle, alone = turning_angle(own, other, noise), error_alone(own, noise)
    if angle is None:
        assert error_joint(180, own, other, noise) <= alone
    else:
        assert error_joint(angle, own, other, noise) == pytest.approx(alone)
        assert error_joint(angle / 2, own, other, noise) < alone


def test_too_few_samples_for_an_expectation_are_refused() -> None:
    with pytest.raises(ValueError, match="more than dimensions \\+ 1 = 11, got 11"):
        error_alone(11, 1.0)


def test_the_bands_lie_around_the_curves() -> None:
    lab = compute_relatedness(45, (20, 60), 1.0)
    assert lab.curves.shape == (2, len(ANGLES))
    assert (lab.bands[:, 0] < lab.curves).all() and (lab.curves < lab.bands[:, 1]).all()


def test_more_samples_than_are_drawn_are_refused() -> None:
    for samples in ((500, 20), (20, 500), (5, 20), (20,)):
        with pytest.raises(ValueError, match="samples"):
            simulate_joint(ANGLES, samples, 1.0)
        with pytest.raises(ValueError, match="samples"):
            compute_relatedness(30, samples, 1.0)
