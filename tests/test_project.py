"""The files around the package: they agree with each other and with what the README promises."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

import mtl_tutorial
from mtl_tutorial.commands.course import course, rows
from mtl_tutorial.commands.pictures import PICTURES, pictures_of

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[1]
COMMANDS = (
    "python -m pip install -e . && python -m mtl_tutorial lab",
    'python -m pip install -e ".[test]" && pytest',
)
PIP_ONLY = {"torchjd"}  # installed with the package itself
RUN_THE_LESSONS = {"pytest", "pytest-xdist", "nbval"}  # of the extra "test"
CONDA_NAMES = {"torch": "pytorch", "matplotlib": "matplotlib-base"}
IMPORT_NAMES = {"scikit-learn": "sklearn", "PyYAML": "yaml", "pillow": "PIL",
                "axe-playwright-python": "axe_playwright_python",
                "fonttools": "fontTools", "beautifulsoup4": "bs4"}  # fmt: skip
THINGS = ("a task", "an architecture", "a balancer", "a lesson", "an exercise", "a widget")
NEW_MODULE = "from mtl_tutorial.balancing.random_weights import RandomWeights"
JUPYTER = {"IPython", "jupyter_client", "jupyter_core", "jupyter_server", "nbconvert", "tornado",
           "traitlets"}  # fmt: skip


@pytest.fixture(scope="module")
def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def load_yaml(path: str) -> dict:
    return yaml.safe_load((ROOT / path).read_text(encoding="utf-8"))


def read(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def python_blocks(path: str) -> list[tuple[int, str]]:
    """Line number and text of every Python block in a Markdown file."""
    text = read(path)
    return [
        (text.count("\n", 0, block.start(1)) + 1, block[1])
        for block in re.finditer(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    ]


def test_conda_installs_what_pip_installs(project: dict) -> None:
    listed = [line for line in load_yaml("environment.yml")["dependencies"] if line != "pip"]
    conda = {r.name: r.specifier for r in map(Requirement, filter(is_text, listed))}
    pip = {
        CONDA_NAMES.get(r.name, r.name): r.specifier
        for r in requirements(project)
        if r.name not in PIP_ONLY
    }
    pip |= {r.name: r.specifier for r in requirements(project, "test") if r.name in RUN_THE_LESSONS}
    assert pip.keys() >= RUN_THE_LESSONS
    assert conda == {"python": SpecifierSet(project["requires-python"]), **pip}


def is_text(value: object) -> bool:
    return isinstance(value, str)


def requirements(project: dict, extra: str | None = None) -> list[Requirement]:
    lines = project["optional-dependencies"][extra] if extra else project["dependencies"]
    return [Requirement(line) for line in lines]


def test_conda_takes_everything_from_conda_forge_and_the_package_from_here() -> None:
    environment = load_yaml("environment.yml")
    assert environment["channels"] == ["conda-forge", "nodefaults"]
    assert {"pip": ["-e ."]} in environment["dependencies"]


def test_every_library_that_is_imported_is_declared(project: dict) -> None:
    declared = {IMPORT_NAMES.get(r.name, r.name) for r in requirements(project)}
    for names, folder in (
        (("cluster", "docs"), "mtl_tutorial"),
        (("docs",), "docs"),
        (("test", "docs"), "tests"),
        (("bench",), "benchmarks"),
    ):
        extras = [one for name in names for one in requirements(project, name)]
        known = {IMPORT_NAMES.get(r.name, r.name) for r in extras} | declared
        known |= {name for r in extras for name in r.extras}  # dask[distributed]
        known |= {"mtl_tutorial", *sys.stdlib_module_names}
        known |= JUPYTER  # jupyterlab and ipykernel are built on these
        known |= {"docutils"}  # Sphinx is built on it
        known |= {"playwright"}  # build asks for it in words where it is missing
        local = {path.stem for path in (ROOT / folder).rglob("*.py")}
        for path in sorted((ROOT / folder).rglob("*.py")):
            unknown = imported_libraries(path) - known - local
            assert not unknown, f"{path.relative_to(ROOT)} imports {sorted(unknown)}"


def test_every_library_that_is_installed_is_used(project: dict) -> None:
    used = {"jupyterlab", "ipykernel"}  # started as programs
    used = used.union(*map(imported_libraries, (ROOT / "mtl_tutorial").rglob("*.py")))
    assert {IMPORT_NAMES.get(r.name, r.name) for r in requirements(project)} <= used


def imported_libraries(path: Path) -> set[str]:
    tree, names = ast.parse(path.read_text(encoding="utf-8")), set()
    for_checkers = {  # what is under `if TYPE_CHECKING:` is never imported
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in for_checkers:
            continue
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.add(node.module.partition(".")[0])
    return names


def test_every_module_has_a_test_file_of_its_own_name() -> None:
    """`test_NAME.py`, or `test_ROOM_NAME.py` where two rooms have a module of that name.

    Explorables are tried side by side in `test_explorable.py`, each by its class.
    """
    tests = {path.stem for path in (ROOT / "tests").glob("test_*.py")}
    package = ROOT / "mtl_tutorial"
    tried = set(
        re.findall(r"widgets\.(\w+) import", (ROOT / "tests/test_explorable.py").read_text())
    )
    modules = [
        path
        for path in package.rglob("*.py")
        if path.stem != "__init__" and not (path.parent.name == "widgets" and path.stem in tried)
    ]
    untested = {
        path.relative_to(package).as_posix()
        for path in modules
        if not tests & {f"test_{path.stem.strip('_')}", f"test_{path.parent.name}_{path.stem}"}
    }
    assert untested == set()


@pytest.mark.parametrize("command", COMMANDS)
def test_the_readme_has_the_command_on_a_line_of_its_own(command: str) -> None:
    assert command in read("README.md").splitlines()


def test_the_readme_has_the_rows_of_the_map() -> None:
    found = re.findall(r"^\| \[`\d\d_.*$", read("README.md"), re.MULTILINE)
    assert found == rows(course())


def test_the_readme_shows_the_widgets_as_the_lessons_do() -> None:
    shown = re.findall(r"\]\(pictures/([\w.]+)\)", read("README.md"))
    films = ["compass.webp", "tuner.webp"]  # by docs/animations.py
    assert sorted(shown) == sorted([*PICTURES, *films]) == sorted(os.listdir(ROOT / "pictures"))
    for name in films:
        assert 50_000 < (ROOT / "pictures" / name).stat().st_size < 1_000_000
    for name, (lesson, _) in PICTURES.items():
        kept = (ROOT / "pictures" / name).read_bytes()
        assert pictures_of(ROOT / "notebooks" / f"{lesson}.ipynb")[name] == kept


@pytest.mark.parametrize("path", ["README.md", "CONTRIBUTING.md"])
def test_links_in_a_document_lead_somewhere(path: str) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", read(path))
    assert [link for link in links if not (ROOT / link).exists()] == []


@pytest.mark.parametrize(
    "code",
    [
        pytest.param(code, id=f"line {line}")
        for line, code in python_blocks("CONTRIBUTING.md") + python_blocks("README.md")
        if NEW_MODULE not in code  # that one runs below, where the module is
    ],
)
def test_the_code_in_the_documents_runs(code: str) -> None:
    exec(compile(code, "document", "exec"), {"__name__": "document"})


@pytest.mark.slow
def test_a_newcomers_balancer_takes_three_files_and_is_tested_and_trained(tmp_path: Path) -> None:
    """Everything that CONTRIBUTING says, in a checkout of one's own."""
    blocks = [code for _, code in python_blocks("CONTRIBUTING.md")]
    (method,) = [code for code in blocks if "class RandomWeights(Balancer)" in code]
    (test,) = [code for code in blocks if NEW_MODULE in code]
    (line,) = re.findall(r'^    "random_weights": .*\n', read("CONTRIBUTING.md"), re.MULTILINE)
    for name in ("mtl_tutorial", "tests"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("conftest.py", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    balancing = tmp_path / "mtl_tutorial" / "balancing"
    (balancing / "random_weights.py").write_text(method, encoding="utf-8")
    (tmp_path / "tests" / "test_random_weights.py").write_text(test, encoding="utf-8")
    registry = (balancing / "registry.py").read_text(encoding="utf-8")
    head, start, rest = registry.partition("BALANCERS: ")
    name, brace, rest = rest.partition("{\n")
    text = f"{head}{NEW_MODULE}\n\n{start}{name}{brace}{line}{rest}"
    (balancing / "registry.py").write_text(text, encoding="utf-8")

    every = [
        f"tests/test_{name}.py" for name in ("random_weights", "balancing", "execute", "protocol")
    ]
    of_it = ("-k", "random_weights or the_help_names")
    python(tmp_path, "-m", "pytest", "-n0", "-pno:cacheprovider", *every, *of_it)
    options = ("--data", "located_digits", "--balancer", "equal", "random_weights", "--epochs", "1")
    table = python(tmp_path, "-m", "mtl_tutorial", "train", *options, "--results", "runs")
    assert "random_weights" in table
    assert "random_weights" in python(tmp_path, "-m", "mtl_tutorial", "train", "--help")


def python(folder: Path, *arguments: str) -> str:
    """Run Python in a checkout; give what it printed."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_contributing_shows_how_to_add_each_kind_of_thing() -> None:
    sections = read("CONTRIBUTING.md").split("\n## ")
    for thing in THINGS:
        assert any(section.startswith(f"Add {thing}\n") for section in sections), thing
    assert len(python_blocks("CONTRIBUTING.md")) >= 3


def test_the_citation_names_this_version() -> None:
    citation = load_yaml("CITATION.cff")
    assert citation["cff-version"] == "1.2.0"
    assert citation["version"] == mtl_tutorial.__version__
    assert citation["license"] == "MIT"
    assert {"message", "title", "authors"} <= citation.keys()


def test_the_licence_is_mit(project: dict) -> None:
    licence = read("LICENSE")
    assert licence.startswith("MIT License\n\nCopyright (c) 2026 The mtl_tutorial authors\n")
    assert "Permission is hereby granted, free of charge" in licence
    assert 'THE SOFTWARE IS PROVIDED "AS IS"' in licence
    assert project["license"] == "MIT"


def test_the_workflow_covers_three_systems_and_both_ends_of_torch(project: dict) -> None:
    workflow = load_yaml(".github/workflows/test.yml")
    triggers = workflow[True]  # YAML 1.1 reads the key "on" as true
    assert triggers["schedule"]
    matrix = workflow["jobs"]["pytest"]["strategy"]["matrix"]
    assert matrix["os"] == ["ubuntu-latest", "macos-latest", "windows-latest"]
    lowest, newest = matrix["include"]
    assert [lowest["torch"], newest["torch"]] == matrix["torch"] == ["lowest", "newest"]
    bounds = {r.name: str(r.specifier).removeprefix(">=") for r in requirements(project)}
    assert lowest["requirements"] == (
        f"torch=={bounds['torch']}.* torchvision=={bounds['torchvision']}.*"
    )
    assert f">={lowest['python']}" == project["requires-python"]
    assert newest["requirements"] == "torch torchvision"
    steps = [step.get("run") for step in workflow["jobs"]["pytest"]["steps"]]
    assert steps[-2:] == ["mypy", "pytest ${{ matrix.part }}"]
    options = tomllib.loads(read("pyproject.toml"))["tool"]["pytest"]["ini_options"]
    assert matrix["part"] == options["testpaths"]  # together, what pytest runs
    assert workflow["jobs"]["slow"]["steps"][-1]["run"] == "pytest -m slow"


def test_the_ci_script_runs_the_readme_command_and_is_executable() -> None:
    script = ROOT / ".ci" / "run"
    lines = script.read_text(encoding="utf-8").splitlines()
    assert COMMANDS[1] in lines and "pytest -m slow" in lines and "mypy" in lines
    assert '    export MTL_TEST_DATA="$PWD/../shared/data"' in lines
    if os.name == "posix":
        assert os.access(script, os.X_OK)
        subprocess.run(["bash", "-n", str(script)], check=True)


@pytest.mark.parametrize("arguments", [("check",), ("format", "--check")], ids=" ".join)
def test_ruff_finds_nothing(arguments: tuple[str, ...], tmp_path: Path) -> None:
    ruff = shutil.which("ruff", path=Path(sys.executable).parent) or shutil.which("ruff")
    done = subprocess.run(
        [ruff, *arguments, f"--cache-dir={tmp_path}", "."],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_workflow_audits_the_claims_every_week() -> None:
    workflow = load_yaml(".github/workflows/audit.yml")
    assert workflow[True]["schedule"]
    *_, last = workflow["jobs"]["claims"]["steps"]
    sizes = "--steps 2 4 --seeds 3 --rates 0.5 2 --arithmetic avx2 sse4"
    assert last["run"] == f"python -m mtl_tutorial audit {sizes} --workers 2"
