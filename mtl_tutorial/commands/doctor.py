"""Checks the machine, and says in words what to do about each problem.

Works with the standard library alone, so that it can tell that the rest is missing.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import textwrap
import threading
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from mtl_tutorial.places import NOTEBOOKS, own_folder

OLDEST_PYTHON = (3, 10)
WIDTH = 100
PROBE_SECONDS = 180  # the first import of torch on a slow disk
NETWORK_SECONDS = 3.0
NETWORK_ADDRESS = "https://ossci-datasets.s3.amazonaws.com/mnist/"  # where torchvision downloads
DATA_SETS = ("MNIST", "FashionMNIST")
DATA_FILES = tuple(
    f"{split}-{kind}-ubyte"
    for split in ("train", "t10k")
    for kind in ("images-idx3", "labels-idx1")
)
REINSTALL_TORCH = (
    "install the two together, from one place: "
    "'python -m pip install --upgrade --force-reinstall torch torchvision'"
)

# Runs in a process of its own, since a torch that doesn't fit can end the process.
PROBE = """
import json
found = {}
try:
    import torch
    found["torch"] = torch.__version__
    found["cuda_build"] = torch.version.cuda or torch.version.hip
    import torchvision
    found["torchvision"] = torchvision.__version__
    box = torch.tensor([[0.0, 0.0, 1.0, 1.0]])
    torchvision.ops.nms(box, torch.ones(1), 0.5)
    found["fit"] = True
    found["mps"] = torch.backends.mps.is_available()
    if torch.cuda.is_available():
        found["gpu"] = torch.cuda.get_device_name()
        found["gpu_gb"] = torch.cuda.get_device_properties(0).total_memory / 1e9
        try:
            torch.ones(2, device="cuda").sum().item()
        except Exception as error:
            found["gpu_error"] = str(error).strip().splitlines()[0]
    try:
        import torchjd.aggregation
    except Exception as error:
        found["torchjd_error"] = (str(error).strip().splitlines() or [type(error).__name__])[0]
    from mtl_tutorial.data import data_root
    found["data_root"] = str(data_root())
except BaseException as error:
    found["error"] = (str(error).strip().splitlines() or [type(error).__name__])[0]
print("\\n" + json.dumps(found))
"""

# What the course imports, by the name to install it by; what needs torch is tried in PROBE.
MODULES = {
    "numpy": "numpy",
    "scipy": "scipy",
    "scikit-learn": "sklearn",
    "pandas": "pandas",
    "matplotlib": "matplotlib.pyplot",
    "pillow": "PIL.Image",
    "tqdm": "tqdm",
    "joblib": "joblib",
    "filelock": "filelock",
    "jupyterlab": "jupyterlab.labapp",
    "ipykernel": "ipykernel.kernelapp",
    "anywidget": "anywidget",
    "ipywidgets": "ipywidgets",
    "nbclient": "nbclient",
    "nbformat": "nbformat",
}

# Says what it is about to import, for one that ends the process.
IMPORT_PROBE = """
import importlib, json, sys
for name in sys.argv[1:]:
    print("\\nTRYING", name, flush=True)
    try:
        importlib.import_module(name)
    except BaseException as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        print("\\nBROKEN", json.dumps([name, reason]), flush=True)
print("\\nDONE", flush=True)
"""


@dataclass(frozen=True)
class Check:
    """What was found out about one thing.

    Args:
        name: of the thing, in a word or two.
        ok: whether it is as it should be; ``None`` where either is fine.
        message: what was found.
        advice: what to do about it, where there is something to do.
    """

    name: str
    ok: bool | None
    message: str
    advice: str = ""


def report(*, network: bool = True) -> str:
    """Check this machine; give the text to print, at most 100 columns wide.

    Args:
        network: also look whether there is a network, for at most three seconds.
    """
    return format_checks(examine(network=network))


def examine(*, network: bool = True) -> list[Check]:
    """Check this machine.

    Args:
        network: as for :func:`report`.
    """
    with ThreadPoolExecutor() as both:
        probing, importing = both.submit(probe_torch), both.submit(broken_imports, MODULES)
    found, broken = probing.result(), importing.result()
    if "torchjd_error" in found:
        broken["torchjd"] = found["torchjd_error"]
    checks = [
        check_python(sys.version_info[:3]),
        check_torch(found),
        check_jupyter(installed_versions()),
        check_libraries(*unmet_requirements(), broken),
        check_gpu(found, has_nvidia_driver=shutil.which("nvidia-smi") is not None),
        check_data(found),
        check_lessons(NOTEBOOKS),
    ]
    return [*checks, check_network(is_reachable(NETWORK_ADDRESS))] if network else checks


def is_healthy(checks: Iterable[Check]) -> bool:
    """Tell whether nothing essential is wrong."""
    return all(check.ok is not False for check in checks)


def format_checks(checks: Sequence[Check]) -> str:
    """Give the lines to print: a mark, the name, what was found, and below it what to do."""
    mark = {True: "ok", False: "WRONG", None: "note"}
    margin = max(len(check.name) for check in checks) + 9
    lines = []
    for check in checks:
        head = f"{mark[check.ok]:<7}{check.name}".ljust(margin)
        lines += _wrap(head, check.message, margin)
        if check.advice:
            lines += _wrap(" " * margin + "-> ", check.advice, margin + 3)
    wrong = [check.name for check in checks if check.ok is False]
    lines += [
        "",
        f"To mend: {', '.join(wrong)}." if wrong else "All that the course needs is here.",
    ]
    return "\n".join(lines)


def _wrap(head: str, text: str, margin: int) -> list[str]:
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=head,
        subsequent_indent=" " * margin,
        break_on_hyphens=False,
    )


def check_python(version: Sequence[int]) -> Check:
    """Check Python's version, such as ``(3, 12, 1)``."""
    text = ".".join(map(str, version))
    if tuple(version[:2]) >= OLDEST_PYTHON:
        return Check("Python", True, text)
    oldest = ".".join(map(str, OLDEST_PYTHON))
    return Check(
        "Python",
        False,
        f"{text}, and the course needs {oldest} or newer",
        f"install Python {oldest} or newer, make a virtual environment with it "
        f"('python3 -m venv .venv'), and install the course there",
    )


def probe_torch() -> dict[str, Any]:
    """Try torch and torchvision in a process of their own; give what was found."""
    lines, ended = _run("importing torch", PROBE)
    try:
        found = json.loads(lines[-1])
    except (IndexError, json.JSONDecodeError):
        found = None
    return found if isinstance(found, dict) else {"error": ended or "importing torch said nothing"}


def broken_imports(modules: Mapping[str, str]) -> dict[str, str]:
    """Try to import modules in a process of their own; give what is wrong, by the package's name.

    Args:
        modules: by the name of their package; those that are not installed are left out.
    """
    packages = {module: name for name, module in modules.items() if _version(name)}
    lines, ended = _run("importing them", IMPORT_PROBE, *packages)
    broken, trying = {}, ""
    for line in lines:
        word, _, rest = line.partition(" ")
        if word == "TRYING" and rest in packages:
            trying = packages[rest]
        elif word == "BROKEN":
            module, reason = json.loads(rest)
            broken[packages[module]] = reason
        elif word == "DONE":
            return broken
    return {**broken, trying or "Python": ended or "importing it ended Python"}


def _run(what: str, script: str, *arguments: str) -> tuple[list[str], str]:
    """Run a script; give the lines that it printed, and how it ended where that is bad."""
    try:
        done = subprocess.run(
            [sys.executable, "-c", script, *arguments],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=PROBE_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        printed = late.stdout or b""  # bytes, whatever was asked for
        text = printed.decode(errors="replace") if isinstance(printed, bytes) else printed
        return text.splitlines(), f"{what} took more than {PROBE_SECONDS} s"
    except OSError as error:
        return [], f"Python can't be started: {error.strerror}"
    last = (done.stderr.strip().splitlines() or ["no message"])[-1]
    ended = f"{what} ended Python with code {done.returncode} ({last})" if done.returncode else ""
    return done.stdout.splitlines(), ended


def check_torch(found: dict[str, Any]) -> Check:
    """Check that torch and torchvision import, and that torchvision's operators run.

    Args:
        found: as from :func:`probe_torch`.
    """
    name, error = "PyTorch", found.get("error", "no error message")
    if found.get("fit"):
        versions = f"torch {found['torch']} and torchvision {found['torchvision']} fit together"
        return Check(name, True, versions)
    if "No module named 'torch'" in error:
        return Check(name, False, "torch is not installed", "'python -m pip install -e .'")
    if "No module named 'torchvision'" in error:
        advice = "'python -m pip install torchvision', from where torch came"
        return Check(name, False, f"torch {found['torch']} without torchvision", advice)
    if "torch" not in found:
        return Check(name, False, f"torch can't be imported: {error}", REINSTALL_TORCH)
    message = f"torchvision does not fit torch {found['torch']}: {error}"
    return Check(name, False, message, REINSTALL_TORCH)


def installed_versions() -> dict[str, str]:
    """The versions of JupyterLab and the widget packages that are installed."""
    names = ("jupyterlab", "ipywidgets", "jupyterlab_widgets", "ipykernel")
    return {name: version for name in names if (version := _version(name))}


def check_jupyter(versions: dict[str, str]) -> Check:
    """Check JupyterLab 4, ipywidgets 8 and, between them, jupyterlab_widgets 3.

    Args:
        versions: as from :func:`installed_versions`; what is missing is not installed.
    """
    wanted = {"jupyterlab": (4, 5), "ipywidgets": (8, 9), "jupyterlab_widgets": (3, 4)}
    wrong = []
    for name, (oldest, too_new) in wanted.items():
        if name not in versions:
            wrong.append(f"{name} is not installed")
        elif not [oldest] <= _numbers(versions[name]) < [too_new]:
            wrong.append(f"{name} is {versions[name]}, and {oldest}.x is needed")
    if "ipykernel" not in versions:
        wrong.append("ipykernel is not installed")
    if wrong:
        return Check(
            "JupyterLab",
            False,
            "; ".join(wrong),
            '\'python -m pip install --upgrade "jupyterlab>=4.2,<5" "ipywidgets>=8.1,<9" '
            "ipykernel', then close JupyterLab and start it again",
        )
    lab, widgets, bridge = (versions[name] for name in wanted)
    message = f"JupyterLab {lab}, ipywidgets {widgets} and jupyterlab_widgets {bridge} fit together"
    return Check("JupyterLab", True, message)


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except (metadata.PackageNotFoundError, KeyError):  # or what it says of itself is damaged
        return None


def unmet_requirements() -> tuple[list[str], bool]:
    """Give the requirements that aren't met, and whether the course is installed at all."""
    try:
        lines = metadata.requires("mtl_tutorial") or []
    except metadata.PackageNotFoundError:
        return [], False
    unmet = []
    for line in lines:
        requirement, _, condition = line.partition(";")
        if condition:  # of an extra, or of another Python
            continue
        unmet += _unmet(requirement.strip())
    return unmet, True


def _unmet(requirement: str) -> list[str]:
    """The requirement, where it isn't met; else what its extras need and lack."""
    parts = re.match(r"([\w.-]+)\s*(?:\[([^]]*)\])?(.*)", requirement)
    if not parts:
        return []
    name, extras, rest = parts.groups()
    oldest = re.search(r">=\s*([\d.]+)", rest)
    version = _version(name)
    if version is None or (oldest and _numbers(version) < _numbers(oldest[1])):
        return [requirement]
    unmet = []
    for extra in re.findall(r"[\w.-]+", extras or ""):
        for line in metadata.requires(name) or []:
            needed, _, condition = line.partition(";")
            if re.fullmatch(rf"""\s*extra\s*==\s*['"]{re.escape(extra)}['"]\s*""", condition):
                unmet += _unmet(needed.strip())
    return unmet


def _numbers(version: str) -> list[int]:
    """``2.10.0rc1+cpu`` as ``[2, 10]``, to compare by; what has no number is older than all."""
    found = re.match(r"\d+(\.\d+)*", version)
    numbers = [int(part) for part in found[0].split(".")] if found else []
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return numbers


def check_libraries(
    unmet: Sequence[str], is_installed: bool, broken: Mapping[str, str] | None = None
) -> Check:
    """Check what the course depends on, JupyterLab and torch included.

    Args:
        unmet: requirements that aren't met, such as ``"pandas>=2.1"``.
        is_installed: whether the course itself is.
        broken: why a package that is installed can't be imported, by its name.
    """
    advice = "run 'python -m pip install -e .' in the repository"
    if not is_installed:
        return Check("libraries", False, "the course is not installed in this Python", advice)
    wrong = [f"missing or too old: {', '.join(unmet)}"] if unmet else []
    wrong += [f"{name} can't be imported: {reason}" for name, reason in (broken or {}).items()]
    if broken:
        again = f"'python -m pip install --force-reinstall {' '.join(broken)}'"
        advice = f"{advice}, then {again}" if unmet else again
    if wrong:
        return Check("libraries", False, "; ".join(wrong), advice)
    return Check("libraries", True, "all are here, new enough, and can be imported")


def check_gpu(found: dict[str, Any], *, has_nvidia_driver: bool) -> Check:
    """Look for a GPU; none is fine.

    Args:
        found: as from :func:`probe_torch`.
        has_nvidia_driver: whether the machine seems to have an NVIDIA GPU.
    """
    if not found.get("fit"):
        return Check("GPU", None, "not looked for, as PyTorch does not work yet")
    if "gpu_error" in found:
        message = f"{found['gpu']} is here, but torch can't compute on it: {found['gpu_error']}"
        advice = "take the torch for your driver from pytorch.org, or go on without the GPU"
        return Check("GPU", None, message, advice)
    if "gpu" in found:
        return Check("GPU", True, f"{found['gpu']}, {found['gpu_gb']:.0f} GB")
    if found.get("mps"):
        message = (
            "Apple's, which torch calls mps; the course runs on the CPU and is not tried on it"
        )
        return Check("GPU", None, message)
    none = "none that torch can use; only the full training runs want one"
    if has_nvidia_driver:
        why = "is built without CUDA" if not found.get("cuda_build") else "does not see it"
        advice = (
            f"there seems to be an NVIDIA GPU, but this torch {why}: take the torch for your "
            f"driver from pytorch.org, or go on without"
        )
        return Check("GPU", None, none, advice)
    return Check("GPU", None, none)


def check_data(found: Mapping[str, Any]) -> Check:
    """Check that the data folder can be written, and say which data sets are in it.

    Args:
        found: as from :func:`probe_torch`.
    """
    if not found.get("fit"):
        return Check("data folder", None, "not looked at, as PyTorch does not work yet")
    if "data_root" not in found:
        message = f"not found, as the course can't be imported: {found.get('error', 'no message')}"
        advice = "mend the libraries first; where no home folder is known, set MTL_DATA_ROOT"
        return Check("data folder", False, message, advice)
    root = Path(found["data_root"])
    shown = _shorten(root)
    if not _is_writable(root):
        return Check(
            "data folder",
            False,
            f"{shown} can't be written",
            "set the environment variable MTL_DATA_ROOT to a folder that can",
        )
    here = [name for name in DATA_SETS if _has_files(root / name / "raw")]
    missing = [name for name in DATA_SETS if name not in here]
    has = f"{shown} can be written and has {' and '.join(here) or 'no data set yet'}"
    if missing:
        has += "; the embedded digits need no file, others are downloaded when first used"
    return Check("data folder", True, has)


def _has_files(folder: Path) -> bool:
    return all(
        os.path.isfile(folder / name) or os.path.isfile(folder / f"{name}.gz")  # Path's may raise
        for name in DATA_FILES
    )


def _is_writable(folder: Path) -> bool:
    """Try it in the folder, or in the nearest one above that exists; leave nothing behind."""
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except FileNotFoundError:  # not yet made, or a link to nowhere
        at_the_top = folder == folder.parent
        return not (at_the_top or folder.is_symlink()) and _is_writable(folder.parent)
    except OSError:
        return False


def _shorten(path: Path) -> str:
    try:
        return str(Path("~") / path.relative_to(Path.home()))
    except (ValueError, RuntimeError):  # elsewhere, or no home is known
        return str(path)


def check_lessons(folder: Path) -> Check:
    """Check that the lessons are here, and that a learner's copies of them can be saved.

    Args:
        folder: where they lie.
    """
    found = sorted(folder.glob("[0-9][0-9]_*.ipynb"))
    if not found:
        advice = "install the package anew, or clone the repository and install that"
        return Check("lessons", False, f"none in {_shorten(folder)}", advice)
    own = own_folder(folder)
    locked = [] if _is_writable(own) else [own]
    locked += [path for path in sorted(own.glob("*.ipynb")) if not os.access(path, os.W_OK)]
    if locked:
        message = f"{_shorten(locked[0])} can't be written, so nothing in it can be saved"
        return Check("lessons", False, message, "make it writable, or clone the repository anew")
    return Check("lessons", True, f"{len(found)}, and they can be saved")


def is_reachable(address: str, seconds: float = NETWORK_SECONDS) -> bool:
    """Tell whether anything answers at the address in time, through a proxy where one is set."""
    answered = threading.Event()

    def ask() -> None:
        try:
            request = urllib.request.Request(address, method="HEAD")
            urllib.request.urlopen(request, timeout=seconds).close()
        except urllib.error.HTTPError:
            pass  # a refusal is an answer
        except (OSError, ValueError):
            return
        answered.set()

    thread = threading.Thread(target=ask, daemon=True)  # a name look-up knows no time limit
    thread.start()
    thread.join(seconds)
    return answered.is_set()


def check_network(reachable: bool) -> Check:
    """Say what the network, or its absence, means for the course."""
    if reachable:
        return Check("network", True, "the server that has MNIST answers")
    return Check(
        "network", None, "none found; the embedded digits, the default everywhere, need none"
    )
