"""A whole network for each task: the baseline that shares nothing."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from mtl_tutorial.architectures.encoders import module_dict
from mtl_tutorial.tasks import Inputs


class SingleTaskNetworks(nn.Module):
    """A whole network for each task: nothing is shared.

    Args:
        networks: by task name; of each network's predictions, that of this task is used.

    Raises:
        ValueError: where there is no network, or one has no prediction for its task.
    """

    def __init__(self, networks: Mapping[str, nn.Module]) -> None:
        super().__init__()
        self.networks = module_dict("networks", "task", networks)

    def forward(self, inputs: Inputs) -> dict[str, Tensor]:
        """Give the prediction of each task by its name."""
        return {name: _answer(network(inputs), name) for name, network in self.networks.items()}


def _answer(outputs: Mapping[str, Tensor], name: str) -> Tensor:
    if not isinstance(outputs, Mapping):
        raise ValueError(
            f"the network for task {name!r} must give predictions by task name, got a "
            f"{type(outputs).__name__}; wrap its encoder in HardSharing(encoder, [task])"
        )
    if name not in outputs:
        raise ValueError(
            f"the network for task {name!r} has predictions for {sorted(outputs)} only; "
            f"give it a head for {name!r}"
        )
    return outputs[name]
