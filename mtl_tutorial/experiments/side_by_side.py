"""Networks of one architecture as one module, trained side by side."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from mtl_tutorial.tasks import Inputs


class SideBySide(nn.Module):
    """Networks of one architecture, each with parameters of its own, all run at once.

    Every parameter becomes a stack, and `torch.func.vmap` runs over the stacks. With a loss that
    adds up or averages over the networks, and an optimizer that treats every number on its own (as
    SGD and Adam do), each network learns alone.

    Args:
        networks: C of them, without buffers or dropout; they are left as they are.

    Attributes:
        stacked: the first network with a stack, shape ``(C, ...)``, in place of each parameter.

    Shapes: inputs ``(C, B, ...)`` to predictions ``(C, B, out_features)`` by task name.
    """

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        super().__init__()
        self.stacked = copy.deepcopy(networks[0])
        rows = zip(*(network.parameters() for network in networks), strict=True)
        for parameter, values in zip(self.stacked.parameters(), rows, strict=True):
            parameter.data = torch.stack([value.detach() for value in values])

    def forward(self, inputs: Inputs) -> dict[str, Tensor]:
        """Give the predictions of each network on its own inputs."""

        def one(parameters: dict[str, Tensor], own: Inputs) -> dict[str, Tensor]:
            return functional_call(self.stacked, parameters, (own,))

        return vmap(one)(dict(self.stacked.named_parameters()), inputs)

    def apart(self) -> list[nn.Module]:
        """Give copies of the networks as they are now, one by one."""
        small = copy.deepcopy(self.stacked)  # one network; C copies of all stacks would be C²
        for parameter in small.parameters():
            parameter.data, parameter.grad = parameter.detach()[0].clone(), None
        networks = [copy.deepcopy(small) for _ in next(self.stacked.parameters())]
        for i, network in enumerate(networks):
            for parameter, stack in zip(
                network.parameters(), self.stacked.parameters(), strict=True
            ):
                parameter.data = stack.detach()[i].clone()
        return networks
