"""The doctor command: what it finds on this machine, and what it says about broken ones."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import threading
from contextlib import closing
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib import metadata
from pathlib import Path

import pytest

from mtl_tutorial.commands.doctor import (
    DATA_FILES,
    MODULES,
    WIDTH,
    Check,
    broken_imports,
    check_data,
    check_gpu,
    check_jupyter,
    check_lessons,
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


@pytest.fixture(scope="module")
def checks() -> list[Check]:
    """What is found on this machine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MTL_DATA_ROOT", raising=False)
        return examine(network=False)


def test_the_environment_that_runs_the_tests_is_healthy(checks):
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


def data_in(root: Path) -> Check:
    return check_data({"fit": True, "data_root": str(root)})


def test_the_data_folder_need_not_exist_and_stays_as_it_was(tmp_path):
    check = data_in(tmp_path / "not" / "yet")
    assert check.ok is True
    assert "no data set yet" in check.message
    assert list(tmp_path.iterdir()) == []


def test_a_data_set_is_there_when_all_its_files_are_packed_or_not(tmp_path):
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name in DATA_FILES[:3]:
        (raw / f"{name}.gz").touch()
    assert "no data set yet" in data_in(tmp_path).message
    (raw / DATA_FILES[3]).touch()
    assert "has MNIST;" in data_in(tmp_path).message


def test_the_data_sets_files_are_those_that_torchvision_reads():
    from torchvision.datasets import MNIST, FashionMNIST

    for kind in (MNIST, FashionMNIST):
        assert {Path(url).stem for url, _ in kind.resources} == set(DATA_FILES)


def test_a_data_folder_that_can_not_be_written_is_wrong_and_the_advice_names_the_variable(tmp_path):
    (tmp_path / "file").touch()
    check = data_in(tmp_path / "file" / "folder")
    assert check.ok is False
    assert "MTL_DATA_ROOT" in check.advice


def test_a_data_folder_that_can_not_be_made_is_wrong_too(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    assert data_in(tmp_path / "link").ok is False
    assert data_in(tmp_path / "link" / "data").ok is False
    assert data_in(tmp_path / ("a" * 300)).ok is False
    assert data_in(Path("/dev/null/data")).ok is False


def test_a_course_that_can_not_be_imported_is_not_laid_at_the_door_of_torch():
    broken = check_data({"fit": True, "error": "No module named 'numpy'"})
    assert broken.ok is False
    assert "the course can't be imported: No module named 'numpy'" in broken.message
    assert "PyTorch" in check_data({"error": "No module named 'torch'"}).message


def test_a_user_without_a_home_folder_is_told_what_to_set(monkeypatch):
    def nobody():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", nobody)
    assert "/dev/null" in data_in(Path("/dev/null")).message
    homeless = check_data({"fit": True, "error": "Could not determine home directory."})
    assert "MTL_DATA_ROOT" in homeless.advice


def test_lessons_must_be_here_and_copies_of_them_must_be_writable(tmp_path, monkeypatch):
    lessons, own = tmp_path / "notebooks", tmp_path / "my_lessons"
    lessons.mkdir()
    assert "clone the repository" in check_lessons(lessons).advice
    (lessons / "00_start_here.ipynb").touch()
    assert check_lessons(lessons) == Check("lessons", True, "1, and they can be saved")
    own.mkdir()
    (own / "00_start_here.ipynb").touch()
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    check = check_lessons(lessons)
    assert check.ok is False
    assert "00_start_here.ipynb can't be written" in check.message
    shutil.rmtree(own)
    own.touch()
    assert "my_lessons can't be written" in check_lessons(lessons).message


def test_every_library_that_the_course_depends_on_is_imported():
    from packaging.requirements import Requirement

    lines = [Requirement(line) for line in metadata.requires("mtl_tutorial")]
    needed = {line.name for line in lines if not line.marker}
    assert set(MODULES) == needed - {"torch", "torchvision", "torchjd"}


def test_a_library_whose_import_fails_or_ends_python_is_named(tmp_path, monkeypatch):
    (tmp_path / "tqdm.py").write_text("raise ImportError('numpy.core\\nfailed')")
    (tmp_path / "joblib.py").write_text("print('TRYING to help'); import os; os._exit(3)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    modules = {name: name for name in ("filelock", "tqdm", "no-such-library", "joblib")}
    broken = broken_imports(modules)
    assert set(broken) == {"tqdm", "joblib"}
    assert broken["tqdm"] == "numpy.core"
    assert "code 3" in broken["joblib"]
    check = check_libraries(["pandas>=2.1"], True, broken)
    assert check.ok is False
    assert "pandas>=2.1; tqdm can't be imported: numpy.core; joblib can't" in check.message
    assert check.advice.endswith("'python -m pip install --force-reinstall tqdm joblib'")


def test_a_torchjd_that_can_not_be_imported_is_a_library_and_not_torch(tmp_path, monkeypatch):
    (tmp_path / "torchjd.py").write_text("raise ImportError('no quadprog')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr("mtl_tutorial.commands.doctor.broken_imports", lambda modules: {})
    by_name = {check.name: check for check in examine(network=False)}
    assert by_name["PyTorch"].ok is True
    assert by_name["libraries"].message == "torchjd can't be imported: no quadprog"


def test_what_an_extra_needs_is_needed_too(tmp_path, monkeypatch):
    for name, requires in [
        ("mtl_tutorial", ["some-library[fast, other]>=1"]),
        (
            "some-library",
            ["missing-solver>=2; extra == 'fast'", "never; extra == 'slow'", "pytest"],
        ),
    ]:
        info = tmp_path / f"{name.replace('-', '_')}-1.dist-info"
        info.mkdir()
        lines = "".join(f"Requires-Dist: {line}\n" for line in requires)
        (info / "METADATA").write_text(f"Name: {name}\nVersion: 1\n{lines}")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert unmet_requirements() == (["missing-solver>=2"], True)


@pytest.mark.parametrize(
    ("installed", "wanted", "met"),
    [
        ("2.4", "2.4.0", True),
        ("2.4.0", "2.4", True),
        ("2.10", "2.9", True),
        ("2.4rc1+cpu", "2.5", False),
        ("unknown", "1", False),
        ("", "1", False),
        (None, "1", False),
    ],
)
def test_versions_are_compared_by_their_numbers(installed, wanted, met, monkeypatch):
    monkeypatch.setattr(metadata, "requires", lambda name: [f"some-library>={wanted}"])
    monkeypatch.setattr(metadata, "version", lambda name: installed)
    assert unmet_requirements()[0] == ([] if met else [f"some-library>={wanted}"])


@pytest.mark.parametrize("version", ["", "unknown", "4..1"])
def test_a_strange_version_is_told_and_not_stumbled_over(version):
    check = check_jupyter({**GOOD, "ipywidgets": version})
    assert check.ok is False
    assert "ipywidgets is" in check.message


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("print(5)", "said nothing"),
        ("print('no json')", "said nothing"),
        ("pass", "said nothing"),
        ("import sys; sys.stdout.buffer.write(b'\\xff\\n'); sys.exit(4)", "code 4"),
        ("import time; time.sleep(60)", "took more than 0.5 s"),
    ],
)
def test_a_probe_that_answers_nonsense_is_an_error(script, told, monkeypatch):
    monkeypatch.setattr("mtl_tutorial.commands.doctor.PROBE", script)
    monkeypatch.setattr(
        "mtl_tutorial.commands.doctor.PROBE_SECONDS", 0.5 if "sleep" in script else 60
    )
    assert told in probe_torch()["error"]


def test_a_python_that_can_not_be_started_is_said(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    assert "can't be started: No such file" in probe_torch()["error"]
    assert "can't be started" in str(broken_imports({"tqdm": "tqdm"}))


def test_the_gpu_of_a_mac_is_no_gpu_that_torch_can_not_use():
    check = check_gpu({"fit": True, "mps": True}, has_nvidia_driver=False)
    assert check.ok is None
    assert "mps" in check.message


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


def test_the_report_of_this_machine_fits_its_width_and_shows_no_home_folder(checks):
    text = format_checks(checks)
    assert max(map(len, text.splitlines())) <= 100
    assert str(Path.home() / ".cache") not in text


def test_a_report_is_what_was_examined_in_words(monkeypatch):
    found = [Check("Python", True, "3.12.1")]
    monkeypatch.setattr(
        "mtl_tutorial.commands.doctor.examine", lambda network: found if network else []
    )
    assert report(network=True) == format_checks(found)


def doctor(**environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "mtl_tutorial", "doctor", "--no-network"],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
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


@pytest.mark.slow
def test_the_command_finds_a_torchvision_whose_operators_are_missing(tmp_path):
    folder = tmp_path / "torchvision"
    folder.mkdir()
    (folder / "__init__.py").write_text(f"__version__ = '0.1'\nraise RuntimeError({NMS!r})")
    done = doctor(PYTHONPATH=str(tmp_path))
    assert done.returncode == 1
    assert NMS in " ".join(done.stdout.split())
    assert "To mend: PyTorch." in done.stdout
