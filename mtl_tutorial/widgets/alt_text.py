"""Pictures with their description where assistive technology finds it, on every kind of page."""

from __future__ import annotations

import html
from collections.abc import Mapping, MutableMapping
from typing import Any

PNG, HTML, PLAIN = "image/png", "text/html", "text/plain"
WIDTH = 900  # of a picture on the page, in CSS pixels, where there is room
START = '<img alt="'


def described(png: str, description: str) -> tuple[dict[str, str], dict[str, Any]]:
    """Give what a cell shows for a picture, and what is said about it.

    JupyterLab takes the HTML, with the description as alternative text; it sets none of a PNG.

    Args:
        png: the picture in base64.
        description: what is seen.
    """
    data = {PNG: png, PLAIN: description, HTML: _img(png, description, WIDTH)}
    return data, {PNG: {"width": WIDTH, "alt": description}}


def keep_one_picture(output: MutableMapping[str, Any]) -> None:
    """Let a stored output hold its picture once: as PNG, with the description beside it."""
    data = output["data"]
    if PNG not in data:
        return
    if str(data.get(HTML, "")).startswith(START):
        del data[HTML]
    if alt := _alt(output):
        output.setdefault("metadata", {}).setdefault(PNG, {})["alt"] = alt


def show_description(output: MutableMapping[str, Any]) -> None:
    """Let a stored output show its PNG as HTML, which carries the description to the page."""
    data = output.get("data", {})
    if PNG in data and HTML not in data and (alt := _alt(output)):
        width = output.get("metadata", {}).get(PNG, {}).get("width", WIDTH)
        data[HTML] = _img("".join(data[PNG].split()), alt, width)
        del data[PNG]


def _alt(output: Mapping[str, Any]) -> str:
    known = output.get("metadata", {}).get(PNG, {}).get("alt")
    return known or output["data"].get(PLAIN, "")


def _img(png: str, alt: str, width: int) -> str:
    """An image that is narrower where the page is."""
    return (
        f'{START}{html.escape(alt)}" width="{width}" style="max-width: 100%; height: auto" '
        f'src="data:{PNG};base64,{png}">'
    )
