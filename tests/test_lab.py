"""The lab command, run for real in a checkout made for the test."""

from __future__ import annotations

import http.client
import json
import logging
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import nbformat
import pytest
from jupyter_client import BlockingKernelClient

import mtl_tutorial
from mtl_tutorial.commands.build import digest
from mtl_tutorial.commands.kernel import name_kernel
from mtl_tutorial.commands.progress import MAP

POSIX = sys.platform != "win32"
DISPLAY_VARIABLES = ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")
BUSY = """
import subprocess, sys, time
sleeping = "import time; time.sleep(1000)"
subprocess.Popen([sys.executable, "-c", sleeping], stderr=subprocess.DEVNULL)
while True:
    print("busy", flush=True)
    time.sleep(0.05)
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with the real package and two lessons of one cell."""
    return make_checkout(
        tmp_path / "checkout", nbformat.v4.new_code_cell("import sys; sys.executable")
    )


def make_checkout(
    root: Path,
    *cells: nbformat.NotebookNode,
    names: Sequence[str] = ("00_start_here", "02_hard_sharing"),
) -> Path:
    """Make a checkout with the real package and lessons of these cells, as build writes them."""
    package = Path(mtl_tutorial.__file__).parent
    shutil.copytree(package, root / "mtl_tutorial", ignore=shutil.ignore_patterns("__pycache__"))
    (root / "notebooks").mkdir()
    for name in names:
        notebook = nbformat.v4.new_notebook(cells=list(cells))
        name_kernel(notebook.metadata)
        notebook.metadata.mtl_tutorial = {"digest": digest(notebook)}
        text = nbformat.writes(notebook) + "\n"
        (root / "notebooks" / f"{name}.ipynb").write_bytes(text.encode())
    return root


def commit(root: Path) -> None:
    """Put a checkout into git as it is."""
    shutil.copy(Path(mtl_tutorial.__file__).parents[1] / ".gitignore", root)
    git(root, "init", "--quiet")
    git(root, "add", ".")
    who = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
    git(root, *who, "commit", "--quiet", "--message", "The course")


def git(root: Path, *words: str) -> str:
    """Run git; give what it prints."""
    alone = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    done = subprocess.run(
        ["git", *words], cwd=root, env=alone, capture_output=True, text=True, check=True
    )
    return done.stdout


needs_git = pytest.mark.skipif(not shutil.which("git"), reason="no git")


def environment(home: Path, **extra: str) -> dict[str, str]:
    """The surroundings of a user without a display, with a home folder of their own."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in DISPLAY_VARIABLES and not name.startswith("JUPYTER")
    }
    if sys.platform == "darwin" or not POSIX:
        kept["SSH_CONNECTION"] = "no display"
    return {**kept, "HOME": str(home), "USERPROFILE": str(home), **extra}


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "mtl_tutorial", *arguments]


def ask(port: int, path: str, token: str | None, *, method: str = "GET", body: Any = None):
    """Give the status and the JSON (or text) that the server answers with."""
    headers = {"Authorization": f"token {token}"} if token else {}
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        connection.request(method, path, json.dumps(body) if body else None, headers)
        answer = connection.getresponse()
        text = answer.read().decode()
    try:
        return answer.status, json.loads(text)
    except json.JSONDecodeError:
        return answer.status, text


def wait_until(
    condition: Callable[[], Any], what: str, seconds: float = 60, *, every: float = 0.05
) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(every)
    raise AssertionError(f"waited in vain for {what}")


class Lab:
    """A lab command that is running, what it printed, and at last the address."""

    def __init__(self, process: subprocess.Popen, stderr: Path) -> None:
        self.process, self.stderr, self.told = process, stderr, []
        for self.sentence in process.stdout:
            found = re.search(r"http://127\.0\.0\.1:(\d+)(/\S*)\?token=(\w+)", self.sentence)
            if found:
                break
            self.told.append(self.sentence.rstrip("\n"))
        assert found, f"no address in {self.told}; stderr: {stderr.read_text()}"
        self.port, self.path, self.token = int(found[1]), found[2], found[3]

    def ask(self, path: str, **kwargs: Any):
        return ask(self.port, path, self.token, **kwargs)

    def start_busy_kernel(self) -> Path:
        """Start a kernel that computes for ever, with a process of its own beside it.

        Returns:
            The kernel's connection file, which only a clean end removes.
        """
        status, kernel = self.ask("/api/kernels", method="POST", body={"name": "python3"})
        assert status == 201, kernel
        connection = self.ask_runtime_dir() / f"kernel-{kernel['id']}.json"
        client = BlockingKernelClient(connection_file=str(connection))
        client.load_connection_file()
        client.start_channels()
        try:
            client.execute(BUSY)
            while "busy" not in client.get_iopub_msg(timeout=120)["content"].get("text", ""):
                pass
        finally:
            client.stop_channels()
        return connection

    def ask_runtime_dir(self) -> Path:
        script = "import jupyter_core.paths as paths; print(paths.jupyter_runtime_dir())"
        done = subprocess.run(
            [sys.executable, "-c", script], env=self.env, capture_output=True, text=True, check=True
        )
        return Path(done.stdout.strip())

    env: dict[str, str]


@contextmanager
def running_lab(checkout: Path, *arguments: str, **extra: str) -> Iterator[Lab]:
    home = checkout.parent / "home"
    home.mkdir(exist_ok=True)
    env = environment(home, **extra)
    stderr = checkout.parent / "stderr"
    with (
        stderr.open("w") as errors,
        subprocess.Popen(
            command("lab", *arguments),
            cwd=checkout,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            start_new_session=POSIX,
        ) as process,
    ):
        try:
            lab = Lab(process, stderr)
            lab.env = env
            yield lab
        finally:
            process.kill()


def processes_of(env_home: Path) -> list[int]:
    """The processes that carry this home folder: the server, its kernels, and their children."""
    mark = f"HOME={env_home}".encode()
    found = []
    for environ in Path("/proc").glob("[0-9]*/environ"):
        try:
            state = environ.with_name("stat").read_text().rpartition(")")[2].split()[0]
            if mark in environ.read_bytes().split(b"\0") and state != "Z":
                found.append(int(environ.parent.name))
        except OSError:
            continue
    return found


def is_listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_lab_opens_a_map_of_the_course_and_refuses_those_without_the_token(checkout):
    with running_lab(checkout) as lab:
        assert lab.path == f"/lab/tree/{MAP}"
        assert lab.ask("/api/status")[0] == 200
        assert ask(lab.port, "/api/kernels", None)[0] == 403
        assert ask(lab.port, "/api/kernels", "a" * len(lab.token))[0] == 403
        names = {entry["name"] for entry in lab.ask("/api/contents")[1]["content"]}
        assert names == {MAP, "00_start_here.ipynb", "02_hard_sharing.ipynb"}
        assert "Ctrl-C stops it" in lab.sentence


def test_lab_opens_the_lesson_that_was_asked_for(checkout):
    with running_lab(checkout, "02") as lab:
        assert lab.path == "/lab/tree/02_hard_sharing.ipynb"
        status, page = lab.ask(lab.path)
        assert status == 200
        assert '"news": {"disabled": true}' in page


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks processes up in /proc")
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM], ids=["ctrl_c", "sigterm"])
def test_one_signal_leaves_no_server_no_kernel_and_no_file(checkout, signum):
    with running_lab(checkout) as lab:
        home = Path(lab.env["HOME"])
        connection = lab.start_busy_kernel()
        assert len(processes_of(home)) >= 3
        os.kill(lab.process.pid, signum)
        assert lab.process.wait(timeout=60) == 0
        wait_until(lambda: not processes_of(home), "the end of every process", seconds=10)
        assert not is_listening(lab.port)
        assert not connection.exists()
        assert not list(connection.parent.glob("jpserver-*"))
        assert lab.stderr.read_text() == ""


@pytest.mark.skipif(not POSIX, reason="ends the server by a signal")
def test_a_signal_ends_a_server_that_is_being_asked(checkout):
    with running_lab(checkout) as lab:
        stopping = threading.Event()

        def keep_asking() -> None:
            with suppress(OSError, http.client.HTTPException):
                while not stopping.is_set():
                    lab.ask("/api/contents/00_start_here.ipynb")

        askers = [threading.Thread(target=keep_asking) for _ in range(8)]
        for asker in askers:
            asker.start()
        wait_until(lambda: lab.ask("/api/status")[0] == 200, "an answer")
        os.kill(lab.process.pid, signal.SIGINT)
        try:
            assert lab.process.wait(timeout=60) == 0
            assert lab.stderr.read_text() == ""
        finally:
            stopping.set()
            lab.process.kill()
            for asker in askers:
                asker.join()


@pytest.mark.skipif(not POSIX, reason="needs a pseudo-terminal")
def test_ctrl_c_at_a_terminal_asks_no_question(checkout):
    import pty

    home = checkout.parent / "home"
    home.mkdir()
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", AT_A_TERMINAL],
        cwd=checkout,
        env=environment(home),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    try:
        shown = read_until(ours, b"Ctrl-C stops it")
        os.write(ours, b"\x03")
        shown += read_until(ours, b"nothing is left running")
        assert process.wait(timeout=60) == 0
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    assert b"?" not in shown.replace(b"?token=", b"")


AT_A_TERMINAL = """
import fcntl, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
from mtl_tutorial.__main__ import main
sys.exit(main(["lab"]))
"""


def read_until(descriptor: int, wanted: bytes) -> bytes:
    shown = b""
    while wanted not in shown:
        try:
            piece = os.read(descriptor, 4096)
        except OSError:  # the other side is closed
            piece = b""
        assert piece, f"ended before {wanted!r}: {shown!r}"
        shown += piece
    return shown


def test_the_kernel_is_this_python_whatever_the_user_has_installed(checkout):
    wrong = checkout.parent / "wrong" / "kernels" / "python3"
    wrong.mkdir(parents=True)
    spec = {"argv": ["/no/such/python"], "display_name": "old", "language": "python"}
    (wrong / "kernel.json").write_text(json.dumps(spec))
    with running_lab(checkout, JUPYTER_PATH=str(wrong.parents[1])) as lab:
        specs = lab.ask("/api/kernelspecs")[1]["kernelspecs"]
        assert list(specs) == ["python3"]
        assert specs["python3"]["spec"]["argv"][0] == sys.executable


def test_the_users_own_jupyter_configuration_can_not_break_it(checkout):
    home = checkout.parent / "home"
    (home / ".jupyter").mkdir(parents=True)
    (home / ".jupyter" / "jupyter_server_config.py").write_text(
        "c.ServerApp.ip = '0.0.0.0'\nc.IdentityProvider.token = ''\n"
        "c.ServerApp.base_url = '/elsewhere/'\nc.ServerApp.root_dir = '/'\n"
        "c.LabApp.default_url = '/nowhere'\nraise SystemExit('broken')\n"
    )
    with running_lab(checkout) as lab:
        assert lab.ask("/api/status")[0] == 200
        assert ask(lab.port, "/api/kernels", None)[0] == 403
        assert lab.stderr.read_text() == ""


def test_no_question_lies_over_the_first_lesson(checkout):
    with running_lab(checkout) as lab:
        asked = "/lab/api/settings/@jupyterlab/apputils-extension:notification"
        assert lab.ask(asked)[1]["schema"]["properties"]["fetchNews"]["default"] == "false"


def run_and_save(lab: Lab, name: str) -> None:
    """Save a lesson as the page does that ran it."""
    model = lab.ask(f"/api/contents/{name}")[1]
    metadata = model["content"]["metadata"]
    metadata["language_info"] = {"name": "python", "version": "3.99", "mimetype": "text/x-"}
    metadata["kernelspec"]["display_name"] = "Python 3.99"
    (cell,) = model["content"]["cells"]
    cell["metadata"]["execution"] = {"iopub.status.busy": "now"}
    stream = {"output_type": "stream", "name": "stdout", "text": "what it printed"}
    cell.update(execution_count=7, outputs=[stream])
    body = {"type": "notebook", "content": model["content"]}
    status, answer = lab.ask(f"/api/contents/{name}", method="PUT", body=body)
    assert status == 200, answer


@needs_git
@pytest.mark.parametrize("how", [[], ["--show"]], ids=["own copy", "show"])
def test_git_sees_nothing_of_a_lesson_that_was_opened_run_and_saved(checkout, how):
    commit(checkout)
    with running_lab(checkout, *how) as lab:
        run_and_save(lab, "00_start_here.ipynb")
        text = {"type": "file", "format": "text", "content": "a file that is no notebook"}
        assert lab.ask("/api/contents/notes.txt", method="PUT", body=text)[0] == 201
        assert lab.stderr.read_text() == ""
    (checkout / ("notebooks" if how else "my_lessons") / "notes.txt").unlink()
    assert git(checkout, "status", "--porcelain") == ""
    assert (checkout / "my_lessons").exists() == (not how)


def test_a_copy_keeps_what_was_done_in_it_and_is_opened_again(checkout):
    with running_lab(checkout) as lab:
        assert {entry["name"] for entry in lab.ask("/api/contents")[1]["content"]} == {
            MAP, "00_start_here.ipynb", "02_hard_sharing.ipynb"
        }  # fmt: skip
        (checkout / "my_lessons" / MAP).unlink()
        run_and_save(lab, "00_start_here.ipynb")
        assert "[00 start here](00_start_here.ipynb)" in (checkout / "my_lessons" / MAP).read_text()
    own = checkout / "my_lessons" / "00_start_here.ipynb"
    before = own.read_bytes()
    assert b"what it printed" in before
    for path in (own, checkout / "notebooks" / own.name):
        with running_lab(checkout, str(path)) as lab:
            assert lab.path == "/lab/tree/00_start_here.ipynb" and lab.told == []
            assert "what it printed" in str(lab.ask(f"/api/contents/{own.name}")[1])
    assert own.read_bytes() == before


@pytest.mark.parametrize("words", [["--fresh", "02"], ["02_hard_sharing", "--fresh"]])
def test_a_fresh_copy_says_where_the_old_one_is_kept(checkout, words):
    own = checkout / "my_lessons" / "02_hard_sharing.ipynb"
    own.parent.mkdir()
    own.write_text("mine, and broken")
    with running_lab(checkout, *words) as lab:
        assert lab.path == "/lab/tree/02_hard_sharing.ipynb"
        (line,) = lab.told
        kept = re.search(r"kept as (02_hard_sharing\.\d{4}-\d\d-\d\d_\d{4}\.ipynb)", line)
        assert (own.parent / kept[1]).read_text() == "mine, and broken"
        assert own.read_bytes() == (checkout / "notebooks" / own.name).read_bytes()


def test_a_lesson_that_changed_is_told_at_the_start(checkout):
    with running_lab(checkout) as lab:
        assert lab.told == []
    lesson = checkout / "notebooks" / "02_hard_sharing.ipynb"
    notebook = nbformat.read(lesson, as_version=4)
    notebook.metadata.mtl_tutorial.digest = "another"
    nbformat.write(notebook, lesson)
    with running_lab(checkout) as lab:
        (line,) = lab.told
        assert "Lesson 02 has changed" in line and "--fresh 02" in line
    with running_lab(checkout, "--show", "02") as lab:
        assert lab.path == "/lab/tree/02_hard_sharing.ipynb" and lab.told == []


def test_a_copy_that_can_not_be_opened_is_refused_and_told_to_others(checkout):
    own = checkout / "my_lessons" / "02_hard_sharing.ipynb"
    own.parent.mkdir()
    own.write_text("{")
    assert "--fresh 02" in refusal(checkout, "lab", "02")
    with running_lab(checkout) as lab:
        (line,) = lab.told
        assert "02_hard_sharing.ipynb can't be opened" in line and "--fresh 02" in line


def test_a_new_copy_is_trusted_and_a_foreign_notebook_is_not(checkout):
    def write(path: Path, word: str) -> None:
        shown = nbformat.v4.new_output("display_data", data={"text/html": word})
        cell = nbformat.v4.new_code_cell(outputs=[shown])
        nbformat.write(nbformat.v4.new_notebook(cells=[cell]), path)

    write(checkout / "notebooks" / "02_hard_sharing.ipynb", "ours")
    with running_lab(checkout) as lab:
        write(checkout / "my_lessons" / "foreign.ipynb", "theirs")
        for name, trusted in (("02_hard_sharing", True), ("foreign", False)):
            (cell,) = lab.ask(f"/api/contents/{name}.ipynb")[1]["content"]["cells"]
            assert cell["metadata"]["trusted"] is trusted


def test_widgets_are_saved_in_copies_alone(checkout):
    asked = "/lab/api/settings/@jupyter-widgets/jupyterlab-manager:plugin"
    for how, saved in (([], True), (["--show"], False)):
        with running_lab(checkout, *how) as lab:
            schema = lab.ask(asked)[1]["schema"]
            assert schema["properties"]["saveState"]["default"] is saved


def test_a_lesson_with_a_space_in_its_name_and_folder_has_an_address(checkout):
    folder = checkout / "my lessons"
    folder.mkdir()
    path = shutil.copy(checkout / "notebooks" / "00_start_here.ipynb", folder / "über 100 %.ipynb")
    with running_lab(checkout, str(path)) as lab:
        assert lab.path == "/lab/tree/%C3%BCber%20100%20%25.ipynb"
        assert lab.ask(lab.path)[0] == 200


# Stands for a browser: keeps what it is told to open, and what it can read there.
BROWSER = """
import os, stat, sys, urllib.request
name = urllib.request.url2pathname(sys.argv[1].removeprefix("file:"))
with open(os.environ["SEEN"] + ".draft", "w") as seen:
    print(sys.argv[1], oct(stat.S_IMODE(os.stat(name).st_mode)), file=seen)
    seen.write(open(name, encoding="utf-8").read())
os.replace(os.environ["SEEN"] + ".draft", os.environ["SEEN"])
"""


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="looks processes up in /proc")
def test_the_token_is_in_no_list_of_processes(checkout, tmp_path):
    seen, browser = tmp_path / "seen", tmp_path / "a browser.py"
    browser.write_text(BROWSER + "import time; time.sleep(60)")
    command = f"{sys.executable} '{browser}' %s"
    with running_lab(checkout, BROWSER=command, SEEN=str(seen)) as lab:
        assert "is opening in your browser" in lab.sentence
        wait_until(seen.exists, "the browser")
        commands = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline")]
        assert not any(lab.token.encode() in command for command in commands)
        head, page = seen.read_text().split("\n", 1)
        address, mode = head.rsplit(" ", 1)
        assert mode == "0o600"
        assert f"url=http://127.0.0.1:{lab.port}{lab.path}?token={lab.token}" in page
        os.kill(lab.process.pid, signal.SIGINT)
        assert lab.process.wait(timeout=60) == 0
    assert "open_lessons" in address
    assert not list(checkout.glob("*/.open*"))


def test_a_page_that_opens_the_course_finds_a_folder_that_can_be_written(tmp_path, monkeypatch):
    from mtl_tutorial.commands.lab import _page

    locked, free = tmp_path / "locked", tmp_path / "free"
    for folder in (locked, free):
        folder.mkdir()
    monkeypatch.setattr(os, "access", lambda place, mode: place == str(free))
    page = _page("http://127.0.0.1/lab?a=1&token=2", [str(locked), str(free)])
    assert page.parent == free
    assert 'url=http://127.0.0.1/lab?a=1&amp;token=2"' in page.read_text()


def test_a_home_that_can_not_be_written_stops_nobody(checkout):
    with running_lab(checkout, JUPYTER_RUNTIME_DIR="/dev/null/runtime") as lab:
        status, kernel = lab.ask("/api/kernels", method="POST", body={"name": "python3"})
        assert status == 201, kernel


def refusal(checkout: Path, *arguments: str) -> str:
    done = subprocess.run(
        command(*arguments), cwd=checkout, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["07"], "one of 00_start_here, 02_hard_sharing or its number, got '07'"),
        (["--fresh", "07"], "one of 00_start_here, 02_hard_sharing or its number, got '07'"),
        (["--show", "07"], "one of 00_start_here, 02_hard_sharing or its number, got '07'"),
        (["--fresh"], "--fresh needs the lesson to start anew, such as"),
        (["--fresh", "--show", "02"], "take one of the two"),
        (["--fresh", "--show"], "take one of the two"),
        (["--fresh", "other.ipynb"], "other.ipynb is none"),
    ],
)
def test_what_can_not_be_opened_is_refused_in_a_sentence(checkout, words, told):
    (checkout / "other.ipynb").touch()
    assert told in refusal(checkout, "lab", *words)
    assert not (checkout / "my_lessons").exists()


def test_a_file_of_the_name_of_the_copies_is_refused_and_show_is_the_way_out(checkout):
    (checkout / "my_lessons").touch()
    assert "my_lessons is no folder" in refusal(checkout, "lab")
    with running_lab(checkout, "--show") as lab:
        assert lab.ask(lab.path)[0] == 200


def test_notebooks_of_other_folders_are_served_from_there(checkout):
    for folder in ("notebooks", "elsewhere"):
        own = checkout / folder / "own.ipynb"
        own.parent.mkdir(exist_ok=True)
        shutil.copy(checkout / "notebooks" / "00_start_here.ipynb", own)
        with running_lab(checkout, str(own)) as lab:
            assert lab.path == "/lab/tree/own.ipynb"
            run_and_save(lab, own.name)
        assert ("what it printed" in own.read_text()) == (folder == "elsewhere")
    assert not (checkout / "my_lessons").exists()


def test_a_port_that_is_taken_is_refused_and_a_free_one_is_found_without_it(checkout):
    with running_lab(checkout) as first:
        assert str(first.port) in refusal(checkout, "lab", "--port", str(first.port))
        with running_lab(checkout) as second:
            assert second.port != first.port


def test_a_package_without_its_repository_says_how_to_get_the_lessons(checkout):
    shutil.rmtree(checkout / "notebooks")
    assert "pip install -e ." in refusal(checkout, "lab")


@pytest.mark.parametrize(
    ("words", "unneeded"),
    [
        (["--help"], {"torch", "jupyterlab", "matplotlib"}),
        (["lab", "no such lesson"], {"torch", "matplotlib", "rfc3987_syntax"}),
    ],
)
def test_a_command_imports_nothing_slow_that_it_does_not_need(words, unneeded):
    script = (
        "import sys\nfrom mtl_tutorial.__main__ import main\n"
        f"try: main({words})\nexcept SystemExit: pass\n"
        f"sys.exit(', '.join(name for name in {unneeded} if sys.modules.get(name)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_help_names_the_commands():
    done = subprocess.run(command("--help"), capture_output=True, text=True)
    for name in ("lab", "doctor", "build"):
        assert re.search(rf"^\s+{name}\s", done.stdout, re.MULTILINE)


def test_a_browser_opens_only_where_it_would_be_seen(monkeypatch):
    from mtl_tutorial.commands.lab import has_display

    for name in (*DISPLAY_VARIABLES, "SSH_CONNECTION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    assert not has_display()
    monkeypatch.setenv("WAYLAND_DISPLAY", "wayland-0")
    assert has_display()
    monkeypatch.delenv("WAYLAND_DISPLAY")
    monkeypatch.setattr(sys, "platform", "darwin")
    assert has_display()
    monkeypatch.setenv("SSH_CONNECTION", "10.0.0.1 5000 10.0.0.2 22")
    assert not has_display()


def test_a_page_that_closes_while_its_kernel_writes_is_no_error(caplog):
    from tornado.websocket import WebSocketClosedError

    from mtl_tutorial.commands.lab import _tells_more_than_a_closed_page

    logger = logging.getLogger("closed page")
    logger.addFilter(_tells_more_than_a_closed_page)
    logger.error("left", exc_info=WebSocketClosedError())
    logger.error("broken", exc_info=ValueError("another error"))
    assert caplog.messages == ["broken"]
