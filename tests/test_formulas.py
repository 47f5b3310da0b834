"""Formulas of the lessons become MathML that a browser can draw."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from fontTools.ttLib import TTFont

pytest.importorskip("latex2mathml")

from mtl_tutorial.commands.formulas import mathml, write_font


def test_letters_of_other_alphabets_are_characters() -> None:
    assert "𝒯" in mathml(r"\mathcal T_{ij}") and "ℝ" in mathml(r"\mathbb{R}^N")
    assert "ℒ" in mathml(r"\mathcal{L}")


def test_limits_stand_below_in_a_block_and_beside_in_a_line() -> None:
    assert "<munder>" in mathml(r"\min_\theta L", block=True)
    assert "<munder>" not in mathml(r"\min_\theta L")
    assert "argmin" in mathml(r"\arg\min_\theta L", block=True)


def test_bars_are_as_tall_as_letters() -> None:
    bars = re.findall(r"<mo[^>]*>[|‖]</mo>", mathml(r"\lVert g \rVert + |x|"))
    assert len(bars) == 4
    assert all('stretchy="false"' in bar for bar in bars)


@pytest.mark.parametrize("tex", [r"\unheard{x}", r"x_{"])
def test_what_can_not_be_shown_is_named(tex: str) -> None:
    with pytest.raises(ValueError, match=re.escape(repr(tex))):
        mathml(tex)


def test_the_font_has_the_letters_of_the_formulas(tmp_path: Path) -> None:
    pytest.importorskip("ziamath")
    write_font("θ𝒯x", tmp_path / "math.woff")
    known = TTFont(tmp_path / "math.woff").getBestCmap()
    assert {ord(letter) for letter in "θ𝒯x‖∑"} <= known.keys()
    assert (tmp_path / "math.woff").stat().st_size < 60_000
