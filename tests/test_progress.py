"""The map that a learner's JupyterLab opens at."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest

from mtl_tutorial.commands.copies import for_learner
from mtl_tutorial.commands.progress import MAP, progress, write_map

GUESS = 'first = guess("Which?", ["a", "b"])\nfirst'
CHECK = "answer = ...\nq1.check(answer)"


def code(source: str, text: str = "", run: int | None = 1) -> nbformat.NotebookNode:
    outputs = [nbformat.v4.new_output("display_data", {"text/plain": text})] if text else []
    cell = nbformat.v4.new_code_cell(source, outputs=outputs, execution_count=run)
    cell["id"] = f"cell-{len(source)}"
    return cell


@pytest.fixture
def lesson(tmp_path: Path) -> Path:
    """A lesson with a guess, what came out, and an exercise."""
    cells = [
        nbformat.v4.new_markdown_cell("# Hard sharing: one encoder"),
        code(GUESS, "Which?"),
        code("print(1)", "1"),
        code("first.compare('a')", "No guess yet."),
        nbformat.v4.new_markdown_cell("## Next"),
        code(CHECK, "Exercise 1. Not answered yet."),
    ]
    path = tmp_path / "notebooks" / "02_hard_sharing.ipynb"
    path.parent.mkdir()
    (tmp_path / "my_lessons").mkdir()
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    return path


@pytest.fixture
def own(lesson: Path, tmp_path: Path) -> Path:
    path = tmp_path / "my_lessons" / lesson.name
    nbformat.write(for_learner(nbformat.read(lesson, 4)), path)
    return path


def change(path: Path, place: int, **values: object) -> None:
    notebook = nbformat.read(path, 4)
    notebook.cells[place].update(values)
    nbformat.write(notebook, path)


def test_a_new_copy_is_not_begun(lesson: Path, own: Path) -> None:
    assert str(progress(lesson, own)) == "not\u00a0begun"
    assert str(progress(lesson, own.with_name("absent.ipynb"))) == "not\u00a0begun"


def test_what_was_run_after_a_guess_and_solved_counts(lesson: Path, own: Path) -> None:
    change(own, 2, execution_count=7)
    assert str(progress(lesson, own)) == "1 of 2 answers seen; 0 of 1 exercises solved"
    right = nbformat.v4.new_output("display_data", {"text/plain": "Exercise 1. Correct. Yes."})
    change(own, 5, outputs=[right])
    assert progress(lesson, own) == (1, 2, 1, 1)


def test_an_exercise_counts_once_however_often_its_cell_was_copied(lesson: Path, own: Path) -> None:
    right = nbformat.v4.new_output("display_data", {"text/plain": "Exercise 1. Correct. Yes."})
    change(own, 5, outputs=[right])
    notebook = nbformat.read(own, 4)
    notebook.cells += [nbformat.v4.new_code_cell(CHECK, outputs=[right]) for _ in range(3)]
    nbformat.write(notebook, own)
    assert progress(lesson, own).solved == 1


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "[]", '{"cells": [1]}', '{"cells": [{"cell_type": "code"}]}'),
        '{"cells": [{"cell_type": "code", "outputs": null}]}',
        '{"cells": [{"cell_type": "code", "outputs": ["a"]}]}',
        '{"cells": [{"cell_type": "code", "outputs": [{"data": null}]}]}',
        '{"cells": [{"cell_type": "code", "outputs": [{"data": {"text/plain": null}}]}]}',
        '{"cells": [{"cell_type": "code", "id": [], "execution_count": 1, "outputs": []}]}',
    ],
)
def test_a_damaged_copy_is_not_begun(text: str, lesson: Path, own: Path) -> None:
    own.write_text(text)
    assert str(progress(lesson, own)) == "not\u00a0begun"


def test_the_map_links_to_the_copies_and_says_how_far_they_are(lesson: Path, own: Path) -> None:
    change(own, 3, execution_count=8)
    path = write_map(own.parent, lesson.parent)
    assert path == own.parent / MAP
    text = path.read_text(encoding="utf-8")
    assert "| [02 Hard sharing](02_hard_sharing.ipynb) | One encoder, many heads" in text
    assert "1 of 2 answers seen; 0 of 1 exercises solved |" in text
