"""Lessons as pages of the site: alive without a kernel, and with answers behind a click."""

from __future__ import annotations

import ast
import base64
import copy
import functools
import html
import importlib.util
import json
import pkgutil
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from nbformat import NotebookNode
from nbformat.v4 import new_output

from mtl_tutorial import widgets
from mtl_tutorial.commands import UsageError
from mtl_tutorial.commands.answers import puzzle
from mtl_tutorial.commands.build import explorable_of
from mtl_tutorial.commands.copies import LAB, after_a_guess, tells
from mtl_tutorial.commands.hosts import elsewhere
from mtl_tutorial.commands.lessons import checks
from mtl_tutorial.widgets.alt_text import HTML, PLAIN, show_description
from mtl_tutorial.widgets.view import View

FOLDED = "<details class='answer'><summary>The answer</summary>\n\n{}\n\n</details>"
TOLD = "<details class='answer'><summary>What came out</summary>{}</details>"
TRAINS = {"loss_weight_tuner", "gradnorm_stepper"}
LINKS = '<p class="links">{}</p>'
WIDGET = '<div class="mtl-widget"'
GUESS = re.compile(r"^(\w+) = guess\(", re.MULTILINE)
COMPARED = re.compile(r"(\w+)\.compare\(")
IN_TEXT = re.compile(r'src="data:image/png;base64,([^"]+)"')


class Widget(NamedTuple):
    """A widget as a lesson shows it.

    Attributes:
        lesson: its name.
        picture: HTML.
        file: of the picture.
        module: of `mtl_tutorial.web`; empty where a kernel draws it.
        state: to begin with.
    """

    lesson: str
    picture: str
    file: str
    module: str = ""
    state: Mapping[str, Any] = {}


def page_of(
    lesson: NotebookNode, name: str, pictures: Path
) -> tuple[NotebookNode, dict[str, Widget]]:
    """Give a lesson as the site shows it.

    Explorables are alive, guesses are made in the page, exercises that need no kernel are answered
    in it, and what tells a guess opens with a click.

    Args:
        lesson: as it was committed.
        name: of its notebook.
        pictures: the folder that gets its pictures.

    Returns:
        The page, and the lesson's widgets by their class.
    """
    page, found = copy.deepcopy(lesson), dict[str, Widget]()
    telling = {id(cell) for cell in after_a_guess(page)}
    for number, cell in enumerate(page.cells, 1):
        tags = cell.metadata.setdefault("tags", [])
        if cell.cell_type == "markdown":
            if cell.source.startswith("# "):
                cell.source += f"\n\n{_links(name)}"
            elif "answer" in tags:
                cell.source = FOLDED.format(cell.source.strip("\n"))
        if cell.cell_type != "code":
            continue
        cell.metadata.pop("jupyter", None)
        for place, output in enumerate(cell.outputs):
            show_description(output)
            file = pictures / f"{name}-{number}-{place}.png"
            if _as_file(output, file) and (widget := _widget(output, cell.source)):
                module, state, shown = widget
                picture = output.data[HTML]
                found.setdefault(shown, Widget(name, picture, file.name, module, state))
                more = live(module, state, picture) if module else picture
                if not module or module in TRAINS:
                    more += note(name)
                output.data[HTML] = f"{WIDGET}>{more}</div>"
            else:
                _ask_for_a_guess(output, cell.source)
        if checked := checks(cell.source):
            _ask(cell, name, checked[0])
        elif id(cell) in telling and not any(WIDGET in _shown(out) for out in cell.outputs):
            if cell.outputs:
                tags.append("hide-cell" if tells(cell.source) else "hide-output")
            cell.metadata["mystnb"] = {"code_prompt_show": "See what comes out"}
        elif _only_guesses(cell.source):
            tags.append("remove-input")
        elif id(cell) in telling:  # its widget is for the hand, and stays
            for output in cell.outputs:
                if "mtl-compared" in _shown(output):
                    output.data[HTML] = TOLD.format(_shown(output))
    return page, found


def _links(name: str) -> str:
    """What else a lesson is: slides, and a notebook that runs elsewhere."""
    links = {"As slides": f"../slides/{name}.html", **elsewhere(name)}
    return LINKS.format(" · ".join(f'<a href="{to}">{words}</a>' for words, to in links.items()))


def _shown(output: NotebookNode) -> str:
    return str(output.get("data", {}).get(HTML, ""))


def _only_guesses(source: str) -> bool:
    """Whether a cell asks for a guess and does nothing else."""
    try:
        lines = [node for node in ast.parse(source).body if not isinstance(node, ast.Expr)]
    except SyntaxError:  # such as a line for the shell
        return False
    called = [node for line in lines for node in ast.walk(line) if isinstance(node, ast.Call)]
    return bool(called) and all(ast.unparse(call.func) == "guess" for call in called)


def note(lesson: str) -> str:
    """Say where a network trains that a page has not."""
    return (
        f'<p class="needs-kernel">Its network runs in JupyterLab, <code>{LAB} {lesson[:2]}</code> '
        'or in the <a href="../playground/index.html">playground</a>.</p>'
    )


def live(module: str, state: Mapping[str, Any], picture: str = "") -> str:
    """Give the place of an explorable, which a script of the page brings to life.

    Args:
        module: of `mtl_tutorial.web`.
        state: to begin with.
        picture: HTML that is shown until then.
    """
    return f'<div class="mtl-live" data-module="{module}">{_data(state)}{picture}</div>'


def exercise(asked: dict[str, Any]) -> str:
    """Give the place of an exercise, or of a guess, which a script of the page builds."""
    return f'<div class="mtl-asked">{_data(asked)}</div>'


def _data(content: Any) -> str:
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    text = text.replace("<", "\\u003c")  # nothing in it ends the script, or begins a comment
    return f'<script type="application/json">{text}</script>'


def _html(text: str) -> NotebookNode:
    return new_output("display_data", {HTML: text})


def _as_file(output: NotebookNode, path: Path) -> bool:
    """Put a picture that stands in the text into a file, which the page loads when it is near."""
    found = IN_TEXT.search(_shown(output))
    if found is None:
        return False
    path.write_bytes(base64.b64decode(found[1]))
    link = f'loading="lazy" src="../_static/pictures/{path.name}"'
    output.data[HTML] = output.data[HTML].replace(found[0], link)
    return True


def _widget(output: NotebookNode, source: str) -> tuple[str, dict[str, Any], str] | None:
    """The module, state and class of the widget that a picture shows; None for other pictures."""
    kept = output.get("metadata", {}).pop("mtl_tutorial", None)
    if kept and (explorable := explorable_of(kept["widget"])):
        state = {**explorable.from_files(), **json.loads(kept["state"])}
        return explorable.module, state, explorable.__name__
    views = _views() & set(re.findall(r"\b([A-Z]\w+)\(", source))
    return ("", {}, views.pop()) if views else None


def _ask_for_a_guess(output: NotebookNode, source: str) -> None:
    """Replace what a guess shows by a place for it, and what came out by a click."""
    data = output.get("data", {})
    if found := GUESS.search(source):
        question, choose, choices = data.get(PLAIN, "").partition(" Choose: ")
        if not choose:
            question, _, _ = question.partition(" Your guess: ")
        words = choices.split(" / ") if choose else []
        output.data = {HTML: exercise({"guess": found[1], "question": question, "choices": words})}
    elif (found := COMPARED.search(source)) and data.get(PLAIN, "").startswith("No guess yet."):
        came_out = data[PLAIN].removeprefix("No guess yet.").strip()
        words = f"<b>No guess yet.</b> <span>{html.escape(came_out)}</span>"
        data[HTML] = f'<p class="mtl-compared" data-guess="{found[1]}">{words}</p>'


def _ask(cell: NotebookNode, lesson: str, name: str) -> None:
    """Have an exercise answered in the page; where only Python can judge, say so."""
    place = f"mtl_tutorial.exercises.lesson_{lesson[:2]}"
    module = importlib.import_module(place) if importlib.util.find_spec(place) else None
    if not hasattr(module, name):
        raise UsageError(
            f"{lesson} has {name}.check(...), and there is no {name} in {place}; add it there, or "
            f"take the line out of the lesson"
        )
    asked = puzzle(getattr(module, name), lesson)
    cell.outputs = [out for out in cell.outputs if "Not answered yet" not in str(out.get("data"))]
    if asked is None:
        words = f"{getattr(module, name).name} is judged by Python: <code>{LAB} {lesson[:2]}</code>"
        cell.outputs.append(_html(f'<p class="needs-kernel">{words}</p>'))
    else:
        cell.outputs.append(_html(exercise(asked)))
        cell.metadata.tags.append("remove-input")


@functools.cache
def _views() -> set[str]:
    """The names of the widgets that need a kernel."""
    for module in pkgutil.iter_modules(widgets.__path__):
        importlib.import_module(f"{widgets.__name__}.{module.name}")
    return {view.__name__ for view in View.__subclasses__()}
