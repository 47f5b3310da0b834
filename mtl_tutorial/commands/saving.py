"""What JupyterLab writes when a lesson is saved: widgets with a copy, nothing but text with git."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from mtl_tutorial.commands.kernel import name_kernel
from mtl_tutorial.commands.lessons import parse

STATE = "application/vnd.jupyter.widget-state+json"
VIEW = "application/vnd.jupyter.widget-view+json"
NAMED = re.compile(r'"IPY_MODEL_([\w-]+)"|"model_id": "([\w-]+)"')
ON_THE_PAGE = ("collapsed", "execution", "jupyter", "scrolled")  # metadata that a look changes


def save_as_committed(model: dict[str, Any], path: str, contents_manager: Any) -> None:
    """Before a committed lesson is saved: keep out what opening and running it changed.

    A cell keeps the outputs and the folding of the file, unless its text was changed; outputs are
    for ``build`` to make.
    """
    if model["type"] != "notebook":
        return
    notebook = model["content"]
    name_kernel(notebook["metadata"])
    notebook["metadata"].pop("widgets", None)
    committed = {cell.get("id"): cell for cell in _saved(path, contents_manager).get("cells", ())}
    for cell in notebook["cells"]:
        before = committed.get(cell.get("id"), {})
        if _text(cell) == _text(before):
            _restore(cell, before, ("outputs", "execution_count"))
            _restore(cell["metadata"], before["metadata"], ON_THE_PAGE)


def _text(cell: dict[str, Any]) -> tuple[str | None, str]:
    return cell.get("cell_type"), "".join(cell.get("source", ""))  # a string, or its lines


def _restore(now: dict[str, Any], before: dict[str, Any], keys: Iterable[str]) -> None:
    for key in keys:
        now.pop(key, None)
        if key in before:
            now[key] = before[key]


def save_with_widgets(model: dict[str, Any], path: str, contents_manager: Any) -> None:
    """Before a copy is saved: keep the state of every widget that its outputs show, and no other.

    JupyterLab writes the widgets of the running kernel alone: those that an earlier run left on
    the page are taken from the file. An output whose widget is in neither shows its picture.
    """
    if model["type"] != "notebook":
        return
    notebook = model["content"]
    name_kernel(notebook["metadata"])
    models = {**_widgets(_saved(path, contents_manager)), **_widgets(notebook)}
    shown = []
    for data in _bundles(notebook):
        if VIEW in data and data[VIEW].get("model_id") in models:
            shown.append(data[VIEW]["model_id"])
        elif VIEW in data and len(data) > 1:
            del data[VIEW]
    notebook["metadata"].pop("widgets", None)
    if shown:
        state = {"version_major": 2, "version_minor": 0, "state": _needed(models, shown)}
        notebook["metadata"]["widgets"] = {STATE: state}


def _saved(path: str, contents_manager: Any) -> dict[str, Any]:
    """The notebook as the file has it; nothing where there is none."""
    try:
        file = Path(contents_manager.root_dir, path.strip("/"))
        return parse(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def _widgets(notebook: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The widgets' models by name, as they were saved."""
    return notebook.get("metadata", {}).get("widgets", {}).get(STATE, {}).get("state", {})


def _bundles(notebook: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """What the outputs show, each in all its kinds."""
    for cell in notebook["cells"]:
        for output in cell.get("outputs", ()):
            yield output.get("data", {})


def _needed(models: dict[str, dict[str, Any]], shown: Iterable[str]) -> dict[str, dict[str, Any]]:
    """The models that are shown, those of which they are made, and the links between them."""
    parts = {name: set(_parts(model)) & models.keys() for name, model in models.items()}
    kept, rest = set(), list(shown)
    while rest:
        name = rest.pop()
        if name not in kept:
            kept.add(name)
            rest += parts[name]
    kept |= {name for name, named in parts.items() if named and named <= kept}
    return {name: model for name, model in models.items() if name in kept}


def _parts(model: dict[str, Any]) -> Iterator[str]:
    for reference in NAMED.finditer(json.dumps(model.get("state", {}))):
        yield reference[1] or reference[2]
