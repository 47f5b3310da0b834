"""A folder of results: one small file a run, whole or not there at all."""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import filelock

from mtl_tutorial.experiments.catalogue import DATA_SETS
from mtl_tutorial.experiments.protocol import Protocol, Setting
from mtl_tutorial.measuring import Score
from mtl_tutorial.places import RESULTS
from mtl_tutorial.writing import remove_drafts, write_whole

FORMAT = 2
GRID = "grid.json"
LONGEST_NAME = 160  # bytes; a file's name may have 255, and drafts add a host and a number
NUMBER, NOTHING = (int, float), type(None)
Kinds = Mapping[str, "type | tuple[type, ...]"]
NEEDED: Kinds = {  # what is read from every result, and the kinds that it may have
    "format": int,
    "setting.data": str,
    "setting.architecture": str,
    "setting.balancer": str,
    "setting.learning_rate": NUMBER,
    "setting.seed": int,
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
NEEDED_IN_2: Kinds = {"tasks": list, "chance": (dict, NOTHING)}
OF_TWO_DIGITS = ("two_digits", "two_fashion")
CURVES = ("training loss", "weight", "validation loss", "validation metric")
TASKS_IN_1 = {  # results of format 1 do not say them
    "two_digits": ("left", "right"),
    "two_fashion": ("left", "right"),
    "located_digits": ("digit", "box", "mask"),
    "seen_and_heard": ("digit", "speaker", "match", "sum"),
}
CLASSES = ("left", "right", "digit", "sum", "speaker")  # tasks that name one of many
NEAR_CHANCE = 0.03  # of their accuracy
CHANCE_IN_1 = {  # nor this; see `chance`
    **dict.fromkeys(("left", "right", "digit", "sum"), 0.1),
    **{"speaker": 0.17, "match": 0.5, "box": 0.43, "mask": 0.0},
}


class ResultsFolder:
    """Results of the runs of one protocol, and checkpoints of those that are not finished.

    ``grid.json`` holds the protocol, ``NAME.json`` the result of a run, ``checkpoints/NAME.pt``
    where an unfinished one stands. A file that is damaged is renamed to ``….damaged``; without a
    whole ``grid.json``, the results say what protocol is theirs. What killed processes leave
    (drafts, the checkpoint of a run that has its result) is removed when the folder is used next.

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
            raise self._unwritable(error) from error
        try:
            self._claim()
            self._remove_drafts()
            yield self
        finally:
            lock.release()

    def _claim(self) -> None:
        path = self.folder / GRID
        if self._check_own():
            return
        if path.exists():
            set_aside(path)
        try:
            write_whole(path, as_json({"format": FORMAT, **asdict(self.protocol)}))
        except OSError as error:
            raise self._unwritable(error) from error

    def _unwritable(self, error: OSError) -> OSError:
        return OSError(
            f"results folder {self.folder} can't be written ({error.strerror}); name another folder"
        )

    def _check_own(self) -> bool:
        """Check that the folder is that of the protocol; tell whether it says so by itself.

        Raises:
            ValueError: where it is another's, or a later version has written it.
        """
        own = asdict(self.protocol)
        there = _description(self.folder)
        if _is_later(there):
            raise ValueError(
                f"results folder {self.folder} has the format {there['format']}, and this version "
                f"of the course knows {FORMAT} at most; update the course, or name another folder"
            )
        whole = {"format", *own} - {"recipe"} <= there.keys()
        if not whole:
            there = _protocol_of_results(self.folder) | there
        if "epochs" in there:  # one that names no recipe was made by the first
            there.setdefault("recipe", 1)
        if different := [name for name in own if there.get(name, own[name]) != own[name]]:
            name = different[0]
            raise ValueError(
                f"results folder {self.folder} belongs to another grid: its {name} is "
                f"{there[name]!r}, and this one's is {own[name]!r}; name another folder"
            )
        return whole

    def result_path(self, setting: Setting) -> Path:
        """The file of a run's result."""
        return self.folder / f"{setting}.json"

    def checkpoint_path(self, setting: Setting) -> Path:
        """The file of an unfinished run's checkpoint."""
        return self.folder / "checkpoints" / f"{setting}.pt"

    def finished(self, setting: Setting) -> dict[str, Any] | None:
        """Give a run's result, where it has one; a damaged one is set aside.

        Raises:
            OtherVersionError: where it is whole, and of other tasks or a later format.
        """
        path = self.result_path(setting)
        if not path.exists():
            return None
        try:
            result = self._own_result(setting)
        except OtherVersionError:
            raise
        except ValueError as error:
            set_aside(path, str(error))
            return None
        self._drop_checkpoint(setting)
        return result

    def all_finished(self, settings: Sequence[Setting]) -> list[dict[str, Any]] | None:
        """Give all results where none is missing or damaged, else None; nothing is written.

        What killed processes have left is removed where that is allowed.

        Raises:
            OtherVersionError: as `finished`.
            ValueError: where the folder is another grid's.
        """
        results = []
        for setting in settings:
            try:
                results.append(self._own_result(setting))
            except OtherVersionError:
                raise
            except (OSError, ValueError):
                return None
        if results:
            self._check_own()
        self._remove_drafts()
        for setting in settings:
            self._drop_checkpoint(setting)
        return results

    def _remove_drafts(self) -> None:
        for folder in (self.folder, self.folder / "checkpoints"):
            remove_drafts(folder)

    def _drop_checkpoint(self, setting: Setting) -> None:
        """Remove the checkpoint of a run that has its result."""
        with suppress(OSError):  # it costs room, and does no harm
            self.checkpoint_path(setting).unlink(missing_ok=True)

    def _own_result(self, setting: Setting) -> dict[str, Any]:
        result = read_result(self.result_path(setting))
        if Setting.of(result) != setting or protocol_of(result) != self.protocol:
            raise ValueError("it is of another run")
        tasks, now = tasks_of(result), DATA_SETS[setting.data].tasks
        if tasks != now:
            raise OtherVersionError(
                f"result {self.result_path(setting)} has the tasks {', '.join(tasks)}, and "
                f"{setting.data} has {', '.join(now)} by now; name another folder"
            )
        return result

    def check_names(self, settings: Iterable[Setting]) -> None:
        """Check that every run can have files.

        Raises:
            ValueError: naming a setting whose name is too long.
        """
        for setting in settings:
            if (length := len(str(setting).encode())) > LONGEST_NAME:
                raise ValueError(
                    f"balancer {setting.balancer[:40]!r}… makes a file name of {length} bytes, and "
                    f"{LONGEST_NAME} are the most; write its weights with fewer digits"
                )

    def write(self, setting: Setting, result: dict[str, Any]) -> None:
        """Keep a run's result, and drop its checkpoint.

        Raises:
            OSError: where it can't be written; a checkpoint is kept.
        """
        path = self.result_path(setting)
        try:
            write_whole(path, as_json(result))
        except OSError as error:
            raise OSError(f"result {path} can't be written ({error.strerror})") from error
        self._drop_checkpoint(setting)


def recipe_in(folder: Path) -> int | None:
    """Give the recipe of the grid in a folder; None where there is no grid, or it can't be read."""
    with suppress(OSError):
        there = _description(folder)
        if _is_later(there):
            return None
        if "epochs" not in there:
            there = _protocol_of_results(folder)
        return there.get("recipe", 1) if there else None
    return None


def _description(folder: Path) -> dict[str, Any]:
    """What ``grid.json`` holds; nothing where it is missing or damaged."""
    try:
        return dict(_content(folder / GRID))
    except (FileNotFoundError, NotADirectoryError, ValueError, TypeError):
        return {}


def _is_later(description: Mapping[str, Any]) -> bool:
    """Whether a later version of the course has written it."""
    return isinstance(description.get("format"), int) and description["format"] > FORMAT


def _protocol_of_results(folder: Path) -> dict[str, Any]:
    """What the first result that can be read says; nothing where there is none."""
    for path in _result_paths(folder):
        with suppress(ValueError):
            return read_result(path)["protocol"]
    return {}


class OtherVersionError(ValueError):
    """A result is whole, and this version of the course can't use it."""


def read_result(path: Path) -> dict[str, Any]:
    """Read the result of a run, and check it against the tasks that it names itself.

    Raises:
        OtherVersionError: where a later version of the course has written it.
        ValueError: where the file is damaged, or lacks what is read from it later.
    """
    result = _content(path)
    _check_holds(result, {"format": int})
    if result["format"] > FORMAT:
        raise OtherVersionError(
            f"result {path} has the format {result['format']}, and this version of the course "
            f"knows {FORMAT} at most; update the course"
        )
    _check_holds(result, {**NEEDED, **(NEEDED_IN_2 if result["format"] > 1 else {})})
    try:
        protocol, tasks = protocol_of(result), tasks_of(result)
    except (TypeError, ValueError) as error:
        raise ValueError(f"it is of no run: {error}") from error
    if result["diverged"]:
        _check_holds(result, {"test": NOTHING})
        if result["format"] > 1:
            _check_holds(result, {f"chance.{task}": (*NUMBER, NOTHING) for task in tasks})
        return result
    curves = [f"curves.{name}.{task}" for name in CURVES for task in tasks]
    scores = [f"test.{task}.{name}" for task in tasks for name in Score._fields]
    _check_holds(result, dict.fromkeys(curves, list))
    _check_holds(result, dict.fromkeys(scores, NUMBER))
    for part in curves:
        if (length := len(_part(result, part))) != protocol.epochs:
            raise ValueError(f"its {part!r} has {length} values for {protocol.epochs} epochs")
    for name in CURVES:
        if others := result["curves"][name].keys() - set(tasks):
            raise ValueError(f"its {name!r} is also of {min(others)!r}, and its tasks are {tasks}")
    return result


def _content(path: Path) -> Any:
    """What a file of JSON holds.

    Raises:
        ValueError: where it is damaged.
        OSError: where it is not there, or can't be read for another reason.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse)
    except (FileNotFoundError, NotADirectoryError):
        raise
    except IsADirectoryError as error:
        raise ValueError(f"it can't be read: {error.strerror}") from error
    except OSError as error:
        raise OSError(
            f"{path} can't be read ({error.strerror}); mend that, or name another folder"
        ) from error
    except (ValueError, RecursionError) as error:  # also for bytes that are no text
        raise ValueError(f"it can't be read: {error}") from error


def protocol_of(result: Mapping[str, Any]) -> Protocol:
    """Give a result's protocol; one that names no recipe was made by the first.

    Raises:
        TypeError: where it is none.
    """
    return Protocol(**{"recipe": 1, **result["protocol"]})


def tasks_of(result: Mapping[str, Any]) -> tuple[str, ...]:
    """Give the names of a result's tasks, in their order.

    Raises:
        ValueError: where it does not say.
    """
    names = result.get("tasks") or TASKS_IN_1.get(result["setting"]["data"]) or ()
    if not names or not all(isinstance(name, str) for name in names):
        raise ValueError(f"it names no tasks of {result['setting']['data']!r}")
    return tuple(names)


def chance_of(result: Mapping[str, Any]) -> dict[str, float]:
    """Give the score of chance by task; NaN where it is not known."""
    known = result.get("chance") or CHANCE_IN_1
    found = {task: known.get(task) for task in tasks_of(result)}
    return {task: math.nan if value is None else value for task, value in found.items()}


def has_failed(result: Mapping[str, Any]) -> bool:
    """Tell whether a run diverged: by a loss that is no number, or an accuracy that is chance's.

    The latter in the test, within 0.03, for the tasks that name one of many classes.
    """
    if not result["test"]:
        return True
    chance = chance_of(result)
    named = [task for task in tasks_of(result) if task in CLASSES]
    return any(result["test"][task]["metric"] <= chance[task] + NEAR_CHANCE for task in named)


def _part(result: Any, path: str) -> Any:
    """What a result has under names that are joined by dots; an ellipsis where it has nothing."""
    for name in path.split("."):
        result = result.get(name, ...) if isinstance(result, dict) else ...
    return result


def _check_holds(result: Any, kinds: Kinds) -> None:
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
        except OtherVersionError:
            raise
        except ValueError as error:
            raise ValueError(f"result {path} is damaged ({error}); delete it") from error
    return results


def _result_paths(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*.json") if path.name != GRID)


def committed_results(name: str, *, folder: str | Path = RESULTS) -> list[dict[str, Any]]:
    """Read results that come with the course.

    Args:
        name: of their folder, such as ``"quick_60_epochs"`` or ``"two_digits_8_epochs/search"``.
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


def recipe_of(result: Mapping[str, Any]) -> int | None:
    """Give the recipe of two digits by which a result was made; None for other data."""
    if result["setting"]["data"] not in OF_TWO_DIGITS:
        return None
    return result.get("protocol", {}).get("recipe", 1)


def makers(result: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Give what made a result, one after the other: a run may go on in another version."""
    made = result["provenance"]
    return [*made.get("earlier", ()), made]


def origin(results: Iterable[Mapping[str, Any]]) -> str:
    """Say in two lines what made results: device, epochs, seeds, runs, versions, commits, days."""
    found: dict[str, set[Any]] = {}
    results = list(results)
    if not results:
        raise ValueError("there are no results, so they have no origin")
    for result in results:
        setting, protocol = result["setting"], result["protocol"]
        found.setdefault("seed", set()).add(setting["seed"])
        found.setdefault("date", set()).add(result["provenance"]["date"])
        length = f"{protocol['epochs']} epoch{'s' * (protocol['epochs'] > 1)}"
        found.setdefault("epochs", set()).add(f"{length}, {protocol['profile']} profile")
        if recipe := recipe_of(result):
            found.setdefault("recipe", set()).add(recipe)
        for made in makers(result):
            names = [n for n in ("mtl_tutorial", "torch", "torchjd", "python") if made.get(n)]
            found.setdefault("versions", set()).add(", ".join(f"{n} {made[n]}" for n in names))
            found.setdefault("commit", set()).add(made["commit"])
            found.setdefault("device", set()).add(made["device"])
    parts = {n: ", ".join(str(v) for v in sorted(values, key=str)) for n, values in found.items()}
    of_two = f"; recipe {parts['recipe']} of two digits" if "recipe" in parts else ""
    return (
        f"{len(results)} runs on {parts['device']}; {parts['epochs']}{of_two}; "
        f"seeds {parts['seed']};\n"
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
    try:
        path.replace(aside)
    except OSError as error:
        raise OSError(
            f"{path} is damaged ({reason}) and can't be renamed ({error.strerror}); name another "
            f"folder"
        ) from error
    warnings.warn(
        f"{path} is damaged ({reason}); it is set aside as {aside.name}, and made anew",
        stacklevel=2,
    )
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


def as_json(value: dict[str, Any]) -> bytes:
    """Give what a file holds: one line."""
    return (json.dumps(value, indent=None, sort_keys=True, allow_nan=False) + "\n").encode()


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number")
