"""Still pictures of explorables, from the modules that draw them, in a browser without a window."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

# The first has no window at all, and draws a page with a third of the work.
BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
QUIET = (
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",  # small in containers
    "--font-render-hinting=none",  # the same letters on every machine
)
AS_ROOT = ("--no-sandbox",)  # Chromium refuses to start as root with one
WIDTH, DOTS = 940, 1.4  # of the page in CSS pixels, and pixels of the picture for each
PAGE = """<!DOCTYPE html><html lang="en"><meta charset="utf-8"><title>still</title>
<style>body { margin: 0; background: #fff; color-scheme: light }</style>
<body><div id="here"></div></body>"""
RENDER = """async ([module, state, kernel]) => {
    const exported = `${module}\nexport { Model as PageModel };`;
    const url = URL.createObjectURL(new Blob([exported], { type: "text/javascript" }));
    const own = await import(url), el = document.getElementById("here");
    el.replaceChildren();
    const made = new own.PageModel(state);
    const names = ["get", "set", "on", "off", "send", "save_changes"];
    window.model = kernel ? Object.fromEntries(names.map((n) => [n, made[n].bind(made)])) : made;
    window.end = own.default.render({ model: window.model, el });
}"""
SETTLE = """async () => {
    const drawn = () => document.querySelector(".mtl")?.dataset.drawn;
    const frame = () => new Promise((done) => requestAnimationFrame(done));
    await document.fonts.ready;
    for (let seen = null; seen !== drawn();) { seen = drawn(); await frame(); await frame(); }
}"""
FAINT = """() => document.querySelectorAll(".mtl-ring").forEach((ring) => {
    ring.style.strokeOpacity = 0.35;
})"""


class NoBrowserError(RuntimeError):
    """There is no browser to draw with; the message says what to install."""


def find_chromium(own: str = "") -> str | None:
    """Give the path of a Chromium: the system's, else ``own`` where that is a file."""
    return next(filter(None, map(shutil.which, BROWSERS)), own if os.path.exists(own) else None)


def chromium_flags() -> list[str]:
    """The options without which Chromium talks to the network, or does not start."""
    return [*QUIET, *(AS_ROOT if hasattr(os, "geteuid") and os.geteuid() == 0 else ())]


@contextmanager
def browser() -> Iterator[Any]:
    """Give a Chromium without a window.

    Raises:
        NoBrowserError: where Playwright or a Chromium is missing.
    """
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        raise NoBrowserError(
            "pictures of explorables are drawn in Chromium by Playwright, which is not installed; "
            "run 'python -m pip install -e \".[test]\"'"
        ) from None
    with sync_playwright() as playwright:
        own = playwright.chromium.executable_path
        path = find_chromium(own)
        if path is None:
            raise NoBrowserError(
                "pictures of explorables are drawn in Chromium, and there is none; install it, or "
                "run 'python -m playwright install chromium'"
            )
        # Playwright has two of its own, and knows which one needs no window
        system = None if path == own else path
        found = playwright.chromium.launch(executable_path=system, args=chromium_flags())
        try:
            yield found
        finally:
            found.close()


def bring_to_life(page: Any, state: Mapping[str, Any], *, kernel: bool = False) -> None:
    """Draw an explorable where a page has ``#here``; ``model`` is its state in the page.

    Args:
        page: of Playwright.
        state: the widget's traits; ``_esm`` is the module. What is no plain value stays out.
        kernel: the caller answers for one; an explorable that needs none says so by itself.
    """
    plain = {name: value for name, value in state.items() if _is_plain(value)}
    page.evaluate(RENDER, [state["_esm"], plain, kernel])
    settle(page)


def settle(page: Any) -> None:
    """Wait until what was asked for is drawn, which may take several frames."""
    page.evaluate(SETTLE)


def stills(states: Mapping[str, Mapping[str, Any]]) -> dict[str, tuple[bytes, str]]:
    """Draw explorables as their modules do.

    Args:
        states: traits of widgets by any name; ``_esm`` is the module.

    Returns:
        By the same names, a PNG and the sentence below it.

    Raises:
        NoBrowserError: where there is no browser.
        ValueError: where a module can't draw its state; the message is the page's.
    """
    drawn = {}
    with browser() as found:
        sheet = found.new_page(device_scale_factor=DOTS)
        sheet.set_viewport_size({"width": WIDTH, "height": 700})
        sheet.set_content(PAGE)
        for name, state in states.items():
            try:
                bring_to_life(sheet, state)
                sheet.evaluate(FAINT)
            except Exception as error:
                line = str(error).splitlines()[0]
                raise ValueError(f"an explorable can't be drawn: {line}") from error
            picture = sheet.locator(".mtl-panels:not(:empty), .mtl-part").first
            png = picture.screenshot(type="png")
            drawn[name] = png, sheet.locator(".mtl-say").inner_text()
    return drawn


def _is_plain(value: Any) -> bool:
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        return False
    return True
