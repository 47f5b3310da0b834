"""The map that JupyterLab opens at: every lesson, and what a learner has done of it so far."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from mtl_tutorial.commands.copies import LAB, after_a_guess
from mtl_tutorial.commands.course import Lesson, course
from mtl_tutorial.commands.lessons import checks, parse
from mtl_tutorial.writing import write_whole

MAP = "00_map_of_the_course.md"  # stands before the first lesson
HEAD = """# The course on one page

A click opens a lesson. This page is written anew when the course starts and a lesson is saved.

| lesson | the question that it answers | its widget | minutes | so far |
|---|---|---|---|---|
"""


class Progress(NamedTuple):
    """What was done in a copy of a lesson.

    Attributes:
        seen: cells that follow a guess and were run.
        to_see: all that follow a guess.
        solved: exercises whose last answer was right.
        exercises: all of them.
    """

    seen: int
    to_see: int
    solved: int
    exercises: int

    def __str__(self) -> str:
        if not self.seen and not self.solved:
            return "not\u00a0begun"  # in one line of a narrow column
        words = [f"{self.seen} of {self.to_see} answers seen"] if self.to_see else []
        if self.exercises:
            words.append(f"{self.solved} of {self.exercises} exercises solved")
        return "; ".join(words)


def progress(lesson: Path, own: Path) -> Progress:
    """Read what was done in a learner's copy; nothing where there is none.

    Args:
        lesson: as it was committed.
        own: the copy.
    """
    telling, exercises = _of_lesson(lesson)
    try:
        cells = json.loads(own.read_text(encoding="utf-8"))["cells"]
        code = [cell for cell in cells if cell["cell_type"] == "code"]
        seen = {cell.get("id") for cell in code if cell.get("execution_count")} & telling
        solved = set(filter(None, (_solved(out) for cell in code for out in cell["outputs"])))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):  # damaged, in some way
        seen, solved = set(), set()
    return Progress(len(seen), len(telling), len(solved), exercises)


@functools.cache
def _of_lesson(lesson: Path) -> tuple[frozenset[str], int]:
    """The cells that follow a guess, by id, and the number of exercises."""
    notebook = parse(lesson.read_text(encoding="utf-8"))
    telling = frozenset(cell.get("id", "") for cell in after_a_guess(notebook))
    return telling, len({name for cell in notebook.cells for name in checks(cell.source)})


def _solved(output: Mapping[str, Any]) -> str | None:
    """The number of the exercise to whose right answer an output is the reply."""
    text = "".join(output.get("data", {}).get("text/plain", ""))
    found = re.match(r"Exercise (\d+)\. Correct\.", text)
    return found and found[1]


def map_page(lessons: Iterable[Lesson], folder: Path) -> str:
    """Give the map as Markdown.

    Args:
        lessons: of the course.
        folder: of the learner's copies.
    """
    rows = [
        f"| [{one.short_title}]({one.path.name}) | {one.question} | {one.widget} "
        f"| {one.minutes} + {one.exercises} | {progress(one.path, folder / one.path.name)} |"
        for one in lessons
    ]
    again = f"`{LAB} --fresh 02` starts a lesson anew; your old copy is kept beside the new one."
    return HEAD + "\n".join(rows) + f"\n\n{again}\n"


def write_map(folder: Path, lessons_folder: Path) -> Path:
    """Write the map beside the copies; give its path.

    Raises:
        OSError: where it can't be written.
    """
    path = folder / MAP
    write_whole(path, map_page(course(lessons_folder), folder).encode())
    return path
