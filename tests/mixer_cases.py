"""A cross-stitch mixer around a network that was trained for a moment."""

from __future__ import annotations

from functools import cache

import torch

from mtl_tutorial.architectures import ConvEncoder, CrossStitch
from mtl_tutorial.data import located_digits
from mtl_tutorial.data.questions import BOX, DIGIT
from mtl_tutorial.experiments import train
from mtl_tutorial.widgets.cross_stitch_mixer import CrossStitchMixer

TASKS = (DIGIT, BOX)


@cache
def trained() -> CrossStitch:
    scenes = located_digits("train")
    batch = scenes.draw(64, torch.Generator().manual_seed(1))

    def build() -> CrossStitch:
        return CrossStitch([ConvEncoder(8) for _ in TASKS], TASKS)

    return train(build, TASKS, scenes, batch, seed=0, steps=120)[0]


def trained_mixer() -> CrossStitchMixer:
    """As it was learned."""
    batch = located_digits("validation").draw(128, torch.Generator().manual_seed(1))
    return CrossStitchMixer(trained(), TASKS, batch)
