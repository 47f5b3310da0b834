"""A folder is served as a site is, and only as long as it is asked for."""

from __future__ import annotations

import socket
import urllib.request
from urllib.parse import urlsplit

from mtl_tutorial.commands.serving import served


def test_modules_are_served_as_scripts_and_nothing_is_said(tmp_path, capfd) -> None:
    (tmp_path / "a.js").write_text("export default 1;")
    with served(tmp_path) as address:
        with urllib.request.urlopen(f"{address}/a.js") as answer:
            assert answer.headers["Content-Type"] == "text/javascript"
            assert answer.read() == b"export default 1;"
    assert capfd.readouterr() == ("", "")


def test_it_ends_with_its_block(tmp_path) -> None:
    with served(tmp_path) as address:
        port = urlsplit(address).port
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0
