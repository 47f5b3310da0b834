"""Each plausible wrong answer in lesson 01 gets the hint that fits it."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from exercise_answers import told, wrong_answer_tests
from torch.nn import functional as F

from mtl_tutorial.data import located_digits
from mtl_tutorial.exercises import lesson_01
from mtl_tutorial.exercises.lesson_01 import q1, q2, q3, q4, q5
from mtl_tutorial.tasks import Task, accuracy, binary_accuracy, pixel_iou

ALL = {"q1": q1, "q2": q2, "q3": q3, "q4": q4, "q5": q5}


def parity(
    name: object = "parity", loss=F.cross_entropy, metric=accuracy, out_features: int = 2
) -> Task:
    return Task(name, loss, metric, out_features)


def one_hot_error(prediction, target):
    return F.mse_loss(prediction, F.one_hot(target, 2).float())


def one_logit_loss(prediction, target):
    return F.binary_cross_entropy_with_logits(prediction[:, 0], target.float())


def one_logit_metric(prediction, target):
    return ((prediction[:, 0] > 0) == target).float().mean()


def one_logit(loss=one_logit_loss, metric=one_logit_metric) -> Task:
    return parity(loss=loss, metric=metric, out_features=1)


def unmatched_shapes(prediction, target):
    return F.binary_cross_entropy_with_logits(prediction, target.float())


def broadcast_error(prediction, target):
    return F.mse_loss(prediction, target.float())


def per_scene(prediction, target):
    return F.cross_entropy(prediction, target, reduction="none")


def share_wrong(prediction, target):
    return 1 - accuracy(prediction, target)


def number_right(prediction, target):
    return (prediction.argmax(1) == target).sum()


def soft_iou(prediction, target):
    p, t = prediction.sigmoid(), target.flatten(1)
    both = (p * t).sum(1)
    return both / (p.sum(1) + t.sum(1) - both)


def cuts_the_union(prediction, target):
    p, t = prediction.sigmoid(), target.flatten(1)
    both = (p * t).sum(1)
    return (both / (p.sum(1) + t.sum(1) - both).detach()).mean()


def soft_iou_in_squares(prediction, target):
    p = prediction.sigmoid_().reshape(-1, 28, 28)
    both = (p * target).sum((1, 2))
    return (both / (p + target - p * target).sum((1, 2))).mean().reshape(1)


def parity_in_place(prediction, target):
    return F.cross_entropy(prediction.sub_(1), target)


def one_logit_in_place(prediction, target):
    return F.binary_cross_entropy(prediction.sigmoid_()[:, 0], target.float())


def mixes_shapes(prediction, target):
    return (prediction.sigmoid() * target).sum()


def half_of_it(prediction, target):
    return soft_iou(prediction, target).mean() / 2


def by_pixel(prediction, target):
    p, t = prediction.sigmoid(), target.flatten(1)
    both = (p * t).sum(0)
    return both / (p.sum(0) + t.sum(0) - both)


def square_in_the_middle(side: int) -> torch.Tensor:
    mask = torch.zeros(28, 28, dtype=torch.bool)
    mask[(28 - side) // 2 : (28 + side) // 2, (28 - side) // 2 : (28 + side) // 2] = True
    return mask


def share_of_ink() -> torch.Tensor:
    seen = located_digits("train").draw(512, torch.Generator().manual_seed(0))
    return seen.targets["mask"].mean(0)


SHARE = share_of_ink()
AS_MANY_ELSEWHERE = torch.arange(784).view(28, 28) < int((SHARE > 0.25).sum())

WRONG = [
    ("q1", parity(name="digit"), "has to be 'parity'"),
    ("q1", parity(out_features=10), "width 10"),
    ("q1", parity(out_features=1), "each output of `digit`"),
    ("q1", one_logit(metric=accuracy), "binary_accuracy"),
    ("q1", one_logit(loss=unmatched_shapes), "stopped on logits of shape (3, 1)"),
    ("q1", one_logit(loss=broadcast_error), "Have output and class number one shape?"),
    ("q1", one_logit(loss=lambda x, y: -one_logit_loss(x, y)), "has to fall where"),
    ("q1", one_logit(loss=one_logit_metric), "no gradient"),
    ("q1", one_logit(metric=lambda x, y: ((x > 0) == y).float().mean()), "metric gives 0.5"),
    ("q1", parity(out_features=3), "how many classes"),
    ("q1", parity(loss=accuracy), "no gradient"),
    ("q1", parity(loss=F.mse_loss), "Which loss did `digit` use?"),
    ("q1", parity(loss=one_hot_error), "not the cross-entropy"),
    ("q1", parity(loss=per_scene), "one number for the whole batch"),
    ("q1", parity(metric=F.cross_entropy), "metric is the loss"),
    ("q1", parity(metric=share_wrong), "Which share?"),
    ("q1", parity(metric=number_right), "Which share?"),
    ("q1", Task, "the class `Task` itself"),
    ("q1", "parity", "of type str"),
    ("q5", 7, "side of 4 first"),
    ("q5", "9", "without quotation marks"),
    ("q2", 6, "Have you looked at every seed"),
    ("q2", 0, "Have you looked at every seed"),
    ("q2", 0.5, "a whole number"),
    ("q2", 7, "a whole number"),
    ("q2", [0, 3, 5], "One number"),
    ("q2", 1, "which ones are 0"),
    ("q3", soft_iou, "one a scene"),
    ("q3", mixes_shapes, "stopped with RuntimeError"),
    ("q3", half_of_it, "Yours gives 0.167"),
    ("q3", by_pixel, "one a pixel"),
    ("q3", lambda p, t: soft_iou(p, t).mean().item(), "cut off"),
    ("q3", lambda p, t: soft_iou(p.detach(), t).mean(), "cut off"),
    ("q3", cuts_the_union, "its gradient is not"),
    ("q3", lambda p, t: math.nan, "finite"),
    ("q4", torch.ones(28, 28), "hardly ever ink"),
    ("q4", torch.zeros(28, 28, dtype=torch.bool), "scores 0"),
    ("q4", SHARE > 0.5, "What would some more cost"),
    ("q4", SHARE > 0.45, "is needed"),
    ("q4", square_in_the_middle(16), "ink most often"),
    ("q4", (SHARE > 0.05).numpy(), "seldom ink"),
    ("q4", AS_MANY_ELSEWHERE, "ink most often"),
    ("q4", SHARE, "from which one on"),
    ("q4", SHARE.flatten() > 0.25, "28 × 28"),
    ("q4", 0.25, "shape (28, 28)"),
]


test_a_wrong_answer_gets_the_hint_that_fits_it, test_four_are_tried = wrong_answer_tests(ALL, WRONG)


@pytest.mark.parametrize(
    ("exercise", "answer", "key"),
    [
        (q1, ..., "Not answered yet"),
        (q1, ["parity", 2], "A `Task` is needed"),
        (q5, [1, 3], "One number"),
        (q5, math.nan, "finite"),
        (q5, None, "Not answered yet"),
        (q3, 0.5, "A function is needed"),
        (q3, lambda prediction: 1, "stopped with TypeError"),
        (q3, lambda prediction, target: prediction.missing, "stopped with AttributeError"),
        (q4, "mask", "of type str"),
    ],
)
def test_a_broken_answer_gets_a_sentence(exercise, answer, key, capsys) -> None:
    said = told(exercise, answer, capsys)
    assert "Correct." not in said
    assert key in said


def test_an_answer_of_another_form_is_right_too(capsys) -> None:
    stuck = sum(score < lesson_01.TOUCHES for score in lesson_01._reached_on_iou())
    for exercise, answer in [
        (q1, one_logit()),
        (q1, one_logit(metric=lambda x, y: binary_accuracy(x[:, 0], y))),
        (q1, one_logit(loss=lambda x, y: F.mse_loss(x[:, 0], y.float()))),
        (q1, parity(loss=parity_in_place)),
        (q1, one_logit(loss=one_logit_in_place)),
        (q1, one_logit(metric=lambda x, y: binary_accuracy(x.neg_().neg_()[:, 0], y)[None])),
        (q3, soft_iou_in_squares),
        (q5, torch.tensor(9.0)),
        (q5, 9.01),
        (q2, np.int64(stuck)),
        (q4, (SHARE > 0.22).numpy()),
        (q4, (SHARE > 0.28).float()),
    ]:
        assert "Correct." in told(exercise, answer, capsys)


def test_some_networks_stand_still_and_some_learn_on_one_minus_iou() -> None:
    reached = lesson_01._reached_on_iou()
    assert len(reached) == lesson_01.STARTS
    assert min(reached) == 0 and max(reached) > 0.5


def test_the_soft_iou_is_the_pixel_iou_where_every_pixel_is_sure() -> None:
    generator = torch.Generator().manual_seed(0)
    signs = torch.randint(2, (5, 12), generator=generator) * 2 - 1
    target = torch.randint(2, (5, 3, 4), generator=generator).float()
    soft = lesson_01._soft_iou(1000.0 * signs, target)
    assert soft.item() == pytest.approx(pixel_iou(signs.float(), target).item())


def test_the_side_that_is_asked_for_gives_the_iou(capsys) -> None:
    assert "Correct." in told(q5, (1 + 0.8) / (1 - 0.8), capsys)  # (s - 1) / (s + 1) = 0.8


def test_hints_come_one_after_the_other_and_the_last_stays(capsys) -> None:
    for exercise in ALL.values():
        for expected in (*exercise.hints, exercise.hints[-1]):
            exercise.hint()
            assert expected in capsys.readouterr().out
