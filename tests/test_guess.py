"""A guess is kept, compared with the result, and never graded."""

from __future__ import annotations

import pytest
import torch

from mtl_tutorial.exercises import guess


def told(capsys) -> str:
    return capsys.readouterr().out.strip()


def test_a_choice_is_shown_beside_the_result(capsys) -> None:
    first = guess("Which task learns first?", ["digit", "box"])
    first.value = "digit"
    first.compare("box")
    assert told(capsys) == "You guessed digit; box came out."


def test_no_guess_is_no_fault(capsys) -> None:
    guess("Which task learns first?", ["digit", "box"]).compare("box")
    assert told(capsys) == "No guess yet. Box came out."


@pytest.mark.parametrize("typed", ["0.5", " 0,5 ", "+0.5", "5e-1"])
def test_a_number_may_be_typed_in_many_ways(typed, capsys) -> None:
    cosine = guess("The cosine?")
    cosine.value = typed
    cosine.compare(torch.tensor(-0.25).item())
    assert told(capsys) == "You guessed 0.5; -0.25 came out."


def test_a_percent_sign_and_a_minus_of_print_are_read(capsys) -> None:
    share = guess("The share?", unit="%")
    share.value = "−81 %"
    assert share.value == -81


@pytest.mark.parametrize("typed", ["14 %", "14%", " 14,0 % "])
def test_per_cent_are_a_share_where_the_guess_has_no_unit(typed, capsys) -> None:
    overlap = guess("The share?")
    overlap.value = typed
    overlap.compare(1 / 7, within=0.01)
    assert told(capsys) == "You guessed 0.14; 0.143 came out."
    assert overlap._is_near(1 / 7, 0.01)


def test_units_stand_behind_numbers(capsys) -> None:
    steps = guess("How many?", unit="steps")
    steps.value = "100"
    steps.compare(150)
    assert told(capsys) == "You guessed 100 steps; 150 steps came out."


def test_words_may_be_typed_where_nothing_is_to_choose(capsys) -> None:
    why = guess("Why?")
    why.value = "the units"
    why.compare("squares of units")
    assert told(capsys) == "You guessed the units; squares of units came out."


@pytest.mark.parametrize(
    ("value", "result", "within", "near"),
    [("0.5", 0.51, None, True), ("0.5", 0.6, None, False), ("0.5", 0.6, 0.2, True), ("0", 0, 0, 1)],
)
def test_what_is_near_is_green_and_nothing_is_called_wrong(value, result, within, near) -> None:
    asked = guess("How much?")
    asked.value = value
    assert asked._is_near(result, within) == bool(near)


def test_one_who_reads_the_notebook_alone_sees_question_and_choices() -> None:
    bundle = guess("Which?", ["a", "b"])._repr_mimebundle_()
    assert bundle["text/plain"] == "Which? Choose: a / b"
    assert bundle["text/markdown"].startswith("**Which?**")


def test_what_is_code_in_a_question_is_shown_as_code_and_nothing_else_is_html() -> None:
    asked, _ = guess("Is `a < b`, or <b>?").children
    assert asked.value == "<b>Is <code>a &lt; b</code>, or &lt;b&gt;?</b>"


def test_a_result_that_is_no_choice_is_refused() -> None:
    with pytest.raises(ValueError, match=r"guess 'Which\?' must be one of 'a', 'b', got 'c'"):
        guess("Which?", ["a", "b"]).compare("c")


@pytest.mark.parametrize("choices", [[], ["a"]])
def test_a_guess_needs_something_to_choose(choices) -> None:
    with pytest.raises(ValueError, match="two or more"):
        guess("Which?", choices)
