"""Each plausible wrong answer in lesson 04 gets the hint that fits it."""

from __future__ import annotations

import pytest
import torch
from exercise_answers import told, wrong_answer_tests
from viewer_cases import trained_viewer

from mtl_tutorial.architectures import MTAN, VGGEncoder
from mtl_tutorial.data.questions import BOX, DIGIT
from mtl_tutorial.exercises.lesson_04 import GOOD, KEPT, q1, q2, q3, q4, q5
from mtl_tutorial.widgets.attention_mask_viewer import AttentionMaskViewer

ALL = {"q1": q1, "q2": q2, "q3": q3, "q4": q4, "q5": q5}


def knows_later_blocks_alone(stack, u, p, passed):
    return torch.sigmoid(stack(torch.cat([u, passed], dim=1))) * p


def forgets_the_block_before(stack, u, p, passed):
    return torch.sigmoid(stack(u)) * p


def gives_a_list(stack, u, p, passed):
    return [p]


def gives_one_channel(stack, u, p, passed):
    return p[:, :1]


def halves(stack, u, p, passed):
    seen = u if passed is None else torch.cat([u, passed], dim=1)
    return torch.sigmoid(stack(seen)) * p / 2


def gives_numpy(stack, u, p, passed):
    return packaged(stack, u, p, passed).detach().numpy()


def cuts_the_mask_off(stack, u, p, passed):
    return packaged(stack, u, torch.ones_like(p), passed).detach() * p


def cuts_the_features_off(stack, u, p, passed):
    return packaged(stack, u, p.detach(), passed)


def learns_nothing(stack, u, p, passed):
    with torch.no_grad():
        return packaged(stack, u, p, passed)


def asks_a_tensor(stack, u, p, passed):
    seen = u
    if passed:
        seen = torch.cat([u, passed], dim=1)
    return p * stack(seen).sigmoid()


WRONG = [
    ("q1", [3, 0, 0], "Look at place 1"),
    ("q1", [2, 0], "3 numbers are needed"),
    ("q2", knows_later_blocks_alone, "`passed` is None"),
    ("q2", forgets_the_block_before, "reads 2 C channels"),
    ("q2", asks_a_tensor, "for one yes or no"),
    ("q2", gives_a_list, "A tensor is needed"),
    ("q2", gives_one_channel, "has its shape"),
    ("q2", halves, "from inside"),
    ("q2", gives_numpy, "Give a torch tensor"),
    ("q2", cuts_the_mask_off, "get no gradient"),
    ("q2", cuts_the_features_off, "get no gradient"),
    ("q2", learns_nothing, "get no gradient"),
    ("q3", "f", "is needed"),
    ("q4", 7, "hand in the viewer"),
    ("q4", "image 7", "hand in the viewer"),
    ("q4", AttentionMaskViewer, "hand in the viewer"),
    ("q4", [7], "hand in the viewer"),
    ("q5", 100, "Two convolutions"),
]

test_a_wrong_answer_gets_the_hint_that_fits_it, test_four_are_tried = wrong_answer_tests(ALL, WRONG)


@pytest.fixture(scope="module")
def viewer() -> AttentionMaskViewer:
    return trained_viewer()


@pytest.mark.parametrize(
    ("task", "source", "fits"),
    [
        ("digit", "box", "Choose `box` there"),
        ("box", "own", "You give box own masks"),
        ("box", "flat", "You give box flat masks"),
        ("box", "mask", "Those of digit are asked for"),
    ],
)
def test_a_viewer_that_shows_something_else_is_told_so(viewer, task, source, fits, capsys) -> None:
    viewer.task.value, viewer.source.value = task, source
    text = told(q4, viewer, capsys)
    assert "Not yet." in text
    assert fits in text


def test_only_an_image_on_which_the_box_gets_lost_will_do(viewer, capsys) -> None:
    viewer.task.value, viewer.source.value = "box", "digit"
    seen = set()
    for number in range(1, viewer.image_number.max + 1):
        viewer.image_number.value = number
        own, other = viewer.view.own_metric, viewer.view.metric
        text = told(q4, viewer, capsys)
        if own < GOOD:
            fits = "it was lost before"
        else:
            fits = "Correct." if other <= KEPT * own else "Look for more harm"
        assert fits in text
        seen.add(fits)
    assert "Correct." in seen and len(seen) > 1  # which others there are, the processor decides


def packaged(stack, u, p, passed):
    """What the package's network does in a block, from its own layers."""
    mask = torch.nn.Sequential(*stack, torch.nn.Sigmoid())
    return mask(u if passed is None else torch.cat([u, passed], dim=1)) * p


def in_place(stack, u, p, passed):
    p *= torch.sigmoid_(stack(u if passed is None else torch.cat([u, passed], dim=1)))
    return p


@pytest.mark.parametrize("function", [packaged, in_place])
def test_the_attention_is_that_of_the_packages_stack(function, capsys) -> None:
    assert "Correct." in told(q2, function, capsys)


def test_the_size_of_a_mask_is_that_of_a_real_model(capsys) -> None:
    model = MTAN(VGGEncoder((8, 16, 16)), (DIGIT, BOX))
    answer = sum(p.numel() for p in model.attention["box"][2].parameters())
    assert "Correct." in told(q5, answer, capsys)


def test_the_masked_features_are_those_of_the_formula(capsys) -> None:
    answer = torch.tensor([0.0, 5.0, -100.0]).sigmoid() * torch.tensor([4.0, 0.0, 2.0])
    assert "Correct." in told(q1, answer, capsys)
