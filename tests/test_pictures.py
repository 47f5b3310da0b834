"""The README's pictures are those of the lessons' cells."""

from __future__ import annotations

import base64

import nbformat

from mtl_tutorial.commands.pictures import PICTURES, keep_pictures, pictures_of

NAME = "landscape_race.png"
LESSON, TEXT = PICTURES[NAME]


def write(folder, stem: str, source: str, png: bytes):
    folder.mkdir(exist_ok=True)
    data = {"image/png": base64.b64encode(png).decode(), "text/plain": "a race"}
    cell = nbformat.v4.new_code_cell(source)
    cell.outputs = [nbformat.v4.new_output("display_data", data)]
    path = folder / f"{stem}.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), path)
    return path


def test_a_picture_is_that_of_the_cell_with_its_text(tmp_path) -> None:
    assert pictures_of(write(tmp_path, LESSON, f"{TEXT})", b"race")) == {NAME: b"race"}
    assert pictures_of(write(tmp_path, LESSON, "show()", b"other")) == {}
    assert pictures_of(write(tmp_path, "12_other", f"{TEXT})", b"race")) == {}


def test_pictures_are_kept_where_there_is_a_folder_for_them(tmp_path) -> None:
    lesson = write(tmp_path / "notebooks", LESSON, f"{TEXT})", b"race")
    keep_pictures(lesson)
    assert not (tmp_path / "pictures").exists()
    (tmp_path / "pictures").mkdir()
    keep_pictures(lesson)
    assert (tmp_path / "pictures" / NAME).read_bytes() == b"race"
