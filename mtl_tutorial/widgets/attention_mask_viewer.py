"""The attention-mask viewer: what each task's masks look like, and what they are good for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast

import ipywidgets
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn import functional as F

from mtl_tutorial.architectures import MTAN
from mtl_tutorial.measuring import evaluation_mode
from mtl_tutorial.plots import GREY, panels, task_style
from mtl_tutorial.profiles import check_choice
from mtl_tutorial.tasks import Batch, Task
from mtl_tutorial.widgets.events import in_cell_loop
from mtl_tutorial.widgets.slider import Slider
from mtl_tutorial.widgets.view import View, in_a_row

OWN, FLAT = "own", "flat"


@dataclass(frozen=True)
class Choice:
    """What is looked at.

    Args:
        image: its number in the batch, from 0.
        task: whose answer is shown.
        block: from 0.
        channel: from 1; 0 for the mean over all channels.
        source: the masks that the task uses in every block: ``"own"``, ``"flat"`` (each block's
            mean over channels and places), or the name of the task whose masks it borrows.
    """

    image: int = 0
    task: str = "digit"
    block: int = 0
    channel: int = 0
    source: str = OWN


@dataclass(frozen=True)
class MaskView:
    """One image, the masks of every task, and what one task makes of them.

    Args:
        choice: what is looked at.
        scene: the image, with the right answer of the chosen task.
        masks: a_ij of the chosen block by task name, shape ``(C, H, W)``.
        own_answer, answer: what the chosen task says with its own masks, and with the chosen
            ones, shape ``(1, out_features)``.
        own_metric, metric: the chosen task's, of these two.
    """

    choice: Choice
    scene: Batch
    masks: dict[str, Tensor]
    own_answer: Tensor
    answer: Tensor
    own_metric: float
    metric: float

    @property
    def shown(self) -> dict[str, Tensor]:
        """The chosen channel of each task's mask, or the mean over channels; ``(H, W)``."""
        channel = self.choice.channel
        return {n: m[channel - 1] if channel else m.mean(0) for n, m in self.masks.items()}

    @property
    def differences(self) -> dict[str, float]:
        """Mean of |a_ij − a_kj| over channels and places: the chosen task i, each other k."""
        own = self.masks[self.choice.task]
        others = ((n, m) for n, m in self.masks.items() if n != self.choice.task)
        return {name: (own - mask).abs().mean().item() for name, mask in others}


@torch.no_grad()
def compute_masks(model: MTAN, tasks: Sequence[Task], batch: Batch, choice: Choice) -> MaskView:
    """Look at one image of a batch, in evaluation mode; the model stays as it was.

    Raises:
        ValueError: for a task, or a source of masks, that is not there.
    """
    by_name = {task.name: task for task in tasks}
    task = by_name[check_choice("task", choice.task, by_name)]
    source = check_choice("source of masks", choice.source, (OWN, FLAT, *by_name))
    one = slice(choice.image, choice.image + 1)
    images, target = cast("Tensor", batch.inputs)[one], batch.targets[task.name][one]
    with evaluation_mode(model):
        masks = model.masks(images)
        own = answer = model(images, masks)[task.name]
        if source not in (OWN, task.name):
            used = [m.mean().view(1) for m in masks[task.name]] if source == FLAT else masks[source]
            answer = model(images, {task.name: used})[task.name]
    return MaskView(
        choice,
        Batch(images, {task.name: target}),
        {name: own_masks[choice.block][0] for name, own_masks in masks.items()},
        own,
        answer,
        task.metric(own, target).item(),
        task.metric(answer, target).item(),
    )


def draw_masks(figure: Figure, view: MaskView, tasks: Sequence[Task]) -> str:
    """Draw the image with the task's answer, and the masks of all tasks with its outline."""
    scene, *places = panels(figure, 1, 1 + len(view.masks))[0]
    image = cast("Tensor", view.scene.inputs)[0, 0].cpu()
    height, width = image.shape
    ends = (0, width, height, 0)
    share = 0.99 / (1 + len(places))
    for i, axes in enumerate((scene, *places)):
        axes.set_position([0.01 + i * share, 0.02, share - 0.012, 0.82])
        axes.set_axis_off()
        axes.set(xlim=ends[:2], ylim=ends[2:])
    scene.imshow(image.numpy(), cmap="gray_r", vmin=0, vmax=1, extent=ends)
    task = _chosen(view, tasks)
    _draw_answer(scene, view, task)
    scene.set_title(_title(view, task), color=task_style(task.name)["color"])
    outline = F.avg_pool2d(image[None], 3, stride=1, padding=1)[0].numpy()
    across, down = np.arange(width) + 0.5, np.arange(height) + 0.5
    for axes, (name, mask) in zip(places, view.shown.items(), strict=True):
        axes.imshow(mask.cpu().numpy(), cmap="cividis", vmin=0, vmax=1, extent=ends)
        axes.contour(across, down, outline, levels=[0.35], colors="white", linewidths=1.0)
        axes.set_title(f"{name}, mean {mask.mean():.2f}", color=task_style(name)["color"])
    return describe_masks(view, tasks)


def _chosen(view: MaskView, tasks: Sequence[Task]) -> Task:
    return next(task for task in tasks if task.name == view.choice.task)


def _draw_answer(axes: Axes, view: MaskView, task: Task) -> None:
    """Draw a box as a frame, the true one grey; tint the pixels of a mask."""
    target = view.scene.targets[task.name]
    height, width = cast("Tensor", view.scene.inputs).shape[2:]
    colour = task_style(task.name)["color"]
    if target.shape[1:] == (4,):
        for box, style in ((target[0], {"color": GREY}), (view.answer[0], task_style(task.name))):
            x0, y0, x1, y1 = (box.cpu() * torch.tensor([width, height, width, height])).tolist()
            axes.plot([x0, x1, x1, x0, x0], [y0, y0, y1, y1, y0], **style)
    elif target.ndim == 3:
        ink = (view.answer.reshape(target.shape)[0] > 0).cpu().numpy()
        tint = np.zeros((height, width, 4))
        tint[..., :3], tint[..., 3] = to_rgb(colour), 0.5 * ink
        axes.imshow(tint, extent=(0, width, height, 0))


def _title(view: MaskView, task: Task) -> str:
    target = view.scene.targets[task.name]
    if target.is_floating_point():
        return f"{task.name}: {task.metric_name.split()[-1]} {task.metric(view.answer, target):.2f}"
    said = view.answer.argmax().item()
    return f"{task.name}: {said} {'✓' if said == target.item() else '✗'}"


def _source(view: MaskView) -> str:
    source = view.choice.source
    if source in (OWN, view.choice.task):
        return "own masks"
    return "flat masks" if source == FLAT else f"masks of {source}"


def describe_masks(view: MaskView, tasks: Sequence[Task]) -> str:
    """Say in words what the masks are like, and what the task does with them."""
    choice = view.choice
    task = _chosen(view, tasks)
    mask = view.shown[choice.task]
    what = f"channel {choice.channel} of {len(view.masks[choice.task])}"
    if not choice.channel:
        what = f"mean over {len(view.masks[choice.task])} channels"
    others = ", ".join(f"{name}'s by {value:.2f}" for name, value in view.differences.items())
    text = (
        f"Image {choice.image + 1}, block {choice.block + 1}, {what}: the mask of {choice.task} "
        f"goes from {mask.min():.2f} (dark) to {mask.max():.2f} (bright), mean {mask.mean():.2f}. "
    )
    if others:
        text += f"In this block, all channels, it differs from {others}. "
    target = view.scene.targets[choice.task]
    text += f"With its own masks {choice.task} {_says(task, view.own_answer, target)}"
    if _source(view) == "own masks":
        return f"{text}."
    return f"{text}; with {_source(view)} it {_says(task, view.answer, target)}."


def _says(task: Task, answer: Tensor, target: Tensor) -> str:
    if target.is_floating_point():
        return f"scores {task.metric_name.split()[-1]} {task.metric(answer, target):.2f}"
    said, right = answer.argmax().item(), target.item()
    return f"says {said}, which is right" if said == right else f"says {said}, but it is {right}"


class AttentionMaskViewer(View):
    """Choose an image, a task, a block and a channel; give the task other masks than its own.

    Args:
        model: trained; it is not changed.
        tasks: those of the model.
        batch: images to choose from, with the right answers of all tasks.
        choice: where the controls start.

    Attributes:
        view: what is shown.
    """

    def __init__(
        self, model: MTAN, tasks: Sequence[Task], batch: Batch, choice: Choice | None = None
    ) -> None:
        choice = choice or Choice(task=tasks[0].name)
        self._model, self._tasks, self._batch = model, tuple(tasks), batch
        names = [task.name for task in self._tasks]
        channels = model.encoder.channels
        self.previous = _button("Previous image")
        self.next = _button("Next image")
        self.image_number = Slider("image", choice.image + 1, min=1, max=len(batch))
        most = channels[choice.block]
        self.channel = Slider("channel, 0 = mean", choice.channel, min=0, max=most)
        self.task = _toggles(names, choice.task)
        blocks = [(f"block {j + 1}", j) for j in range(len(channels))]
        self.block = _toggles(blocks, choice.block)
        self.source = _toggles([OWN, FLAT, *names], choice.source)
        super().__init__(
            draw_masks,
            size=(9, 2.25),
            above=[
                in_a_row(self.previous, self.next, self.image_number),
                in_a_row(self.block, self.channel),
                in_a_row(_label("answer of"), self.task),
                in_a_row(_label("with masks"), self.source),
            ],
        )
        for control in (self.image_number, self.channel, self.task, self.block, self.source):
            control.observe(in_cell_loop(lambda _: self._refresh()), "value")
        self.previous.on_click(in_cell_loop(lambda _: self._turn(-1)))
        self.next.on_click(in_cell_loop(lambda _: self._turn(1)))
        self._show(choice)

    def _turn(self, step: int) -> None:
        number = self.image_number.value - 1 + step
        self.image_number.value = 1 + number % len(self._batch)

    def _refresh(self) -> None:
        block = self.block.value
        self.channel.max = self._model.encoder.channels[block]  # may lower the value, and come back
        choice = replace(
            self.view.choice,
            image=self.image_number.value - 1,
            task=self.task.value,
            block=block,
            channel=self.channel.value,
            source=self.source.value,
        )
        if choice != self.view.choice:
            self._show(choice)

    def _show(self, choice: Choice) -> None:
        self.view = compute_masks(self._model, self._tasks, self._batch, choice)
        self.redraw(self.view, self._tasks)


def _label(words: str) -> ipywidgets.Label:
    return ipywidgets.Label(words, layout={"width": "80px"})


def _button(words: str) -> ipywidgets.Button:
    return ipywidgets.Button(description=words, layout={"width": "130px"})


def _toggles(options: Sequence, value: object) -> ipywidgets.ToggleButtons:
    return ipywidgets.ToggleButtons(options=options, value=value, style={"button_width": "90px"})
