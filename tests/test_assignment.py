"""An assignment is graded by nbgrader itself, with the lesson's own checkers."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from nbgrader.api import Gradebook

from mtl_tutorial.__main__ import main
from mtl_tutorial.commands import UsageError
from mtl_tutorial.commands.assignment import assignment, graded
from mtl_tutorial.commands.lessons import lessons
from mtl_tutorial.exercises import lesson_00

NAME = "00_start_here"
IMPORT = "from mtl_tutorial.exercises.lesson_00 import q1, q2, q3"
CELLS = [
    new_markdown_cell("# Start here"),
    new_code_cell(IMPORT),
    new_code_cell("answer = ...\nq1.check(answer)", outputs=[new_output("stream", text="old\n")]),
    new_code_cell("answer = ...\nq2.check(answer)"),
    new_code_cell(
        "def end_point(targets, weights, units):\n    return ...\n\n\n"
        "answer = ...  # the function, when it is ready\nq3.check(answer)"
    ),
]


@pytest.fixture
def course(tmp_path: Path) -> Path:
    """A folder with one short lesson, whose exercises are those of lesson 00."""
    folder = tmp_path / "notebooks"
    folder.mkdir()
    nbformat.write(new_notebook(cells=[cell.copy() for cell in CELLS]), folder / f"{NAME}.ipynb")
    return folder


def points(cells) -> list[str]:
    marks = [cell.metadata.get("nbgrader", {}) for cell in cells]
    return [mark["grade_id"] for mark in marks if mark.get("points")]


@pytest.mark.parametrize("path", lessons(), ids=lambda path: path.stem)
def test_every_lesson_becomes_one_without_outputs_and_solutions(path) -> None:
    notebook = graded(nbformat.read(path, 4))
    nbformat.validate(notebook)
    exercises = path.read_text(encoding="utf-8").count(".check(answer)")
    assert points(notebook.cells) == [f"grade_q{n + 1}" for n in range(exercises)]
    assert not any(cell.get("outputs") for cell in notebook.cells)
    assert "solution_code" not in nbformat.writes(notebook)


def test_a_graded_cell_follows_its_exercise_and_is_locked(course) -> None:
    cells = graded(nbformat.read(course / f"{NAME}.ipynb", 4)).cells
    at = next(i for i, cell in enumerate(cells) if "q1.check(answer)" in cell.source)
    assert 'grade("00", "q1", answer)' in cells[at + 1].source
    assert cells[at + 1].metadata.nbgrader.locked


def sources(*cells: str) -> list[str]:
    notebook = graded(new_notebook(cells=list(map(new_code_cell, cells))))
    nbformat.validate(notebook)
    return [cell.source for cell in notebook.cells]


@pytest.mark.parametrize(
    "line", [IMPORT, IMPORT.replace("q1, q2, q3", "(\n    q1,\n    q2 as q3,\n)")]
)
def test_exercises_are_imported_in_any_form(line) -> None:
    _, locked, *_ = sources(f"import torch\n{line}", "q1.check(answer)  # look", IMPORT)
    names = "q1, q2, q3" if line == IMPORT else "q1, q3"
    assert f"{names} = without_solutions({names})" in locked
    compile(locked, "cell", "exec")


def test_every_exercise_of_a_cell_is_graded_and_a_line_for_the_shell_is_none() -> None:
    found = sources("%pip list", IMPORT, "q2.check(answer)\nq1.check(answer)")
    assert ["q2" in found[-2], "q1" in found[-1]] == [True, True]


@pytest.mark.parametrize(
    ("cells", "told"),
    [
        ([IMPORT, "q1.check(answer)", "q1.check(answer)"], "q1 is checked in two places"),
        (["q1.check(answer)"], "no exercise that is imported"),
        ([IMPORT], "no exercise that is imported"),
    ],
)
def test_what_nbgrader_would_not_take_is_told(cells, told) -> None:
    with pytest.raises(ValueError, match=told):
        sources(*cells)


def test_what_is_there_is_not_overwritten(course, tmp_path) -> None:
    path = assignment("0", tmp_path / "grading", folder=course)
    assert path == tmp_path / "grading" / "source" / NAME / f"{NAME}.ipynb"
    (tmp_path / "grading" / "nbgrader_config.py").write_text("mine")
    path.write_text("mine")
    with pytest.raises(UsageError, match="is there already.*remove it to write it anew"):
        assignment("0", tmp_path / "grading", folder=course)
    path.unlink()
    assignment("0", tmp_path / "grading", folder=course)
    assert (tmp_path / "grading" / "nbgrader_config.py").read_text() == "mine"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "can't be made into an assignment"),
        ('{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}', "no exercise"),
    ],
)
def test_a_lesson_that_can_not_be_one_is_named(course, tmp_path, text, told) -> None:
    (course / f"{NAME}.ipynb").write_text(text)
    with pytest.raises(UsageError, match=told):
        assignment("00", tmp_path, folder=course)


def test_an_unknown_lesson_is_answered_with_those_that_there_are(capsys) -> None:
    assert main(["assignment", "99"]) == 2
    assert "lesson must be one of 00_start_here" in capsys.readouterr().err


def nbgrader(folder: Path, *words: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "nbgrader", *words], cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def hand_in(grading: Path, student: str, answers: dict[str, str]) -> None:
    notebook = nbformat.read(grading / "release" / NAME / f"{NAME}.ipynb", 4)
    for cell in notebook.cells:
        for exercise, code in answers.items():
            if f"{exercise}.check(answer)" in cell.source:
                cell.source = f"{code.strip()}\n{exercise}.check(answer)"
            if f'"{exercise}", answer' in cell.source:
                cell.source = "pass  # graded cells are put back as they were"
    place = grading / "submitted" / student / NAME
    place.mkdir(parents=True)
    nbformat.write(notebook, place / f"{NAME}.ipynb")


@pytest.mark.slow
def test_nbgrader_gives_a_right_copy_all_points_and_a_wrong_one_those_it_earns(
    course, tmp_path
) -> None:
    grading = tmp_path / "grading"
    assignment("00", grading, folder=course)
    nbgrader(grading, "generate_assignment", NAME)
    released = (grading / "release" / NAME / f"{NAME}.ipynb").read_text()
    assert "answer = ...\\n" in released
    right = {f"q{n}": getattr(lesson_00, f"q{n}").solution_code for n in (1, 2, 3)}
    hand_in(grading, "right", right)
    hand_in(grading, "wrong", {**right, "q1": "answer = 1", "q3": "answer = 1 / 0"})
    shutil.rmtree(grading / "source")  # as on a server that only grades
    nbgrader(grading, "autograde", NAME)
    with Gradebook(f"sqlite:///{grading / 'gradebook.db'}") as book:
        scores = {who: book.find_submission(NAME, who).score for who in ("right", "wrong")}
    assert scores == {"right": 3, "wrong": 1}
    feedback = (grading / "autograded" / "wrong" / NAME / f"{NAME}.ipynb").read_text()
    assert "ZeroDivisionError" in feedback
