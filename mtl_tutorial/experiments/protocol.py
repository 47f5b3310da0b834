"""How long every run of a grid trains and on what, and which runs a grid has."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from mtl_tutorial.balancing.registry import BALANCERS, fixed_weights, method_of
from mtl_tutorial.data import TWO_DIGITS_RECIPE
from mtl_tutorial.experiments.catalogue import ALONE, ARCHITECTURES, DATA_SETS, make_network
from mtl_tutorial.profiles import check_choice

HIGHEST_RATE = 1e30  # times the rates of all optimizers, and a number of 32 bits can still hold it


@dataclass(frozen=True)
class Protocol:
    """What all runs of a grid have in common.

    The learning rate falls by the factor 0.85 after each tenth of the epochs; the network of the
    best validation epoch is tested.

    Args:
        profile: ``"quick"`` (embedded digits and dial tones) or ``"full"`` (MNIST, FashionMNIST
            and speech).
        epochs: in each, every digit is used once.
        batch_size: scenes a step.
        held_out: validation scenes, drawn once; and as many as that, at least, for the test.
        recipe: by which two digits are composed; see `two_digits`.
    """

    profile: str
    epochs: int
    batch_size: int
    held_out: int = 2000
    recipe: int = TWO_DIGITS_RECIPE

    def sources(self, data: str) -> tuple[str, str]:
        """The sources of digits and of sound for a data set."""
        if self.profile == "quick" and DATA_SETS[data].digits == "mnist":
            return "embedded", "tones"
        return DATA_SETS[data].digits, "speech"

    def rate_factor(self, epoch: int) -> float:
        """What the learning rate is multiplied by in an epoch, counted from 0."""
        return 0.85 ** (10 * epoch // self.epochs)


PROTOCOLS = {"quick": Protocol("quick", 20, 64), "full": Protocol("full", 100, 256)}


def make_protocol(
    profile: str, *, epochs: int | None = None, recipe: int | None = None
) -> Protocol:
    """Give a profile's protocol, with another number of epochs or recipe where one is given.

    Raises:
        ValueError: for an unknown profile, or epochs below 1.
    """
    base = PROTOCOLS[check_choice("profile", profile, PROTOCOLS)]
    if epochs is not None and epochs < 1:
        raise ValueError(f"epochs must be a whole number from 1 on, got {epochs}")
    return replace(base, epochs=epochs or base.epochs, recipe=recipe or base.recipe)


@dataclass(frozen=True, order=True)
class Setting:
    """One run of a grid.

    Args:
        data, architecture, balancer: names in the catalogue; a balancer may also be fixed
            weights, such as ``"left=0.5,right=1.5"``.
        learning_rate: > 0.
        seed: of the network, the batches and what is random in the balancer.

    Raises:
        ValueError: for an unknown name, an architecture that does not take the data set's inputs,
            or a rate or seed out of range.
    """

    data: str
    architecture: str
    balancer: str
    learning_rate: float
    seed: int

    def __post_init__(self) -> None:
        check_choice("data set", self.data, DATA_SETS)
        check_choice("architecture", self.architecture, ARCHITECTURES)
        if fixed_weights(self.balancer, DATA_SETS[self.data].tasks) is None:
            check_choice("balancer", self.balancer, BALANCERS)
        if self.architecture not in DATA_SETS[self.data].networks:
            make_network(self.data, self.architecture, ())  # says why not
        if not 0 < self.learning_rate < math.inf:
            raise ValueError(f"learning rate must be finite and > 0, got {self.learning_rate}")
        if self.learning_rate > HIGHEST_RATE:
            raise ValueError(
                f"learning rate must be at most {HIGHEST_RATE:g}, got {self.learning_rate}"
            )
        if not 0 <= self.seed < 2**31:
            raise ValueError(f"seed must be a whole number from 0 to 2^31 - 1, got {self.seed}")

    @classmethod
    def of(cls, result: Mapping[str, Any]) -> Setting:
        """Give that of a result, whatever the catalogue holds by now."""
        setting = object.__new__(cls)
        for field in fields(cls):
            object.__setattr__(setting, field.name, result["setting"][field.name])
        return setting

    @property
    def method(self) -> str:
        """The balancer's name, or ``"fixed"`` for chosen weights."""
        return method_of(self.balancer)

    def __str__(self) -> str:
        """A name for files and messages; different for different settings."""
        return (
            f"{self.data}-{self.architecture}-{self.balancer}"
            f"-rate{self.learning_rate!r}-seed{self.seed}"
        )


def settings(
    data: Iterable[str],
    architectures: Iterable[str],
    balancers: Iterable[str],
    learning_rates: Sequence[float] = (),
    seeds: Iterable[int] = (0,),
) -> list[Setting]:
    """Give every combination once.

    Single-task networks share nothing, so there is nothing to balance: they run with equal
    weights, whatever the balancers.

    Args:
        learning_rates: left out, each data set's own.

    Raises:
        ValueError: as for `Setting`, and where there is no run.
    """
    axes = list(data), list(architectures), list(balancers), list(seeds)
    found: dict[Setting, None] = {}
    for name, architecture, balancer, seed in itertools.product(*axes):
        check_choice("data set", name, DATA_SETS)
        used = "equal" if architecture.startswith(ALONE) else balancer
        for rate in learning_rates or [DATA_SETS[name].learning_rate]:
            found[Setting(name, architecture, used, float(rate), seed)] = None
    if not found:
        raise ValueError("the grid is empty; give each axis at least one value")
    return list(found)
