"""Serves a folder of pages on this machine, as modules of JavaScript need it."""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


class _Quiet(SimpleHTTPRequestHandler):
    """Serves files, and writes nothing to the terminal."""

    def log_message(self, *_: Any) -> None:
        """Say nothing of what was served."""


# Windows may have another type for scripts in its registry.
_Quiet.extensions_map = {**_Quiet.extensions_map, ".js": "text/javascript"}


@contextmanager
def served(folder: Path | str) -> Iterator[str]:
    """Serve a folder on a free port until the block ends; gives its address."""
    handler = functools.partial(_Quiet, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
