"""The flight recorder: what happened inside a training run, read from the file that it left."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from torch import nn
from torch.nn import functional as F

from mtl_tutorial.balancing.registry import method_of
from mtl_tutorial.experiments.catalogue import make_network
from mtl_tutorial.experiments.store import committed_results, tasks_of
from mtl_tutorial.plots import DATA_NAMES, method_label
from mtl_tutorial.tasks import Task, accuracy
from mtl_tutorial.widgets.explorable import Explorable, Fixed, Number, Words

Result = dict[str, Any]
OF_THE_LESSON = ("quick_60_epochs", "two_digits_8_epochs")
WHOLE = "all of them"  # the row of all shared parameters together
KINDS: dict[type, str] = {nn.Conv2d: "conv", nn.Linear: "linear"}


@dataclass(frozen=True)
class Flight:
    """What one run wrote down after each epoch.

    Args:
        method: in words.
        seed: of the run.
        cosines: of two tasks' gradients by their names and by layer, shape ``(epochs,)``; layers
            go from the image to the heads, the last one is all of them together.
        weights: mean loss weight by task, shape ``(epochs,)``.
        metrics: on validation scenes by task, shape ``(epochs,)``.
    """

    method: str
    seed: int
    cosines: dict[tuple[str, str], dict[str, np.ndarray]]
    weights: dict[str, np.ndarray]
    metrics: dict[str, np.ndarray]

    @property
    def epochs(self) -> int:
        """How many there are."""
        return len(next(iter(self.metrics.values())))


def compute_flight(result: Result) -> Flight:
    """Read a run's result.

    Raises:
        ValueError: where nothing is shared in the run's network, so that there are no cosines, or
            it ended before its first epoch.
    """
    setting, curves = result["setting"], result["curves"]
    if "cosine" not in curves:
        raise ValueError(
            f"there are no cosines in the run of {setting['architecture']!r}, "
            f"{setting['balancer']!r}, seed {setting['seed']}: it shares nothing, or ended early"
        )
    tasks, layers = tasks_of(result), next(iter(curves["cosine"].values()))
    words = layer_words(setting["data"], setting["architecture"], tasks, tuple(layers))
    by_pair = {
        pair: {words[layer]: np.array(by_layer[layer], dtype=float) for layer in words}
        for pair in itertools.combinations(tasks, 2)
        if (by_layer := curves["cosine"].get(", ".join(pair)))
    }
    return Flight(
        method_label(method_of(setting["balancer"]), setting["architecture"]),
        setting["seed"],
        by_pair,
        *(
            {task: np.array(curves[name][task], dtype=float) for task in tasks}
            for name in ("weight", "validation metric")
        ),
    )


@functools.cache
def layer_words(
    data: str, architecture: str, tasks: tuple[str, ...], layers: tuple[str, ...]
) -> dict[str, str]:
    """Give the words for each layer of a result, by its name there, from the image to the heads.

    A layer is called by its kind, and numbered where there are several: conv 1, conv 2, linear.
    Where there are several encoders, their names stand in front: image conv 1.

    Args:
        data, architecture, tasks: those of the result.
        layers: the names, in any order; ``"all"`` is all of them together, and comes last.
    """
    network = make_network(
        data, architecture, [Task(name, F.cross_entropy, accuracy, 10) for name in tasks]
    )
    modules, order = dict(network.named_modules()), [n for n, _ in network.named_parameters()]
    places = {name.removesuffix(".weight"): place for place, name in enumerate(order)}
    kinds = {}
    for name in sorted(set(layers) - {"all"}, key=lambda name: places.get(name, len(order))):
        kind = KINDS.get(type(modules.get(name)), name.replace(".", " "))
        kinds[name] = f"{_owner(name)}{kind}"
    words = {}
    for name, kind in kinds.items():
        alike = [other for other, its_kind in kinds.items() if its_kind == kind]
        words[name] = kind if len(alike) == 1 else f"{kind} {alike.index(name) + 1}"
    return {**words, "all": WHOLE}


def _owner(name: str) -> str:
    """The name of the encoder that a layer is in, where there are several of them."""
    room, _, rest = name.partition(".")
    return f"{rest.partition('.')[0]} " if room == "encoders" else ""


class FlightRecorder(Explorable):
    """Go through the epochs of runs, two of them side by side.

    Args:
        results: of runs, as `experiments.store.read_results` gives them. Runs that share nothing,
            or ended before their first epoch, are left out. Where runs differ in nothing but the
            learning rate or the chosen weights, the method's name says which.
        method: what is shown first: the name of a balancer.
        beside: another one, shown beside it; none if left out.

    Raises:
        ValueError: where no run is left.
    """

    module = "flight_recorder"
    flights = Fixed()
    runs = Words("runs", lambda self: (f["runs"] for f in self.flights))
    method = Words("method", lambda self: (f["method"] for f in self.flights))
    seed = Words("seed", lambda self: (str(f["seed"]) for f in self.flights))
    beside = Words("beside", lambda self: ("nothing", *(f["method"] for f in self.flights)))
    pair = Words("pair", lambda self: (pair for f in self.flights for pair in f["cosines"]))
    epoch = Number("epoch", 1, 1, 1e6)

    def __init__(
        self, results: Iterable[Result], method: str = "pcgrad", beside: str | None = None
    ) -> None:
        flights = [
            _as_numbers(runs, replace(compute_flight(result), method=name))
            for runs, methods in _by_name(results).items()
            for name, seeds in methods.items()
            for result in seeds.values()
        ]
        runs = flights[0]["runs"]
        names = list(dict.fromkeys(f["method"] for f in flights if f["runs"] == runs))

        def named(balancer: str | None) -> str | None:
            label = balancer and method_label(balancer, "hard_sharing")
            return next((name for name in names if f"{name}, ".startswith(f"{label}, ")), None)

        first = named(method) or names[0]
        shown = next(f for f in flights if f["runs"] == runs and f["method"] == first)
        super().__init__(
            flights=flights,
            runs=runs,
            method=first,
            beside=named(beside) or "nothing",
            seed=str(shown["seed"]),
            pair=next(iter(shown["cosines"])),
            epoch=shown["epochs"],
        )

    @classmethod
    def from_files(cls) -> dict[str, Any]:
        """Give the flights of the runs that lesson 11 opens with."""
        return {"flights": cls(itertools.chain(*map(committed_results, OF_THE_LESSON))).flights}


def _as_numbers(runs: str, flight: Flight) -> dict[str, Any]:
    """A flight as the page reads it; three digits of every number."""

    def rows(curves: Iterable[np.ndarray]) -> list[list[float | None]]:
        return [
            [float(f"{value:.3g}") if math.isfinite(value) else None for value in curve]
            for curve in curves
        ]

    return {
        "runs": runs,
        "method": flight.method,
        "seed": flight.seed,
        "epochs": flight.epochs,
        "tasks": list(flight.metrics),
        "layers": list(next(iter(flight.cosines.values()))),
        "cosines": {
            " and ".join(pair): rows(layers.values()) for pair, layers in flight.cosines.items()
        },
        "weights": rows(flight.weights.values()),
        "metrics": rows(flight.metrics.values()),
    }


def _by_name(results: Iterable[Result]) -> dict[str, dict[str, dict[int, Result]]]:
    """Sort results by their runs (data, profile, length), method and seed.

    Of two results of one setting and length, the later one is kept.
    """
    alike: dict[tuple[str, str], list[Result]] = {}
    for result in results:
        if "cosine" not in result["curves"]:
            continue
        setting, protocol = result["setting"], result["protocol"]
        length = "1 epoch" if protocol["epochs"] == 1 else f"{protocol['epochs']} epochs"
        runs = f"{DATA_NAMES[setting['data']]}, {protocol['profile']} profile, {length}"
        method = method_label(method_of(setting["balancer"]), setting["architecture"])
        alike.setdefault((runs, method), []).append(result)
    if not alike:
        raise ValueError("no run with cosines is among the results; give some of shared networks")
    found: dict[str, dict[str, dict[int, Result]]] = {}
    for (runs, method), group in alike.items():
        for result, words in zip(group, _tell_apart(group), strict=True):
            name = ", ".join((method, *words))
            found.setdefault(runs, {}).setdefault(name, {})[result["setting"]["seed"]] = result
    return found


def _tell_apart(alike: Sequence[Result]) -> Sequence[tuple[str, ...]]:
    """Give the words that a name needs so that no two runs of one method and seed share it.

    None where the seeds differ; else the chosen weights, the learning rate, or both.
    """
    settings = [result["setting"] for result in alike]
    rates = [(f"rate {setting['learning_rate']}",) for setting in settings]
    weights = [
        tuple(part.replace("=", " ") for part in setting["balancer"].split(",") if "=" in part)
        for setting in settings
    ]
    both = [(*chosen, *rate) for chosen, rate in zip(weights, rates, strict=True)]

    def count(words: Sequence[tuple[str, ...]]) -> int:
        return len({(name, setting["seed"]) for name, setting in zip(words, settings, strict=True)})

    return next(words for words in ([()] * len(alike), weights, rates, both)
                if count(words) == count(both))  # fmt: skip
