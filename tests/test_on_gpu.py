"""What is to be done on a machine with a GPU is rehearsed here, in tiny sizes on the CPU."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def started(folder: Path, seconds: int | str, **environment: str) -> subprocess.Popen:
    return subprocess.Popen(
        ["bash", ROOT / "benchmarks" / "on_gpu.sh", str(seconds), folder],
        env=os.environ | {"TINY": "1", "GATHERED": "nowhere"} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def on_gpu(folder: Path, seconds: int | str, code: int = 0, **environment: str) -> str:
    """Give what it printed, as an error where that is its exit code."""
    done = started(folder, seconds, **environment)
    printed, error = done.communicate()
    assert done.returncode == code, printed + error
    return error if code else printed


def results(folder: Path) -> list[str]:
    with tarfile.open(folder / "results.tar.gz") as archive:
        return [n for n in archive.getnames() if n.endswith(".json") and "grid" not in n]


@pytest.fixture(scope="module")
def rehearsed(tmp_path_factory) -> tuple[Path, str, int]:
    """The folder of a rehearsal, what it printed, and how many results one had that was ended."""
    folder, scratch = tmp_path_factory.mktemp("gpu") / "out", tmp_path_factory.mktemp("scratch")
    ended = started(folder, 500, STAGES="tables", TMPDIR=str(scratch))
    for _ in range(600):
        time.sleep(0.1)
        if (folder / "results.tar.gz").exists() and (some := len(results(folder))):
            break  # packed while it trains
    ended.terminate()
    printed, error = ended.communicate(timeout=30)
    assert ended.returncode == 128 + signal.SIGTERM, printed + error
    log = (folder / "log.txt").read_text()
    assert "stopped; the same command goes on" in log and "Traceback" not in log
    assert len(results(folder)) >= some
    assert not list(scratch.glob("tmp.*"))
    return folder, on_gpu(folder, 500), some


@pytest.mark.slow
def test_it_leaves_at_most_eight_files_whose_names_can_travel(rehearsed) -> None:
    folder, *_ = rehearsed
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["checkpoints.tar.gz", "costs.md", "log.txt", "results.tar.gz", "tests.txt"]
    with tarfile.open(folder / "checkpoints.tar.gz") as archive:
        assert archive.getnames() == []  # all runs have ended


@pytest.mark.slow
def test_it_runs_tests_and_measures_costs(rehearsed) -> None:
    folder, printed, _ = rehearsed
    assert " passed" in (folder / "tests.txt").read_text()
    costs = (folder / "costs.md").read_text()
    for words in ("no CUDA GPU here", "reads no value", "| PCGrad |", "times one"):
        assert words in costs
    assert "stopped" not in printed


@pytest.mark.slow
def test_its_results_are_those_of_a_table_and_say_what_made_them(rehearsed) -> None:
    folder, *_ = rehearsed
    found = results(folder)
    tested = [name for name in found if "/search/" not in name]
    assert len(tested) == 4  # rows
    with tarfile.open(folder / "results.tar.gz") as archive:
        result = json.load(archive.extractfile(tested[0]))
    assert result["setting"]["seed"] >= 1010
    assert result["provenance"]["device"].startswith("cpu")


@pytest.mark.slow
def test_ended_it_keeps_what_there_is_and_goes_on_later(rehearsed) -> None:
    folder, _, some = rehearsed
    assert 0 < some < len(results(folder))


@pytest.mark.slow
def test_out_of_time_commands_are_left_out(rehearsed) -> None:
    folder, *_ = rehearsed
    before = sorted(results(folder))
    assert "[left out: no time]" in on_gpu(folder, "08", STAGES="tables")
    assert sorted(results(folder)) == before


@pytest.mark.parametrize("seconds", ["", "ten", "1.5", "-3"])
def test_seconds_that_are_no_whole_number_are_named(tmp_path, seconds) -> None:
    assert f"and is '{seconds}'" in on_gpu(tmp_path / "out", seconds, code=2)
    assert not (tmp_path / "out").exists()


def test_a_damaged_archive_is_named_and_not_replaced(tmp_path) -> None:
    archive = tmp_path / "results.tar.gz"
    with tarfile.open(archive, "w:gz") as packed:
        packed.add(__file__, "some.json")
    half = archive.read_bytes()[:-20]
    archive.write_bytes(half)
    (line,) = on_gpu(tmp_path, 500, code=1, STAGES="tables").splitlines()
    assert "results.tar.gz is damaged" in line
    assert archive.read_bytes() == half
    assert list(tmp_path.iterdir()) == [archive]


@pytest.mark.slow
def test_what_python_lacks_is_named(tmp_path) -> None:
    for name in ("pandas", "xdist"):
        (tmp_path / f"{name}.py").write_text("raise ImportError")
    python = tmp_path / "python3"
    python.write_text(f'#!/bin/sh\nPYTHONPATH="{tmp_path}" exec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    (line,) = on_gpu(tmp_path / "out", 500, code=1, PATH=path).splitlines()
    assert line.endswith("can't import pandas")
    (tmp_path / "pandas.py").unlink()
    printed = on_gpu(tmp_path / "out", 500, PATH=path, STAGES="tests")
    assert "tests are left out: python3 can't import xdist" in printed
