"""A picture's description reaches who does not see it: JupyterLab, nbconvert, a stored notebook."""

from __future__ import annotations

from html.parser import HTMLParser

import nbformat
import pytest
from nbconvert import HTMLExporter
from nbformat.v4 import new_code_cell, new_notebook, new_output

from mtl_tutorial.commands.build import strip
from mtl_tutorial.commands.copies import for_learner
from mtl_tutorial.widgets.alt_text import described, keep_one_picture, show_description

PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC"
)
WORDS = 'Loss < 1 & "box" falls'


def output(data, metadata=None):
    return new_output("display_data", data=data, metadata=metadata or {})


def notebook(shown):
    return new_notebook(cells=[new_code_cell("show()", outputs=[shown], execution_count=1)])


def alt(page: str) -> str:
    """Of the only image of a page."""
    found: list[str | None] = []

    class Images(HTMLParser):
        def handle_starttag(self, tag, attributes) -> None:
            if tag == "img":
                found.append(dict(attributes).get("alt"))

    Images().feed(page)
    (words,) = found
    return words or ""


def test_a_cell_shows_html_with_the_description() -> None:
    data, metadata = described(PIXEL, WORDS)
    assert alt(data["text/html"]) == data["text/plain"] == metadata["image/png"]["alt"] == WORDS
    assert data["image/png"] == PIXEL and PIXEL in data["text/html"]


def test_a_notebook_keeps_a_picture_once_with_its_description() -> None:
    (kept,) = strip(notebook(output(*described(PIXEL, WORDS)))).cells[0].outputs
    assert set(kept.data) == {"image/png", "text/plain"}
    assert kept.metadata["image/png"] == {"width": 900, "alt": WORDS}


@pytest.mark.parametrize("text", ["<b>a table</b>", "<img src='other.png'>"])
def test_other_html_stays(text) -> None:
    found = output({"text/html": text, "image/png": PIXEL})
    keep_one_picture(found)
    assert found.data["text/html"] == text and "image/png" not in found.metadata
    show_description(found)
    assert found.data["text/html"] == text and found.data["image/png"] == PIXEL


def test_the_copy_of_a_learner_has_the_description_before_it_is_run() -> None:
    lesson = strip(notebook(output(*described(PIXEL, WORDS))))
    own = for_learner(lesson)
    nbformat.validate(own)
    (shown,) = own.cells[0].outputs
    assert set(shown.data) == {"text/html", "text/plain"}
    assert alt(shown.data["text/html"]) == WORDS
    older = for_learner(notebook(output({"image/png": f"{PIXEL}\n", "text/plain": WORDS})))
    assert alt(older.cells[0].outputs[0].data["text/html"]) == WORDS


def test_a_picture_without_words_and_other_outputs_stay_as_they_are() -> None:
    for shown in (output({"image/png": PIXEL}), output({"text/plain": "1"}), new_output("stream")):
        before = dict(shown)
        show_description(shown)
        assert shown == before


def test_pages_of_nbconvert_have_the_description() -> None:
    live = notebook(output(*described(PIXEL, WORDS)))
    for found in (live, for_learner(strip(live))):
        assert alt(HTMLExporter(template_name="lab").from_notebook_node(found)[0]) == WORDS
    page, _ = HTMLExporter(template_name="classic").from_notebook_node(strip(live))
    assert alt(page) == WORDS
