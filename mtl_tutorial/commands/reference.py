"""Pages of the site that are made of code and results: the map, the methods, what was found."""

from __future__ import annotations

import ast
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
from mtl_tutorial.plots.results import (
    ALONE,
    ARCHITECTURE_NAMES,
    DATA_NAMES,
    METHOD_NAMES,
    method_label,
)

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
    "Experts": ("GateViewer", {}),
    "AskedNetwork": ("AskTheNetwork", {}),
    "ClassicEncoder": ("", {}),
}
ROOMS = {"balancing": METHODS, "architectures": NETWORKS}
# By class: its formula.
FORMULAS = {
    "FixedWeights": r"L = \sum_i \lambda_i L_i",
    "UncertaintyWeights": r"""L = \sum_i \left( c_i e^{-s_i} L_i + \tfrac{1}{2} s_i \right),
\qquad s_i = \log \sigma_i^2""",
    "DynamicWeightAverage": r"""\lambda_i = T \, \frac{e^{r_i / \tau}}{\sum_j e^{r_j / \tau}},
\qquad r_i = \frac{\bar{L}_i(t - 1)}{\bar{L}_i(t - 2)}""",
    "GradNorm": r"""\min_w \sum_i \lvert G_i - \bar{G} \, r_i^{\alpha} \rvert,
\qquad G_i = \lVert \nabla_W (w_i L_i) \rVert,
\quad \bar{G} = \tfrac{1}{T} \sum_i G_i,
\qquad r_i = \frac{L_i / L_i(0)}{\frac{1}{T} \sum_j L_j / L_j(0)}""",
    "GradientNormWeights": r"""\lambda_i =
\frac{\lVert \nabla_\theta L_i \rVert}{\sum_j \lVert \nabla_\theta L_j \rVert}""",
    "PCGrad": r"""v_i \leftarrow g_i,
\qquad v_i \leftarrow v_i - \frac{v_i \cdot g_j}{\lVert g_j \rVert^2} \, g_j
\qquad \text{where } v_i \cdot g_j < 0, \; j \neq i \text{ in random order};
\qquad g = \sum_i v_i""",
    "MGDA": r"""g = \sum_i a_i g_i, \qquad
a = \arg\min_{a_i \geq 0, \; \sum_i a_i = 1} \lVert \sum_i a_i g_i \rVert^2""",
    "FromTorchJD": r"""g = A(J), \quad J = (g_1, \ldots, g_T)^\top
\quad \text{or} \quad g = \nabla S(L_1, \ldots, L_T)""",
    "HardSharing": r"\hat{y}_i = g_{\varphi_i}(f_\theta(x))",
    "CrossStitch": r"\tilde{x}_i = \sum_j \alpha_{ij} \, x_j",
    "MTAN": r"""\hat{a}_{ij} = a_{ij} \odot p_j, \qquad a_{ij} = \sigma(\text{BN}(\text{1×1}(
\text{ReLU}(\text{BN}(\text{1×1}([u_j ; f_{j-1}(\hat{a}_{i,j-1})]))))))""",
    "CrossModalAttention": r"""\sum_m \sum_n \alpha_{mn} \, h_m \odot h_n, \qquad
\alpha_{mn} = \text{softmax}_n (h_m^\top W h_n)""",
    "ContrastiveAlignment": r"""z_m = \frac{P_m f_m(x_m)}{\lVert P_m f_m(x_m) \rVert}, \qquad
\text{logits} = \frac{z_1 z_2^\top}{\tau}""",
    "Experts": r"""\hat{y}_k = h_k \Big( \sum_i g_k(x)_i \, f_i(x) \Big), \qquad
g_k(x) = \text{softmax}(W_k x)""",
    "AskedNetwork": r"""\hat{y} = W_k \, f(\text{image}, \text{sound}, \text{question}) + b_k,
\qquad x \leftarrow x + W_o A V, \quad A = \text{softmax}(Q K^\top / \sqrt{d})""",
    "ClassicEncoder": r"""f_\theta(x) = W \, \text{dropout}(\text{max-pool}(
K_2 * \text{ReLU}(K_1 * x + b_1) + b_2)) + b""",
}
SCREEN = 50  # lines of code; more are folded
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
NAMES = METHOD_NAMES | ALONE | ARCHITECTURE_NAMES | {"hard_sharing": "hard sharing"}
PLAIN = ("equal", "fixed", "uncertainty")  # words of their own
NAMED = re.compile(rf"\b({'|'.join(name for name in NAMES if name not in PLAIN)})\b")
TABLE = re.compile(r"<!-- from .*?<!-- end -->", re.DOTALL)
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
    """Give a table of the methods of a room: what each does, its formula, and its source."""
    rows = ["| | what it does | formula | source |", "|---|---|---|---|"]
    for name in ROOMS[room]:
        text = inspect.getdoc(_class(room, name)) or ""
        found = SOURCE.search(text)
        source = ARXIV.sub(ARXIV_LINK, " ".join(found[1].split())) if found else ""
        lines = re.split(r",?;?\s*\\qquad\s*", " ".join(FORMULAS[name].split()))
        formula = "<br>".join(f"${line.strip()}$" for line in lines)
        told = f"{text.splitlines()[0]} | {formula} | {source}"
        rows.append(f"| [`{name}`](methods/{name}.md) | {told} |")
    return "\n".join(rows)


def method_page(room: str, name: str, widgets: Mapping[str, Widget]) -> str:
    """Give the page of a method: its formula, docstring and explorable side by side, its code."""
    method = _class(room, name)
    widget, begin = ROOMS[room][name]
    shown = widgets.get(widget)
    left, right = "", ""
    if shown:
        shown = shown._replace(state={**shown.state, **begin})
        where = f"[lesson {shown.lesson[:2]}](../lessons/{shown.lesson}.ipynb)"
        picture = f"{shown_of(shown, widget)}\n\nFrom {where}, where it is explained."
        left = '<div class="beside"><div>\n'
        right = f'\n</div><div class="shown">\n\n{picture}\n\n</div></div>\n'
    file = Path(inspect.getsourcefile(method) or "")
    own = _functions(room, name)
    functions = "\n".join(f".. autofunction:: mtl_tutorial.{room}.{f}" for f in own)
    code = code_of(method, *own)
    if code.count("\n") < SCREEN:
        summary, end = "", ""
    else:
        summary = f"<details><summary>Show its {code.count(chr(10)) + 1} lines</summary>\n\n"
        end = "\n\n</details>"
    return f"""---
html_theme.sidebar_secondary.remove: true
---
# {name}

$$
{FORMULAS[name]}
$$

{left}
```{{eval-rst}}
.. autoclass:: mtl_tutorial.{room}.{name}
   :members:

{functions}
```
{right}
## Its code

The class and what it uses of `mtl_tutorial/{room}/{file.name}`:

{summary}```python
{code}
```{end}
"""


def code_of(method: type, *more: str) -> str:
    """Give the code of a class, and what it and more of its module use of that, in its order."""
    text = Path(inspect.getsourcefile(method) or "").read_text(encoding="utf-8")
    made: dict[str, ast.stmt] = {}
    for node in ast.parse(text).body:
        match node:
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                made[name] = node
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                made[name] = node
    used, due = set[str](), [method.__name__, *more]
    while due:
        name = due.pop()
        if name in made and name not in used:
            used.add(name)
            due += [n.id for n in ast.walk(made[name]) if isinstance(n, ast.Name)]
    lines, parts = text.splitlines(), []
    for name, node in made.items():
        if name in used:
            first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))])
            parts.append("\n".join(lines[first - 1 : node.end_lineno]))
    return "\n\n\n".join(parts)


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


def renamed(text: str) -> str:
    """Give committed tables of results, and their notes, with the names that lessons write."""
    return TABLE.sub(lambda found: _renamed(found[0]), text)


def _renamed(table: str) -> str:
    lines = []
    for line in table.splitlines():
        if line.startswith("| "):
            first, second, rest = line[2:].split(" | ", 2)
            if second == "method":
                line = f"| {DATA_NAMES[first]} | {rest}"
            else:
                line = f"| {method_label(second, first)} | {rest}"
        elif line.startswith("|---|"):
            line = line.removeprefix("|---")
        elif line.startswith("- "):
            line = NAMED.sub(lambda name: NAMES[name[0]], line)
        lines.append(line)
    return "\n".join(lines)


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
