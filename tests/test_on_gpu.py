"""What is to be done on a machine with a GPU is rehearsed here, in tiny sizes on the CPU."""

from __future__ import annotations

import json
import os
import subprocess
import tarfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def on_gpu(folder: Path, seconds: int, **environment: str) -> str:
    done = subprocess.run(
        ["bash", ROOT / "benchmarks" / "on_gpu.sh", str(seconds), folder],
        env=os.environ | {"TINY": "1", "GATHERED": "nowhere"} | environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def results(folder: Path) -> list[str]:
    with tarfile.open(folder / "results.tar.gz") as archive:
        return [n for n in archive.getnames() if n.endswith(".json") and "grid" not in n]


@pytest.fixture(scope="module")
def rehearsed(tmp_path_factory) -> tuple[Path, str, int]:
    """The folder of a rehearsal, what it printed, and how many results a short one left before."""
    folder = tmp_path_factory.mktemp("gpu") / "out"
    assert "done" in on_gpu(folder, 12, STAGES="tables")
    some = len(results(folder))
    return folder, on_gpu(folder, 500), some


def test_it_leaves_at_most_eight_files_whose_names_can_travel(rehearsed) -> None:
    folder, *_ = rehearsed
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["checkpoints.tar.gz", "costs.md", "log.txt", "results.tar.gz", "tests.txt"]
    with tarfile.open(folder / "checkpoints.tar.gz") as archive:
        assert archive.getnames() == []  # all runs have ended


def test_it_runs_tests_and_measures_costs(rehearsed) -> None:
    folder, printed, _ = rehearsed
    assert " passed" in (folder / "tests.txt").read_text()
    costs = (folder / "costs.md").read_text()
    for words in ("no CUDA GPU here", "reads no value", "| PCGrad |", "times one"):
        assert words in costs
    assert "stopped" not in printed


def test_its_results_are_those_of_a_table_and_say_what_made_them(rehearsed) -> None:
    folder, *_ = rehearsed
    found = results(folder)
    tested = [name for name in found if "/search/" not in name]
    assert len(tested) == 4  # rows
    with tarfile.open(folder / "results.tar.gz") as archive:
        result = json.load(archive.extractfile(tested[0]))
    assert result["setting"]["seed"] >= 1010
    assert result["provenance"]["device"].startswith("cpu")


def test_out_of_time_it_keeps_what_there_is_and_goes_on_later(rehearsed) -> None:
    folder, _, some = rehearsed
    assert some < len(results(folder))
