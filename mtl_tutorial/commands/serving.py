"""Serves a folder of pages on this machine, as modules of JavaScript need it."""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


class _Server(ThreadingHTTPServer):
    def handle_error(self, *_: Any) -> None:
        """Say nothing of a page that was closed before it was there."""


class _Quiet(SimpleHTTPRequestHandler):
    """Serves the files of a folder and no others, and writes nothing to the terminal."""

    def send_head(self) -> Any:
        """Find the file: not by a link that leads out of the folder."""
        path = self.translate_path(self.path)
        if "\0" in path or not Path(path).resolve().is_relative_to(Path(self.directory).resolve()):
            return self.send_error(404)
        return super().send_head()

    def log_message(self, *_: Any) -> None:
        """Say nothing of what was served."""


# Windows may have another type for scripts in its registry.
_Quiet.extensions_map = {**_Quiet.extensions_map, ".js": "text/javascript"}


@contextmanager
def served(folder: Path | str) -> Iterator[str]:
    """Serve a folder on a free port until the block ends; gives its address."""
    handler = functools.partial(_Quiet, directory=str(folder))
    with _Server(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
