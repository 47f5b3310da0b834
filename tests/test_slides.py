"""Slides follow from a lesson's page by rule."""

from __future__ import annotations

import pytest
from bs4 import BeautifulSoup

from mtl_tutorial.commands.slides import deck

CELL = "<div class='cell {}'><div class='cell_input'><div class='highlight'>{}</div></div>{}</div>"
OUT = "<div class='cell_output'>{}</div>"
ASKED = "<div class='mtl-asked'>yes / no</div>"


def page(*blocks: str) -> str:
    inner = "".join(blocks)
    return (
        f"<article><section><h1>A lesson<a class='headerlink'>#</a></h1>{inner}</section></article>"
    )


def section(title: str, *blocks: str) -> str:
    return f"<section><h2>{title}</h2>{''.join(blocks)}</section>"


def slides(*blocks: str) -> list[tuple[str, str, str]]:
    """Kind, heading and text of each slide."""
    made = BeautifulSoup(deck(page(*blocks), "lesson"), "html.parser")
    return [
        (slide["class"][0], slide.find(["h1", "h2"]).text, " ".join(slide.text.split()))
        for slide in made.select(".slides > section")
    ]


def test_a_heading_begins_a_slide_and_set_up_has_none() -> None:
    made = slides(
        "<p>One.</p>", section("Set-up", "<p>imports</p>"), section("Idea", "<p>Two.</p>")
    )
    assert [(kind, heading) for kind, heading, _ in made] == [
        ("title", "A lesson"),
        ("text", "Idea"),
    ]


def test_a_guess_stands_alone_and_what_tells_it_is_on_the_next_slide() -> None:
    told = "<details class='answer'><summary>The answer</summary><p>It is yes.</p></details>"
    made = slides(
        section(
            "Idea",
            "<p>Text.</p>",
            "<p><b>Before you run the next cell:</b> is it?</p>",
            CELL.format("tag_remove-input", "guess()", OUT.format(ASKED)),
            told,
        )
    )[1:]
    assert [heading for _, heading, _ in made] == ["Idea", "Guess first", "Idea"]
    assert "yes / no" in made[1][2] and "It is yes" not in made[1][2]
    assert "guess()" not in made[1][2]
    assert made[2][2] == "Idea It is yes."


def test_a_deck_leads_back_to_its_page() -> None:
    assert 'href="../lessons/02_hard_sharing.html"' in deck(page(), "02_hard_sharing")


def test_code_is_folded_but_for_the_algorithm_from_scratch() -> None:
    cells = [CELL.format(tag, "code", OUT.format("out")) for tag in ("tag_x", "tag_from-scratch")]
    made = BeautifulSoup(deck(page(section("Code", *cells)), "lesson"), "html.parser")
    assert [found.has_attr("open") for found in made.select("details.code")] == [False, True]


@pytest.mark.parametrize("kind", ["mtl-widget", "mtl-live"])
def test_a_widget_has_a_slide_of_its_own(kind) -> None:
    widget = CELL.format("", "Widget()", OUT.format(f"<div class='{kind}'>drawn</div>"))
    made = slides(section("Widget", "<p>Drag it.</p>", widget, "<p>After it.</p>"))[1:]
    assert [kind for kind, *_ in made] == ["text", "alone", "text"]
    assert made[1][2] == "Widget drawnCodeWidget()"  # what is folded comes after it


def test_an_exercise_is_on_a_slide_with_its_question_and_choices() -> None:
    made = slides(
        section(
            "Idea",
            "<p>Text.</p>",
            "<p><b>Exercise 3.</b> Which?</p>",
            "<ul><li>a</li></ul>",
            CELL.format("tag_remove-input", "", OUT.format(ASKED)),
            "<p>On we go.</p>",
        )
    )[1:]
    assert [heading for _, heading, _ in made] == ["Idea", "Exercise 3", "Idea"]
    assert "Which?" in made[1][2] and "yes / no" in made[1][2]


def test_a_page_without_a_lesson_is_named() -> None:
    with pytest.raises(ValueError, match="02_hard_sharing has no text on the site"):
        deck("<p>nothing</p>", "02_hard_sharing")
