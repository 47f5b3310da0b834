"""Draw a digit: three tasks of a network that was trained before answer in the page."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
import traitlets
from torch import nn

from mtl_tutorial.architectures import ConvEncoder, HardSharing
from mtl_tutorial.data import located_digits
from mtl_tutorial.web import FOLDER
from mtl_tutorial.widgets.explorable import Explorable, Fixed, Number, Switch, check_point

SIDE = 28
TRAINED = FOLDER / "drawn_digit.json"
TASKS = ("digit", "box", "mask")


class Strokes(traitlets.List):
    """Lines of points, in pixels of the image."""

    def validate(self, obj: Any, value: Any) -> list[list[list[float]]]:
        """Give them back as lists.

        Raises:
            TraitError: where a point is none.
        """
        return [
            [check_point(f"a point of stroke {i}", point, 0, SIDE) for point in stroke]
            for i, stroke in enumerate(value, 1)
        ]


def packed(model: nn.Module) -> dict[str, Any]:
    """Give a ``HardSharing(ConvEncoder(width), tasks)`` as JSON; parameters in 16 bits."""
    state = model.state_dict()
    numbers = torch.cat([tensor.flatten() for tensor in state.values()]).half().cpu()
    return {
        "width": len(state["encoder.layers.0.bias"]),
        "tasks": list(TASKS),
        "numbers": base64.b64encode(numbers.numpy().tobytes()).decode(),
    }


def trained_network(path: Path = TRAINED) -> HardSharing:
    """Give the network that comes with the course, in evaluation mode, with its three tasks."""
    found = json.loads(path.read_text(encoding="utf-8"))
    tasks = located_digits("train").tasks
    model = HardSharing(ConvEncoder(found["width"]), tasks)
    numbers = np.frombuffer(base64.b64decode(found["numbers"]), dtype=np.float16).copy()
    flat, state = torch.from_numpy(numbers).float(), model.state_dict()
    parts = flat.split([tensor.numel() for tensor in state.values()])
    pairs = zip(state.items(), parts, strict=True)
    model.load_state_dict({name: part.reshape(old.shape) for (name, old), part in pairs})
    return model.eval()


class DrawADigit(Explorable):
    """Draw with pointer or finger; digit, box and mask answer from a trained network.

    Args:
        model: a ``HardSharing(ConvEncoder(width), tasks)`` with the tasks digit, box and mask, in
            this order; left out, the one that comes with the course.
        strokes: drawn at the start; lines of points, from 0 to 28.
        thickness: of the pen, in pixels of the image, 1 to 5.

    Raises:
        TraitError: for other strokes or another thickness.
    """

    module = "draw_a_digit"
    strokes = Strokes([]).tag(sync=True)
    thickness = Number("thickness", 2.2, 1, 5)
    mask = Switch(False)
    width, tasks, numbers = Fixed(), Fixed(), Fixed()

    def __init__(
        self,
        model: nn.Module | None = None,
        *,
        strokes: Any = (),
        thickness: float = 2.2,
        trained: Path = TRAINED,
    ) -> None:
        network = packed(model) if model else self.from_files(trained)
        super().__init__(strokes=list(strokes), thickness=thickness, **network)

    @classmethod
    def from_files(cls, trained: Path = TRAINED) -> dict[str, Any]:
        """Give the network that comes with the course."""
        found = json.loads(trained.read_text(encoding="utf-8"))
        return {name: found[name] for name in ("width", "tasks", "numbers")}
