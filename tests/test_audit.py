"""The audit says where a claim holds and where it turns, and stops for nothing."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path

import nbformat
import pytest

from mtl_tutorial.commands import UsageError
from mtl_tutorial.commands.audit import ARITHMETIC, AS_IT_COMES, audit, sizes
from mtl_tutorial.commands.lessons import lessons
from mtl_tutorial.places import RESULTS

CELLS = (
    "from mtl_tutorial.claims import claim\n"
    "from mtl_tutorial.profiles import load_profile\n"
    "profile = load_profile()",
    "claim('It is short', profile.steps, at_most=500)\n"
    "claim(f'At {profile.steps} steps it is short', profile.steps, at_most=500, only_at='steps')\n"
    "claim('Seeds are numbers', profile.seeds, at_least=0)",
    "assert profile.steps < 1000",
    "claim('Small seeds', profile.seeds, at_most=2)",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("audit")
    cells = [nbformat.v4.new_code_cell(source) for source in CELLS]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), folder / "01_sizes.ipynb")
    return folder


@pytest.fixture(scope="module")
def audited(folder) -> tuple[int, str, dict]:
    results, out = folder / "claims.json", io.StringIO()
    with contextlib.redirect_stdout(out):
        code = audit(at=sizes(steps=[4], seeds=[3]), folder=folder, results=results)
    return code, out.getvalue(), json.loads(results.read_text(encoding="utf-8"))


def test_each_claim_is_told_with_the_sizes_at_which_it_turns(audited) -> None:
    code, out, _ = audited
    assert code == 1
    assert "✗ It is short\n      turns at 4 × steps: 1.6e+03 (at most 500)" in out
    assert "✓ Seeds are numbers: holds" in out
    assert "✗ Small seeds\n      turns at seeds from 3: 3, 4, 5 (at most 2)" in out
    assert "2 claims hold in their range, 2 turn, 1 cells stop" in out


def test_a_claim_that_names_its_range_may_turn_outside_of_it(audited) -> None:
    _, out, _ = audited
    assert (
        "✓ At 400 steps it is short\n"
        "      turns at 4 × steps, outside its range: 1.6e+03 (at most 500)" in out
    )


def test_a_cell_that_stops_is_told_and_those_after_it_run(audited) -> None:
    _, out, found = audited
    assert "✗ at 4 × steps stops cell 2: AssertionError" in out
    assert set(found["01_sizes"]["stopped"]) == {"4 × steps"}
    last = found["01_sizes"]["claims"][-1]
    assert set(last["values"]) == {AS_IT_COMES, "4 × steps", "seeds from 3"}


def test_the_table_keeps_lessons_that_were_not_run_again(folder, tmp_path) -> None:
    results = tmp_path / "claims.json"
    results.write_text(json.dumps({"00_other": {"claims": []}}), encoding="utf-8")
    audit(["01_sizes"], at=sizes(), folder=folder, results=results)
    assert list(json.loads(results.read_text(encoding="utf-8"))) == ["00_other", "01_sizes"]


def test_where_all_holds_the_exit_code_is_0(folder) -> None:
    assert audit(at=sizes(arithmetic=["avx2"]), folder=folder) == 0


@pytest.mark.parametrize(
    ("asked", "rule"),
    [
        ({"steps": [0.0]}, "--steps are factors above 0, such as 2 or 0.5, got 0"),
        ({"rates": [float("inf")]}, "--rates are factors above 0"),
        ({"seeds": [-1]}, "at least 0, got -1"),
        ({"arithmetic": ["avx512"]}, f"must be of {', '.join(ARITHMETIC)}, got 'avx512'"),
    ],
)
def test_a_size_that_cannot_be_is_refused_before_anything_runs(asked, rule) -> None:
    with pytest.raises(UsageError, match=rule):
        sizes(**asked)


def test_the_table_that_comes_with_the_course_has_every_lesson_and_no_claim_that_turns() -> None:
    table = json.loads((RESULTS / "claims.json").read_text(encoding="utf-8"))
    assert list(table) == [path.stem for path in lessons()]
    sizes = {"2 × steps", "4 × steps", "seeds from 3", "0.5 × rate", "2 × rate"}
    for name, entry in table.items():
        assert sizes < set(entry["sizes"]) and not entry["stopped"], name
        assert [claim["sentence"] for claim in entry["claims"] if claim["turns"]] == [], name
        for claim in entry["claims"]:  # each was measured wherever the lesson was run
            assert set(claim["values"]) == set(entry["sizes"]), claim["sentence"]
