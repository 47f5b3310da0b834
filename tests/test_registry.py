"""Balancers by their names."""

from __future__ import annotations

import pytest
import torch
from balancing_cases import floats
from torch.nn import functional as F

from mtl_tutorial.balancing import BALANCERS, MGDA, Balancer, FixedWeights, Making, make_balancer
from mtl_tutorial.balancing.registry import fixed_weights, method_of
from mtl_tutorial.tasks import Task, accuracy

TASKS = tuple(Task(name, F.cross_entropy, accuracy, 10) for name in ("left", "right"))


def making():
    return Making(TASKS, 5, torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", BALANCERS)
def test_every_name_makes_a_new_balancer(name):
    try:
        one, other = make_balancer(name, making()), make_balancer(name, making())
    except ValueError as error:
        pytest.skip(str(error))
    assert isinstance(one, Balancer)
    assert one is not other
    assert method_of(name) == name


def test_an_unknown_name_is_refused_with_the_nearest():
    with pytest.raises(ValueError, match=r"balancer must be one of .*got 'mdga'; did you mean 'mg"):
        make_balancer("mdga", making())


def test_a_library_that_is_not_here_is_named_with_the_way_to_get_it(monkeypatch):
    def missing(making):
        raise ImportError("No module named 'ecos'")

    monkeypatch.setitem(BALANCERS, "mine", missing)
    with pytest.raises(ValueError, match=r"'mine' needs a library .* pip install .*'ecos'"):
        make_balancer("mine", making())


@pytest.mark.parametrize("made", [None, MGDA, lambda losses, model: None])
def test_an_entry_that_makes_no_balancer_is_refused(monkeypatch, made):
    monkeypatch.setitem(BALANCERS, "mine", lambda making: made)
    with pytest.raises(ValueError, match="balancer 'mine' must be a Balancer, got"):
        make_balancer("mine", making())


def test_fixed_weights_are_read_by_name():
    balancer = make_balancer("left=0.5,right=1.5", making())
    assert isinstance(balancer, FixedWeights)
    anchor = torch.ones((), requires_grad=True)
    weights = balancer.backward({"left": anchor * 1, "right": anchor * 1}, torch.nn.Linear(1, 1))
    assert floats(weights) == {"left": 0.5, "right": 1.5}
    assert method_of("left=0.5,right=1.5") == "fixed"
    assert fixed_weights("equal", ["left", "right"]) is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("right=1,left=1", "must name the tasks left, right in this order.*'left=1,right=1'"),
        ("left=1", "must name the tasks left, right"),
        ("left=1,right=1,more=1", "must name the tasks left, right"),
        ("left=1, right=1", "without spaces"),
        ("left=1,right=", "weight of task 'right' must be finite and ≥ 0, got ''"),
        ("left=1,right=-2", "weight of task 'right' must be finite and ≥ 0, got '-2'"),
        ("left=nan,right=1", "weight of task 'left' must be"),
        ("left=0,right=0", "at least one of the fixed weights must be above 0"),
        ("=", "must name the tasks"),
    ],
)
def test_fixed_weights_that_cannot_be_used_are_refused(text, words):
    with pytest.raises(ValueError, match=words):
        make_balancer(text, making())
