"""Many tasks in one tensor are trained as each would be alone."""

from __future__ import annotations

import pytest
import torch

from mtl_tutorial.experiments.many_tasks import (
    POOLED,
    SHARED,
    WAYS,
    chosen,
    draw_many_tasks,
    learn_many,
)


def problem(seed: int = 0, relatedness: float = 0.5, tasks: int = 3, labels: int = 6):
    generator = torch.Generator().manual_seed(seed)
    return draw_many_tasks(relatedness, tasks=tasks, labels=labels, generator=generator)


def test_the_dial_turns_what_is_common_and_nothing_else() -> None:
    one, other = problem(relatedness=0), problem(relatedness=1)
    assert all(torch.equal(one.inputs[name], other.inputs[name]) for name in one.inputs)
    assert not torch.equal(one.answers["test"], other.answers["test"])
    assert one.inputs["training"].shape == (3, 6, 10)
    assert one.answers["training"].shape == (3, 6, 1)


def test_answers_vary_as_much_at_every_relatedness() -> None:
    made = [problem(relatedness=r, tasks=40, labels=1).answers["test"].var() for r in (0.0, 1.0)]
    assert made[0].item() == pytest.approx(made[1].item(), rel=0.3)


@pytest.mark.parametrize("way", WAYS)
def test_seeds_and_decays_do_not_touch_each_other(way) -> None:
    both = learn_many([problem(0), problem(1)], way, decays=(0.0, 0.5), steps=6, every=3)
    one = learn_many([problem(0), problem(1)], way, decays=(0.5,), steps=6, every=3)
    same = both[both["decay"] == 0.5].reset_index(drop=True)
    for column in ("validation", "test"):
        assert same[column].tolist() == pytest.approx(one[column].tolist(), rel=1e-4)


@pytest.mark.parametrize("way", [SHARED, POOLED])
def test_what_is_shared_feels_the_answers_of_another_task(way) -> None:
    errors = []
    for shift in (0, 5):
        made = problem(0, tasks=2)
        made.answers["training"][1] += shift
        errors.append(learn_many([made], way, steps=4, every=4, decays=(0.0,))["test"].item())
    assert errors[0] != pytest.approx(errors[1], rel=1e-6)


def test_validation_chooses_decay_and_step() -> None:
    table = learn_many([problem(0), problem(1)], SHARED, steps=10, every=2)
    found = chosen(table)
    assert found.index.tolist() == [(0, SHARED), (1, SHARED)]
    own = table[table["seed"] == 1]
    assert found[1, SHARED] == own.loc[own["validation"].idxmin(), "test"]


def test_a_trunk_may_be_wider() -> None:
    setting = {"decays": (0.0,), "steps": 6, "every": 6}
    plain, same, wide = (
        learn_many([problem(0)], SHARED, hidden=hidden, **setting) for hidden in (12, 12, 48)
    )
    assert plain.equals(same) and not plain.equals(wide)
    assert plain.equals(learn_many([problem(0)], SHARED, **setting))


def test_many_labels_and_common_features_are_learned() -> None:
    table = learn_many([problem(0, 1.0, tasks=16, labels=60)], SHARED, steps=150)
    assert chosen(table).item() < 0.2


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ({"relatedness": 1.1}, "relatedness must be from 0 to 1, got 1.1"),
        ({"relatedness": float("nan")}, "relatedness must be from 0 to 1, got nan"),
        ({"tasks": 0}, "tasks must be at least 1, got 0"),
        ({"labels": 2.5}, "labels must be a whole number, got 2.5"),
    ],
)
def test_tasks_that_can_not_be_are_refused(setting, told) -> None:
    with pytest.raises(ValueError, match=told):
        problem(**setting)
    with pytest.raises(ValueError, match="way must be one of"):
        learn_many([problem()], "in pairs")
    for name in ("steps", "every", "hidden"):
        with pytest.raises(ValueError, match=f"{name} must be at least 1, got 0"):
            learn_many([problem()], SHARED, **{name: 0})
    for decays in ([-1], [float("nan")], [1000]):
        with pytest.raises(ValueError, match="decays must be from 0 on, and below 1 / rate"):
            learn_many([problem()], SHARED, decays=decays)
    with pytest.raises(ValueError, match="needs a problem and a decay, got none"):
        learn_many([], SHARED)
