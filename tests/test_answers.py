"""What a page says to an answer is what Python says, and no solution can be read in the page."""

from __future__ import annotations

import importlib
import itertools
import json
from typing import Any

import pytest
from explorable_page import chromium
from playwright.sync_api import Browser, Page

from mtl_tutorial.commands.answers import digest, puzzle
from mtl_tutorial.commands.course import course
from mtl_tutorial.commands.site import DOCS
from mtl_tutorial.exercises import Exercise
from mtl_tutorial.exercises.core import number, numbers

LOAD = """(text) => import(URL.createObjectURL(new Blob([text], { type: "text/javascript" })))
    .then((module) => { window.site = module; })"""
JUDGE = "([asked, answers]) => answers.map((answer) => site.judge(asked, answer))"

browser = pytest.fixture(scope="module")(chromium)


@pytest.fixture(scope="module")
def page(browser: Browser) -> Page:
    found = browser.new_page()
    found.evaluate(LOAD, (DOCS / "_static" / "site.js").read_text(encoding="utf-8"))
    return found


def exercises() -> dict[str, Exercise]:
    """Those of all lessons, by lesson and name."""
    found = {}
    for lesson in course():
        module = importlib.import_module(f"mtl_tutorial.exercises.lesson_{lesson.name[:2]}")
        for value in vars(module).values():
            if isinstance(value, Exercise):
                found[f"{lesson.name} {value.name}"] = value
    return found


IN_THE_PAGE = {name: one for name, one in exercises().items() if puzzle(one, name)}


def answers(exercise: Exercise) -> list[Any]:
    """The right answer, those that are foreseen, near ones, and others."""
    form = exercise.verdict.form  # type: ignore[attr-defined]
    if form.words:
        return list(form.words) if not form.several else [word for word, _ in form.known]
    right = form.known[0][0]
    known = [
        tuple(b if a is None else a for a, b in zip(k, right, strict=True)) for k, _ in form.known
    ]
    near = [tuple(v + s * form.tolerance for v in k) for k in known for s in (-0.9, 0.9)]
    far = [tuple(v + s * form.tolerance for v in right) for s in (-1.1, 1.1)]
    rounded = [tuple(round(v, digits) for v in right) for digits in range(5)]
    scaled = [tuple(factor * v for v in right) for factor in (100, 0.01, -3, 0)]
    scaled += [tuple(float(round(100 * v, digits)) for v in right) for digits in range(3)]
    return [*known, *near, *far, *rounded, *scaled]


@pytest.mark.parametrize("name", IN_THE_PAGE)
def test_the_page_says_what_python_says(name: str, page: Page) -> None:
    exercise = IN_THE_PAGE[name]
    asked, tried = puzzle(exercise, name), answers(exercise)
    said = page.evaluate(JUDGE, [asked, [list(a) if isinstance(a, tuple) else a for a in tried]])
    form = exercise.verdict.form  # type: ignore[attr-defined]
    for answer, told in zip(tried, said, strict=True):
        given = answer[0] if isinstance(answer, tuple) and len(form.fields) == 1 else answer
        hint = exercise.verdict(given)
        assert told["right"] == (hint is None), answer
        expected = exercise.praise if hint is None else hint
        same = told["text"] == expected
        # A rule that only Python has may draw the borders of a mistake elsewhere.
        general = (form.otherwise or exercise.hints[0]).partition("{off}")[0]
        hints = [text for _, text in form.known if text]
        others = told["text"] in hints or told["text"].startswith(general)
        assert same or (hint and others), answer


def test_more_than_two_dozen_exercises_are_answered_in_the_page() -> None:
    assert len(IN_THE_PAGE) >= 24
    assert not any(puzzle(one, "") for name, one in exercises().items() if name not in IN_THE_PAGE)


@pytest.mark.parametrize("name", IN_THE_PAGE)
def test_neither_the_right_answer_nor_its_praise_can_be_read(name: str) -> None:
    exercise = IN_THE_PAGE[name]
    form = exercise.verdict.form  # type: ignore[attr-defined]
    asked = puzzle(exercise, name)
    assert asked
    text = json.dumps({key: asked[key] for key in ("locks",)}, ensure_ascii=False)
    assert exercise.praise not in text
    if not form.words:
        assert not any(f" {value!r}" in text for value in form.known[0][0] if value % 1)


def test_the_same_answer_has_another_key_in_every_exercise() -> None:
    one = Exercise("Exercise 1", number(2.5, otherwise="No."), "Yes.", ["Think."], "answer = 2.5")
    locks = [puzzle(one, lesson)["locks"][0]["locks"].keys() for lesson in ("01", "02")]  # type: ignore[index]
    assert not set(locks[0]) & set(locks[1])


def test_a_place_that_is_wrong_is_named_in_the_page(page: Page) -> None:
    verdict = numbers({"a": 1.0, "b": 2.0}, mistakes=[], otherwise="Look at {off}.")
    asked = puzzle(Exercise("Exercise 1", verdict, "Yes.", ["Think."], "answer = 1, 2"), "01")
    said = page.evaluate(JUDGE, [asked, [[1, 3], [5, 2], [1, 2]]])
    assert [told["text"] for told in said] == ["Look at b.", "Look at a.", "Yes."]


@pytest.mark.parametrize("text", ["", "a", "Übung 3|−1,2", "x" * 300])
def test_both_languages_have_one_hash(text: str, page: Page) -> None:
    assert page.evaluate("(text) => site.digest(text)", text) == digest(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [("0.25", 0.25), ("0,25", 0.25), ("1/4", 0.25), (" −3 ", -3), ("1e-3", 0.001), ("", None)]
    + [("–3", -3), ("+.5", 0.5), ("3 %", 0.03), ("12,5%", 0.125), ("0,125", 0.125), ("5.", 5)]
    + [(text, None) for text in ("a", "1/0", "1/2/3", "/", "Infinity", "%", "1 2", "0x10", "0b1")]
    + [(text, None) for text in ("1,000", "-12,500", "1.2.3", ".", "e5", "1e")],
)
def test_a_number_is_read_as_people_write_it(text: str, value: float | None, page: Page) -> None:
    assert page.evaluate("(text) => site.read(text)", text) == value


def test_pairs_of_steps_hold_every_number_within_the_tolerance() -> None:
    values = [i / 700 for i in range(-50, 50)]
    for a, b in itertools.pairwise(values):
        assert abs(a // 0.01 - b // 0.01) <= 1
