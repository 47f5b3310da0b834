"""Each plausible wrong answer in lesson 03 gets the hint that fits it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from exercise_answers import told, wrong_answer_tests
from mixer_cases import trained_mixer

from mtl_tutorial.architectures import CrossStitchUnit
from mtl_tutorial.exercises.lesson_03 import q1, q2, q3, q4, q5
from mtl_tutorial.widgets.cross_stitch_mixer import CrossStitchMixer

ALL = {"q1": q1, "q2": q2, "q3": q3, "q4": q4, "q5": q5}


def rows(alpha, features):
    tasks = range(len(features))
    return [sum(features[j] @ alpha[i, j].T for j in tasks) for i in tasks]


def mixes_once(alpha, features):
    return rows(alpha, features)[0]


def knows_two_tasks(alpha, features):
    x, y = features
    return [x @ alpha[0, 0].T + y @ alpha[0, 1].T, x @ alpha[1, 0].T + y @ alpha[1, 1].T]


def adds_two(alpha, features):
    x, y = features[:2]
    return [x @ row[0].T + y @ row[1].T for row in alpha]


def gives_two(alpha, features):
    return rows(alpha, features)[:2]


def leaves_one_out(alpha, features):
    return rows(alpha, features)[:1]


def puts_scenes_last(alpha, features):
    return [mixture.T for mixture in rows(alpha, features)]


def gives_a_dict(alpha, features):
    return dict(enumerate(rows(alpha, features)))


def gives_numpy(alpha, features):
    return [mixture.detach().numpy() for mixture in rows(alpha, features)]


def gives_one_array(alpha, features):
    return np.stack(gives_numpy(alpha, features))


def cuts_alpha_off(alpha, features):
    return rows(alpha.detach(), features)


def only_reads(alpha, features):
    return rows(alpha, [x.detach() for x in features])


def learns_nothing(alpha, features):
    with torch.no_grad():
        return rows(alpha, features)


def makes_new_tensors(alpha, features):
    return [torch.tensor(mixture.tolist()) for mixture in rows(alpha, features)]


def takes_means(alpha, features):
    return [mixture / len(features) for mixture in rows(alpha, features)]


@pytest.fixture
def mixer() -> CrossStitchMixer:
    return trained_mixer()


def move(mixer: CrossStitchMixer, *turns: tuple[int, int, float]) -> CrossStitchMixer:
    for unit, row, value in turns:
        mixer.sliders[unit, row].value = value
    return mixer


@pytest.mark.parametrize(
    ("turns", "fits"),
    [
        ((), "Turn one slider first"),
        (((2, 1, 1.8), (2, 0, 1.8)), "2 sliders are turned"),
        (((0, 1, 1.8),), "the answers of digit have changed, too"),
        (((1, 0, 1.8),), "the answers of box have changed, too"),
        (((2, 1, 0.05),), "turn further"),
    ],
)
def test_a_mixer_that_is_not_turned_as_asked_is_told_what_it_does(
    mixer, turns, fits, capsys
) -> None:
    text = told(q3, move(mixer, *turns), capsys)
    assert "Not yet." in text
    assert fits in text


@pytest.mark.parametrize("row", [0, 1])
def test_a_slider_of_the_last_unit_ruins_one_task_alone(mixer, row, capsys) -> None:
    slider = mixer.sliders[2, row]
    ends = [told(q3, move(mixer, (2, row, end)), capsys) for end in (slider.min, slider.max)]
    assert any("Correct." in text for text in ends)


WRONG = [
    ("q1", [-1, -2, 2, 0], "Look at α_bb again"),
    ("q1", [-1, -2], "4 numbers are needed"),
    ("q2", mixes_once, "one mixture"),
    ("q2", knows_two_tasks, "ValueError"),
    ("q2", adds_two, "For two tasks your mixtures are right"),
    ("q2", gives_two, "3 tasks need 3 mixtures, not 2; any number"),
    ("q2", leaves_one_out, "2 tasks need 2 mixtures"),
    ("q2", puts_scenes_last, "the shape of the features"),
    ("q2", gives_a_dict, "A list of tensors is needed"),
    ("q2", takes_means, "by hand"),
    ("q2", gives_numpy, "Give torch tensors"),
    ("q2", gives_one_array, "Give torch tensors"),
    ("q2", cuts_alpha_off, "get no gradient"),
    ("q2", only_reads, "get no gradient"),
    ("q2", learns_nothing, "get no gradient"),
    ("q2", makes_new_tensors, "get no gradient"),
    ("q3", 3, "hand in the mixer"),
    ("q3", "unit 3", "hand in the mixer"),
    ("q3", CrossStitchMixer, "hand in the mixer"),
    ("q3", [2, 1], "hand in the mixer"),
    ("q4", [1.8, 0.03, 0.4, 8.0], "Look at α_bb again"),
    ("q4", 0.03, "4 numbers are needed"),
    ("q5", "f", "is needed"),
]

test_a_wrong_answer_gets_the_hint_that_fits_it, test_four_are_tried = wrong_answer_tests(ALL, WRONG)


@pytest.mark.parametrize("form", [list, tuple, torch.tensor, np.array])
def test_the_gradients_may_be_of_any_form(form, capsys) -> None:
    assert "Correct." in told(q1, form([-1.0, -2.0, 2.0, 6.0]), capsys)


def test_the_gradients_are_those_of_a_real_unit(capsys) -> None:
    unit = CrossStitchUnit(2, 1)
    features = torch.tensor([[[1.0], [2.0]], [[3.0], [5.0]]])
    upstream = torch.tensor([[[1.0], [-1.0]], [[2.0], [0.0]]])
    (upstream * unit(features)).sum().backward()
    assert "Correct." in told(q1, unit.alpha.grad.flatten(), capsys)


def packaged(alpha, features):
    unit = CrossStitchUnit(len(features), features[0].shape[1], "matrix")
    values = {"alpha": alpha.reshape(unit.alpha.shape)}
    return torch.func.functional_call(unit, values, torch.stack(features))


def in_place(alpha, features):
    mixtures = [torch.zeros_like(x) for x in features]
    for i, mixture in enumerate(mixtures):
        for j, x in enumerate(features):
            mixture += x @ alpha[i, j].T
    return mixtures


def summed(alpha, features):
    return torch.einsum("ijcd,jbd->ibc", alpha, torch.stack(features))


@pytest.mark.parametrize("function", [packaged, summed, in_place, rows])
def test_the_mixtures_are_those_of_the_package_and_may_be_one_tensor(function, capsys) -> None:
    assert "Correct." in told(q2, function, capsys)


def unfinished(alpha, features):
    return ...


def test_an_unfinished_function_is_told_so(capsys) -> None:
    assert "gives Ellipsis" in told(q2, unfinished, capsys)
