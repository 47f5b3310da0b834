"""Pictures of scenes hold the right answers beside the predictions."""

from __future__ import annotations

import torch
from matplotlib.figure import Figure

from mtl_tutorial.data import located_digits, seen_and_heard
from mtl_tutorial.experiments.few_shot import draw_episode
from mtl_tutorial.plots import draw_senses, draw_tasks, panels
from mtl_tutorial.plots.scenes import draw_scenes_on
from mtl_tutorial.tasks import Batch


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


def test_few_shot_tasks_are_drawn_with_their_own_class_numbers() -> None:
    draws = torch.Generator().manual_seed(0)
    scenes = located_digits("train", size=16, extent=(11, 14))
    tasks = draw_episode(scenes, [2, 3, 8], count=2, shots=1, queries=3, generator=draws)
    figure = Figure(figsize=(9, 3))
    assert draw_tasks(figure, tasks, title="two tasks") == "two tasks"
    learn, asked = figure.axes
    assert [label.get_text() for label in learn.texts] == ["class 0", "class 1", "class 2"] * 2
    assert len(asked.texts) == 2 * 3 * 3


def test_a_box_that_is_predicted_outside_of_the_image_moves_nothing() -> None:
    drawn = located_digits("test").draw(1, torch.Generator().manual_seed(0))
    batch, frames = Batch(drawn.inputs, {"box": drawn.targets["box"]}), []
    figure = Figure(figsize=(3, 3))
    for box in ([0.1, 0.1, 0.5, 0.5], [-2.0, -1.0, 3.0, 2.0], [0.1, 0.1, 0.5, 0.5]):
        axes = panels(figure)[0, 0]
        draw_scenes_on(axes, batch, {"box": torch.tensor([box])}, columns=1)
        figure.draw_without_rendering()
        frames.append((axes.get_xlim(), axes.get_ylim(), axes.get_position().bounds))
    assert frames[0] == frames[1] == frames[2]
