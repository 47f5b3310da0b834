"""Grids: what is finished is not run again, whoever runs it, and whatever is killed on the way."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import joblib
import pytest
import torch
from test_execute import numbers
from test_lab import wait_until

from mtl_tutorial.experiments import dispatch, store
from mtl_tutorial.experiments.dispatch import RunFailedError, run_grid
from mtl_tutorial.experiments.protocol import Protocol, Setting, make_protocol, settings

PROTOCOL = Protocol("quick", epochs=2, batch_size=256, held_out=64)
RUNS = settings(["two_digits"], ["hard_sharing"], ["equal", "pcgrad"], [0.05], [0, 1])
TRAIN = [sys.executable, "-m", "mtl_tutorial", "train"]


@pytest.fixture(scope="module")
def expected(tmp_path_factory) -> list[dict]:
    """The results of the grid, run one after the other."""
    return list(map(numbers, run_grid(RUNS, PROTOCOL, tmp_path_factory.mktemp("one"))))


def test_results_come_in_the_order_of_the_settings(expected) -> None:
    assert [Setting(**result["setting"]) for result in expected] == RUNS


def test_workers_give_the_same_numbers(expected, tmp_path) -> None:
    found = run_grid(RUNS, PROTOCOL, tmp_path, workers=2)
    assert list(map(numbers, found)) == expected
    assert {path.name for path in tmp_path.glob("*.json")} == {
        "grid.json",
        *(f"{run}.json" for run in RUNS),
    }
    assert list((tmp_path / "checkpoints").iterdir()) == []


def test_threads_of_one_process_give_the_same_numbers(expected, tmp_path) -> None:
    jobs = [(run, PROTOCOL, "cpu", tmp_path / f"{run}.pt") for run in RUNS]
    with ThreadPoolExecutor(4) as pool:  # as on a Dask worker of several threads
        outcomes = list(pool.map(lambda job: dispatch.attempt(*job), jobs))
    assert [numbers(result) for _, result, _ in outcomes] == expected


def test_what_is_finished_is_not_run_again(expected, tmp_path, monkeypatch) -> None:
    run_grid(RUNS[:2], PROTOCOL, tmp_path)
    ran = []
    original = dispatch.attempt

    def remember(setting, *arguments, **options):
        ran.append(setting)
        return original(setting, *arguments, **options)

    monkeypatch.setattr(dispatch, "attempt", remember)
    assert list(map(numbers, run_grid(RUNS, PROTOCOL, tmp_path))) == expected
    assert ran == RUNS[2:]
    assert list(map(numbers, run_grid(RUNS, PROTOCOL, tmp_path))) == expected
    assert ran == RUNS[2:]


def test_a_run_that_fails_is_named_and_the_others_are_kept(expected, tmp_path, monkeypatch) -> None:
    original = dispatch.execute

    def breaks_once(setting, *arguments, **options):
        if setting == RUNS[1]:
            raise ZeroDivisionError("a wheel came off")
        return original(setting, *arguments, **options)

    monkeypatch.setattr(dispatch, "execute", breaks_once)
    with pytest.raises(RunFailedError) as caught:
        run_grid(RUNS, PROTOCOL, tmp_path)
    assert f"1 of 4 runs failed, the first of them {RUNS[1]}" in str(caught.value)
    assert "a wheel came off" in str(caught.value)
    monkeypatch.setattr(dispatch, "execute", original)
    assert list(map(numbers, run_grid(RUNS, PROTOCOL, tmp_path))) == expected


def full(monkeypatch, folder: Path, times: int) -> None:
    """Let a results folder have no room for results the first so many times."""
    original, left = store.write_whole, [times]

    def write(path, content):
        if Path(path).parent == folder and Path(path).name != "grid.json" and left[0]:
            left[0] -= 1
            raise OSError(errno.ENOSPC, "No space left on device")
        return original(path, content)

    monkeypatch.setattr(store, "write_whole", write)


def test_a_result_that_can_not_be_written_at_once_is_written_later(
    expected, tmp_path, monkeypatch
) -> None:
    full(monkeypatch, tmp_path, 2)
    with pytest.warns(UserWarning, match="No space left on device.*2 of the results wait") as said:
        assert list(map(numbers, run_grid(RUNS, PROTOCOL, tmp_path))) == expected
    assert len(said) == 2
    assert list(map(numbers, store.read_results(tmp_path))) == sorted_by_name(expected)


def sorted_by_name(results: list[dict]) -> list[dict]:
    return sorted(results, key=lambda result: f"{Setting.of(result)}.json")


@pytest.mark.filterwarnings("ignore:result")
def test_a_result_that_can_never_be_written_is_printed(
    expected, tmp_path, monkeypatch, capsys
) -> None:
    full(monkeypatch, tmp_path, 99)
    with pytest.raises(RunFailedError) as caught:
        run_grid(RUNS[:2], PROTOCOL, tmp_path)
    assert "No space left on device" in str(caught.value)
    assert "2 of the results are printed above, and 2 of their checkpoints are kept" in str(
        caught.value
    )
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith(("{", "two"))]
    assert lines[::2] == [f"{run}.json:" for run in RUNS[:2]]
    assert [numbers(json.loads(line)) for line in lines[1::2]] == expected[:2]


@pytest.mark.filterwarnings("ignore:result", "ignore:checkpoint")
def test_no_checkpoint_is_promised_where_there_is_none(tmp_path, monkeypatch) -> None:
    full(monkeypatch, tmp_path, 99)
    (tmp_path / "checkpoints").write_text("in the way")
    with pytest.raises(RunFailedError, match="and 0 of their checkpoints are kept"):
        run_grid(RUNS[:1], PROTOCOL, tmp_path)


@pytest.mark.filterwarnings("ignore:result")
def test_a_result_that_waits_is_printed_where_the_grid_is_stopped(
    tmp_path, monkeypatch, capsys
) -> None:
    full(monkeypatch, tmp_path, 99)
    original = dispatch.attempt

    def stops_at_the_second(setting, *arguments, **options):
        if setting == RUNS[1]:
            raise KeyboardInterrupt
        return original(setting, *arguments, **options)

    monkeypatch.setattr(dispatch, "attempt", stops_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        run_grid(RUNS, PROTOCOL, tmp_path)
    assert f"{RUNS[0]}.json:\n{{" in capsys.readouterr().err


def test_a_finished_grid_is_read_where_nothing_can_be_written(
    expected, tmp_path, monkeypatch
) -> None:
    run_grid(RUNS, PROTOCOL, tmp_path)

    def refused(*_arguments, **_options):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(store.filelock.FileLock, "acquire", refused)
    monkeypatch.setattr(store, "write_whole", refused)
    assert list(map(numbers, run_grid(RUNS, PROTOCOL, tmp_path))) == expected
    more = settings(["two_digits"], ["hard_sharing"], ["equal"], [0.05], [2])
    with pytest.raises(OSError, match="can't be written .Read-only file system.; name another"):
        run_grid([*RUNS, *more], PROTOCOL, tmp_path)


def test_a_name_that_no_file_can_have_is_refused_before_anything_is_written(tmp_path) -> None:
    long = f"left=0.{'1' * 99},right=0.{'2' * 99}"
    with pytest.raises(ValueError, match="makes a file name of"):
        run_grid([replace(RUNS[0], balancer=long)], PROTOCOL, tmp_path / "results")
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"workers": 0}, "workers must be a whole number from 1 on, got 0"),
        ({"backend": "daks"}, "did you mean 'dask'"),
        ({"backend": "dask"}, "the address of a scheduler go together"),
        ({"scheduler": "tcp://127.0.0.1:1"}, "the address of a scheduler go together"),
        ({"device": "abacus"}, "device must be a name that torch knows"),
    ],
)
def test_a_place_that_is_not_there_is_refused_before_anything_is_written(
    options, sentence, tmp_path
) -> None:
    with pytest.raises(ValueError, match=sentence):
        run_grid(RUNS, PROTOCOL, tmp_path / "results", **options)
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "nonsense"])
def test_a_scheduler_that_can_not_be_reached_is_named(address, tmp_path, monkeypatch) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setattr(dispatch, "PATIENCE", 1)
    with pytest.raises(ValueError) as caught:
        run_grid(RUNS, PROTOCOL, tmp_path, backend="dask", scheduler=address)
    assert f"the Dask scheduler at {address} can't be reached" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_a_cluster_that_loses_a_worker_half_way_gives_the_same_numbers(tmp_path) -> None:
    distributed = pytest.importorskip("distributed")
    protocol = make_protocol("quick", epochs=2)
    alone = run_grid(RUNS, protocol, tmp_path / "alone")
    checkpoints = tmp_path / "cluster" / "checkpoints"
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None
    ) as cluster:
        victim = next(iter(cluster.workers.values())).pid
        killed = threading.Event()

        def kill() -> None:
            wait_until(
                lambda: checkpoints.is_dir() and any(checkpoints.iterdir()), "a checkpoint", 300
            )
            os.kill(victim, signal.SIGTERM if os.name == "nt" else signal.SIGKILL)
            killed.set()

        killer = threading.Thread(target=kill, daemon=True)
        killer.start()
        found = run_grid(
            RUNS,
            protocol,
            tmp_path / "cluster",
            backend="dask",
            scheduler=cluster.scheduler_address,
        )
        killer.join()
    assert killed.is_set()
    assert list(map(numbers, found)) == list(map(numbers, alone))


def checkpoints_in(folder: Path) -> list[Path]:
    """The checkpoints of runs without a result."""
    found = (folder / "checkpoints").glob("two_*.pt")
    return [path for path in found if not (folder / f"{path.stem}.json").exists()]


def is_half_way(checkpoint: Path) -> bool:
    """Whether a run has made some of its epochs, and has some to go."""
    with contextlib.suppress(OSError):  # its run may end at any time
        return 1 <= torch.load(checkpoint, weights_only=True)["progress"]["epoch"] <= 4
    return False


def watch_first_epochs(monkeypatch) -> dict[Setting, int]:
    """By run, the number of the first epoch that is made from now on."""
    first: dict[Setting, int] = {}
    original = dispatch.execute

    def watched(setting, *arguments, on_epoch=None, **options):
        def note(epoch: int) -> None:
            first.setdefault(setting, epoch)
            if on_epoch is not None:
                on_epoch(epoch)

        return original(setting, *arguments, on_epoch=note, **options)

    monkeypatch.setattr(dispatch, "execute", watched)
    return first


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="SIGKILL is POSIX's")
def test_a_process_that_is_killed_loses_no_finished_run_and_goes_on(tmp_path, monkeypatch) -> None:
    command = [*TRAIN, "--epochs", "8", "--seeds", "0", "1", "2", "3", "--workers", "2"]
    folder = tmp_path / "killed"
    child = subprocess.Popen(
        [*command, "--results", str(folder)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    wait_until(
        lambda: any(folder.glob("two_*.json")) and any(map(is_half_way, checkpoints_in(folder))),
        "a first result, and another run half-way",
        300,
    )
    os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    kept = {path: path.read_bytes() for path in folder.glob("two_*.json")}
    protocol = make_protocol("quick", epochs=8)
    grid = settings(["two_digits"], ["hard_sharing"], ["equal"], seeds=range(4))
    assert len(kept) < len(grid), "it was not killed on the way"
    started = watch_first_epochs(monkeypatch)
    found = run_grid(grid, protocol, folder)
    assert max(started.values()) > 1, "nothing went on from a checkpoint"
    assert all(path.read_bytes() == content for path, content in kept.items())
    assert list(map(numbers, found)) == list(
        map(numbers, run_grid(grid, protocol, tmp_path / "whole"))
    )
    joblib.externals.loky.get_reusable_executor().shutdown(wait=True)


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="process groups are POSIX's")
def test_workers_whose_parent_was_killed_end_by_themselves(tmp_path) -> None:
    child = subprocess.Popen(
        [*TRAIN, "--epochs", "500", "--workers", "2", "--results", str(tmp_path)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        wait_until(lambda: any(tmp_path.glob("checkpoints/*.pt")), "a checkpoint", 300)
        child.kill()
        child.wait()
        wait_until(lambda: is_gone(child.pid), "the end of its workers", 300)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="processes are looked up in /proc")
def test_workers_whose_parent_was_killed_before_they_had_a_run_end_too(tmp_path) -> None:
    child = subprocess.Popen(
        [*TRAIN, "--epochs", "500", "--workers", "2", "--results", str(tmp_path)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        wait_until(lambda: len(workers_of(child.pid)) == 2, "two workers", 300)
        child.kill()
        child.wait()
        wait_until(lambda: is_gone(child.pid), "the end of its workers", 60)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)


def is_gone(group: int) -> bool:
    """Whether no process of a group is left."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return True
    return False


def workers_of(process: int) -> list[int]:
    """The processes in which joblib does its work."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # a process may end while it is looked at
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == process and b"popen_loky" in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
    return found


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="processes are looked up in /proc")
def test_a_worker_that_is_killed_is_one_sentence_and_what_is_finished_is_kept(tmp_path) -> None:
    grid = settings(["two_digits"], ["hard_sharing"], ["equal"], seeds=range(4))
    protocol, folder = make_protocol("quick", epochs=4), tmp_path / "results"

    def kill() -> None:
        wait_until(lambda: any(folder.glob("checkpoints/*.pt")), "a checkpoint", 300)
        os.kill(workers_of(os.getpid())[0], signal.SIGKILL)

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    with pytest.raises(RunFailedError, match="a worker was killed.* run the same command again"):
        run_grid(grid, protocol, folder, workers=2)
    killer.join()
    found = run_grid(grid, protocol, folder)
    assert [Setting(**result["setting"]) for result in found] == grid
