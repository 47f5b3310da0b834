"""A picture redrawn on kept axes is the picture drawn afresh."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from mtl_tutorial.plots import panels
from mtl_tutorial.widgets.view import LIVE_DPI, Stage, View, show


def draw(figure, *, height=1.0, limit=1.0, ticks=None, title="t", heading=None, scale="linear"):
    axes = panels(figure)[0, 0]
    axes.set(yscale=scale, xlim=(0, 1), ylim=(0.01, limit), title=title)
    if ticks:
        axes.set_xticks([0, 1], ticks)
    axes.plot([0, 1], [0.5, height])
    if heading:
        figure.suptitle(heading)
    return f"a line up to {height}"


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)))


CHANGES = [
    {"height": 0.2},
    {"limit": 2.0},
    {"ticks": ["low", "high"]},
    {"title": "another"},
    {"heading": "over all"},
    {"scale": "log"},
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: next(iter(change)))
def test_a_redrawn_picture_equals_one_drawn_afresh(change):
    kept = Stage(draw, (4, 3), LIVE_DPI)
    before, _ = kept.render(ticks=["a", "b"], heading="first")
    after, _ = kept.render(**{"ticks": ["a", "b"], "heading": "first", **change})
    fresh, _ = Stage(draw, (4, 3), LIVE_DPI).render(
        **{"ticks": ["a", "b"], "heading": "first", **change}
    )
    assert (pixels(after) == pixels(fresh)).all()
    assert (pixels(after) != pixels(before)).any()


def test_redrawing_adds_no_artist():
    stage = Stage(draw, (4, 3), LIVE_DPI)
    stage.render()
    count = len(stage._figure.findobj())
    for height in (0.3, 0.6, 0.9):
        stage.render(height=height)
    assert len(stage._figure.findobj()) == count


def test_a_view_shows_the_picture_and_says_what_it_shows():
    view = View(draw, size=(4, 3))
    view.redraw(height=0.3)
    assert pixels(view.image.value).shape == (300, 400, 3)
    assert "a line up to 0.3" in view.sentence
    view.redraw(height=0.4, sentence="another sentence")
    assert "another sentence" in view.sentence
    data, metadata = view._repr_mimebundle_()
    assert (
        data["text/plain"] == metadata["image/png"]["alt"] == view.image.alt == "a line up to 0.4"
    )
    assert data["text/html"].startswith('<img alt="a line up to 0.4"')


def test_a_still_picture_is_a_png_with_its_description():
    data, metadata = show(draw, size=(4, 3))._repr_mimebundle_()
    assert data["text/plain"] == "a line up to 1.0"
    assert data["image/png"].startswith("iVBOR")
    assert metadata["image/png"] == {"width": 900, "alt": "a line up to 1.0"}
