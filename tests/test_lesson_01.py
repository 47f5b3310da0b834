"""Lesson 01's own IoU and training loop are the package's, to the last bit."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lesson_cells import run_tagged
from torch import Tensor
from torchvision.ops import box_iou

from mtl_tutorial.architectures import ConvEncoder, HardSharing
from mtl_tutorial.data import Scenes, located_digits
from mtl_tutorial.data.questions import BOX
from mtl_tutorial.experiments import train
from mtl_tutorial.tasks import mean_iou


@pytest.fixture(scope="module")
def own() -> dict:
    return run_tagged("01_two_tasks_one_image", "from-scratch")


@pytest.fixture(scope="module")
def scenes() -> Scenes:
    return located_digits("train")


def proper_boxes(count: int, seed: int) -> Tensor:
    boxes = torch.rand(count, 4, generator=torch.Generator().manual_seed(seed)) + 0.01
    boxes[:, 2:] += boxes[:, :2]
    return boxes


def test_the_example_by_hand_is_one_seventh(own) -> None:
    square = torch.tensor([[0.0, 0.0, 2.0, 2.0]])
    assert own["iou"](square, square + 1).item() == pytest.approx(1 / 7)


def test_the_iou_from_scratch_is_torchvisions_to_the_last_bit(own) -> None:
    a, b = proper_boxes(300, 0), proper_boxes(300, 1)
    assert torch.equal(own["iou"](a, b), box_iou(a, b).diagonal())


@settings(deadline=None, max_examples=40)
@given(count=st.integers(1, 600), seed=st.integers(0, 2**31))
def test_its_mean_is_the_packages_metric_also_for_boxes_inside_out(own, count, seed) -> None:
    generator = torch.Generator().manual_seed(seed)
    predicted = torch.rand(count, 4, generator=generator) * 2 - 0.5
    true = proper_boxes(count, seed)
    assert torch.equal(own["iou"](predicted, true).mean(), mean_iou(predicted, true))


@pytest.mark.parametrize("name", ["digit", "box", "mask"])
def test_the_loop_from_scratch_trains_the_packages_network_to_the_last_bit(
    own, scenes, name
) -> None:
    (task,) = (task for task in scenes.tasks if task.name == name)
    validation = scenes.draw(8, torch.Generator().manual_seed(0))
    for seed in (0, 5):
        network = own["train_alone"](task, scenes, steps=6, seed=seed)
        model, _ = train(
            lambda: HardSharing(ConvEncoder(), [task]),
            [task],
            scenes,
            validation,
            seed=seed,
            steps=6,
        )
        pairs = list(zip(network.parameters(), model.parameters(), strict=True))
        assert pairs
        assert all(torch.equal(mine, packaged) for mine, packaged in pairs)


def test_other_seeds_train_other_networks(own, scenes) -> None:
    one, other = (own["train_alone"](BOX, scenes, steps=1, seed=seed) for seed in (0, 1))
    assert not torch.equal(next(one.parameters()), next(other.parameters()))
