"""Where the course is published, and its lessons on the machines of others: Colab and Binder."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell

from mtl_tutorial.commands import UsageError
from mtl_tutorial.commands.build import read
from mtl_tutorial.commands.copies import for_learner
from mtl_tutorial.places import PACKAGE

SETTINGS = PACKAGE.parent / "pyproject.toml"
GITHUB = re.compile(r"https://github\.com/([\w-]+/[\w.-]+?)(?:\.git)?/?")
BRANCH = "colab"  # on which .github/workflows/site.yml puts the folder of that name
COLAB = f"https://colab.research.google.com/github/{{}}/blob/{BRANCH}/{{}}.ipynb"
BINDER = "https://mybinder.org/v2/gh/{}/HEAD?urlpath=lab/tree/my_lessons/{}.ipynb"
SET_UP = """\
# Where the course is not installed, such as on Colab, this gets it: about a minute, once.
import importlib.util
if importlib.util.find_spec("mtl_tutorial") is None:
    %pip install --quiet git+https://github.com/{}
    importlib.invalidate_caches()"""


def address() -> str:
    """Give the address at which the site is published, up to a slash; empty where none is known.

    Raises:
        UsageError: where the setting is no address.
    """
    if not (given := _setting("site")):
        return ""
    if re.fullmatch(r"https?://[^\s/]\S*", given):
        return f"{given.rstrip('/')}/"
    raise UsageError(
        f"the site's address has the form https://HOST/FOLDER/, got {given!r}; change MTL_SITE, or "
        "site in [tool.mtl_tutorial] of pyproject.toml"
    )


def repository() -> str:
    """Give the repository of the course on GitHub, as ``OWNER/NAME``; empty where none is known.

    Raises:
        UsageError: where the setting is no address of a repository.
    """
    if not (given := _setting("repository")):
        return ""
    if found := GITHUB.fullmatch(given):
        return found[1]
    raise UsageError(
        f"the repository's address has the form https://github.com/OWNER/NAME, got {given!r}; "
        "change MTL_REPOSITORY, or repository in [tool.mtl_tutorial] of pyproject.toml"
    )


def _setting(name: str) -> str:
    """The value of a variable such as ``MTL_SITE``, else that of pyproject.toml."""
    if (given := os.environ.get(f"MTL_{name.upper()}")) is not None:
        return given
    if not SETTINGS.exists():
        return ""
    text = SETTINGS.read_text(encoding="utf-8", errors="replace")
    own = re.search(r"(?ms)^\[tool\.mtl_tutorial\][ \t]*(?:#.*?)?$(.*?)(?=^\s*\[|\Z)", text)
    found = re.search(rf"(?m)^\s*{name}\s*=\s*([\"'])(.*?)\1", own[1] if own else "")
    return found[2] if found else ""


def elsewhere(lesson: str) -> dict[str, str]:
    """Give where a lesson can be run without installing it: words and addresses.

    Args:
        lesson: its name.
    """
    if not (known := repository()):
        return {}
    return {"On Colab": COLAB.format(known, lesson), "On Binder": BINDER.format(known, lesson)}


def write_for_colab(lessons: Sequence[Path], folder: Path) -> None:
    """Write learners' copies that get the course by themselves, where the repository is known.

    Args:
        lessons: as they were committed.
        folder: is made.
    """
    if not (known := repository()):
        return
    folder.mkdir()
    for path in lessons:
        notebook = for_learner(read(path)[0])
        notebook.cells.insert(1, new_code_cell(SET_UP.format(known), id="set-up"))
        nbformat.write(notebook, folder / path.name)
