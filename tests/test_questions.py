"""The tasks of every data set are known without its digits, and are those of its scenes."""

from __future__ import annotations

import subprocess
import sys

import pytest

from mtl_tutorial import data
from mtl_tutorial.data import TASKS, located_digits


@pytest.mark.parametrize("name", TASKS)
def test_the_tasks_of_a_data_set_are_those_of_its_scenes(name) -> None:
    assert getattr(data, name)("test").tasks == TASKS[name]


def test_every_kind_of_scenes_has_its_tasks_in_the_table() -> None:
    makers = {"located_digits", "untouched_digits", "two_digits", "seen_and_heard"}
    assert makers == TASKS.keys()


def test_only_the_mask_depends_on_the_size() -> None:
    *same, mask = located_digits("test", size=20, extent=(8, 20)).tasks
    assert tuple(same) == TASKS["located_digits"][:-1]
    assert (mask.name, mask.out_features) == ("mask", 400)


def test_tasks_are_known_without_digits() -> None:
    code = "import sys; from mtl_tutorial.data import TASKS; assert 'sklearn' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
