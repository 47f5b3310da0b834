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
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell, new_output

from mtl_tutorial import widgets
from mtl_tutorial.commands import UsageError
from mtl_tutorial.commands.answers import puzzle
from mtl_tutorial.commands.build import explorable_of
from mtl_tutorial.commands.copies import LAB, after_a_guess
from mtl_tutorial.commands.hosts import elsewhere
from mtl_tutorial.commands.lessons import checks
from mtl_tutorial.widgets.alt_text import HTML, PLAIN, show_description
from mtl_tutorial.widgets.view import View

FOLD = (
    "<details class='answer'><summary><span class='shut'>{}</span>"
    "<span class='open'>Hide</span></summary>"
)
TOLD = FOLD.format("See what came out") + "{}</details>"
TRAINS = {"loss_weight_tuner", "gradnorm_stepper"}
# By widget: the setting of the playground that is nearest to it.
PLAYGROUND = {
    "SingleTaskTrainer": "tasks=box",
    "LossWeightTuner": "tasks=digit,box",
    "GradNormStepper": "method=gradnorm",
}
# What a notebook says, and a page says otherwise.
SPEECH = (
    (
        re.compile(r"([Bb])efore you run the (?:two )?next cells?"),
        r"\1efore you open what comes next",
    ),
    (re.compile(r"A cell like the next one asks"), "What comes next asks"),
    (re.compile(r"Open the cell when"), "Open the code when"),
    (re.compile(r"\[start here\]\(00_start_here\.ipynb\)\.\s*$"), "[all lessons](../map.md)."),
)
TO_RUN = re.compile(  # said of an exercise, where the page has Check and Hint
    r"\s*(?:Put (?:the|your) answer where the `\.\.\.` is[^.?]*\.)?"
    r"\s*(?:Stuck\? |Where you are stuck, )?`q1\.hint\(\)`[^.]*?`q1\.solution\(\)` shows code\."
)
SENTENCE = re.compile(r"(?<=[.?!])\**\s+(?=[A-Z*])")
NOT_SHOWN = re.compile(r"(?m)^# NBVAL_CHECK_OUTPUT\n|  # noqa\b.*$")
LINKS = '<p class="links">{}</p>'
WIDGET = '<div class="mtl-widget"'
HARMLESS = {"guess", "list"}
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
    folded: set[int] = set()
    choices: dict[str, list[str]] = {}
    for number, cell in enumerate(page.cells, 1):
        tags = cell.metadata.setdefault("tags", [])
        if cell.cell_type == "markdown":
            for said, instead in SPEECH:
                cell.source = said.sub(instead, cell.source)
            if cell.source.startswith("# "):
                cell.source += f"\n\n{_links(name)}"
            elif "answer" in tags:
                folded.add(id(cell))
        if cell.cell_type != "code":
            continue
        cell.metadata.pop("jupyter", None)
        source = cell.source
        cell.source = NOT_SHOWN.sub("", source)
        for place, output in enumerate(cell.outputs):
            show_description(output)
            file = pictures / f"{name}-{number}-{place}.png"
            if _as_file(output, file) and (widget := _widget(output, cell.source)):
                module, state, shown = widget
                made = Widget(name, output.data[HTML], file.name, module, state)
                found.setdefault(shown, made)
                output.data[HTML] = f"{WIDGET}>{shown_of(made, shown)}</div>"
            else:
                _ask_for_a_guess(output, source, choices)
        if checked := checks(source):
            _ask(cell, name, checked[0])
        elif id(cell) in telling and not any(WIDGET in _shown(out) for out in cell.outputs):
            if cell.outputs:
                folded.add(id(cell))
                cell.metadata.tags = sorted({*tags, "hide-input"})
        elif _only_guesses(source):
            tags.append("remove-input")
        elif id(cell) in telling:  # its widget is for the hand, and stays
            for output in cell.outputs:
                if "mtl-compared" in _shown(output):
                    output.data[HTML] = TOLD.format(_shown(output))
    for cell, after in zip(page.cells, page.cells[1:], strict=False):
        if cell.cell_type == "markdown" and "judged by Python" not in str(after.get("outputs")):
            cell.source = TO_RUN.sub("", cell.source)
    page.cells = list(_in_folds(page.cells, folded))
    return page, found


def _in_folds(cells: Sequence[NotebookNode], folded: set[int]) -> Iterator[NotebookNode]:
    """Close what tells a guess: neighbours in one fold, named by what it holds.

    An answer that ends with a colon goes over to what follows: its last paragraph stays open, or
    its last sentence where it has but one paragraph.
    """
    inside: list[NotebookNode] = []
    for cell in cells:
        if id(cell) not in folded:
            yield from _fold(inside)
            yield cell
            inside = []
        elif cell.cell_type == "markdown" and cell.source.rstrip().endswith(":"):
            *first, last = cell.source.rstrip().split("\n\n")
            if not first and (ends := [found.end() for found in SENTENCE.finditer(last)]):
                first, last = [last[: ends[-1]].rstrip()], last[ends[-1] :]
            yield from _fold([*inside, *(new_markdown_cell(part) for part in first)])
            yield new_markdown_cell(last)
            inside = []
        else:
            inside.append(cell)
    yield from _fold(inside)


def _fold(cells: Sequence[NotebookNode]) -> list[NotebookNode]:
    if not cells:
        return []
    texts = any(cell.cell_type == "markdown" for cell in cells)
    pictures = any("<img" in _shown(out) for cell in cells for out in cell.get("outputs", ()))
    names = ["the picture"] * pictures + ["the answer"] * texts or ["what is printed"]
    opened = new_markdown_cell(FOLD.format(f"See {' and '.join(names)}"))
    return [opened, *cells, new_markdown_cell("</details>")]


def shown_of(widget: Widget, name: str) -> str:
    """Give a widget as a page shows it: alive, or its picture below what it takes to move it.

    Args:
        widget: as a lesson shows it.
        name: of its class.
    """
    if not widget.module:
        full = f'<a href="../_static/pictures/{widget.file}">{widget.picture}</a>'
        return f"{_note(widget, name)}{full}"
    alive = live(widget.module, widget.state, widget.picture)
    return f"{_note(widget, name)}{alive}" if widget.module in TRAINS else alive


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
    return "guess" in (names := {ast.unparse(call.func) for call in called}) and names <= HARMLESS


def _note(widget: Widget, name: str) -> str:
    """Say where a widget moves that a page can't move, or not all of it."""
    where = f"in JupyterLab, <code>{LAB} {widget.lesson[:2]}</code>"
    words = (
        f"It trains {where}; here, grey controls rest."
        if widget.module
        else f"On this page this is a picture; it moves {where}."
    )
    if setting := PLAYGROUND.get(name):
        link = f'<a href="../playground/index.html#{setting}">playground</a>'
        words += f" A network like it trains in the {link}."
    return f'<p class="needs-kernel">{words}</p>'


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


def _ask_for_a_guess(output: NotebookNode, source: str, known: dict[str, list[str]]) -> None:
    """Replace what a guess shows by a place for it, and what came out by what the page fills in.

    Args:
        known: the choices of each guess so far.
    """
    data = output.get("data", {})
    if found := GUESS.search(source):
        question, choose, choices = data.get(PLAIN, "").partition(" Choose: ")
        if not choose:
            question, _, _ = question.partition(" Your guess: ")
        words = known[found[1]] = choices.split(" / ") if choose else []
        output.data = {HTML: exercise({"guess": found[1], "question": question, "choices": words})}
    elif (found := COMPARED.search(source)) and data.get(PLAIN, "").startswith("No guess yet."):
        came_out = data[PLAIN].removeprefix("No guess yet.").strip()
        for choice in known.get(found[1], ()):
            if came_out.casefold() == f"{choice} came out.".casefold():
                came_out = f"It was “{choice}”."
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
