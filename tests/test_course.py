"""The map of the course has a row for every lesson, and reads minutes where they stand."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest

from mtl_tutorial.commands import UsageError
from mtl_tutorial.commands.course import QUESTIONS, course


def lesson(folder: Path, name: str, text: str) -> None:
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(text)])
    nbformat.write(notebook, folder / f"{name}.ipynb")


def test_every_lesson_has_its_question_widget_and_minutes() -> None:
    found = course()
    assert [one.name for one in found] == list(QUESTIONS)
    for one in found:
        assert one.question and one.widget and one.part != "More", one.name
        assert min(one.minutes, one.exercises, one.seconds) > 0, one.name


def test_a_title_is_short_where_it_has_a_colon(tmp_path: Path) -> None:
    time = "45 minutes to read,\n15 minutes for the exercises, about 30 seconds to run."
    lesson(tmp_path, "02_hard_sharing", f"# Hard sharing: one encoder\n\n{time}")
    (found,) = course(tmp_path)
    assert found.title == "Hard sharing: one encoder"
    assert found.short_title == "02 Hard sharing"
    assert (found.minutes, found.exercises, found.seconds) == (45, 15, 30)


def test_a_lesson_that_says_nothing_of_itself_is_on_the_map_by_its_name(tmp_path: Path) -> None:
    lesson(tmp_path, "77_of_my_own", "Some text")
    (found,) = course(tmp_path)
    assert (found.short_title, found.part, found.minutes) == ("77 of my own", "More", 0)


def test_a_lesson_that_is_no_notebook_is_named(tmp_path: Path) -> None:
    (tmp_path / "03_cross_stitch.ipynb").write_text("{")
    with pytest.raises(UsageError, match=r"03_cross_stitch.ipynb is no notebook.*git checkout"):
        course(tmp_path)
