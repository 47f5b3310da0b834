"""The landscape race is drawn up to the step that is shown, and run anew by its controls."""

from __future__ import annotations

from matplotlib.figure import Figure

from mtl_tutorial.experiments.race import run_race
from mtl_tutorial.widgets.landscape_race import LandscapeRace, draw_race


def test_the_race_is_drawn_up_to_the_step_that_is_shown() -> None:
    figure, race = Figure(figsize=(9, 4)), run_race(steps=30)
    draw_race(figure, race, 12)
    lengths = {len(line.get_xdata()) for line in figure.axes[0].lines}
    assert lengths == {13, 1, 2}  # ways, points, the best trade-offs
    assert [text.get_text() for text in figure.axes[0].texts] == ["1", "2", "3", "4", "5"]


def test_controls_run_another_race_and_the_replay_does_not() -> None:
    widget = LandscapeRace(steps=30)
    race, picture = widget.race, widget.image.value
    widget.step.value = 10
    assert widget.race is race
    assert "After 10 steps" in widget.sentence.value
    assert widget.image.value != picture
    for control, value in (
        (widget.rate, 0.2),
        (widget.weight, 0.8),
        (widget.optimizer, "gradient descent"),
        (widget.start, ((9.0, 9.0),)),
    ):
        race = widget.race
        control.value = value
        assert widget.race is not race
    assert "of 1" in widget.sentence.value
