"""What several tests need, and the lessons that nbval runs: notebooks, real digits."""

from __future__ import annotations

import os
import shutil
from collections.abc import Generator
from pathlib import Path

import pytest

pytest.register_assert_rewrite("exercise_answers")  # its failures show what a learner was told

# One thread, here and in every kernel started from here, as in the quick profile.
os.environ.setdefault("OMP_NUM_THREADS", "1")  # read once, when torch is imported

ROOT = Path(__file__).resolve().parent
DATA_SETS = ("MNIST", "FashionMNIST")


def notebooks() -> list[Path]:
    """Every notebook of the course, in its order."""
    return sorted((ROOT / "notebooks").glob("*.ipynb"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None]:
    """A cell of a lesson also fails where it writes to stderr."""
    yield
    outputs = getattr(item, "test_outputs", None) or ()
    written = [out.text for out in outputs if out.get("name") == "stderr"]
    assert not written, f"{item.name} wrote to stderr: {''.join(written)}"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that takes a ``notebook_path`` once for every notebook."""
    if "notebook_path" in metafunc.fixturenames:
        paths = notebooks()
        metafunc.parametrize("notebook_path", paths, ids=[path.stem for path in paths])


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(scope="session")
def real_data_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A writable copy of the MNIST and FashionMNIST files, shared by all tests: leave it whole.

    The originals are looked for in the folder that ``MTL_TEST_DATA`` names, else in
    ``../shared/data`` beside the checkout.
    """
    source = Path(os.environ.get("MTL_TEST_DATA") or ROOT.parent / "shared" / "data")
    if absent := [name for name in DATA_SETS if not (source / name / "raw").is_dir()]:
        pytest.skip(f"no {' and '.join(absent)} in {source}; MTL_TEST_DATA can name their folder")
    folder = tmp_path_factory.mktemp("data")
    for name in DATA_SETS:
        (folder / name / "raw").mkdir(parents=True)
        for file in (source / name / "raw").glob("*.gz"):
            shutil.copyfile(file, folder / name / "raw" / file.name)
    return folder


@pytest.fixture(scope="session")
def fsdd_file() -> Path:
    """The archive of the Free Spoken Digit Dataset, looked for beside MNIST: leave it whole."""
    source = Path(os.environ.get("MTL_TEST_DATA") or ROOT.parent / "shared" / "data")
    if not (source / "fsdd.tar.gz").is_file():
        pytest.skip(f"no fsdd.tar.gz in {source}; MTL_TEST_DATA can name its folder")
    return source / "fsdd.tar.gz"


@pytest.fixture
def real_data(real_data_files: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of MNIST and FashionMNIST, as ``MTL_DATA_ROOT``; skips where there is none."""
    monkeypatch.setenv("MTL_DATA_ROOT", str(real_data_files))
    return real_data_files
