"""Each plausible wrong answer in lesson 02 gets the hint that fits it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from exercise_answers import told, wrong_answer_tests

from mtl_tutorial.architectures import ClassicEncoder, HardSharing
from mtl_tutorial.data.questions import mask_task
from mtl_tutorial.exercises import lesson_02
from mtl_tutorial.exercises.lesson_02 import q1, q2, q3, q4, q5
from mtl_tutorial.tasks import Task

ALL = {"q1": q1, "q2": q2, "q3": q3, "q4": q4, "q5": q5}


def encodes_for_every_head(encoder, heads, images, targets, losses, weights):
    return sum(weights[n] * losses[n](heads[n](encoder(images)), targets[n]) for n in heads)


def detaches(encoder, heads, images, targets, losses, weights):
    z = encoder(images).detach()
    return sum(weights[n] * losses[n](heads[n](z), targets[n]) for n in heads)


def detaches_all_but_the_first(encoder, heads, images, targets, losses, weights):
    z = encoder(images)
    seen = {n: z if n == "a" else z.detach() for n in heads}
    return sum(weights[n] * losses[n](heads[n](seen[n]), targets[n]) for n in heads)


def holds_the_heads(encoder, heads, images, targets, losses, weights):
    z = encoder(images)
    held = {n: torch.func.functional_call(h, _copied(h), z) for n, h in heads.items()}
    return sum(weights[n] * losses[n](held[n], targets[n]) for n in heads)


def _copied(head):
    return {name: parameter.detach() for name, parameter in head.named_parameters()}


def without_gradients(*case):
    with torch.no_grad():
        return lesson_02._objective(*case)


def gives_a_number(*case):
    return lesson_02._objective(*case).item()


def gives_a_dict(encoder, heads, images, targets, losses, weights):
    z = encoder(images)
    return {n: weights[n] * losses[n](heads[n](z), targets[n]) for n in heads}


def squares_the_weights(encoder, heads, images, targets, losses, weights):
    return lesson_02._objective(
        encoder, heads, images, targets, losses, {n: w**2 for n, w in weights.items()}
    )


WRONG = [
    ("q1", [1.375], "2 numbers are needed"),
    ("q1", [1, 1], "is −2 · 1 + 6 · 1 = 4, and they add up to 2"),
    ("q1", [3, 1], "add up to 4"),
    ("q1", [1.2, 0.8], "too large a pull: `b`"),
    ("q1", [1.7, 0.3], "too small a pull: `b`"),
    ("q2", encodes_for_every_head, "ran 3 times"),
    ("q2", detaches, "no gradient comes to the encoder"),
    ("q2", detaches_all_but_the_first, "the gradient of every task"),
    ("q2", holds_the_heads, "not every head"),
    ("q2", without_gradients, "return a tensor"),
    ("q2", gives_a_number, "return a tensor"),
    ("q2", gives_a_dict, "one number for all tasks"),
    ("q2", squares_the_weights, "λ_1 L_1 + λ_2 L_2"),
    ("q3", 0.25, "Count encoders and heads"),
    ("q3", 0.54, "but for the rounding"),
    ("q3", 53.9, "in per cent"),
    ("q3", 53.89, "in per cent"),
    ("q3", "half", "without quotation marks"),
    ("q4", 30, "A list of pairs is needed"),
    ("q4", [1, 30], "A list of pairs is needed"),
    ("q4", [(400, 30)], "have to begin at 0"),
    ("q4", [(0, 1), (800, 30)], "stay below 800"),
    ("q4", [(0, 1), (400, 100)], "between 0.01 and 30"),
    ("q5", "f", "is needed"),
]

test_a_wrong_answer_gets_the_hint_that_fits_it, test_four_are_tried = wrong_answer_tests(ALL, WRONG)


@pytest.mark.parametrize(
    ("pairs", "digit", "box", "fits"),
    [
        ([(0, 10)], 0.7, 0.6, "never moves"),
        ([(0, 1), (9, 9)], 0.3, 0.4, "Both are short"),
        ([(0, 30), (400, 1)], 0.4, 0.8, "The digit is short"),
        ([(0, 1), (790, 30)], 0.7, 0.5, "The box is short"),
    ],
)
def test_a_schedule_that_falls_short_is_told_where(
    pairs, digit, box, fits, monkeypatch, capsys
) -> None:
    monkeypatch.setattr(lesson_02, "_reached", lambda pairs: {"digit": digit, "box": box})
    text = told(q4, pairs, capsys)
    assert "Not yet." in text and fits in text
    assert f"digit {digit:.2f} and box {box:.2f}" in text


@pytest.mark.parametrize(
    ("schedule", "fits"),
    [({0: 10}, "never moves"), (np.array([(0, 1), (500, 30)]), "The box is short")],
)
def test_a_run_tells_what_a_schedule_reaches(schedule, fits, capsys) -> None:
    text = told(q4, schedule, capsys)
    assert "Not yet." in text and fits in text


@pytest.mark.parametrize("answer", [0.539, np.float32(0.5389), torch.tensor(0.53891)])
def test_the_fraction_may_be_rounded_and_of_any_type(answer, capsys) -> None:
    assert "Correct." in told(q3, answer, capsys)


def test_the_fraction_is_that_of_real_models(capsys) -> None:
    def parameters(*tasks: Task) -> int:
        return sum(p.numel() for p in HardSharing(ClassicEncoder(), tasks).parameters())

    wide = mask_task(28)
    other = Task("other", wide.loss, wide.metric, wide.out_features)
    answer = parameters(wide, other) / (parameters(wide) + parameters(other))
    assert "Correct." in told(q3, answer, capsys)


def unfinished(encoder, heads, images, targets, losses, weights):
    return ...


def test_an_unfinished_function_is_told_so(capsys) -> None:
    assert "gives Ellipsis" in told(q2, unfinished, capsys)


def test_another_way_to_write_the_sum_is_right(capsys) -> None:
    def looped(encoder, heads, images, targets, losses, weights):
        z, total = encoder(images), torch.zeros(1)  # of shape (1,)
        for name in list(weights):
            total += weights.pop(name) * losses[name](heads[name](z), targets[name])
        return total

    assert "Correct." in told(q2, looped, capsys)
