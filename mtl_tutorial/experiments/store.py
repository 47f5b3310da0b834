"""A folder of results: one small file a run, whole or not there at all."""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import filelock

from mtl_tutorial.checkpoints import write_whole
from mtl_tutorial.experiments.catalogue import DATA_SETS
from mtl_tutorial.experiments.protocol import Protocol, Setting
from mtl_tutorial.measuring import Score

FORMAT = 1
GRID = "grid.json"
NUMBER, NOTHING = (int, float), type(None)
NEEDED = {  # what is read from every result, and the kinds that it may have
    "format": int,
    "setting": dict,
    "protocol": dict,
    "provenance.device": str,
    "provenance.commit": (str, NOTHING),
    "provenance.date": str,
    "provenance.training_seconds": NUMBER,
    "provenance.cpu_seconds": NUMBER,
    "provenance.peak_memory_mb": (*NUMBER, NOTHING),
    "curves": dict,
    "test": (dict, NOTHING),
    "diverged": (str, NOTHING),
}
CURVES = ("training loss", "weight", "validation loss", "validation metric")
RESULTS = Path(__file__).resolve().parents[2] / "results"  # those that come with the course


class ResultsFolder:
    """Results of the runs of one protocol, and checkpoints of those that are not finished.

    ``grid.json`` holds the protocol, ``NAME.json`` the result of a run, ``checkpoints/NAME.pt``
    where an unfinished one stands. A file that is damaged is renamed to ``….damaged``; without a
    whole ``grid.json``, the results say what protocol is theirs.

    Args:
        folder: is made where it is missing.
        protocol: that of the runs.
    """

    def __init__(self, folder: str | Path, protocol: Protocol) -> None:
        self.folder, self.protocol = Path(folder), protocol

    @contextmanager
    def opened(self) -> Iterator[ResultsFolder]:
        """Hold the folder for this process, so that no other one writes into it.

        Raises:
            ValueError: where another process holds it, or it has runs of another protocol.
            OSError: where it can't be written.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = filelock.FileLock(self.folder / ".lock")
            lock.acquire(timeout=0)
        except filelock.Timeout:
            raise ValueError(
                f"results folder {self.folder} is in use by another process; wait until it has "
                f"ended, or name another folder"
            ) from None
        except OSError as error:
            raise OSError(
                f"results folder {self.folder} can't be written ({error.strerror}); "
                f"name another folder"
            ) from error
        try:
            self._claim()
            yield self
        finally:
            lock.release()

    def _claim(self) -> None:
        own = {"format": FORMAT, **asdict(self.protocol)}
        path = self.folder / GRID
        try:
            there = dict(json.loads(path.read_text(encoding="utf-8")))
        except (FileNotFoundError, ValueError, TypeError):
            there = {}
        whole = own.keys() <= there.keys()
        if not whole:
            there = self._grid_of_results() | there
        if different := [name for name in own if there.get(name, own[name]) != own[name]]:
            name = different[0]
            raise ValueError(
                f"results folder {self.folder} belongs to another grid: its {name} is "
                f"{there[name]!r}, and this one's is {own[name]!r}; name another folder"
            )
        if not whole:
            if path.exists():
                set_aside(path)
            write_whole(path, _as_json(own))

    def _grid_of_results(self) -> dict[str, Any]:
        """What ``grid.json`` should say: the protocol of the first result that can be read."""
        for path in _result_paths(self.folder):
            with suppress(ValueError):
                return read_result(path)["protocol"]
        return {}

    def result_path(self, setting: Setting) -> Path:
        """The file of a run's result."""
        return self.folder / f"{setting}.json"

    def checkpoint_path(self, setting: Setting) -> Path:
        """The file of an unfinished run's checkpoint."""
        return self.folder / "checkpoints" / f"{setting}.pt"

    def finished(self, setting: Setting) -> dict[str, Any] | None:
        """Give a run's result, where it has one; a damaged one is set aside."""
        path = self.result_path(setting)
        if not path.exists():
            return None
        try:
            result = read_result(path)
            if (result["setting"], result["protocol"]) != (asdict(setting), asdict(self.protocol)):
                raise ValueError("it is of another run")
        except ValueError as error:
            set_aside(path, str(error))
            return None
        return result

    def write(self, setting: Setting, result: dict[str, Any]) -> None:
        """Keep a run's result, and drop its checkpoint.

        Raises:
            OSError: where it can't be written; the checkpoint is kept.
        """
        path = self.result_path(setting)
        try:
            write_whole(path, _as_json(result))
        except OSError as error:
            raise OSError(
                f"result {path} can't be written ({error.strerror}); its checkpoint is kept: make "
                f"room and run the same command again"
            ) from error
        self.checkpoint_path(setting).unlink(missing_ok=True)


def read_result(path: Path) -> dict[str, Any]:
    """Read the result of a run.

    Raises:
        ValueError: where the file is damaged, or lacks what is read from it later.
    """
    try:
        result = json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse)
    except ValueError as error:  # also for bytes that are no text
        raise ValueError(f"it can't be read: {error}") from error
    _check_holds(result, NEEDED)
    if result["format"] != FORMAT:
        raise ValueError(f"its format is {result['format']!r}, and not {FORMAT}")
    try:
        setting, protocol = Setting(**result["setting"]), Protocol(**result["protocol"])
    except (TypeError, ValueError) as error:
        raise ValueError(f"it is of no run: {error}") from error
    if result["diverged"]:
        _check_holds(result, {"test": NOTHING})
        return result
    tasks = DATA_SETS[setting.data].tasks
    curves = [f"curves.{name}.{task}" for name in CURVES for task in tasks]
    scores = [f"test.{task}.{name}" for task in tasks for name in Score._fields]
    _check_holds(result, dict.fromkeys(curves, list) | dict.fromkeys(scores, NUMBER))
    for path in curves:
        if (length := len(_part(result, path))) != protocol.epochs:
            raise ValueError(f"its {path!r} has {length} values for {protocol.epochs} epochs")
    return result


def _part(result: Any, path: str) -> Any:
    """What a result has under names that are joined by dots; an ellipsis where it has nothing."""
    for name in path.split("."):
        result = result.get(name, ...) if isinstance(result, dict) else ...
    return result


def _check_holds(result: Any, kinds: dict[str, type | tuple[type, ...]]) -> None:
    for path, kind in kinds.items():
        part = _part(result, path)
        if part is ...:
            raise ValueError(f"it has no {path!r}")
        if not isinstance(part, kind):
            raise ValueError(f"its {path!r} is of the kind {type(part).__name__}")


def read_results(folder: str | Path) -> list[dict[str, Any]]:
    """Read all results in a folder, in the order of their names.

    Raises:
        ValueError: where there are none, or one is damaged.
    """
    paths = _result_paths(Path(folder))
    if not paths:
        raise ValueError(f"there are no results in {folder}; run 'python -m mtl_tutorial train'")
    results = []
    for path in paths:
        try:
            results.append(read_result(path))
        except ValueError as error:
            raise ValueError(f"result {path} is damaged ({error}); delete it") from error
    return results


def _result_paths(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*.json") if path.name != GRID)


def committed_results(name: str, *, folder: str | Path = RESULTS) -> list[dict[str, Any]]:
    """Read results that come with the course.

    Args:
        name: of their folder, such as ``"quick_60_epochs"`` or ``"full_8_epochs/search"``.
        folder: where they lie, if not in ``results`` of the checkout.

    Raises:
        ValueError: where they are not there, or one is damaged.
    """
    if not (Path(folder) / name).is_dir():
        raise ValueError(
            f"results {name!r} are not in {folder}; they come with a checkout of the course: "
            f"install the package from there with 'python -m pip install -e .'"
        )
    return read_results(Path(folder) / name)


def origin(results: Iterable[dict[str, Any]]) -> str:
    """Say in two lines what made results: device, epochs, seeds, runs, versions, commits, days."""
    found: dict[str, set[Any]] = {}
    results = list(results)
    for result in results:
        setting, protocol, made = (result[n] for n in ("setting", "protocol", "provenance"))
        libraries = [n for n in ("mtl_tutorial", "torch", "torchjd", "python") if made.get(n)]
        for name, value in {
            "device": made["device"],
            "epochs": f"{protocol['epochs']} epoch{'s' * (protocol['epochs'] > 1)}, "
            f"{protocol['profile']} profile",
            "seed": setting["seed"],
            "versions": ", ".join(f"{library} {made[library]}" for library in libraries),
            "commit": made["commit"],
            "date": made["date"],
        }.items():
            found.setdefault(name, set()).add(value)
    if not results:
        raise ValueError("there are no results, so they have no origin")
    parts = {n: ", ".join(str(v) for v in sorted(values, key=str)) for n, values in found.items()}
    return (
        f"{len(results)} runs on {parts['device']}; {parts['epochs']}; seeds {parts['seed']};\n"
        f"{parts['versions']}; commit {parts['commit']}; {parts['date']}"
    )


def set_aside(path: Path, reason: str = "it can't be read") -> Path:
    """Rename a damaged file, so that what it was to hold is made again; warn, naming it.

    Those that were set aside before stay: the new name ends in ``.damaged``, ``.damaged.2``, ….
    """
    number, aside = 1, path.with_name(f"{path.name}.damaged")
    while aside.exists():
        number += 1
        aside = path.with_name(f"{path.name}.damaged.{number}")
    path.replace(aside)
    warnings.warn(f"{path} is damaged ({reason}); set aside as {aside.name}", stacklevel=2)
    return aside


def rounded(value: Any) -> Any:
    """Give a result with floats of five significant digits; NaN and infinity become None."""
    if isinstance(value, dict):
        return {name: rounded(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [rounded(item) for item in value]
    if isinstance(value, float):
        return float(f"{value:.5g}") if math.isfinite(value) else None
    return value


def _as_json(value: dict) -> bytes:
    return (json.dumps(value, indent=None, sort_keys=True, allow_nan=False) + "\n").encode()


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number")
