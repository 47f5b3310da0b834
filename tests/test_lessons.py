"""A lesson is found by its number, its name or its path."""

from __future__ import annotations

from pathlib import Path

import pytest

from mtl_tutorial.commands import UsageError
from mtl_tutorial.commands.lessons import find_lesson, lessons

NAMES = ("00_start_here", "02_hard_sharing", "10_pareto_and_zoo")


@pytest.fixture
def folder(tmp_path) -> Path:
    for name in NAMES:
        (tmp_path / f"{name}.ipynb").touch()
    for other in ("notes.ipynb", "02_hard_sharing.txt"):
        (tmp_path / other).touch()
    return tmp_path


def test_lessons_come_in_the_order_of_the_course_and_nothing_else_does(folder) -> None:
    assert [path.stem for path in lessons(folder)] == list(NAMES)


@pytest.mark.parametrize("name", ["2", "02", "02_hard_sharing", "02_hard_sharing.ipynb"])
def test_a_lesson_is_found_by_number_and_by_name(folder, name) -> None:
    assert find_lesson(name, folder).stem == "02_hard_sharing"


def test_a_lesson_is_found_by_its_path_wherever_it_lies(folder, tmp_path) -> None:
    assert find_lesson(str(folder / "notes.ipynb")) == (folder / "notes.ipynb").resolve()


@pytest.mark.parametrize("name", ["1", "hard_sharing", "02_hard", "", "../02_hard_sharing"])
def test_a_name_that_means_no_lesson_is_answered_with_those_that_there_are(folder, name) -> None:
    with pytest.raises(UsageError, match="00_start_here, 02_hard_sharing, .* got '") as error:
        find_lesson(name, folder)
    assert str(error.value).endswith(f"got {name!r}")


def test_a_folder_that_is_called_like_a_notebook_is_named(folder) -> None:
    (folder / "03_folder.ipynb").mkdir()
    with pytest.raises(UsageError, match="is a folder, and a notebook is a file"):
        find_lesson(str(folder / "03_folder.ipynb"), folder)


def test_a_package_without_its_lessons_says_where_they_are(tmp_path) -> None:
    with pytest.raises(UsageError, match="clone the repository"):
        lessons(tmp_path)
