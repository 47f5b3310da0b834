"""An explorable on a bare page, as the site has it: no kernel, and a hand."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page

from mtl_tutorial.commands.stills import NoBrowserError, bring_to_life, browser, settle
from mtl_tutorial.widgets.explorable import Explorable

HTML = """<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>an explorable</title>
<meta name="viewport" content="width=device-width"></head>
<body style="margin: 0"><main><h1>An explorable</h1><div id="here"></div></main></body></html>"""


def plain_state(widget: Explorable) -> dict[str, Any]:
    """The traits that a page without a kernel gets."""
    found = {}
    for name, value in widget.get_state().items():
        try:
            json.dumps(value)
        except TypeError:
            continue
        if not name.startswith("_"):
            found[name] = value
    return found


def violations(page: Page, within: str = "", *, colours: bool | None = None) -> list[str]:
    """What axe-core finds, by rule and place.

    Args:
        within: a selector; left out, the whole page.
        colours: what a theme can change alone, or all but that, which takes most of the time.
    """
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    options: dict[str, Any] = {"resultTypes": ["violations"]}
    if colours:
        options["runOnly"] = {"type": "rule", "values": ["color-contrast"]}
    elif colours is False:
        options["rules"] = {"color-contrast": {"enabled": False}}
    part = {"include": [[within]]} if within else None
    found = axe.Axe().run(page, part, options).response["violations"]
    return [
        f"{r['id']}: {n['html'][:150]} {n['failureSummary']}" for r in found for n in r["nodes"]
    ]


class ExplorablePage:
    """A page with one explorable in it."""

    def __init__(self, page: Page, widget: Explorable) -> None:
        self.page, self.names = page, list(plain_state(widget))
        self.complaints: list[str] = []
        page.on("console", lambda said: self.complaints.append(said.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.set_content(HTML)
        bring_to_life(page, {**plain_state(widget), "_esm": widget._esm})

    def settle(self) -> None:
        settle(self.page)

    @property
    def sentence(self) -> str:
        return self.page.locator(".mtl-say").inner_text()

    @property
    def state(self) -> dict[str, Any]:
        read = "names => Object.fromEntries(names.map((name) => [name, model.get(name)]))"
        return self.page.evaluate(read, self.names)

    def set(self, **values: Any) -> None:
        for name, value in values.items():
            self.page.evaluate("([name, value]) => model.set(name, value)", [name, value])
        self.settle()

    def grips(self) -> list[Locator]:
        """The handles that are shown."""
        return [grip for grip in self.page.locator(".mtl-grip").all() if grip.is_visible()]

    def drag(self, grip: Locator, right: float, up: float, *, hold: bool = False) -> None:
        box = grip.bounding_box()
        assert box is not None
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        mouse = self.page.mouse
        mouse.move(x, y)
        mouse.down()
        mouse.move(x + right / 2, y - up / 2)
        mouse.move(x + right, y - up)
        if not hold:
            mouse.up()
        self.settle()

    def click(self, words: str) -> None:
        self.page.get_by_role("button", name=words, exact=True).click()
        self.settle()


def chromium() -> Iterator[Browser]:
    """Give a browser without a window; skips the test where there is none."""
    try:
        with browser() as found:
            yield found
    except NoBrowserError as error:
        pytest.skip(str(error))
