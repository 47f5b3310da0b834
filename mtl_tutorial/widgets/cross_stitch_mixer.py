"""The cross-stitch mixer: override what a trained network mixes, and see both tasks react."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import cast

import ipywidgets
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn import functional as F
from torchvision.utils import make_grid

from mtl_tutorial.architectures import CrossStitch
from mtl_tutorial.architectures.cross_stitch import CrossStitchUnit
from mtl_tutorial.measuring import evaluation_mode
from mtl_tutorial.plots import BLACK, GREY, draw_scenes_on, panels, task_style
from mtl_tutorial.profiles import check_choice
from mtl_tutorial.tasks import Batch, Task
from mtl_tutorial.widgets.events import in_cell_loop
from mtl_tutorial.widgets.slider import Slider
from mtl_tutorial.widgets.view import View, in_a_row

PRESETS = ("learned", "separate", "shared")
MEANING = {
    "learned": "The units are as they were learned",
    "separate": "Separate: every task sees its own encoder alone",
    "shared": "Shared: every task takes half from each encoder",
}
LOW, HIGH, STEP, DECIMALS = -1.5, 2.0, 0.01, 2  # of the sliders
TILES, GAPS = (112, 140), (12, 34)  # height and width of a task's features; space beside, above


@dataclass(frozen=True)
class Mixture:
    """What a cross-stitch network does with the units that it was given.

    Args:
        alphas: what each unit mixes by, shape ``(2, 2)`` each.
        metrics: the metric of each task on the whole batch, by its name.
        shown: number of the scene that is shown.
        scene: that scene, a batch of 1.
        outputs: the predictions for it, by task name.
        maps: its features after each unit, by task name; shape ``(C, ...)`` each.
    """

    alphas: tuple[Tensor, ...]
    metrics: dict[str, float]
    shown: int
    scene: Batch
    outputs: dict[str, Tensor]
    maps: tuple[dict[str, Tensor], ...]


def _units(model: CrossStitch) -> Iterable[CrossStitchUnit]:
    return cast("Iterable[CrossStitchUnit]", model.units)


def compute_mixture(
    model: CrossStitch,
    tasks: Sequence[Task],
    batch: Batch,
    alphas: Sequence[Tensor],
    shown: int = 0,
) -> Mixture:
    """Run a trained network with other units; the network itself stays as it is.

    Args:
        alphas: for each unit, what it mixes by, shape ``(2, 2)``.
        shown: number of the scene whose features are kept.

    Raises:
        ValueError: where there are not as many alphas as units, or one has another shape.
    """
    if len(alphas) != len(model.units):
        raise ValueError(f"one α for each of {len(model.units)} units is needed, got {len(alphas)}")
    mixed = copy.deepcopy(model)
    for unit, alpha in zip(_units(mixed), alphas, strict=True):
        unit.set_alpha(alpha)
    inputs = cast("Tensor", batch.inputs)
    with evaluation_mode(mixed), torch.no_grad():
        *stages, last = mixed.features(inputs)
        outputs = {name: head(last[name]) for name, head in mixed.heads.items()}
    one = slice(shown, shown + 1)
    return Mixture(
        tuple(alphas),
        {
            task.name: task.metric(outputs[task.name], batch.targets[task.name]).item()
            for task in tasks
        },
        shown,
        Batch(inputs[one], {task.name: batch.targets[task.name][one] for task in tasks}),
        {name: output[one] for name, output in outputs.items()},
        tuple({name: x[shown].cpu() for name, x in stage.items()} for stage in stages),
    )


def preset(learned: Sequence[Tensor], name: str) -> tuple[Tensor, ...]:
    """Give every unit's α for a preset; each row keeps its learned sum.

    Args:
        learned: what each unit learned, shape ``(2, 2)`` each.
        name: ``"learned"``; ``"separate"``, with the whole sum on a task's own features; or
            ``"shared"``, with half of it on each encoder's.

    Raises:
        ValueError: for another name.
    """
    check_choice("preset", name, PRESETS)
    if name == "separate":
        return tuple(torch.diag(alpha.sum(1)) for alpha in learned)
    if name == "shared":
        return tuple(alpha.mean(1, keepdim=True).expand(2, 2).clone() for alpha in learned)
    return tuple(alpha.clone() for alpha in learned)


def take(alpha: Tensor, row: int, taken: float) -> Tensor:
    """Let one task take ``taken`` of the other's features; its row keeps its sum.

    Args:
        alpha: shape ``(2, 2)``; stays as it is.
        row: number of the task.
    """
    changed = alpha.clone()
    changed[row, 1 - row] = taken
    changed[row, row] = alpha[row].sum() - taken
    return changed


def draw_mixture(figure: Figure, mixture: Mixture, learned: Mixture, tasks: Sequence[Task]) -> str:
    """Draw both metrics beside the learned ones, one scene, and its features after every unit."""
    metrics, scene, maps = panels(figure, 1, 3)[0]
    metrics.set_position([0.05, 0.58, 0.2, 0.31])
    scene.set_position([0.04, 0.01, 0.2, 0.44])
    maps.set_position([0.3, 0.01, 0.69, 0.91])
    _draw_metrics(metrics, mixture, learned, tasks)
    draw_scenes_on(scene, mixture.scene, mixture.outputs, columns=1)
    _draw_maps(maps, mixture, learned, tasks)
    return describe_mixture(mixture, learned, tasks)


def _number(value: Tensor) -> str:
    return f"{value.item():.2f}".replace("-", "−")


def _signed(value: Tensor) -> str:
    return f"{'−' if value < -0.005 else '+'} {abs(value.item()):.2f}"


def _draw_metrics(axes: Axes, mixture: Mixture, learned: Mixture, tasks: Sequence[Task]) -> None:
    for place, task in enumerate(tasks):
        value = mixture.metrics[task.name]
        axes.bar(place, value, width=0.6, color=task_style(task.name)["color"])
        axes.hlines(learned.metrics[task.name], place - 0.4, place + 0.4, color=BLACK)
        axes.annotate(f"{value:.2f}", (place, 0.03), ha="center", color="white", fontweight="bold")
    axes.set(xlim=(-0.7, 1.7), ylim=(0, 1), yticks=[0, 0.5, 1], xticks=[0, 1])
    axes.set_xticklabels([f"{task.name}\n{task.metric_name}" for task in tasks])
    axes.set_title("Black line: learned")


def _draw_maps(axes: Axes, mixture: Mixture, learned: Mixture, tasks: Sequence[Task]) -> None:
    """Draw what each task sees after each unit: one row a task, one column a unit."""
    (height, width), (space, head) = TILES, GAPS
    units = len(mixture.maps)
    shape = (len(tasks) * (height + head), units * (width + space) - space, 3)
    canvas = np.full(shape, 255, np.uint8)
    texts = {"va": "bottom", "fontsize": 11}
    for row, task in enumerate(tasks):
        colour = task_style(task.name)["color"]
        for unit, stage in enumerate(mixture.maps):
            top, left = head + row * (height + head), unit * (width + space)
            most = learned.maps[unit][task.name].abs().max().item()
            tiles = tile(stage[task.name], most, colour)
            canvas[top : top + height, left : left + width] = tiles
            own, other = mixture.alphas[unit][row, [row, 1 - row]]
            words = f"{_number(own)} own {_signed(other)} {tasks[1 - row].name}"
            axes.text(left, top - 3, words, color=colour, **texts)
            heads = [f"{task.name} sees"] * (unit == 0) + [f"after unit {unit + 1}"] * (row == 0)
            if heads:
                axes.text(left, top - 17, " ".join(heads), fontweight="bold", **texts)
    axes.imshow(canvas, interpolation="nearest", aspect="auto")
    axes.set_axis_off()


def tile(maps: Tensor, most: float, colour: str) -> np.ndarray:
    """Give some channels side by side as colours: white is 0, grey is below it.

    Args:
        maps: a vector or a feature map, shape ``(C,)`` or ``(C, H, W)``; its first channels count.
        most: what gets the full colour.

    Returns:
        Shape ``(*TILES, 3)``, uint8.
    """
    if maps.ndim == 1:
        grid = make_grid(maps[: 4 * 8, None, None, None], nrow=8, padding=0)
    else:
        grid = make_grid(maps[: 4 * 4, None], nrow=4, padding=1)
    tiles = F.interpolate(grid[None, :1] / (most or 1), size=TILES)[0, 0].clamp(-1, 1).numpy()
    up, down = (1 - np.float32(to_rgb(shade)) for shade in (colour, GREY))
    ink = np.maximum(tiles, 0)[..., None] * up + np.maximum(-tiles, 0)[..., None] * down
    return (255 * (1 - ink)).round().astype(np.uint8)


def describe_mixture(mixture: Mixture, learned: Mixture, tasks: Sequence[Task]) -> str:
    """Say in words what the units do, and what both tasks make of it."""
    changed = [
        f"at unit {number} {task.name} takes {_number(now[row, 1 - row])} of "
        f"{tasks[1 - row].name}'s features (learned: {_number(then[row, 1 - row])})"
        for number, (now, then) in enumerate(zip(mixture.alphas, learned.alphas, strict=True), 1)
        for row, task in enumerate(tasks)
        if not torch.equal(now[row], then[row])
    ]
    state = MEANING["learned"] if not changed else "; ".join(changed[:2])
    for name in ("separate", "shared"):
        if _same(mixture.alphas, preset(learned.alphas, name)):
            state, changed = MEANING[name], []
    if len(changed) > 2:
        more = len(changed) - 2
        state += f"; {more} more {'is' if more == 1 else 'are'} changed"
    moves = [_move(task, mixture, learned) for task in tasks]
    return f"{state[0].upper()}{state[1:]}: {', '.join(moves)}. {_scene_text(mixture, tasks)}"


def _same(alphas: Sequence[Tensor], others: Sequence[Tensor]) -> bool:
    pairs = zip(alphas, others, strict=True)
    return all(torch.allclose(alpha, other, atol=1e-6) for alpha, other in pairs)


def _move(task: Task, mixture: Mixture, learned: Mixture) -> str:
    now, then = mixture.metrics[task.name], learned.metrics[task.name]
    if abs(now - then) < 0.005:
        return f"{task.name} {task.metric_name} {now:.2f}"
    return f"{task.name} {task.metric_name} {now:.2f} (learned: {then:.2f})"


def _scene_text(mixture: Mixture, tasks: Sequence[Task]) -> str:
    told = []
    for task in tasks:
        output, target = mixture.outputs[task.name], mixture.scene.targets[task.name]
        told.append(f"{task.name} {task.metric_name} {task.metric(output, target):.2f}")
    return f"On scene {mixture.shown + 1}: {', '.join(told)}."


class CrossStitchMixer(View):
    """Turn the units of a trained cross-stitch network; it answers at once.

    A slider sets how much a task takes of the other's features after one unit. What it takes more
    there, it takes less of its own: the row of α keeps its learned sum.

    Args:
        model: trained on two tasks, with ``"scalar"`` units; stays as it is.
        tasks: its two tasks, in its order.
        batch: scenes that it has not seen.

    Attributes:
        mixture: what the network does as the sliders stand.
        reference: what it does as it was learned.

    Raises:
        ValueError: where the model has other units or other tasks.
    """

    def __init__(self, model: CrossStitch, tasks: Sequence[Task], batch: Batch) -> None:
        names = [task.name for task in tasks]
        if len(names) != 2 or names != list(model.heads):
            raise ValueError(
                f"the mixer needs the model's two tasks in its order {list(model.heads)}, "
                f"got {names}"
            )
        if model.units[0].mixing != "scalar":
            raise ValueError(
                f"the mixer turns units of mixing 'scalar', got {model.units[0].mixing!r}"
            )
        self._model, self._tasks, self._batch = copy.deepcopy(model), tuple(tasks), batch
        self._learned = tuple(unit.alpha.detach().cpu().clone() for unit in _units(model))
        self._alphas, self._shown = list(self._learned), 0
        self.presets = ipywidgets.ToggleButtons(
            options=list(PRESETS), style={"button_width": "110px"}
        )
        self.button = ipywidgets.Button(
            description="Next scene", icon="forward", layout={"width": "120px"}
        )
        wanted = {
            (unit, row): [
                round(preset([alpha], name)[0][row, 1 - row].item(), DECIMALS) for name in PRESETS
            ]
            for unit, alpha in enumerate(self._learned)
            for row in (0, 1)
        }
        self.sliders = {
            (unit, i): Slider(
                f"unit {unit + 1}: {names[i]} takes of {names[1 - i]}",
                wanted[unit, i][0],
                min=min(LOW, *wanted[unit, i]),
                max=max(HIGH, *wanted[unit, i]),
                step=STEP,
            )
            for unit, i in wanted
        }
        super().__init__(
            draw_mixture,
            size=(9, 4.2),
            above=[
                in_a_row(ipywidgets.Label("set all units to"), self.presets, self.button),
                *(
                    in_a_row(self.sliders[n, 0], self.sliders[n, 1])
                    for n, _ in enumerate(self._learned)
                ),
            ],
        )
        self.presets.observe(in_cell_loop(lambda change: self._choose(change.new)), "value")
        for (unit, task), slider in self.sliders.items():
            turn = in_cell_loop(
                lambda change, unit=unit, task=task: self._turn(unit, task, change.new)
            )
            slider.observe(turn, "value")
        self.button.on_click(in_cell_loop(lambda _: self._next()))
        self.reference = self._compute(self._learned)
        self._refresh()

    def _compute(self, alphas: Sequence[Tensor]) -> Mixture:
        return compute_mixture(self._model, self._tasks, self._batch, alphas, self._shown)

    def _turn(self, unit: int, row: int, taken: float) -> None:
        if self._shows(self._alphas[unit][row, 1 - row], taken):
            return  # a preset moved it, or the page gave its own rounding back
        learned = self._learned[unit]
        alpha = take(self._alphas[unit], row, round(taken, DECIMALS))
        if self._shows(learned[row, 1 - row], taken):
            alpha[row] = learned[row]
        self._alphas[unit] = alpha
        found = [name for name in PRESETS if _same(self._alphas, preset(self._learned, name))]
        self.presets.value = found[0] if found else None
        self._refresh()

    @staticmethod
    def _shows(number: Tensor, slider: float) -> bool:
        """Whether a slider stands at a number, as far as its decimals go."""
        return abs(round(number.item(), DECIMALS) - slider) < 0.5 * STEP

    def _choose(self, name: str | None) -> None:
        if name is None or _same(self._alphas, preset(self._learned, name)):
            return  # the sliders have made it, or left it
        self._alphas = list(preset(self._learned, name))
        for (unit, row), slider in self.sliders.items():
            slider.value = round(self._alphas[unit][row, 1 - row].item(), DECIMALS)
        self._refresh()

    def _next(self) -> None:
        self._shown = (self._shown + 1) % len(self._batch)
        self.reference = self._compute(self._learned)
        self._refresh()

    def _refresh(self) -> None:
        self.mixture = self._compute(self._alphas)
        self.redraw(self.mixture, self.reference, self._tasks)
