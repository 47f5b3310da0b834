"""The one kernel of the course is the Python that runs."""

from __future__ import annotations

import sys

import pytest
from jupyter_client.kernelspec import NoSuchKernel

from mtl_tutorial.commands.kernel import RunningPython, name_kernel


def test_the_kernel_is_the_running_python_and_says_nothing_but_errors() -> None:
    spec = RunningPython().get_kernel_spec("python3")
    assert spec.argv[0] == sys.executable
    assert "--log-level=ERROR" in spec.argv


def test_a_kernel_of_the_users_is_not_offered(tmp_path, monkeypatch) -> None:
    folder = tmp_path / "kernels" / "other"
    folder.mkdir(parents=True)
    (folder / "kernel.json").write_text('{"argv": ["other"], "display_name": "Other"}')
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    assert set(RunningPython().find_kernel_specs()) == {"python3"}
    with pytest.raises(NoSuchKernel):
        RunningPython().get_kernel_spec("other")


def test_a_notebook_names_the_kernel_without_a_version() -> None:
    metadata = {"language_info": {"name": "python", "version": "3.11.7"}, "title": "kept"}
    name_kernel(metadata)
    assert metadata["language_info"] == {"name": "python"}
    assert metadata["kernelspec"]["name"] == "python3" and metadata["title"] == "kept"
