"""Each plausible wrong answer in lesson 04 gets the hint that fits it."""

from __future__ import annotations

import torch
from exercise_answers import told, wrong_answer_tests

from mtl_tutorial.architectures import MTAN, VGGEncoder
from mtl_tutorial.data.scenes import BOX, DIGIT
from mtl_tutorial.exercises.lesson_04 import q1, q2, q3, q4

ALL = {"q1": q1, "q2": q2, "q3": q3, "q4": q4}


def gives_masks(features, logits):
    return {name: z.sigmoid() for name, z in logits.items()}


def forgets_the_sigmoid(features, logits):
    return {name: z * features for name, z in logits.items()}


def adds(features, logits):
    return {name: z.sigmoid() + features for name, z in logits.items()}


def competes(features, logits):
    return {name: z.softmax(1) * features for name, z in logits.items()}


def competes_over_places(features, logits):
    return {name: z.flatten(2).softmax(2).view_as(z) * features for name, z in logits.items()}


def forgets_the_masks(features, logits):
    return dict.fromkeys(logits, features)


def knows_one_task(features, logits):
    return {"digit": logits["digit"].sigmoid() * features}


def uses_one_mask(features, logits):
    return {name: logits["digit"].sigmoid() * features for name in logits}


def gives_a_list(features, logits):
    return [z.sigmoid() * features for z in logits.values()]


def gives_nothing(features, logits):
    forgets_the_masks(features, logits)


def unfinished(features, logits):
    return ...


WRONG = [
    ("q1", [4, 0, 0], "one half, not 1"),
    ("q1", [0, 0, 0], "does not close the mask"),
    ("q1", [2, 1, 0], "What does a mask make of nothing"),
    ("q1", [2, 0, 2], "place 3 is closed"),
    ("q1", [1, 0, 0], "no softmax"),
    ("q1", [3, 0, 0], "place by place"),
    ("q1", [2, 0], "3 numbers are needed"),
    ("q2", 576, "two inputs"),
    ("q2", 768, "a scale and a shift"),
    ("q2", 6976, "one place at a time"),
    ("q2", 2496, "all three tasks"),
    ("q2", 864, "have no bias"),
    ("q2", 100, "Two 1×1 convolutions"),
    ("q3", "a", "What do you compare with"),
    ("q3", "c", "halved on average"),
    ("q3", "d", "no common order"),
    ("q3", "e", "how well a task is solved"),
    ("q3", "f", "is needed"),
    ("q4", gives_masks, "masks alone"),
    ("q4", forgets_the_sigmoid, "through σ first"),
    ("q4", adds, "do not add"),
    ("q4", competes, "over channels"),
    ("q4", competes_over_places, "over places"),
    ("q4", forgets_the_masks, "as they were"),
    ("q4", knows_one_task, "differs in ['box', 'depth', 'mask']"),
    ("q4", uses_one_mask, "is not its own"),
    ("q4", gives_a_list, "Give a dict"),
    ("q4", gives_nothing, "return"),
    ("q4", unfinished, "gives Ellipsis"),
    ("q4", lambda: None, "TypeError"),
    ("q4", 3, "A function is needed"),
]

test_a_wrong_answer_gets_the_hint_that_fits_it, test_four_are_tried = wrong_answer_tests(ALL, WRONG)


def test_the_size_of_a_mask_is_that_of_a_real_model(capsys) -> None:
    model = MTAN(VGGEncoder((8, 16, 16)), (DIGIT, BOX))
    answer = sum(p.numel() for p in model.attention["box"][2].parameters())
    assert "Correct." in told(q2, answer, capsys)


def test_the_masked_features_are_those_of_the_formula(capsys) -> None:
    answer = torch.tensor([0.0, 5.0, -100.0]).sigmoid() * torch.tensor([4.0, 0.0, 2.0])
    assert "Correct." in told(q1, answer, capsys)
