"""A viewer of masks around a network that was trained for a moment."""

from __future__ import annotations

from functools import cache

import torch

from mtl_tutorial.architectures import MTAN, VGGEncoder
from mtl_tutorial.balancing import FixedWeights
from mtl_tutorial.data import located_digits
from mtl_tutorial.experiments import train
from mtl_tutorial.widgets.attention_mask_viewer import AttentionMaskViewer

TASKS = located_digits("validation").tasks


@cache
def trained() -> MTAN:
    scenes = located_digits("train")
    batch = scenes.draw(8, torch.Generator().manual_seed(1))

    def build() -> MTAN:
        return MTAN(VGGEncoder((4, 4, 8)), TASKS)

    weights = FixedWeights({"digit": 1.0, "box": 3.0, "mask": 1.0})
    return train(build, TASKS, scenes, batch, seed=0, steps=120, batch_size=32, balancer=weights)[0]


def trained_viewer() -> AttentionMaskViewer:
    """At its first image."""
    batch = located_digits("validation").draw(24, torch.Generator().manual_seed(11))
    return AttentionMaskViewer(trained(), TASKS, batch)
