"""A grid that is killed ten times, at any moment, ends as one that never was."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import filelock
import pytest
from test_dispatch import is_gone
from test_lab import wait_until

MOMENTS = ["starting"] * 2 + ["training"] * 3 + ["writing"] * 3 + ["finishing"] * 2

# Imports a grid once, and forks a process for each attempt at it, as imports take longer than
# these runs. Its networks are small, and two of them have batch norm and dropout. Its disk is
# slow, so that a kill may come while something is written. Its results also say what the last
# checkpoint holds, to the last bit.
NURSERY = """
import hashlib, multiprocessing.resource_tracker, os, pathlib, sys, time
import torch
torch.set_num_threads(1)
from joblib.externals.loky.backend import context, resource_tracker
from mtl_tutorial.architectures import MTAN, HardSharing, LeNet, VGGEncoder
from mtl_tutorial.experiments import dispatch
from mtl_tutorial.experiments.catalogue import DATA_SETS, load_scenes
from mtl_tutorial.experiments.execute import versions
from mtl_tutorial.experiments.protocol import Protocol, settings

PROTOCOL = Protocol("quick", epochs=8, batch_size=256, held_out=64)
RUNS = settings(["two_digits"], ["mtan", "cross_stitch"], ["pcgrad"])
RUNS += settings(["two_digits"], ["hard_sharing"], ["gradnorm", "imtl_g", "dwa", "uncertainty"])


class Dropping(LeNet):
    def forward(self, images):
        return torch.nn.functional.dropout(super().forward(images), 0.5, self.training)


DATA_SETS["two_digits"].networks.update(
    mtan=lambda tasks: MTAN(VGGEncoder((2, 4)), tasks),
    cross_stitch=lambda tasks: HardSharing(Dropping((4, 8), 16), tasks),
    hard_sharing=lambda tasks: HardSharing(LeNet((4, 8), 16), tasks),
)
write, unlink, execute = pathlib.Path.write_bytes, pathlib.Path.unlink, dispatch.execute


def write_slowly(path, content):
    write(path, content[: len(content) // 2])
    time.sleep(0.01)
    write(path, content)
    time.sleep(0.01)


def unlink_slowly(path, **options):
    time.sleep(0.01)
    unlink(path, **options)


def digest(state, hashed):
    if isinstance(state, dict):
        for name, value in state.items():
            if name not in ("seconds", "made_by"):
                hashed.update(repr(name).encode())
                digest(value, hashed)
    elif isinstance(state, (list, tuple)):
        for value in state:
            digest(value, hashed)
    else:
        hashed.update(state.numpy().tobytes() if torch.is_tensor(state) else repr(state).encode())
    return hashed.hexdigest()


def execute_and_look(*arguments, checkpoint, **options):
    result = execute(*arguments, checkpoint=checkpoint, **options)
    states = torch.load(checkpoint, weights_only=True)
    result["provenance"]["states"] = digest(states, hashlib.sha256())
    return result


dispatch.execute = execute_and_look
context.set_start_method("fork")
resource_tracker.ensure_running()  # these two outlive who is killed, and clean up after them
multiprocessing.resource_tracker.ensure_running()
load_scenes("two_digits", *PROTOCOL.sources("two_digits"), "cpu", PROTOCOL.recipe)
versions(torch.device("cpu"))  # looks into git, once
for line in sys.stdin:
    folder, workers = line.split()
    if child := os.fork():
        print(os.waitpid(child, 0)[1], flush=True)
        continue
    os.setsid()
    print(os.getpid(), flush=True)
    if workers == "2":
        pathlib.Path.write_bytes, pathlib.Path.unlink = write_slowly, unlink_slowly
    dispatch.run_grid(RUNS, PROTOCOL, folder, workers=int(workers))
    sys.exit()
"""


class Nursery:
    """Starts grids, each in a group of processes of its own."""

    def __init__(self, process: subprocess.Popen) -> None:
        self.process = process

    def start(self, folder: Path, *, workers: int) -> int:
        """Give the number of the group."""
        self.process.stdin.write(f"{folder} {workers}\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def wait(self) -> int:
        """Give the signal that ended the grid, or 0 where it ended well."""
        return int(self.process.stdout.readline())


@pytest.fixture
def nursery(tmp_path: Path) -> Iterator[Nursery]:
    with (
        (tmp_path / "errors.txt").open("w") as errors,
        subprocess.Popen(
            [sys.executable, "-c", NURSERY],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        ) as process,
    ):
        yield Nursery(process)


Files = set[tuple[Path, int]]


def drafts_in(folder: Path) -> set[Path]:
    return {path for path in folder.rglob(".*") if path.name != ".lock"}


def whole_in(folder: Path) -> Files:
    """The files that are whole, each with the time at which it was written."""
    found = set()
    for path in folder.rglob("[!.]*.*"):
        with contextlib.suppress(FileNotFoundError):  # it may be removed at any time
            found.add((path, path.stat().st_mtime_ns))
    return found


def half_finished_in(folder: Path) -> list[Path]:
    """The checkpoints of runs that have their result."""
    results = {path.stem for path in folder.glob("two_*.json")}
    return [path for path in folder.glob("checkpoints/two_*.pt") if path.stem in results]


def wait_for(moment: str, folder: Path, before: Files, chance: random.Random) -> None:
    """Wait for a moment at which to kill."""
    delay = {"starting": 0.2, "training": 0.05, "writing": 0.02, "finishing": 0.0}[moment]
    files = {"training": chance.randint(1, 2), "writing": chance.randint(0, 1)}.get(moment, 0)
    wait_until(lambda: len(whole_in(folder) - before) >= files, "files", 120, every=0.001)
    if moment == "writing":
        wait_until(lambda: drafts_in(folder), "a draft", 120, every=0.001)
    if moment == "finishing":
        wait_until(lambda: half_finished_in(folder), "a result", 120, every=0.001)
    time.sleep(chance.uniform(0, delay))


def what_was_hit(folder: Path, before: Files) -> str:
    if half_finished_in(folder):
        return "finishing"
    if drafts_in(folder):
        return "writing"
    return "training" if whole_in(folder) - before else "starting"


def numbers(path: Path) -> dict[str, Any]:
    """What a result holds, without what is measured of the machine."""
    result = json.loads(path.read_text())
    for name in ("date", "training_seconds", "cpu_seconds", "peak_memory_mb"):
        del result["provenance"][name]
    return result


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="SIGKILL is POSIX's")
def test_a_grid_that_is_killed_ten_times_ends_as_one_that_never_was(nursery, tmp_path) -> None:
    chance, folder, whole = random.Random(0), tmp_path / "killed", tmp_path / "whole"
    hit: Counter[str] = Counter()
    for moment in chance.sample(MOMENTS, len(MOMENTS)):
        before = whole_in(folder)
        group = nursery.start(folder, workers=2)
        wait_for(moment, folder, before, chance)
        os.killpg(group, signal.SIGKILL)
        assert nursery.wait() == signal.SIGKILL, "it ended before it was killed"
        wait_until(lambda group=group: is_gone(group), "the end of its workers", 60)
        hit[what_was_hit(folder, before)] += 1
    assert all(hit[moment] for moment in MOMENTS), hit

    group = nursery.start(folder, workers=2)
    assert nursery.wait() == 0
    wait_until(lambda: is_gone(group), "the end of its workers", 60)
    nursery.start(whole, workers=1)
    assert nursery.wait() == 0
    names = {path.name for path in whole.glob("*.json")}
    assert len(names) == 7
    for name in names - {"grid.json"}:
        assert numbers(folder / name) == numbers(whole / name), name
    assert {path.name for path in folder.rglob("*")} == {*names, ".lock", "checkpoints"}
    with filelock.FileLock(folder / ".lock", timeout=0):
        pass
