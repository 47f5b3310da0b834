"""The mixer of loss scales draws the shares of every method as units change."""

from __future__ import annotations

import pytest
from matplotlib.figure import Figure

from mtl_tutorial.data.questions import BOX, DIGIT
from mtl_tutorial.experiments.units import Snapshot, compute_shares
from mtl_tutorial.widgets.loss_scale_mixer import LossScaleMixer, draw_shares

SNAPSHOT = Snapshot(
    (DIGIT, BOX),
    {"digit": 2.0, "box": 0.01},
    {"digit": 0.7, "box": 0.2},
    {"digit": 2.3, "box": 0.04},
)


def test_the_bars_are_as_long_as_the_shares() -> None:
    figure = Figure(figsize=(9, 3))
    shares = compute_shares(SNAPSHOT, {"digit": 1.0, "box": 1.0})
    draw_shares(figure, shares, "title")
    widths = [bar.get_width() for bar in figure.axes[0].patches]
    assert widths == pytest.approx([s for by_task in shares.values() for s in by_task.values()])


def test_a_unit_that_is_turned_changes_the_picture_and_the_sentence_and_comes_back() -> None:
    mixer = LossScaleMixer(SNAPSHOT)
    before, sentence = mixer.image.value, mixer.sentence.value
    mixer.sliders["box"].value = 100
    assert mixer.image.value != before
    assert "box × 100" in mixer.sentence.value
    assert "0% with uncertainty" in mixer.sentence.value
    mixer.button.click()
    assert mixer.sliders["box"].value == 1
    assert (mixer.image.value, mixer.sentence.value) == (before, sentence)
