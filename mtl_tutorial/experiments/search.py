"""What a search for learning rates and weights has tried, and what it has chosen."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from mtl_tutorial.experiments.catalogue import ALONE
from mtl_tutorial.experiments.protocol import Setting

WIDENED = 4  # times at most that a search goes on at an edge


def validation_score(result: Mapping[str, Any]) -> float:
    """The mean of the tasks' validation metrics in the best epoch; −inf for a run that diverged.

    Networks that share nothing have a best epoch each.
    """
    if result["diverged"]:
        return -np.inf
    curves = np.array(list(result["curves"]["validation metric"].values()))
    if result["setting"]["architecture"].startswith(ALONE):
        return float(curves.max(axis=1).mean())
    return float(curves.mean(axis=0).max())


class Searched(NamedTuple):
    """What a search has tried for one data set, architecture and method, and what it chose.

    Args:
        best: the setting with the best validation score, with its first seed.
        score: its score, mean over seeds.
        tried: every run, a setting and seed each.
    """

    best: Setting
    score: float
    tried: tuple[Setting, ...]

    @property
    def settings(self) -> int:
        """How many were tried: rates, and weights of ``fixed``."""
        return len({(setting.balancer, setting.learning_rate) for setting in self.tried})

    @property
    def seeds(self) -> list[int]:
        """Those that it was tried on."""
        return sorted({setting.seed for setting in self.tried})

    @property
    def gaps(self) -> list[Setting]:
        """What is missing of all weights at all rates on all seeds: the search was cut off."""
        axes = [
            dict.fromkeys(getattr(setting, name) for setting in self.tried)
            for name in ("balancer", "learning_rate", "seed")
        ]
        done = {(s.balancer, s.learning_rate, s.seed) for s in self.tried}
        return [
            replace(self.best, balancer=balancer, learning_rate=rate, seed=seed)
            for balancer, rate, seed in itertools.product(*axes)
            if (balancer, rate, seed) not in done
        ]

    @property
    def next_rate(self) -> float | None:
        """The rate to try where the best one is at an edge: half the least, twice the greatest.

        Where all runs diverged, half the least.
        """
        rates = sorted({setting.learning_rate for setting in self.tried})
        if self.best.learning_rate == rates[0] or self.score == -np.inf:
            return rates[0] / 2
        return rates[-1] * 2 if self.best.learning_rate == rates[-1] else None


def searched(results: Iterable[Mapping[str, Any]]) -> list[Searched]:
    """Give, for each data set, architecture and method, what was tried, and what was best.

    Scores are averaged over seeds; of settings that score alike the first is given.
    """
    rows: dict[tuple[str, ...], dict[tuple, dict[Setting, float]]] = {}
    for result in results:
        setting = Setting.of(result)
        row = rows.setdefault((setting.data, setting.architecture, setting.method), {})
        runs = row.setdefault((setting.balancer, setting.learning_rate), {})
        runs[setting] = validation_score(result)
    found = []
    for row in rows.values():
        scores = [float(np.mean(list(runs.values()))) for runs in row.values()]
        best = list(row.values())[int(np.argmax(scores))]
        tried = tuple(setting for runs in row.values() for setting in runs)
        found.append(Searched(next(iter(best)), max(scores), tried))
    return found


def best_settings(results: Iterable[Mapping[str, Any]]) -> list[Setting]:
    """Give, for each data set, architecture and method, the setting that `searched` finds best."""
    return [row.best for row in searched(results)]


def wider(results: Iterable[Mapping[str, Any]]) -> list[Setting]:
    """Give what a search has to try next: rows whose best rate is at an edge go on by 2.

    These are all weights and seeds of such a row, at its next rate. A row that was cut off is
    completed first: what it was tried with is tried together, all weights, rates and seeds.
    """
    found: dict[Setting, None] = {}
    for row in searched(results):
        if gaps := row.gaps:
            found |= dict.fromkeys(gaps)
        elif (rate := row.next_rate) is not None:
            found |= dict.fromkeys(replace(tried, learning_rate=rate) for tried in row.tried)
    return list(found)


def final_settings(best: Iterable[Setting], seeds: Iterable[int]) -> list[Setting]:
    """Give the best settings of a search, once for each seed."""
    return [
        Setting(s.data, s.architecture, s.balancer, s.learning_rate, seed)
        for s, seed in itertools.product(best, dict.fromkeys(seeds))
    ]
