"""Each plausible wrong answer in lesson 07 gets the hint that fits it."""

from __future__ import annotations

import pytest
import torch
from exercise_answers import told, wrong_answer_tests
from lesson_cells import run_tagged

from mtl_tutorial.architectures import ConvEncoder, HardSharing
from mtl_tutorial.balancing import gradnorm_step, training_rates
from mtl_tutorial.data import located_digits
from mtl_tutorial.exercises.lesson_07 import q1, q2, q3, q4
from mtl_tutorial.widgets.gradnorm_stepper import GradNormStepper

ALL = {"q1": q1, "q2": q2, "q3": q3, "q4": q4}


def forgets_the_tasks(w, norms, losses, first_losses, alpha, rate):
    return w


def gives_a_list(w, norms, losses, first_losses, alpha, rate):
    return w.tolist()


def has_no_weight_to_derive_by(w, norms, losses, first_losses, alpha, rate):
    w = w.clone().requires_grad_()
    (norms - norms.mean()).abs().sum().backward()


WRONG = [
    ("q1", [1, 1, 1], "has moved least"),
    ("q1", [0.75, 1.5], "3 numbers are needed"),
    ("q2", forgets_the_tasks, "Which line is the first"),
    ("q2", gives_a_list, "Give a tensor"),
    ("q2", has_no_weight_to_derive_by, "does not require grad"),
    ("q3", 0.67, "the other bar"),
    ("q3", "1.5", "without quotation marks"),
    ("q3", 0.7, "the other bar"),
    ("q4", "f", "is needed"),
]

test_a_wrong_answer_gets_the_hint_that_fits_it, test_four_are_tried = wrong_answer_tests(ALL, WRONG)


def test_the_packages_rates_are_right(capsys) -> None:
    assert "Correct." in told(q1, training_rates([1, 4, 0.5], [2, 4, 1]), capsys)


def test_the_packages_step_and_the_lessons_are_right(capsys) -> None:
    def packaged(w, norms, losses, first_losses, alpha, rate):
        rates = training_rates(losses, first_losses)
        return gradnorm_step(w, norms, rates, alpha=alpha, learning_rate=rate).new_weights

    for step in (packaged, run_tagged("07_gradnorm", "from-scratch")["gradnorm_update"]):
        assert "Correct." in told(q2, step, capsys)


def test_a_step_by_autograd_is_right_where_the_target_is_held_constant(capsys) -> None:
    def step(w, norms, losses, first_losses, alpha, rate):
        w = w.clone().requires_grad_()
        g = w * norms
        rates = training_rates(losses, first_losses)
        (g - (g.mean() * rates**alpha).detach()).abs().sum().backward()
        moved = w - rate * w.grad
        return len(w) * moved / moved.sum()

    assert "Correct." in told(q2, step, capsys)


def test_the_steppers_own_numbers_answer_the_third(capsys) -> None:
    scenes = located_digits("train")
    tasks = scenes.tasks[:2]
    stepper = GradNormStepper(
        lambda: HardSharing(ConvEncoder(width=8), tasks), tasks, scenes, warm_up=30
    )
    made = stepper.balancer.last_step
    alpha = ((made.norms[0] / made.norms.mean()).log() / made.rates[0].log()).item()
    assert made.norms.mean() * made.rates[0] ** alpha == pytest.approx(made.norms[0])
    for near in (alpha, round(alpha, 1), torch.tensor(alpha)):
        assert "Correct." in told(q3, near, capsys)
