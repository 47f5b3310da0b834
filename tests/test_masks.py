"""A task that is asked twice has the same answers; what differs between its masks is chance."""

from __future__ import annotations

import json

import pandas as pd
import pytest
import torch

from mtl_tutorial.architectures import MTAN, VGGEncoder
from mtl_tutorial.data import located_digits
from mtl_tutorial.experiments import seeded
from mtl_tutorial.experiments.masks import (
    FOUR,
    TWIN,
    WEIGHTS,
    FlatMasks,
    chance,
    excess,
    four_times,
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
    assert [task.name for task in tasks] == ["digit", "twin", "box", "mask"] == list(WEIGHTS)[:4]
    assert tasks[1] is TWIN
    assert WEIGHTS["digit"] + WEIGHTS["twin"] == 1
    assert sum(WEIGHTS[task.name] for task in FOUR) == 1


def test_one_question_is_asked_four_times_of_the_same_images() -> None:
    one = SCENES.draw(8, torch.Generator().manual_seed(0))
    four = four_times(SCENES).draw(8, torch.Generator().manual_seed(0))
    assert torch.equal(one.inputs, four.inputs)
    assert list(four.targets) == [task.name for task in FOUR]
    assert all(torch.equal(answers, one.targets["digit"]) for answers in four.targets.values())


def test_flat_masks_are_a_half_in_training_and_their_stacks_learn_nothing() -> None:
    images = SCENES.draw(4, torch.Generator().manual_seed(0)).inputs
    with seeded(0):
        flat = FlatMasks(VGGEncoder((2, 2, 2)), SCENES.tasks)
    with seeded(0):
        mtan = MTAN(VGGEncoder((2, 2, 2)), SCENES.tasks)
    half = {task.name: [torch.tensor([0.5])] * 3 for task in SCENES.tasks}
    answers, expected = flat(images), mtan(images, half)
    assert all(torch.equal(answers[name], expected[name]) for name in expected)
    sum(answer.sum() for answer in answers.values()).backward()
    assert all(p.grad is None for p in flat.attention.parameters())
    assert all(p.grad is not None for p in flat.extractors[-1].parameters())


def test_flat_masks_give_way_to_those_that_are_given() -> None:
    images = SCENES.draw(4, torch.Generator().manual_seed(0)).inputs
    flat = FlatMasks(VGGEncoder((2, 2, 2)), SCENES.tasks)
    with torch.no_grad():
        answers, closed = flat(images), flat(images, {"box": [torch.zeros(1)] * 3})
    assert torch.equal(answers["digit"], closed["digit"])
    assert not torch.equal(answers["box"], closed["box"])


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


def test_by_chance_each_pair_in_turn_is_the_one_that_is_asked_twice() -> None:
    found = chance(masks_at(digit1=0.1, digit2=0.2, digit3=0.4))
    first = found[found["block"] == 1]  # the pairs differ by 0.1, 0.3 and 0.2
    assert first[["one", "other"]].to_numpy().tolist() == [
        ["digit1", "digit2"],
        ["digit1", "digit3"],
        ["digit2", "digit3"],
    ]
    assert first["value"].tolist() == pytest.approx([0.15, -0.15, 0.0], abs=1e-6)
    second = found[found["block"] == 2]
    assert second["value"].tolist() == pytest.approx([0.3, -0.3, 0.0], abs=1e-6)


def test_the_excess_of_twins_is_one_of_those_that_chance_gives() -> None:
    masks = masks_at(digit=0.1, twin=0.4, box=0.9, mask=0.2)
    table = chance(masks).set_index(["one", "other", "block"])["value"]
    expected = excess(mask_differences(masks).assign(seed=0)).loc[0]
    assert table["digit", "twin"].tolist() == pytest.approx(expected.tolist())


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
    assert {"flat masks", "one question"} <= set(counts.index)
    assert provenance["commit"] and not provenance["commit"].endswith("+")
