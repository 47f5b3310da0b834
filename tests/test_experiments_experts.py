"""Mixtures beside rivals of their size: one pass for all seeds, and the weight of a balance."""

from __future__ import annotations

import functools

import pytest
import torch

from mtl_tutorial.architectures import Experts, HardSharing, experts_used, importance_loss
from mtl_tutorial.data import located_digits
from mtl_tutorial.data.related_pair import INPUTS, PAIR, related_pair, taught
from mtl_tutorial.experiments import seeded, train
from mtl_tutorial.experiments.experts import (
    LONG_RUNS,
    NETWORKS,
    SCENE_NETWORKS,
    gate_choices,
    learn_pairs,
    long_runs,
    network_for_pair,
    network_for_scenes,
    train_mixture,
)
from mtl_tutorial.measuring import count_parameters

SCENES = located_digits("train")
TASKS = SCENES.tasks[:2]


@pytest.mark.parametrize("deep_heads", [False, True])
def test_rivals_on_the_pair_have_equal_parameters_within_a_hundredth(deep_heads) -> None:
    counts = [count_parameters(network_for_pair(n, deep_heads=deep_heads)) for n in NETWORKS]
    assert max(counts) < 1.01 * min(counts)


def test_rivals_on_scenes_have_equal_parameters_within_six_hundredths() -> None:
    counts = [count_parameters(network_for_scenes(n, TASKS)) for n in SCENE_NETWORKS]
    assert max(counts) < 1.06 * min(counts)


def test_experts_of_ones_own_share_nothing() -> None:
    model = network_for_pair("own experts")
    model(torch.randn(4, INPUTS))["first"].sum().backward()
    assert all(p.grad is None for p in model.networks["second"].parameters())


def test_many_networks_learn_at_once_what_each_learns_alone() -> None:
    steps, rate = 3, 0.01
    table = learn_pairs("a gate a task", [0.0, 0.9], seeds=[4], steps=steps, learning_rate=rate)
    for row in table.itertuples():
        with seeded(4) as generator:
            model = network_for_pair("a gate a task")
            teachers = related_pair(row.correlation, generator).teachers
        draws = torch.Generator().manual_seed(4)
        unseen = torch.randn(2000, INPUTS, generator=draws)
        adam = torch.optim.Adam(model.parameters(), lr=rate)
        for _ in range(steps):
            x = torch.randn(128, INPUTS, generator=draws)
            noise = 0.1 * torch.randn(2, 128, 2, generator=draws)[[0.0, 0.9].index(row.correlation)]
            outputs = torch.cat([*model(x).values()], 1)
            adam.zero_grad()
            (outputs - taught(x, teachers) - noise).square().mean(0).sum().backward()
            adam.step()
        y = taught(unseen, teachers)
        with torch.no_grad():
            error = (torch.cat([*model(unseen).values()], 1) - y).square().mean(0) / y.var(0)
        assert row.error == pytest.approx(error.mean().item(), rel=1e-3)


def test_a_cosine_of_gradients_is_told_where_something_is_shared() -> None:
    shared = learn_pairs("hard sharing", [1.0], seeds=[0, 1], steps=2)
    assert shared["cosine"].between(-1, 1).all()
    assert learn_pairs("own network", [1.0], seeds=[0], steps=2)["cosine"].isna().all()


def test_without_a_balance_a_mixture_is_trained_as_any_network() -> None:
    batch = SCENES.draw(16, torch.Generator().manual_seed(9))
    build = functools.partial(network_for_scenes, "a gate a task", TASKS)
    _, scores = train_mixture(build, TASKS, SCENES, batch, seed=1, steps=3, batch_size=8)
    _, history = train(build, TASKS, SCENES, batch, seed=1, steps=3, batch_size=8)
    for name, score in history.scores[-1][1].items():
        assert scores[name] == pytest.approx(score.metric, abs=1e-5)


def test_a_balance_evens_out_the_experts() -> None:
    batch = SCENES.draw(64, torch.Generator().manual_seed(9))
    build = functools.partial(network_for_scenes, "a gate a task", TASKS)
    found = {}
    for balance in (0.0, 10.0):
        model, _ = train_mixture(
            build, TASKS, SCENES, batch, seed=0, steps=30, batch_size=16, balance=balance
        )
        with torch.no_grad():
            gates = torch.stack([*model.gates(batch.inputs).values()])
        found[balance] = importance_loss(gates).item()
        assert experts_used(gates).min().item() >= 1
    assert found[10.0] < 0.5 * found[0.0]


def test_choices_are_the_means_of_the_gates_by_digit() -> None:
    batch = SCENES.draw(128, torch.Generator().manual_seed(0))
    model = network_for_scenes("a gate a task", TASKS)
    assert isinstance(model, Experts)
    table = gate_choices(model, batch)
    assert table.groupby(["task", "digit"])["share"].sum().to_list() == pytest.approx([1] * 22)
    sevens = model.gates(batch.inputs)["box"][batch.targets["digit"] == 7]
    found = table[(table["task"] == "box") & (table["digit"] == "7")]["share"]
    assert found.to_list() == pytest.approx(sevens.mean(0).tolist(), abs=1e-6)


def test_a_head_of_two_layers_is_the_papers() -> None:
    model = network_for_pair("hard sharing", deep_heads=True)
    assert isinstance(model, HardSharing) and set(model.heads) == {task.name for task in PAIR}
    assert [layer.out_features for layer in model.heads["first"][::2]] == [8, 1]


def test_an_unknown_network_is_named() -> None:
    with pytest.raises(ValueError, match="network must be one of 'hard sharing'"):
        network_for_pair("mmoe")


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"steps": 0}, "steps must be at least 1, got 0"),
        ({"seeds": []}, "seeds must be at least 1, got 0"),
        ({"marks": [5]}, r"marks must be from 1 to 2, the last step, got \[5\]"),
    ],
)
def test_runs_of_a_pair_that_can_not_be_are_refused(changed, words) -> None:
    with pytest.raises(ValueError, match=words):
        learn_pairs("hard sharing", [0.0], **{"seeds": [0], "steps": 2, **changed})


@pytest.mark.parametrize(
    ("balance", "words"),
    [
        (-1.0, "balance must be a number from 0 on, got -1"),
        (float("nan"), "balance must be a number from 0 on, got nan"),
        (0.1, "balance needs a model with gates, and a HardSharing has none"),
    ],
)
def test_a_balance_that_can_not_be_is_refused(balance, words) -> None:
    build = functools.partial(network_for_scenes, "hard sharing", TASKS)
    batch = SCENES.draw(4, torch.Generator().manual_seed(0))
    with pytest.raises(ValueError, match=words):
        train_mixture(build, TASKS, SCENES, batch, seed=0, steps=1, balance=balance)
    with pytest.raises(ValueError, match="choices are made by gates, and a HardSharing has none"):
        gate_choices(build(), batch)


def test_the_long_runs_say_where_they_are_from() -> None:
    tables, origin = long_runs()
    assert {"command", "commit", "torch", "date"} <= origin.keys()
    pairs, scenes = tables["pairs"], tables["scenes"]
    key = ["network", "heads", "rate", "correlation", "seed", "step"]
    assert not pairs.duplicated(key).any() and pairs["step"].max() == 4000
    assert set(pairs["network"]) == set(NETWORKS)
    assert not scenes.duplicated(["network", "balance", "steps", "seed"]).any()
    assert set(scenes["network"]) == set(SCENE_NETWORKS)
    ends = pairs.query("heads == 'linear' and step == 1000 and correlation in [0, 1]")
    assert (ends.groupby(["network", "rate", "correlation"])["seed"].nunique() == 4).all()
    assert ends.groupby("network")["rate"].nunique().to_dict() == dict.fromkeys(NETWORKS, 5)
    assert (tables["twins"].groupby(["first", "second"])["seed"].nunique() == 3).all()
    assert tables["twins"]["overlap"].between(0, 1).all()


def test_where_the_long_runs_are_not_there_it_is_said(tmp_path) -> None:
    with pytest.raises(ValueError, match="comes with a checkout of the course"):
        long_runs(tmp_path / LONG_RUNS.name)
