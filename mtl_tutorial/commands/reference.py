"""Pages of the site that are made of code and results: the map, the methods, what was found."""

from __future__ import annotations

import html
import importlib
import inspect
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from mtl_tutorial.commands.course import Lesson
from mtl_tutorial.commands.pages import TRAINS, Widget, shown_of
from mtl_tutorial.exercises import Exercise, choice

COMPASS = "GradientCompass"
# By class: the widget that shows what it does, and the state in which it begins.
METHODS: dict[str, tuple[str, dict[str, Any]]] = {
    "FixedWeights": ("LossScaleMixer", {}),
    "UncertaintyWeights": ("UncertaintyBowl", {}),
    "DynamicWeightAverage": ("", {}),
    "GradNorm": ("GradNormStepper", {}),
    "GradientNormWeights": (COMPASS, {"methods": ["sum", "gradient-norm weights"]}),
    "PCGrad": (COMPASS, {"methods": ["sum", "PCGrad"], "parts": True}),
    "MGDA": (COMPASS, {"methods": ["sum", "MGDA"]}),
    "FromTorchJD": (COMPASS, {"methods": ["UPGrad", "CAGrad", "IMTL-G"]}),
}
NETWORKS: dict[str, tuple[str, dict[str, Any]]] = {
    "HardSharing": ("LossWeightTuner", {}),
    "CrossStitch": ("CrossStitchMixer", {}),
    "MTAN": ("AttentionMaskViewer", {}),
    "CrossModalAttention": ("ModalityFader", {}),
    "ContrastiveAlignment": ("", {}),
    "Experts": ("", {}),
    "ClassicEncoder": ("", {}),
}
ROOMS = {"balancing": METHODS, "architectures": NETWORKS}
# The compass of the first page: two gradients of one length, which the sum hurts not yet.
FIRST_COMPASS = {
    "g1": [1.4, 0.0],
    "g2": [-0.9, 1.0724],
    "g3": [0.3, 1.5],
    "third": False,
    "parts": False,
    "methods": ["sum"],
    "offered": ["sum", "PCGrad"],
    "needles": [],
    "needle": 0,
}
FIRST_QUESTION = Exercise(
    name="One question",
    verdict=choice(
        "c",
        {
            "a": "Turn them to 135°, of one length. Whom does the sum hurt? Now make one longer.",
            "b": "Make g₂ twice as long as g₁, but keep the angle below 90°. Is anybody hurt?",
            "d": "Pull g₂ to the left, away from g₁, and make it long. Look at the sum's bars.",
        },
    ),
    praise="The sum goes where the longer gradient wants. Below 90° that still helps the shorter "
    "one a little; above it, it does not. Now tick PCGrad below the picture, one of the methods of "
    "this course: it first cuts away from each gradient what works against the other.",
    hints=("Change the angle alone, then one length alone.",),
    solution_code='answer = "c"',
)
ARXIV, ARXIV_LINK = re.compile(r"arXiv (\d{4}\.\d{5})"), r"[arXiv \1](https://arxiv.org/abs/\1)"
SOURCE = re.compile(r"Source: (.*?)(?:\n\s*\n|\Z)", re.DOTALL)


def map_of(lessons: Sequence[Lesson], shown: Mapping[str, Sequence[Widget]]) -> str:
    """Give the map of the course as Markdown.

    Args:
        lessons: in their order.
        shown: their widgets, by the lesson's name.
    """
    parts = []
    for part, members in groupby(lessons, lambda lesson: lesson.part):
        cards = "\n".join(_card(lesson, shown.get(lesson.name, ())) for lesson in members)
        parts.append(f'## {part}\n\n<div class="cards">\n{cards}\n</div>')
    return "\n\n".join(parts)


def _card(lesson: Lesson, shown: Sequence[Widget]) -> str:
    image = ""
    if shown:
        file = f"_static/pictures/{shown[0].file}"
        image = f'<img src="{file}" alt="" loading="lazy">'
    here = bool(shown) and shown[0].module not in {"", *TRAINS}
    time = f"{lesson.minutes} + {lesson.exercises} minutes"
    where = f"moves {'here' if here else 'in JupyterLab'}"
    return (
        f'<a class="card" href="lessons/{lesson.name}.html">{image}<b>{lesson.short_title}</b>'
        f"<span>{html.escape(lesson.question)}</span>"
        f"<small>{html.escape(lesson.widget)} · {where}<br>{time}</small></a>"
    )


def toctrees(lessons: Sequence[Lesson], others: Mapping[str, str]) -> str:
    """Give the site's table of contents, the lessons by their part."""
    trees = [
        ("The course", ["Map of the course <map>"]),
        *(
            (part, [f"{one.short_title} <lessons/{one.name}>" for one in members])
            for part, members in groupby(lessons, lambda lesson: lesson.part)
        ),
        ("Look up", [f"{title} <{page}>" for page, title in others.items()]),
    ]
    return "\n\n".join(
        f"```{{toctree}}\n:hidden:\n:caption: {caption}\n\n" + "\n".join(entries) + "\n```"
        for caption, entries in trees
    )


def methods_table(room: str) -> str:
    """Give a table of the methods of a room: what each does, and its source."""
    rows = ["| | what it does | source |", "|---|---|---|"]
    for name in ROOMS[room]:
        text = inspect.getdoc(_class(room, name)) or ""
        found = SOURCE.search(text)
        source = ARXIV.sub(ARXIV_LINK, " ".join(found[1].split())) if found else ""
        rows.append(f"| [`{name}`](methods/{name}.md) | {text.splitlines()[0]} | {source} |")
    return "\n".join(rows)


def method_page(room: str, name: str, widgets: Mapping[str, Widget]) -> str:
    """Give the page of a method: docstring and explorable side by side, then its code."""
    method = _class(room, name)
    widget, begin = ROOMS[room][name]
    shown = widgets.get(widget)
    beside = ""
    if shown:
        shown = shown._replace(state={**shown.state, **begin})
        where = f"[lesson {shown.lesson[:2]}](../lessons/{shown.lesson}.ipynb)"
        beside = f"\n{shown_of(shown, widget)}\n\nFrom {where}, where it is explained.\n"
    file = Path(inspect.getsourcefile(method) or "")
    functions = "\n".join(
        f".. autofunction:: mtl_tutorial.{room}.{f}" for f in _functions(room, name)
    )
    return f"""---
html_theme.sidebar_secondary.remove: true
---
# {name}

<div class="beside"><div>

```{{eval-rst}}
.. autoclass:: mtl_tutorial.{room}.{name}
   :members:

{functions}
```

</div><div class="shown">
{beside}
</div></div>

## Its code

`mtl_tutorial/{room}/{file.name}`, all of it:

```python
{file.read_text(encoding="utf-8").strip()}
```
"""


def _class(room: str, name: str) -> Any:
    return getattr(importlib.import_module(f"mtl_tutorial.{room}"), name)


def _functions(room: str, name: str) -> list[str]:
    """The functions of a method's module that its room exports: its formula without a network."""
    there = _class(room, name).__module__
    exported = {
        other: _class(room, other)
        for other in importlib.import_module(f"mtl_tutorial.{room}").__all__
    }
    return [n for n, f in exported.items() if inspect.isfunction(f) and f.__module__ == there]


def section(text: str, heading: str) -> str:
    """Give what stands under a heading of the second level in Markdown."""
    return text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0].strip()


def claims_table(path: Path) -> str:
    """Give every claim of the lessons with the sizes at which it turns, as Markdown."""
    if not path.is_file():
        return ""
    parts = ["## What the lessons claim"]
    for lesson, entry in json.loads(path.read_text(encoding="utf-8")).items():
        sizes = ", ".join(entry["sizes"])
        rows = [_claim_row(claim) for claim in entry["claims"]]
        head = "| claim | measured | bound | where it turns |\n|---|---|---|---|"
        link = f"[{lesson}](lessons/{lesson}.ipynb)"
        parts.append(f"### {link}\n\nRun at: {sizes}.\n\n{head}\n" + "\n".join(rows))
    return "\n\n".join(parts)


def _claim_row(claim: Mapping[str, Any]) -> str:
    first = next(iter(claim["values"].values()))
    measured = ", ".join(_plain(value) for value in first)
    bounds = [
        f"{words} {claim[key]:g}"
        for words, key in (("at least", "at_least"), ("at most", "at_most"))
        if claim[key] is not None
    ]
    turns = [*claim["turns"], *(f"{size} (outside its range)" for size in claim["turns_outside"])]
    cells = (claim["sentence"], measured, ", ".join(bounds) or "true", ", ".join(turns) or "–")
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _plain(value: float | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else f"{float(value):.3g}"


def filled(page: str, parts: Mapping[str, str]) -> str:
    """Put generated parts where a page has ``<!-- NAME -->``."""
    return re.sub(r"<!-- (\w+) -->", lambda found: parts.get(found[1], found[0]), page)


def names() -> Iterable[tuple[str, str]]:
    """Give the room and the name of every method that has a page."""
    return [(room, name) for room, methods in ROOMS.items() for name in methods]
