"""Runs cells of a lesson by their tag, so that tests can hold them against the package."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import nbformat

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"


def run_tagged(notebook: str, tag: str) -> dict[str, Any]:
    """Run the code cells of a lesson that carry a tag, and give the names they define.

    Imports of all cells count; nothing else of cells without the tag is run.

    Args:
        notebook: its name, such as ``"02_hard_sharing"``.
        tag: such as ``"from-scratch"``.
    """
    lesson = nbformat.read(NOTEBOOKS / f"{notebook}.ipynb", as_version=4)
    namespace: dict[str, Any] = {"__name__": notebook}
    tagged = 0
    for cell in lesson.cells:
        if cell.cell_type != "code":
            continue
        tree = ast.parse(cell.source)
        if tag in cell.metadata.get("tags", ()):
            tagged += 1
        else:
            tree.body = [
                node for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom))
            ]
        exec(compile(tree, f"{notebook}, cell {cell.id}", "exec"), namespace)
    assert tagged, f"{notebook} has no cell tagged {tag!r}"
    return namespace
