"""Exercises judge every answer, right, wrong or broken, without ever raising."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mtl_tutorial.exercises import (
    AnswerError,
    Exercise,
    as_function,
    as_number,
    as_numbers,
    choice,
    number,
)
from mtl_tutorial.exercises.core import (
    function,
    gradients,
    numbers,
    one_value,
    same_tensor,
    solution_of,
)


@pytest.fixture
def exercise() -> Exercise:
    return Exercise(
        name="Exercise 7",
        verdict=number(0.75, mistakes={3.0: "Divide it by 4."}, otherwise="Think of a pie."),
        praise="Three quarters.",
        hints=("It is a part.", "It is 3 of 4."),
        solution_code="answer = 3 / 4\n",
    )


NUMBERS = [
    0.75,
    Fraction(3, 4),
    Decimal("0.75"),
    np.float32(0.75),
    np.array(0.75),
    torch.tensor(0.75),
    torch.tensor(0.75, dtype=torch.bfloat16),
    torch.tensor(0.75, requires_grad=True),
]
NO_NUMBERS = [
    "0.75",
    True,
    np.True_,
    torch.tensor(True),
    float("nan"),
    float("inf"),
    torch.tensor(float("nan")),
    Decimal("sNaN"),
    10**400,
    0.75j,
    torch.tensor(0.75j),
    [0.75],
    (0.75,),
    {"a": 0.75},
    np.array([0.75]),
    np.array(None),
    torch.tensor([0.75]),
    object(),
    lambda: 0.75,
]


@pytest.mark.parametrize("answer", NUMBERS, ids=repr)
def test_a_right_number_is_right_in_every_form(exercise, answer, capsys) -> None:
    exercise.check(answer)
    assert capsys.readouterr().out == "Exercise 7. Correct. Three quarters.\n"


@pytest.mark.parametrize("answer", NO_NUMBERS, ids=lambda a: type(a).__name__)
def test_what_is_no_number_is_never_correct(exercise, answer, capsys) -> None:
    exercise.check(answer)
    told = capsys.readouterr().out
    assert told.startswith("Exercise 7. Not yet.")
    assert "number is needed" in told
    with pytest.raises(AnswerError):
        as_number(answer)


@pytest.mark.parametrize("answer", [None, ...])
def test_an_empty_answer_is_not_answered_yet(exercise, answer, capsys) -> None:
    exercise.check(answer)
    assert "Not answered yet" in capsys.readouterr().out


def test_a_foreseen_mistake_gets_its_hint_and_others_the_general_one(exercise, capsys) -> None:
    exercise.check(3)
    assert capsys.readouterr().out == "Exercise 7. Not yet. Divide it by 4.\n"
    exercise.check(5)
    assert capsys.readouterr().out == "Exercise 7. Not yet. Think of a pie.\n"


@given(st.floats() | st.integers() | st.text() | st.lists(st.floats()) | st.none())
def test_only_the_right_number_is_right(answer) -> None:
    verdict = number(2.0, tolerance=0.01, otherwise="no")
    try:
        right = verdict(answer) is None
    except AnswerError:
        right = False
    assert right == (isinstance(answer, (int, float)) and abs(answer - 2) <= 0.01)


def test_an_answer_that_raises_gets_its_error_in_a_sentence(capsys) -> None:
    broken = Exercise("Q", lambda answer: as_function(answer)(), "", ("h",), "answer = 1")
    broken.check(lambda: {}["digit"])
    assert "Not yet. Your answer stopped with KeyError: 'digit'" in capsys.readouterr().out
    broken.check(3)
    assert "function is needed" in capsys.readouterr().out


def test_hints_come_one_by_one_and_the_last_stays(exercise, capsys) -> None:
    for expected in ("1 of 2. It is a part.", "2 of 2. It is 3 of 4.", "2 of 2. It is 3 of 4."):
        exercise.hint()
        assert expected in capsys.readouterr().out


def test_the_solution_is_code_that_can_be_pasted(exercise, capsys) -> None:
    exercise.solution()
    told = capsys.readouterr().out
    namespace: dict = {}
    exec(told.split("\n\n", 1)[1], namespace)
    exercise.check(namespace["answer"])
    assert "Correct" in capsys.readouterr().out


def test_an_exercise_says_its_three_verbs_and_not_its_solution(exercise) -> None:
    assert repr(exercise) == "Exercise 7: check(answer), hint(), solution()"


def test_a_message_has_html_that_shows_code_and_escapes_the_rest(monkeypatch) -> None:
    shown = []
    monkeypatch.setattr("mtl_tutorial.exercises.core.display", shown.append)
    Exercise("Q", lambda _: "Use `a < b` & c.", "", ("h",), "").check(1)
    assert "<code>a &lt; b</code> &amp; c." in shown[0]._repr_html_()
    assert repr(shown[0]) == "Q. Not yet. Use `a < b` & c."


NAMES = ("digit", "box")


@pytest.mark.parametrize(
    "answer",
    [
        [1, 2.0],
        (1, 2),
        torch.tensor([1.0, 2.0]),
        np.array([1, 2]),
        pd.Series([1, 2], index=[7, 8]),
        {"box": 2, "digit": 1},
        [torch.tensor(1.0), np.float64(2)],
        [[1], [2]],
        torch.tensor([[1.0, 2.0]]),
    ],
    ids=repr,
)
def test_numbers_are_taken_in_every_form(answer) -> None:
    assert as_numbers(answer, NAMES) == (1.0, 2.0)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ([1], "yours has 1"),
        ([1, 2, 3], "yours has 3"),
        (torch.ones(2, 2), "yours has 4"),
        ([[1, 2], 3], "yours is a list"),
        ({"digit": 1}, "keys"),
        (1, "type int"),
        ("12", "type str"),
        ([1, float("nan")], "finite"),
        ([1, "2"], "quotation"),
        ({1, 2}, "type set"),
    ],
    ids=repr,
)
def test_other_lists_of_numbers_are_refused(answer, told) -> None:
    with pytest.raises(AnswerError, match=told):
        as_numbers(answer, NAMES)


@pytest.mark.parametrize("value", [0.5, np.full((1, 1), 0.5), torch.full((1,), 0.5)])
def test_what_a_function_gives_may_have_any_shape_with_one_element(value) -> None:
    assert one_value(value) == 0.5


@pytest.mark.parametrize("value", [torch.ones(2), np.ones((1, 2)), torch.ones(0), [1.0]])
def test_several_elements_are_not_one_value(value) -> None:
    with pytest.raises(AnswerError, match="One number is needed"):
        one_value(value)


def test_a_gradient_is_zero_where_the_value_is_cut_off_and_none_without_any() -> None:
    a, b = torch.tensor(3.0, requires_grad=True), torch.tensor(5.0, requires_grad=True)
    assert gradients(a * b.detach(), [a, b]) == (5.0, 0.0)
    assert gradients((a * b).reshape(1), [a, b]) == (5.0, 3.0)
    assert gradients((a * b).detach(), [a, b]) is None
    assert gradients(15.0, [a, b]) is None


def test_a_tensor_of_another_shape_is_not_the_same_though_its_values_are() -> None:
    assert same_tensor(torch.ones(2, 1) / 3, torch.full((2, 1), 1 / 3))
    assert not same_tensor(torch.ones(2, 1), torch.ones(2))
    assert not same_tensor(torch.ones(2), torch.tensor([1.0, 1.1]))


def test_a_choice_takes_its_word_in_any_case_and_hints_at_each_other_word() -> None:
    verdict = choice("b", {"a": "Not a, since ...", "c": "Too far."})
    assert verdict(" B ") is None
    assert verdict("C") == "Too far."
    for nonsense in ("d", "", "ab", 2, None, ["b"], float("nan")):
        with pytest.raises(AnswerError, match="'a', 'b', 'c'"):
            verdict(nonsense)


def test_numbers_know_a_place_that_may_hold_anything_and_a_rule_that_catches_more() -> None:
    verdict = numbers(
        {"a": 1, "b": 2, "c": 3},
        mistakes=[
            ((9, None, None), "Nine."),
            ((1, 2, -3), "Below zero.", lambda given: min(given) < 0),
        ],
        otherwise="Look at {off} again.",
    )
    assert verdict([1, 2, 3.001]) is None
    assert verdict([9, 0, 0]) == "Nine."
    assert verdict([1, -7, 3]) == "Below zero."
    assert verdict([1, 5, 6]) == "Look at b again."
    assert verdict.wrong == [((9, 2, 3), "Nine."), ((1, 2, -3), "Below zero.")]


def test_numbers_may_say_what_they_were_given() -> None:
    verdict = numbers({"a": 1}, mistakes=[], otherwise=lambda given: f"Not {given[0]:g}.")
    assert verdict([4]) == "Not 4."


def _doubles(values):
    return 2 * values


@pytest.fixture
def doubling():
    return function(
        _doubles,
        [(np.array([1.0, 2.0]),), (np.array([3.0]),)],
        returns="the array",
        read=lambda value, case: np.asarray(value),
        mistakes=[(lambda values: values, "As it was."), (lambda values: values**2, "Squared.")],
        otherwise=lambda given: f"Yours begins with {given[0].flat[0]:g}.",
        then=lambda answer: None if answer(np.zeros(0)).shape == (0,) else "And of nothing?",
    )


def test_a_function_is_judged_by_what_it_gives_in_all_cases(doubling) -> None:
    assert doubling(lambda values: values + values) is None
    assert doubling(lambda values: values) == "As it was."
    assert doubling(lambda values: values * values) == "Squared."
    assert doubling(lambda values: values + len(values)) == "Yours begins with 3."
    assert doubling(lambda values: (2 * values)[:1]) == "Yours begins with 2."  # another shape
    assert doubling(lambda values: 2 * values if len(values) else 0 * np.ones(1)) == (
        "And of nothing?"
    )


def test_a_function_that_stops_gets_the_hint_of_a_foreseen_one_that_stops_likewise() -> None:
    verdict = function(
        lambda a, b: a @ b,
        [(torch.ones(2, 2), torch.ones(2, 2)), (torch.ones(2, 3), torch.ones(3, 4))],
        read=lambda value, case: value.numpy(),
        mistakes=[(lambda a, b: b @ a, "Turned round."), (lambda a, b: b.T @ a.T, "Both flipped.")],
        otherwise="no",
    )
    assert verdict(torch.matmul) is None
    assert verdict(lambda a, b: torch.matmul(b, a)) == "Turned round."
    assert verdict(lambda a, b: (a @ b).T) == "Both flipped."  # after one that stops
    with pytest.raises(RuntimeError, match="must match"):  # the same type, another message
        verdict(lambda a, b: a * b)
    with pytest.raises(ValueError, match="cannot be multiplied"):
        verdict(lambda a, b: _stop(ValueError("mat1 and mat2 shapes cannot be multiplied")))


def _stop(error):
    raise error


def test_a_function_can_not_spoil_the_cases(doubling) -> None:
    def in_place(values):
        values *= 2
        return values

    assert doubling(in_place) is None
    assert doubling(in_place) is None


@pytest.mark.parametrize("nothing", [None, ...])
def test_the_value_that_a_function_fails_to_give_is_named(doubling, nothing) -> None:
    with pytest.raises(AnswerError, match=f"gives {nothing}; its last line has to return the arr"):
        doubling(lambda values: nothing if len(values) == 1 else values)
    with pytest.raises(AnswerError, match="function is needed"):
        doubling(3)


def test_a_function_of_numbers_tells_what_is_no_number() -> None:
    verdict = function(lambda x: x, [(1.0,)], mistakes=[], otherwise="no")
    assert verdict(lambda x: Fraction(1)) is None
    assert verdict(lambda x: 1.001) == "no"
    for broken in (lambda x: None, lambda x: [x], lambda x: "1", lambda x: float("nan")):
        with pytest.raises(AnswerError, match="umber is needed"):
            verdict(broken)


def test_a_solution_is_the_source_of_the_right_function() -> None:
    code = solution_of(_doubles, "import math")
    assert code.startswith("import math\n\n\ndef doubles(values):\n")
    namespace: dict = {}
    exec(code, namespace)
    assert namespace["answer"](3) == 6


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (0.54, "but for the rounding"),
        (0.5, "but for the rounding"),
        (1, "Count again"),
        (53.9, "in per cent"),
        (53.89, "in per cent"),
        (0.53, "Count again"),
        (5.39, "Count again"),
    ],
)
def test_a_right_number_rounded_further_or_in_per_cent_is_told_so(answer, words) -> None:
    assert words in number(0.53891, otherwise="Count again.")(answer)


def test_per_cent_are_told_apart_from_a_fraction() -> None:
    assert "as a fraction" in number(53.9, tolerance=0.1, otherwise="Count again.")(0.539)


def test_numbers_are_told_so_only_where_all_of_them_are_rounded() -> None:
    verdict = numbers({"a": 0.126, "b": 2.0}, mistakes=(), otherwise="Look at {off}.")
    assert "but for the rounding" in verdict([0.1, 2])
    assert verdict([0.1, 3]) == "Look at a."
