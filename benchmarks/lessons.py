"""Seconds that each lesson takes in the quick profile, and its five slowest cells.

python benchmarks/lessons.py [NAME...]
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient

from mtl_tutorial.commands.lessons import find_lesson, lessons


def seconds_by_cell(path: Path) -> dict[str, float]:
    """Run a lesson from top to bottom; give the seconds of each code cell by its id."""
    notebook = nbformat.read(path, as_version=4)
    started: dict[int, float] = {}
    seconds: dict[str, float] = {}

    def start(cell, cell_index) -> None:
        started[cell_index] = time.perf_counter()

    def end(cell, cell_index, execute_reply) -> None:
        seconds[cell.id] = time.perf_counter() - started[cell_index]

    client = NotebookClient(
        notebook,
        timeout=1200,
        resources={"metadata": {"path": str(path.parent)}},
        on_cell_execute=start,
        on_cell_executed=end,
    )
    client.execute(env={**os.environ, "MTL_PROFILE": "quick"})
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="such as 02; left out, every lesson")
    names = parser.parse_args().names
    print("| lesson | seconds | slowest cells |")
    print("|---|---|---|")
    for path in map(find_lesson, names) if names else lessons():
        start = time.perf_counter()
        cells = seconds_by_cell(path)
        total = time.perf_counter() - start
        slowest = sorted(cells.items(), key=lambda item: -item[1])[:5]
        text = ", ".join(f"{name} {seconds:.1f}" for name, seconds in slowest)
        print(f"| {path.stem} | {total:.0f} | {text} |")


if __name__ == "__main__":
    main()
