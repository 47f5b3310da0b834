"""Runs lessons at other sizes, and says claim by claim where it holds and where it turns."""

from __future__ import annotations

import itertools
import json
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import joblib
import torch

from mtl_tutorial.commands import UsageError
from mtl_tutorial.commands.build import BuildError, digest, read, run
from mtl_tutorial.commands.lessons import find_lesson, lessons
from mtl_tutorial.writing import write_whole

ARITHMETIC = {
    "avx2": {
        "ATEN_CPU_CAPABILITY": "avx2",
        "DNNL_MAX_CPU_ISA": "AVX2",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
    },
    "sse4": {
        "ATEN_CPU_CAPABILITY": "default",
        "DNNL_MAX_CPU_ISA": "SSE41",
        "MKL_ENABLE_INSTRUCTIONS": "SSE4_2",
    },
}
AS_IT_COMES = "as it comes"
CELL_MARK = "cell "


@dataclass(frozen=True)
class Size:
    """A size at which lessons are run.

    Args:
        name: such as ``"4 × steps"``.
        range: what a claim may be tied to: ``"steps"``, ``"seeds"``, ``"rate"``, or nothing.
        variables: of the environment.
    """

    name: str
    range: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)


def sizes(
    steps: Iterable[float] = (),
    seeds: Iterable[int] = (),
    rates: Iterable[float] = (),
    arithmetic: Iterable[str] = (),
) -> list[Size]:
    """The lesson as it comes, then one change at a time.

    Args:
        steps, rates: factors.
        seeds: each the first of as many as the lesson has.
        arithmetic: names of instruction sets, as other processors have them.

    Raises:
        UsageError: for a factor, seed or name that can't be.
    """
    for what, values in (("steps", steps), ("rates", rates)):
        for value in values:
            if not 0 < value < float("inf"):
                raise UsageError(f"--{what} are factors above 0, such as 2 or 0.5, got {value:g}")
    for seed in seeds:
        if seed < 0:
            raise UsageError(f"--seeds are the first of their row and at least 0, got {seed}")
    for name in arithmetic:
        if name not in ARITHMETIC:
            raise UsageError(f"--arithmetic must be of {', '.join(ARITHMETIC)}, got {name!r}")
    return [
        Size(AS_IT_COMES),
        *(Size(f"{factor:g} × steps", "steps", {"MTL_STEPS": f"{factor:g}"}) for factor in steps),
        *(Size(f"seeds from {first}", "seeds", {"MTL_FIRST_SEED": str(first)}) for first in seeds),
        *(Size(f"{factor:g} × rate", "rate", {"MTL_RATE": f"{factor:g}"}) for factor in rates),
        *(Size(f"{name} arithmetic", "", ARITHMETIC[name]) for name in arithmetic),
    ]


def audit(
    names: Sequence[str] = (),
    *,
    at: Sequence[Size],
    workers: int = 1,
    results: Path | None = None,
    folder: Path | None = None,
) -> int:
    """Run lessons at several sizes, and print each claim with the sizes at which it turns.

    Args:
        names: numbers, names or paths; left out, every lesson.
        at: the sizes; the first is what the others are compared with.
        workers: lessons at a time.
        results: a file of JSON for what was found. Lessons that were not run stay in it.
        folder: where the lessons lie, if not in ``notebooks`` of the checkout.

    Returns:
        The exit code: 1 where a claim turns inside its range, or a cell stops.

    Raises:
        UsageError: for a name that is no lesson, or a file that is no notebook.
    """
    paths = [find_lesson(name, folder) for name in names] or lessons(folder)
    for path in paths:
        read(path)
    found = _tried_all(paths, at, workers)
    for path, at_sizes in zip(paths, found, strict=True):
        print("\n".join(_lines(path.stem, at_sizes, at)), flush=True)
    if results is not None:
        _add_to(results, {p.stem: _entry(p, f, at) for p, f in zip(paths, found, strict=True)})
    turned = [row for path_found in found for row in _judged(path_found, at) if row["turns"]]
    stopped = [cell for path_found in found for tried in path_found for cell in tried.stopped]
    held = sum(len(_judged(path_found, at)) for path_found in found) - len(turned)
    print(f"\n{held} claims hold in their range, {len(turned)} turn, {len(stopped)} cells stop")
    return 1 if turned or stopped else 0


@dataclass(frozen=True)
class Tried:
    """What a lesson claimed at one size: claims by their place, and the cells that stopped."""

    claims: dict[str, dict[str, Any]]
    stopped: list[str]
    seconds: float


def _tried_all(paths: Sequence[Path], at: Sequence[Size], workers: int) -> list[list[Tried]]:
    pairs = list(itertools.product(paths, at))
    jobs = (joblib.delayed(_tried)(path, size) for path, size in pairs)
    running = joblib.Parallel(n_jobs=workers, return_as="generator")(jobs)
    found = []
    for (path, size), tried in zip(pairs, running, strict=True):
        print(f"{path.stem:<24} {size.name:<16} {tried.seconds:5.0f} s", flush=True)
        found.append(tried)
    return [found[i : i + len(at)] for i in range(0, len(found), len(at))]


def _tried(path: Path, size: Size) -> Tried:
    """Run a lesson at a size, past the cells that raise."""
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "claims.jsonl")
        variables = {**size.variables, "MTL_CLAIMS": str(file)}
        try:
            ran = run(read(path)[0], path, variables=variables, go_on=True, draw=False)
            stopped = list(_stops(ran))
        except BuildError as error:
            stopped = [str(error)]
        rows = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    return Tried(_by_place(map(json.loads, rows)), stopped, time.monotonic() - start)


def _stops(ran: Any) -> Iterator[str]:
    for number, cell in enumerate(ran.cells):
        for output in cell.get("outputs", []):
            if output.output_type == "error":
                message = (output.evalue.splitlines() or [""])[0]
                yield f"{CELL_MARK}{number}: {output.ename}: {message}"


def _by_place(rows: Iterable[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Claims by the cell in which they stand and their number in it.

    Not by their sentence, in which a size may stand.
    """
    found: dict[str, dict[str, Any]] = {}
    for row in rows:
        cell = row.pop("cell")
        number = sum(place.partition(".")[0] == str(cell) for place in found) + 1
        found[f"{cell}.{number}"] = row
    return found


def _judged(found: Sequence[Tried], at: Sequence[Size]) -> list[dict[str, Any]]:
    """Each claim: its values by size, and the sizes inside and outside its range where it turns."""
    places = dict.fromkeys(place for tried in found for place in tried.claims)
    judged = []
    for place in places:
        rows = {
            size.name: tried.claims[place]
            for size, tried in zip(at, found, strict=True)
            if place in tried.claims
        }
        first = next(iter(rows.values()))
        tied = (first["only_at"] or "").split()
        turns = [
            size for size in at if not rows.get(size.name, {"holds": True})["holds"]
        ]  # a cell that stopped is told of itself
        judged.append(
            {
                **{key: first[key] for key in ("sentence", "at_least", "at_most", "only_at")},
                "values": {name: row["values"] for name, row in rows.items()},
                "turns": [size.name for size in turns if size.range not in tied],
                "turns_outside": [size.name for size in turns if size.range in tied],
            }
        )
    return judged


def _lines(lesson: str, found: Sequence[Tried], at: Sequence[Size]) -> Iterator[str]:
    yield f"\n{lesson}"
    for row in _judged(found, at):
        turns = [*row["turns"], *row["turns_outside"]]
        mark = "✗" if row["turns"] else "✓"
        yield f"  {mark} {row['sentence']}" + (": holds" if not turns else "")
        for name in turns:
            values = ", ".join(f"{float(value):.3g}" for value in row["values"][name])
            outside = "" if name in row["turns"] else ", outside its range"
            yield f"      turns at {name}{outside}: {values} ({_bounds(row)})"
    for size, tried in zip(at, found, strict=True):
        for cell in tried.stopped:
            yield f"  ✗ at {size.name} stops {cell}"


def _bounds(row: Mapping[str, Any]) -> str:
    bounds = [
        (words, row[key]) for words, key in (("at least", "at_least"), ("at most", "at_most"))
    ]
    return ", ".join(f"{words} {bound:g}" for words, bound in bounds if bound is not None) or "true"


def _entry(path: Path, found: Sequence[Tried], at: Sequence[Size]) -> dict[str, Any]:
    return {
        "digest": digest(read(path)[0]),
        "torch": torch.__version__,
        "sizes": [size.name for size in at],
        "claims": _judged(found, at),
        "stopped": {
            size.name: tried.stopped for size, tried in zip(at, found, strict=True) if tried.stopped
        },
    }


def _add_to(results: Path, entries: Mapping[str, Any]) -> None:
    earlier = json.loads(results.read_text(encoding="utf-8")) if results.exists() else {}
    table = dict(sorted({**earlier, **entries}.items()))
    write_whole(results, (json.dumps(table, indent=1, ensure_ascii=False) + "\n").encode())
