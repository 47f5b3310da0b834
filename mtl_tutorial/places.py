"""Where the lessons and the results that come with the course lie, and a learner's own copies."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).resolve().parent
OWN_COPIES = "my_lessons"


def course_folder(name: str) -> Path:
    """Give ``notebooks`` or ``results``: those of an installed package, or the checkout's."""
    installed = PACKAGE / "course" / name
    return installed if installed.exists() else PACKAGE.with_name(name)


NOTEBOOKS, RESULTS = course_folder("notebooks"), course_folder("results")


def read_from_course(path: Path) -> dict[str, Any]:
    """Read a file of results that comes with the course.

    Raises:
        ValueError: where it is not there.
    """
    if not path.is_file():
        raise ValueError(
            f"{path.name} is not in {path.parent}; it comes with a checkout of the course: install "
            f"the package from there with 'python -m pip install -e .'"
        )
    return json.loads(path.read_text(encoding="utf-8"))


def own_folder(notebooks: Path) -> Path:
    """Give the folder of a learner's copies of lessons.

    It lies beside the lessons, or, where these are part of an installed package, in the folder in
    which the learner works.
    """
    beside = Path.cwd() if notebooks.is_relative_to(PACKAGE) else notebooks.parent
    return beside / OWN_COPIES
