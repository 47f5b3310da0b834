"""Lesson 13's mixture is the package's, and its file says what the lesson reads from it."""

from __future__ import annotations

import pytest
import torch
from lesson_cells import run_tagged

from mtl_tutorial.architectures import Experts
from mtl_tutorial.data.related_pair import PAIR
from mtl_tutorial.experiments.experts import Layer, long_runs


@pytest.fixture(scope="module")
def lesson() -> dict:
    return run_tagged("13_experts", "from-scratch")


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("count", [1, 2, 5])
def test_the_lessons_mixture_is_the_packages_to_the_last_bit(lesson, seed, count) -> None:
    torch.manual_seed(seed)
    theirs = Experts([Layer(6, 4) for _ in range(count)], PAIR, 6)
    ours = lesson["MultiGate"]([Layer(6, 4) for _ in range(count)], PAIR, 6)
    state = theirs.state_dict().items()
    ours.load_state_dict({name.replace("gate_layers", "gates"): value for name, value in state})
    x = torch.randn(9, 6)
    found, right = ours(x), theirs(x)
    assert found.keys() == right.keys()
    assert all(torch.equal(found[name], right[name]) for name in right)


def test_in_the_long_runs_gates_lead_shared_or_not_and_all_arrive() -> None:
    pairs = long_runs()[0]["pairs"].query("heads == 'linear' and rate == 0.005")
    apart = pairs[pairs["correlation"] == 0].groupby(["step", "network"])["error"].mean()
    lead = apart[1000]["hard sharing"] - apart[1000]
    assert lead["a gate a task"] > 0.1 and lead["own experts"] > 0.7 * lead["a gate a task"]
    assert lead["own network"] < 0.5 * lead["a gate a task"]
    assert (apart[4000] < 0.5 * apart[1000]["hard sharing"]).all()


def test_in_the_long_runs_each_at_its_best_rate_a_gate_a_task_leads_for_equal_tasks_alone() -> None:
    pairs = long_runs()[0]["pairs"].query("heads == 'linear' and step == 1000")
    errors = pairs[pairs["correlation"].isin([0.0, 1.0])]
    means = errors.groupby(["correlation", "network", "rate"])["error"].mean()
    best = means.groupby(["correlation", "network"]).min()
    assert best[0.0, "own experts"] < best[0.0, "hard sharing"] < best[0.0, "a gate a task"]
    assert best[1.0, "a gate a task"] < best[1.0, "own experts"] < best[1.0, "hard sharing"]


def test_in_the_long_runs_two_equal_tasks_may_part() -> None:
    twins = long_runs()[0]["twins"].set_index(["first", "second"])["overlap"]
    assert (twins["box", "box"] < 0.5).sum() == 2
    assert (twins["digit", "digit"] > 0.6).all() and (twins["digit", "box"] < 0.2).all()


def test_in_the_long_runs_a_balance_takes_the_boxs_gain_away() -> None:
    scenes = long_runs()[0]["scenes"].query("steps == 300")
    box = scenes.groupby(["network", "balance"])["box"].mean()
    assert box["a gate a task", 0.0] > box["hard sharing", 0.0] + 0.05
    assert box["a gate a task", 0.1] < box["a gate a task", 0.0] - 0.05
    gated = scenes[scenes["network"] == "a gate a task"].groupby("balance")["box_used"].mean()
    assert gated[0.0] + 0.5 < gated[0.1] and gated[1.0] > 2.7
