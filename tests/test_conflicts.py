"""Conflicts on the way are those of the gradients; agreement and hurt are counted right."""

from __future__ import annotations

import itertools

import pandas as pd
import pytest
import torch

from mtl_tutorial.architectures import ConvEncoder, HardSharing
from mtl_tutorial.balancing import mgda, pcgrad, task_gradients
from mtl_tutorial.data import located_digits
from mtl_tutorial.experiments import Run
from mtl_tutorial.experiments.conflicts import (
    changes_at,
    share_hurt,
    sign_agreement,
    watch_conflicts,
)
from mtl_tutorial.tasks import task_losses

SCENES = located_digits("train")
TASKS = SCENES.tasks[:2]


def start(steps: int) -> Run:
    return Run(lambda: HardSharing(ConvEncoder(width=2), TASKS), TASKS, SCENES, seed=0, steps=steps)


def test_who_is_hurt_is_who_disagrees_with_the_sum() -> None:
    run = start(12)
    frame = watch_conflicts(
        run, SCENES, every=12, batches={8: 20}, generator=torch.Generator().manual_seed(3)
    )
    fresh = torch.Generator().manual_seed(3)
    for row in frame.itertuples():  # the network is as it was left
        batch = SCENES.draw(8, fresh)
        losses = task_losses(run.model(batch.inputs), batch.targets, TASKS)
        jacobian = task_gradients(losses, list(run.model.encoder.parameters()))
        agreement = dict(zip(losses, (jacobian @ jacobian.sum(0)).tolist(), strict=True))
        assert row.hurt == next((name for name, dot in agreement.items() if dot < 0), "")
        norms = dict(zip(losses, jacobian.norm(dim=1).tolist(), strict=True))
        assert row.longer == max(norms, key=norms.__getitem__)
        assert row.limit == pytest.approx(-min(norms.values()) / max(norms.values()), rel=1e-4)
        cosine = torch.cosine_similarity(jacobian[0], jacobian[1], dim=0).item()
        assert row.cosine == pytest.approx(cosine, abs=1e-4)


def test_there_is_a_row_for_each_batch_of_each_size() -> None:
    frame = watch_conflicts(
        start(9), SCENES, every=3, batches={4: 2, 16: 1}, generator=torch.Generator().manual_seed(0)
    )
    assert frame["step"].tolist() == [3] * 3 + [6] * 3 + [9] * 3
    assert frame["scenes"].tolist() == [4, 4, 16] * 3


def test_looking_does_not_change_the_training() -> None:
    watched, alone = start(6), start(6)
    watch_conflicts(
        watched, SCENES, every=2, batches={8: 1}, generator=torch.Generator().manual_seed(0)
    )
    assert len(list(alone)) == 6
    for a, b in zip(watched.model.parameters(), alone.model.parameters(), strict=True):
        assert torch.equal(a, b)


def test_agreement_counts_pairs() -> None:
    cosines = {5: [1, 1, -1], 10: [-1, -1, -1], 15: [1, -1, 1]}
    frame = pd.DataFrame(
        [{"step": step, "cosine": c} for step, values in cosines.items() for c in values]
    )
    pairs = list(itertools.combinations(frame.itertuples(), 2))
    same = [a.cosine == b.cosine for a, b in pairs if a.step == b.step]
    other = [a.cosine == b.cosine for a, b in pairs if a.step != b.step]
    expected = (sum(same) / len(same), sum(other) / len(other))
    assert sign_agreement(frame) == pytest.approx(expected)


def test_who_hurts_nobody_has_a_share_of_zero_and_who_goes_against_all_of_one() -> None:
    setting = {"tasks": 3, "parameters": 2, "seed": 0, "tries": 20}
    assert share_hurt(mgda, **setting) == 0
    assert share_hurt(lambda jacobian: -mgda(jacobian), **setting) == 1


def test_surgery_hurts_nobody_of_two_tasks_nor_of_three_in_the_plane() -> None:
    for tasks in (2, 3):
        for seed in range(3):
            assert share_hurt(pcgrad, tasks=tasks, parameters=2, seed=seed) == 0
    assert share_hurt(pcgrad, tasks=3, parameters=3, seed=0) > 0


@pytest.mark.parametrize("angle", range(0, 181, 20))
@pytest.mark.parametrize("length", [0.1, 1.0, 2.5])
def test_pcgrad_and_mgda_hurt_nobody_at_any_angle(angle, length) -> None:
    changes = changes_at(angle, length)
    assert max(*changes["PCGrad"], *changes["MGDA"]) < 1e-9


@pytest.mark.parametrize(("length", "hurt"), [(0.5, 1), (1.0, None), (2.0, 0)])
def test_the_sum_hurts_the_task_of_the_shorter_gradient(length, hurt) -> None:
    changes = changes_at(135, length)["sum"]  # cosine −.71
    assert [i for i, change in enumerate(changes) if change > 1e-9] == [
        i for i in (hurt,) if i is not None
    ]
