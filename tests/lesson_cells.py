"""Cells of a lesson: those with a tag, run; those with a widget, and what a cell needs to run."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Collection
from pathlib import Path
from typing import Any

import nbformat
from ipywidgets import DOMWidget

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


def code_sources(notebook: Path) -> list[str]:
    """The sources of a lesson's code cells, in their order."""
    cells = nbformat.read(notebook, as_version=4).cells
    return [cell.source for cell in cells if cell.cell_type == "code"]


def widget_cells(sources: list[str], kind: type = DOMWidget) -> list[int]:
    """The numbers of the code cells that make a widget of the package, or one of a kind."""
    trees = list(map(ast.parse, sources))
    widgets = {
        alias.asname or alias.name
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and "widgets" in node.module.split(".")
        for alias in node.names
        if is_a(kind, getattr(importlib.import_module(node.module), alias.name))
    }
    return [
        number
        for number, tree in enumerate(trees)
        if any(
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id in widgets
            for node in ast.walk(tree)
        )
    ]


def is_a(kind: type, thing: object) -> bool:
    return isinstance(thing, type) and issubclass(thing, kind)


def needed_for(sources: list[str], last: Collection[int]) -> list[int]:
    """The numbers of some code cells, and of those before them that define names they need."""
    kept: list[int] = []
    wanted: set[str] = set()
    for number in range(max(last), -1, -1):
        defined, used = names(ast.parse(sources[number]))
        if number in last or defined & wanted:
            kept.insert(0, number)
            wanted = (wanted - defined) | used
    return kept


def names(tree: ast.Module) -> tuple[set[str], set[str]]:
    """The names that a cell defines, and those that it uses."""
    defined: set[str] = set()
    used: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            (used if isinstance(node.ctx, ast.Load) else defined).add(node.id)
        elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            defined.add(node.name)
        elif isinstance(node, ast.alias):
            defined.add((node.asname or node.name).partition(".")[0])
    return defined, used
