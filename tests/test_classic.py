"""The source document's run: what is watched of it, and what comes with the course."""

from __future__ import annotations

import pandas as pd
import pytest
import torch
from torch import nn

from mtl_tutorial.data import untouched_digits
from mtl_tutorial.experiments.classic import (
    ENCODERS,
    breakdowns,
    classic_epochs,
    committed_epochs,
    curvature,
    settings,
)
from mtl_tutorial.tasks import Batch, Task


class Point(nn.Module):
    """Gives its own two numbers as prediction, and has one that no loss reaches."""

    def __init__(self, x: float, y: float) -> None:
        super().__init__()
        self.place, self.other = nn.Parameter(torch.tensor([x, y])), nn.Parameter(torch.ones(1))

    def forward(self, inputs: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"bowl": self.place.expand(len(inputs), 2)}


BOWL = Task(  # L = (2 x² + 6 y²) / 2: its curvature is 2 along x, 6 along y
    "bowl",
    lambda given, target: (given.square() * torch.tensor([2.0, 6.0])).sum(1).mean() / 2,
    lambda given, target: given.mean(),
    2,
)
NOTHING = Batch(torch.zeros(3, 1), {"bowl": torch.zeros(3, 2)})


@pytest.mark.parametrize(("x", "y", "bent"), [(1.0, 0.0, 2.0), (0.0, -2.0, 6.0), (3.0, 1.0, 4.0)])
def test_curvature_is_that_of_the_direction_of_the_gradient(x, y, bent) -> None:
    model = Point(x, y)
    assert curvature(model, BOWL, NOTHING) == pytest.approx(bent)
    assert model.place.grad is None and model.training


def test_at_the_bottom_there_is_no_direction_and_no_curvature() -> None:
    assert curvature(Point(0.0, 0.0), BOWL, NOTHING) == 0


@pytest.mark.parametrize("tasks", [("digit", "box"), ("box",)])
def test_an_epoch_tells_each_task_and_the_curvature(tasks) -> None:
    scenes = untouched_digits("train").keep(70, torch.Generator().manual_seed(0))
    exam = scenes.draw(8, torch.Generator().manual_seed(1))
    (row,) = classic_epochs("as printed", 3, 0.01, 1, tasks=tasks, scenes=scenes, exam=exam)
    assert row.keys() == {"tasks", "encoder", "rate", "seed", "epoch", "curvature", *tasks}
    assert row["tasks"] == " and ".join(tasks) and row["epoch"] == 1


def test_what_comes_with_the_course_has_three_seeds_of_every_run_and_its_origin() -> None:
    epochs, made = committed_epochs()
    assert "torch" in made and "commit" in made
    seeds = epochs.groupby(["tasks", "encoder", "rate"])["seed"].unique()
    assert len(seeds) == 4
    assert all(set(found) == {0, 1, 2} for found in seeds)
    assert set(epochs["encoder"]) == set(ENCODERS)
    last = epochs.groupby(["tasks", "encoder", "rate", "seed"])["epoch"].agg(["max", "count"])
    assert (last["max"] == last["count"]).all()


def test_a_setting_is_named_by_what_differs_from_the_documents() -> None:
    epochs, _ = committed_epochs()
    named = epochs.assign(run=settings(epochs)).groupby("run")[["tasks", "encoder", "rate"]].first()
    assert named.T.to_dict("list") == {
        "as above": ["digit and box", "as printed", 0.01],
        "box alone": ["box", "as printed", 0.01],
        "half the rate": ["digit and box", "as printed", 0.005],
        "two more ReLUs": ["digit and box", "two more ReLUs", 0.01],
    }


def test_a_breakdown_is_the_first_low_box_once_it_was_learned_and_the_rest_is_averaged() -> None:
    boxes = {"falls": [0.1, 0.8, 0.78, 0.7, 0.6, 0.3, 0.7], "stays": [0.2] + 6 * [0.8]}
    rows = [
        {"run": run, "seed": 0, "rate": 0.01, "epoch": e, "box": box, "curvature": 30.0 * e}
        for run, found in boxes.items()
        for e, box in enumerate(found, 1)
    ]
    found = breakdowns(pd.DataFrame(rows[::-1]))
    assert found.loc[("falls", 0)].to_dict() == pytest.approx(
        {"breaks in epoch": 6, "ηc since": 1.95}
    )
    assert found.loc[("stays", 0)].isna().all()
