"""Still pictures are drawn by the modules themselves, in a browser."""

from __future__ import annotations

import io

import pytest
from explorable_page import plain_state
from PIL import Image

from mtl_tutorial.commands import stills as module
from mtl_tutorial.commands.stills import NoBrowserError, find_chromium, stills
from mtl_tutorial.widgets.pareto_explorer import ParetoExplorer

needs_chromium = pytest.mark.skipif(find_chromium() is None, reason="there is no Chromium here")


def state(**traits) -> dict:
    widget = ParetoExplorer(**traits)
    return {**plain_state(widget), "_esm": widget._esm}


@needs_chromium
def test_each_explorable_gives_a_picture_and_its_sentence() -> None:
    drawn = stills({"near": state(distance=0.9), "far": state(distance=2.3)})
    assert "0.90 apart: no part" in drawn["near"][1] and "2.30 apart: all" in drawn["far"][1]
    for png, _ in drawn.values():
        assert Image.open(io.BytesIO(png)).size[0] > 1000
    assert drawn["near"][0] != drawn["far"][0]


@needs_chromium
def test_the_same_state_gives_the_same_picture() -> None:
    assert stills({"a": state()}) == stills({"a": state()})


@needs_chromium
def test_a_module_that_can_not_draw_is_told_of() -> None:
    broken = "class Model {}\nexport default { render() { throw Error('no such front'); } };"
    with pytest.raises(ValueError, match="an explorable can't be drawn: .*no such front"):
        stills({"broken": {"_esm": broken}})


def test_where_there_is_no_browser_it_says_what_to_install(monkeypatch) -> None:
    monkeypatch.setattr(module, "find_chromium", lambda own="": None)
    with pytest.raises(NoBrowserError, match="install it, or run 'python -m playwright install"):
        stills({"a": state()})
