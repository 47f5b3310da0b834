"""Pictures of gradient surgery: the projection, conflicts over training, arrivals of a race."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from mtl_tutorial.balancing import pcgrad
from mtl_tutorial.plots import BLACK, BLUE, SKY, VERMILION
from mtl_tutorial.plots.surgery import draw_arrivals, draw_conflicts, draw_projection

PAIR = torch.tensor([[1.0, 0.0], [-2.0, 2.0]])


def tips(axes) -> dict[str, tuple]:
    """Where the arrows of a panel end, by their colour and in the order in which they are drawn."""
    arrows = [text for text in axes.texts if getattr(text, "arrow_patch", None) is not None]
    return [(to_hex(arrow.arrow_patch.get_edgecolor()).upper(), arrow.xy) for arrow in arrows]


def test_each_gradient_is_cut_at_right_angles_to_the_other() -> None:
    figure = Figure(figsize=(9, 3.6))
    assert draw_projection(figure, PAIR, title="t") == "t"
    _, cut, after = figure.axes
    drawn = tips(cut)
    assert [colour for colour, _ in drawn] == [BLUE, VERMILION, BLUE, VERMILION]
    g1, g2, v1, v2 = (np.array(tip) for _, tip in drawn)
    assert v1 @ g2 == pytest.approx(0) and v2 @ g1 == pytest.approx(0)
    ends = {colour: tip for colour, tip in tips(after)}
    assert ends[SKY] == pytest.approx(tuple(pcgrad(PAIR).tolist()))


def test_the_sum_is_drawn_outside_the_wedge_that_it_leaves() -> None:
    figure = Figure(figsize=(9, 3.6))
    draw_projection(figure, PAIR, title="t")
    before = figure.axes[0]
    (wedge,) = before.patches[:1]
    tip = dict(tips(before))[BLACK]
    assert tip == (-1, 2)
    angle = math.degrees(math.atan2(tip[1], tip[0]))
    assert not wedge.theta1 <= angle <= wedge.theta2
    assert (wedge.theta1, wedge.theta2) == pytest.approx((45, 90))


def test_every_batch_is_a_mark_and_what_hurts_is_shaded() -> None:
    rows = [
        {"seed": seed, "step": step, "scenes": scenes, "cosine": 0.1 * seed, "limit": -0.25}
        for seed in range(2)
        for step in (10, 20, 30)
        for scenes in (64, 64, 512)
    ]
    figure = Figure(figsize=(9, 4))
    draw_conflicts(figure, pd.DataFrame(rows), title="t")
    assert len(figure.axes) == 2
    for seed, axes in enumerate(figure.axes):
        _, small, large = axes.lines
        assert len(small.get_xdata()) == 6 and len(large.get_xdata()) == 3
        assert set(small.get_ydata()) == {0.1 * seed}
        (shaded,) = axes.collections
        assert shaded.get_paths()[0].get_extents().ymax == -0.25


def test_what_does_not_arrive_lies_above_all_steps() -> None:
    rows = [
        {"learning_rate": rate, "method": "sum", "start": start, "copy": 0, "arrival": arrival}
        for rate, arrival in ((0.01, math.inf), (0.1, 700))
        for start in (1, 5)
    ]
    figure = Figure(figsize=(9, 4))
    draw_arrivals(figure, pd.DataFrame(rows), ["sum"], steps=1000, title="t")
    (axes,) = figure.axes
    (marks,) = axes.lines
    assert marks.get_xdata() == pytest.approx([-0.24, 0.24, 0.76, 1.24])
    late, soon = marks.get_ydata()[:2], marks.get_ydata()[2:]
    assert (late > 1000).all() and (late < axes.get_ylim()[1]).all() and (soon == 700).all()
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0.01", "0.1"]
