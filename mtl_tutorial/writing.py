"""Files that are written whole or not at all."""

from __future__ import annotations

import glob
import os
import platform
import shutil
from contextlib import suppress
from pathlib import Path


def write_whole(path: str | Path, content: bytes | memoryview) -> None:
    """Write a file whole or not at all: a reader, or a process that is killed, sees no half of it.

    Drafts of the same file, left by processes of this machine that were killed, are removed.

    Args:
        path: the file; its folder is made where it is missing.
        content: all that it will hold.

    Raises:
        OSError: where it can't be written; a file that was there is as it was.
    """
    path = Path(path)
    draft = path.with_name(f".{path.name}.{platform.node()}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.write_bytes(content)
        if path.exists():
            shutil.copymode(path, draft)
        os.replace(draft, path)
        remove_drafts(path.parent, glob.escape(path.name))
    finally:
        with suppress(OSError):  # its folder is what could not be written
            draft.unlink(missing_ok=True)


def remove_drafts(folder: Path, pattern: str = "*") -> None:
    """Remove drafts of `write_whole` whose process is gone, where that can be known.

    Args:
        pattern: of the names of the files that were being written.
    """
    if os.name != "posix":
        return  # where asking for a process would end it
    for draft in folder.glob(f".{pattern}.{glob.escape(platform.node())}.*"):
        number = draft.name.rpartition(".")[2]
        with suppress(OSError, OverflowError):  # it is somebody else's, or no number of a process
            if number.isdecimal() and not _is_alive(int(number)):
                draft.unlink(missing_ok=True)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True
