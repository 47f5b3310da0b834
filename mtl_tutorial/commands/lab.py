"""Opens the course in JupyterLab, and leaves nothing running."""

from __future__ import annotations

import asyncio
import html
import json
import logging
import os
import secrets
import shutil
import signal
import socket
import sys
import tempfile
import threading
import webbrowser
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from mtl_tutorial.commands import UsageError
from mtl_tutorial.commands.copies import LAB, lesson_of, own_copy
from mtl_tutorial.commands.lessons import find_lesson, lessons, parse
from mtl_tutorial.commands.progress import write_map
from mtl_tutorial.commands.saving import save_as_committed, save_with_widgets
from mtl_tutorial.places import NOTEBOOKS, OWN_COPIES

HOST = "127.0.0.1"
FIRST_PORT, PORTS_TO_TRY = 8888, 100
END_SECONDS = 5.0
# JupyterLab's settings where the user has none of their own: no question lies over a lesson, a
# file has room for its whole name, and the map of the course is read, not edited.
SETTINGS = {
    "@jupyterlab/apputils-extension:notification": {"fetchNews": "false"},
    "@jupyterlab/filebrowser-extension:browser": {"showLastModifiedColumn": False},
    "@jupyterlab/docmanager-extension:plugin": {"defaultViewers": {"markdown": "Markdown Preview"}},
}
SAVES_WIDGETS = "@jupyter-widgets/jupyterlab-manager:plugin"


def lab(
    lesson: str | None = None,
    *,
    fresh: bool = False,
    show: bool = False,
    port: int | None = None,
    browser: bool = True,
) -> None:
    """Serve the learner's own copies until Ctrl-C, SIGTERM or JupyterLab's Shut Down.

    The user's Jupyter configuration is left aside, apart from JupyterLab's own settings (theme,
    font size, keys).

    Args:
        lesson: the one to open, by number or name, or any notebook by its path; left out, a map
            of the course.
        fresh: start the lesson anew; the copy so far is kept under another name.
        show: serve the lessons as they were committed; saving leaves them so.
        port: left out, a free one.
        browser: open a browser where there is a display.

    Raises:
        UsageError: for an unknown lesson, a copy that can't be made or opened, a port that is
            taken, or where there are no lessons.
    """
    _check_port(port)
    notebook, made = _choose(lesson, fresh, show)
    show = show or notebook.parent == NOTEBOOKS
    settings = _leave_user_configuration_aside()
    clean = _config_dir()
    _keep_runtime_files(clean)
    try:
        _serve(notebook, made, show, port, browser and has_display(), settings, clean)
    finally:
        if Path(clean).is_relative_to(tempfile.gettempdir()):  # never a user's own folder
            shutil.rmtree(clean, ignore_errors=True)


def _choose(name: str | None, fresh: bool, show: bool) -> tuple[Path, list[Path]]:
    """Give what to open, and the copies that are new; print what is to be said of them."""
    if fresh and show:
        raise UsageError("--show opens no copy that --fresh could start anew; take one of the two")
    if fresh and not name:
        raise UsageError(f"--fresh needs the lesson to start anew, such as '{LAB} --fresh 02'")
    chosen = find_lesson(name) if name else lessons()[0]
    lesson = lesson_of(chosen)
    if fresh and not lesson:
        raise UsageError(f"--fresh starts a lesson of the course anew, and {chosen} is none")
    if show or not lesson:
        return lesson or chosen, []
    own = own_copy(lesson, fresh=fresh)
    for line in own.told:
        print(line, flush=True)
    with suppress(OSError, UsageError):  # without a map, there is the lesson
        at = write_map(own.path.parent, lesson.parent)
        return own.path if name else at, own.made
    return own.path, own.made


def has_display() -> bool:
    """Tell whether a browser that opens here would be seen."""
    if os.environ.get("BROWSER"):
        return True
    if sys.platform in ("darwin", "win32"):
        return "SSH_CONNECTION" not in os.environ
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _check_port(port: int | None) -> None:
    if port is None:
        return
    if not 1 <= port <= 65535:
        raise UsageError(f"port must be between 1 and 65535, got {port}")
    with socket.socket() as probe:
        if sys.platform != "win32":  # there it would let two servers share the port
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise UsageError(
                f"port {port} can't be used ({error.strerror}); choose another, or leave out "
                f"--port for a free one"
            ) from None


def _leave_user_configuration_aside() -> str:
    """Hide the user's Jupyter configuration; give the folder of their JupyterLab settings."""
    from jupyterlab.commands import get_user_settings_dir

    settings = get_user_settings_dir()
    os.environ["JUPYTER_NO_CONFIG"] = "1"
    os.environ["JUPYTER_PREFER_ENV_PATH"] = "1"  # extensions that fit this JupyterLab
    os.environ["PYDEVD_DISABLE_FILE_VALIDATION"] = "1"  # a warning that every kernel prints
    return settings


def _config_dir() -> str:
    from jupyter_core.paths import jupyter_config_dir

    return jupyter_config_dir()


def _keep_runtime_files(clean: str) -> None:
    """Have them in the temporary folder where the user's own can't be written."""
    from jupyter_core.paths import jupyter_runtime_dir

    try:
        os.makedirs(jupyter_runtime_dir(), mode=0o700, exist_ok=True)
    except OSError:
        os.environ["JUPYTER_RUNTIME_DIR"] = str(Path(clean, "runtime"))


def _app_settings(clean: str, show: bool) -> str:
    folder = Path(clean, "settings")
    folder.mkdir()
    settings = {**SETTINGS, SAVES_WIDGETS: {"saveState": not show}}
    (folder / "overrides.json").write_text(json.dumps(settings))
    return str(folder)


def _config(
    notebook: Path, show: bool, port: int | None, token: str, settings: str, clean: str
) -> Any:
    from jupyterlab import NeverCheckForUpdate
    from traitlets.config import Config

    from mtl_tutorial.commands.kernel import RunningPython

    return Config(
        Application={"log_level": "ERROR"},
        ServerApp={
            "ip": HOST,
            "port": port or FIRST_PORT,
            "port_retries": 0 if port else PORTS_TO_TRY,
            "root_dir": str(notebook.parent),
            "allow_root": hasattr(os, "geteuid") and os.geteuid() == 0,
            "open_browser": False,
            "no_browser_open_file": True,
            "kernel_spec_manager_class": RunningPython,
            "jpserver_extensions": {"jupyter_lsp": True},  # the page asks for it
        },
        LanguageServerManager={"autodetect": False},
        IdentityProvider={"token": token},
        LabApp={
            "open_browser": False,
            "news_url": None,
            "check_for_updates_class": NeverCheckForUpdate,
            "extension_manager": "readonly",
            "app_settings_dir": _app_settings(clean, show),
            "user_settings_dir": settings,
            "workspaces_dir": str(Path(clean, "workspaces")),
        },
    )


def _serve(
    notebook: Path,
    made: Sequence[Path],
    show: bool,
    port: int | None,
    browser: bool,
    settings: str,
    clean: str,
) -> None:
    from jupyterlab.labapp import LabApp

    token = secrets.token_hex(24)
    app = LabApp.initialize_server(config=_config(notebook, show, port, token, settings, clean))
    app.contents_manager.register_pre_save_hook(save_as_committed if show else save_with_widgets)
    if notebook.parent.name == OWN_COPIES:
        app.contents_manager.register_post_save_hook(_keep_map)
    for path in made:  # the course's own: with one foreign output, no widget would be shown again
        app.contents_manager.notary.sign(parse(path.read_text(encoding="utf-8")))
    _stop_on_signals(app)
    for name in ("asyncio", "tornado.general", "tornado.application"):
        logging.getLogger(name).addFilter(_tells_more_than_a_closed_page)
    address = f"http://{HOST}:{app.port}/lab/tree/{quote(notebook.name)}?token={token}"
    page = _page(address, [str(notebook.parent), clean]) if browser else None
    try:
        app.io_loop.add_callback(_announce, address, page)  # after it has begun to listen
        app.start()
        app.log.setLevel(logging.CRITICAL)  # a request that is cut off now is no error
        _end_tasks(app.io_loop.asyncio_loop)
    finally:
        if page:
            page.unlink(missing_ok=True)
    print("Stopped; nothing is left running.", flush=True)


def _keep_map(model: dict[str, Any], os_path: str, contents_manager: Any) -> None:
    """After a lesson is saved: let the map say what was done."""
    if model["type"] == "notebook":
        with suppress(Exception):  # JupyterLab would say that the lesson was not saved
            write_map(Path(os_path).parent, NOTEBOOKS)


def _end_tasks(loop: asyncio.AbstractEventLoop) -> None:
    """End what is left of requests: a thread that reads a file for one would wait for ever."""
    left = asyncio.all_tasks(loop)
    for task in left:
        task.cancel()
    if left:
        loop.run_until_complete(asyncio.wait(left, timeout=END_SECONDS))


def _tells_more_than_a_closed_page(record: logging.LogRecord) -> bool:
    """Leave out that a page was closed while its kernel wrote to it: nothing is wrong."""
    from tornado.websocket import WebSocketClosedError

    return not (record.exc_info and isinstance(record.exc_info[1], WebSocketClosedError))


def _page(address: str, folders: Sequence[str]) -> Path:
    """Write a page that leads to the address, for this user's eyes only.

    A browser is told what to open in the list of processes, which every user sees; so it is told
    this page's name, and not the token. Beside the lessons, since a packaged browser has a
    ``/tmp`` of its own.

    Args:
        address: with its token.
        folders: the first one that can be written gets the page.
    """
    writable = next((folder for folder in folders if os.access(folder, os.W_OK)), folders[-1])
    descriptor, name = tempfile.mkstemp(prefix=".open_lessons_", suffix=".html", dir=writable)
    with open(descriptor, "w", encoding="utf-8") as file:
        file.write(PAGE.format(address=html.escape(address)))
    return Path(name)


PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>The course</title>
<meta http-equiv="refresh" content="0; url={address}"></head>
<body><a href="{address}">Open the course</a></body></html>
"""


def _announce(address: str, page: Path | None) -> None:
    opening = "is opening in your browser" if page else "waits for your browser"
    print(f"The course {opening} at {address} (Ctrl-C stops it).", flush=True)
    if page:
        threading.Thread(target=webbrowser.open, args=(page.as_uri(),), daemon=True).start()


def _stop_on_signals(app: Any) -> None:
    stopping = threading.Event()

    def stop(signum: int, frame: Any) -> None:
        if not stopping.is_set():
            stopping.set()
            app.io_loop.add_callback_from_signal(_end, app)

    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), stop)


async def _end(app: Any) -> None:
    from jupyter_core.utils import ensure_async

    # At once: a busy kernel that is asked to end writes a traceback over the terminal instead.
    try:
        await ensure_async(app.kernel_manager.shutdown_all(now=True))
    finally:
        app.stop()
