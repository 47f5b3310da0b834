"""Each plausible wrong answer in lesson 09 gets the hint that fits it."""

from __future__ import annotations

import pytest
import torch
from exercise_answers import told, wrong_answer_tests
from torch.func import grad

from mtl_tutorial.exercises.lesson_09 import q1, q2, q3, q4, q5
from mtl_tutorial.experiments.meta import first_order_maml_gradient, maml_gradient
from mtl_tutorial.experiments.relatedness import compute_relatedness

ALL = {"q1": q1, "q2": q2, "q3": q3, "q4": q4, "q5": q5}


def slope(value, theta, **more):
    return torch.autograd.grad(value, theta, **more)[0]


def forgets_the_way_back(loss, theta, tasks, alpha, beta):
    total = 0.0
    for support, query in tasks:
        total = total + loss(theta - alpha * slope(loss(theta, support), theta), query)
    return theta - beta * slope(total, theta)


def detaches_the_start(loss, theta, tasks, alpha, beta):
    total = 0.0
    for support, query in tasks:
        adapted = theta.detach() - alpha * slope(loss(theta, support), theta)
        total = total + loss(adapted, query)
    return theta - beta * slope(total, theta)


def adds_plain_numbers(loss, theta, tasks, alpha, beta):
    total = torch.tensor(0.0)
    for support, query in tasks:
        total = total + loss(theta - alpha * slope(loss(theta, support), theta), query).item()
    return theta - beta * slope(total, theta)


def writes_over_theta(loss, theta, tasks, alpha, beta):
    for support, _ in tasks:
        theta -= alpha * slope(loss(theta, support), theta)
    return theta


def walks_from_task_to_task(loss, theta, tasks, alpha, beta):
    theta = theta.detach().clone().requires_grad_()
    for support, query in tasks:
        with torch.enable_grad():
            step = slope(loss(theta, support), theta)
        with torch.no_grad():
            theta -= alpha * step
        theta.grad = (0 if theta.grad is None else theta.grad) + slope(loss(theta, query), theta)
    return theta.detach() - beta * theta.grad


def gives_the_objective(loss, theta, tasks, alpha, beta):
    return sum(loss(theta, query) for _, query in tasks)


def gives_a_number(loss, theta, tasks, alpha, beta):
    return gives_the_objective(loss, theta, tasks, alpha, beta).item()


def adapts_twice(loss, theta, tasks, alpha, beta):
    total = 0.0
    for support, query in tasks:
        adapted = theta
        for _ in range(2):
            adapted = adapted - alpha * slope(loss(adapted, support), adapted, create_graph=True)
        total = total + loss(adapted, query)
    return theta - beta * slope(total, theta)


WRONG = [
    ("q1", [0, 0], "MAML is not right yet"),
    ("q1", [2.13, 9.0], "first order is not right yet"),
    ("q1", [2.1, 3.3], "give more decimals"),
    ("q1", 3, "2 numbers are needed"),
    ("q2", forgets_the_way_back, "first-order MAML"),
    ("q2", detaches_the_start, "no way back"),
    ("q2", adds_plain_numbers, "no way back"),
    ("q2", writes_over_theta, "refuses to change θ in place"),
    ("q2", walks_from_task_to_task, "starts where the first one ended"),
    ("q2", gives_the_objective, "has the shape of θ"),
    ("q2", gives_a_number, "The new θ is needed"),
    ("q2", adapts_twice, "on paper for one task"),
    ("q3", 45, "Is the angle 60°"),
    ("q3", 0.679, "Is the angle 60°"),
    ("q3", "25", "without quotation marks"),
    ("q4", "f", "is needed"),
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


def through_functions(loss, theta, tasks, alpha, beta):
    def objective(start):
        return sum(loss(start - alpha * grad(loss)(start, s), q) for s, q in tasks)

    return theta - beta * grad(objective)(theta)


def task_by_task(loss, theta, tasks, alpha, beta):
    step = torch.zeros_like(theta)
    for support, query in tasks:
        own = slope(loss(theta, support), theta, create_graph=True)
        step += slope(loss(theta - alpha * own, query), theta)
    return theta - beta * step


def into_grad(loss, theta, tasks, alpha, beta):
    for support, query in tasks:
        own = slope(loss(theta, support), theta, create_graph=True)
        loss(theta - alpha * own, query).backward()  # adds up in theta.grad
    with torch.no_grad():
        theta -= beta * theta.grad
    return theta


@pytest.mark.parametrize("answer", [through_functions, task_by_task, into_grad])
def test_an_outer_step_may_be_written_in_several_ways(answer, capsys) -> None:
    assert "Correct." in told(q2, answer, capsys)


def test_the_best_number_of_samples_can_be_read_off_the_lab(capsys) -> None:
    errors = {n: compute_relatedness(60, (20, n), 1.0).joint[0] for n in range(15, 121, 5)}
    read = {n: float(f"{error:.3g}") for n, error in errors.items()}  # as the lab writes it
    best = [n for n, error in read.items() if error < min(read.values()) + 0.004]
    assert best == [25, 30] and read[25] == min(read.values())
    for n in best:
        assert "Correct." in told(q3, n, capsys)
