"""A start outside of a control's ends is refused."""

from __future__ import annotations

import math

import pytest

from mtl_tutorial.widgets.limits import check_within


@pytest.mark.parametrize("value", [0, 2.5, 10])
def test_a_number_between_the_ends_or_at_one_is_taken(value) -> None:
    check_within("noise", value, 0, 10)


@pytest.mark.parametrize("value", [-0.1, 10.5, math.nan, math.inf, "3", None, 3j])
def test_any_other_start_is_named_with_the_ends(value) -> None:
    with pytest.raises(ValueError, match="noise must be a number from 0 to 10, got ") as error:
        check_within("noise", value, 0, 10)
    assert repr(value) in str(error.value)
