"""The gate viewer: how a small mixture of experts answers two regressions, input by input."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from mtl_tutorial.architectures import Experts
from mtl_tutorial.data.related_pair import PAIR
from mtl_tutorial.experiments.experts import Layer
from mtl_tutorial.web import FOLDER
from mtl_tutorial.widgets.explorable import Choice, Explorable, Fixed, Number, Point

TRAINED = FOLDER / "gate_viewer.json"
CORRELATIONS = (0.0, 0.25, 0.5, 0.75, 0.9, 1.0)  # those with a trained network
GATES = {"a gate a task": "task", "one gate": "all"}
REACH = 2.2  # of an input's two numbers
TASKS = [task.name for task in PAIR]


def packed(model: Experts) -> dict[str, Any]:
    """Give an ``Experts`` of `Layer` experts with two inputs as lists, rounded to four digits."""
    state, packed = model.state_dict(), {}
    for part, names in _names(len(model.experts), model.gate).items():
        values = torch.stack([state[name].squeeze() for name in names])
        packed[part] = _rounded(values.double().tolist())
    return packed


def _names(count: int, gate: str) -> dict[str, list[str]]:
    """Where each part of the file stands in a state of the network."""
    layers = [task if gate == "task" else "all_tasks" for task in TASKS]
    return {
        "weights": [f"experts.{i}.0.weight" for i in range(count)],
        "biases": [f"experts.{i}.0.bias" for i in range(count)],
        "gates": [f"gate_layers.{layer}.weight" for layer in layers],
        "heads": [f"heads.{task}.weight" for task in TASKS],
        "offsets": [f"heads.{task}.bias" for task in TASKS],
    }


def _rounded(value: Any) -> Any:
    return [_rounded(v) for v in value] if isinstance(value, list) else float(f"{value:.4g}")


def written(networks: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """Give the file of packed networks, by gate and in the order of the correlations."""
    lines = [
        f" {json.dumps(gate)}: [\n" + ",\n".join(f"  {json.dumps(n)}" for n in found) + "\n ]"
        for gate, found in networks.items()
    ]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def trained_mixture(correlation: float, gate: str, path: Path = TRAINED) -> Experts:
    """Give one of the networks that the viewer shows.

    Args:
        correlation: one of ``CORRELATIONS``.
        gate: ``"a gate a task"`` or ``"one gate"``.
        path: of the networks.
    """
    found = json.loads(path.read_text(encoding="utf-8"))[gate][CORRELATIONS.index(correlation)]
    count, width = len(found["biases"]), len(found["biases"][0])
    model = Experts([Layer(2, width) for _ in range(count)], PAIR, 2, gate=GATES[gate])
    state = model.state_dict()
    for part, names in _names(count, model.gate).items():
        for name, values in zip(names, found[part], strict=True):
            state[name] = torch.tensor(values).reshape(state[name].shape)
    model.load_state_dict(state)
    return model.eval()


class GateViewer(Explorable):
    """Drag the second teacher or the input; see gates, experts, mixtures and the truth.

    The networks are trained before, one for each correlation in ``CORRELATIONS`` and each kind of
    gate; that of the nearest correlation is shown.

    Args:
        correlation: cosine of the two teachers at the start, 0 to 1.
        x: the input at the start, two numbers from −2.2 to 2.2.
        gate: ``"a gate a task"`` or ``"one gate"``.

    Raises:
        TraitError: for a state that can't be.
    """

    module = "gate_viewer"
    correlation = Number("correlation", 0.5, 0, 1)
    x = Point("x", [1.4, -1.0], -REACH, REACH)
    gate = Choice("gate", GATES, "a gate a task")
    task = Choice("task", TASKS, "first")
    networks, correlations = Fixed(), Fixed()

    def __init__(
        self,
        correlation: float = 0.5,
        x: Sequence[float] = (1.4, -1.0),
        gate: str = "a gate a task",
        *,
        task: str = "first",
        trained: Path = TRAINED,
    ) -> None:
        held = self.from_files(trained)
        super().__init__(correlation=correlation, x=x, gate=gate, task=task, **held)

    @classmethod
    def from_files(cls, trained: Path = TRAINED) -> dict[str, Any]:
        """Give the networks that come with the course."""
        networks = json.loads(trained.read_text(encoding="utf-8"))
        return {"networks": networks, "correlations": list(CORRELATIONS)}
