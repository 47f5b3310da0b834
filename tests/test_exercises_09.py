"""Each plausible wrong answer in lesson 09 gets the hint that fits it."""

from __future__ import annotations

import torch
from exercise_answers import told, wrong_answer_tests
from torch.func import grad

from mtl_tutorial.exercises.lesson_09 import q1, q2, q3, q4, q5
from mtl_tutorial.experiments.meta import adapt, first_order_maml_gradient, maml_gradient
from mtl_tutorial.experiments.relatedness import turning_angle

ALL = {"q1": q1, "q2": q2, "q3": q3, "q4": q4, "q5": q5}


def moved(loss, theta, given, rate):
    return theta - rate * grad(loss)(theta, given)


def detaches_the_slope(loss, theta, support, query, rate):
    pairs = zip(support, query, strict=True)
    return sum(loss(theta - rate * grad(loss)(theta, s).detach(), q) for s, q in pairs)


def detaches_the_start(loss, theta, support, query, rate):
    pairs = zip(support, query, strict=True)
    return sum(loss(theta.detach() - rate * grad(loss)(theta, s), q) for s, q in pairs)


def adds_plain_numbers(loss, theta, support, query, rate):
    pairs = zip(support, query, strict=True)
    return sum(float(loss(moved(loss, theta, s, rate), q)) for s, q in pairs)


def detaches_the_sum(loss, theta, support, query, rate):
    pairs = zip(support, query, strict=True)
    return sum(loss(moved(loss, theta, s, rate), q) for s, q in pairs).detach()


def gives_one(loss, theta, support, query, rate):
    return 1.0


WRONG = [
    ("q1", [0, 0], "Slopes before"),
    ("q1", 3, "2 numbers are needed"),
    ("q2", "e", "is needed"),
    ("q3", detaches_the_slope, "first-order MAML"),
    ("q3", detaches_the_start, "depend on θ"),
    ("q3", adds_plain_numbers, "no gradient goes through"),
    ("q3", detaches_the_sum, "no gradient goes through"),
    ("q3", gives_one, "For each task"),
    ("q4", turning_angle(21, 20, 1.0), "exact c"),
    ("q4", 120, "Set them equal"),
    ("q4", "109", "without quotation marks"),
    ("q5", "e", "is needed"),
]

test_a_wrong_answer_gets_the_hint_that_fits_it, test_four_are_tried = wrong_answer_tests(ALL, WRONG)


def test_the_packages_gradients_are_the_right_answer(capsys) -> None:
    def valley(theta, target, steepness):
        return 0.5 * steepness * (theta["x"] - target) ** 2

    tasks = (torch.tensor([2.0, -1.0]), torch.tensor([1.0, 3.0])) * 2
    theta = {"x": torch.tensor(1.0)}
    slopes = [
        gradient(valley, theta, tasks, rate=0.1, steps=1)["x"]
        for gradient in (maml_gradient, first_order_maml_gradient)
    ]
    assert "Correct." in told(q1, slopes, capsys)


def test_a_function_built_on_the_package_is_right(capsys) -> None:
    def meta_loss(loss, theta, support, query, rate):
        def named(parameters, given, _):
            return loss(parameters["theta"], given)

        total = 0.0
        for given, asked in zip(support, query, strict=True):
            start = {"theta": theta}
            adapted = adapt(named, start, given, given, rate=rate, steps=1)
            total += loss(adapted["theta"], asked)
        return total

    assert "Correct." in told(q3, meta_loss, capsys)
