"""Turns a lesson into an assignment for nbgrader, which its own checkers grade."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell

from mtl_tutorial.commands import UsageError
from mtl_tutorial.commands.copies import for_learner
from mtl_tutorial.commands.kernel import name_kernel
from mtl_tutorial.commands.lessons import checks, find_lesson, parse
from mtl_tutorial.writing import write_whole

EXERCISES = "mtl_tutorial.exercises.lesson_"
NOTE = """**This lesson is graded.** Each exercise is followed by a cell that grades your `answer`;
leave these cells as they are, and run them as often as you like. Grading runs the notebook anew, so
what a hand has moved is not there: where an answer is a widget, write down in code where you left
it, as in `mixer.sliders[2, 1].value = 0.5`."""
CONFIG = """# Settings of nbgrader for the assignments in the folder "source".
c = get_config()  # noqa: F821
c.CourseDirectory.course_id = "mtl_tutorial"
c.ExecutePreprocessor.timeout = 600  # seconds a cell
"""


def assignment(name: str, out: Path = Path("grading"), *, folder: Path | None = None) -> Path:
    """Write ``OUT/source/LESSON/LESSON.ipynb``, and nbgrader's settings where there are none.

    The assignment is the lesson, without outputs, with a graded cell after each exercise. It holds
    no solution; a point is a right answer.

    Args:
        name: of the lesson, or its number.
        out: the folder of nbgrader's course.
        folder: where the lessons lie, if not where those of the course are.

    Returns:
        The file that was written.

    Raises:
        UsageError: for an unknown lesson, one without exercises, or an assignment that is there.
    """
    lesson = find_lesson(name, folder)
    try:
        notebook = graded(parse(lesson.read_text(encoding="utf-8")))
    except ValueError as error:
        raise UsageError(f"{lesson} can't be made into an assignment: {error}") from None
    path = out / "source" / lesson.stem / lesson.name
    if path.exists():
        raise UsageError(
            f"{path} is there already, and may have changes of yours; remove it to write it anew"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    if not (settings := out / "nbgrader_config.py").exists():
        write_whole(settings, CONFIG.encode())
    write_whole(path, (nbformat.writes(notebook) + "\n").encode())
    return path


def graded(lesson: NotebookNode) -> NotebookNode:
    """Give a lesson as nbgrader's source of an assignment.

    Raises:
        ValueError: where it has no exercises.
    """
    notebook, number, cells = for_learner(lesson), None, []
    graded: set[str] = set()
    for at, cell in enumerate(notebook.cells):
        cells.append(cell)
        if cell.cell_type != "code":
            if at == 0:
                cells.append(new_markdown_cell(NOTE, id="graded"))
            continue
        cell.update(outputs=[], execution_count=None)
        if number is None and (imported := _imported(cell.source)):
            number, names = imported
            source = (
                "from mtl_tutorial.exercises.grading import without_solutions\n\n"
                f"{', '.join(names)} = without_solutions({', '.join(names)})"
            )
            cells.append(_locked("without_solutions", source))
        for name in checks(cell.source) if number else ():
            if name in graded:
                raise ValueError(
                    f"{name} is checked in two places, and nbgrader grades each exercise once; "
                    f"leave one of them out"
                )
            graded.add(name)
            source = (
                "# This cell grades the answer above. Leave it as it is.\n"
                "from mtl_tutorial.exercises.grading import grade\n\n"
                f'grade("{number}", "{name}", answer)'
            )
            cells.append(_locked(f"grade_{name}", source, points=1))
    if not graded:
        raise ValueError(
            f"it has no exercise that is imported, as by 'from {EXERCISES}02 import q1', and "
            f"checked, as by 'q1.check(answer)'"
        )
    notebook.cells = cells
    notebook.metadata.pop("mtl_tutorial", None)  # it is no lesson to be built
    notebook.metadata.pop("widgets", None)
    name_kernel(notebook.metadata)
    return notebook


def _imported(source: str) -> tuple[str, list[str]] | None:
    """The number of the lesson of which a cell imports exercises, and their names."""
    try:
        lines = ast.parse(source).body
    except SyntaxError:  # such as a line for the shell
        return None
    for line in lines:
        if isinstance(line, ast.ImportFrom) and (line.module or "").startswith(EXERCISES):
            module, names = str(line.module), [found.asname or found.name for found in line.names]
            return module.removeprefix(EXERCISES), names
    return None


def _locked(name: str, source: str, points: int | None = None) -> NotebookNode:
    """Give a cell that nbgrader keeps as it is, and grades where it has points."""
    marks: dict[str, Any] = {
        "grade_id": name,
        "grade": points is not None,
        "locked": True,
        "solution": False,
        "task": False,
        "schema_version": 3,
    }
    if points is not None:
        marks["points"] = points
    return new_code_cell(source, id=name, metadata={"nbgrader": marks, "deletable": False})
