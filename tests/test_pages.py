"""A lesson as a page: alive where no kernel is needed, and closed where a guess comes first."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path

import nbformat
import pytest

from mtl_tutorial.commands import UsageError
from mtl_tutorial.commands.pages import Widget, page_of, shown_of
from mtl_tutorial.widgets.gradient_compass import GradientCompass

PIXEL = base64.b64encode(b"a picture").decode()
GUESS = nbformat.v4.new_code_cell(
    'first = guess("Which?", ["a", "b"])\nfirst',
    outputs=[
        nbformat.v4.new_output("display_data", {"text/plain": "Which? Choose: a / b"}),
    ],
)


def shown(source: str, **data: str) -> nbformat.NotebookNode:
    kinds = {"png": "image/png", "plain": "text/plain", "html": "text/html"}
    output = nbformat.v4.new_output("display_data", {kinds[k]: v for k, v in data.items()})
    return nbformat.v4.new_code_cell(source, outputs=[output])


def made(*cells: nbformat.NotebookNode, folder: Path, name: str = "08_pcgrad"):
    return page_of(nbformat.v4.new_notebook(cells=list(cells)), name, folder)


def html_of(cell: nbformat.NotebookNode) -> str:
    return "".join(output.data.get("text/html", "") for output in cell.outputs)


def data_in(text: str) -> dict:
    found = re.search(r'<script type="application/json">(.*?)</script>', text)
    assert found
    return json.loads(found[1])


def compass() -> nbformat.NotebookNode:
    widget = GradientCompass(angle=90, length=2)
    cell = shown("GradientCompass(angle=90, length=2)", png=PIXEL, plain="Two gradients")
    kept = {"widget": widget._anywidget_id, "state": json.dumps(widget.kept(widget.get_state()))}
    cell.outputs[0].metadata["mtl_tutorial"] = kept
    return cell


def test_an_explorable_is_alive_with_the_state_that_the_lesson_kept(tmp_path: Path) -> None:
    page, widgets = made(compass(), folder=tmp_path)
    text = html_of(page.cells[0])
    assert 'class="mtl-live" data-module="gradient_compass"' in text
    assert data_in(text)["g2"] == [0, 2]
    assert 'alt="Two gradients"' in text
    assert widgets["GradientCompass"].state["g2"] == [0, 2]
    assert (tmp_path / widgets["GradientCompass"].file).read_bytes() == b"a picture"


def test_cells_of_every_kind_pass(tmp_path: Path) -> None:
    odd = [
        nbformat.v4.new_raw_cell("raw"),
        nbformat.v4.new_code_cell("!ls"),
        nbformat.v4.new_code_cell("%matplotlib inline\nx = guess("),
        nbformat.v4.new_code_cell(""),
    ]
    page, _ = made(*odd, folder=tmp_path)
    assert [cell.source for cell in page.cells] == [cell.source for cell in odd]


@pytest.mark.parametrize("name", ["08_pcgrad", "77_mine"])
def test_an_exercise_that_is_not_there_is_named(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=rf"{name} has q9.check.*no q9 in .*lesson_{name[:2]}"):
        made(nbformat.v4.new_code_cell("q9.check(answer)"), folder=tmp_path, name=name)


def test_a_question_can_not_end_the_script_that_holds_it(tmp_path: Path) -> None:
    question = "Is <!--<script> or </script> in it?"
    cell = shown('x = guess("?", ["a", "b"])', plain=f"{question} Choose: a / b")
    page, _ = made(cell, folder=tmp_path)
    assert html_of(page.cells[0]).count("<") == 4  # of the place and its script
    assert data_in(html_of(page.cells[0]))["question"] == question


def test_a_title_leads_to_the_slides_of_its_lesson(tmp_path: Path) -> None:
    page, _ = made(nbformat.v4.new_markdown_cell("# PCGrad"), compass(), folder=tmp_path)
    assert 'href="../slides/08_pcgrad.html"' in page.cells[0].source


def test_a_view_shows_its_picture_and_how_it_is_moved(tmp_path: Path) -> None:
    cell = shown("CrossStitchMixer(model)", png=PIXEL, plain="Two encoders")
    page, widgets = made(cell, folder=tmp_path, name="03_cross_stitch")
    note, _, picture = html_of(page.cells[0]).partition("</p>")
    assert "On this page this is a picture" in note and "lab 03</code>" in note
    assert "playground" not in note
    assert f'href="../_static/pictures/{widgets["CrossStitchMixer"].file}"' in picture
    assert not widgets["CrossStitchMixer"].module


def test_a_network_that_trains_is_told_above_its_picture_with_the_playground() -> None:
    widget = Widget("07_gradnorm", "<img>", "a.png", "gradnorm_stepper", {})
    note, _, alive = shown_of(widget, "GradNormStepper").partition("</p>")
    assert "It trains in JupyterLab" in note and "#method=gradnorm" in note
    assert "mtl-live" in alive


def test_a_guess_is_made_in_the_page_and_what_came_out_waits(tmp_path: Path) -> None:
    told = "<b>No guess yet.</b> B came out."
    reveal = shown('first.compare("b")', plain="No guess yet. B came out.", html=told)
    page, _ = made(GUESS, reveal, folder=tmp_path)
    asked = data_in(html_of(page.cells[0]))
    assert asked == {"guess": "first", "question": "Which?", "choices": ["a", "b"]}
    assert "remove-input" in page.cells[0].metadata.tags
    _, opened, told_in_page, closed = page.cells
    assert "See what is printed" in opened.source and closed.source == "</details>"
    assert "hide-input" in told_in_page.metadata.tags
    assert 'data-guess="first"' in html_of(told_in_page)
    assert "It was “b”." in html_of(told_in_page)


def answer(text: str) -> nbformat.NotebookNode:
    return nbformat.v4.new_markdown_cell(text, metadata={"tags": ["answer"]})


def test_neighbours_that_tell_a_guess_are_one_fold_named_by_what_it_holds(tmp_path: Path) -> None:
    picture = shown("show(draw)", png=PIXEL, plain="A picture")
    page, _ = made(GUESS, picture, answer("So it is."), folder=tmp_path)
    _, opened, *inside, closed = page.cells
    assert "See the picture and the answer" in opened.source and "Hide" in opened.source
    assert [cell.cell_type for cell in inside] == ["code", "markdown"]
    assert closed.source == "</details>"


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        ("It is 1.\n\nNow look:", ["It is 1."], "Now look:"),
        ("It is 1. **So.** Now look:", ["It is 1. **So.**"], "Now look:"),
        ("Now look:", [], "Now look:"),
    ],
)
def test_what_an_answer_says_of_what_follows_stays_open(text, inside, outside, tmp_path) -> None:
    page, _ = made(answer(text), folder=tmp_path)
    *fold, last = [cell.source for cell in page.cells]
    assert fold[1:-1] == inside
    assert last == outside


def test_a_page_does_not_speak_as_a_notebook(tmp_path: Path) -> None:
    told = "**Before you run the two next cells:** is it?"
    asked = "**Exercise 2.** Is it?\n\nPut your answer where the `...` is and run the cell. "
    hint = "`q1.hint()` gives a hint, `q1.solution()` shows code."
    code = "# NBVAL_CHECK_OUTPUT\nf = lambda: 1  # noqa: E731\ng = f()"
    cells = [nbformat.v4.new_markdown_cell(text) for text in (told, asked + hint)]
    exercise = shown("answer = ...\nq2.check(answer)", plain="Exercise. Not answered yet.")
    page, _ = made(*cells, exercise, nbformat.v4.new_code_cell(code), folder=tmp_path)
    assert page.cells[0].source == "**Before you open what comes next:** is it?"
    assert page.cells[1].source == "**Exercise 2.** Is it?"
    assert page.cells[3].source == "f = lambda: 1\ng = f()"


def test_an_explorable_after_a_guess_stays_open(tmp_path: Path) -> None:
    page, _ = made(GUESS, compass(), folder=tmp_path)
    assert "hide-cell" not in page.cells[1].metadata.tags


@pytest.mark.parametrize(("name", "in_page"), [("q2", True), ("q1", False)])
def test_an_exercise_is_asked_in_the_page_or_sent_to_python(
    name: str, in_page: bool, tmp_path: Path
) -> None:
    cell = shown(f"answer = ...\n{name}.check(answer)", plain="Exercise. Not answered yet.")
    (asked,) = made(cell, folder=tmp_path)[0].cells
    assert ("remove-input" in asked.metadata.tags) == in_page
    assert ("mtl-asked" in html_of(asked)) == in_page
    assert ("judged by Python" in html_of(asked)) != in_page


def test_an_answer_is_folded(tmp_path: Path) -> None:
    opened, inside, closed = made(answer("It is $x$."), folder=tmp_path)[0].cells
    assert opened.source.startswith("<details") and "See the answer" in opened.source
    assert (inside.source, closed.source) == ("It is $x$.", "</details>")


def test_the_lesson_stays_as_it_is(tmp_path: Path) -> None:
    lesson = nbformat.v4.new_notebook(cells=[GUESS, compass()])
    before = nbformat.writes(lesson)
    page_of(lesson, "08_pcgrad", tmp_path)
    assert nbformat.writes(lesson) == before
