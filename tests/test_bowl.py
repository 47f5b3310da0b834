"""The bowl is lowest where its formula says, and the path leads there."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtl_tutorial.data.questions import BOX, DIGIT
from mtl_tutorial.experiments.bowl import compute_bowl

UNHURRIED = settings(deadline=None, max_examples=40)


@UNHURRIED
@given(st.floats(0.002, 9), st.floats(0.002, 9))
def test_the_lowest_point_of_the_bowl_is_its_lowest(digit, box) -> None:
    bowl = compute_bowl((DIGIT, BOX), (digit, box))
    assert bowl.lowest == pytest.approx((math.log(2 * digit), math.log(box)))
    assert bowl.height.min() >= -1e-9
    assert bowl.height.min() < 0.1


def test_the_path_starts_at_zero_and_ends_near_the_lowest_point() -> None:
    bowl = compute_bowl((DIGIT, BOX), (2.3, 0.02))
    assert bowl.path[0].tolist() == [0, 0]
    assert math.dist(bowl.path[-1], bowl.lowest) < 0.3
