"""The scene sampler: see what the networks of this course look at, and what is asked about it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import cast

import ipywidgets
import torch
from matplotlib.figure import Figure
from torch import Tensor
from torchvision.ops import box_area

from mtl_tutorial.data import (
    Digits,
    load_digits,
    located_digits,
    to_pixels,
    two_digits,
    untouched_digits,
)
from mtl_tutorial.experiments.chance import POOL, blind_box_iou
from mtl_tutorial.plots import draw_scenes
from mtl_tutorial.profiles import check_choice
from mtl_tutorial.tasks import Batch
from mtl_tutorial.widgets.events import in_cell_loop
from mtl_tutorial.widgets.slider import Slider
from mtl_tutorial.widgets.view import View, in_a_row

SCENES = 12  # in a picture
FEW = 32  # digits that the scenes of one picture are made of, so that a picture is quick
KINDS = {
    "located": "one located digit",
    "two": "two digits",
    "untouched": "untouched digit",
}
TITLES = {
    "located": "Three questions a scene: which digit, where is it, which pixels are ink?",
    "two": "Two questions a scene: which digit is top left, which is bottom right?",
    "untouched": "Two questions a scene, but the digit never leaves the middle",
}


@dataclass(frozen=True)
class Knobs:
    """What the scenes are made by.

    Args:
        kind: ``"located"``, ``"two"`` or ``"untouched"``.
        smallest, largest: longer side of the ink in pixels; located scenes only.
        noise: standard deviation, on a scale from 0 (paper) to 1 (ink); located scenes only.
        sample: its digits and places; the same number gives the same ones.

    Raises:
        ValueError: for another kind.
    """

    kind: str = "located"
    smallest: int = 14
    largest: int = 22
    noise: float = 0.1
    sample: int = 0

    def __post_init__(self) -> None:
        check_choice("kind of scene", self.kind, KINDS)


@dataclass(frozen=True)
class Sample:
    """Scenes, and what is worth knowing about them.

    Args:
        knobs: what they were made by.
        batch: 12 scenes with their targets.
        box_share: part of the image that a box covers, mean over the scenes; NaN without boxes.
        ink_share: part of the image that is ink, likewise; NaN without masks.
        blind_iou: mean IoU of the best fixed box, on 2,048 scenes of this kind and size; NaN
            without boxes.
    """

    knobs: Knobs
    batch: Batch
    box_share: float
    ink_share: float
    blind_iou: float


def compute_scenes(source: Digits, knobs: Knobs) -> Sample:
    """Make 12 scenes; a change of noise or size keeps the digits.

    Args:
        source: digits to choose from.
        knobs: what to make.
    """
    generator = torch.Generator().manual_seed(knobs.sample)
    digits = source.sample(FEW, generator)
    if knobs.kind == "located":
        extent = (knobs.smallest, knobs.largest)
        scenes = located_digits("train", digits=digits, extent=extent, noise=knobs.noise)
    else:
        scenes = {"two": two_digits, "untouched": untouched_digits}[knobs.kind](
            "train", digits=digits
        )
    batch = scenes.compose(torch.arange(SCENES), generator)
    if knobs.kind == "two":
        batch = replace(batch, inputs=to_pixels(cast("Tensor", batch.inputs)))
    box_share = ink_share = blind_iou = float("nan")
    if "box" in batch.targets:
        box_share = box_area(batch.targets["box"]).mean().item()
        sizes = (knobs.smallest, knobs.largest) if knobs.kind == "located" else None
        blind_iou = blind_box_iou(source, sizes)
    if "mask" in batch.targets:
        ink_share = batch.targets["mask"].mean().item()
    return Sample(knobs, batch, box_share, ink_share, blind_iou)


def draw_sampler(figure: Figure, sample: Sample) -> str:
    """Draw the scenes with their true labels, boxes and masks; say what the numbers mean."""
    draw_scenes(figure, sample.batch, title=TITLES[sample.knobs.kind])
    return describe_sample(sample)


def describe_sample(sample: Sample) -> str:
    """Say in words what the scenes are like."""
    knobs = sample.knobs
    if knobs.kind == "two":
        return (
            "The label gives both right answers, top left first. "
            "Digits overlap, there is no noise, and nothing is asked about boxes or pixels."
        )
    if knobs.kind == "untouched":
        return (
            f"A box (grey) covers {sample.box_share:.0%} of the image on average. "
            f"{_say_blind(sample)}"
        )
    return (
        f"Digits of {knobs.smallest} to {knobs.largest} px, noise {knobs.noise:.2f}. "
        f"A box (grey) covers {sample.box_share:.0%} of the image on average, its ink (green) "
        f"{sample.ink_share:.0%}. {_say_blind(sample)}"
    )


def _say_blind(sample: Sample) -> str:
    return (
        f"Never looking, with the same box for each of {POOL:,} such scenes, scores a mean IoU of "
        f"{sample.blind_iou:.2f} at best."
    )


def describe_change(before: Sample, after: Sample) -> str:
    """Say in words what the last move did to the scenes."""
    old, new = before.knobs, after.knobs
    if old.kind != new.kind:
        return f"Other scenes, other tasks: {', '.join(after.batch.targets)}."
    if old.sample != new.sample:
        return "New digits and places, made by the same rules."
    if old.noise != new.noise:
        return (
            f"Noise went from {old.noise:.2f} to {new.noise:.2f}: same digits, same places, "
            f"same right answers; only the pixels that the network sees have changed."
        )
    if (old.smallest, old.largest) != (new.smallest, new.largest):
        return (
            f"Same digits, another size: a box covered {before.box_share:.0%} of the image, "
            f"now {after.box_share:.0%}."
        )
    return ""


class SceneSampler(View):
    """Choose a kind of scene and how hard it is; see 12 of them with their right answers.

    Args:
        digits: ``"embedded"``, ``"mnist"`` or ``"fashion"``.
        knobs: where the controls start.

    Raises:
        ValueError: for an unknown digit source.
        DataUnavailableError: where the digits can't be had.
    """

    def __init__(self, digits: str = "embedded", knobs: Knobs | None = None) -> None:
        knobs = knobs or Knobs()
        self._source = load_digits("train", digits=digits)
        self.kind = ipywidgets.ToggleButtons(
            options=[(words, kind) for kind, words in KINDS.items()],
            value=knobs.kind,
            style={"button_width": "150px"},
        )
        sizes, name = (knobs.smallest, knobs.largest), "smallest and largest digit, px"
        self.size = Slider(name, sizes, min=8, max=28)
        self.noise = Slider("noise", knobs.noise, min=0, max=0.6, step=0.02)
        self.button = ipywidgets.Button(
            description="New scenes", icon="refresh", layout={"width": "120px"}
        )
        super().__init__(
            draw_sampler,
            size=(9, 4.1),
            above=[
                in_a_row(ipywidgets.Label("scenes with"), self.kind),
                in_a_row(self.size, self.noise, self.button),
            ],
        )
        for control in (self.kind, self.size, self.noise):
            control.observe(in_cell_loop(lambda _: self._refresh()), "value")
        self.button.on_click(in_cell_loop(lambda _: self._refresh(new_sample=True)))
        self.sample = compute_scenes(self._source, knobs)
        self.redraw(self.sample)
        self._enable()

    def _refresh(self, new_sample: bool = False) -> None:
        before = self.sample
        smallest, largest = self.size.value
        knobs = replace(
            before.knobs,
            kind=self.kind.value,
            smallest=smallest,
            largest=largest,
            noise=self.noise.value,
            sample=before.knobs.sample + new_sample,
        )
        self.sample = compute_scenes(self._source, knobs)
        change = describe_change(before, self.sample)
        self.redraw(self.sample, sentence=f"{change} {describe_sample(self.sample)}".strip())
        self._enable()

    def _enable(self) -> None:
        for slider in (self.size, self.noise):
            slider.disabled = self.kind.value != "located"
