"""Questions mean what their words say, and scenes hold what they ask about."""

from __future__ import annotations

import pytest
import torch

from mtl_tutorial.data.grammar import (
    ANSWERS,
    DIGIT_SIDE,
    GRID,
    HELD_OUT,
    KINDS,
    PLACES,
    QUESTIONS,
    SIDE,
    TRAINED,
    WORDS,
    allowed_answers,
    asked_scenes,
    find,
    tokenize,
)
from mtl_tutorial.tasks import NO_LABEL


def draws(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def answer(text: str, seen: int, heard: int) -> str:
    return ANSWERS[int(find(text).answer(torch.tensor([seen]), torch.tensor([heard])))]


@pytest.mark.parametrize(
    ("text", "seen", "heard", "right"),
    [
        ("which is seen", 7, 2, "7"),
        ("which is heard", 7, 2, "2"),
        ("which is seen plus heard", 9, 9, "18"),
        ("is seen even", 7, 2, "no"),
        ("is heard even", 7, 2, "yes"),
        ("is seen plus heard even", 7, 2, "no"),
        ("is seen larger than seven", 7, 2, "no"),
        ("is seen larger than six", 7, 2, "yes"),
        ("is seen plus heard larger than seven", 6, 2, "yes"),
        ("are seen and heard the same", 4, 4, "yes"),
        ("are seen and heard the same", 4, 5, "no"),
    ],
)
def test_a_question_has_the_answer_that_its_words_say(text, seen, heard, right) -> None:
    assert answer(text, seen, heard) == right


def test_every_question_fits_its_places_and_no_two_are_the_same_row_of_words() -> None:
    rows = [tuple(tokenize(question.text)) for question in QUESTIONS]
    assert len(set(rows)) == len(QUESTIONS) == 26
    assert {len(row) for row in rows} == {PLACES}
    assert max(len(question.text.split()) for question in QUESTIONS) == PLACES
    used = {word for question in QUESTIONS for word in question.text.split()}
    assert set(WORDS) - used == {"·", "spare"}


def test_of_a_held_out_question_every_word_and_every_two_but_one_pair_are_trained() -> None:
    assert len(HELD_OUT) == 4 and not set(HELD_OUT) & set(TRAINED)
    assert {*HELD_OUT, *TRAINED} == set(QUESTIONS)
    for question in HELD_OUT:
        same_subject = [q for q in TRAINED if q.subject == question.subject]
        same_question = [
            q for q in TRAINED if (q.kind, q.threshold) == (question.kind, question.threshold)
        ]
        assert same_subject and len(same_question) == 2


def test_words_become_numbers_and_places_left_over_stay_empty() -> None:
    row = tokenize("is seen even")
    assert [WORDS[number] for number in row] == ["is", "seen", "even", "·", "·", "·", "·"]
    with pytest.raises(ValueError, match="word must be one of"):
        tokenize("is seen odd")
    with pytest.raises(ValueError, match="at most 7 words"):
        tokenize("is " * 8)
    with pytest.raises(ValueError, match="question must be one of"):
        find("is even seen")
    assert find("is seen even?").kind == "even"


def test_allowed_answers_are_those_that_come_about() -> None:
    table = dict(zip((q.text for q in QUESTIONS), allowed_answers().tolist(), strict=True))
    words = {
        text: [w for w, there in zip(ANSWERS, row, strict=True) if there]
        for text, row in table.items()
    }
    assert words["which is heard"] == [str(n) for n in range(10)]
    assert words["which is seen plus heard"] == [str(n) for n in range(19)]
    assert words["is seen even"] == ["yes", "no"]
    assert words["where is seen"] == []


def test_each_scene_has_one_question_and_its_right_answer() -> None:
    batch = asked_scenes("train").draw(400, draws())
    inputs = batch.inputs
    assert tuple(inputs["image"].shape) == (400, 1, SIDE, SIDE)
    assert tuple(inputs["sound"].shape) == (400, 1, 32, 8)
    assert 0 <= inputs["image"].min() and inputs["image"].max() <= 1
    labels = torch.zeros(400)
    for name, target in batch.targets.items():
        there = ~target.isnan().any(1) if name == "where" else target != NO_LABEL
        labels += there
    assert torch.equal(labels, torch.ones(400))
    for row in range(60):
        question = QUESTIONS[inputs["number"][row]]
        assert question in TRAINED
        assert inputs["question"][row].tolist() == tokenize(question.text)
        seen, heard = inputs["seen"][row : row + 1], inputs["heard"][row : row + 1]
        if question.kind != "where":
            assert batch.targets[question.kind][row] == question.answer(seen, heard)[0]


def test_kinds_come_as_often_as_they_are_asked_for() -> None:
    scenes = asked_scenes("train", kind_chances=lambda kind: {"which": 2.0}.get(kind, 0.5))
    batch = scenes.draw(4000, draws())
    share = (batch.targets["which"] != NO_LABEL).float().mean()
    assert share == pytest.approx(2 / 4, abs=0.03)
    assert [task.name for task in scenes.tasks] == [kind.name for kind in KINDS]


def test_digits_stand_on_the_grid_and_their_box_holds_their_ink() -> None:
    scenes = asked_scenes("train", [find("where is seen")])
    batch = scenes.draw(200, draws())
    assert list(batch.targets) == ["where"]
    clean = scenes.compose.cut(
        torch.zeros(9, dtype=torch.long), torch.arange(9) / 9, torch.zeros(9)
    )
    starts = {int((image.sum(0) > 0).nonzero()[0]) for image in clean}
    assert len(starts) == (SIDE - DIGIT_SIDE) // GRID + 1
    boxes = batch.targets["where"] * SIDE
    assert torch.equal(boxes, boxes.round())
    assert (boxes[:, 2:] - boxes[:, :2] <= DIGIT_SIDE).all()


def test_scenes_depend_on_the_generator_alone_and_splits_do_not_mix() -> None:
    one, other = (asked_scenes("validation").draw(8, draws(3)) for _ in range(2))
    assert torch.equal(one.inputs["image"], other.inputs["image"])
    assert torch.equal(one.inputs["sound"], other.inputs["sound"])
    assert len(asked_scenes("train").digits) + len(asked_scenes("test").digits) < 1797
    with pytest.raises(ValueError, match="questions must be at least one"):
        asked_scenes("train", [])
