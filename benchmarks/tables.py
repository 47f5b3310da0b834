"""Trains the networks of the tables that come with the course, by results/PROTOCOL.md.

python benchmarks/tables.py two_digits_8_epochs full_100_epochs --device cuda --workers 16
python benchmarks/tables.py --write README.md

Stopped at any time, the same command goes on. The runs of several tables share the workers: first
the searches, then what they have chosen. The second command trains nothing: it writes the tables of
a page anew, from the results that its marks name.
"""

from __future__ import annotations

import argparse
import itertools
import math
import re
import signal
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import BrokenExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import joblib
import torch

from mtl_tutorial.balancing import BALANCERS
from mtl_tutorial.balancing.registry import method_of
from mtl_tutorial.experiments.dispatch import WORKER_KILLED, Keeper, RunFailedError, attempt
from mtl_tutorial.experiments.protocol import Protocol, Setting, make_protocol, settings
from mtl_tutorial.experiments.search import WIDENED, best_settings, wider
from mtl_tutorial.experiments.store import ResultsFolder, read_results
from mtl_tutorial.experiments.summary import as_text, to_frame
from mtl_tutorial.places import RESULTS

SEARCH_SEEDS = (1000, 1001, 1002)
FIRST_SEED = 1010  # of those that are tested
SGD_RATES = (0.0125, 0.025, 0.05, 0.1, 0.2)
ADAM_RATES = (0.00125, 0.0025, 0.005, 0.01, 0.02)
STITCH_RATES = (0.0015625, 0.003125, 0.00625, 0.0125, 0.025)  # its units learn at 100 times these
ALONE = ("single_task", "single_task_small")
SHARED = ("hard_sharing",)
THREE = ("equal", "gradnorm", "pcgrad")
ROWS = (  # the most important first
    *("equal", "single_task", "pcgrad", "mgda", "gradnorm", "uncertainty", "fixed"),
    *(
        "single_task_small",
        "dwa",
        "gradient_norm_weights",
        "upgrad",
        "imtl_g",
        "cagrad",
        "nash_mtl",
    ),
)


def pairs(first: str, second: str, shares: Iterable[tuple[float, float]]) -> tuple[str, ...]:
    """Fixed weights of two tasks."""
    return tuple(f"{first}={one:g},{second}={other:g}" for one, other in shares)


LEFT_RIGHT = pairs("left", "right", [(0.5, 1.5), (0.75, 1.25), (1, 1), (1.25, 0.75), (1.5, 0.5)])
LOCATED = tuple(
    f"digit=1,box={box},mask={mask}"
    for box, mask in ((1, 1), (1, 3), (10, 1), (10, 10), (30, 3), (100, 1))
)
HEARD = tuple(
    f"digit=1,speaker=1,match={match},sum={total}" for match, total in ((1, 1), (3, 1), (1, 3))
)


@dataclass(frozen=True)
class Grid:
    """Runs on one data set: the same rates, search seeds and seeds for all of their methods."""

    data: str
    architectures: Sequence[str]
    balancers: Sequence[str]
    rates: Sequence[float]
    seeds: int
    search_seeds: Sequence[int] = SEARCH_SEEDS

    def tried(self) -> list[Setting]:
        """The runs of the search."""
        axes = [self.data], self.architectures, self.balancers, self.rates
        return settings(*axes, self.search_seeds)


@dataclass(frozen=True)
class Table:
    """Grids of one protocol, in one folder.

    Args:
        searched_in: the table whose search chose the rates, where it is not this one.
    """

    epochs: int
    grids: Sequence[Grid]
    searched_in: str | None = None


def everything(data: str, weights: Sequence[str], rates: Sequence[float], **seeds) -> Grid:
    """All methods, a tuned weighted sum, and networks that share nothing."""
    return Grid(data, (*ALONE, *SHARED), (*BALANCERS, *weights), rates, **seeds)


TWO_DIGITS = everything("two_digits", LEFT_RIGHT, SGD_RATES, seeds=20, search_seeds=(1000, 1001))
TABLES = {
    "two_digits_8_epochs": Table(8, [TWO_DIGITS]),
    "full_100_epochs": Table(
        100,
        [replace(TWO_DIGITS, seeds=5)],
        searched_in="two_digits_8_epochs",
    ),
    "located_digits_1_epoch": Table(
        1, [everything("located_digits", LOCATED, ADAM_RATES, seeds=10)]
    ),
    "seen_and_heard_1_epoch": Table(1, [everything("seen_and_heard", HEARD, ADAM_RATES, seeds=10)]),
    "two_fashion_1_epoch": Table(1, [everything("two_fashion", LEFT_RIGHT, SGD_RATES, seeds=10)]),
    "rehearsal": Table(
        1,
        [Grid("two_digits", (*ALONE, *SHARED), ("equal", "pcgrad"), (0.02, 0.04), 1, (1000,))],
    ),
    "other_networks_1_epoch": Table(
        1,
        [
            Grid("two_digits", ["cross_stitch"], THREE, STITCH_RATES, 10),
            Grid("two_digits", ["mtan"], THREE, SGD_RATES, 10),
        ],
    ),
}


@dataclass(frozen=True)
class Job:
    """A run, and where its result belongs."""

    setting: Setting
    folder: ResultsFolder


class Tables:
    """Several tables in training.

    Args:
        tables: by name, which is that of their folder.
        root: where the folders are.
        profile: ``"full"``, or ``"quick"`` for a rehearsal.
        device, workers: where runs compute, and how many at a time.
        seconds: after which no run begins.
    """

    def __init__(
        self,
        tables: dict[str, Table],
        root: Path,
        *,
        profile: str,
        device: str,
        workers: int,
        seconds: float = math.inf,
    ) -> None:
        self.tables, self.root = tables, root
        self.device, self.workers = device, workers
        self.start, self.seconds = time.perf_counter(), seconds
        self.protocols = {
            name: make_protocol(profile, epochs=table.epochs) for name, table in tables.items()
        }

    def folder(self, name: str, protocol: Protocol, *, search: bool = False) -> ResultsFolder:
        """Where results of a table lie."""
        return ResultsFolder(self.root / name / ("search" if search else ""), protocol)

    @property
    def passed(self) -> float:
        """Seconds since the beginning."""
        return time.perf_counter() - self.start

    def run(self) -> None:
        """Search, widen, and train what was chosen; what can't be chosen yet is left out."""
        for rows in self.groups():
            wanted = [job for job in self.searches() if row_of(job.setting) in rows]
            for _ in range(2 + WIDENED):  # rows that were cut off are completed first
                self.train(wanted)
                if self.passed > self.seconds:
                    return
                tried = {str(job.folder.result_path(job.setting)) for job in wanted}
                wanted = [job for job in self.wider() if row_of(job.setting) in rows]
                if tried.issuperset(str(job.folder.result_path(job.setting)) for job in wanted):
                    break  # all is found, or what is missing has failed
        self.train([job for name in self.tables for job in self.chosen(name)])

    def groups(self) -> Iterator[list[str]]:
        """Rows that are searched together: enough for all workers, the most important first."""
        jobs, group, count = self.searches(), [], 0
        for row in ROWS:
            group.append(row)
            count += sum(row_of(job.setting) == row for job in jobs)
            if count >= 2 * self.workers:
                yield group
                group, count = [], 0
        yield group

    def searches(self) -> list[Job]:
        """The runs of all searches, without wider rates."""
        return in_order(
            Job(setting, self.folder(name, self.protocols[name], search=True))
            for name, table in self.tables.items()
            if not table.searched_in
            for grid in table.grids
            for setting in grid.tried()
        )

    def found(self, name: str, grid: Grid) -> list[dict]:
        """All results of a grid's search, those of wider rates with them.

        Of a table that is not in training, those that come with the course.
        """
        if name in self.tables:
            place = self.folder(name, self.protocols[name], search=True)
        else:
            protocol = replace(next(iter(self.protocols.values())), epochs=TABLES[name].epochs)
            place = ResultsFolder(RESULTS / name / "search", protocol)
        rates = [grid.rates[0] / 2**k for k in range(1, 1 + WIDENED)]
        rates += [grid.rates[-1] * 2**k for k in range(1, 1 + WIDENED)]
        tried = [*grid.tried(), *replace(grid, rates=rates).tried()]
        return [result for setting in tried if (result := place.finished(setting)) is not None]

    def next_in(self, name: str, grid: Grid) -> list[Setting]:
        """What a grid's search has to try next: what is missing, else the rates at an edge."""
        least, most = grid.rates[0] / 2**WIDENED, grid.rates[-1] * 2**WIDENED
        return [s for s in wider(self.found(name, grid)) if least <= s.learning_rate <= most]

    def wider(self) -> list[Job]:
        """Runs that complete a row, or at the next rate where its best is at an edge."""
        return in_order(
            Job(setting, self.folder(name, self.protocols[name], search=True))
            for name, table in self.tables.items()
            if not table.searched_in
            for grid in table.grids
            for setting in self.next_in(name, grid)
        )

    def chosen(self, name: str) -> list[Job]:
        """The runs that are tested: of rows whose search has ended."""
        table = self.tables[name]
        place = self.folder(name, self.protocols[name])
        jobs = []
        for grid in table.grids:
            source = table.searched_in or name
            searched = TABLES[source].grids[0] if table.searched_in else grid
            results = self.found(source, searched)
            done = set(map(Setting.of, results))
            missing = [setting for setting in searched.tried() if setting not in done]
            open_rows = set(map(row_of, [*missing, *self.next_in(source, searched)]))
            best = [s for s in best_settings(results) if row_of(s) not in open_rows]
            seeds = range(FIRST_SEED, FIRST_SEED + grid.seeds)
            jobs += [
                Job(replace(setting, seed=seed), place)
                for seed, setting in itertools.product(seeds, best)
            ]
        return in_order(jobs)

    def train(self, jobs: Sequence[Job]) -> None:
        """Run what has no result yet, and write each result as it comes.

        Raises:
            RunFailedError: where results can't be written.
            BrokenExecutor: where a worker was killed.
        """
        with ExitStack() as stack:
            keepers: dict[Path, Keeper] = {}
            for folder in (job.folder for job in jobs):
                if folder.folder not in keepers:
                    keeper = Keeper(stack.enter_context(folder.opened()))
                    keepers[folder.folder] = stack.enter_context(keeper)
            left = [job for job in jobs if job.folder.finished(job.setting) is None]
            left = list(dict.fromkeys(left))
            by_name = {(job.folder.protocol, str(job.setting)): job for job in left}
            calls = (
                joblib.delayed(attempt_of)(
                    job.setting,
                    job.folder.protocol,
                    self.device,
                    job.folder.checkpoint_path(job.setting).resolve(),
                )
                for job in left
                if self.passed < self.seconds
            )
            options = {"return_as": "generator_unordered", "batch_size": 1}
            parallel = joblib.Parallel(self.workers, pre_dispatch=self.workers, **options)
            for done, (protocol, setting, result, failure) in enumerate(parallel(calls), 1):
                job = by_name[protocol, str(setting)]
                if failure:
                    print(f"{setting} failed:\n{failure}", file=sys.stderr, flush=True)
                    continue
                keepers[job.folder.folder].keep(setting, result)
                place = job.folder.folder.relative_to(self.root)
                print(f"{self.passed:6.0f} s  {done}/{len(left)}  {place}  {setting}", flush=True)


def attempt_of(setting: Setting, protocol: Protocol, device: str, checkpoint: Path):
    """Execute a run in a worker; give its protocol, and what `attempt` gives."""
    return protocol, *attempt(setting, protocol, device, checkpoint, threads=1)


def planned(name: str) -> list[tuple[str, str, str]]:
    """Data set, architecture and method of the rows that a table is to have."""
    return [
        (grid.data, architecture, method)
        for grid in TABLES[name].grids
        for architecture in grid.architectures
        for method in dict.fromkeys(map(method_of, grid.balancers))
        if architecture not in ALONE or method == "equal"
    ]


MARKS = re.compile(
    r"(?P<head><!-- from (?P<folder>[^\s,]+)(?:, searched in (?P<search>\S+))? -->\n)"
    r".*?\n?(?P<end><!-- end -->)",
    re.DOTALL,
)


def as_committed(page: str, root: Path) -> str:
    """Give a page with the tables between its marks as the results in their folders make them."""

    def table(mark: re.Match[str]) -> str:
        folder, where = mark["folder"], mark["search"]
        search = read_results(root / where) if where else []
        rows = planned(Path(folder).name)
        text = as_text(to_frame(read_results(root / folder)), search, rows)
        return f"{mark['head']}{text}\n{mark['end']}"

    return MARKS.sub(table, page)


def in_order(jobs: Iterable[Job]) -> list[Job]:
    """A row of the table after the other, the most important first."""
    return sorted(jobs, key=lambda job: ROWS.index(row_of(job.setting)))


def row_of(setting: Setting) -> str:
    """What a row of a table is called: its method, or the networks that share nothing."""
    return setting.architecture if setting.architecture in ALONE else setting.method


def main() -> None:
    """Train the tables that are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tables", nargs="*", metavar="TABLE", help=", ".join(TABLES))
    parser.add_argument("--write", type=Path, metavar="PAGE", help="write its tables anew")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--root", type=Path, default=RESULTS, help="of the folders")
    parser.add_argument("--profile", default="full", help="quick for a rehearsal")
    parser.add_argument("--seconds", type=float, default=math.inf, help="begin no run after")
    choice = parser.parse_args()
    if unknown := set(choice.tables) - set(TABLES):
        parser.error(f"table must be one of {', '.join(TABLES)}, got {min(unknown)!r}")
    if bool(choice.tables) == bool(choice.write):
        parser.error("name tables to train, or a page with --write")
    if choice.write:
        page = choice.write.read_text(encoding="utf-8")
        root = RESULTS.parent
        choice.write.write_text(as_committed(page, root), encoding="utf-8")
        return
    stopped = []

    def stop(*given) -> None:
        if not stopped:  # a second signal would disturb what the first one ends
            stopped.append(given)
            raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
    torch.set_num_threads(1)
    tables = {name: TABLES[name] for name in choice.tables}
    where = {"device": choice.device, "workers": choice.workers, "seconds": choice.seconds}
    try:
        Tables(tables, choice.root, profile=choice.profile, **where).run()
    except KeyboardInterrupt:
        sys.exit("stopped; the same command goes on")
    except BrokenExecutor:  # the signal may have been theirs, too
        sys.exit("stopped; the same command goes on" if stopped else WORKER_KILLED)
    except (RunFailedError, OSError, ValueError) as error:  # such as a folder that is in use
        sys.exit(f"stopped: {error}; the same command goes on")


if __name__ == "__main__":
    main()
