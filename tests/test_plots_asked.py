"""Pictures of the asked network hold every token, seed and number."""

from __future__ import annotations

import pandas as pd
import torch
from matplotlib.figure import Figure

from mtl_tutorial.plots.asked import draw_angles, draw_answers, draw_growth, draw_row
from mtl_tutorial.plots.style import BLUE, GREEN


def test_a_row_of_tokens_shows_every_word_and_cuts_image_and_sound_apart() -> None:
    figure = Figure(figsize=(9, 3.4))
    words = "is seen even".split()
    assert draw_row(figure, torch.rand(16, 16), torch.rand(32, 8), words, title="a row") == "a row"
    image, sound, asked = figure.axes
    assert len(image.lines) == 6 and len(sound.lines) == 7
    assert [text.get_text() for text in asked.texts] == words


def test_growth_has_a_line_with_its_name_for_each_setting_and_a_panel_for_each_subject() -> None:
    frame = pd.DataFrame(
        [
            (panel, line, seed, step, 0.1 * seed + 0.0001 * step)
            for panel in ("seen", "heard")
            for line in ("one", "other")
            for seed in range(3)
            for step in (250, 500, 1000)
        ],
        columns=["panel", "line", "seed", "step", "value"],
    )
    figure = Figure(figsize=(9, 3.5))
    colours = {"one": BLUE, "other": GREEN}
    assert draw_growth(figure, frame, colours, title="up", chance=0.5) == "up"
    seen, heard = figure.axes
    assert [axes.get_title() for axes in figure.axes] == ["seen", "heard"]
    assert not seen.texts and [text.get_text() for text in heard.texts] == ["one", "other"]
    assert len(heard.lines) == 3
    by_panel = Figure(figsize=(9, 3.5))
    draw_growth(by_panel, frame, colours, title="up", chance={"seen": 0.5})
    assert [len(axes.lines) for axes in by_panel.axes] == [3, 2]
    low, high = (text.xy[1] for text in heard.texts)
    assert high - low > 0.08  # equal ends, names apart


def test_answers_have_a_dot_for_each_seed_and_the_mean_in_numbers() -> None:
    frame = pd.DataFrame(
        {
            "row": ["is seen even"] * 3 + ["is heard even"] * 3,
            "group": ["trained"] * 3 + ["held out"] * 3,
            "seed": [0, 1, 2] * 2,
            "value": [0.9, 0.8, 1.0, 0.1, 0.5, 0.6],
        }
    )
    figure = Figure(figsize=(9, 2.5))
    assert draw_answers(figure, frame, {"trained": BLUE, "held out": GREEN}, title="t") == "t"
    (axes,) = figure.axes
    assert [text.get_text() for text in axes.texts] == ["0.90", "0.40"]
    assert [len(line.get_xdata()) for line in axes.lines[1:]] == [3, 3]
    assert [label.get_color() for label in axes.get_yticklabels()] == [BLUE, GREEN]


def test_angles_write_every_cosine() -> None:
    table = pd.DataFrame([[1.0, -0.5], [-0.5, 1.0]], ["a", "b"], ["a", "b"])
    figure = Figure(figsize=(6, 3))
    assert draw_angles(figure, {"start": table, "end": table}, title="t") == "t"
    for axes in figure.axes:
        assert [text.get_text() for text in axes.texts] == ["+1.00", "-0.50", "-0.50", "+1.00"]
