"""Pages made of code and results."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import mtl_tutorial.architectures as architectures
import mtl_tutorial.balancing as balancing
from mtl_tutorial.balancing import Balancer, GramianBalancer
from mtl_tutorial.commands import reference
from mtl_tutorial.commands.formulas import mathml
from mtl_tutorial.commands.pages import Widget

BASES = (Balancer, GramianBalancer)


def test_every_balancer_has_a_page() -> None:
    exported = [getattr(balancing, name) for name in balancing.__all__]
    methods = {
        one.__name__
        for one in exported
        if isinstance(one, type)
        and issubclass(one, Balancer)
        and not one.__name__.endswith("ancer")
    }
    assert methods == set(reference.METHODS)
    assert all(hasattr(architectures, name) for name in reference.NETWORKS)


def test_a_page_has_the_docstring_the_explorable_and_the_code() -> None:
    widget = Widget("08_pcgrad", "<img>", "a.png", "gradient_compass", {"methods": ["sum"]})
    page = reference.method_page("balancing", "PCGrad", {"GradientCompass": widget})
    assert ".. autoclass:: mtl_tutorial.balancing.PCGrad" in page
    assert ".. autofunction:: mtl_tutorial.balancing.pcgrad" in page
    assert '"methods":["sum","PCGrad"]' in page
    assert "def pcgrad_weights(" in page


def test_a_page_without_a_widget_has_its_whole_width() -> None:
    page = reference.method_page("balancing", "PCGrad", {})
    assert "mtl-live" not in page and "<div" not in page


@pytest.mark.parametrize(("room", "name"), reference.names())
def test_every_page_has_one_formula_that_a_browser_can_draw(room: str, name: str) -> None:
    page = reference.method_page(room, name, {})
    assert page.count(f"$$\n{reference.FORMULAS[name]}\n$$") == 1 and page.count("$$") == 2
    assert mathml(reference.FORMULAS[name], block=True).startswith('<math display="block">')


def test_the_code_is_that_of_the_class_and_folded_where_it_is_long() -> None:
    other = reference.method_page("architectures", "ClassicEncoder", {})
    assert "class ClassicEncoder" in other and "class ConvEncoder" not in other
    assert "<details>" not in reference.method_page("architectures", "HardSharing", {})
    long = reference.method_page("architectures", "CrossStitch", {})
    assert "class CrossStitchUnit" in long and "<details>" in long


def test_a_table_links_to_the_paper() -> None:
    table = reference.methods_table("balancing")
    assert "[arXiv 2001.06782](https://arxiv.org/abs/2001.06782)" in table


def test_a_section_ends_where_the_next_begins() -> None:
    text = "# A\n\n## B\n\nb\n\n### C\n\nc\n\n## D\n\nd\n"
    assert reference.section(text, "B") == "b\n\n### C\n\nc"
    assert reference.section(text, "E") == ""


def test_tables_and_their_notes_have_the_names_of_the_lessons() -> None:
    table = """<!-- from results/a -->
| two_digits | method | mean |
|---|---|---|
| single_task_small | equal | 95.2 += |
| hard_sharing | imtl_g | 95.1 |

- Not tested: imtl_g; single_task of equal weights.
<!-- end -->
hard_sharing"""
    assert (
        reference.renamed(table)
        == """<!-- from results/a -->
| two digits | mean |
|---|---|
| small single-task networks | 95.2 += |
| IMTL-G | 95.1 |

- Not tested: IMTL-G; single-task networks of equal weights.
<!-- end -->
hard_sharing"""
    )


def test_places_are_filled_and_comments_stay() -> None:
    assert reference.filled("<!-- a --> <!-- from b -->", {"a": "1"}) == "1 <!-- from b -->"


def test_a_claim_is_told_with_the_sizes_at_which_it_turns(tmp_path: Path) -> None:
    claim = {
        "sentence": "a | b falls by", "at_least": 0.1, "at_most": None, "only_at": "steps",
        "values": {"as it comes": [0.25, 0.3333], "4 × steps": [0.05]},
        "turns": [], "turns_outside": ["4 × steps"],
    }  # fmt: skip
    path = tmp_path / "claims.json"
    path.write_text(json.dumps({"02_hard_sharing": {"sizes": ["as it comes"], "claims": [claim]}}))
    table = reference.claims_table(path)
    assert "[02_hard_sharing](lessons/02_hard_sharing.ipynb)" in table
    assert (
        r"| a \| b falls by | 0.25, 0.333 | at least 0.1 | 4 × steps (outside its range) |" in table
    )
    assert reference.claims_table(tmp_path / "absent.json") == ""


@pytest.mark.parametrize("room", reference.ROOMS)
def test_every_method_says_what_it_does(room: str) -> None:
    rows = reference.methods_table(room).splitlines()[2:]
    assert len(rows) == len(reference.ROOMS[room])
    assert all(len(row.split("|")[2].strip()) > 20 for row in rows)
