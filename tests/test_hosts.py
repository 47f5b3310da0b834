"""Where the course is published is a setting, and its lessons lead to Colab and Binder by it."""

from __future__ import annotations

import subprocess
import sys

import nbformat
import pytest

from mtl_tutorial.commands import UsageError, hosts
from mtl_tutorial.commands.hosts import address, elsewhere, repository, write_for_colab
from mtl_tutorial.places import NOTEBOOKS

SETTINGS = """[tool.other]
site = "https://example.org/other/"
[tool.mtl_tutorial]
site = "https://example.org/course/"  # a word on it
repository = "https://github.com/someone/course"
[tool.third]
site = "https://example.org/third/"
"""


@pytest.fixture(autouse=True)
def settings(tmp_path, monkeypatch):
    """A file of settings, and none in the environment."""
    for name in ("MTL_SITE", "MTL_REPOSITORY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(hosts, "SETTINGS", tmp_path / "pyproject.toml")
    hosts.SETTINGS.write_text(SETTINGS)
    return hosts.SETTINGS


def test_addresses_are_settings_that_the_environment_overrides(monkeypatch, settings) -> None:
    assert address() == "https://example.org/course/"
    assert repository() == "someone/course"
    monkeypatch.setenv("MTL_SITE", "https://example.org/fork/")
    monkeypatch.setenv("MTL_REPOSITORY", "")
    assert address() == "https://example.org/fork/"
    assert repository() == ""


@pytest.mark.parametrize("text", [None, "", "[tool.other]\nsite = 'x'\n", "[tool.mtl_tutorial]\n"])
def test_without_settings_nothing_is_known(settings, text) -> None:
    settings.unlink() if text is None else settings.write_text(text)
    assert address() == repository() == ""
    assert elsewhere("02_hard_sharing") == {}


@pytest.mark.parametrize(
    "text",
    [
        '[tool.mtl_tutorial]\nsite="https://example.org/a/"',
        "[tool.mtl_tutorial]  # a word\n\n  site = 'https://example.org/a'  # another\n",
        '[tool.mtl_tutorial]\r\nsite = "https://example.org/a"\r\n[tool.x]\r\nsite = "b"\r\n',
    ],
)
def test_settings_are_read_in_every_form_that_toml_has(settings, text) -> None:
    settings.write_text(text)
    assert address() == "https://example.org/a/"


def test_a_table_that_follows_at_once_is_another(settings) -> None:
    settings.write_text('[tool.mtl_tutorial]\n[tool.x]\nsite = "https://example.org/a"\n')
    assert address() == ""
    settings.write_bytes(b"\xff\xfe[")
    assert address() == ""


@pytest.mark.parametrize("given", ["nonsense here", "example.org", "ftp://a/b", "https://", "//a"])
def test_what_is_no_address_of_a_site_is_told(monkeypatch, given) -> None:
    monkeypatch.setenv("MTL_SITE", given)
    with pytest.raises(UsageError, match="https://HOST/FOLDER/, got .*MTL_SITE"):
        address()


@pytest.mark.parametrize("end", ["", "/", ".git"])
def test_a_repository_is_named_as_people_copy_it(monkeypatch, end) -> None:
    monkeypatch.setenv("MTL_REPOSITORY", f"https://github.com/a-team/mtl.course{end}")
    assert repository() == "a-team/mtl.course"


@pytest.mark.parametrize(
    "given",
    ["someone/course", "https://gitlab.com/a/b", "https://github.com/a", "git@github.com:a/b.git"],
)
def test_what_is_no_address_of_a_repository_is_told(monkeypatch, given) -> None:
    monkeypatch.setenv("MTL_REPOSITORY", given)
    with pytest.raises(UsageError, match=r"https://github.com/OWNER/NAME, got .*MTL_REPOSITORY"):
        repository()


def test_a_lesson_leads_to_colab_and_binder() -> None:
    assert elsewhere("02_hard_sharing") == {
        "On Colab": "https://colab.research.google.com/github/someone/course/blob/colab/"
        "02_hard_sharing.ipynb",
        "On Binder": "https://mybinder.org/v2/gh/someone/course/HEAD"
        "?urlpath=lab/tree/my_lessons/02_hard_sharing.ipynb",
    }


def test_notebooks_for_colab_are_learners_copies_that_get_the_course_first(tmp_path) -> None:
    lessons = sorted(NOTEBOOKS.glob("*.ipynb"))[:3]
    write_for_colab(lessons, tmp_path / "colab")
    for lesson in lessons:
        notebook = nbformat.read(tmp_path / "colab" / lesson.name, as_version=4)
        nbformat.validate(notebook)
        title, set_up, *_ = notebook.cells
        assert title.source.startswith("# ")
        assert "git+https://github.com/someone/course" in set_up.source
    assert "Open after you have run" in str(notebook)  # answers are not yet shown


def test_the_first_cell_does_nothing_where_the_course_is_installed(tmp_path) -> None:
    """Run as IPython runs it, in a process without the tools that it would install with."""
    cell = hosts.SET_UP.format("someone/course")
    run = (
        "from IPython.core.interactiveshell import InteractiveShell as Shell\n"
        f"result = Shell.instance().run_cell({cell!r})\n"
        "result.raise_error()"
    )
    done = subprocess.run([sys.executable, "-c", run], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_without_a_repository_there_are_no_notebooks_for_colab(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("MTL_REPOSITORY", "")
    write_for_colab(sorted(NOTEBOOKS.glob("*.ipynb")), tmp_path / "colab")
    assert not (tmp_path / "colab").exists()
