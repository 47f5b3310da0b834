"""Every lesson also runs in the full profile: MNIST, speech and other numbers, the same cells.

The runs are shortened: less data, fewer steps and seeds. The code is the lesson's own, without
its asserts, whose margins are those of whole runs.
"""

from __future__ import annotations

import ast
import gzip
import shutil
from dataclasses import replace
from pathlib import Path

import nbformat
import numpy as np
import pytest

from mtl_tutorial import profiles
from mtl_tutorial.data import digits
from mtl_tutorial.profiles import Profile

pytestmark = pytest.mark.slow  # nbval runs every lesson in the quick one

TRAIN, HELD_OUT, TEST = 400, 200, 200
STEPS, SEEDS = 20, (0, 1)


def shorten(source: Path, target: Path, count: int) -> None:
    """Unpack one of MNIST's files, with its last items alone."""
    content = gzip.decompress(source.read_bytes())
    dimensions = content[3]
    sizes = np.frombuffer(content, ">i4", dimensions, offset=4).copy()
    items = np.frombuffer(content, np.uint8, offset=4 + 4 * dimensions).reshape(sizes)
    sizes[0] = count
    target.write_bytes(content[:4] + sizes.tobytes() + items[-count:].tobytes())


@pytest.fixture(scope="module")
def few_digits(
    real_data_files: Path, fsdd_file: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A data folder with a small part of MNIST, and all spoken digits."""
    folder = tmp_path_factory.mktemp("few")
    raw = folder / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for source in (real_data_files / "MNIST" / "raw").glob("*.gz"):
        count = TEST if source.name.startswith("t10k") else TRAIN + HELD_OUT
        shorten(source, raw / source.stem, count)
    speech = folder / "FSDD" / "fsdd.tar.gz"
    speech.parent.mkdir()
    shutil.copyfile(fsdd_file, speech)
    return folder


class WithoutAsserts(ast.NodeTransformer):
    """Puts a ``pass`` in place of every assert."""

    def visit_Assert(self, node: ast.Assert) -> ast.Pass:
        return ast.copy_location(ast.Pass(), node)


def test_a_lesson_runs_in_the_full_profile(
    notebook_path: Path, few_digits: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_profile = profiles.load_profile

    def load_shortened(name: str | None = None, *, device: str | None = None) -> Profile:
        return replace(load_profile(name, device=device), steps=STEPS, seeds=SEEDS)

    monkeypatch.setenv("MTL_DATA_ROOT", str(few_digits))
    monkeypatch.setenv("MTL_PROFILE", "full")
    monkeypatch.setattr(profiles, "load_profile", load_shortened)
    monkeypatch.setattr(digits, "HELD_OUT", HELD_OUT)
    monkeypatch.setattr(digits, "_check_contents", lambda *_: None)  # these are shortened
    namespace = {"__name__": notebook_path.stem}
    for cell in nbformat.read(notebook_path, as_version=4).cells:
        if cell.cell_type == "code":
            tree = WithoutAsserts().visit(ast.parse(cell.source))
            exec(compile(tree, f"{notebook_path.stem}, {cell.id}", "exec"), namespace)
    profile = namespace["profile"]
    assert (profile.name, profile.digits, profile.steps) == ("full", "mnist", STEPS)
