"""The flight recorder: what happened inside a training run, read from the file that it left."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import ipywidgets
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import nn
from torch.nn import functional as F

from mtl_tutorial.balancing.registry import method_of
from mtl_tutorial.experiments.catalogue import make_network
from mtl_tutorial.experiments.store import tasks_of
from mtl_tutorial.plots import (
    BLACK,
    DATA_NAMES,
    GREY,
    label_ends,
    method_label,
    panels,
    task_style,
)
from mtl_tutorial.tasks import Task, accuracy
from mtl_tutorial.widgets.events import in_cell_loop
from mtl_tutorial.widgets.view import View

Result = dict[str, Any]
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


def draw_flight(figure: Figure, flight: Flight, pair: tuple[str, str], epoch: int) -> str:
    """Draw cosines by layer and epoch, and the weights and metrics by epoch.

    Args:
        pair: the tasks whose cosines are drawn.
        epoch: from 1; what comes later is faded.
    """
    heat, bar, weights, metrics = panels(figure, 1, 4)[0]
    heat.set_position([0.105, 0.13, 0.395, 0.76])
    bar.set_position([0.515, 0.13, 0.012, 0.76])
    weights.set_position([0.65, 0.585, 0.26, 0.305])
    metrics.set_position([0.65, 0.13, 0.26, 0.305])
    _draw_cosines(heat, bar, flight.cosines[pair], epoch)
    heat.set_title(f"Do {pair[0]} and {pair[1]} pull apart?")
    most = max(np.nanmax(values) for values in flight.weights.values())
    _draw_lines(weights, flight.weights, epoch, (0, 1.12 * most))
    weights.tick_params(labelbottom=False)
    weights.set_title("Loss weights")
    least = min(np.nanmin(values) for values in flight.metrics.values())
    _draw_lines(metrics, flight.metrics, epoch, (math.floor(10 * least) / 10, 1))
    metrics.set_xlabel("epoch")
    metrics.set_title("Validation metrics")
    return describe_flight(flight, pair, epoch)


def _draw_cosines(heat: Axes, bar: Axes, by_layer: dict[str, np.ndarray], epoch: int) -> None:
    """Draw a row for each layer, red where the two tasks pull apart."""
    rows = np.array(list(by_layer.values()))
    epochs = rows.shape[1]
    ends = math.ceil(10 * np.nanquantile(np.abs(rows), 0.98)) / 10
    where = (0.5, epochs + 0.5, len(rows) - 0.5, -0.5)
    look = {"cmap": "RdBu", "vmin": -ends, "vmax": ends, "aspect": "auto"}
    heat.imshow(rows, extent=where, interpolation="nearest", **look)
    if epoch < epochs:
        heat.axvspan(epoch + 0.5, epochs + 0.5, color="white", alpha=0.65, linewidth=0)
    heat.axvline(epoch + 0.5, color=BLACK, linewidth=1.5)
    heat.hlines(np.arange(1, len(rows)) - 0.5, *where[:2], color="white", linewidth=2)
    heat.grid(False)
    heat.set(xlim=where[:2], ylim=where[2:], xlabel="epoch", xticks=_some_epochs(epochs))
    heat.set_yticks(range(len(rows)), list(by_layer), fontsize=11 if len(rows) < 8 else 9)
    heat.tick_params(length=0)
    bar.imshow(np.linspace(ends, -ends, 128)[:, None], extent=(0, 1, -1, 1), **look)
    bar.grid(False)
    bar.set(xlim=(0, 1), ylim=(-1, 1), xticks=[])
    bar.set_yticks([-1, 0, 1], [f"{-ends:.1f}", "0", f"{ends:.1f}"])
    bar.yaxis.tick_right()
    bar.yaxis.set_label_position("right")
    bar.set_ylabel("cosine", labelpad=-10)


def _some_epochs(epochs: int) -> list[int]:
    """Round numbers of epochs, at most seven of them, with the first one."""
    every = next((step for step in (1, 2, 5, 10, 20, 50, 100) if epochs / step <= 7), epochs // 5)
    return sorted({1, *range(every, epochs + 1, every)})


def _draw_lines(
    axes: Axes, curves: dict[str, np.ndarray], epoch: int, ends: tuple[float, float]
) -> None:
    epochs = len(next(iter(curves.values())))
    room = 0.04 * epochs
    axes.set(xlim=(1 - room, epochs + room), ylim=ends, xticks=_some_epochs(epochs))
    axes.axvline(epoch, color=GREY, linewidth=1)
    for task, values in curves.items():
        style, when = task_style(task), np.arange(1, epochs + 1)
        if epoch < epochs:
            axes.plot(when, values, **style, alpha=0.25, linewidth=1.5)
        axes.plot(when[:epoch], values[:epoch], **style, marker="o", markevery=[epoch - 1])
    label_ends(axes, [(epochs + room, v[epoch - 1], task) for task, v in curves.items()])


def describe_flight(flight: Flight, pair: tuple[str, str], epoch: int) -> str:
    """Say in words where two tasks pull apart, what all weigh, and how good they are."""
    by_layer = {layer: v[epoch - 1] for layer, v in flight.cosines[pair].items()}
    apart = {name: v for name, v in by_layer.items() if v < 0 and name != WHOLE}
    names = " and ".join(pair)
    if apart:
        layer = min(apart, key=apart.__getitem__)
        most = " most" if len(apart) > 1 else ""
        push = f"{names} pull apart{most} in {layer} (cosine {apart[layer]:.2f})"
    else:
        push = f"{names} pull apart in no layer (cosine {by_layer[WHOLE]:.2f} over {WHOLE})"
    weights, metrics = (
        ", ".join(f"{task} {values[epoch - 1]:.2f}" for task, values in curves.items())
        for curves in (flight.weights, flight.metrics)
    )
    return (
        f"Epoch {epoch} of {flight.method}, seed {flight.seed}: {push}. "
        f"Weights: {weights}. Validation metrics: {metrics}."
    )


class FlightRecorder(View):
    """Choose a run and two of its tasks, and go through its epochs.

    Args:
        results: of runs, as `experiments.store.read_results` gives them. Runs that share nothing,
            or ended before their first epoch, are left out. Where runs differ in nothing but the
            learning rate or the chosen weights, the method's name says which.
        method: what is shown first: the name of a balancer.

    Raises:
        ValueError: where no run is left.
    """

    def __init__(self, results: Iterable[Result], method: str = "pcgrad") -> None:
        self.by_name = _by_name(results)
        self.play = ipywidgets.Play(interval=150, min=1, value=1)
        self.epoch = ipywidgets.IntSlider(
            min=1, value=1, description="epoch", layout={"width": "430px"}
        )
        self.runs = _dropdown("runs", "370px", list(self.by_name))
        longest = max(len(name) for methods in self.by_name.values() for name in methods)
        self.method = _dropdown("method", f"{max(270, 45 + 7 * longest)}px")
        self.seed = _dropdown("seed", "120px")
        self.pair = _dropdown("tasks", "170px")
        self.button = ipywidgets.Button(
            description="Last epoch", icon="fast-forward", layout={"width": "140px"}
        )
        rows = [
            ipywidgets.HBox([self.button, self.epoch, self.play], layout={"width": "930px"}),
            ipywidgets.HBox(
                [self.runs, self.method, self.seed, self.pair],
                layout={"flex_flow": "row wrap", "width": "950px"},
            ),
        ]
        super().__init__(draw_flight, size=(9, 4.3), above=rows)
        self._first = method_label(method, "hard_sharing")
        self._choosing = True  # while the choices change, nothing is drawn
        self._offer_methods()
        self.play.value = self.epoch.value = self.epoch.max
        self._choosing = False
        ipywidgets.jslink((self.play, "value"), (self.epoch, "value"))
        self.runs.observe(in_cell_loop(lambda _: self._choose(self._offer_methods)), "value")
        self.method.observe(in_cell_loop(lambda _: self._choose(self._offer_seeds)), "value")
        self.seed.observe(in_cell_loop(lambda _: self._choose(self._take)), "value")
        self.pair.observe(in_cell_loop(lambda _: self._show()), "value")
        self.epoch.observe(in_cell_loop(lambda _: self._show()), "value")
        self.button.on_click(in_cell_loop(lambda _: self._go_to_the_end()))
        self._show()

    def _go_to_the_end(self) -> None:
        self.epoch.value = self.epoch.max

    def _choose(self, offer) -> None:
        if self._choosing:
            return
        self._choosing, at_the_end = True, self.epoch.value == self.epoch.max
        try:
            offer()
            if at_the_end:
                self.epoch.value = self.epoch.max
        finally:
            self._choosing = False
        self._show()

    def _offer_methods(self) -> None:
        names = list(self.by_name[self.runs.value])
        first = next((n for n in names if f"{n}, ".startswith(f"{self._first}, ")), None)
        _offer(self.method, names, self.method.value or first)
        self._offer_seeds()

    def _offer_seeds(self) -> None:
        _offer(self.seed, self.by_name[self.runs.value][self.method.value], self.seed.value)
        self._take()

    def _take(self) -> None:
        result = self.by_name[self.runs.value][self.method.value][self.seed.value]
        self.flight = replace(compute_flight(result), method=self.method.value)
        self.play.max = self.epoch.max = self.flight.epochs
        _offer(self.pair, map(" and ".join, self.flight.cosines), self.pair.value)

    def _show(self) -> None:
        if not self._choosing:
            pair = tuple(self.pair.value.split(" and "))
            self.redraw(self.flight, pair, self.epoch.value)


def _dropdown(words: str, width: str, options: Sequence = ()) -> ipywidgets.Dropdown:
    style, layout = {"description_width": "55px"}, {"width": width}
    return ipywidgets.Dropdown(options=options, description=words, style=style, layout=layout)


def _offer(choice: ipywidgets.Dropdown, options: Iterable, wanted: object) -> None:
    """Change what can be chosen; what was wanted stays chosen where it is there."""
    options = list(options)
    choice.options = options
    choice.value = wanted if wanted in options else options[0]


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
