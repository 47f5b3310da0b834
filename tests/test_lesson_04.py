"""Lesson 04's own network is the package's, to the last bit; its pictures hold."""

from __future__ import annotations

import pandas as pd
import pytest
import torch
from lesson_cells import run_tagged
from matplotlib.figure import Figure

from mtl_tutorial.architectures import MTAN, VGGEncoder
from mtl_tutorial.data import located_digits
from mtl_tutorial.experiments import seeded
from mtl_tutorial.plots import draw_mask_differences, draw_swaps

SCENES = located_digits("train")


@pytest.fixture(scope="module")
def lesson() -> dict:
    return run_tagged("04_attention_fusion", "from-scratch")


@pytest.mark.parametrize("channels", [(8, 8, 16), (4, 4, 4)])
@pytest.mark.parametrize("count", [1, 3])
def test_the_lessons_network_equals_the_packages_to_the_last_bit(lesson, channels, count) -> None:
    tasks = SCENES.tasks[:count]
    networks = []
    for build in (
        lambda: lesson["AttentionNetwork"](channels, tasks),
        lambda: MTAN(VGGEncoder(channels), tasks),
    ):
        with seeded(3):
            model = build().to(memory_format=torch.channels_last)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
        for step in range(3):
            batch = SCENES.draw(8, torch.Generator().manual_seed(step))
            outputs = model(batch.inputs)
            optimizer.zero_grad()
            sum(t.loss(outputs[t.name], batch.targets[t.name]) for t in tasks).backward()
            optimizer.step()
        networks.append(model)
    for mine, theirs in zip(*(network.parameters() for network in networks), strict=True):
        assert torch.equal(mine, theirs)


def test_differences_are_drawn_as_means_over_pairs_and_seeds() -> None:
    rows = [
        (seed, block, pair, value + 0.1 * seed)
        for seed in range(2)
        for block in (1, 2)
        for pair, value in (("two tasks", 0.2), ("two tasks", 0.4), ("one task twice", 0.1))
    ]
    figure = Figure(figsize=(9, 3.6))
    frame = pd.DataFrame(rows, columns=["seed", "block", "pair", "value"])
    assert draw_mask_differences(figure, frame, title="t") == "t"
    two, one = figure.axes[0].lines
    assert two.get_ydata() == pytest.approx([0.35, 0.35])
    assert one.get_ydata() == pytest.approx([0.15, 0.15])
    assert {text.get_text() for text in figure.axes[0].texts} == {
        "two tasks\n0.35",
        "one task twice\n0.15",
    }


def test_swaps_show_the_mean_the_range_and_what_is_kept() -> None:
    rows = [
        (seed, task, masks, value + 0.1 * seed)
        for seed in range(3)
        for task in ("digit", "box")
        for masks, value in (("own", 0.7), ("flat", 0.3))
    ]
    figure = Figure(figsize=(9, 3.6))
    frame = pd.DataFrame(rows, columns=["seed", "task", "masks", "value"])
    assert draw_swaps(figure, frame, title="t") == "t"
    (axes,) = figure.axes
    assert axes.images[0].get_array()[0].tolist() == pytest.approx([1, 0.5])
    assert [text.get_text() for text in axes.texts[:4]] == [
        "0.80",
        "0.70 to 0.90",
        "0.40",
        "0.30 to 0.50",
    ]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["own", "flat"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["digit", "box"]


def test_a_task_that_scores_nothing_has_nothing_to_lose() -> None:
    rows = [(0, "box", masks, 0.0) for masks in ("own", "flat")]
    figure = Figure(figsize=(9, 3.6))
    draw_swaps(figure, pd.DataFrame(rows, columns=["seed", "task", "masks", "value"]), title="t")
    assert figure.axes[0].images[0].get_array().tolist() == [[1, 1]]
