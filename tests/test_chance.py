"""Chance is the score of the best answer that looks at nothing."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from mtl_tutorial.data import load_digits, located_digits, two_digits
from mtl_tutorial.experiments.chance import blind_box_iou, blind_scores, chance
from mtl_tutorial.tasks import Batch, Task, mean_iou, pixel_iou


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


def test_the_best_blind_answer_beats_the_best_by_loss_where_loss_and_metric_differ(batches) -> None:
    tasks = located_digits("train").tasks
    blind, by_loss = blind_scores(tasks, *batches), chance(tasks, *batches)
    assert blind["digit"] == pytest.approx(by_loss["digit"])
    assert blind["box"] > by_loss["box"] + 0.01
    assert blind["mask"] > 0.3 > 0.1 > by_loss["mask"]


def test_no_fixed_mask_by_share_of_ink_scores_higher_on_the_seen_scenes(batches) -> None:
    seen, _ = batches
    (task,) = [task for task in located_digits("train").tasks if task.name == "mask"]
    target = seen.targets["mask"]
    share = target.mean(0)
    found = blind_scores([task], seen, seen)["mask"]
    for cut in torch.linspace(0, 1, 60).tolist():
        assert pixel_iou((share - cut).expand_as(target), target).item() <= found + 0.003


def test_the_blind_score_of_another_metric_is_that_of_the_mean(batches) -> None:
    def closeness(prediction, target):
        return 1 - (prediction - target).abs().mean()

    seen, unseen = batches
    task = Task("box", F.mse_loss, closeness, 4)
    target = unseen.targets["box"]
    expected = closeness(seen.targets["box"].mean(0).expand_as(target), target).item()
    assert blind_scores([task], seen, unseen)["box"] == pytest.approx(expected)


@pytest.mark.parametrize("extent", [(14, 22), (26, 28)])
def test_the_best_fixed_box_scores_on_its_pool_as_on_other_scenes(extent) -> None:
    scenes = located_digits("train", extent=extent)
    seen, unseen = (scenes.draw(2048, torch.Generator().manual_seed(k)) for k in (1, 2))
    expected = blind_scores(scenes.tasks[1:2], seen, unseen)["box"]
    assert blind_box_iou(load_digits("train"), extent) == pytest.approx(expected, abs=0.03)


def test_a_box_around_an_untouched_digit_is_known_without_looking() -> None:
    assert blind_box_iou(load_digits("train"), None) > 0.6
