"""What a run is made of: data sets, architectures and balancers by name."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from mtl_tutorial.architectures import (
    MTAN,
    Concatenation,
    ConvEncoder,
    CrossStitch,
    FusionNetwork,
    HardSharing,
    LeNet,
    SingleTaskNetworks,
    VGGEncoder,
)
from mtl_tutorial.data import (
    TASKS,
    TWO_DIGITS_RECIPE,
    Scenes,
    located_digits,
    seen_and_heard,
    two_digits,
)
from mtl_tutorial.profiles import check_choice
from mtl_tutorial.tasks import Task

STITCH_RATE = 100  # times the networks' rate, for cross-stitch units trained with SGD


Tasks = Sequence[Task]
Encoders = Callable[[], nn.Module]


@dataclass(frozen=True)
class DataSet:
    """Where scenes come from, and how networks are trained on them.

    Args:
        scenes: ``scenes(split, digits=..., sound=..., recipe=..., device=...)``.
        tasks: their names.
        digits: the source of digits in the full profile; the quick one takes the embedded ones.
        networks: by the name of an architecture, from the tasks to a network.
        optimizer: ``"sgd"`` (momentum 0.9) or ``"adam"``.
        learning_rate: where a run names none.
    """

    scenes: Callable[..., Scenes]
    tasks: tuple[str, ...]
    digits: str
    networks: dict[str, Callable[[Tasks], nn.Module]]
    optimizer: str
    learning_rate: float


Network = Callable[[Tasks], nn.Module]


def _alone(network: Network) -> Network:
    """One network a task."""
    return lambda tasks: SingleTaskNetworks({task.name: network([task]) for task in tasks})


def _networks(encoder: Encoders, small: Encoders) -> dict[str, Network]:
    """The architectures for images, with an encoder for those that can have any.

    Args:
        small: an encoder with which one network a task has in all the parameters of one shared.
    """
    return {
        "hard_sharing": lambda tasks: HardSharing(encoder(), tasks),
        "cross_stitch": lambda tasks: CrossStitch([encoder() for _ in tasks], tasks),
        "mtan": lambda tasks: MTAN(VGGEncoder(), tasks),
        "single_task": _alone(lambda tasks: HardSharing(encoder(), tasks)),
        "single_task_small": _alone(lambda tasks: HardSharing(small(), tasks)),
    }


def _fusion(width: int, features: int) -> Network:
    """Image and sound, an encoder each, joined."""

    def make(tasks: Tasks) -> FusionNetwork:
        image, sound = (ConvEncoder(width, features, size=size) for size in (28, 32))
        return FusionNetwork({"image": image, "sound": sound}, Concatenation(2, features), tasks)

    return make


def _two_digits(split: str, *, digits: str, sound: str, recipe: int, device: str) -> Scenes:
    return two_digits(split, digits=digits, recipe=recipe, device=device)


def _located_digits(split: str, *, digits: str, sound: str, recipe: int, device: str) -> Scenes:
    return located_digits(split, digits=digits, device=device)


def _seen_and_heard(split: str, *, digits: str, sound: str, recipe: int, device: str) -> Scenes:
    return seen_and_heard(split, digits=digits, sound=sound, device=device)


def _names(questions: str) -> tuple[str, ...]:
    return tuple(task.name for task in TASKS[questions])


LENETS = _networks(LeNet, lambda: LeNet((7, 14), 35))
CONVOLUTIONAL = _networks(ConvEncoder, lambda: ConvEncoder(10))
DATA_SETS = {
    "two_digits": DataSet(_two_digits, _names("two_digits"), "mnist", LENETS, "sgd", 0.05),
    "two_fashion": DataSet(_two_digits, _names("two_digits"), "fashion", LENETS, "sgd", 0.05),
    "located_digits": DataSet(
        _located_digits, _names("located_digits"), "mnist", CONVOLUTIONAL, "adam", 2e-3
    ),
    "seen_and_heard": DataSet(
        _seen_and_heard,
        _names("seen_and_heard"),
        "mnist",
        {
            "hard_sharing": _fusion(8, 32),
            "single_task": _alone(_fusion(8, 32)),
            "single_task_small": _alone(_fusion(4, 16)),
        },
        "adam",
        2e-3,
    ),
}
ALONE = "single_task"  # how the names of networks begin that share nothing
ARCHITECTURES = ("single_task", "single_task_small", "hard_sharing", "cross_stitch", "mtan")


def make_network(data: str, architecture: str, tasks: Tasks) -> nn.Module:
    """Make a network for a data set, from the names of both.

    Raises:
        ValueError: for an unknown name, or an architecture that is not for these inputs.
    """
    check_choice("architecture", architecture, ARCHITECTURES)
    networks = DATA_SETS[check_choice("data set", data, DATA_SETS)].networks
    if architecture not in networks:
        raise ValueError(
            f"architecture {architecture!r} can't take the inputs of data set {data!r}; "
            f"use one of {', '.join(networks)}"
        )
    return networks[architecture](tasks)


def make_optimizer(data: str, model: nn.Module, learning_rate: float) -> torch.optim.Optimizer:
    """Make the data set's optimizer.

    Cross-stitch units learn at 100 times the rate with SGD, as in Misra et al. 2016, and at the
    same rate with Adam.
    """
    if DATA_SETS[data].optimizer == "adam":
        return torch.optim.Adam(model.parameters(), lr=learning_rate, fused=True)
    if isinstance(model, CrossStitch):
        parameters = model.parameter_groups(learning_rate, STITCH_RATE)
    else:
        parameters = [{"params": list(model.parameters())}]
    return torch.optim.SGD(parameters, lr=learning_rate, momentum=0.9)


@functools.lru_cache(maxsize=2)  # the runs of a process are mostly on one data set
def load_scenes(
    data: str, digits: str, sound: str, device: str, recipe: int = TWO_DIGITS_RECIPE
) -> dict[str, Scenes]:
    """Give the scenes of a data set by split; loaded once in a process.

    Raises:
        ValueError: for an unknown name or device.
        DataUnavailableError: where the files can't be had.
    """
    scenes = DATA_SETS[check_choice("data set", data, DATA_SETS)].scenes
    return {
        split: scenes(split, digits=digits, sound=sound, recipe=recipe, device=device)
        for split in ("train", "validation", "test")
    }
