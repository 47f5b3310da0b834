"""The solution of every exercise of every lesson passes its own checker."""

from __future__ import annotations

import importlib
import pkgutil

import pytest
from exercise_answers import told
from mixer_cases import trained_mixer
from viewer_cases import trained_viewer

from mtl_tutorial import exercises
from mtl_tutorial.exercises import Exercise

EXERCISES = {
    f"{module.name}.{name}": exercise
    for module in pkgutil.iter_modules(exercises.__path__)
    if module.name.startswith("lesson_")
    for name, exercise in vars(
        importlib.import_module(f"mtl_tutorial.exercises.{module.name}")
    ).items()
    if isinstance(exercise, Exercise)
}
WIDGETS = {  # what a solution finds in its lesson
    "lesson_03.q3": {"mixer": trained_mixer},
    "lesson_04.q4": {"viewer": trained_viewer},
}


def test_every_lesson_has_exercises() -> None:
    lessons = {name.partition(".")[0] for name in EXERCISES}
    assert {"lesson_00", "lesson_01", "lesson_02"} <= lessons


@pytest.mark.parametrize("name", EXERCISES)
def test_the_solution_passes_its_checker(name, capsys) -> None:
    namespace = {widget: make() for widget, make in WIDGETS.get(name, {}).items()}
    exec(EXERCISES[name].solution_code, namespace)
    assert "Correct." in told(EXERCISES[name], namespace["answer"], capsys)
