"""Where the lessons lie, and which one a name means."""

from __future__ import annotations

import os
from pathlib import Path

from mtl_tutorial.commands import UsageError


def lessons(folder: Path | None = None) -> list[Path]:
    """Give the notebooks in the order of the course.

    Args:
        folder: where they lie; left out, ``notebooks`` of the checkout.

    Raises:
        UsageError: where there are none, as in a package installed without its repository.
    """
    folder = folder or Path(__file__).resolve().parents[2] / "notebooks"
    found = sorted(folder.glob("[0-9][0-9]_*.ipynb"))
    if not found:
        raise UsageError(
            "the lessons are not part of the installed package: clone the repository, run "
            "'python -m pip install -e .' in it, and start again from there"
        )
    return found


def find_lesson(name: str, folder: Path | None = None) -> Path:
    """Give the notebook that a number, a name or a path means.

    Args:
        name: such as ``2``, ``02``, ``02_hard_sharing`` or ``notebooks/02_hard_sharing.ipynb``.
        folder: as for :func:`lessons`.

    Raises:
        UsageError: naming the lessons, where it means none of them; or that it is a folder.
    """
    if name.endswith(".ipynb") and os.path.isdir(name):
        raise UsageError(f"{name} is a folder, and a notebook is a file; give the path of the file")
    if name.endswith(".ipynb") and os.path.isfile(name):  # unlike Path's, False for any other name
        return Path(name).resolve()
    number = f"{name.lstrip('0'):0>2}_" if name.isdecimal() else None
    stem = name.removesuffix(".ipynb")
    found = lessons(folder)
    for path in found:
        if path.stem == stem or (number and path.stem.startswith(number)):
            return path
    raise UsageError(
        f"lesson must be one of {', '.join(path.stem for path in found)} or its number, "
        f"got {name!r}"
    )
