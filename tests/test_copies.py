"""A learner's copy: made once, never overwritten, and silent on what is still to be guessed."""

from __future__ import annotations

import copy
import os
import re
import sys
from datetime import datetime
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from mtl_tutorial.commands import UsageError, copies
from mtl_tutorial.commands.copies import for_learner, lesson_of, own_copy
from mtl_tutorial.commands.lessons import lessons
from mtl_tutorial.places import NOTEBOOKS
from mtl_tutorial.widgets.alt_text import show_description

needs_links = pytest.mark.skipif(sys.platform == "win32", reason="not everybody may make links")
NAMES = ("00_start_here", "02_hard_sharing", "03_cross_stitch")


def code(source: str) -> NotebookNode:
    shown = [new_output("stream", text=f"what {source!r} prints\n")]
    return new_code_cell(source, outputs=shown, execution_count=1)


def answer(source: str) -> NotebookNode:
    return new_markdown_cell(source, metadata={"tags": ["answer"]})


def write(path: Path, *cells: NotebookNode, digest: str | None = "made from this") -> Path:
    metadata = {"mtl_tutorial": {"digest": digest}} if digest else {}
    text = nbformat.writes(new_notebook(cells=list(cells), metadata=metadata)) + "\n"
    path.write_bytes(text.encode())
    return path


@pytest.fixture
def course(tmp_path) -> list[Path]:
    """Three lessons of one cell."""
    (tmp_path / "notebooks").mkdir()
    return [write(tmp_path / "notebooks" / f"{name}.ipynb", code(name)) for name in NAMES]


def shown(*cells: NotebookNode) -> list[bool]:
    """For each cell of code, whether a copy has its outputs."""
    copied = for_learner(new_notebook(cells=list(cells))).cells
    kept = [cell for cell in copied if cell.cell_type == "code"]
    assert all(bool(cell.outputs) == (cell.execution_count is not None) for cell in kept)
    return [bool(cell.outputs) for cell in kept]


GUESS, HEADING = code('first = guess("Which?", ["digit", "box"])'), new_markdown_cell("## Next")
REVEAL, TEXT = code("draw()\nfirst.compare('box')"), new_markdown_cell("On we go.")


def test_outputs_between_a_guess_and_the_next_heading_are_left_out() -> None:
    assert shown(code("1"), GUESS, REVEAL, TEXT, code("2"), HEADING, code("3")) == [
        True, True, False, False, True
    ]  # fmt: skip


def test_the_next_guess_keeps_its_question_and_hides_what_follows_it() -> None:
    second, result = code("second = guess('How much?')"), code("second.compare(2)")
    assert shown(GUESS, REVEAL, second, result, code("1")) == [True, False, True, False, False]


@pytest.mark.parametrize(
    "source",
    [
        "second = guess ('How much?', unit='')",
        "!ls\nsecond = guess('How much?')",
        "for word in words:\n    asked.append(guess(word))",
    ],
)
def test_a_guess_is_found_however_it_is_written(source) -> None:
    assert shown(code(source), code("1")) == [True, False]


@pytest.mark.parametrize(
    "source",
    ["from mtl_tutorial.exercises import guess", "# guess(...)", "print('guess(')", "my_guess(1)"],
)
def test_a_word_that_only_looks_like_a_guess_hides_nothing(source) -> None:
    assert shown(code(source), code("1")) == [True, True]


def test_what_compares_a_guess_is_hidden_wherever_it_stands() -> None:
    assert shown(code("guess('How much?').compare(2)"), code("1")) == [False, False]
    assert shown(GUESS, HEADING, code("1"), REVEAL) == [True, True, False]


@pytest.mark.parametrize(
    ("text", "ends"),
    [
        ("text\n\n### Title", True),
        ("#", True),
        ("#hashtag", False),
        ("    # code", False),
        ("```\n# code\n```", False),
        ("~~~python\n# code\n~~~\n## Title", True),
    ],
)
def test_only_a_heading_ends_what_is_hidden(text, ends) -> None:
    assert shown(GUESS, new_markdown_cell(text), code("1")) == [True, ends]


def test_an_answer_is_folded_with_room_for_its_markdown() -> None:
    folded = for_learner(new_notebook(cells=[answer("\nIt is **$x^2$**:\n\n$$x$$\n"), TEXT])).cells
    assert folded[0].source == (
        "<details><summary>Open after you have run the cell above</summary>\n\n"
        "It is **$x^2$**:\n\n$$x$$\n\n</details>"
    )
    assert folded[1].source == TEXT.source


def test_code_that_says_what_comes_out_is_folded_after_a_guess() -> None:
    kept = code("value = 1")
    first, titled = (code('show(draw, title="Box pays")') for _ in range(2))
    claimed = code('claim("Box pays", value, at_least=0)')
    own = for_learner(new_notebook(cells=[first, GUESS, kept, titled, claimed, REVEAL])).cells
    folded = [cell.metadata.get("jupyter", {}).get("source_hidden", False) for cell in own]
    assert folded == [False, False, False, True, True, True]


def test_the_lesson_that_is_copied_stays_as_it_is() -> None:
    lesson = new_notebook(cells=[GUESS, REVEAL, answer("Box.")])
    before = nbformat.writes(lesson)
    assert nbformat.writes(for_learner(lesson)) != before
    assert nbformat.writes(lesson) == before


@pytest.mark.parametrize("path", lessons(), ids=lambda path: path.stem)
def test_a_lesson_of_the_course_loses_outputs_and_nothing_else(path) -> None:
    lesson = nbformat.read(path, as_version=4)
    own = for_learner(lesson)
    nbformat.validate(own)
    assert own.metadata == lesson.metadata
    for cell, before in zip(own.cells, lesson.cells, strict=True):
        own_folds, folds = (c.metadata.pop("jupyter", {}) for c in (cell, copy.deepcopy(before)))
        assert folds.items() <= own_folds.items()
        assert cell.id == before.id
        assert cell.metadata == {k: v for k, v in before.metadata.items() if k != "jupyter"}
        assert before.source.strip("\n") in cell.source
        if cell.cell_type == "code" and cell.outputs:
            for output in before.outputs:
                show_description(output)
            assert cell.outputs == before.outputs


def test_the_first_start_copies_every_lesson(course, tmp_path) -> None:
    own, made, told = own_copy(course[1])
    assert own == tmp_path / "my_lessons" / "02_hard_sharing.ipynb"
    assert told == []
    assert made == sorted(own.parent.iterdir())
    assert [path.name for path in made] == [path.name for path in course]
    assert own.read_bytes() == course[1].read_bytes()  # it asks for no guess


def test_a_copy_is_never_overwritten_and_a_new_lesson_is_added(course, tmp_path) -> None:
    own, *_ = own_copy(course[1])
    mine = write(own, code("mine"))
    before = mine.read_bytes()
    added = write(course[0].with_name("04_attention_fusion.ipynb"), code("new"))
    assert own_copy(course[0]).made == [own.parent / added.name]
    assert mine.read_bytes() == before
    assert (own.parent / added.name).exists()


def test_a_fresh_copy_keeps_the_old_one_under_another_name(course, monkeypatch) -> None:
    class Noon(datetime):
        @classmethod
        def now(cls, tz=None):
            return cls(2026, 11, 27, 3, 12)

    monkeypatch.setattr(copies, "datetime", Noon)
    own, *_ = own_copy(course[1])
    for number, name in enumerate(["02_hard_sharing.2026-11-27_0312.ipynb",
                                   "02_hard_sharing.2026-11-27_0312_2.ipynb"]):  # fmt: skip
        mine = write(own, code(f"mine {number}")).read_bytes()
        again, made, told = own_copy(course[1], fresh=True)
        assert [again] == made == [own] and own.read_bytes() == course[1].read_bytes()
        assert (own.parent / name).read_bytes() == mine
        assert told == [f"Your copy of 02_hard_sharing so far is kept as {name}."]
    assert len(list(own.parent.iterdir())) == 5


def test_a_fresh_copy_of_what_was_never_copied_keeps_nothing(course) -> None:
    own, made, told = own_copy(course[1], fresh=True)
    assert told == [] and sorted(made) == sorted(own.parent.iterdir()) and len(made) == 3


def test_a_lesson_that_changed_is_told_and_its_copy_is_left_alone(course) -> None:
    own, *_ = own_copy(course[1])
    before = own.read_bytes()
    write(course[1], code("new"), digest="another")
    assert own_copy(course[0]).told == [
        "Lesson 02 has changed since your copy was made; 'python -m mtl_tutorial lab --fresh 02' "
        "starts it anew, and keeps your copy under another name."
    ]
    assert own.read_bytes() == before
    assert own_copy(course[1], fresh=True).told[1:] == []


def test_several_lessons_that_changed_are_told_in_one_line(course) -> None:
    own_copy(course[0])
    for lesson in course:
        write(lesson, code("new"), digest="another")
    (line,) = own_copy(course[0]).told
    assert line.startswith("Lessons 00, 02 and 03 have changed") and "starts one anew" in line


def test_a_copy_of_unknown_origin_is_not_called_old(course) -> None:
    own, *_ = own_copy(course[0])
    for metadata in ({}, {"mtl_tutorial": "?"}, {"mtl_tutorial": {}}):
        nbformat.write(new_notebook(metadata=metadata), own)
        assert own_copy(course[0]).told == []


DAMAGED = {
    b"": "the file is empty",
    b'{"cells": [': "line 1 column 12",
    b"[]": "its JSON does not hold cells",
    b"{}": "missing a key: cells",
    b'{"nbformat": 4, "nbformat_minor": 5, "metadata": {}}': "missing an expected key: cells",
    b"\xff\xfe": "codec can't decode",
}


@pytest.mark.parametrize("content", DAMAGED)
def test_a_copy_that_jupyterlab_would_refuse_is_named(course, content) -> None:
    own, *_ = own_copy(course[1])
    own.write_bytes(content)
    sentence = (
        rf"02_hard_sharing.ipynb can't be opened \(.*{re.escape(DAMAGED[content])}.*\); "
        r"'python -m mtl_tutorial lab --fresh 02' starts this lesson anew"
    )
    with pytest.raises(UsageError, match=sentence) as refused:
        own_copy(course[1])
    assert "\n" not in str(refused.value)
    (line,) = own_copy(course[0]).told  # another lesson is opened all the same
    assert re.search(sentence, line) and "\n" not in line
    assert own.read_bytes() == content
    assert own_copy(course[1], fresh=True).path.read_bytes() == course[1].read_bytes()


@needs_links
def test_a_copy_that_is_a_folder_or_a_link_to_nowhere_is_named(course) -> None:
    own, *_ = own_copy(course[1])
    own.unlink()
    own.mkdir()
    with pytest.raises(UsageError, match=r"can't be opened \(.*\); .* --fresh 02"):
        own_copy(course[1])
    own.rmdir()
    own.symlink_to("nowhere")
    with pytest.raises(UsageError, match=r"can't be opened \(No such file or directory\)"):
        own_copy(course[1])


@needs_links
@pytest.mark.parametrize("make", [Path.touch, lambda path: path.symlink_to("nowhere")])
def test_something_else_of_that_name_is_no_place_for_copies(course, tmp_path, make) -> None:
    make(tmp_path / "my_lessons")
    with pytest.raises(UsageError, match="my_lessons is no folder, .* rename it, .* lab --show'$"):
        own_copy(course[0])


def test_a_folder_that_can_not_be_written_has_a_way_out(course, tmp_path, monkeypatch) -> None:
    told = r"my_lessons can't be written \(.+\), .* make it writable, clone .* lab --show'$"

    def full(path, content):
        raise OSError(28, "No space left on device", str(path))

    with monkeypatch.context() as patch:
        patch.setattr(copies, "_write_new", full)
        with pytest.raises(UsageError, match=told.replace(".+", "No space left on device", 1)):
            own_copy(course[0])
    own, *_ = own_copy(course[0])
    mine = write(own, code("mine")).read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(copies, "_write_new", full)
        with pytest.raises(UsageError, match=told):
            own_copy(course[0], fresh=True)
    assert own.read_bytes() == mine and len(list(own.parent.iterdir())) == 3
    monkeypatch.setattr(os, "access", lambda path, mode: path != tmp_path / "my_lessons")
    with pytest.raises(UsageError, match=told):
        own_copy(course[0])


def test_half_a_copy_is_none(tmp_path) -> None:
    with pytest.raises(TypeError):
        copies._write_new(tmp_path / "half", "no bytes")
    assert list(tmp_path.iterdir()) == []


def test_a_lesson_that_is_no_notebook_can_not_be_copied(course) -> None:
    course[2].write_text("{")
    with pytest.raises(
        UsageError, match=r"03_cross_stitch.ipynb is no notebook \(.*\); 'git checkout"
    ):
        own_copy(course[0])


def test_a_copy_and_a_lesson_are_the_same_lesson_and_another_notebook_is_none(tmp_path) -> None:
    lesson, own = lessons()[2], NOTEBOOKS.with_name("my_lessons")
    assert lesson_of(lesson) == lesson_of(own / lesson.name) == lesson
    for other in (tmp_path / lesson.name, own / "scratch.ipynb", own / "02_x.2026-11-27.ipynb"):
        assert lesson_of(other) is None
