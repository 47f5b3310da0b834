"""The playground: a page in which a real network trains in the browser.

python -m mtl_tutorial.commands.playground FOLDER
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

from mtl_tutorial.commands import UsageError
from mtl_tutorial.places import PACKAGE
from mtl_tutorial.web import FOLDER, imported

PAGE = PACKAGE.with_name("docs") / "playground"
MODULES = ("draw_a_digit", "gradient_compass", "gradnorm_stepper", "loss_scale_mixer",
           "methods", "net", "statistics", "uncertainty_bowl")  # fmt: skip
SPLITS = ("train", "test")
PAPER = ord("a")  # the letter of a pixel without ink; "q", 16 letters on, is full ink


def write_playground(folder: Path | str) -> list[Path]:
    """Put the page, its modules and its digits into a folder, ready to be served.

    Returns:
        The files that are there now.

    Raises:
        UsageError: where the page is not beside the package, as in an installed wheel.
    """
    if not PAGE.is_dir():
        raise UsageError(f"the playground is not here: {PAGE} is missing; use a checkout")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    needed = {name for module in MODULES for name in imported(module)}
    sources = [*PAGE.iterdir(), *(FOLDER / f"{name}.js" for name in sorted(needed))]
    files = [Path(shutil.copyfile(path, folder / path.name)) for path in sources]
    data = folder / "digits.js"
    data.write_text(f"export default {json.dumps(embedded())};\n", encoding="utf-8")
    return [*files, data]


def embedded() -> dict[str, Any]:
    """The embedded digits by split: 8x8 pixels each, a letter a pixel, and their classes."""
    from mtl_tutorial.data.digits import load_small_digits

    found = {}
    for split in SPLITS:
        small, labels = load_small_digits(split)
        letters = (small.flatten().int() + PAPER).tolist()
        found[split] = {"pixels": bytes(letters).decode("ascii"), "labels": labels.tolist()}
    return found


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("mtl_tutorial: give the folder that the playground is put into")
    try:
        print(f"{len(write_playground(sys.argv[1]))} files in {sys.argv[1]}")
    except UsageError as error:
        sys.exit(f"mtl_tutorial: {error}")
    except OSError as error:
        sys.exit(f"mtl_tutorial: {sys.argv[1]} can't be used ({error.strerror}); name another")
