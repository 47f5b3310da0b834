"""What is written when a lesson is saved: nothing with git, and every shown widget with a copy."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import ipywidgets
import nbformat
import pytest
from ipywidgets.embed import dependency_state
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from mtl_tutorial.commands.build import strip
from mtl_tutorial.commands.lessons import lessons
from mtl_tutorial.commands.saving import STATE, VIEW, save_as_committed, save_with_widgets


def save(hook: Any, path: Path, content: dict[str, Any]) -> dict[str, Any]:
    """Give what is saved in place of what the page sends, both as plain JSON."""
    model = {"type": "notebook", "content": json.loads(json.dumps(content))}
    hook(model=model, path=f"/{path.name}", contents_manager=SimpleNamespace(root_dir=path.parent))
    return model["content"]


def as_run(content: dict[str, Any]) -> dict[str, Any]:
    """A notebook as the page sends it after somebody ran it, and looked around."""
    content = copy.deepcopy(content)
    content["metadata"]["language_info"] = {"name": "python", "version": "3.99"}
    content["metadata"]["widgets"] = {STATE: {"state": {"a": {"state": {}}}}}
    for cell in content["cells"]:
        cell["metadata"].pop("jupyter", None)
        if cell["cell_type"] == "code":
            cell["metadata"].update(execution={"iopub.status.busy": "now"}, collapsed=False)
            cell["metadata"]["scrolled"] = True
            cell["execution_count"] = 99
            cell["outputs"] = [new_output("display_data", data={VIEW: {"model_id": "a"}})]
    return content


@pytest.mark.parametrize("path", lessons(), ids=lambda path: path.stem)
def test_a_lesson_that_was_run_is_saved_as_it_was_committed(path) -> None:
    committed = nbformat.read(path, as_version=4)
    assert as_run(committed) != committed
    saved = save(save_as_committed, path, as_run(committed))
    assert saved == committed
    assert nbformat.writes(nbformat.from_dict(saved)) + "\n" == path.read_text(encoding="utf-8")


def test_a_change_to_a_committed_cell_is_saved_with_what_came_out(tmp_path) -> None:
    path = tmp_path / "00_start_here.ipynb"
    cells = [new_code_cell("1", execution_count=1), new_markdown_cell("Text."), new_code_cell("2")]
    nbformat.write(strip(new_notebook(cells=cells)), path)
    committed = nbformat.read(path, as_version=4)
    content = as_run(committed)
    content["cells"][0]["source"] = "3"
    content["cells"][1]["source"] = ["Another ", "text."]
    content["cells"][2]["metadata"]["tags"] = ["from-scratch"]
    content["cells"].append(new_code_cell("new"))
    first, text, second, new = save(save_as_committed, path, content)["cells"]
    assert first["outputs"] and first["execution_count"] == 99
    assert text["source"] == ["Another ", "text."]
    assert second["outputs"] == [] and second["metadata"] == {"tags": ["from-scratch"]}
    assert new["source"] == "new"


@pytest.mark.parametrize("hook", [save_as_committed, save_with_widgets])
@pytest.mark.parametrize("there", [None, "", "[]", "{"])
def test_a_new_notebook_and_one_that_was_broken_can_be_saved(hook, there, tmp_path) -> None:
    path = tmp_path / "new.ipynb"
    if there is not None:
        path.write_text(there)
    saved = save(hook, path, new_notebook(cells=[new_code_cell("1")]))
    assert saved["cells"][0]["source"] == "1"
    assert saved["metadata"]["language_info"] == {"name": "python"}


@pytest.mark.parametrize("hook", [save_as_committed, save_with_widgets])
def test_a_file_that_is_no_notebook_is_left_alone(hook, tmp_path) -> None:
    model = {"type": "file", "format": "text", "content": "text"}
    hook(model=model, path="notes.txt", contents_manager=SimpleNamespace(root_dir=tmp_path))
    assert model["content"] == "text"


def showing(*widgets: str, state: dict[str, Any] | None = None) -> dict[str, Any]:
    """A notebook that shows widgets, with a picture for where they can't be shown."""
    data = [{VIEW: {"model_id": name}, "image/png": "cGljdHVyZQ=="} for name in widgets]
    cells = [new_code_cell(outputs=[new_output("display_data", data=each)]) for each in data]
    widgets_of = {"widgets": {STATE: {"version_major": 2, "state": state}}} if state else {}
    return new_notebook(cells=cells, metadata=widgets_of)


def saved_state(notebook: dict[str, Any]) -> dict[str, Any]:
    return notebook["metadata"]["widgets"][STATE]["state"]


@pytest.fixture
def player() -> Any:
    """A box with a slider that a player moves in the browser: three models, styles and a link."""
    play, slider = ipywidgets.Play(), ipywidgets.IntSlider()
    link = ipywidgets.jslink((play, "value"), (slider, "value"))
    box = ipywidgets.VBox([play, slider])
    yield box, slider, link
    for widget in (link, play, slider, box):
        widget.close()


def test_a_widget_is_saved_with_its_parts_and_links_and_no_other_is(player, tmp_path) -> None:
    box, slider, link = player
    state = {**dependency_state([box, link]), **dependency_state([ipywidgets.IntSlider()])}
    saved = save(save_with_widgets, tmp_path / "own.ipynb", showing(box.model_id, state=state))
    assert {box.model_id, slider.model_id, slider.style.model_id, link.model_id} <= set(
        saved_state(saved)
    )
    assert set(saved_state(saved)) == set(dependency_state([box, link]))


def test_widgets_of_an_earlier_run_stay_until_their_output_goes(tmp_path) -> None:
    path = tmp_path / "own.ipynb"
    old, new = {"old": {"state": {"x": 1}}}, {"new": {"state": {"x": 2}}}
    nbformat.write(showing("old", state=old), path)
    assert saved_state(save(save_with_widgets, path, showing("old"))) == old
    both = save(save_with_widgets, path, showing("old", "new", state=new))
    assert saved_state(both) == {**old, **new}
    assert saved_state(save(save_with_widgets, path, showing("new", state=new))) == new
    changed = {"old": {"state": {"x": 3}}}
    assert saved_state(save(save_with_widgets, path, showing("old", state=changed))) == changed


def test_an_output_whose_widget_is_lost_shows_its_picture(tmp_path) -> None:
    path = tmp_path / "own.ipynb"
    saved = save(save_with_widgets, path, showing("lost"))
    assert saved["cells"][0]["outputs"][0]["data"] == {"image/png": "cGljdHVyZQ=="}
    assert "widgets" not in saved["metadata"]
    bare = new_output("display_data", data={VIEW: {"model_id": "lost"}})
    notebook = new_notebook(cells=[new_code_cell(outputs=[bare])])
    assert save(save_with_widgets, path, notebook)["cells"][0]["outputs"][0]["data"]


def test_a_widget_in_the_output_of_another_is_kept(tmp_path) -> None:
    inner = {"output_type": "display_data", "data": {VIEW: {"model_id": "inner"}}}
    state = {"outer": {"state": {"outputs": [inner]}}, "inner": {"state": {"x": 1}}}
    saved = save(save_with_widgets, tmp_path / "own.ipynb", showing("outer", state=state))
    assert set(saved_state(saved)) == {"outer", "inner"}
