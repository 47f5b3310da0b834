"""The build command on small notebooks: what it keeps, what it drops and what it refuses."""

from __future__ import annotations

import base64
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import numpy as np
import pytest
from nbformat import NotebookNode
from PIL import Image

from mtl_tutorial.commands import UsageError, stills
from mtl_tutorial.commands.build import build, digest, explorable_of, is_fresh, shrink, strip
from mtl_tutorial.commands.stills import find_chromium

PNG = 'display({"image/png": PNG, "text/plain": "a red square"}, raw=True)'
LIVE = """
import ipywidgets
class Live(ipywidgets.IntSlider):
    def _repr_mimebundle_(self, **kwargs):
        bundle = super()._repr_mimebundle_(**kwargs)
        return {**bundle, "image/png": PNG, "text/plain": "a picture"}
Live()
"""
VOLATILE = """
import sys
from tqdm.auto import tqdm
for i in tqdm(range(3)):
    pass
for i in tqdm(range(3), file=sys.stdout):
    pass
print("step 1", end="\\r")
print("step 2", end="\\r")
print("done", flush=True)
print("after", flush=True)
print("a warning", file=sys.stderr)
"""


def picture(size: int = 8, seed: int | None = None) -> str:
    """A PNG in base64: red, or noise that no compression makes smaller."""
    pixels = np.zeros((size, size, 3), dtype=np.uint8)
    pixels[:] = (213, 94, 0)
    if seed is not None:
        pixels = np.random.default_rng(seed).integers(0, 256, pixels.shape, dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="png")
    return base64.b64encode(buffer.getvalue()).decode()


def lesson(folder: Path, *sources: str, name: str = "00_start_here") -> Path:
    """Write a notebook with a heading and code cells, never built."""
    cells = [nbformat.v4.new_markdown_cell("# A lesson", id="heading")]
    cells += [nbformat.v4.new_code_cell(text, id=f"cell-{i}") for i, text in enumerate(sources)]
    path = folder / f"{name}.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    return path


def read(path: Path) -> NotebookNode:
    return nbformat.read(path, as_version=4)


def outputs(path: Path) -> list[list[NotebookNode]]:
    return [cell.outputs for cell in read(path).cells if cell.cell_type == "code"]


def test_building_twice_gives_the_same_bytes(tmp_path, capsys):
    path = lesson(
        tmp_path,
        f"PNG = {picture()!r}",
        f"import os\nprint(os.environ['MTL_PROFILE'], os.path.samefile('.', {str(tmp_path)!r}))",
        PNG,
        LIVE,
        VOLATILE,
        "{'b', 'a', 'c'}",
    )
    assert build(folder=tmp_path) == 0
    once = path.read_bytes()
    assert build(folder=tmp_path, force=True) == 0
    assert path.read_bytes() == once
    assert "quick True" in once.decode()
    built = read(path)
    nbformat.validate(built)
    counts = [cell.execution_count for cell in built.cells if cell.cell_type == "code"]
    assert counts == [1, 2, 3, 4, 5, 6]
    assert built.metadata.language_info == {"name": "python"}
    assert built.metadata.mtl_tutorial == {"digest": digest(built)}
    assert "widgets" not in built.metadata
    assert all("execution" not in cell.metadata for cell in built.cells)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines if line.endswith("kB")] == ["00_start_here"] * 2
    assert "    cell 6 wrote to stderr: a warning" in lines


def test_a_live_view_keeps_its_picture_and_a_progress_bar_leaves_nothing(tmp_path):
    path = lesson(tmp_path, f"PNG = {picture()!r}", LIVE, VOLATILE)
    assert build(folder=tmp_path) == 0
    _, (live,), (text,) = outputs(path)
    assert set(live.data) == {"image/png", "text/plain"}
    assert live.data["text/plain"] == "a picture"
    assert text.name == "stdout"
    assert text.text.endswith("done\nafter\n")
    assert "step" not in text.text
    assert "\r" not in text.text


FRONT = "from mtl_tutorial.widgets.pareto_explorer import ParetoExplorer\nParetoExplorer(0.9)"


@pytest.mark.skipif(find_chromium() is None, reason="there is no Chromium here")
def test_an_explorable_leaves_the_picture_and_the_sentence_that_its_module_draws(tmp_path):
    path = lesson(tmp_path, FRONT)
    build([str(path)])
    ((output,),) = outputs(path)
    assert set(output.data) == {"image/png", "text/plain"}
    assert "0.90 apart: no part of the front is out" in output.data["text/plain"]
    assert "widgets" not in read(path).metadata
    kept = output.metadata.mtl_tutorial
    assert kept.widget == "mtl_tutorial.widgets.pareto_explorer.ParetoExplorer"
    assert json.loads(kept.state)["distance"] == 0.9


def test_an_explorable_of_ones_own_keeps_no_state():
    assert explorable_of("__main__.Mine") is None
    assert explorable_of("") is None


def test_without_a_browser_a_lesson_with_an_explorable_is_not_built(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(stills, "find_chromium", lambda own="": None)
    path = lesson(tmp_path, FRONT)
    assert "explorables are drawn in Chromium, and there is none" in refusal(path, capsys)


def test_only_a_notebook_whose_cells_changed_is_built_again(tmp_path, capsys):
    first = lesson(tmp_path, "1")
    second = lesson(tmp_path, "2", name="01_two_tasks")
    assert build(folder=tmp_path) == 0
    assert is_fresh(read(first)) and is_fresh(read(second))
    changed = read(second)
    changed.cells[1].source = "3"
    assert not is_fresh(changed)
    nbformat.write(changed, second)
    before = first.stat().st_mtime_ns
    capsys.readouterr()
    assert build(folder=tmp_path) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["01_two_tasks"]
    assert first.stat().st_mtime_ns == before
    assert build(folder=tmp_path) == 0
    assert "up to date" in capsys.readouterr().out


def test_a_digest_changes_with_type_and_source_and_with_nothing_else(tmp_path):
    notebook = read(lesson(tmp_path, "1", "2"))
    original = digest(notebook)
    notebook.cells[1].outputs = [nbformat.v4.new_output("stream", text="hello")]
    notebook.metadata.anything = "else"
    assert digest(notebook) == original
    notebook.cells[1].source = "1 "
    assert digest(notebook) != original
    notebook.cells[1].source = "1"
    notebook.cells[0].cell_type = "raw"
    assert digest(notebook) != original


@pytest.mark.parametrize("name", ["1", "01", "01_two_tasks"])
def test_a_name_builds_that_notebook_alone(tmp_path, name):
    first, second = lesson(tmp_path, "1"), lesson(tmp_path, "2", name="01_two_tasks")
    assert build([name], folder=tmp_path) == 0
    assert not is_fresh(read(first))
    assert is_fresh(read(second))


def test_a_path_builds_a_notebook_that_is_no_lesson(tmp_path):
    path = lesson(tmp_path, "1", name="scratch")
    assert build([str(path)]) == 0
    assert is_fresh(read(path))


def test_an_unknown_name_is_refused_before_anything_is_built(tmp_path):
    path = lesson(tmp_path, "1")
    with pytest.raises(UsageError, match="00_start_here"):
        build(["00", "07"], folder=tmp_path)
    assert not is_fresh(read(path))


VALID = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": []}
CELL = {"cell_type": "markdown", "id": "a", "metadata": {}, "source": "# A"}
NO_NOTEBOOKS = [
    (b"", "is empty"),
    (b" \n", "is empty"),
    (bytes(range(256)), "invalid start byte"),
    (b'{"cells": [', "Expecting value: line 1 column 12"),
    (b"[]", "JSON does not hold cells"),
    (b"3", "JSON does not hold cells"),
    (b"{}", "missing a key: cells"),
    (b"[" * 100_000, "recursion"),
    (json.dumps({**VALID, "nbformat": 9}).encode(), "version 9"),
    (json.dumps({"nbformat": 4, "nbformat_minor": 5, "cells": []}).encode(), "metadata"),
    (json.dumps({**VALID, "cells": [{**CELL, "cell_type": "kode"}]}).encode(), "kode"),
    (json.dumps({**VALID, "cells": [{**CELL, "source": 3}]}).encode(), "not valid"),
    (json.dumps({**VALID, "cells": "none"}).encode(), "The notebook is invalid"),
]


@pytest.mark.parametrize(("content", "reason"), NO_NOTEBOOKS, ids=[row[1] for row in NO_NOTEBOOKS])
def test_a_file_that_is_no_notebook_is_named_before_anything_is_built(tmp_path, content, reason):
    first, path = lesson(tmp_path, "1"), tmp_path / "01_two_tasks.ipynb"
    path.write_bytes(content)
    for names in ([], ["01"], [str(path)]):
        with pytest.raises(UsageError, match="is no notebook") as refused:
            build(names, folder=tmp_path)
        message = str(refused.value)
        assert str(path) in message and "git checkout -- 01_two_tasks.ipynb" in message
        assert reason in message
        assert "\n" not in message and len(message) < 500
    assert path.read_bytes() == content
    assert not is_fresh(read(first))


def test_a_folder_in_place_of_a_notebook_is_said_to_be_one(tmp_path):
    folder = tmp_path / "00_start_here.ipynb"
    folder.mkdir()
    with pytest.raises(UsageError, match="is a folder, and a notebook is a file"):
        build([str(folder)])
    with pytest.raises(UsageError, match=r"00_start_here.ipynb can't be read \(Is a directory\)"):
        build(folder=tmp_path)


@pytest.mark.parametrize(
    "name", ["", "07", "nothing.ipynb", "9" * 5000, "a" * 300 + ".ipynb", "\0.ipynb", ".", "٠٠٠٧"]
)
def test_a_name_that_is_no_lesson_is_refused_with_those_that_are(tmp_path, name):
    lesson(tmp_path, "1")
    with pytest.raises(UsageError, match="lesson must be one of 00_start_here or its number"):
        build([name], folder=tmp_path)


def test_a_notebook_for_another_language_is_not_run(tmp_path):
    path = lesson(tmp_path, "x <- 1")
    notebook = read(path)
    notebook.metadata.kernelspec = {"name": "ir", "display_name": "R", "language": "R"}
    nbformat.write(notebook, path)
    with pytest.raises(UsageError, match="is a notebook for R, and lessons run in Python"):
        build(folder=tmp_path)


@pytest.mark.parametrize(
    "metadata",
    [
        {},
        {"kernelspec": {"name": "no-such-kernel", "display_name": "Gone"}},
        {"mtl_tutorial": "damaged"},
        {"mtl_tutorial": {"digest": 3}},
    ],
)
def test_a_notebook_without_a_kernel_or_with_one_that_is_gone_is_built(tmp_path, metadata):
    path = lesson(tmp_path, "6 * 7")
    notebook = read(path)
    notebook.metadata = nbformat.from_dict(metadata)
    nbformat.write(notebook, path)
    assert build(folder=tmp_path) == 0
    built = read(path)
    assert built.metadata.kernelspec.name == "python3"
    assert "42" in str(built.cells[1].outputs)


def test_a_notebook_without_code_and_one_with_a_byte_order_mark_are_built(tmp_path):
    path = lesson(tmp_path)
    path.write_bytes("\ufeff".encode() + path.read_bytes())
    assert build(folder=tmp_path) == 0
    assert is_fresh(read(path))


@pytest.mark.parametrize("place", ["notebook", "folder"])
def test_what_is_read_only_is_refused_before_it_runs(tmp_path, place):
    folder = tmp_path / "lessons"
    folder.mkdir()
    path = lesson(folder, "raise SystemExit")
    locked = path if place == "notebook" else folder
    locked.chmod(0o555)
    if os.access(locked, os.W_OK):
        pytest.skip("this user may write everything")
    try:
        with pytest.raises(UsageError, match=f"{locked.name} can't be written"):
            build(folder=folder)
    finally:
        locked.chmod(0o755)


def test_what_may_not_be_written_is_refused_before_it_runs(tmp_path, monkeypatch):
    path = lesson(tmp_path, "raise SystemExit")
    monkeypatch.setattr(os, "access", lambda place, mode: Path(place) != tmp_path)
    with pytest.raises(UsageError, match=f"{tmp_path.name} can't be written, so 00_start_here"):
        build(folder=tmp_path)
    assert not is_fresh(read(path))


def test_a_disk_that_fills_up_while_it_runs_leaves_the_file_as_it_was(
    tmp_path, capsys, monkeypatch
):
    def full(path, content):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr("mtl_tutorial.commands.build.write_whole", full)
    message = refusal(lesson(tmp_path, "1"), capsys)
    assert f"the folder {tmp_path} can't be written (No space left on device)" in message


def test_pictures_that_can_not_be_written_are_said_in_a_sentence(tmp_path, capsys):
    folder, pictures = tmp_path / "notebooks", tmp_path / "pictures"
    folder.mkdir()
    (pictures / "landscape_race.png").mkdir(parents=True)  # a folder in place of a file
    source = f"PNG = {picture()!r}  # LandscapeRace(\n{PNG}"
    lesson(folder, source, name="08_pcgrad")
    assert build(folder=folder) == 1
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert f"the folder {pictures} can't be written" in message
    assert [path.name for path in pictures.iterdir()] == ["landscape_race.png"]


def test_a_kernel_that_does_not_start_is_said_in_a_sentence(tmp_path, capsys, monkeypatch):
    from mtl_tutorial.commands.kernel import RunningPython

    def without(self, kernel_name):
        spec = get(self, kernel_name)
        spec.argv = [sys.executable, "-c", "raise SystemExit(1)"]
        return spec

    get = RunningPython.get_kernel_spec
    monkeypatch.setattr(RunningPython, "get_kernel_spec", without)
    message = refusal(lesson(tmp_path, "1"), capsys)
    assert "the kernel does not start" in message and "doctor" in message


@pytest.mark.skipif(sys.platform == "win32", reason="permissions of POSIX")
def test_a_built_notebook_keeps_its_permissions_and_a_link_to_it_stays_one(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    target = lesson(tmp_path / "elsewhere", "1")
    target.chmod(0o640)
    link = tmp_path / "00_start_here.ipynb"
    link.symlink_to(target)
    assert build(folder=tmp_path) == 0
    assert link.is_symlink()
    assert target.stat().st_mode & 0o777 == 0o640
    assert is_fresh(read(target))


def test_text_between_pictures_stays_between_them(tmp_path):
    path = lesson(tmp_path, f"PNG = {picture()!r}", f"print('a')\n{PNG}\nprint('b')\n{PNG}")
    assert build(folder=tmp_path) == 0
    kinds = [output.output_type for output in outputs(path)[1]]
    assert kinds == ["stream", "display_data", "stream", "display_data"]


def refusal(path: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """Build in vain; give the message, having seen that the file is as it was."""
    before = path.read_bytes()
    assert build(folder=path.parent, force=True) == 1
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert path.stem in message
    return message


def test_a_cell_that_raises_leaves_the_file_as_it_was(tmp_path, capsys):
    path = lesson(tmp_path, "x = 1", "assert x == 2, 'x is 1'")
    message = refusal(path, capsys)
    assert "cell 3 (\"assert x == 2, 'x is 1'\") raised AssertionError: x is 1" in message


def test_a_kernel_that_dies_is_named_with_its_cell(tmp_path, capsys):
    path = lesson(tmp_path, "import os; os._exit(3)")
    assert "cell 2 ('import os; os._exit(3)') ended the kernel" in refusal(path, capsys)


@pytest.mark.parametrize(
    "source",
    [
        "from pathlib import Path; print(Path.home() / 'x')",
        "import mtl_tutorial; mtl_tutorial.__file__",
        "from pathlib import Path; {'folder': str(Path.home())}",
        "from IPython.display import HTML, Path\nHTML(f'<b>{Path.home()}</b>')",
    ],
)
def test_a_path_of_this_machine_is_refused(tmp_path, capsys, source):
    source = source.replace("HTML, Path\n", "HTML\nfrom pathlib import Path\n")
    message = refusal(lesson(tmp_path, source), capsys)
    assert "cell 2: its output contains the path" in message


def test_a_memory_address_is_refused(tmp_path, capsys):
    assert "memory address 0x" in refusal(lesson(tmp_path, "object()"), capsys)


def test_a_word_that_only_looks_like_a_path_is_kept(tmp_path):
    words = f"square{Path.home()} and {Path.home()}s"
    lesson(tmp_path, f"print({words!r})")
    assert build(folder=tmp_path) == 0


def test_a_notebook_that_grows_too_large_is_refused_with_its_largest_cell(tmp_path, capsys):
    noise = "base64.b64encode(os.urandom(310_000)).decode()"
    path = lesson(tmp_path, "print('small')", f"import base64, os\nprint({noise})")
    message = refusal(path, capsys)
    assert "400 kB are allowed" in message
    assert "cell 3" in message


def test_a_notebook_that_was_edited_while_it_ran_keeps_the_edit(tmp_path, capsys):
    path = lesson(tmp_path, "from pathlib import Path; Path('00_start_here.ipynb').write_text('x')")
    assert build(folder=tmp_path) == 1
    assert "was changed while it ran" in capsys.readouterr().err
    assert path.read_text() == "x"


def test_streams_that_the_kernel_split_are_joined(tmp_path):
    notebook = read(lesson(tmp_path, "1"))
    pieces = [("stdout", "a\n10 %\r"), ("stderr", "!"), ("stdout", "20 %\r"), ("stdout", "b\n")]
    notebook.cells[1].outputs = [
        nbformat.v4.new_output("stream", name=name, text=text) for name, text in pieces
    ]
    (stream,) = strip(notebook).cells[1].outputs
    assert stream.text == "a\nb\n"
    assert len(notebook.cells[1].outputs) == 4


def test_a_small_palette_keeps_every_colour_to_the_eye():
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3), dpi=100)
    axes = figure.add_subplot()
    for color in ("#0072B2", "#D55E00", "#009E73"):
        axes.plot(np.random.default_rng(0).normal(size=99).cumsum(), color=color, alpha=0.7)
    axes.imshow(np.arange(100).reshape(10, 10), extent=(0, 9, 0, 9))
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    before = buffer.getvalue()
    after = base64.b64decode(shrink(base64.b64encode(before).decode()))
    assert len(after) < len(before) / 1.5
    difference = np.abs(pixels(before) - pixels(after))
    assert difference.max() <= 24
    assert difference.mean() < 1


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


def test_a_small_palette_keeps_the_colour_of_a_large_area():
    """A light green between many light blues is no light blue."""
    shades = np.random.default_rng(0).integers((150, 200, 225), (255, 255, 256), (40, 400, 3))
    drawn = np.concatenate([np.full((200, 400, 3), (217, 240, 234)), shades]).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(drawn).save(buffer, format="png")
    after = base64.b64decode(shrink(base64.b64encode(buffer.getvalue()).decode()))
    assert np.abs(pixels(after)[:200] - (217, 240, 234)).max() <= 1


def test_a_picture_that_a_palette_makes_larger_or_poorer_stays_as_it_is():
    buffer = io.BytesIO()
    Image.new("RGBA", (4, 4), (0, 0, 0, 100)).save(buffer, format="png")
    transparent = base64.b64encode(buffer.getvalue()).decode()
    assert shrink(transparent) == transparent
    assert len(shrink(picture(1))) <= len(picture(1))


PID = "import os, pathlib; pathlib.Path({!r}).write_text(str(os.getpid()))"


@pytest.mark.skipif(sys.platform == "win32", reason="looks the kernel up by its process number")
def test_no_kernel_is_left_after_a_build_or_a_failure(tmp_path):
    folder, pids = tmp_path / "notebooks", [tmp_path / "first", tmp_path / "second"]
    folder.mkdir()
    lesson(folder, PID.format(str(pids[0])))
    lesson(folder, PID.format(str(pids[1])) + "; 1 / 0", name="01_two_tasks")
    assert build(folder=folder) == 1
    assert [is_running(int(pid.read_text())) for pid in pids] == [False, False]


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT")
def test_ctrl_c_leaves_the_file_as_it_was_and_no_kernel(tmp_path):
    pid = tmp_path / "pid"
    path = lesson(tmp_path, PID.format(str(pid)) + "; import time; time.sleep(1000)")
    before = path.read_bytes()
    with subprocess.Popen(
        [sys.executable, "-m", "mtl_tutorial", "build", str(path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        while process.poll() is None and not (pid.exists() and pid.read_text()):
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130, stderr
    assert stderr == "\nmtl_tutorial: stopped\n"
    assert path.read_bytes() == before
    assert not is_running(int(pid.read_text()))


def test_json_is_written_with_unix_line_ends_and_one_key_a_line(tmp_path):
    path = lesson(tmp_path, "print('é')")
    assert build(folder=tmp_path) == 0
    raw = path.read_bytes()
    assert b"\r" not in raw
    assert raw.endswith(b"}\n")
    assert "é" in raw.decode()
    assert list(json.loads(raw)) == ["cells", "metadata", "nbformat", "nbformat_minor"]
