"""Which runs a grid has, and what they have in common."""

from __future__ import annotations

import pytest

from mtl_tutorial.experiments.catalogue import DATA_SETS
from mtl_tutorial.experiments.protocol import PROTOCOLS, Setting, make_protocol, settings

RUN = {
    "data": "two_digits",
    "architecture": "hard_sharing",
    "balancer": "equal",
    "learning_rate": 0.05,
    "seed": 0,
}


def test_the_rate_falls_by_the_published_factor_every_ten_epochs_of_a_hundred() -> None:
    full = PROTOCOLS["full"]
    assert (full.epochs, full.batch_size) == (100, 256)
    factors = [full.rate_factor(epoch) for epoch in range(100)]
    assert factors == pytest.approx([0.85 ** (epoch // 10) for epoch in range(100)])


def test_a_shorter_protocol_falls_at_the_same_shares_of_its_length() -> None:
    short = make_protocol("full", epochs=3)
    assert [short.rate_factor(epoch) for epoch in range(3)] == [1, 0.85**3, 0.85**6]


def test_a_grid_has_every_combination_once() -> None:
    found = settings(
        ["two_digits", "located_digits"],
        ["hard_sharing", "mtan"],
        ["equal", "pcgrad"],
        [0.1, 0.2],
        [0, 1],
    )
    assert len(found) == len(set(found)) == 32
    assert {(s.data, s.seed) for s in found} == {
        (data, seed) for data in ("two_digits", "located_digits") for seed in (0, 1)
    }


def test_without_a_rate_each_data_set_has_its_own() -> None:
    for setting in settings(DATA_SETS, ["hard_sharing"], ["equal"]):
        assert setting.learning_rate == DATA_SETS[setting.data].learning_rate


def test_single_task_networks_run_once_whatever_the_balancers() -> None:
    found = settings(["two_digits"], ["single_task", "hard_sharing"], ["pcgrad", "mgda"])
    assert [(s.architecture, s.balancer) for s in found] == [
        ("single_task", "equal"),
        ("hard_sharing", "pcgrad"),
        ("hard_sharing", "mgda"),
    ]


def test_settings_that_differ_have_names_that_differ() -> None:
    grid = settings(
        ["two_digits"],
        ["hard_sharing"],
        ["equal", "left=1,right=2", "left=1,right=20"],
        [0.1, 0.01, 1e-05],
        range(12),
    )
    assert len({str(setting) for setting in grid}) == len(grid)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"data": "two_digit"}, "did you mean 'two_digits'"),
        ({"architecture": "mtna"}, "did you mean 'mtan'"),
        ({"balancer": "gradnrom"}, "did you mean 'gradnorm'"),
        ({"balancer": "left=1"}, "must name the tasks left, right in this order"),
        ({"balancer": "left=1,right=2,left=3"}, "must name the tasks left, right in this order"),
        ({"balancer": "right=1,left=1"}, "must name the tasks left, right in this order"),
        ({"balancer": "left= 1,right=1"}, "without spaces, such as 'left=1,right=1', got"),
        ({"balancer": "left=0,right=0.0"}, "weights must be above 0, got 'left=0,right=0.0'"),
        ({"balancer": "left=-1,right=1"}, "weight of task 'left' must be finite and ≥ 0"),
        ({"balancer": "left=one,right=1"}, "weight of task 'left' must be finite and ≥ 0"),
        ({"learning_rate": 0.0}, "learning rate must be finite and > 0, got 0.0"),
        ({"learning_rate": float("inf")}, "learning rate must be finite and > 0, got inf"),
        ({"learning_rate": 1e308}, "learning rate must be at most 1e+30, got 1e+308"),
        ({"seed": -1}, "seed must be a whole number from 0"),
        (
            {"data": "seen_and_heard", "architecture": "mtan"},
            "'mtan' can't take the inputs of data set 'seen_and_heard'; use one of hard_sharing",
        ),
    ],
)
def test_a_run_that_can_not_be_is_refused_in_a_sentence(change, sentence) -> None:
    with pytest.raises(ValueError) as caught:
        Setting(**RUN | change)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_profile_and_no_epochs_are_refused() -> None:
    with pytest.raises(ValueError, match="profile must be one of 'quick', 'full'"):
        make_protocol("ful")
    with pytest.raises(ValueError, match="epochs must be a whole number from 1 on, got 0"):
        make_protocol("full", epochs=0)


def test_an_empty_grid_is_refused() -> None:
    with pytest.raises(ValueError, match="the grid is empty"):
        settings([], ["mtan"], ["equal"])
