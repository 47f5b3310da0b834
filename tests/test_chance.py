"""Chance is the score of the best answer that looks at nothing."""

from __future__ import annotations

import pytest
import torch

from mtl_tutorial.data import located_digits, two_digits
from mtl_tutorial.experiments.chance import chance
from mtl_tutorial.tasks import Batch, mean_iou, pixel_iou


@pytest.fixture(scope="module")
def batches() -> list[Batch]:
    return [
        located_digits(split).draw(500, torch.Generator().manual_seed(0))
        for split in ("train", "validation")
    ]


def test_chance_of_classes_is_the_share_of_the_most_frequent_one(batches) -> None:
    seen, unseen = batches
    label = seen.targets["digit"].bincount().argmax()
    found = chance(located_digits("train").tasks, *batches)
    assert found["digit"] == pytest.approx((unseen.targets["digit"] == label).float().mean().item())


def test_chance_of_boxes_is_the_mean_box(batches) -> None:
    seen, unseen = (batch.targets["box"] for batch in batches)
    expected = mean_iou(seen.mean(0).expand_as(unseen), unseen).item()
    assert chance(located_digits("train").tasks, *batches)["box"] == pytest.approx(expected, 1e-2)


def test_chance_of_a_mask_is_ink_where_most_scenes_have_it(batches) -> None:
    seen, unseen = (batch.targets["mask"] for batch in batches)
    often = (seen.mean(0) - 0.5).expand_as(unseen)
    found = chance(located_digits("train").tasks, *batches)["mask"]
    assert found == pytest.approx(pixel_iou(often, unseen).item(), abs=0.02)


def test_chance_of_two_digits_is_near_a_tenth() -> None:
    scenes = two_digits("train")
    drawn = [scenes.draw(2000, torch.Generator().manual_seed(i)) for i in range(2)]
    assert all(0.08 < value < 0.14 for value in chance(scenes.tasks, *drawn).values())
