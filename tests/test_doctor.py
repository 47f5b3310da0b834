"""The doctor command: what it finds on this machine, and what it says about broken ones."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from contextlib import closing
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from mtl_tutorial.commands.doctor import (
    DATA_FILES,
    WIDTH,
    Check,
    check_data,
    check_gpu,
    check_jupyter,
    check_libraries,
    check_network,
    check_python,
    check_torch,
    examine,
    format_checks,
    is_healthy,
    is_reachable,
    probe_torch,
    report,
    unmet_requirements,
)

GOOD = {"jupyterlab": "4.4.1", "ipywidgets": "8.1.5", "jupyterlab_widgets": "3.0.13"}
GOOD["ipykernel"] = "6.29.5"
NMS = "operator torchvision::nms does not exist"


def test_the_environment_that_runs_the_tests_is_healthy():
    checks = examine(network=False)
    assert is_healthy(checks), format_checks(checks)
    assert "network" not in [check.name for check in checks]


@pytest.mark.parametrize(
    ("version", "ok"), [((3, 9, 18), False), ((3, 10, 0), True), ((3, 14, 1), True), ((4, 0), True)]
)
def test_python_must_be_new_enough(version, ok):
    check = check_python(version)
    assert check.ok is ok
    assert bool(check.advice) is not ok


def test_torch_is_really_imported_and_its_operators_run():
    found = probe_torch()
    assert found["fit"] is True
    assert check_torch(found).ok is True


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ({"error": "No module named 'torch'"}, "torch is not installed"),
        ({"torch": "2.4.0", "error": "No module named 'torchvision'"}, "without torchvision"),
        ({"torch": "2.4.0", "error": NMS}, f"torchvision does not fit torch 2.4.0: {NMS}"),
        ({"error": "libcudart.so.12: cannot open"}, "can't be imported: libcudart.so.12"),
        ({"error": "importing torch ended Python with code -11 (no message)"}, "code -11"),
    ],
)
def test_each_way_in_which_torch_fails_gets_a_message_and_an_advice(found, said):
    check = check_torch(found)
    assert check.ok is False
    assert said in check.message
    assert "pip install" in check.advice


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, None),
        ({"jupyterlab": "3.6.7"}, "jupyterlab is 3.6.7"),
        ({"ipywidgets": "7.8.1"}, "ipywidgets is 7.8.1"),
        ({"jupyterlab_widgets": "1.1.1"}, "jupyterlab_widgets is 1.1.1"),
        ({"jupyterlab_widgets": None}, "jupyterlab_widgets is not installed"),
        ({"ipykernel": None}, "ipykernel is not installed"),
    ],
)
def test_jupyterlab_and_the_widgets_must_fit_together(changes, said):
    versions = {name: version for name, version in {**GOOD, **changes}.items() if version}
    check = check_jupyter(versions)
    assert check.ok is (said is None)
    if said:
        assert said in check.message
        assert "pip install" in check.advice


def test_a_library_that_is_missing_or_older_than_declared_is_unmet(tmp_path, monkeypatch):
    lines = ["no-such-library>=1", "pytest>=999.0", "pytest>=1.10", "pytest", "x>=1; extra == 'y'"]
    info = tmp_path / "mtl_tutorial-0.dist-info"
    info.mkdir()
    requires = "".join(f"Requires-Dist: {line}\n" for line in lines)
    (info / "METADATA").write_text(f"Name: mtl_tutorial\nVersion: 0\n{requires}")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert unmet_requirements() == (["no-such-library>=1", "pytest>=999.0"], True)


def test_a_missing_library_is_named():
    assert check_libraries([], True).ok is True
    assert "pandas>=2.1" in check_libraries(["pandas>=2.1"], True).message
    assert check_libraries(["pandas>=2.1"], True).ok is False
    assert check_libraries([], False).ok is False


def test_a_machine_without_a_gpu_is_fine_and_a_gpu_that_fails_is_no_more_than_a_note():
    assert check_gpu({"fit": True}, has_nvidia_driver=False) == Check(
        "GPU", None, "none that torch can use; only the full training runs want one"
    )
    unseen = check_gpu({"fit": True, "cuda_build": None}, has_nvidia_driver=True)
    assert unseen.ok is None
    assert "without CUDA" in unseen.advice
    gpu = {"fit": True, "gpu": "Old GPU", "gpu_gb": 4.0}
    assert check_gpu(gpu, has_nvidia_driver=True).ok is True
    failing = check_gpu({**gpu, "gpu_error": "no kernel image"}, has_nvidia_driver=True)
    assert failing.ok is None
    assert "no kernel image" in failing.message


def test_the_data_folder_need_not_exist_and_stays_as_it_was(tmp_path):
    check = check_data(tmp_path / "not" / "yet")
    assert check.ok is True
    assert "no data set yet" in check.message
    assert list(tmp_path.iterdir()) == []


def test_a_data_set_is_there_when_all_its_files_are_packed_or_not(tmp_path):
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name in DATA_FILES[:3]:
        (raw / f"{name}.gz").touch()
    assert "no data set yet" in check_data(tmp_path).message
    (raw / DATA_FILES[3]).touch()
    assert "has MNIST;" in check_data(tmp_path).message


def test_the_data_sets_files_are_those_that_torchvision_reads():
    from torchvision.datasets import MNIST, FashionMNIST

    for kind in (MNIST, FashionMNIST):
        assert {Path(url).stem for url, _ in kind.resources} == set(DATA_FILES)


def test_a_data_folder_that_can_not_be_written_is_wrong_and_the_advice_names_the_variable(tmp_path):
    (tmp_path / "file").touch()
    check = check_data(tmp_path / "file" / "folder")
    assert check.ok is False
    assert "MTL_DATA_ROOT" in check.advice


def test_no_network_is_fine_and_the_message_says_that_the_digits_need_none():
    check = check_network(False)
    assert check.ok is None
    assert "embedded digits" in check.message


class Refuse(BaseHTTPRequestHandler):
    """A server that is there and says no."""

    def do_HEAD(self) -> None:
        self.send_error(403)

    def log_message(self, *args: object) -> None:
        pass


def test_a_server_that_refuses_is_reached_and_a_closed_port_is_not(monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with HTTPServer(("127.0.0.1", 0), Refuse) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        assert is_reachable(f"http://127.0.0.1:{server.server_port}/", seconds=30)
        thread.join()
    with closing(socket.socket()) as unused:
        unused.bind(("127.0.0.1", 0))
        assert not is_reachable(f"http://127.0.0.1:{unused.getsockname()[1]}/", seconds=30)


def test_a_server_that_never_answers_is_given_up():
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        port = silent.getsockname()[1]
        assert not is_reachable(f"http://127.0.0.1:{port}/", seconds=0.2)


def test_the_report_fits_its_width_and_says_first_what_is_wrong():
    checks = [
        Check("Python", True, "3.12.1"),
        check_torch({"torch": "2.4.0", "error": NMS + " " + "very " * 30 + "long"}),
        check_jupyter({}),
    ]
    text = format_checks(checks)
    assert max(map(len, text.splitlines())) <= WIDTH == 100
    assert text.splitlines()[0].split() == ["ok", "Python", "3.12.1"]
    assert "WRONG  PyTorch" in text
    assert text.splitlines()[-1] == "To mend: PyTorch, JupyterLab."
    assert not is_healthy(checks)
    assert text.isascii()


def test_the_report_of_this_machine_fits_its_width_and_shows_no_home_folder(monkeypatch):
    monkeypatch.delenv("MTL_DATA_ROOT", raising=False)
    text = report(network=False)
    assert max(map(len, text.splitlines())) <= 100
    assert str(Path.home() / ".cache") not in text


def doctor(**environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "mtl_tutorial", "doctor", "--no-network"],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_command_ends_with_0_where_all_is_well():
    done = doctor()
    assert done.returncode == 0, done.stdout
    assert done.stderr == ""


def test_the_command_helps_even_where_torch_ends_the_interpreter(tmp_path):
    (tmp_path / "torch.py").write_text("import os; os._exit(7)")
    done = doctor(PYTHONPATH=str(tmp_path))
    assert done.returncode == 1
    assert done.stderr == ""
    assert "ended Python with code 7" in done.stdout
    assert "--force-reinstall torch torchvision" in " ".join(done.stdout.split())


def test_the_command_finds_a_torchvision_whose_operators_are_missing(tmp_path):
    folder = tmp_path / "torchvision"
    folder.mkdir()
    (folder / "__init__.py").write_text(f"__version__ = '0.1'\nraise RuntimeError({NMS!r})")
    done = doctor(PYTHONPATH=str(tmp_path))
    assert done.returncode == 1
    assert NMS in " ".join(done.stdout.split())
    assert "To mend: PyTorch." in done.stdout
