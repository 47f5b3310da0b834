"""A task that is asked twice has the same answers; what differs between its masks is chance."""

from __future__ import annotations

import json

import pandas as pd
import pytest
import torch

from mtl_tutorial.data import located_digits
from mtl_tutorial.experiments.masks import (
    TWIN,
    WEIGHTS,
    excess,
    long_runs,
    mask_differences,
    with_twin,
)

SCENES = located_digits("train")


def test_a_twin_has_the_answers_of_the_digit_and_all_else_stays() -> None:
    one = SCENES.draw(8, torch.Generator().manual_seed(0))
    two = with_twin(SCENES).draw(8, torch.Generator().manual_seed(0))
    assert torch.equal(one.inputs, two.inputs)
    assert torch.equal(two.targets["twin"], two.targets["digit"])
    for name in ("digit", "box", "mask"):
        assert torch.equal(one.targets[name], two.targets[name])


def test_the_twin_stands_beside_the_digit_and_pulls_with_it_as_hard_as_one() -> None:
    tasks = with_twin(SCENES).tasks
    assert [task.name for task in tasks] == ["digit", "twin", "box", "mask"] == list(WEIGHTS)
    assert tasks[1] is TWIN
    assert WEIGHTS["digit"] + WEIGHTS["twin"] == 1


def masks_at(**values: float) -> dict[str, list[torch.Tensor]]:
    """Masks of two blocks, each with one value; twice as far apart in the second."""
    return {
        name: [torch.full((2, 3, 4, 4), factor * value) for factor in (1, 2)]
        for name, value in values.items()
    }


def test_differences_are_the_mean_distances_of_two_masks_in_a_block() -> None:
    found = mask_differences(masks_at(digit=0.1, twin=0.2, box=0.4))
    assert found[found["block"] == 1]["value"].tolist() == pytest.approx([0.1, 0.3, 0.2])
    assert found[found["block"] == 2]["value"].tolist() == pytest.approx([0.2, 0.6, 0.4])
    assert found["pair"].tolist().count("one task twice") == 2


def test_the_excess_is_what_two_tasks_differ_more_than_one_that_is_asked_twice() -> None:
    seeds = [masks_at(digit=0.1, twin=0.2, box=0.4), masks_at(digit=0.1, twin=0.4, box=0.4)]
    table = pd.concat(mask_differences(masks).assign(seed=i) for i, masks in enumerate(seeds))
    assert excess(table).loc[0].tolist() == pytest.approx([0.15, 0.3])
    assert excess(table).loc[1].tolist() == pytest.approx([-0.15, -0.3])


def test_long_runs_that_are_not_there_are_told(tmp_path) -> None:
    with pytest.raises(ValueError, match=r"absent.json is not in .*; it comes with a checkout"):
        long_runs(tmp_path / "absent.json")


def test_long_runs_come_with_what_made_them(tmp_path) -> None:
    path = tmp_path / "runs.json"
    columns = ["setting", "seed", "steps", "name", "value"]
    rows = [["MTAN", 0, 80, "block 1", 0.5]]
    path.write_text(json.dumps({"columns": columns, "rows": rows, "provenance": {"commit": "a"}}))
    table, provenance = long_runs(path)
    assert table.to_dict("records") == [dict(zip(columns, rows[0], strict=True))]
    assert provenance == {"commit": "a"}


def test_the_committed_runs_hold_every_rival_at_every_length_for_every_seed() -> None:
    table, provenance = long_runs()
    counts = table.groupby(["setting", "steps"]).size().unstack("steps")
    seeds = table["seed"].nunique()
    assert seeds >= 5
    assert (counts.loc["MTAN"] == 6 * seeds).all()  # three tasks and three blocks
    assert (counts.drop("MTAN") == 3 * seeds).all(axis=None)
    assert provenance["commit"] and not provenance["commit"].endswith("+")
