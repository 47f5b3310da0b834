"""Lesson 05's own attention and loss are the package's, to the last bit; its pictures hold."""

from __future__ import annotations

import pandas as pd
import pytest
import torch
from lesson_cells import run_tagged
from matplotlib.figure import Figure

from mtl_tutorial.architectures import CrossModalAttention, contrastive_loss
from mtl_tutorial.data import seen_and_heard
from mtl_tutorial.data.questions import DIGIT, MATCH
from mtl_tutorial.experiments import seeded
from mtl_tutorial.plots import draw_attention, draw_by_noise, draw_senses, draw_similarity


@pytest.fixture(scope="module")
def lesson() -> dict:
    return run_tagged("05_multimodal_fusion", "from-scratch")


@pytest.mark.parametrize(("senses", "features"), [(2, 2), (2, 64), (3, 5)])
def test_the_lessons_attention_equals_the_packages_to_the_last_bit(
    lesson, senses, features
) -> None:
    own, packaged = lesson["Products"](features), CrossModalAttention(features)
    assert torch.equal(own.weight, packaged.weight)
    with seeded(3) as generator:
        own.weight.data = torch.randn(features, features, generator=generator)
        h = torch.randn(7, senses, features, generator=generator)
    packaged.load_state_dict(own.state_dict())
    assert len(own.weights(h).unique()) > senses
    assert torch.equal(own.weights(h), packaged.weights(h))
    assert torch.equal(own(h), packaged(h))


def test_the_lessons_alignment_equals_the_packages(lesson) -> None:
    z = torch.randn(2, 9, 4, generator=torch.Generator().manual_seed(0))
    log_temperature = torch.tensor(-1.5)
    units = z / z.norm(dim=2, keepdim=True)
    logits = units[0] @ units[1].T / log_temperature.exp()
    own = lesson["align"](z[0], z[1], log_temperature)
    assert torch.allclose(own, contrastive_loss(logits), atol=1e-6)


def test_senses_are_drawn_with_their_right_answers() -> None:
    batch = seen_and_heard("test").draw(4, torch.Generator().manual_seed(0))
    figure = Figure(figsize=(9, 4))
    assert draw_senses(figure, batch, title="four scenes") == "four scenes"
    images, sounds = figure.axes[:4], figure.axes[4:]
    for i, (image, sound) in enumerate(zip(images, sounds, strict=True)):
        seen, total = batch.targets["digit"][i].item(), batch.targets["sum"][i].item()
        assert image.get_title() == f"sees {seen}"
        assert sound.get_title() == f"hears {total - seen}"
        match = "yes" if 2 * seen == total else "no"
        assert sound.texts[0].get_text().startswith(f"match {match}\nsum {total}\n")


def test_each_panel_by_noise_has_the_mean_of_every_network() -> None:
    rows = [
        {"noisy": s, "noise": n, "network": net, "seed": seed, "task": t, "value": v + 0.1 * seed}
        for s in ("image", "sound")
        for n in (0.0, 1.0)
        for net, v in (("both", 0.5), ("one", 0.2))
        for seed in range(3)
        for t in ("digit", "match")
    ]
    figure = Figure(figsize=(9, 5))
    for _ in range(2):  # drawing again leaves one legend
        draw_by_noise(
            figure, pd.DataFrame(rows), (DIGIT, MATCH), {"both": "-", "one": "--"}, title="t"
        )
    assert len(figure.axes) == 4 and len(figure.legends) == 1
    for axes in figure.axes:
        assert [line.get_ydata().tolist() for line in axes.lines] == [
            pytest.approx([0.6, 0.6]),
            pytest.approx([0.3, 0.3]),
        ]
        assert [line.get_linestyle() for line in axes.lines] == ["-", "--"]


def test_attention_is_drawn_a_row_a_setting_and_a_column_a_network() -> None:
    figure = Figure(figsize=(9, 4))
    matrices = [torch.tensor([[0.1 * k, 1 - 0.1 * k], [0.5, 0.5]]) for k in range(3)]
    draw_attention(figure, {"clean": matrices, "noisy": matrices}, ["image", "sound"], "t")
    assert len(figure.axes) == 6
    assert [t.get_text() for t in figure.axes[1].texts] == ["0.10", "0.90", "0.50", "0.50"]
    assert [axes.get_title() for axes in figure.axes[:3]] == ["network 1", "network 2", "network 3"]
    assert figure.axes[2].texts[-1].get_text() == "clean"


def test_similarities_share_one_scale() -> None:
    figure = Figure(figsize=(9, 4))
    draw_similarity(
        figure, {"before": torch.eye(10), "after": -torch.eye(10)}, ("seen", "heard"), "t"
    )
    assert [axes.images[0].get_clim() for axes in figure.axes[:2]] == [(-1, 1), (-1, 1)]
    assert figure.axes[0].get_ylabel() == "seen"
