"""What every committed lesson has: its anatomy, fresh outputs, nothing of a machine."""

from __future__ import annotations

import ast
import json
import re
from itertools import pairwise
from pathlib import Path

import nbformat
import pytest
from lesson_cells import widget_cells
from nbformat import NotebookNode

from mtl_tutorial.commands.build import digest, is_fresh

LARGEST = 400_000  # bytes
LONGEST_FROM_SCRATCH = 30  # lines of code
LONGEST_CELL = 20  # lines

# What each lesson has, in its order. Text is looked for in Markdown, code in code.
ANATOMY = (
    ("what you will be able to do", "markdown", r"you will be able to"),
    ("the minutes to read", "markdown", r"\d+ minutes"),
    ("the seconds to run", "markdown", r"\d+ seconds"),
    ("a set-up cell with the profile", "code", r"load_profile\("),
    ("a question before its answer", "markdown", r"before you run the next cell"),
    ("the idea with its formula", "markdown", r"\$\$"),
    ("an assert that it equals the package's version", "code", r"assert .*(\bequal\(| == )"),
    ("a widget of the package", "code", None),  # as `widget_cells` finds it
    ("an experiment over the seeds", "code", r"seeds?=profile\.seeds"),
    ("what to remember", "markdown", r"^## what to remember"),
    ("references", "markdown", r"^## references"),
    ("the next lesson", "markdown", r"next lesson"),
)
GUESS = re.compile(r"\bguess\(")
FLAGS = re.IGNORECASE | re.MULTILINE
FORBIDDEN_MARKS = (
    "nbval-skip",
    "nbval_skip",
    "nbval-ignore-output",
    "nbval_ignore_output",
    "pytest_validate_ignore_output",
)
ABSOLUTE_PATH = re.compile(
    r"(?<![\w./:-])/(?:Users|home|mnt|opt|private|root|srv|tmp|usr|var|work)/|\b[A-Za-z]:\\\\?\w"
)
FILLER = re.compile(r"\b(just|simply|obviously|of course|trivial(?:ly)?)\b", re.IGNORECASE)
ARXIV = re.compile(r"arxiv(?:\.org/abs/|[\s:]+)(\S+)", re.IGNORECASE)


def read(path: Path) -> NotebookNode:
    return nbformat.read(path, as_version=4)


@pytest.fixture
def notebook(notebook_path: Path) -> NotebookNode:
    return read(notebook_path)


def sources(notebook: NotebookNode, cell_type: str) -> list[str]:
    return [cell.source for cell in notebook.cells if cell.cell_type == cell_type]


def outputs(notebook: NotebookNode) -> list[NotebookNode]:
    return [out for cell in notebook.cells if cell.cell_type == "code" for out in cell.outputs]


def code_lines(source: str) -> list[str]:
    lines = [line.strip() for line in source.splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def without_fences(markdown: str) -> str:
    """The prose: without code blocks, inline code, formulas and the targets of links."""
    for pattern in (r"```.*?```", r"\$\$.*?\$\$", r"`[^`\n]*`", r"\$[^$\n]*\$", r"\]\([^)]*\)"):
        markdown = re.sub(pattern, " ", markdown, flags=re.DOTALL)
    return markdown


def headings(notebook: NotebookNode) -> list[tuple[int, str]]:
    text = "\n".join(
        re.sub(r"```.*?```", "", markdown, flags=re.DOTALL)
        for markdown in sources(notebook, "markdown")
    )
    found = re.findall(r"^(#{1,6})\s+(.*)$", text, re.MULTILINE)
    return [(len(marks), title.strip()) for marks, title in found]


def test_the_outputs_are_those_of_the_sources(notebook: NotebookNode) -> None:
    assert is_fresh(notebook), "build it again: python -m mtl_tutorial build"


def test_a_change_of_any_source_makes_a_notebook_stale(notebook: NotebookNode) -> None:
    before = digest(notebook)
    for cell in notebook.cells:
        original = cell.source
        cell.source = original + " "
        assert digest(notebook) != before
        assert not is_fresh(notebook)
        cell.source = original
    assert digest(notebook) == before


def test_the_notebook_is_valid_and_small(notebook: NotebookNode, notebook_path: Path) -> None:
    nbformat.validate(notebook)
    assert notebook_path.stat().st_size <= LARGEST


def test_the_notebook_holds_no_widget_state(notebook: NotebookNode) -> None:
    assert "widgets" not in notebook.metadata
    kinds = {kind for output in outputs(notebook) for kind in output.get("data", {})}
    assert not {kind for kind in kinds if "widget" in kind}


def test_the_notebook_names_no_folder_of_a_machine(notebook: NotebookNode) -> None:
    for output in outputs(notebook):
        for kind in [kind for kind in output.get("data", {}) if kind.startswith("image/")]:
            del output.data[kind]
    found = [text for text in strings(notebook) if ABSOLUTE_PATH.search(text)]
    assert found == []


def strings(node: object) -> list[str]:
    """Every text in a notebook, its keys aside."""
    if isinstance(node, dict):
        return [text for value in node.values() for text in strings(value)]
    if isinstance(node, list):
        return [text for value in node for text in strings(value)]
    return [node] if isinstance(node, str) else []


def test_every_cell_is_checked(notebook: NotebookNode) -> None:
    text = json.dumps([[cell.source, cell.metadata] for cell in notebook.cells]).lower()
    assert [mark for mark in FORBIDDEN_MARKS if mark in text] == []


def test_no_assert_hides_behind_an_expected_exception(notebook: NotebookNode) -> None:
    for cell in notebook.cells:
        tags = cell.metadata.get("tags", [])
        if "raises-exception" in tags or "NBVAL_RAISES_EXCEPTION" in cell.source:
            assert not has_assert(cell.source), cell.source


def test_every_cell_ran_without_an_error(notebook: NotebookNode) -> None:
    for cell in notebook.cells:
        if cell.cell_type == "code" and cell.source.strip():
            assert cell.execution_count is not None, f"never run: {cell.source}"
            for output in cell.outputs:
                assert output.output_type != "error", cell.source
                assert output.get("name") != "stderr", output.text


def test_cells_ran_in_order(notebook: NotebookNode) -> None:
    counts = [c.execution_count for c in notebook.cells if c.cell_type == "code" and c.source]
    assert counts == list(range(1, len(counts) + 1))


def test_every_picture_has_words_for_those_who_do_not_see_it(notebook: NotebookNode) -> None:
    for output in outputs(notebook):
        if "image/png" in output.get("data", {}):
            words = output.data.get("text/plain", "")
            assert len(words.split()) >= 3, f"a picture is described as {words!r}"
            assert not words.startswith("<"), words


def test_a_lesson_has_its_parts_in_order(notebook: NotebookNode) -> None:
    cells = notebook.cells
    code = [number for number, cell in enumerate(cells) if cell.cell_type == "code"]
    widgets = {code[number] for number in widget_cells([cells[number].source for number in code])}
    start = 0
    for part, cell_type, pattern in ANATOMY:
        places = [
            number
            for number, cell in enumerate(cells[start:], start)
            if cell.cell_type == cell_type
            and (number in widgets if pattern is None else re.search(pattern, cell.source, FLAGS))
        ]
        assert places, f"no {part} from cell {start} on (pattern {pattern!r})"
        start = places[0]


def test_headings_form_a_tree_with_one_root(notebook: NotebookNode) -> None:
    assert notebook.cells[0].cell_type == "markdown"
    assert notebook.cells[0].source.startswith("# ")
    levels = [level for level, _ in headings(notebook)]
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    titles = [title for _, title in headings(notebook)]
    assert len(set(titles)) == len(titles), "two headings are the same"


def test_one_cell_builds_the_method_from_scratch(notebook: NotebookNode) -> None:
    cells = [c for c in notebook.cells if "from-scratch" in c.metadata.get("tags", [])]
    assert len(cells) == 1
    assert cells[0].cell_type == "code"
    assert 1 <= len(code_lines(cells[0].source)) <= LONGEST_FROM_SCRATCH


def test_a_tiny_example_is_checked_to_the_letter(notebook: NotebookNode) -> None:
    cells = [c for c in notebook.cells if c.source.startswith("# NBVAL_CHECK_OUTPUT")]
    assert cells
    assert all(cell.outputs for cell in cells)


def test_claims_are_measured(notebook: NotebookNode) -> None:
    code = sources(notebook, "code")
    assert sum(has_assert(source) or "claim(" in source for source in code) >= 2


def has_assert(source: str) -> bool:
    return any(isinstance(node, ast.Assert) for node in ast.walk(ast.parse(unmagicked(source))))


@pytest.fixture
def done(notebook: NotebookNode) -> NotebookNode:
    """A lesson in which things are guessed and tried."""
    assert any(GUESS.search(source) for source in sources(notebook, "code"))
    return notebook


def is_folded(cell: NotebookNode) -> bool:
    return bool(cell.metadata.get("jupyter", {}).get("source_hidden"))


def tags(cell: NotebookNode) -> list[str]:
    return cell.metadata.get("tags", [])


def test_a_cell_is_read_in_one_breath(done: NotebookNode) -> None:
    for cell in done.cells:
        if cell.cell_type == "code" and "from-scratch" not in tags(cell):
            assert cell.source.count("\n") < LONGEST_CELL, cell.source


def test_set_up_is_folded_and_what_is_folded_is_marked_for_other_readers(
    done: NotebookNode,
) -> None:
    (first, *_) = [cell for cell in done.cells if "load_profile(" in cell.source]
    assert is_folded(first)
    for cell in done.cells:
        assert is_folded(cell) == ("hide-input" in tags(cell)), cell.source
        if is_folded(cell):
            assert not re.search(r"\bclaim\(|\.check\(|\bguess\(", cell.source), cell.source


def test_what_is_claimed_is_a_claim_and_asserts_are_of_equality(done: NotebookNode) -> None:
    code = sources(done, "code")
    assert sum(source.count("claim(") for source in code) >= 2
    for source in code:
        assert not re.search(r"\bquick\b|profile\.name", source), source
        for node in ast.walk(ast.parse(unmagicked(source))):
            if isinstance(node, ast.Assert):
                effects = (ast.Lt, ast.LtE, ast.Gt, ast.GtE)
                compared = [
                    type(op)
                    for part in ast.walk(node.test)
                    if isinstance(part, ast.Compare)
                    for op in part.ops
                ]
                assert not set(compared) & set(effects), f"a claim: {ast.unparse(node)}"


def test_every_guess_is_compared_with_what_came_out_after_it(done: NotebookNode) -> None:
    code = "\n".join(sources(done, "code"))
    guessed = re.findall(r"^(\w+) = guess\(", code, re.MULTILINE)
    assert len(set(guessed)) == len(guessed) == len(GUESS.findall(code)) >= 2
    for name in guessed:
        before, _, after = code.partition(f"{name} = guess(")
        assert f"{name}.compare(" in after and f"{name}.compare(" not in before, name


def test_what_answers_a_guess_is_folded_in_a_copy(done: NotebookNode) -> None:
    answers = [cell for cell in done.cells if "answer" in tags(cell)]
    assert answers
    assert {cell.cell_type for cell in answers} == {"markdown"}


def test_some_exercises_stand_where_they_belong(done: NotebookNode) -> None:
    places = [n for n, cell in enumerate(done.cells) if ".check(" in cell.source]
    assert places[0] < 0.6 * len(done.cells), "the first exercise comes late"
    assert places[-1] - places[0] > 8, "all exercises stand in one place"


def unmagicked(source: str) -> str:
    return re.sub(r"^(\s*)[%!].*$", r"\1pass", source, flags=re.MULTILINE)


def test_three_to_five_exercises_are_asked_and_answered(notebook: NotebookNode) -> None:
    code = "\n".join(sources(notebook, "code"))
    checked = set(re.findall(r"(\w+)\.check\(", code))
    assert 3 <= len(checked) <= 5
    text = code + "\n".join(sources(notebook, "markdown"))
    assert ".hint()" in text
    assert ".solution()" in text


def test_references_to_arxiv_are_well_formed(notebook: NotebookNode) -> None:
    for source in sources(notebook, "markdown"):
        for number in ARXIV.findall(source):
            assert re.match(r"\d{4}\.\d{4,5}(?!\d)", number), number


def test_links_to_other_files_lead_somewhere(notebook: NotebookNode, notebook_path: Path) -> None:
    text = "\n".join(sources(notebook, "markdown"))
    links = re.findall(r"\]\((?!https?:|#|attachment:)([^)#]+)", text)
    assert [link for link in links if not (notebook_path.parent / link).exists()] == []


def test_the_text_has_no_filler(notebook: NotebookNode) -> None:
    for source in sources(notebook, "markdown"):
        found = FILLER.search(without_fences(source))
        assert not found, f"{found[0]!r} in: {source}"


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (ABSOLUTE_PATH, "saved to /home/ada/run.pt"),
        (ABSOLUTE_PATH, "'/tmp/x'"),
        (ABSOLUTE_PATH, r"C:\Users\ada"),
        (FILLER, "You just add them."),
    ],
)
def test_what_is_forbidden_is_found(pattern: re.Pattern, text: str) -> None:
    assert pattern.search(text)


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (ABSOLUTE_PATH, "https://example.org/home/x and ../tmp/y"),
        (ABSOLUTE_PATH, "p/q, and a ratio a/var b"),
        (ABSOLUTE_PATH, r"L: \lambda"),
        (FILLER, "adjust the weight"),
    ],
)
def test_what_is_allowed_is_left_alone(pattern: re.Pattern, text: str) -> None:
    assert not pattern.search(text)


def test_code_and_formulas_are_not_prose() -> None:
    assert not FILLER.search(without_fences("run `just(x)`\n```\nsimply\n```\n$trivial$"))
