"""Lesson 01's own IoU and training loop are the package's, to the last bit."""

from __future__ import annotations

import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lesson_cells import run_tagged
from matplotlib.figure import Figure
from torch import Tensor
from torchvision.ops import box_iou

from mtl_tutorial.architectures import ConvEncoder, HardSharing
from mtl_tutorial.data import Scenes, located_digits
from mtl_tutorial.data.questions import BOX, DIGIT
from mtl_tutorial.experiments import train
from mtl_tutorial.plots import draw_against, draw_comparison, draw_learning_curves
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


def test_one_quantity_against_another_is_drawn_with_its_mean_and_range() -> None:
    frame = pd.DataFrame(
        {"seed": [0, 0, 1, 1], "side": [10, 20, 10, 20], "iou": [0.5, 0.8, 0.7, 0.9]}
    )
    figure = Figure(figsize=(9, 4))
    said = draw_against(
        figure, frame, "side", {"iou": ("IoU", (0, 1))}, BOX, xlabel="side, px", title="Grows"
    )
    (axes,) = figure.axes
    assert said == "Grows"
    assert axes.lines[0].get_ydata().tolist() == pytest.approx([0.6, 0.85])
    assert [text.get_text() for text in axes.texts] == ["0.60", "0.85"]
    assert axes.get_xlabel() == "side, px"
    low, high = axes.collections[0].get_paths()[0].get_extents().intervaly
    assert (low, high) == pytest.approx((0.5, 0.9))


def test_a_comparison_draws_every_seed_its_mean_and_the_baseline() -> None:
    frame = pd.DataFrame({"seed": [0, 1], "task": "box", "value": [0.5, 0.7], "encoder": "nothing"})
    figure = Figure(figsize=(9, 4))
    draw_comparison(
        figure, frame, [BOX], by="encoder", title="Alone", xlabel="for", baselines={"box": 0.4}
    )
    (axes,) = figure.axes
    drawn = [list(line.get_ydata()) for line in axes.lines]
    assert [0.5, 0.7] in drawn
    assert [0.4, 0.4] in drawn
    assert [text.get_text() for text in axes.texts] == ["0.60"]
    assert axes.get_xlabel() == "for"


def test_labels_of_lines_that_end_high_stay_below_the_title() -> None:
    rows = [(1, "digit", 0.98), (1, "box", 0.99), (2, "digit", 0.98), (2, "box", 0.99)]
    frame = pd.DataFrame(rows, columns=["step", "task", "value"])
    figure = Figure(figsize=(9, 4))
    draw_learning_curves(
        figure, frame.assign(seed=0, quantity="validation metric"), [DIGIT, BOX], title="High"
    )
    heights = [text.xy[1] for text in figure.axes[0].texts]
    assert len(heights) == 2
    assert max(heights) < 1
    assert abs(heights[0] - heights[1]) > 0.05
