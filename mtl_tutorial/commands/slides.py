"""Slides of the lessons, by rule from their pages on the site.

A heading begins a slide. What asks for a guess stands alone on one, and what tells it on the next.
Widgets, pictures and exercises have a slide of their own; code is folded, but for the algorithm
from scratch. Where a slide is full, a script of the page goes on with another.
"""

from __future__ import annotations

import copy
import html
import importlib.util
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from bs4 import BeautifulSoup, Tag

LEFT_OUT = ("Set-up", "References")
HEADINGS = re.compile("^h[1-6]$")
ASKS = re.compile(r"^(Before you|On paper)")
EXERCISE = re.compile(r"^Exercise \d")
ALONE = ".mtl-widget, .mtl-live, .needs-kernel"
PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="../_static/icon.svg">
<link rel="stylesheet" href="../_static/reveal/reveal.css">
<link rel="stylesheet" href="../_static/pygments.css">
<link rel="stylesheet" href="../_static/site.css">
<link rel="stylesheet" href="../_static/slides.css">
<script src="../_static/file.js"></script>
<script type="module" src="../_static/site.js"></script>
<script type="module" src="../_static/slides.js"></script>
</head><body><main class="reveal"><div class="slides">
{slides}
</div><a class="home" href="../lessons/{lesson}.html">To the page</a></main></body></html>
"""


class Slide(NamedTuple):
    """What stands on a slide, and perhaps goes on on more.

    Attributes:
        heading: its title.
        kind: ``"title"``, ``"text"``, ``"guess"``, ``"exercise"`` or ``"alone"``.
        blocks: HTML.
    """

    heading: str
    kind: str
    blocks: list[str]


def write_slides(site: Path) -> None:
    """Write the slides of every lesson beside its page.

    Args:
        site: the folder of a site that is built but for its slides.
    """
    found = importlib.util.find_spec("sphinx_revealjs")
    assert found and found.submodule_search_locations
    theirs = Path(found.submodule_search_locations[0], "_static", "revealjs", "dist")
    ours = site / "_static" / "reveal"
    ours.mkdir()
    for name in ("reveal.css", "reveal.esm.js"):
        shutil.copy(theirs / name, ours)
    (site / "slides").mkdir()
    for page in sorted((site / "lessons").glob("*.html")):
        slides = deck(page.read_text(encoding="utf-8"), page.stem)
        (site / "slides" / page.name).write_text(slides, encoding="utf-8")


def deck(page: str, lesson: str) -> str:
    """Give the slides of a lesson as a page.

    Args:
        page: that of the lesson on the site.
        lesson: its name.
    """
    soup = BeautifulSoup(page, "html.parser")
    article = soup.select_one("article section")
    if article is None:
        raise ValueError(f"{lesson} has no text on the site")
    for link in article.select("a.headerlink, .links"):
        link.decompose()
    slides = [slide for slide in _slides(article) if slide.blocks or slide.kind == "title"]
    title = slides[0].heading
    shown = "\n".join(map(_as_html, slides))
    return PAGE.format(title=html.escape(title), lesson=lesson, slides=shown)


def _slides(section: Tag) -> Iterator[Slide]:
    heading = section.find(HEADINGS, recursive=False)
    assert isinstance(heading, Tag)
    title = heading.decode_contents().strip()
    if heading.get_text().strip() in LEFT_OUT:
        return
    now = Slide(title, "title" if heading.name == "h1" else "text", [])
    for block in section.find_all(recursive=False):
        if block is heading:
            continue
        if block.name == "section":
            yield now
            now = Slide(title, "text", [])
            yield from _slides(block)
            continue
        words = block.get_text().strip()
        if ASKS.match(words):
            yield now
            now = Slide("Guess first", "guess", [str(block)])
        elif EXERCISE.match(words) and block.name == "p":
            yield now
            now = Slide(words.split(".")[0].split(":")[0], "exercise", [str(block)])
        elif now.kind in ("guess", "exercise") and block.select_one(".mtl-asked, .needs-kernel"):
            now.blocks.append(_shown(block))
            yield now
            now = Slide(title, "text", [])
        elif now.kind == "exercise" and block.name in ("ul", "ol", "p", "div"):
            now.blocks.append(_shown(block))
        elif block.select_one(ALONE):
            yield now
            yield Slide(title, "alone", [_shown(block)])
            now = Slide(title, "text", [])
        elif now.kind == "guess":  # a guess on paper
            yield now
            now = Slide(title, "text", list(_opened(block)))
        else:
            now.blocks.extend(_opened(block))
    yield now


def _opened(block: Tag) -> Iterator[str]:
    """What a block tells, without the click that the page asks for."""
    if block.name == "details":
        for part in block.find_all(recursive=False):
            if part.name != "summary":
                yield _shown(part)
    else:
        yield _shown(block)


def _shown(block: Tag) -> str:
    """A block with its code folded, but for the algorithm from scratch."""
    block = copy.copy(block)
    classes: list[str] = list(block.get("class") or [])
    if "cell" not in classes:
        return str(block)
    code = block.select_one("div.cell_input div.highlight")
    outputs = block.select_one("div.cell_output")
    parts = []
    if code is not None and "tag_remove-input" not in classes:
        opened = " open" if "tag_from-scratch" in classes else ""
        parts.append(f"<details class='code'{opened}><summary>Code</summary>{code}</details>")
    if outputs is not None and outputs.select_one(ALONE):  # it gets the room of what is folded
        parts += [str(told.extract()) for told in outputs.select("details.answer")]
        parts = [str(outputs), f"<div class='folded'>{''.join(parts)}</div>"]
    elif outputs is not None:
        parts.append(str(outputs))
    return f"<div class='cell'>{''.join(parts)}</div>"


def _as_html(slide: Slide) -> str:
    level = "h1" if slide.kind == "title" else "h2"
    inside = "\n".join(f"<div class='block'>{block}</div>" for block in slide.blocks)
    head = f"<{level}>{slide.heading}</{level}>"
    return f"<section class='{slide.kind}'>{head}\n{inside}</section>"
