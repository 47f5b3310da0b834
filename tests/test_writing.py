"""Files that are written whole or not at all."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

from mtl_tutorial.writing import write_whole


@pytest.mark.skipif(os.name != "posix", reason="processes are looked up as POSIX does")
def test_drafts_of_processes_that_were_killed_are_removed_and_no_others(tmp_path):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    here, parent = platform.node(), os.getppid()
    stays = [f".a.txt.{here}.{parent}", f".a.txt.elsewhere.{gone.pid}", f".b.txt.{here}.{gone.pid}"]
    stays += [f".a.txt.{here}.x", f".a.txt.{here}.{'9' * 30}"]
    for name in (*stays, f".a.txt.{here}.{gone.pid}"):
        (tmp_path / name).write_text("half")
    write_whole(tmp_path / "a.txt", b"whole")
    assert {path.name for path in tmp_path.iterdir()} == {"a.txt", *stays}


KILLED = """
import os, signal, sys
from mtl_tutorial import writing
writing.os.replace = lambda *paths: os.kill(os.getpid(), signal.SIGKILL)
writing.write_whole(sys.argv[1], b"half")
"""


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL is POSIX's")
def test_the_next_write_removes_what_a_killed_one_left(tmp_path):
    path = tmp_path / "run.json"
    subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False)
    assert len(list(tmp_path.iterdir())) == 1 and not path.exists()
    write_whole(path, b"whole")
    assert [file.read_bytes() for file in tmp_path.iterdir()] == [b"whole"]
