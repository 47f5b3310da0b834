"""Each plausible wrong answer in lesson 04 gets the hint that fits it."""

from __future__ import annotations

import torch
from exercise_answers import told, wrong_answer_tests

from mtl_tutorial.architectures import MTAN, VGGEncoder
from mtl_tutorial.data.questions import BOX, DIGIT
from mtl_tutorial.exercises.lesson_04 import q1, q2, q3, q4

ALL = {"q1": q1, "q2": q2, "q3": q3, "q4": q4}


def knows_one_task(features, logits):
    return {"digit": logits["digit"].sigmoid() * features}


def uses_one_mask(features, logits):
    return {name: logits["digit"].sigmoid() * features for name in logits}


def gives_a_list(features, logits):
    return [z.sigmoid() * features for z in logits.values()]


WRONG = [
    ("q1", [3, 0, 0], "place by place"),
    ("q1", [2, 0], "3 numbers are needed"),
    ("q2", 100, "Two 1×1 convolutions"),
    ("q3", "f", "is needed"),
    ("q4", knows_one_task, "differs in ['box', 'depth', 'mask']"),
    ("q4", uses_one_mask, "is not its own"),
    ("q4", gives_a_list, "Give a dict"),
]

test_a_wrong_answer_gets_the_hint_that_fits_it, test_four_are_tried = wrong_answer_tests(ALL, WRONG)


def test_the_size_of_a_mask_is_that_of_a_real_model(capsys) -> None:
    model = MTAN(VGGEncoder((8, 16, 16)), (DIGIT, BOX))
    answer = sum(p.numel() for p in model.attention["box"][2].parameters())
    assert "Correct." in told(q2, answer, capsys)


def test_the_masked_features_are_those_of_the_formula(capsys) -> None:
    answer = torch.tensor([0.0, 5.0, -100.0]).sigmoid() * torch.tensor([4.0, 0.0, 2.0])
    assert "Correct." in told(q1, answer, capsys)
