"""Every balancer by its name in commands, results and tests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

from torch import Generator

from mtl_tutorial.balancing.base import Balancer
from mtl_tutorial.balancing.dwa import DynamicWeightAverage
from mtl_tutorial.balancing.fixed import FixedWeights
from mtl_tutorial.balancing.gradient_norm_weights import GradientNormWeights
from mtl_tutorial.balancing.gradnorm import GradNorm
from mtl_tutorial.balancing.mgda import MGDA
from mtl_tutorial.balancing.pcgrad import PCGrad
from mtl_tutorial.balancing.torchjd import FromTorchJD
from mtl_tutorial.balancing.uncertainty import UncertaintyWeights
from mtl_tutorial.profiles import check_choice
from mtl_tutorial.tasks import Task


@dataclass(frozen=True)
class Making:
    """What a balancer can be made from."""

    tasks: tuple[Task, ...]
    steps_per_epoch: int
    generator: Generator


def _torchjd(name: str, **options: object) -> Balancer:
    from torchjd import aggregation  # slow to import

    return FromTorchJD(getattr(aggregation, name)(**options))


BALANCERS: dict[str, Callable[[Making], Balancer]] = {
    "equal": lambda making: FixedWeights(),
    "uncertainty": lambda making: UncertaintyWeights(making.tasks),
    "dwa": lambda making: DynamicWeightAverage(making.steps_per_epoch),
    "gradnorm": lambda making: GradNorm(),
    "gradient_norm_weights": lambda making: GradientNormWeights(),
    "pcgrad": lambda making: PCGrad(making.generator),
    "mgda": lambda making: MGDA(),
    "cagrad": lambda making: _torchjd("CAGrad", c=0.5),
    "imtl_g": lambda making: _torchjd("IMTLG"),
    "upgrad": lambda making: _torchjd("UPGrad"),
    "nash_mtl": lambda making: _torchjd("NashMTL", n_tasks=len(making.tasks)),
}


def make_balancer(name: str, making: Making) -> Balancer:
    """Make a balancer from its name, or from fixed weights as in `fixed_weights`.

    Raises:
        ValueError: for an unknown name, weights that are not those of the tasks, a registry entry
            that makes no `Balancer`, or a balancer whose library is not installed.
    """
    tasks = [task.name for task in making.tasks]
    if (fixed := fixed_weights(name, tasks)) is not None:
        return fixed
    make = BALANCERS[check_choice("balancer", name, BALANCERS)]
    try:
        balancer = make(making)
    except ImportError as error:
        raise ValueError(
            f"balancer {name!r} needs a library that is not here: "
            f"python -m pip install 'mtl_tutorial[zoo]' ({error})"
        ) from error
    if not isinstance(balancer, Balancer):
        raise ValueError(
            f"balancer {name!r} must be a Balancer, got {balancer!r}; let its class be a "
            f"mtl_tutorial.balancing.Balancer, so that it can be saved with a run"
        )
    return balancer


def fixed_weights(balancer: str, tasks: Sequence[str]) -> FixedWeights | None:
    """Read fixed weights, written ``"left=0.5,right=1.5"``; None for the name of a balancer.

    Raises:
        ValueError: where a weight is no number, is negative or not finite, the weights are not
            those of the tasks in their order, or none is above 0.
    """
    if "=" not in balancer:
        return None
    pairs = [part.partition("=")[::2] for part in balancer.split(",")]
    if [name for name, _ in pairs] != list(tasks) or balancer.split() != [balancer]:
        raise ValueError(
            f"fixed weights must name the tasks {', '.join(tasks)} in this order, without spaces, "
            f"such as {','.join(f'{task}=1' for task in tasks)!r}, got {balancer!r}"
        )
    fixed = FixedWeights(cast("dict[str, float]", dict(pairs)))  # it reads the numbers
    if not any(fixed.weights.values()):
        raise ValueError(f"at least one of the fixed weights must be above 0, got {balancer!r}")
    return fixed


def method_of(balancer: str) -> str:
    """The method that a balancer belongs to: its name, or ``"fixed"`` for chosen weights."""
    return "fixed" if "=" in balancer else balancer
