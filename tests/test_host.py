"""A call to the CPU can be noted where a step is captured."""

from __future__ import annotations

import pytest
import torch

from mtl_tutorial.balancing.host import handled_by, on_host


def test_the_result_is_brought_to_where_it_is_asked_for() -> None:
    given, like = torch.ones(2), torch.ones(2, dtype=torch.float64)
    found = on_host(torch.neg, given, like)
    assert torch.equal(found, -like) and found.dtype == torch.float64


def test_what_is_called_can_be_noted_in_place_of_being_called() -> None:
    noted = []

    def note(function, given, like):
        noted.append((function, given))
        return like * 0

    given = torch.ones(2)
    with handled_by(note):
        assert torch.equal(on_host(torch.neg, given, given), given * 0)
    assert noted == [(torch.neg, given)]
    assert torch.equal(on_host(torch.neg, given, given), -given)


def test_a_handler_is_gone_after_an_error() -> None:
    with pytest.raises(KeyError), handled_by(lambda *given: None):
        raise KeyError
    assert torch.equal(on_host(torch.neg, torch.ones(1), torch.ones(1)), -torch.ones(1))
