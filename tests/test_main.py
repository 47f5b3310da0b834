"""The command line: what it says to what it does not understand, and where it can't say it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from mtl_tutorial import __main__ as command_line
from mtl_tutorial.__main__ import main


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "a command is needed: lab, doctor, build, assignment, site, slides, audit, train"),
        (["lap"], "got 'lap'; did you mean lab?"),
        (["Doctor"], "got 'Doctor'; did you mean doctor?"),
        (
            ["xyz"],
            "must be one of lab, doctor, build, assignment, site, slides, audit, train, got 'xyz'",
        ),
        ([""], "got ''"),
        (["--verbose"], "COMMAND"),
        (["lab", "--prot", "80"], "lab does not take '--prot'; did you mean --port?"),
        (["lab", "--prot=80"], "'--prot=80'; did you mean --port?"),
        (["lab", "0", "1"], "lab does not take '1'; 'python -m mtl_tutorial lab --help'"),
        (["lab", "--port", "x"], "--port"),
        (["lab", "--port", "0"], "between 1 and 65535, got 0"),
        (["build", "--forse"], "did you mean --force?"),
        (["doctor", "--no-net", "--xx"], "doctor does not take '--xx'"),
        (["train", "--balancers", "pcgrad"], "did you mean --balancer?"),
        (["train", "--seeds", "1.5"], "'1.5'"),
        (["train", "--balancer"], "--balancer"),
    ],
)
def test_what_is_not_understood_is_told_in_one_sentence(words, told, capsys) -> None:
    assert main(words) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("mtl_tutorial: ") and shown.err.count("\n") == 1
    assert told in shown.err


def test_slides_are_of_the_courses_lessons_alone(tmp_path, capsys) -> None:
    (tmp_path / "mine.ipynb").write_text("{}")
    assert main(["slides", str(tmp_path / "mine.ipynb")]) == 2
    assert "mine.ipynb is none of them; give a number" in capsys.readouterr().err


def test_ctrl_c_is_no_traceback(monkeypatch, capsys) -> None:
    def interrupted(network):
        raise KeyboardInterrupt

    monkeypatch.setattr(command_line, "_doctor", interrupted)
    assert main(["doctor"]) == 130
    assert capsys.readouterr().err == "\nmtl_tutorial: stopped\n"


def test_a_file_that_fails_somewhere_is_named_in_one_sentence(monkeypatch, capsys) -> None:
    def fails(network):
        raise PermissionError(13, "Permission denied", "/a b/c")

    monkeypatch.setattr(command_line, "_doctor", fails)
    monkeypatch.setattr(command_line, "_leave_stdout_aside", lambda: None)
    assert main(["doctor"]) == 1
    assert capsys.readouterr().err == (
        "mtl_tutorial: /a b/c can't be used (Permission denied); mend that, and start again\n"
    )


@pytest.mark.parametrize(
    "error", [ModuleNotFoundError("No module named 'jupyterlab'"), OSError("libcudart.so: no file")]
)
def test_a_package_that_is_missing_or_broken_is_for_the_doctor(error, monkeypatch, capsys) -> None:
    def fails(**arguments):
        raise error

    monkeypatch.setattr(command_line, "_lab", fails)
    monkeypatch.setattr(command_line, "_leave_stdout_aside", lambda: None)
    assert main(["lab"]) == 1
    assert capsys.readouterr().err == (
        f"mtl_tutorial: {error}; 'python -m mtl_tutorial doctor' says what to mend\n"
    )


def run(*words: str, **how) -> subprocess.CompletedProcess:
    env = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    command = [sys.executable, "-m", "mtl_tutorial", *words]
    return subprocess.run(command, env=env, stderr=subprocess.PIPE, text=True, **how)


@pytest.mark.skipif(sys.platform == "win32", reason="pipes of POSIX")
@pytest.mark.parametrize("words", [["--help"], ["--version"], ["build", "--help"]])
def test_a_reader_that_has_gone_is_no_traceback(words) -> None:
    read, write = os.pipe()
    os.close(read)
    done = run(*words, stdout=write)
    os.close(write)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_output_that_finds_no_room_is_told() -> None:
    with open("/dev/full", "w") as full:
        done = run("--help", stdout=full)
    assert done.returncode == 1
    assert done.stderr.startswith("mtl_tutorial: nothing can be written (No space left on device)")
    assert done.stderr.count("\n") == 1


def test_what_an_encoding_lacks_becomes_a_question_mark(tmp_path) -> None:
    script = (
        "import sys\nfrom mtl_tutorial import __main__ as line\n"
        "line._doctor = lambda network: print('θ = 1')\nsys.exit(line.main(['doctor']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        text=True,
    )
    assert (done.stdout, done.stderr) == ("? = 1\n", "")
