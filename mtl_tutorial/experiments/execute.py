"""One run, from its setting to its result; stopped at any epoch, it goes on to the same numbers."""

from __future__ import annotations

import functools
import json
import math
import os
import platform
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from torch import nn

from mtl_tutorial import __version__
from mtl_tutorial.architectures import SingleTaskNetworks
from mtl_tutorial.balancing import NonFiniteError
from mtl_tutorial.balancing.registry import Making, make_balancer
from mtl_tutorial.checkpoints import load_checkpoint, save_checkpoint
from mtl_tutorial.data import Scenes
from mtl_tutorial.experiments.captured import CapturedSteps, means_of_columns
from mtl_tutorial.experiments.catalogue import (
    load_scenes,
    make_network,
    make_optimizer,
)
from mtl_tutorial.experiments.chance import chance
from mtl_tutorial.experiments.protocol import Protocol, Setting
from mtl_tutorial.experiments.runs import Randomness, Run
from mtl_tutorial.experiments.store import FORMAT, rounded, set_aside
from mtl_tutorial.measuring import Score, evaluate, layer_geometry
from mtl_tutorial.profiles import resolve_device
from mtl_tutorial.tasks import Batch, Task, has_label, map_batches
from mtl_tutorial.training import NonFiniteLossError

UNKNOWN = {"commit": "unknown", "device": "unknown"}  # what made a checkpoint that does not say
LIBRARIES = ("torch", "torchvision", "torchjd")
LOOK_AT = 256  # validation scenes on which gradients are measured after an epoch
PART = 1000  # scenes that are scored at once
Report = Callable[[int], None]


def execute(
    setting: Setting,
    protocol: Protocol,
    *,
    device: str = "cpu",
    checkpoint: str | Path | None = None,
    on_epoch: Report | None = None,
) -> dict[str, Any]:
    """Train and test one network.

    Args:
        device: where scenes and network live.
        checkpoint: a file that is written after every epoch. Where it is there already, the run
            goes on from it, to the numbers of a run that was never stopped. One that is damaged
            is set aside, and the run starts anew.
        on_epoch: is told the number of every epoch that is done, from 1.

    Returns:
        ``setting``, ``protocol`` and the names of the ``tasks``; ``provenance``, with all versions
        that had a part in it under ``earlier``; ``curves``, a list over epochs by quantity and
        task; ``best_epoch`` and ``test``, by task, the scores of the best validation epoch's
        network; ``diverged``, None or why the run ended early: then ``test`` is None, and
        ``chance`` what the metrics would be by chance. Numbers have five digits.

    Raises:
        ValueError: for a setting that can't be run.
        DataUnavailableError: where the digits can't be had.
    """
    place = resolve_device(device)
    with repeatable():
        return _execute(setting, protocol, place, checkpoint, on_epoch)


def _execute(
    setting: Setting,
    protocol: Protocol,
    place: torch.device,
    checkpoint: str | Path | None,
    on_epoch: Report | None,
) -> dict[str, Any]:
    scenes = load_scenes(setting.data, *protocol.sources(setting.data), str(place), protocol.recipe)
    if place.type == "cuda":
        torch.cuda.reset_peak_memory_stats(place)
    trial = _Trial(setting, protocol, scenes, place)
    if checkpoint is not None and Path(checkpoint).exists():
        trial = trial.resumed(Path(checkpoint))
    state = trial.state
    try:
        while state.epoch < protocol.epochs:
            trial.train_epoch()
            if checkpoint is not None:
                trial.save(Path(checkpoint))
            if on_epoch is not None:
                on_epoch(state.epoch)
    except (NonFiniteLossError, NonFiniteError) as error:
        state.diverged = f"epoch {state.epoch + 1}: {str(error).partition(';')[0]}"
    return trial.result()


def repeatable() -> AbstractContextManager[None]:
    """Inside, a GPU adds in one order and with all digits of float32, as the CPU does."""
    return torch.backends.cudnn.flags(
        enabled=True, benchmark=False, deterministic=True, allow_tf32=False
    )


@dataclass
class _State:
    """What a trial has reached; all of it but the network, its optimizer and its balancer."""

    name: str
    generators: dict[str, torch.Generator]
    randomness: Randomness
    place: torch.device
    epoch: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    diverged: str | None = None
    made_by: list[dict[str, Any]] = field(default_factory=list)
    curves: dict[str, Any] = field(default_factory=dict)
    best: dict[str, dict[str, Any]] = field(default_factory=dict)

    def state_dict(self) -> dict[str, Any]:
        randomness = {name: g.get_state() for name, g in self.generators.items()}
        randomness["torch"] = self.randomness.states[0]
        if self.place.type == "cuda":
            randomness["cuda"] = self.randomness.states[1 + (self.place.index or 0)]
        return {
            "run": self.name,
            "epoch": self.epoch,
            "seconds": [self.seconds, self.cpu_seconds],
            "made_by": json.dumps(self.made_by),
            "curves": json.dumps(self.curves),
            "best": self.best,
            "randomness": randomness,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        if state["run"] != self.name:
            raise ValueError(f"it is of another run: {state['run']}")
        self.epoch, (self.seconds, self.cpu_seconds) = state["epoch"], state["seconds"]
        self.curves, self.best = json.loads(state["curves"]), state["best"]
        if {*_lengths(self.curves)} != ({self.epoch} if self.epoch else set()) or (
            bool(self.best) != bool(self.epoch)
        ):
            raise ValueError(f"its curves and best networks are not those of {self.epoch} epochs")
        before = json.loads(state["made_by"]) if "made_by" in state else [UNKNOWN]
        self.made_by = before + [made for made in self.made_by if made != before[-1]]
        randomness = state["randomness"]
        self.randomness.states[0] = randomness["torch"]
        if self.place.type == "cuda":
            self.randomness.states[1 + (self.place.index or 0)] = randomness["cuda"]
        for name, generator in self.generators.items():
            generator.set_state(randomness[name])


def _name(setting: Setting, protocol: Protocol) -> str:
    """A name for checkpoints; of the first recipe, that of the time before there were several."""
    parts = asdict(protocol)
    if parts["recipe"] == 1:
        del parts["recipe"]
    return f"{setting} {parts}"


class _Trial:
    """A run, and what it is measured on."""

    def __init__(
        self,
        setting: Setting,
        protocol: Protocol,
        scenes: dict[str, Scenes],
        place: torch.device,
    ) -> None:
        self.setting, self.protocol, self.scenes, self.place = setting, protocol, scenes, place
        self.tasks: tuple[Task, ...] = scenes["train"].tasks
        self.steps = math.ceil(len(scenes["train"]) / protocol.batch_size)
        luck = torch.Generator(place).manual_seed(setting.seed)
        making = Making(self.tasks, self.steps, luck)
        self.run = Run(
            lambda: make_network(setting.data, setting.architecture, self.tasks),
            self.tasks,
            scenes["train"],
            seed=setting.seed,
            steps=self.steps * protocol.epochs,
            batch_size=protocol.batch_size,
            balancer=make_balancer(setting.balancer, making),
            optimizer=lambda model: make_optimizer(setting.data, model, setting.learning_rate),
        )
        self.model = self.run.model
        self.shares = not isinstance(self.model, SingleTaskNetworks)
        self.rates = [group["lr"] for group in self.run.optimizer.param_groups]
        generators = {"scenes": self.run.generator, "balancer": luck}
        self.state = _State(_name(setting, protocol), generators, self.run.randomness, place)
        self.state.made_by = [versions(place)]
        self.validation = held_out(scenes["validation"], protocol.held_out, seed=0)
        self.few = map_batches(lambda tensor: tensor[:LOOK_AT], self.validation)
        self.captured: CapturedSteps | None = None
        complete = held_out(scenes["train"], 1, seed=0).complete and self.validation.complete
        if place.type == "cuda" and complete:
            self.captured = CapturedSteps(self.run, scenes["train"], protocol.batch_size)

    def parts(self) -> dict[str, Any]:
        return {
            "model": self.model,
            "optimizer": self.run.optimizer,
            "balancer": self.run.balancer,
            "progress": self.state,
        }

    def resumed(self, checkpoint: Path) -> _Trial:
        """This one as its checkpoint left it; a new one where the checkpoint is damaged."""
        try:
            load_checkpoint(checkpoint, **self.parts())
            shapes = _shapes(self.model.state_dict())
            if any(_shapes(best["network"]) != shapes for best in self.state.best.values()):
                raise ValueError("its best network is another one")
        except (ValueError, OSError, LookupError, TypeError, AttributeError) as error:
            reason = str(error).removeprefix(f"checkpoint {checkpoint} ")
            set_aside(checkpoint, reason.removesuffix("; train again"))
            return _Trial(self.setting, self.protocol, self.scenes, self.place)
        return self

    def save(self, checkpoint: Path) -> None:
        try:
            save_checkpoint(checkpoint, **self.parts())
        except OSError as error:
            warnings.warn(str(error), stacklevel=2)

    def train_epoch(self) -> None:
        state = self.state
        factor = self.protocol.rate_factor(state.epoch)
        for group, rate in zip(self.run.optimizer.param_groups, self.rates, strict=True):
            group["lr"] = factor * rate
        start, cpu_start = time.perf_counter(), time.process_time()
        means = self._epoch()  # also waits for a GPU
        state.seconds += time.perf_counter() - start
        state.cpu_seconds += time.process_time() - cpu_start
        with self.run.randomness.in_force():  # a metric, too, may draw
            self._measure(means)
        state.epoch += 1

    def _epoch(self) -> dict[str, dict[str, float]]:
        """Make the steps of an epoch; give the means of losses and weights over them."""
        names = [task.name for task in self.tasks]
        if self.captured is not None:
            found = zip(("training loss", "weight"), self.captured.epoch(), strict=True)
            return {
                quantity: dict(zip(names, means_of_columns(values), strict=True))
                for quantity, values in found
            }
        batches = self.scenes["train"].epoch(self.protocol.batch_size, self.run.generator)
        sums: dict[str, Any] = {"training loss": {}, "weight": {}}
        steps = dict.fromkeys(names, 0)
        for record in self.run.over(batches, self.steps):
            for name, loss in record.losses.items():
                steps[name] += 1
                for quantity, value in (("training loss", loss), ("weight", record.weights[name])):
                    sums[quantity][name] = value + sums[quantity].get(name, 0.0)
        return {
            quantity: {n: float(by_task.get(n, math.nan) / max(steps[n], 1)) for n in steps}
            for quantity, by_task in sums.items()
        }

    def _measure(self, means: dict[str, dict[str, float]]) -> None:
        scores = score(self.model, self.tasks, self.validation)
        for task, found in scores.items():
            if not math.isfinite(found.loss):
                raise NonFiniteError("validation loss", task, found.loss)
        values: dict[str, Any] = {
            **means,
            "validation loss": {task: s.loss for task, s in scores.items()},
            "validation metric": {task: s.metric for task, s in scores.items()},
        }
        if self.shares:
            geometry = layer_geometry(self.model, self.tasks, self.few)
            values |= {"gradient norm": geometry.norms, "cosine": geometry.cosines}
        _append(self.state.curves, values)
        self._keep_best({task: s.metric for task, s in scores.items()})

    def _keep_best(self, metrics: dict[str, float]) -> None:
        """Keep the network of the best epoch; with a network a task, of each task's best."""
        groups = [list(metrics)] if self.shares else [[name] for name in metrics]
        for names in groups:
            value = sum(metrics[name] for name in names) / len(names)
            best = self.state.best.get(",".join(names))
            if best is None or value > best["value"]:
                network = {n: t.detach().clone() for n, t in self.model.state_dict().items()}
                self.state.best[",".join(names)] = {
                    "value": value,
                    "epoch": self.state.epoch + 1,
                    "network": network,
                }

    def _chance(self) -> dict[str, float]:
        fresh = torch.Generator(self.place).manual_seed(2)
        seen = self.scenes["train"].draw(self.protocol.held_out, fresh)
        return chance(self.tasks, seen, self.validation)

    def result(self) -> dict[str, Any]:
        state = self.state
        test: dict[str, dict[str, Any]] | None = None
        epochs = {}
        scenes = self.scenes["test"]
        test_scenes = max(len(scenes), self.protocol.held_out)
        if state.diverged is None:
            unseen = held_out(scenes, test_scenes, seed=1)
            test = {}
            for group, best in state.best.items():
                self.model.load_state_dict(best["network"])
                names = group.split(",")
                chosen = [task for task in self.tasks if task.name in names]
                with self.run.randomness.in_force():
                    scores = score(self.model, chosen, unseen)
                for name, found in scores.items():
                    test[name], epochs[name] = found._asdict(), best["epoch"]
            if lost := [name for name in test if not math.isfinite(test[name]["loss"])]:
                state.diverged = f"test loss of task {lost[0]!r} is {test[lost[0]]['loss']}"
                test = None
        return rounded(
            {
                "format": FORMAT,
                "setting": asdict(self.setting),
                "protocol": asdict(self.protocol),
                "tasks": [task.name for task in self.tasks],
                "chance": self._chance() if state.diverged else None,
                "provenance": {
                    **state.made_by[-1],
                    **({"earlier": state.made_by[:-1]} if state.made_by[1:] else {}),
                    "date": time.strftime("%Y-%m-%d", time.gmtime()),
                    "training_seconds": state.seconds,
                    "cpu_seconds": state.cpu_seconds,
                    "peak_memory_mb": peak_memory(self.place),
                    "test_scenes": test_scenes,
                    "scenes": "each once" if test_scenes <= len(scenes) else "drawn",
                    "parameters": sum(p.numel() for p in self.model.parameters()),
                    **({} if self.captured is None else {"captured": self.captured.outcome}),
                },
                "curves": state.curves,
                "best_epoch": epochs,
                "test": test,
                "diverged": state.diverged,
            }
        ) | {"setting": asdict(self.setting)}  # its learning rate in full


def held_out(scenes: Scenes, count: int, *, seed: int) -> Batch:
    """Compose scenes to score on: the same in every run, on every device.

    Each digit's at most once where there are enough of them; else they are drawn with replacement.
    """
    generator = torch.Generator().manual_seed(seed)
    if count > len(scenes):
        return scenes.draw(count, generator)
    return scenes.compose(scenes.order(generator)[:count], generator)


def _append(curves: dict[str, Any], values: Mapping[str, Any]) -> None:
    """Append to each curve its value of one epoch; both are dicts of dicts, by the same names."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            _append(curves.setdefault(name, {}), value)
        else:
            curves.setdefault(name, []).append(value)


def _lengths(curves: Mapping[str, Any]) -> Iterator[int]:
    """The length of each curve; they are lists in dicts of dicts."""
    for value in curves.values():
        if isinstance(value, Mapping):
            yield from _lengths(value)
        else:
            yield len(value)


def _shapes(network: Mapping[str, torch.Tensor]) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in network.items()}


def parts_of(batch: Batch, size: int) -> list[Batch]:
    """Split a batch into smaller ones."""
    return [
        map_batches(lambda tensor: tensor[start : start + size], batch)
        for start in range(0, len(batch), size)
    ]


def score(model: nn.Module, tasks: tuple[Task, ...] | list[Task], batch: Batch) -> dict[str, Score]:
    """Score a model as `evaluate`, on parts of a batch, so that little memory is needed."""
    found: dict[str, list[tuple[int, Score]]] = {}
    for part in parts_of(batch, PART):
        for name, of_part in evaluate(model, tasks, part).items():
            labelled = int(has_label(part.targets[name]).sum())
            found.setdefault(name, []).append((labelled, of_part))
    return {
        name: Score(
            *(
                sum(count * of_part[i] for count, of_part in parts) / sum(n for n, _ in parts)
                for i in range(2)
            )
        )
        for name, parts in found.items()
    }


def versions(place: torch.device) -> dict[str, Any]:
    """Say what makes a result: versions, the commit where there is one, the device."""
    name = platform.machine()
    if place.type == "cuda":
        name = torch.cuda.get_device_name(place)
    return {
        "mtl_tutorial": __version__,
        "python": platform.python_version(),
        **{library: _version(library) for library in LIBRARIES},
        "commit": _commit(),
        "device": f"{place.type} ({name})",
        "threads": torch.get_num_threads(),
    }


@functools.cache
def _version(library: str) -> str | None:
    try:
        return version(library)
    except PackageNotFoundError:
        return None


@functools.cache
def _commit() -> str | None:
    """The commit of the checkout that the package lies in, with a plus where it has changes.

    In a copy of a checkout ``MTL_COMMIT`` says it, whatever git there says.
    """

    def git(*arguments: str) -> str:
        done = subprocess.run(
            ["git", *arguments],
            cwd=Path(__file__).parents[1],
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    if said := os.environ.get("MTL_COMMIT"):
        return said
    try:
        git("ls-files", "--error-unmatch", "tasks.py")  # it may lie in somebody else's checkout
        changed = "+" if git("status", "--porcelain", "--untracked-files=no", ".") else ""
        return git("rev-parse", "--short=12", "HEAD") + changed
    except (OSError, subprocess.CalledProcessError):
        return None


def peak_memory(place: torch.device) -> float | None:
    """Most memory used so far, in MB: of tensors on a GPU; on the CPU of the whole process."""
    if place.type == "cuda":
        return torch.cuda.max_memory_allocated(place) / 1e6
    try:
        import resource
    except ImportError:  # not on Windows
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
