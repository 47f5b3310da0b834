"""Runs lessons and keeps their outputs, without what changes from run to run."""

from __future__ import annotations

import asyncio
import atexit
import base64
import contextlib
import copy
import hashlib
import importlib
import io
import json
import os
import re
import signal
import sys
import tempfile
import time
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from PIL import Image

from mtl_tutorial.commands import UsageError
from mtl_tutorial.commands.kernel import RunningPythonManager, name_kernel
from mtl_tutorial.commands.lessons import find_lesson, lessons, no_notebook, parse
from mtl_tutorial.commands.pictures import keep_pictures
from mtl_tutorial.commands.stills import NoBrowserError, stills
from mtl_tutorial.widgets.alt_text import keep_one_picture
from mtl_tutorial.widgets.explorable import Explorable
from mtl_tutorial.writing import write_whole

MAX_BYTES = 400_000
CELL_SECONDS = 600
WIDGET = "application/vnd.jupyter.widget-view+json"
ADDRESS = re.compile(r"\bat 0x[0-9a-fA-F]{6,}\b")
TEMPORARY = re.compile(r"\bipykernel_\d+\b")


class BuildError(Exception):
    """A notebook can't be kept as it came out; the message names it, the cell and the reason."""


def build(names: Sequence[str] = (), *, force: bool = False, folder: Path | None = None) -> int:
    """Run notebooks in the quick profile and write them back with their outputs.

    Args:
        names: numbers, names or paths; left out, those whose digest is stale.
        force: left-out names mean every notebook.
        folder: where the lessons lie, if not in ``notebooks`` of the checkout.

    Returns:
        The exit code: 1 where a notebook failed; it is left as it was, and none follows.

    Raises:
        UsageError: for a name that is no lesson, or a file that can't be built; none is built.
    """
    paths = [find_lesson(name, folder) for name in names] or lessons(folder)
    if not names and not force:
        paths = [path for path in paths if not is_fresh(read(path)[0])]
    for path in paths:
        _check_buildable(path)
    if not paths:
        print("Every notebook is up to date (--force builds them all the same).")
    for path in paths:
        print(f"{path.stem:<28}", end="", flush=True)
        start = time.monotonic()
        try:
            size, remarks = build_notebook(path)
        except BuildError as error:
            print("failed", flush=True)
            print(f"mtl_tutorial: {error}", file=sys.stderr)
            return 1
        print(f"{time.monotonic() - start:6.1f} s {size / 1000:6.0f} kB", flush=True)
        for remark in remarks:
            print(f"    {remark}", flush=True)
    return 0


def build_notebook(path: Path) -> tuple[int, list[str]]:
    """Run one notebook and replace it by what came out; keep its pictures for the README.

    Returns:
        Its size in bytes, and remarks on what an author may want to look at.

    Raises:
        BuildError: where a cell raises, an output can't be kept, the file grows too large or can't
            be written; the file on disk is then untouched.
        UsageError: where it is no notebook, or can't be read.
    """
    source, before = read(path)
    ran = run(source, path)
    remarks = [
        f"cell {number} wrote to stderr: {line}"
        for number, cell in _code_cells(ran)
        for line in _complaints(cell.outputs)
    ]
    kept = strip(ran)
    for number, cell in _code_cells(kept):
        if found := _volatile(cell.outputs):
            raise BuildError(f"{path.stem}, cell {number}: {found}")
    kept.metadata.mtl_tutorial = {"digest": digest(kept)}
    text = nbformat.writes(kept) + "\n"
    if (size := len(text.encode())) > MAX_BYTES:
        sizes = {number: len(json.dumps(cell.outputs)) for number, cell in _code_cells(kept)}
        largest = max(sizes, key=sizes.__getitem__)
        raise BuildError(
            f"{path.stem} has {size / 1000:.0f} kB, and {MAX_BYTES // 1000} kB are allowed; the "
            f"largest output is that of cell {largest} ({sizes[largest] / 1000:.0f} kB)"
        )
    _keep(path, text, before)
    return size, remarks


def _keep(path: Path, text: str, before: bytes) -> None:
    """Write the notebook, and its pictures."""
    try:
        if not path.is_file() or path.read_bytes() != before:
            raise BuildError(f"{path.stem} was changed while it ran; build it again")
        write_whole(path.resolve(), text.encode())
        keep_pictures(path)
    except OSError as error:
        folder = Path(error.filename or path).parent
        raise BuildError(
            f"{path.stem} ran, but the folder {folder} can't be written ({error.strerror}); make "
            f"room or get permission, and build it again"
        ) from error


def read(path: Path) -> tuple[NotebookNode, bytes]:
    """Read a notebook; give it, and the bytes that the file holds.

    Raises:
        UsageError: where it can't be read or is no notebook, with the reason.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(
            f"{path} can't be read ({error.strerror}); a notebook is a file that you may read"
        ) from error
    try:
        notebook = parse(content.decode("utf-8-sig"))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a cell without an id gets one
            nbformat.validate(notebook)
    except Exception as error:  # a ValidationError is of another kind in each nbformat
        reason = " ".join(str(getattr(error, "message", error)).split())
        raise no_notebook(path, reason[:200]) from error
    return notebook, content


def _check_buildable(path: Path) -> None:
    """Check, before the first one runs, that a notebook is for Python and may be replaced."""
    metadata = read(path)[0].metadata
    named = [metadata.get(key, {}) for key in ("kernelspec", "language_info")]
    language = str(named[0].get("language") or named[1].get("name") or "python")
    if language.lower() not in ("python", "ipython"):
        raise UsageError(f"{path} is a notebook for {language}, and lessons run in Python")
    for place in (path, path.parent):
        if not os.access(place, os.W_OK):
            raise UsageError(
                f"{place} can't be written, so {path.stem} is not built; make it writable"
            )


def digest(notebook: NotebookNode) -> str:
    """Give the SHA-256 of the cells' types and sources, in hexadecimal."""
    cells = [[cell.cell_type, cell.source] for cell in notebook.cells]
    return hashlib.sha256(json.dumps(cells).encode()).hexdigest()


def is_fresh(notebook: NotebookNode) -> bool:
    """Tell whether the outputs were built from the cells as they are now."""
    kept = notebook.metadata.get("mtl_tutorial")
    return isinstance(kept, Mapping) and kept.get("digest") == digest(notebook)


def run(
    notebook: NotebookNode,
    path: Path,
    *,
    variables: Mapping[str, str] | None = None,
    go_on: bool = False,
    draw: bool = True,
) -> NotebookNode:
    """Give a copy of the notebook with the outputs of a fresh kernel in ``path``'s folder.

    Args:
        variables: of the environment, beside the quick profile.
        go_on: run the cells after one that raised, too.
        draw: put a picture beside each explorable.

    Raises:
        BuildError: naming the cell that raised, and its error.
    """
    from jupyter_client.kernelspec import NoSuchKernel
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

    ran = copy.deepcopy(notebook)
    for _, cell in _code_cells(ran):
        cell.update(outputs=[], execution_count=None)
    interrupt = _Interrupt()
    client = NotebookClient(
        ran,
        kernel_name="python3",
        kernel_manager_class=RunningPythonManager,
        resources={"metadata": {"path": str(path.parent)}},
        timeout=CELL_SECONDS,
        allow_errors=go_on,
        record_timing=False,
        store_widget_state=True,  # for the pictures of explorables; it is not kept
        shutdown_kernel="immediate",
        on_notebook_start=interrupt.listen,
    )
    with tempfile.TemporaryDirectory() as profile:
        try:
            client.execute(env={**_environment(profile), **(variables or {})})
            ran.metadata.pop("widgets", None)
            if draw:
                _add_stills(ran, client.widget_state)
        except CellExecutionError as error:
            reason = f"{error.ename}: {error.evalue}" if error.ename else str(error)
            raise BuildError(f"{path.stem}, {_last_cell(ran)} raised {reason}") from None
        except CellTimeoutError:
            raise BuildError(
                f"{path.stem}, {_last_cell(ran)} took more than {CELL_SECONDS} s"
            ) from None
        except (asyncio.CancelledError, DeadKernelError):
            if interrupt.came:
                raise KeyboardInterrupt from None
            raise BuildError(f"{path.stem}, {_last_cell(ran)} ended the kernel") from None
        except (NoBrowserError, ValueError) as error:
            raise BuildError(f"{path.stem}: {error}") from error
        except (NoSuchKernel, RuntimeError) as error:
            reason = " ".join(str(error).split())
            raise BuildError(
                f"{path.stem}: the kernel does not start ({reason}); 'python -m mtl_tutorial "
                f"doctor' says what is missing"
            ) from error
        finally:
            atexit.unregister(client._cleanup_kernel)  # it raises where no kernel came to life
    return ran


def _add_stills(ran: NotebookNode, states: Mapping[str, Mapping]) -> None:
    """Put beside each explorable the picture that its module draws, its sentence, and its state."""
    shown = {
        output.data[WIDGET]["model_id"]: output
        for _, cell in _code_cells(ran)
        for output in cell.outputs
        if WIDGET in output.get("data", {})
    }
    drawn = {key: states[key] for key in shown if "_esm" in states.get(key, {})}
    for key, (png, sentence) in (stills(drawn) if drawn else {}).items():
        data = shown[key].data
        data["image/png"] = base64.b64encode(png).decode()
        data["text/plain"] = sentence or data["text/plain"]
        if widget := explorable_of(states[key].get("_anywidget_id", "")):
            state = json.dumps(widget.kept(states[key]), separators=(",", ":"))
            kept = {"widget": states[key]["_anywidget_id"], "state": state}  # in one line
            shown[key].metadata["mtl_tutorial"] = kept


def explorable_of(name: str) -> type[Explorable] | None:
    """Give the course's explorable of a dotted name; None for any other name."""
    module, _, widget = name.rpartition(".")
    if not module.startswith(f"{Explorable.__module__.rpartition('.')[0]}."):
        return None
    return getattr(importlib.import_module(module), widget)


class _Interrupt:
    """Ends a run on Ctrl-C, and remembers it: nbclient takes it for a kernel that died."""

    came = False

    def listen(self, notebook: NotebookNode) -> None:
        task, loop = asyncio.current_task(), asyncio.get_running_loop()

        def end() -> None:
            self.came = True
            if task:
                task.cancel()

        # Windows, and a thread, raise KeyboardInterrupt themselves.
        with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
            loop.add_signal_handler(signal.SIGINT, end)
            loop.add_signal_handler(signal.SIGTERM, end)


def _environment(profile: str) -> dict[str, str]:
    """The quick profile and nothing of this user's, so that outputs are the same everywhere."""
    kept = {name: value for name, value in os.environ.items() if name != "MTL_DATA_ROOT"}
    return {
        **kept,
        "MTL_PROFILE": "quick",
        "IPYTHONDIR": profile,
        "PYTHONHASHSEED": "0",
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    }


def _code_cells(notebook: NotebookNode) -> list[tuple[int, NotebookNode]]:
    """The code cells with their numbers, counted from 1 over all cells."""
    return [
        (number, cell) for number, cell in enumerate(notebook.cells, 1) if cell.cell_type == "code"
    ]


def _last_cell(notebook: NotebookNode) -> str:
    """Name the last cell that began to run, by number and first line."""
    started = [
        (n, cell) for n, cell in _code_cells(notebook) if cell.execution_count or cell.outputs
    ]
    number, cell = started[-1] if started else _code_cells(notebook)[0]
    line = next((line for line in cell.source.splitlines() if line.strip()), "")
    return f"cell {number} ({line.strip()[:60]!r})"


def strip(notebook: NotebookNode) -> NotebookNode:
    """Give a copy without live widgets, progress, stderr, timings and kernel versions."""
    kept = copy.deepcopy(notebook)
    kept.metadata.pop("widgets", None)
    name_kernel(kept.metadata)
    for _, cell in _code_cells(kept):
        cell.metadata.pop("execution", None)
        cell.outputs = _merge_streams(
            output for output in map(_strip_output, cell.outputs) if output is not None
        )
    return kept


def _strip_output(output: NotebookNode) -> NotebookNode | None:
    if output.output_type == "stream":
        if output.name == "stderr":
            return None
        return output
    if output.output_type == "error":
        return output
    was_widget = output.data.pop(WIDGET, None) is not None
    if not output.data.get("image/png", "-"):
        del output.data["image/png"]
    if was_widget and not output.data.keys() - {"text/plain"}:
        return None
    if "image/png" in output.data:
        keep_one_picture(output)
        output.data["image/png"] = shrink(output.data["image/png"])
    return output


def _merge_streams(outputs: Iterable[NotebookNode]) -> list[NotebookNode]:
    """Join neighbouring streams: where the kernel splits them depends on timing.

    Not by nbclient's ``coalesce_streams``, which moves text to before the picture that it follows.
    """
    merged: list[NotebookNode] = []
    for output in outputs:
        if merged and output.output_type == merged[-1].output_type == "stream":
            merged[-1].text += output.text
        else:
            merged.append(output)
    for output in merged:
        if output.output_type == "stream":
            output.text = _as_shown(output.text)
    return [output for output in merged if output.get("text", "-")]


def _as_shown(text: str) -> str:
    """What a terminal shows in the end of text that goes back to the start of its lines."""
    *lines, last = text.split("\n")
    lines = [line.removesuffix("\r").rpartition("\r")[2] for line in lines]
    return "\n".join([*lines, last.rpartition("\r")[2]])


def shrink(png: str) -> str:
    """Give a picture (PNG in base64) with a palette of 96 colours, where that is smaller.

    The palette covers the colours that occur, not the frequent ones alone, so that thin lines
    keep theirs; each then moves to the mean of its pixels, so that large areas keep theirs too.
    A picture with transparency stays as it is.
    """
    original = base64.b64decode(png)
    with Image.open(io.BytesIO(original)) as image:
        if image.convert("RGBA").getchannel("A").getextrema() != (255, 255):
            return png
        small = image.convert("RGB").quantize(
            96, method=Image.Quantize.MAXCOVERAGE, kmeans=1, dither=Image.Dither.NONE
        )
    buffer = io.BytesIO()
    small.save(buffer, format="png", optimize=True)
    return base64.b64encode(min(original, buffer.getvalue(), key=len)).decode()


def _complaints(outputs: Iterable[NotebookNode]) -> list[str]:
    """What was written to stderr and is no progress bar."""
    text = "".join(o.text for o in outputs if o.output_type == "stream" and o.name == "stderr")
    return [line.strip() for line in text.split("\n") if line.strip() and "\r" not in line]


def _volatile(outputs: Iterable[NotebookNode]) -> str | None:
    """Say which text in the outputs is true on this machine or in this run only."""
    for text in _texts(outputs):
        for folder in _private_folders():
            if found := folder.search(text):
                return f"its output contains the path {found[0]}; print none"
        if found := ADDRESS.search(text):
            return (
                f"its output contains the memory address {found[0].removeprefix('at ')}, which "
                f"changes with every run; end the cell's last line with a semicolon"
            )
        if found := TEMPORARY.search(text):
            return f"its output contains the temporary path {found[0]}"
    return None


def _texts(outputs: Iterable[NotebookNode]) -> Iterable[str]:
    for output in outputs:
        if output.output_type == "stream":
            yield output.text
        elif output.output_type == "error":
            yield "\n".join([output.evalue, *output.traceback])
        else:
            for kind, value in output.data.items():
                if not kind.startswith("image/") or kind == "image/svg+xml":
                    yield value if isinstance(value, str) else json.dumps(value)


def _private_folders() -> list[re.Pattern[str]]:
    checkout = Path(__file__).resolve().parents[2]
    environment = [Path(sys.prefix)] if sys.prefix != sys.base_prefix else []
    folders = [checkout, Path.home(), Path.home().resolve(), *environment]
    spellings = {
        spelling
        for folder in folders
        if len(folder.parts) > 1
        for spelling in (str(folder), folder.as_posix(), repr(str(folder))[1:-1])
    }
    longest_first = sorted(spellings, key=len, reverse=True)
    return [re.compile(rf"(?<![\w.-]){re.escape(spelling)}(?![\w-])") for spelling in longest_first]
