"""Each plausible wrong answer in lesson 02 gets the hint that fits it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from exercise_answers import told, wrong_answer_tests

from mtl_tutorial.architectures import ClassicEncoder, HardSharing
from mtl_tutorial.data.questions import mask_task
from mtl_tutorial.exercises.lesson_02 import q1, q2, q3, q4, q5
from mtl_tutorial.tasks import Task

ALL = {"q1": q1, "q2": q2, "q3": q3, "q4": q4, "q5": q5}


def encodes_for_every_head(encoder, heads, images):
    return {name: head(encoder(images)) for name, head in heads.items()}


def forgets_the_encoder(encoder, heads, images):
    return {name: head(images) for name, head in heads.items()}


def forgets_the_heads(encoder, heads, images):
    return {name: encoder(images) for name in heads}


def knows_two_tasks(encoder, heads, images):
    features = encoder(images)
    return {"digit": heads["digit"](features), "box": heads["box"](features)}


def gives_a_list(encoder, heads, images):
    features = encoder(images)
    return [head(features) for head in heads.values()]


def chains_the_heads(encoder, heads, images):
    features = encoder(images)
    return {name: heads["digit"](features) for name in heads}


def gives_the_heads(encoder, heads, images):
    return dict(heads.items())


def gives_nothing(encoder, heads, images):
    encoder(images)


WRONG = [
    ("q1", [2, -4], "3 numbers are needed"),
    ("q1", 2, "3 numbers are needed"),
    ("q1", [2, -4, 0], "Look at b again"),
    ("q2", 0.25, "One encoder + two heads"),
    ("q2", "half", "without quotation marks"),
    ("q3", 2, "weight and loss"),
    ("q4", encodes_for_every_head, "ran 3 times"),
    ("q4", forgets_the_encoder, "see the images"),
    ("q4", forgets_the_heads, "Those are the features"),
    ("q4", knows_two_tasks, "'mask'"),
    ("q4", gives_a_list, "Give a dict"),
    ("q4", chains_the_heads, "not its head"),
    ("q4", gives_the_heads, "must be a tensor"),
    ("q4", gives_nothing, "return"),
    ("q4", lambda: None, "TypeError"),
    ("q4", 3, "A function is needed"),
    ("q5", "f", "is needed"),
]

test_a_wrong_answer_gets_the_hint_that_fits_it, test_four_are_tried = wrong_answer_tests(ALL, WRONG)


@pytest.mark.parametrize("answer", [0.539, np.float32(0.5389), torch.tensor(0.53891)])
def test_the_fraction_may_be_rounded_and_of_any_type(answer, capsys) -> None:
    assert "Correct." in told(q2, answer, capsys)


def test_the_fraction_is_that_of_real_models(capsys) -> None:
    def parameters(*tasks: Task) -> int:
        return sum(p.numel() for p in HardSharing(ClassicEncoder(), tasks).parameters())

    wide = mask_task(28)
    other = Task("other", wide.loss, wide.metric, wide.out_features)
    answer = parameters(wide, other) / (parameters(wide) + parameters(other))
    assert "Correct." in told(q2, answer, capsys)


def unfinished(encoder, heads, images):
    return ...


def test_an_unfinished_function_is_told_so(capsys) -> None:
    assert "gives Ellipsis" in told(q4, unfinished, capsys)
