"""A folder is served as a site is, and only as long as it is asked for."""

from __future__ import annotations

import socket
import struct
import urllib.error
import urllib.request
from urllib.parse import urlsplit

import pytest

from mtl_tutorial.commands.serving import served


def test_modules_are_served_as_scripts_and_nothing_is_said(tmp_path, capfd) -> None:
    (tmp_path / "a.js").write_text("export default 1;")
    with served(tmp_path) as address:
        with urllib.request.urlopen(f"{address}/a.js") as answer:
            assert answer.headers["Content-Type"] == "text/javascript"
            assert answer.read() == b"export default 1;"
    assert capfd.readouterr() == ("", "")


def test_nothing_but_the_files_of_the_folder_is_served(tmp_path, capfd) -> None:
    folder = tmp_path / "site"
    folder.mkdir()
    (tmp_path / "secret.txt").write_text("mine")
    try:
        (folder / "link.txt").symlink_to(tmp_path / "secret.txt")
    except OSError:  # on Windows links are for administrators
        pass
    with served(folder) as address:
        for path in ("link.txt", "../secret.txt", "%2e%2e/secret.txt", "%00", "absent"):
            with pytest.raises(urllib.error.HTTPError, match="404"):
                urllib.request.urlopen(f"{address}/{path}")
    assert capfd.readouterr() == ("", "")


def test_a_page_that_is_closed_early_is_no_trouble(tmp_path, capfd) -> None:
    (tmp_path / "large.bin").write_bytes(bytes(20_000_000))
    with served(tmp_path) as address:
        for _ in range(3):
            with socket.create_connection(("127.0.0.1", urlsplit(address).port)) as visitor:
                visitor.sendall(b"GET /large.bin HTTP/1.0\r\n\r\n")
                visitor.recv(100)
                now = struct.pack("ii", 1, 0)
                visitor.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, now)
        with urllib.request.urlopen(f"{address}/large.bin") as answer:
            assert len(answer.read()) == 20_000_000
    assert capfd.readouterr() == ("", "")


def test_it_ends_with_its_block(tmp_path) -> None:
    with served(tmp_path) as address:
        port = urlsplit(address).port
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0
