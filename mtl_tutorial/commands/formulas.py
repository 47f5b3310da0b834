"""Formulas as MathML, which browsers draw themselves: no script, and read aloud as mathematics."""

from __future__ import annotations

import logging
import re
import unicodedata
from collections.abc import Iterable
from pathlib import Path
from xml.etree import ElementTree

# In MathML of today a letter of another alphabet is a character of its own.
ALPHABETS = {"mathcal": "SCRIPT", "mathbb": "DOUBLE-STRUCK"}
LETTER = re.compile(r"\\(mathcal|mathbb)\s*\{?([A-Z])\}?")
BELOW = {"min", "max", "argmin", "argmax"}  # what runs below them, where there is room
FUNCTIONS = {"cos", "exp", "log", "sin", "tanh"}
BARS = {"|", "‖"}
SYMBOLS = "()[]{}|‖√∑∏∫′^_~‾¯→ˆ˜⏟"  # drawn by the browser, too


def mathml(tex: str, block: bool = False) -> str:
    """Give a formula of LaTeX as MathML.

    Raises:
        ValueError: naming the formula, where it has a command that is not known.
    """
    from latex2mathml.converter import convert

    text = LETTER.sub(lambda found: _letter(*found.groups()), tex)
    text = text.replace(r"\lVert", r"\|").replace(r"\rVert", r"\|")
    text = re.sub(r"\\arg\s*\\(min|max)", r"\\operatorname{arg\1}", text)
    try:
        found = convert(text, display="block" if block else "inline")
    except Exception as error:  # of many kinds
        raise ValueError(f"formula {tex!r} can't be shown ({error})") from error
    if "\\" in re.sub(r"<mtext>.*?</mtext>", "", found):
        raise ValueError(f"formula {tex!r} has a command that can't be shown")
    tree = ElementTree.fromstring(found)
    for node in tree.iter():
        node.tag = node.tag.rpartition("}")[2]
        first = "".join(node[0].itertext()) if len(node) else ""
        if block and node.tag == "msub" and first in BELOW:
            node.tag = "munder"
        if node.tag == "mo" and node.text in BARS and node.get("stretchy") != "true":
            node.attrib |= {"stretchy": "false", "lspace": "0", "rspace": "0"}
        if node.tag == "mi" and node.text in FUNCTIONS:
            node.tag = "mo"
        if node.tag == "mo" and node.text in BELOW | FUNCTIONS:
            node.attrib |= {"lspace": "0", "rspace": "0.17em"}
    tree.attrib = {"display": "block"} if block else {}
    return ElementTree.tostring(tree, encoding="unicode")


def _letter(alphabet: str, letter: str) -> str:
    name = f"{ALPHABETS[alphabet]} CAPITAL {letter}"
    try:
        return unicodedata.lookup(f"MATHEMATICAL {name}")
    except KeyError:  # it is older than the others
        return unicodedata.lookup(name)


def write_font(characters: Iterable[str], path: Path) -> None:
    """Write a font for mathematics (STIX Two Math) that has these characters, and no others."""
    import ziamath
    from fontTools import subset

    logging.getLogger("fontTools").setLevel(logging.WARNING)
    options = subset.Options(flavor="woff", layout_features=["*"])
    font = subset.load_font(
        str(Path(ziamath.__file__).with_name("fonts") / "STIXTwoMath-Regular.ttf"), options
    )
    chosen = subset.Subsetter(options)
    chosen.populate(text="".join(characters) + SYMBOLS)
    chosen.subset(font)
    subset.save_font(font, str(path), options)
