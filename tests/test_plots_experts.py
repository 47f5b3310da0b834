"""Pictures of mixtures: errors by step, and what gates choose."""

from __future__ import annotations

import pandas as pd
import pytest
from matplotlib.figure import Figure

from mtl_tutorial.plots import BLUE, GREY, draw_choices, draw_errors


def test_errors_are_drawn_a_panel_a_correlation_with_the_mean_of_the_seeds() -> None:
    frame = pd.DataFrame(
        {"correlation": p, "network": n, "seed": s, "step": t, "error": e / t + 0.1 * s}
        for p in (0.0, 1.0)
        for n, e in (("a", 100.0), ("b", 200.0))
        for s in range(3)
        for t in (250, 500)
    )
    figure = Figure(figsize=(9, 4))
    styles = {"a": (BLUE, "-"), "b": (GREY, ":")}
    assert draw_errors(figure, frame, styles, title="t") == "t"
    left, right = figure.axes
    assert left.get_title() == "teachers at cosine 0" and right.get_title().endswith("1")
    assert left.lines[0].get_ydata() == pytest.approx([0.5, 0.3])
    assert left.lines[1].get_linestyle() == ":"
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["a", "b"]


def test_bars_of_choices_are_as_wide_as_the_shares_and_end_at_one() -> None:
    frame = pd.DataFrame(
        {"seed": seed, "task": task, "expert": expert, "share": share}
        for seed in (0, 1)
        for task, shares in (("digit", (0.25, 0.75)), ("box", (0.95, 0.05)))
        for expert, share in enumerate(shares, 1)
    )
    figure = Figure(figsize=(9, 3))
    draw_choices(figure, frame, panel="seed", row="task", title="t")
    first, _ = figure.axes
    assert [patch.get_width() for patch in first.patches] == pytest.approx([0.25, 0.95, 0.75, 0.05])
    assert [text.get_text() for text in first.texts] == ["0.25", "0.95", "0.75"]
    assert [label.get_text() for label in first.get_yticklabels()] == ["digit", "box"]


@pytest.mark.parametrize("expert", [0, 5])
def test_an_expert_without_a_colour_is_refused(expert) -> None:
    frame = pd.DataFrame({"seed": [0], "task": ["box"], "expert": [expert], "share": [1.0]})
    with pytest.raises(ValueError, match=rf"experts must be from 1 to 4, got \[{expert}\]"):
        draw_choices(Figure(), frame, panel="seed", row="task", title="t")
