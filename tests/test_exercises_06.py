"""Each plausible wrong answer in lesson 06 gets the hint that fits it."""

from __future__ import annotations

import pytest
import torch
from exercise_answers import told, wrong_answer_tests

from mtl_tutorial.architectures import ConvEncoder, HardSharing
from mtl_tutorial.balancing import UncertaintyWeights, dwa_weights
from mtl_tutorial.data import located_digits
from mtl_tutorial.exercises.lesson_06 import q1, q2, q3, q4, q5
from mtl_tutorial.experiments import train
from mtl_tutorial.measuring import gradient_geometry
from mtl_tutorial.tasks import Task, accuracy

ALL = {"q1": q1, "q2": q2, "q3": q3, "q4": q4, "q5": q5}
LAST, BEFORE = [0.5, 2.0, 1.0], [1.0, 2.0, 4.0]


def plain_sum(losses, s, kinds):
    return losses.sum()


def one_a_task(losses, s, kinds):
    return losses


def objective(losses, s, kinds):
    c = torch.tensor([0.5 if kind == "regression" else 1 for kind in kinds])
    return (c * (-s).exp() * losses + 0.5 * s).sum()


WRONG = [
    ("q1", [0.3, 0.4, 0.3], "3"),
    ("q1", torch.softmax(torch.tensor([0.25, 0.5, 0.125]), 0), "sum to 1"),
    ("q1", dwa_weights(LAST, BEFORE, temperature=1), "temperature"),
    ("q1", dwa_weights(BEFORE, LAST), "turned over"),
    ("q1", 3 * torch.softmax(torch.tensor(LAST) / 2, 0), "compares each loss with itself"),
    ("q1", [1, 1, 1], "Which task is the slowest"),
    ("q1", [0.93, 1.21, 0.83], "Which task is the slowest"),
    ("q1", 1.2, "3 numbers are needed"),
    ("q2", plain_sum, "Try one regression alone"),
    ("q2", one_a_task, "Give one number for all tasks"),
    ("q2", lambda losses, s, kinds: objective(losses.detach(), s, kinds), "no gradient of it"),
    ("q2", lambda losses, s, kinds: objective(losses, s, kinds).item(), "no gradient of it"),
    ("q3", 1, "which function of L is left"),
    ("q3", "0.69", "without quotation marks"),
    ("q5", "e", "is needed"),
    ("q5", 3, "quotation marks"),
]

test_a_wrong_answer_gets_the_hint_that_fits_it, test_four_are_tried = wrong_answer_tests(ALL, WRONG)


def test_the_speed_weights_are_the_packages(capsys) -> None:
    assert "Correct." in told(q1, dwa_weights(LAST, BEFORE), capsys)


def test_weights_that_are_cut_after_two_decimals_are_right(capsys) -> None:
    for near in ([0.94, 1.21, 0.83], [0.95, 1.22, 0.84]):
        assert "Correct." in told(q1, near, capsys)


def test_the_objective_is_the_one_that_the_package_steps_down(capsys) -> None:
    """The package gives the weights, which are the objective's derivatives by the losses."""

    def by_package(losses, s, kinds):
        loss_of = {
            "regression": torch.nn.functional.mse_loss,
            "classification": torch.nn.functional.cross_entropy,
        }
        tasks = [Task(f"t{i}", loss_of[kind], accuracy, 1) for i, kind in enumerate(kinds)]
        balancer = UncertaintyWeights(tasks)
        balancer.memory = {
            task.name: torch.tensor([value, 0, 0, 0]) for task, value in zip(tasks, s, strict=True)
        }
        return (torch.stack([*balancer.weights.values()]) * losses + s / 2).sum()

    assert "no gradient" in told(q2, by_package, capsys)  # its weights are constants to a step


def test_the_objective_falls_as_it_does_where_the_package_ends(capsys) -> None:
    tasks = [Task(name, torch.nn.functional.mse_loss, accuracy, 1) for name in ("one", "two")]
    losses, anchor = {"one": 0.02, "two": 0.005}, torch.zeros((), requires_grad=True)
    balancer = UncertaintyWeights(tasks, learning_rate=0.2)
    for _ in range(600):
        balancer.backward({name: 0 * anchor + loss for name, loss in losses.items()}, None)
    parts = [
        balancer.weights[name] * loss + balancer.log_variances[name] / 2
        for name, loss in losses.items()
    ]
    assert "Correct." in told(q3, parts[0] - parts[1], capsys)


@pytest.fixture(scope="module")
def factor() -> float:
    """What makes the two gradients equally long, on this processor."""
    scenes = located_digits("train")
    tasks, batch = scenes.tasks[:2], scenes.draw(256, torch.Generator())
    model, _ = train(
        lambda: HardSharing(ConvEncoder(width=8), tasks), tasks, scenes, batch, seed=0, steps=100
    )
    norms = gradient_geometry(model, tasks, batch).norms
    return norms["digit"] / norms["box"]


@pytest.mark.parametrize("near", [1, 1.2, 0.85])
def test_the_factor_is_that_of_the_lessons_mixer(near, factor, capsys) -> None:
    assert "Correct." in told(q4, near * factor, capsys)


def test_a_factor_on_the_other_slider_or_on_both_gets_its_hint(factor, capsys) -> None:
    assert "Turned over" in told(q4, 1 / factor, capsys)
    assert "both sliders" in told(q4, factor**0.5, capsys)
