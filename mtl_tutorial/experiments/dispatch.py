"""Runs a grid: here, in several processes, or on a Dask cluster."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor
from pathlib import Path
from typing import Any, cast

import joblib
import torch
from tqdm.auto import tqdm

from mtl_tutorial.balancing.registry import Making, make_balancer
from mtl_tutorial.experiments.catalogue import load_scenes
from mtl_tutorial.experiments.execute import execute
from mtl_tutorial.experiments.protocol import Protocol, Setting
from mtl_tutorial.experiments.store import ResultsFolder, as_json
from mtl_tutorial.profiles import check_choice, resolve_device

BACKENDS = ("local", "dask")
WORKER_KILLED = (
    "a worker was killed, perhaps for memory; what is finished is kept: run the same command "
    "again, with fewer workers"
)
ONE_AT_A_TIME = threading.Lock()
PATIENCE = 10  # seconds in which a scheduler has to answer


class RunFailedError(RuntimeError):
    """Some runs of a grid failed; the results of the others are kept."""


def run_grid(
    settings: Sequence[Setting],
    protocol: Protocol,
    folder: str | Path,
    *,
    device: str = "cpu",
    workers: int = 1,
    backend: str = "local",
    scheduler: str | None = None,
) -> list[dict[str, Any]]:
    """Give the results of all runs; those that are not in the folder yet are run first.

    A result is written as soon as its run has ended. An unfinished run leaves a checkpoint from
    its last epoch, from which the next call goes on.

    Args:
        settings: the runs.
        protocol: what they have in common.
        folder: for results and checkpoints. Workers on other machines resume runs only where
            they see the same folder.
        device: where each run computes.
        workers: processes at a time; with more than one, each has one thread. With Dask, the
            cluster decides.
        backend: ``"local"`` or ``"dask"``.
        scheduler: address of the Dask scheduler.

    Returns:
        Results in the order of the settings; see `execute`.

    Raises:
        ValueError: for a folder that is in use or belongs to another grid, a device or backend
            that is not there, a balancer whose library is not, or a scheduler that can't be
            reached.
        DataUnavailableError: where the digits can't be had.
        RunFailedError: naming the first run that failed, after all the others have ended; or
            where a worker was killed, or results can't be written.
        OSError: where the folder can't be written, and results are missing in it.
    """
    check_choice("backend", backend, BACKENDS)
    if backend == "local":
        resolve_device(device)
    if workers < 1:
        raise ValueError(f"workers must be a whole number from 1 on, got {workers}")
    if (backend == "dask") != (scheduler is not None):
        raise ValueError("the backend 'dask' and the address of a scheduler go together")
    place = ResultsFolder(folder, protocol)
    place.check_names(settings)
    if (found := place.all_finished(settings)) is not None:
        return found  # also from where nothing can be written
    with place.opened() as store, Keeper(store) as keeper:
        results = {setting: store.finished(setting) for setting in settings}
        left = [setting for setting, result in results.items() if result is None]
        if backend == "local":
            _check_makeable(left, protocol, device)
        failures: dict[Setting, str] = {}
        with (
            _parallel(min(workers, len(left)), backend, scheduler if left else None) as parallel,
            tqdm(total=len(results) * protocol.epochs, unit="epoch") as bar,
        ):
            bar.update((len(results) - len(left)) * protocol.epochs)
            for setting, result, failure in _outcomes(left, store, device, parallel, bar):
                if failure:
                    failures[setting] = failure
                else:
                    assert result is not None
                    results[setting] = result
                    keeper.keep(setting, result)
    if failures:
        setting, text = next(iter(failures.items()))
        raise RunFailedError(
            f"{len(failures)} of {len(settings)} runs failed, the first of them {setting}; "
            f"all others are kept. Its error:\n{text}"
        )
    return cast("list[dict[str, Any]]", [results[setting] for setting in settings])


class Keeper:
    """Writes results as they come; what can't be written is held until it can be, or is said.

    Left, it tries once more, and prints what is still not written, so that no run is lost.

    Raises:
        RunFailedError: when it is left, where something could not be written.
    """

    def __init__(self, store: ResultsFolder) -> None:
        self.store = store
        self.held: dict[Setting, dict[str, Any]] = {}

    def __enter__(self) -> Keeper:
        return self

    def keep(self, setting: Setting, result: dict[str, Any]) -> None:
        """Write a result, and what is held; warn where that can't be done now."""
        self.held[setting] = result
        if error := self._write():
            held = f"{len(self.held)} of the results"
            warnings.warn(f"{error}; {held} wait in memory until there is room", stacklevel=2)

    def _write(self) -> OSError | None:
        """Write what is held, and forget it; give the first error."""
        for setting, result in list(self.held.items()):
            try:
                self.store.write(setting, result)
            except OSError as error:
                return error
            del self.held[setting]
        return None

    def __exit__(self, kind: type | None, error: BaseException | None, trace: object) -> None:
        reason = self._write()
        if reason is None:
            return
        for setting, result in self.held.items():
            print(f"{self.store.result_path(setting).name}:", file=sys.stderr)
            print(as_json(result).decode(), end="", file=sys.stderr, flush=True)
        kept = sum(self.store.checkpoint_path(setting).exists() for setting in self.held)
        if kind is None:
            raise RunFailedError(
                f"{reason}; {len(self.held)} of the results are printed above, and {kept} of their "
                f"checkpoints are kept: make room, and put each line into the file that is named "
                f"over it, or run the same command again"
            )


Outcome = tuple[Setting, dict[str, Any] | None, str]


def _outcomes(
    left: list[Setting],
    store: ResultsFolder,
    device: str,
    parallel: joblib.Parallel | None,
    bar: tqdm,
) -> Iterator[Outcome]:
    """Run what is left, and give each outcome as soon as it is there."""
    jobs = [
        (setting, store.protocol, device, store.checkpoint_path(setting).resolve())
        for setting in left
    ]
    if parallel is None:
        for job in jobs:
            yield attempt(*job, on_epoch=_counter(bar))
        return
    for outcome in parallel(joblib.delayed(attempt)(*job, threads=1) for job in jobs):
        bar.update(store.protocol.epochs)
        yield outcome


def _counter(bar: tqdm) -> Callable[[int], None]:
    done = 0

    def count(epoch: int) -> None:
        nonlocal done
        bar.update(epoch - done)
        done = epoch

    return count


@contextlib.contextmanager
def _parallel(
    workers: int, backend: str, scheduler: str | None
) -> Iterator[joblib.Parallel | None]:
    """Give what runs jobs at the same time; None where this process does them all."""
    options = {"return_as": "generator_unordered", "batch_size": 1}
    if scheduler is not None:
        with _client(scheduler), joblib.parallel_config(backend="dask"):
            from distributed import KilledWorker

            try:
                yield joblib.Parallel(**options)
            except KilledWorker as error:
                raise RunFailedError(WORKER_KILLED) from error
    elif backend == "local" and workers > 1:
        try:
            yield joblib.Parallel(
                workers, **options, initializer=_begin_work, initargs=(os.getpid(),)
            )
        except BrokenExecutor as error:
            raise RunFailedError(WORKER_KILLED) from error
    else:
        yield None


def _client(scheduler: str):
    try:
        from distributed import Client
    except ImportError as error:
        raise ValueError(
            "the backend 'dask' needs Dask: python -m pip install 'mtl_tutorial[cluster]'"
        ) from error
    try:
        return Client(scheduler, timeout=PATIENCE)
    except (OSError, ValueError, TypeError) as error:
        raise ValueError(
            f"the Dask scheduler at {scheduler} can't be reached within {PATIENCE} s "
            f"({type(error).__name__}); start one with 'dask scheduler', and give its address, "
            f"such as tcp://127.0.0.1:8786"
        ) from error


def _check_makeable(left: Sequence[Setting], protocol: Protocol, device: str) -> None:
    """Check that data, networks and balancers can be had, before anything runs for hours."""
    for data, balancer in dict.fromkeys((s.data, s.balancer) for s in left):
        place = str(resolve_device(device))
        scenes = load_scenes(data, *protocol.sources(data), place, protocol.recipe)
        make_balancer(balancer, Making(scenes["train"].tasks, 1, torch.Generator()))


def say(message, category, filename, lineno, file=None, line=None) -> None:
    """Print a warning as one sentence, over a bar; to be ``warnings.showwarning``."""
    tqdm.write(f"\rmtl_tutorial: {message}", file=sys.stderr)  # the bar may be another process's


def _begin_work(parent: int) -> None:
    """Let this process end within a second of the one that started it, whatever it does."""
    warnings.showwarning = say

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)  # an exception would be kept for a parent that never asks

    threading.Thread(target=watch, daemon=True).start()


def _end_without(parent: int) -> Callable[[int], None]:
    """Make what ends this process where the one that started it is gone; for after every epoch."""

    def check(epoch: int) -> None:
        if os.getppid() != parent:
            os._exit(1)  # an exception would be kept for a parent that never asks

    return check


def attempt(
    setting: Setting,
    protocol: Protocol,
    device: str,
    checkpoint: Path,
    *,
    threads: int | None = None,
    on_epoch: Callable[[int], None] | None = None,
) -> Outcome:
    """Execute a run; give its setting, and its result or the text of its error.

    Args:
        threads: of a worker; after an epoch it ends where its parent is gone.

    A process does one run at a time, however many threads ask: torch's default generator, from
    which initial weights come, is the whole process's.
    """
    if threads:
        torch.set_num_threads(threads)
        on_epoch = _end_without(os.getppid())
    try:
        with ONE_AT_A_TIME:
            result = execute(
                setting, protocol, device=device, checkpoint=checkpoint, on_epoch=on_epoch
            )
    except Exception:  # one run that fails must not end the others
        return setting, None, traceback.format_exc(limit=-3)
    return setting, result, ""
