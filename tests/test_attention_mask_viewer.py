"""The mask viewer shows the masks of its model, and what a task does with them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from mtl_tutorial.architectures import MTAN, VGGEncoder
from mtl_tutorial.data import located_digits
from mtl_tutorial.experiments import seeded
from mtl_tutorial.tasks import Batch
from mtl_tutorial.widgets.attention_mask_viewer import (
    AttentionMaskViewer,
    Choice,
    compute_masks,
    describe_masks,
    draw_masks,
)

SCENES = located_digits("validation")
TASKS = SCENES.tasks
CHANNELS = (2, 3, 4)


@pytest.fixture(scope="module")
def batch() -> Batch:
    return SCENES.draw(5, torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def model(batch) -> MTAN:
    with seeded(0):
        model = MTAN(VGGEncoder(CHANNELS), TASKS)
    for _ in range(20):
        model(batch.inputs)  # so that its statistics are those of scenes
    return model.eval()


@pytest.fixture
def viewer(model, batch) -> AttentionMaskViewer:
    return AttentionMaskViewer(model, TASKS, batch)


@pytest.mark.parametrize("block", range(3))
def test_the_masks_are_those_of_the_model_for_that_image(model, batch, block) -> None:
    view = compute_masks(model, TASKS, batch, Choice(image=2, block=block))
    own = model.masks(batch.inputs)
    for name, mask in view.masks.items():
        assert torch.allclose(mask, own[name][block][2], atol=1e-6)
    assert torch.equal(view.scene.inputs, batch.inputs[2:3])


def test_channel_0_is_the_mean_and_channel_1_the_first(model, batch) -> None:
    for channel in range(3):
        view = compute_masks(model, TASKS, batch, Choice(block=1, channel=channel))
        for name, shown in view.shown.items():
            all_channels = view.masks[name]
            right = all_channels[channel - 1] if channel else all_channels.mean(0)
            assert torch.equal(shown, right)


def test_differences_are_to_every_other_task(model, batch) -> None:
    view = compute_masks(model, TASKS, batch, Choice(task="box", block=1))
    assert list(view.differences) == ["digit", "mask"]
    for name, value in view.differences.items():
        right = np.abs(view.masks["box"].numpy() - view.masks[name].numpy()).mean()
        assert value == pytest.approx(right, rel=1e-5)


@pytest.mark.parametrize("task", ["digit", "box", "mask"])
def test_the_answers_are_those_with_own_and_with_borrowed_masks(model, batch, task) -> None:
    own = model.masks(batch.inputs[:1])
    view = compute_masks(model, TASKS, batch, Choice(task=task, source="box"))
    assert torch.allclose(view.own_answer, model(batch.inputs[:1])[task], atol=1e-6)
    borrowed = model(batch.inputs[:1], {task: own["box"]})[task]
    assert torch.allclose(view.answer, borrowed, atol=1e-6)
    assert torch.equal(view.answer, view.own_answer) == (task == "box")


def test_flat_masks_are_the_mean_of_each_block(model, batch) -> None:
    own = model.masks(batch.inputs[:1])["digit"]
    view = compute_masks(model, TASKS, batch, Choice(source="flat"))
    right = model(batch.inputs[:1], {"digit": [mask.mean().view(1) for mask in own]})["digit"]
    assert torch.allclose(view.answer, right, atol=1e-6)


def test_looking_changes_no_model_in_training(model, batch) -> None:
    model.train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    compute_masks(model, TASKS, batch, Choice())
    assert model.training
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    model.eval()


@pytest.mark.parametrize(
    ("choice", "says"),
    [
        (Choice(task="boxx"), "task must be one of .* did you mean 'box'"),
        (Choice(source="flaat"), "source of masks must be one of .* did you mean 'flat'"),
    ],
)
def test_an_unknown_task_or_source_is_refused_with_its_neighbours(
    model, batch, choice, says
) -> None:
    with pytest.raises(ValueError, match=says):
        compute_masks(model, TASKS, batch, choice)


@pytest.mark.parametrize("task", ["digit", "box", "mask"])
def test_a_drawing_describes_what_it_shows(model, batch, task) -> None:
    figure = Figure(figsize=(9, 2.25))
    view = compute_masks(model, TASKS, batch, Choice(task=task, block=2, channel=1))
    assert draw_masks(figure, view, TASKS) == describe_masks(view, TASKS)
    scene, *places = figure.axes
    assert scene.get_title().startswith(task)
    for axes, (name, mask) in zip(places, view.shown.items(), strict=True):
        assert np.allclose(axes.images[0].get_array(), mask.numpy())
        assert axes.get_title() == f"{name}, mean {mask.mean():.2f}"


def test_a_box_is_drawn_where_it_is(model, batch) -> None:
    figure = Figure(figsize=(9, 2.25))
    view = compute_masks(model, TASKS, batch, Choice(task="box"))
    draw_masks(figure, view, TASKS)
    true, predicted = figure.axes[0].lines
    for line, box in ((true, batch.targets["box"][0]), (predicted, view.answer[0])):
        x0, y0, x1, y1 = (28 * box).tolist()
        assert min(line.get_xdata()) == pytest.approx(min(x0, x1), abs=1e-4)
        assert max(line.get_ydata()) == pytest.approx(max(y0, y1), abs=1e-4)


MOVES = {
    "image": (lambda w: setattr(w.image_number, "value", 3), "Image 3, block 1"),
    "next": (lambda w: w.next.click(), "Image 2, block 1"),
    "previous": (lambda w: w.previous.click(), "Image 5, block 1"),
    "block": (lambda w: setattr(w.block, "value", 2), "block 3, mean over 4 channels"),
    "channel": (lambda w: setattr(w.channel, "value", 2), "channel 2 of 2"),
    "task": (lambda w: setattr(w.task, "value", "box"), "the mask of box"),
    "flat": (lambda w: setattr(w.source, "value", "flat"), "; with flat masks it says"),
    "other": (lambda w: setattr(w.source, "value", "mask"), "; with masks of mask it says"),
}


@pytest.mark.parametrize("move", MOVES)
def test_every_control_changes_picture_and_sentence(viewer, move) -> None:
    act, words = MOVES[move]
    viewer.source.value = "box"
    picture, sentence = viewer.image.value, viewer.sentence
    act(viewer)
    assert viewer.sentence != sentence
    assert words in viewer.sentence
    same_answer = move in ("flat", "other")  # an untrained task may say the same with any masks
    assert same_answer or viewer.image.value != picture


def test_previous_and_next_go_round(viewer) -> None:
    seen = []
    for _ in range(5):
        viewer.next.click()
        seen.append(viewer.image_number.value)
    assert seen == [2, 3, 4, 5, 1]


def test_a_block_with_fewer_channels_shows_its_last(viewer) -> None:
    viewer.block.value = 2
    viewer.channel.value = 4
    viewer.block.value = 0
    assert viewer.channel.max == viewer.channel.value == 2
    assert viewer.view.choice.channel == 2
    assert "channel 2 of 2" in viewer.sentence


def test_the_picture_is_that_of_the_controls_after_every_move(viewer, model, batch) -> None:
    viewer.block.value = 2
    viewer.channel.value = 4
    viewer.task.value = "mask"
    viewer.block.value = 1
    viewer.source.value = "digit"
    viewer.next.click()
    assert viewer.view.choice == Choice(1, "mask", 1, 3, "digit")
    fresh = AttentionMaskViewer(model, TASKS, batch, viewer.view.choice)
    assert viewer.image.value == fresh.image.value
    assert viewer.sentence == fresh.sentence


def test_before_it_is_run_a_reader_sees_picture_and_words(viewer) -> None:
    data = viewer._repr_mimebundle_()
    data = data[0] if isinstance(data, tuple) else data
    assert data["image/png"]
    assert data["text/plain"].startswith("Image 1, block 1, mean over 2 channels")
