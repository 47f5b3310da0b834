"""A run whose weights move is that of `train` where they do not, and moves them when it is told."""

from __future__ import annotations

import pytest
import torch

from mtl_tutorial.architectures import ConvEncoder, HardSharing
from mtl_tutorial.balancing import FixedWeights
from mtl_tutorial.data import located_digits
from mtl_tutorial.experiments import Run, train, train_on_schedule
from mtl_tutorial.measuring import evaluate

SCENES = located_digits("train")
TASKS = SCENES.tasks[:2]
VALIDATION = SCENES.draw(64, torch.Generator().manual_seed(5))


def build() -> HardSharing:
    return HardSharing(ConvEncoder(width=2), TASKS)


def scheduled(schedule: dict, at: list[int]):
    return train_on_schedule(build, TASKS, SCENES, VALIDATION, schedule, seed=1, at=at)


def test_weights_that_stand_still_give_the_scores_of_plain_training() -> None:
    table = scheduled({0: {"box": 10.0}}, [3, 6])
    _, history = train(
        build,
        TASKS,
        SCENES,
        VALIDATION,
        seed=1,
        steps=6,
        measure_every=3,
        balancer=FixedWeights({"digit": 1.0, "box": 10.0}),
    )
    expected = history.to_frame().query("quantity == 'validation metric'")
    assert table["steps"].tolist() == expected["step"].tolist()
    assert table["value"].tolist() == pytest.approx(expected["value"].tolist(), abs=1e-7)


def test_a_weight_counts_from_the_step_after_the_one_that_is_named() -> None:
    weights = FixedWeights({"digit": 1.0, "box": 1.0})
    run = Run(build, TASKS, SCENES, seed=1, steps=5, balancer=weights)
    for record in run:
        assert record.weights["box"] == (1.0 if record.step <= 2 else 100.0)
        if record.step == 2:
            weights.set_weight("box", 100.0)
    by_hand = evaluate(run.model, TASKS, VALIDATION)["box"].metric
    table = scheduled({2: {"box": 100.0}}, [5]).set_index("task")
    assert table.loc["box", "value"] == pytest.approx(by_hand, abs=1e-7)


def test_a_weight_of_no_task_is_refused() -> None:
    with pytest.raises(ValueError, match="no such task"):
        scheduled({0: {"mask": 1.0}}, [1])
