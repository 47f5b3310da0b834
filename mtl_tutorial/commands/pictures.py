"""The pictures of widgets in the README, taken from the lessons as they were built."""

from __future__ import annotations

import base64
from pathlib import Path

import nbformat

from mtl_tutorial.writing import write_whole

# By file name: the lesson, and a text in the cell whose picture it is.
PICTURES = {
    "landscape_race.png": ("08_pcgrad", "LandscapeRace("),
    "flight_recorder.png": ("11_full_runs", "FlightRecorder("),
}


def pictures_of(path: Path) -> dict[str, bytes]:
    """Give the README's pictures that a lesson holds, by file name."""
    wanted = {name: text for name, (stem, text) in PICTURES.items() if stem == path.stem}
    found = {}
    for cell in nbformat.read(path, as_version=4).cells if wanted else ():
        for name, text in wanted.items():
            if cell.cell_type == "code" and text in cell.source:
                for output in cell.outputs:
                    if "image/png" in output.get("data", {}):
                        found[name] = base64.b64decode(output.data["image/png"])
    return found


def keep_pictures(path: Path) -> None:
    """Write a lesson's pictures to the folder ``pictures`` beside its own, where there is one.

    Raises:
        OSError: where they can't be written; each that was there is as it was.
    """
    folder = path.parents[1] / "pictures"
    if folder.is_dir():
        for name, png in pictures_of(path).items():
            write_whole(folder / name, png)
