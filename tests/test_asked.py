"""The asked network's training, exam, new word and page do what they say."""

from __future__ import annotations

import json

import pytest
import torch

from mtl_tutorial.data.grammar import (
    ANSWERS,
    HELD_OUT,
    NO,
    QUESTIONS,
    TRAINED,
    WORDS,
    YES,
    asked_scenes,
    find,
    tokenize,
)
from mtl_tutorial.experiments.asked import (
    HOLD,
    LONG_RUNS,
    NEW_WORD,
    ON_THE_PAGE,
    RATE,
    WARM_UP,
    ask,
    asked_network,
    cosines_between,
    from_page,
    grade,
    head_a_question,
    head_accuracy,
    learn,
    learn_all,
    learn_word,
    long_runs,
    look_shares,
    make_exam,
    new_question,
    page_weights,
    rate_at,
    reworded,
    start,
    trained_network,
    training_scenes,
    yes_no_accuracy,
)
from mtl_tutorial.measuring import count_parameters


def small(seed: int = 0):
    torch.manual_seed(seed)
    return asked_network(width=8, hidden=8)


def test_the_rival_has_as_many_parameters() -> None:
    ours, theirs = count_parameters(asked_network()), count_parameters(head_a_question())
    assert theirs == pytest.approx(ours, rel=0.01)


def test_the_rate_rises_holds_and_falls() -> None:
    assert rate_at(1) == pytest.approx(RATE / WARM_UP)
    assert rate_at(WARM_UP) == rate_at(HOLD) == RATE
    assert rate_at(4 * HOLD) == pytest.approx(RATE / 2)


def test_a_short_run_is_the_beginning_of_a_long_one() -> None:
    scenes = training_scenes()
    runs = [start(lambda: asked_network(width=8), scenes, seed=1, steps=n) for n in (2, 4)]
    look = lambda model: model.encoder.place.detach().clone()  # noqa: E731
    short, long = (learn(run, marks=(2, 4), look=look) for run in runs)
    assert torch.equal(short[2], long[2]) and not torch.equal(long[2], long[4])
    assert runs[1].optimizer.param_groups[0]["lr"] == pytest.approx(rate_at(5))


def test_in_the_exam_a_guess_is_right_half_the_time_and_limits_are_close() -> None:
    questions = [find(t) for t in ("is heard even", "is seen larger than four", "which is seen")]
    exam = make_exam("validation", questions, count=40, drawn=1000)
    for question in questions[:2]:
        answers = exam[question].targets[question.kind]
        assert (answers == YES).sum() == (answers == NO).sum() == 20
    assert set(exam[questions[1]].inputs["seen"].tolist()) == {4, 5}
    assert len(exam[questions[2]]) == 40
    table = grade(small(), exam)
    assert table["text"].tolist() == [q.text for q in questions]
    assert table["trained"].tolist() == [False, False, True]
    assert table["value"].between(0, 1).all()


def test_cosines_between_batches_show_on_the_diagonal_what_noise_leaves() -> None:
    scenes = training_scenes()
    table = cosines_between(small(), scenes, 200)
    assert list(table) == list(table.index) == ["which", "even", "larger", "same", "where"]
    assert (table.abs() < 1).all(axis=None)
    assert table.to_numpy() == pytest.approx(table.T.to_numpy())


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: rate_at(0), "step must be at least 1"),
        (lambda: make_exam("test", count=0), "count must be at least 2"),
        (lambda: make_exam("test", count=4, drawn=1), "drawn must be more"),
        (lambda: new_question("test", "seen", {1}, 1, seed=0), "count must be an even number"),
        (lambda: new_question("test", "seen", {1}, 5, seed=0), "an even number from 2 on, got 5"),
        (lambda: new_question("test", "both", {1}, 4, seed=0), "subject must be one of 'seen'"),
        (lambda: new_question("test", "seen", range(10), 4, seed=0), "not all"),
        (lambda: new_question("test", "seen", [17], 4, seed=0), "digits from 0 to 9"),
        (lambda: page_weights(head_a_question()), "reads an AskedNetwork, got a HeadAQuestion"),
        (lambda: asked_scenes("test", matching=2), "matching must be from 0 to 1"),
        (lambda: asked_scenes("test", kind_chances=lambda kind: 0), "more than 0"),
        (
            lambda: ask(small(), torch.zeros(8, 8), torch.zeros(32, 8), "which is seen"),
            "image must have the shape",
        ),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(call, said) -> None:
    with pytest.raises(ValueError, match=said):
        call()


def test_a_question_mark_may_stand_at_the_end() -> None:
    model, scene = small().eval(), (torch.zeros(16, 16), torch.zeros(32, 8))
    one, other = (ask(model, *scene, text)["logits"] for text in ("is seen even", "is seen even?"))
    assert torch.equal(one, other)


@pytest.mark.parametrize("meaning", [{2, 3, 5, 7}, {4}, set(range(1, 10))])
@pytest.mark.parametrize("count", [2, 20, 200])
def test_a_new_word_is_asked_half_yes_half_no(meaning, count) -> None:
    batch = new_question("train", "heard", meaning, count, seed=0)
    yes = batch.targets["even"] == YES
    assert yes.sum() == (~yes).sum() == count // 2
    right = [value in meaning for value in batch.inputs["heard"].tolist()]
    assert yes.tolist() == right
    assert batch.inputs["question"][0].tolist() == tokenize(f"is heard {NEW_WORD}")


def test_the_words_of_a_scene_can_be_others_and_its_senses_stay() -> None:
    batch = new_question("train", "seen", {1}, 4, seed=0)
    other = reworded(batch.inputs, "seen seen seen")
    assert other["question"].tolist() == [tokenize("seen seen seen")] * 4
    assert torch.equal(other["image"], batch.inputs["image"])


def test_the_shares_of_a_look_are_those_of_the_readout() -> None:
    shares = look_shares(small(), "which is seen", count=5)
    assert shares.keys() == {"image", "sound"}
    even = {"image": 16 / 32, "sound": 8 / 32}  # a new network looks nearly everywhere alike
    assert all(shares[sense] == pytest.approx(even[sense], abs=0.1) for sense in even)


def test_learning_a_word_moves_its_row_and_nothing_else() -> None:
    model, shots = small(), new_question("train", "seen", {0, 6, 8, 9}, 8, seed=0)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    after = learn_word(model, shots, steps=3).state_dict()
    row = WORDS.index(NEW_WORD)
    for name, value in after.items():
        if name == "encoder.word.weight":
            same = (value == before[name]).all(1)
            assert same.sum() == len(WORDS) - 1 and not same[row]
        else:
            assert torch.equal(value, before[name]), name
    assert all(torch.equal(v, before[n]) for n, v in model.state_dict().items())
    assert not torch.equal(learn_all(model, shots, steps=3).encoder.place, model.encoder.place)


def test_more_steps_fit_the_shots_better_and_accuracies_are_shares() -> None:
    model, shots = small(), new_question("train", "seen", {0, 1, 2, 3}, 16, seed=0)
    fitted = learn_all(model, shots, steps=80, rate=0.01)
    assert yes_no_accuracy(fitted, shots) > 0.9
    test = new_question("test", "seen", {0, 1, 2, 3}, 40, seed=1)
    assert 0 <= head_accuracy(model, shots, test, "which is seen") <= 1


def test_a_packed_network_answers_as_it_did_to_half_precision() -> None:
    model = small()
    packed = page_weights(model)
    assert len(json.dumps(packed)) < 120_000
    again = from_page(json.loads(json.dumps(packed)))
    image, sound = torch.rand(16, 16), torch.rand(32, 8)
    ours, theirs = (ask(m, image, sound, "is seen plus heard even") for m in (model, again))
    assert torch.allclose(ours["logits"], theirs["logits"], atol=1e-2)
    assert page_weights(again) == packed
    assert len(ours["logits"]) == len(ANSWERS) and len(ours["box"]) == 4
    assert [tuple(look.shape) for look in ours["looks"]] == [(4, 32, 32)] * 2


def test_the_long_runs_and_the_page_come_from_one_script() -> None:
    table, origin = long_runs()
    assert {"command", "commit", "torch", "date"} <= origin.keys()
    assert not origin["commit"].endswith("+")
    assert not table.duplicated(["run", "seed", "step", "text"]).any()
    assert set(table.query("run == 'asked'")["text"]) == {q.text for q in QUESTIONS}
    rival = table.query("run == 'a head a question'")
    assert set(rival["text"]) == {q.text for q in TRAINED}
    made = json.loads(ON_THE_PAGE.read_text(encoding="utf-8"))["made"]
    assert made["commit"] == origin["commit"]


def test_the_network_of_the_page_answers_as_the_committed_run_says() -> None:
    table, _ = long_runs()
    made = json.loads(ON_THE_PAGE.read_text(encoding="utf-8"))["made"]
    rows = table[(table["run"] == made["run"]) & (table["seed"] == made["seed"])]
    told = rows[rows["step"] == made["steps"]].set_index("text")["value"]
    questions = [find("which is heard"), find("is seen even"), *HELD_OUT]
    found = grade(trained_network(), make_exam("test", questions, drawn=6000))
    for text, value in found.set_index("text")["value"].items():
        assert value == pytest.approx(told[text], abs=0.03)


def test_where_the_long_runs_are_not_there_it_is_said(tmp_path) -> None:
    with pytest.raises(ValueError, match="comes with a checkout of the course"):
        long_runs(tmp_path / LONG_RUNS.name)
