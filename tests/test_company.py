"""Pictures of company: a dot a seed, a band over seeds, and names where nothing covers them."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.figure import Figure

from mtl_tutorial.plots import draw_affinity, draw_company, draw_relatedness


def test_short_runs_are_dots_and_long_ones_lines_from_chance() -> None:
    figure = Figure(figsize=(10, 4))
    ends = {"alone": [0.5, 0.51], "with digit": [0.9, 0.95]}
    path = pd.DataFrame({0: [0.6, 0.9], 1: [0.5, 0.92]}, index=[100, 200])
    paths = {"alone": path, "slowly": path, "with speaker": path}
    given = {"chance": 0.5, "within": "200 steps", "title": "t"}
    assert draw_company(figure, ends, paths, **given) == "t"
    left, right = figure.axes
    assert [line.get_ydata().tolist() for line in left.lines] == [[0.5, 0.51], [0.9, 0.95]]
    assert [label.get_text() for label in left.get_xticklabels()] == list(ends)
    assert len(right.lines) == 6
    assert right.lines[0].get_ydata().tolist() == [0.5, 0.6, 0.9]
    heights = sorted(text.xy[1] for text in right.texts)
    assert len(heights) == 3 and min(np.diff(heights)) >= 0.11 - 1e-9


def test_affinities_have_a_band_over_seeds_and_end_at_their_names() -> None:
    figure = Figure(figsize=(8, 4))
    z = {"digit": torch.tensor([[0.0, 0.2], [0.0, 0.4]]), "sum": torch.zeros(2, 2)}
    assert draw_affinity(figure, z, 10, onto="match", title="t") == "t"
    (axes,) = figure.axes
    digit, total, zero = axes.lines
    assert digit.get_xdata().tolist() == [0, 10]
    assert digit.get_ydata().tolist() == pytest.approx([0, 0.3])
    assert total.get_ydata().tolist() == [0, 0] and zero.get_ydata() == [0, 0]
    assert [text.get_text() for text in axes.texts] == ["digit", "sum"]
    assert axes.get_ylabel() == "affinity to match"


def test_relatedness_has_a_panel_a_number_of_labels_and_both_trainings() -> None:
    keys = list(itertools.product((10, 100), (0.0, 1.0), (0, 1), ("apart", "shared")))
    names = ["labels", "relatedness", "seed", "way"]
    index = pd.MultiIndex.from_tuples(keys, names=names)
    chosen = pd.Series([0.1 * k for k in range(len(keys))], index)
    figure = Figure(figsize=(10, 4))
    assert draw_relatedness(figure, chosen, chosen + 1, ("apart", "shared"), title="t") == "t"
    assert [axes.get_title() for axes in figure.axes] == ["10 labels a task", "100 labels a task"]
    named = [[text.get_text() for text in axes.texts] for axes in figure.axes]
    assert named == [["apart", "shared"], []]
    for axes in figure.axes:
        thick = [line for line in axes.lines if line.get_linewidth() == 2.5]
        thin = [line for line in axes.lines if line.get_linewidth() == 1]
        assert len(thick) == len(thin) == 2
        for a, b in zip(thick, thin, strict=True):
            assert b.get_ydata() == pytest.approx(a.get_ydata() + 1)
