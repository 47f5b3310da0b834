"""A state says whose numbers it holds, and what it does not say is not guessed."""

from __future__ import annotations

import pytest
import torch

from mtl_tutorial.architectures.named_state import facts_in_state, names_in_state, told


def state(names: list[str], named: bool = True) -> dict[str, torch.Tensor]:
    numbers = {f"net.heads.{name}.weight": torch.zeros(1) for name in names}
    return numbers | ({"net._extra_state": told(tasks=names)} if named else {})


def read(saved: dict, own: list[str]) -> list[str]:
    return names_in_state(saved, "net.", "tasks", "heads.", own)


@pytest.mark.parametrize("names", [["a", "b"], ["digit", "größe", "日本"]])
def test_names_come_back_in_their_order(names):
    assert read(state(names), names[::-1]) == names
    assert told(tasks=names).dtype == torch.uint8


def test_names_are_read_whatever_the_order_of_the_keys():
    saved = dict(sorted(state(["b", "a"]).items()))
    assert read(saved, ["a", "b"]) == ["b", "a"]


def test_a_state_without_names_is_taken_in_the_order_of_its_keys_alone():
    assert read(state(["a", "b"], named=False), ["a", "b"]) == ["a", "b"]
    with pytest.raises(ValueError, match=r"no '_extra_state'.* order \['b', 'a'\], this"):
        read(state(["b", "a"], named=False), ["a", "b"])


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("names", [["a"], ["a", "c"], ["a", "b", "c"], []])
def test_other_names_are_refused(names, named):
    if names or not named:
        with pytest.raises(ValueError, match="is of a network with the tasks .* this network has"):
            read(state(names, named), ["a", "b"])


def test_facts_come_back_as_they_were_told():
    saved = {"net._extra_state": told(tasks=["a"], after=(1, 3))}
    assert facts_in_state(saved, "net.") == {"tasks": ["a"], "after": [1, 3]}
    assert facts_in_state(saved, "") == {}
