"""Runs a grid of trainings, and prints its table."""

from __future__ import annotations

import math
import signal
import sys
import threading
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from mtl_tutorial.balancing.registry import BALANCERS
from mtl_tutorial.commands import UsageError
from mtl_tutorial.data import DataUnavailableError
from mtl_tutorial.experiments.dispatch import RunFailedError, run_grid, say
from mtl_tutorial.experiments.protocol import Setting, make_protocol, settings
from mtl_tutorial.experiments.search import WIDENED, best_settings, final_settings, searched, wider
from mtl_tutorial.experiments.store import recipe_in
from mtl_tutorial.experiments.summary import as_text, to_frame
from mtl_tutorial.profiles import check_choice


def train(
    *,
    data: Sequence[str],
    architectures: Sequence[str],
    balancers: Sequence[str],
    learning_rates: Sequence[float] = (),
    seeds: Sequence[int] = (0, 1, 2),
    search_seeds: Sequence[int] = (),
    widen: bool = False,
    profile: str = "quick",
    epochs: int | None = None,
    results: str | None = None,
    **where: Any,
) -> int:
    """Run what is not in the results folder yet; print the table. Give the exit code.

    With search seeds, each method's learning rate (and the weights, of fixed ones) is chosen on
    these seeds by validation, in the folder ``search`` beside the results; only the chosen
    settings run over ``seeds``.

    Args:
        balancers: names, fixed weights, or ``"all"``.
        widen: let the search go on, rate by rate, for methods whose best is at an edge of those
            that were tried; else it says so.
        results: the folder; left out, ``runs/PROFILE``.
        where: ``device``, ``workers``, ``backend``, ``scheduler``, as for `run_grid`.

    Raises:
        UsageError: for a grid that can't be run.
    """
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends workers as Ctrl-C does
    torch.set_num_threads(1)  # the same numbers on any machine; see load_profile
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("default")  # once
            warnings.showwarning = say
            protocol = make_protocol(profile, epochs=epochs)
            folder = Path(results) if results else Path("runs") / protocol.profile
            protocol = replace(protocol, recipe=_recipe(folder, protocol.recipe))
            axes = data, architectures, _names(balancers), learning_rates
            runs, found = settings(*axes, seeds), []
            if search_seeds:
                _check_apart(seeds, search_seeds)
                trials = settings(*axes, search_seeds)
                found = run_grid(trials, protocol, folder / "search", **where)
                for _ in range(WIDENED if widen else 0):
                    if not (more := wider(found)):
                        break
                    found += run_grid(more, protocol, folder / "search", **where)
                _warn_of_edges(found, widen)
                runs = final_settings(best_settings(found), seeds)
            _check_one_setting_a_method(runs)
            table = as_text(to_frame(run_grid(runs, protocol, folder, **where)), found)
            if hasattr(sys.stdout, "reconfigure"):
                sys.stdout.reconfigure(errors="replace")  # ± is not in every encoding
            print(table)
    except (ValueError, OSError, DataUnavailableError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # not yet a sentence
        raise UsageError(str(error)) from error
    except RunFailedError as error:
        print(f"mtl_tutorial: {error}", file=sys.stderr)
        return 1
    return 0


def _warn_of_edges(found: Iterable[Mapping[str, Any]], widened: bool) -> None:
    """Say which methods a search has not tuned: a rate that it did not try may be better."""
    for row in searched(found):
        if row.next_rate is not None:
            where = f"{row.best.method!r} on {row.best.data}, {row.best.architecture},"
            warnings.warn(
                (
                    f"the best rate of {where} is at an edge of those that were tried "
                    f"({row.best.learning_rate:g}); "
                    if math.isfinite(row.score)
                    else f"all runs of {where} diverged in the search; "
                )
                + f"add {row.next_rate:g}{'' if widened else ', or --widen'}",
                stacklevel=2,
            )


def _names(balancers: Sequence[str]) -> list[str]:
    for given in balancers:
        if "=" not in given:
            check_choice("balancer", given, (*BALANCERS, "all"))
    return [name for given in balancers for name in (BALANCERS if given == "all" else [given])]


def _recipe(folder: Path, newest: int) -> int:
    """The recipe of a folder that was begun before: its grid goes on as it began."""
    found = next(filter(None, map(recipe_in, (folder, folder / "search"))), newest)
    if found != newest:
        warnings.warn(
            f"{folder} was begun with recipe {found} of two digits, and goes on with it; a new "
            f"folder has recipe {newest}",
            stacklevel=2,
        )
    return found


def _check_apart(seeds: Sequence[int], search_seeds: Sequence[int]) -> None:
    if shared := set(seeds) & set(search_seeds):
        raise ValueError(
            f"seed {min(shared)} can't be searched and tested with; a search needs seeds of its own"
        )


def _check_one_setting_a_method(runs: Sequence[Setting]) -> None:
    """Check that a row of the table is one setting, over seeds."""
    rates: dict[tuple[str, ...], set] = {}
    for run in runs:
        key = (run.data, run.architecture, run.method)
        rates.setdefault(key, set()).add((run.balancer, run.learning_rate))
    for (data, architecture, method), settings_of in rates.items():
        if len(settings_of) > 1:
            raise ValueError(
                f"{method!r} has {len(settings_of)} settings on {data}, {architecture}, and a row "
                f"of the table is one; choose among them with --search-seeds, or name one"
            )
