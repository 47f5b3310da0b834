"""A run whose weights move is that of `train` where they do not, and moves them when it is told."""

from __future__ import annotations

import pandas as pd
import pytest
import torch

from mtl_tutorial.architectures import ConvEncoder, HardSharing
from mtl_tutorial.balancing import FixedWeights
from mtl_tutorial.data import located_digits
from mtl_tutorial.experiments import Run, above_line, train, train_on_schedule
from mtl_tutorial.measuring import evaluate

SCENES = located_digits("train")
TASKS = SCENES.tasks[:2]
VALIDATION = SCENES.draw(64, torch.Generator().manual_seed(5))


def build() -> HardSharing:
    return HardSharing(ConvEncoder(width=2), TASKS)


def scheduled(schedule: dict, at: list[int], **settings):
    return train_on_schedule(build, TASKS, SCENES, VALIDATION, schedule, seed=1, at=at, **settings)


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


@pytest.mark.parametrize("forget", [True, False])
def test_an_optimizer_that_forgets_goes_on_as_a_new_one(forget) -> None:
    run = Run(build, TASKS, SCENES, seed=1, steps=40)
    for record in run:
        if forget and record.step == 3:
            assert run.optimizer.state
            run.optimizer.state.clear()
    by_hand = [score.metric for score in evaluate(run.model, TASKS, VALIDATION).values()]
    table = scheduled({3: {"box": 1.0}}, [40], forget=forget)
    assert table["value"].tolist() == pytest.approx(by_hand, abs=1e-7)
    other = scheduled({3: {"box": 1.0}}, [40], forget=not forget)
    assert table["value"].tolist() != other["value"].tolist()


@pytest.mark.parametrize("at", [[], [0, 5]])
def test_a_run_that_is_never_scored_is_refused(at) -> None:
    with pytest.raises(ValueError, match="at must name steps from 1 on, got"):
        scheduled({}, at)


def test_a_weight_of_no_task_is_refused() -> None:
    with pytest.raises(ValueError, match="no such task"):
        scheduled({0: {"mask": 1.0}}, [1])


@pytest.mark.parametrize(
    ("digit", "box", "height"),
    [(0.3, 0.7, 0.1), (0.25, 0.7, 0.0), (0.5, 0.2, -0.2), (0.1, 0.9, 0.1), (0.9, 0.5, 0.1)],
)
def test_the_height_above_the_line_is_taken_at_the_same_first_metric(digit, box, height) -> None:
    points = {"1": (0.6, 0.4), "10": (0.4, 0.4), "30": (0.2, 0.8), "1 → 100": (digit, box)}
    rows = [
        (label, steps, 0, task.name, value + (steps - 300) / 3000)
        for label, pair in points.items()
        for steps in (300, 600)
        for task, value in zip(TASKS, pair, strict=True)
    ]
    frame = pd.DataFrame(rows, columns=["weight", "steps", "seed", "task", "value"])
    heights = above_line(frame, ["1", "10", "30"], "1 → 100", TASKS)
    assert heights.index.tolist() == [(300, 0), (600, 0)]
    assert heights.tolist() == pytest.approx([height, height])
