"""Data flows one way: each room of the package imports only rooms above it."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = "mtl_tutorial"
FLOORS = (
    ("tasks", "places", "writing"),
    ("profiles",),
    ("claims",),
    ("data", "architectures", "balancing"),
    ("measuring", "checkpoints"),
    ("training",),
    ("experiments",),
    ("plots", "web"),
    ("widgets",),
    ("exercises",),
    ("commands",),
    ("__main__",),
)
FLOOR_OF = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
LAST_BARE_ROOM = "experiments"
DESKTOP = ("IPython", "ipykernel", "ipywidgets", "jupyter_client", "jupyterlab", "matplotlib")


def imported_names(module: Path, folder: Path) -> set[str]:
    """The dotted names that a module imports, at its top or inside a function."""
    package = (folder.name, *module.relative_to(folder).parts[:-1])
    names = set()
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) + 1 - node.level] if node.level else ()
            start = ".".join((*base, *filter(None, [node.module])))
            names.update(f"{start}.{alias.name}" for alias in node.names)
    return names


def violations(folder: Path) -> list[str]:
    """Every import in the package that leads to the same floor or further down."""
    found = []
    for module in sorted(folder.rglob("*.py")):
        where = module.relative_to(folder)
        here = where.parts[0].removesuffix(".py")
        if here != "__init__" and here not in FLOOR_OF:
            found.append(f"{where} is in no room")
            continue
        for name in sorted(imported_names(module, folder)):
            parts = name.split(".")
            there = parts[1] if parts[0] == folder.name and len(parts) > 1 else here
            if there == here or there not in FLOOR_OF:
                continue
            if here == "__init__" or FLOOR_OF[there] >= FLOOR_OF[here]:
                found.append(f"{where} imports {name}")
    return found


def test_rooms_import_only_rooms_above_them(root: Path) -> None:
    assert violations(root / PACKAGE) == []


def test_a_method_does_not_know_the_registry_that_names_them_all(root: Path) -> None:
    registry = f"{PACKAGE}.balancing.registry"
    for module in sorted((root / PACKAGE / "balancing").glob("*.py")):
        if module.stem not in ("__init__", "registry"):
            names = imported_names(module, root / PACKAGE)
            assert not [name for name in names if name.startswith(registry)], module.name


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("tasks.py", "from mtl_tutorial.training import fit"),
        ("tasks.py", "from mtl_tutorial.balancing.registry import make_balancer"),
        ("measuring.py", "from mtl_tutorial.checkpoints import save_checkpoint"),
        ("measuring.py", "from mtl_tutorial.training import fit"),
        ("checkpoints.py", "from mtl_tutorial.experiments.store import read_results"),
        ("balancing/registry.py", "from mtl_tutorial.architectures import HardSharing"),
        ("balancing/registry.py", "from mtl_tutorial.experiments import seeded"),
        ("tasks.py", "import mtl_tutorial.training"),
        ("tasks.py", "def later():\n    from mtl_tutorial import plots"),
        ("data/scenes.py", "from mtl_tutorial.balancing.fixed import FixedWeights"),
        ("data/scenes.py", "from ..architectures import HardSharing"),
        ("training.py", "from .widgets.view import View"),
        ("__init__.py", "from mtl_tutorial.tasks import Task"),
        ("helpers.py", ""),
    ],
)
def test_an_import_that_leads_down_is_caught(module: str, line: str, tmp_path: Path) -> None:
    path = tmp_path / PACKAGE / module
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(line)
    assert len(violations(tmp_path / PACKAGE)) == 1


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("training.py", "from mtl_tutorial.balancing import Balancer"),
        ("training.py", "from mtl_tutorial.measuring import Score"),
        ("measuring.py", "from mtl_tutorial.balancing import task_gradients"),
        ("balancing/registry.py", "from mtl_tutorial.balancing.pcgrad import PCGrad"),
        ("experiments/runs.py", "from mtl_tutorial.checkpoints import save_checkpoint"),
        ("data/scenes.py", "from mtl_tutorial.data.digits import Digits"),
        ("data/scenes.py", "from .digits import Digits"),
        ("data/scenes.py", "from ..tasks import Batch"),
        ("commands/build.py", "from mtl_tutorial import __version__\nimport nbclient"),
    ],
)
def test_an_import_that_leads_up_or_stays_is_allowed(
    module: str, line: str, tmp_path: Path
) -> None:
    path = tmp_path / PACKAGE / module
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(line)
    assert violations(tmp_path / PACKAGE) == []


BARE = """
import importlib, os, sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked!r}:
            raise ModuleNotFoundError(f"{{name}} is not on this machine", name=name)

sys.meta_path.insert(0, Absent())
for name in {modules!r}:
    importlib.import_module(name)
import torch
assert not torch.cuda.is_initialized()
"""


def import_on_a_bare_machine(modules: list[str], folder: Path) -> subprocess.CompletedProcess:
    """Import modules in a new process without Jupyter, matplotlib, GPU or display."""
    code = BARE.format(blocked=DESKTOP, modules=modules)
    hidden = ("DISPLAY", "WAYLAND_DISPLAY")
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    environment["CUDA_VISIBLE_DEVICES"] = ""
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_everything_down_to_experiments_imports_on_a_bare_machine(root: Path) -> None:
    bare = FLOOR_OF[LAST_BARE_ROOM]
    modules = []
    for path in sorted((root / PACKAGE).rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        if parts[1] == "__init__" or FLOOR_OF.get(parts[1], bare + 1) <= bare:
            modules.append(".".join(parts).removesuffix(".__init__"))
    assert f"{PACKAGE}.{LAST_BARE_ROOM}" in modules
    done = import_on_a_bare_machine(modules, root)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("library", ["matplotlib.figure", "ipywidgets", "IPython.display"])
def test_an_import_of_a_desktop_library_is_caught(library: str, tmp_path: Path) -> None:
    (tmp_path / "needs_a_desktop.py").write_text(f"import {library}\n")
    done = import_on_a_bare_machine(["needs_a_desktop"], tmp_path)
    assert done.returncode != 0
    assert "is not on this machine" in done.stderr
