"""Names stand for the data sets, networks and balancers that they say."""

from __future__ import annotations

import pytest

from mtl_tutorial import __main__ as command_line
from mtl_tutorial.balancing.registry import BALANCERS
from mtl_tutorial.experiments.catalogue import ARCHITECTURES, DATA_SETS, load_scenes
from mtl_tutorial.experiments.protocol import PROTOCOLS


@pytest.mark.parametrize("name", DATA_SETS)
def test_a_data_set_has_the_tasks_that_the_catalogue_says(name, request) -> None:
    digits, sound = PROTOCOLS["quick"].sources(name)
    if digits != "embedded":
        request.getfixturevalue("real_data")
    scenes = load_scenes(name, digits, sound, "cpu")
    for split in ("train", "validation", "test"):
        assert tuple(task.name for task in scenes[split].tasks) == DATA_SETS[name].tasks
    load_scenes.cache_clear()  # the next test may have another data folder


def test_the_help_names_what_the_catalogue_has() -> None:
    def named(text: str) -> set[str]:
        return {word.split()[0] for word in text.partition(";")[0].split(", ")}

    assert named(command_line.DATA) == set(DATA_SETS)
    assert named(command_line.ARCHITECTURE) == set(ARCHITECTURES)
    assert named(command_line.BALANCER) == set(BALANCERS)
