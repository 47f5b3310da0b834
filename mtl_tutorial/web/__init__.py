"""The modules that draw explorables in a browser, and how they become one text.

Served as they are, they import each other; a widget of the notebook gets one text, made here.
"""

from __future__ import annotations

import functools
import re
from pathlib import Path

FOLDER = Path(__file__).parent
IMPORT = re.compile(r'^import [^;]*? from "\./(?P<name>\w+)\.js";\n', re.MULTILINE)
EXPORT = re.compile(r"^export (?=(?:const|let|function|class|async) )", re.MULTILINE)
DECLARED = re.compile(
    r"^(?:export )?(?:const|let|function|class|async function) +(\w+)", re.MULTILINE
)


def imported(name: str) -> list[str]:
    """Give the modules that one needs, those first that others need, itself last."""
    found: list[str] = []

    def visit(module: str) -> None:
        for other in IMPORT.findall(source(module)):
            visit(other)
        if module not in found:
            found.append(module)

    visit(name)
    return found


def source(name: str) -> str:
    """Give the text of a module.

    Raises:
        ValueError: where there is none of that name.
    """
    path = FOLDER / f"{name}.js"
    if not path.is_file():
        known = ", ".join(sorted(other.stem for other in FOLDER.glob("*.js")))
        raise ValueError(f"module must be one of {known}, got {name!r}")
    return path.read_text(encoding="utf-8")


@functools.cache
def bundle(name: str) -> str:
    """Give a module with all that it imports as one text, which imports nothing.

    Only its own default export is left: what widgets are made of.
    """
    parts = [EXPORT.sub("", IMPORT.sub("", source(module))) for module in imported(name)]
    return "\n".join(parts)
