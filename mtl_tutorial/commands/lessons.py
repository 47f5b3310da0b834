"""The lessons on disk: where they lie, which one a name means, what a file holds."""

from __future__ import annotations

import os
import re
import warnings
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from mtl_tutorial.commands import UsageError
from mtl_tutorial.places import NOTEBOOKS


def lessons(folder: Path | None = None) -> list[Path]:
    """Give the notebooks in the order of the course.

    Args:
        folder: where they lie; left out, where those of the course are.

    Raises:
        UsageError: where there are none, as in a package installed without its repository.
    """
    found = sorted((folder or NOTEBOOKS).glob("[0-9][0-9]_*.ipynb"))
    if not found:
        raise UsageError(
            f"there are no lessons in {folder or NOTEBOOKS}: install the package anew, or clone "
            f"the repository, run 'python -m pip install -e .' in it, and start again from there"
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


def checks(source: str) -> list[str]:
    """Give the exercises that a cell checks, such as ``["q1"]`` for ``q1.check(answer)``."""
    return re.findall(r"^\s*(q\d+)\.check\(", source, re.MULTILINE)


def no_notebook(path: Path, reason: object) -> UsageError:
    """Give the sentence for a file that should hold a lesson, and does not."""
    return UsageError(
        f"{path} is no notebook ({reason}); 'git checkout -- {path.name}' in its folder brings "
        f"back the committed one"
    )


def parse(text: str) -> NotebookNode:
    """Give the notebook that a file holds, as JupyterLab reads it.

    Raises:
        ValueError: with the reason, where it holds none.
    """
    if not text.strip():
        raise ValueError("the file is empty")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of cells without an id
            return nbformat.convert(nbformat.reader.reads(text), 4)
    except Exception as error:  # nbformat raises many kinds for what is no notebook
        if isinstance(error, (AttributeError, KeyError, TypeError)):
            raise ValueError("its JSON does not hold cells") from error
        told = error.__cause__ if isinstance(error, nbformat.reader.NotJSONError) else error
        raise ValueError(" ".join(str(getattr(told, "message", told)).split())[:200]) from error
