"""A claim says what was measured, stops what is false, and can be collected."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest
import torch

from mtl_tutorial.claims import ClaimError, claim


@pytest.fixture(autouse=True)
def as_it_comes(monkeypatch) -> None:
    for name in ("MTL_PROFILE", "MTL_CLAIMS", "MTL_STEPS", "MTL_FIRST_SEED", "MTL_RATE"):
        monkeypatch.delenv(name, raising=False)


def line_of(capsys) -> str:
    return capsys.readouterr().out.strip()


def test_the_line_says_what_was_measured_in_each_seed_and_the_bounds(capsys) -> None:
    claim("The box falls back", [0.31, 0.23, 0.29], at_least=0.1)
    assert line_of(capsys) == "✓ The box falls back: 0.31, 0.23, 0.29 (each at least 0.10)"
    claim("Between", [0.5, 0.88], at_least=0.1, at_most=0.9)
    assert line_of(capsys) == "✓ Between: 0.50, 0.88 (each at least 0.10, at most 0.90)"


def test_of_many_numbers_the_ends_are_told(capsys) -> None:
    claim("Of twenty", [i / 20 for i in range(20)], at_most=1)
    assert line_of(capsys) == "✓ Of twenty: 20 numbers, 0.00 to 0.95 (each at most 1.00)"


def test_one_number_has_no_seeds(capsys) -> None:
    claim("Small", 0.0042, at_most=0.01)
    assert line_of(capsys) == "✓ Small: 0.0042 (at most 0.01)"


@pytest.mark.parametrize(
    "value",
    [
        np.array([1.0, 2.0]),
        torch.tensor([1, 2]),
        pd.Series([1.0, 2.0]),
        {0: 1.0, 1: 2.0},
        (x for x in (1, 2)),
        [torch.tensor(1.0), np.float32(2)],
    ],
)
def test_numbers_come_in_any_form(value, capsys) -> None:
    claim("Counts", value, at_least=1)
    assert "1.00, 2.00 (each at least 1.00)" in line_of(capsys)


@pytest.mark.parametrize("value", [True, np.bool_(True), torch.tensor(True), np.array(True)])
def test_a_truth_needs_no_bound(value, capsys) -> None:
    claim("All are equal", value)
    assert line_of(capsys) == "✓ All are equal"


@pytest.mark.parametrize(
    ("value", "bounds"),
    [
        (False, {}),
        (np.bool_(False), {}),
        ([0.2, 0.05], {"at_least": 0.1}),
        (0.2, {"at_most": 0.1}),
        (math.nan, {"at_least": 0.0}),
        (math.nan, {"at_most": 0.0}),
        ([1.0, math.nan], {"at_least": 0.0}),
    ],
)
def test_what_does_not_hold_stops_the_cell_in_the_quick_profile(value, bounds) -> None:
    with pytest.raises(ClaimError, match="✗ Wrong"):
        claim("Wrong", value, **bounds)


def test_a_bound_is_kept_where_it_is_met_to_the_bit() -> None:
    claim("At the bound", [0.1, 0.3], at_least=0.1, at_most=0.3)


@pytest.mark.parametrize(
    ("name", "value"), [("MTL_PROFILE", "full"), ("MTL_STEPS", "2"), ("MTL_RATE", "0.5")]
)
def test_at_other_sizes_it_is_shown_and_goes_on(name, value, monkeypatch, capsys) -> None:
    monkeypatch.setenv(name, value)
    claim("Wrong", 0.0, at_least=1)
    assert line_of(capsys) == "✗ Wrong: 0.00 (at least 1.00)"


def test_claims_are_collected_whether_or_not_they_hold(tmp_path, monkeypatch) -> None:
    path = tmp_path / "claims.jsonl"
    monkeypatch.setenv("MTL_CLAIMS", str(path))
    claim("θ moves after 3 steps", [1.0, math.inf], at_least=2, only_at="steps")
    claim("Equal", True)
    first, second = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    assert first == {
        "cell": 0,
        "sentence": "θ moves after 3 steps",
        "values": [1.0, "inf"],
        "at_least": 2,
        "at_most": None,
        "only_at": "steps",
        "holds": False,
    }
    assert second["holds"] and second["values"] == [1.0]


def test_a_file_that_cannot_be_written_is_told_and_stops_nothing(
    tmp_path, monkeypatch, capsys
) -> None:
    monkeypatch.setenv("MTL_CLAIMS", str(tmp_path))
    claim("Equal", True)
    assert f"claims can't be added to {tmp_path}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("value", "keywords", "rule"),
    [
        (0.3, {}, "needs a bound for its numbers"),
        (True, {"at_least": 1}, "a bound is for numbers"),
        ([], {"at_least": 1}, "one number a seed, got"),
        (None, {"at_least": 1}, "got None"),
        ("much", {"at_least": 1}, "got 'much'"),
        (1.0, {"at_least": 0, "only_at": "weights"}, "only_at must be made of 'steps', 'rate'"),
        (1.0, {"at_least": 0, "only_at": "steps"}, "say in the sentence at which steps"),
        (1.0, {"at_least": 0, "only_at": "seeds rate"}, "say in the sentence at which seeds"),
    ],
)
def test_what_is_no_claim_is_refused_in_a_sentence(value, keywords, rule) -> None:
    with pytest.raises(ValueError, match=rule):
        claim("The box falls", value, **keywords)


def test_a_sentence_that_names_its_range_may_be_tied_to_it() -> None:
    claim("After 300 steps at this rate it is low", 0.1, at_most=1, only_at="steps rate")
