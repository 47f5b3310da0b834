"""Pictures of scenes hold the right answers beside the predictions."""

from __future__ import annotations

import torch
from matplotlib.figure import Figure

from mtl_tutorial.data import seen_and_heard
from mtl_tutorial.plots import draw_senses


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
