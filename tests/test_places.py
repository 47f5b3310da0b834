"""A wheel carries the whole course: its lessons and results are found without a checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from test_lab import command, environment, running_lab

from mtl_tutorial.commands.lessons import lessons
from mtl_tutorial.commands.progress import MAP
from mtl_tutorial.places import PACKAGE, course_folder, own_folder


@pytest.fixture(scope="module")
def site(root: Path, tmp_path_factory) -> Path:
    """A folder in which the wheel of this checkout is installed, and nothing else."""
    built, site = tmp_path_factory.mktemp("built"), tmp_path_factory.mktemp("site")
    making = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory"]
    subprocess.run([*making, str(built)], cwd=root, check=True, capture_output=True)
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    return site


def run(site: Path, place: Path, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, *words],
        cwd=place,
        env=environment(place, PYTHONPATH=str(site)),
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_it_holds_every_lesson_and_result_and_nothing_that_git_ignores(site, root) -> None:
    course = site / "mtl_tutorial" / "course"
    held = {path.relative_to(course).as_posix() for path in course.rglob("*") if path.is_file()}
    not_ignored = ["--cached", "--others", "--exclude-standard", "--", "notebooks", "results"]
    listed = subprocess.run(
        ["git", "ls-files", *not_ignored], cwd=root, capture_output=True, text=True, check=True
    )
    assert held == set(listed.stdout.split("\n")) - {""}


def test_results_are_found_without_a_checkout(site, tmp_path) -> None:
    code = """
from mtl_tutorial.experiments.masks import long_runs
from mtl_tutorial.experiments.store import committed_results
import mtl_tutorial
print(mtl_tutorial.__file__, len(committed_results("quick_60_epochs")) > 9, len(long_runs()[0]) > 9)
"""
    where, *found = run(site, tmp_path, "-c", code).split()
    assert Path(where).is_relative_to(site)
    assert found == ["True", "True"]


def test_lab_copies_the_lessons_to_where_one_works(site, tmp_path) -> None:
    place = tmp_path / "work"
    place.mkdir()
    with running_lab(place, "02", PYTHONPATH=str(site)) as lab:
        assert lab.path == "/lab/tree/02_hard_sharing.ipynb"
        held = {entry["name"] for entry in lab.ask("/api/contents")[1]["content"]}
        assert held == {path.name for path in lessons()} | {MAP}
    assert len(list((place / "my_lessons").glob("*.ipynb"))) == len(lessons())


def test_it_says_so_where_copies_can_not_be_made(site, tmp_path) -> None:
    (tmp_path / "my_lessons").touch()
    done = subprocess.run(
        command("lab"),
        cwd=tmp_path,
        env=environment(tmp_path, PYTHONPATH=str(site)),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert f"{tmp_path / 'my_lessons'} is no folder" in done.stderr


def test_copies_of_a_checkout_lie_beside_its_lessons(root, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert course_folder("notebooks") == root / "notebooks"
    assert own_folder(root / "notebooks") == root / "my_lessons"
    assert own_folder(PACKAGE / "course" / "notebooks") == Path(os.getcwd(), "my_lessons")
