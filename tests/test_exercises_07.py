"""Each plausible wrong answer in lesson 07 gets the hint that fits it."""

from __future__ import annotations

import torch
from exercise_answers import told, wrong_answer_tests

from mtl_tutorial.balancing import gradnorm_step, training_rates
from mtl_tutorial.exercises.lesson_07 import q1, q2, q3, q4

ALL = {"q1": q1, "q2": q2, "q3": q3, "q4": q4}


def rates(now, first):
    progress = now / first
    return progress / progress.mean()


def turns_the_exponent(g, losses, first_losses, alpha):
    return g.mean() * rates(losses, first_losses) ** -alpha


def forgets_the_mean_progress(g, losses, first_losses, alpha):
    return g.mean() * (losses / first_losses) ** alpha


def turns_the_progress(g, losses, first_losses, alpha):
    return g.mean() * rates(first_losses, losses) ** alpha


def starts_from_its_own_norm(g, losses, first_losses, alpha):
    return g * rates(losses, first_losses) ** alpha


def sums_the_norms(g, losses, first_losses, alpha):
    return g.sum() * rates(losses, first_losses) ** alpha


def compares_raw_losses(g, losses, first_losses, alpha):
    return g.mean() * (losses / losses.mean()) ** alpha


def multiplies_by_alpha(g, losses, first_losses, alpha):
    return alpha * g.mean() * rates(losses, first_losses)


def gives_one_number(g, losses, first_losses, alpha):
    return g.mean()


def gives_a_float(g, losses, first_losses, alpha):
    return g.mean().item()


def gives_nothing(g, losses, first_losses, alpha):
    g.mean() * rates(losses, first_losses) ** alpha


WRONG = [
    ("q1", [0.5, 1, 0.5], "by its mean"),
    ("q1", [4 / 3, 2 / 3, 4 / 3], "Turned over"),
    ("q1", [1.2, 0.6, 1.2], "present loss goes above"),
    ("q1", [6 / 11, 24 / 11, 3 / 11], "its own first loss"),
    ("q1", [0.25, 0.5, 0.25], "by the sum"),
    ("q1", [1, 1, 1], "First L / L(0)"),
    ("q1", [0.75, 1.5], "3 numbers are needed"),
    ("q2", [1.3, 0.8], "sum to 2"),
    ("q2", [0.737, 1.263], "wrong way"),
    ("q2", [1, 1], "off its target"),
    ("q2", [1.1, 0.9], "times the norm"),
    ("q2", [1.04, 0.96], "above its target"),
    ("q2", [0.5, 1.5], "Targets"),
    ("q3", "a", "further behind"),
    ("q3", "c", "after every step"),
    ("q3", "d", "since the start"),
    ("q3", "e", "whole loss"),
    ("q3", "f", "is needed"),
    ("q4", turns_the_exponent, "+α"),
    ("q4", forgets_the_mean_progress, "divided by its mean"),
    ("q4", turns_the_progress, "turned over"),
    ("q4", starts_from_its_own_norm, "not from the task's own"),
    ("q4", sums_the_norms, "not the sum"),
    ("q4", compares_raw_losses, "different units"),
    ("q4", multiplies_by_alpha, "not a factor"),
    ("q4", gives_one_number, "mean(G)"),
    ("q4", gives_a_float, "Give a tensor"),
    ("q4", gives_nothing, "return"),
    ("q4", 3, "A function is needed"),
]

test_a_wrong_answer_gets_the_hint_that_fits_it, test_four_are_tried = wrong_answer_tests(ALL, WRONG)


def test_the_packages_numbers_are_right(capsys) -> None:
    assert "Correct." in told(q1, training_rates([1, 4, 0.5], [2, 4, 1]), capsys)
    made = gradnorm_step([1, 1], [3, 2], [1.5, 0.5], alpha=1, learning_rate=0.1)
    assert "Correct." in told(q2, torch.tensor(made.new_weights), capsys)
