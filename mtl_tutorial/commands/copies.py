"""The learner's own copies of the lessons: answers that follow a guess are not yet shown."""

from __future__ import annotations

import ast
import copy
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import nbformat
from nbformat import NotebookNode

from mtl_tutorial.commands import UsageError
from mtl_tutorial.commands.lessons import lessons, no_notebook, parse
from mtl_tutorial.places import NOTEBOOKS, own_folder
from mtl_tutorial.widgets.alt_text import show_description

FOLDED = (
    "<details><summary>Open after you have run the cell above</summary>\n\n{text}\n\n</details>"
)
HEADING = re.compile(r" {0,3}#{1,6}(\s|$)")
SPOILERS = {".compare", "claim"}  # what is called where code says what comes out
FENCE = re.compile(r" {0,3}(```|~~~)")
LAB = "python -m mtl_tutorial lab"


def lesson_of(path: Path) -> Path | None:
    """Give the committed lesson that ``path`` is, or is the copy of; None for another notebook."""
    if path.parent not in (NOTEBOOKS, own_folder(NOTEBOOKS)):
        return None
    return next((lesson for lesson in lessons() if lesson.name == path.name), None)


class Copy(NamedTuple):
    """A learner's copy of a lesson.

    Attributes:
        path: where it is.
        made: the copies that are new, of this lesson and others.
        told: what is to be said, a line each: where an old copy is kept, which copies JupyterLab
            would not open, which lessons changed since they were copied.
    """

    path: Path
    made: list[Path]
    told: list[str]


def own_copy(lesson: Path, *, fresh: bool = False) -> Copy:
    """Give the learner's copy of a lesson, with those of the other lessons beside it.

    Args:
        lesson: as it was committed.
        fresh: start anew; the copy that is there is kept under another name.

    Raises:
        UsageError: where the copy can't be made, or JupyterLab would not open it.
    """
    course, folder = lessons(lesson.parent), own_folder(lesson.parent)
    own, made, told = folder / lesson.name, [], []
    _make_folder(folder)
    if fresh:
        if kept := start_anew(lesson, folder):
            told.append(f"Your copy of {lesson.stem} so far is kept as {kept.name}.")
        made.append(own)
    made += make_copies(course, folder)
    if problem := damage(own):
        raise UsageError(problem)
    return Copy(own, made, told + remarks(course, folder))


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(exist_ok=True)
    except FileExistsError:
        raise UsageError(
            f"{folder} is no folder, and your copies of the lessons need one of that name; "
            f"rename it, or look at the lessons with '{LAB} --show'"
        ) from None
    except OSError as error:
        raise _locked(folder, error.strerror) from None
    if not os.access(folder, os.W_OK):
        raise _locked(folder, "it is not yours to write")


def make_copies(course: Sequence[Path], folder: Path) -> list[Path]:
    """Copy the lessons that have no copy yet; one that is there stays as it is.

    Returns:
        The new copies.

    Raises:
        UsageError: where the folder can't be written, or a lesson can't be read.
    """
    made = []
    try:
        for lesson in course:
            if not os.path.lexists(own := folder / lesson.name):
                with suppress(FileExistsError):  # somebody else was faster
                    _write_new(own, _content(lesson))
                    made.append(own)
    except OSError as error:
        raise _locked(folder, error.strerror) from None
    return made


def start_anew(lesson: Path, folder: Path) -> Path | None:
    """Copy a lesson once more, and keep the copy that is there under another name.

    Returns:
        The copy that was kept, if there was one.

    Raises:
        UsageError: where the folder can't be written, or the lesson can't be read; the copy is then
            where it was.
    """
    path, content = folder / lesson.name, _content(lesson)
    kept = _free_name(path) if os.path.lexists(path) else None
    try:
        if kept:
            os.rename(path, kept)
        _write_new(path, content)
    except OSError as error:
        if kept and os.path.lexists(kept):
            os.rename(kept, path)
        raise _locked(folder, error.strerror) from None
    return kept


def _locked(folder: Path, reason: str | None) -> UsageError:
    return UsageError(
        f"{folder} can't be written ({reason}), and it is for your copies of the lessons; make it "
        f"writable, clone the repository to a folder of your own, or look at the lessons with "
        f"'{LAB} --show'"
    )


def _free_name(path: Path) -> Path:
    """Give a name for what lies at ``path``, such as ``02_hard_sharing.2026-11-27_0312.ipynb``."""
    stem, number = f"{path.stem}.{datetime.now():%Y-%m-%d_%H%M}", 1
    free = path.with_name(f"{stem}.ipynb")
    while os.path.lexists(free):
        number += 1
        free = path.with_name(f"{stem}_{number}.ipynb")
    return free


def _write_new(path: Path, content: bytes) -> None:
    """Write a file that is not there yet, whole or not at all."""
    file = open(path, "xb")
    try:
        with file:
            file.write(content)
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _content(lesson: Path) -> bytes:
    try:
        notebook = for_learner(parse(lesson.read_text(encoding="utf-8")))
    except ValueError as error:
        raise no_notebook(lesson, error) from error
    return (nbformat.writes(notebook) + "\n").encode()


def for_learner(lesson: NotebookNode) -> NotebookNode:
    """Give a lesson as it is before a learner's first guess.

    Left out are the outputs of code between a ``guess(`` and the next heading, and those of any
    ``compare(`` of a guess with what came out; Markdown with the tag ``answer`` is folded. Code
    that says what comes out (a comparison, a claim, the title of a picture) is folded as well.
    Pictures have their description where a screen reader finds it.
    """
    notebook = copy.deepcopy(lesson)
    telling = {id(cell) for cell in after_a_guess(notebook)}
    for cell in notebook.cells:
        if cell.cell_type == "code":
            for output in cell.outputs:
                show_description(output)
            if id(cell) in telling:
                cell.update(outputs=[], execution_count=None)
                if tells(cell.source):
                    cell.metadata.setdefault("jupyter", {})["source_hidden"] = True
        elif cell.cell_type == "markdown" and "answer" in cell.metadata.get("tags", ()):
            cell.source = FOLDED.format(text=cell.source.strip("\n"))
    return notebook


def tells(source: str) -> bool:
    """Whether code says what comes out: a comparison, a claim, the title of a picture."""
    return bool(set(_calls(source)) & SPOILERS) or "title=" in source


def after_a_guess(lesson: NotebookNode) -> Iterator[NotebookNode]:
    """Give the code cells that tell what was to be guessed.

    They stand between a ``guess(`` and the next heading, or compare a guess with what came out.
    """
    guessed = False
    for cell in lesson.cells:
        if cell.cell_type == "code":
            called = set(_calls(cell.source))
            if ".compare" in called or (guessed and "guess" not in called):
                yield cell
            guessed = guessed or "guess" in called
        elif cell.cell_type == "markdown":
            guessed = guessed and not _has_heading(cell.source)


def _calls(source: str) -> Iterator[str]:
    """The functions that a cell calls, by name, and the methods with a point before theirs."""
    try:
        tree = ast.parse(source)
    except SyntaxError:  # such as a line for the shell
        yield from re.findall(r"(\.?\b\w+)\(", source)
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            yield node.func.id
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            yield f".{node.func.attr}"


def _has_heading(text: str) -> bool:
    """Tell whether a Markdown cell has a heading, and not only a comment in a block of code."""
    fenced = False
    for line in text.splitlines():
        if FENCE.match(line):
            fenced = not fenced
        elif not fenced and HEADING.match(line):
            return True
    return False


def damage(path: Path) -> str | None:
    """Say why JupyterLab would not open a copy, and how to go on; nothing where it would."""
    try:
        parse(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        return (
            f"{path} can't be opened ({reason}); '{LAB} --fresh {path.name[:2]}' starts this "
            f"lesson anew, and keeps the file under another name"
        )
    return None


def remarks(course: Sequence[Path], folder: Path) -> list[str]:
    """Say which copies JupyterLab would not open, and which lessons changed since; a line each."""
    told, numbers = [], []
    for lesson in course:
        own = folder / lesson.name
        if problem := damage(own):
            told.append(f"{problem}.")
        elif _has_changed(lesson, own):
            numbers.append(lesson.name[:2])
    if numbers:
        *most, last = numbers
        which = f"Lessons {', '.join(most)} and {last} have" if most else f"Lesson {last} has"
        told.append(
            f"{which} changed since your copy was made; '{LAB} --fresh {numbers[0]}' starts "
            f"{'one' if most else 'it'} anew, and keeps your copy under another name."
        )
    return told


def _has_changed(lesson: Path, own: Path) -> bool:
    """Tell whether a lesson has other cells than it had when the copy was made, if it is known."""
    now, then = (_digest(path) for path in (lesson, own))
    return None not in (now, then) and now != then


def _digest(path: Path) -> str | None:
    try:
        notebook = parse(path.read_text(encoding="utf-8"))
        return notebook.metadata["mtl_tutorial"]["digest"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
