"""Networks of one architecture as one module, trained side by side."""

from __future__ import annotations

import copy
import functools
import types
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from mtl_tutorial.tasks import Inputs

ONLY_NUMBERS = "networks that are stacked must differ in the numbers of their parameters alone"
PLAIN = (type, types.BuiltinFunctionType, types.FunctionType)  # equal where they are the same
TORCHS = vars(nn.Module()).keys() - {"training"}  # what every module has, and `parameters` gives


class SideBySide(nn.Module):
    """Networks of one architecture, each with parameters of its own, all run at once.

    Every parameter becomes a stack, and `torch.func.vmap` runs over the stacks. With a loss that
    adds up or averages over the networks, and an optimizer that treats every number on its own (as
    SGD and Adam do), each network learns alone.

    Args:
        networks: C of them, without buffers or dropout, that differ in nothing but the numbers in
            their parameters; they are left as they are.

    Attributes:
        stacked: the first network with a stack, shape ``(C, ...)``, in place of each parameter.

    Shapes: inputs ``(C, B, ...)`` to predictions ``(C, B, out_features)`` by task name.

    Raises:
        ValueError: where there is no network, one keeps a state or has dropout, or two differ in
            more than numbers: in class, layers, attributes, shapes, or what is frozen.
    """

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        super().__init__()
        _check_stackable(networks)
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


def _check_stackable(networks: Sequence[nn.Module]) -> None:
    if not networks:
        raise ValueError("networks must be one or more, got none; give one to train")
    for network in networks:
        if not isinstance(network, nn.Module):
            raise ValueError(f"networks must be modules, got {network!r}")
    _check_alone(networks[0])
    own = _described(networks[0])
    for number, network in enumerate(networks[1:], 1):
        if network is not networks[0]:
            _check_alike(number, _described(network), own)


def _check_alone(network: nn.Module) -> None:
    """Check that a network draws no random numbers and changes no state while it runs."""
    kind = type(network).__name__
    if not any(True for _ in network.parameters()):
        raise ValueError(f"{kind} has no parameters, so there is nothing to stack")
    for name, layer in network.named_modules():
        if isinstance(layer, nn.modules.dropout._DropoutNd) and layer.p > 0:
            raise ValueError(
                f"layer {name!r} of {kind} is dropout, whose random numbers can't be those of "
                f"separate runs; leave it out, or train one by one with train()"
            )
    for name, _ in network.named_buffers():
        raise ValueError(
            f"{kind} keeps a state in {name!r}, as batch norm does, and can't be stacked; build it "
            f"without, or train one by one with train()"
        )


def _described(network: nn.Module) -> dict[str, dict[str, Any]]:
    """All that a network is but for the numbers in its parameters, by the name of its parts."""
    parts: dict[str, dict[str, Any]] = {}
    for name, module in network.named_modules(remove_duplicate=False):
        own = {word: _comparable(value) for word, value in vars(module).items()}
        kept = {word: value for word, value in own.items() if word not in TORCHS}
        parts[name] = {"class": type(module)} | kept
    for name, parameter in network.named_parameters(remove_duplicate=False):
        parts[name] = {
            "shape": tuple(parameter.shape),
            "dtype": parameter.dtype,
            "device": str(parameter.device),
            "frozen": not parameter.requires_grad,
        }
    return parts


def _comparable(value: object, depth: int = 3) -> object:
    """What can be compared of a value: two that are equal by this do the same."""
    if isinstance(value, functools.partial):
        value = [value.func, value.args, value.keywords]
    if isinstance(value, types.FunctionType) and depth:
        inside = [cell.cell_contents for cell in value.__closure__ or ()]
        return value.__code__, _comparable([inside, value.__defaults__], depth - 1)
    if isinstance(value, Tensor):
        return "tensor", tuple(value.shape), value.tolist()
    if isinstance(value, Mapping) and depth:
        return {name: _comparable(item, depth - 1) for name, item in value.items()}
    if isinstance(value, (list, tuple)) and depth:
        return [_comparable(item, depth - 1) for item in value]
    if type(value).__eq__ is object.__eq__ and not isinstance(value, PLAIN):
        return type(value)  # what is in such an object can't be told
    return value


def _check_alike(number: int, parts: dict[str, dict], others: dict[str, dict]) -> None:
    if odd := sorted(parts.keys() ^ others.keys()):
        raise ValueError(
            f"network {number if odd[0] in parts else 0} alone has {odd[0]!r}; {ONLY_NUMBERS}"
        )
    for name, part in parts.items():
        other = others[name]
        place = f"{name!r} of network {number}" if name else f"network {number}"
        for what in dict.fromkeys([*part, *other]):
            one, its = part.get(what), other.get(what)
            if one != its:
                raise ValueError(
                    f"{place} has {what} {_word(one)}, and network 0 has {_word(its)}; "
                    f"{ONLY_NUMBERS}"
                )


def _word(value: object) -> str:
    return value.__name__ if isinstance(value, type) else repr(value)
