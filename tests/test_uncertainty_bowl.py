"""The bowl of uncertainty weighting is drawn with its path, and moves with the losses."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure

from mtl_tutorial.data.questions import BOX, DIGIT
from mtl_tutorial.experiments.bowl import compute_bowl
from mtl_tutorial.widgets.uncertainty_bowl import UncertaintyBowl, draw_bowl


def test_the_bowl_is_drawn_with_its_path_and_the_weights_on_it() -> None:
    figure = Figure(figsize=(9, 4))
    bowl = compute_bowl((DIGIT, BOX), (2.3, 0.02))
    text = draw_bowl(figure, bowl)
    plane, weights = figure.axes
    assert np.array_equal(plane.lines[0].get_xydata(), bowl.path)
    assert weights.lines[0].get_ydata()[0] == 1.0  # of the digit, at s = 0
    assert weights.lines[1].get_ydata()[0] == 0.5
    assert "1 / (2 · 0.02) = 25" in text


def test_a_loss_that_is_turned_moves_the_bowl_and_comes_back() -> None:
    widget = UncertaintyBowl((DIGIT, BOX), (2.3, 0.02))
    before = widget.image.value
    widget.sliders["box"].value = 0.2
    assert widget.image.value != before
    assert "2.5" in widget.sentence.value
    widget.button.click()
    assert widget.image.value == before


def test_a_loss_that_the_bowl_can_not_show_is_refused() -> None:
    with pytest.raises(ValueError, match=r"loss of box must be a number from 0\.001 to 10, got 0"):
        UncertaintyBowl((DIGIT, BOX), (2.3, 0))
