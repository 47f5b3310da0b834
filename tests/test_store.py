"""A folder of results: whole files, one owner, and what happens to damaged ones."""

from __future__ import annotations

import copy
import errno
import functools
import json
import os
import platform
import subprocess
import sys
import warnings
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from mtl_tutorial.experiments import store as store_module
from mtl_tutorial.experiments.catalogue import DATA_SETS
from mtl_tutorial.experiments.protocol import PROTOCOLS, Protocol, Setting
from mtl_tutorial.experiments.store import (
    OtherVersionError,
    ResultsFolder,
    read_results,
    recipe_in,
    rounded,
    set_aside,
)

PROTOCOL = PROTOCOLS["quick"]
PROTOCOL_OF_1 = replace(PROTOCOL, recipe=1)
RUN = Setting("two_digits", "hard_sharing", "pcgrad", 0.05, 3)
RESULT = {
    "format": 2,
    "tasks": ["left", "right"],
    "chance": None,
    "setting": {
        "data": "two_digits",
        "architecture": "hard_sharing",
        "balancer": "pcgrad",
        "learning_rate": 0.05,
        "seed": 3,
    },
    "protocol": asdict(PROTOCOL),
    "provenance": {
        "device": "cpu (x)",
        "commit": None,
        "date": "2030-01-01",
        "training_seconds": 9.0,
        "cpu_seconds": 2.0,
        "peak_memory_mb": None,
    },
    "curves": {
        quantity: {"left": [0.5] * 20, "right": [0.5] * 20}
        for quantity in ("training loss", "weight", "validation loss", "validation metric")
    },
    "test": {"left": {"loss": 1.0, "metric": 0.5}, "right": {"loss": 1, "metric": 1}},
    "diverged": None,
}
OTHER = asdict(PROTOCOL) | {"epochs": 7}
CHANCE = {"left": 0.1, "right": 0.1}
DIVERGED = RESULT | {"curves": {}, "test": None, "diverged": "epoch 1", "chance": CHANCE}
OF_1 = {name: value for name, value in RESULT.items() if name not in ("tasks", "chance")} | {
    "format": 1,
    "protocol": {name: value for name, value in asdict(PROTOCOL).items() if name != "recipe"},
}


def changed(path: str, value=None) -> bytes:
    """A result in which something is another value, or gone."""
    result = copy.deepcopy(RESULT)
    *names, last = path.split(".")
    part = functools.reduce(dict.__getitem__, names, result)
    del part[last]
    if value is not None:
        part[last] = value
    return json.dumps(result).encode()


def test_a_result_that_was_written_is_finished(tmp_path: Path) -> None:
    with ResultsFolder(tmp_path / "new", PROTOCOL).opened() as store:
        assert store.finished(RUN) is None
        store.write(RUN, RESULT)
        assert store.finished(RUN) == RESULT
        assert store.finished(replace(RUN, seed=4)) is None
    assert read_results(tmp_path / "new") == [RESULT]


def test_a_run_that_diverged_is_finished_too(tmp_path: Path) -> None:
    with ResultsFolder(tmp_path, PROTOCOL).opened() as store:
        store.write(RUN, DIVERGED)
        assert store.finished(RUN) == DIVERGED


def test_a_result_takes_the_place_of_its_checkpoint(tmp_path: Path) -> None:
    with ResultsFolder(tmp_path, PROTOCOL).opened() as store:
        checkpoint = store.checkpoint_path(RUN)
        checkpoint.parent.mkdir()
        checkpoint.write_text("half-way")
        store.write(RUN, RESULT)
        assert not checkpoint.exists()


def left_by_killed(folder: Path, run: Setting) -> list[Path]:
    """What processes leave that are killed while they write: drafts, and a checkpoint too many."""
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    draft = f"{platform.node()}.{gone.pid}"
    left = [
        folder / f".grid.json.{draft}",
        folder / f".{run}.json.{draft}",
        folder / "checkpoints" / f".{run}.pt.{draft}",
        folder / "checkpoints" / f"{run}.pt",
    ]
    left[-1].parent.mkdir(exist_ok=True)
    for path in left:
        path.write_text("left")
    return left


@pytest.mark.skipif(os.name != "posix", reason="processes are looked up as POSIX does")
def test_what_killed_processes_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    with ResultsFolder(tmp_path, PROTOCOL).opened() as store:
        store.write(RUN, RESULT)
    left = left_by_killed(tmp_path, RUN)
    stays = [
        store.checkpoint_path(replace(RUN, seed=4)),  # of a run that goes on
        tmp_path / f".x.json.{platform.node()}.{os.getppid()}",  # of a process that is alive
        tmp_path / ".x.json.elsewhere.1",
        tmp_path / "notes.txt",
    ]
    for path in stays:
        path.write_text("stays")
    with ResultsFolder(tmp_path, PROTOCOL).opened() as store:
        assert store.finished(RUN) == RESULT
    assert not any(path.exists() for path in left)
    assert all(path.exists() for path in stays)


@pytest.mark.skipif(os.name != "posix", reason="processes are looked up as POSIX does")
def test_a_grid_that_is_found_finished_is_left_tidy(tmp_path: Path) -> None:
    with ResultsFolder(tmp_path, PROTOCOL).opened() as store:
        store.write(RUN, RESULT)
    left = left_by_killed(tmp_path, RUN)
    assert ResultsFolder(tmp_path, PROTOCOL).all_finished([RUN]) == [RESULT]
    assert not any(path.exists() for path in left)


def test_a_folder_of_another_grid_is_refused_and_left_alone(tmp_path: Path) -> None:
    with ResultsFolder(tmp_path, PROTOCOL).opened():
        pass
    before = (tmp_path / "grid.json").read_bytes()
    other = ResultsFolder(tmp_path, replace(PROTOCOL, epochs=7))
    with pytest.raises(ValueError) as caught, other.opened():
        pass
    assert "belongs to another grid: its epochs is 20, and this one's is 7" in str(caught.value)
    assert (tmp_path / "grid.json").read_bytes() == before
    with ResultsFolder(tmp_path, PROTOCOL).opened():
        pass


HOLD = """
import sys
from mtl_tutorial.experiments.protocol import PROTOCOLS
from mtl_tutorial.experiments.store import ResultsFolder
with ResultsFolder(sys.argv[1], PROTOCOLS["quick"]).opened():
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_folder_that_another_process_holds_is_refused_until_that_ends(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(ValueError) as caught, ResultsFolder(tmp_path, PROTOCOL).opened():
            pass
        assert "is in use by another process" in str(caught.value)
    finally:
        holder.kill()
        holder.communicate()
    with ResultsFolder(tmp_path, PROTOCOL).opened():  # one that was killed holds nothing
        pass


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "can't be read"),
        (b'{"format": 1', "can't be read"),
        (b"\xff\xfe", "can't be read"),
        (b"[1]", "has no 'format'"),
        (b'{"format": 1}', "has no 'setting.data'"),
        (b'{"format": "2"}', "its 'format' is of the kind str"),
        (changed("setting.seed"), "has no 'setting.seed'"),
        (changed("setting.data", "two_digit"), "it is of another run"),
        (json.dumps(OF_1).replace("two_digits", "six_digits").encode(), "names no tasks of 'six_"),
        (changed("tasks"), "has no 'tasks'"),
        (changed("tasks", [1, 2]), "names no tasks"),
        (changed("tasks", ["left"]), "'training loss' is also of 'right'"),
        (changed("provenance", {}), "has no 'provenance.device'"),
        (changed("provenance.cpu_seconds", "2"), "its 'provenance.cpu_seconds' is of the kind str"),
        (changed("curves", {}), "has no 'curves.training loss.left'"),
        (changed("curves.weight.right", []), "'curves.weight.right' has 0 values for 20 epochs"),
        (changed("diverged"), "has no 'diverged'"),
        (changed("test", {}), "has no 'test.left.loss'"),
        (changed("test", [1]), "its 'test' is of the kind list"),
        (changed("test.left", {"loss": 1}), "has no 'test.left.metric'"),
        (changed("test.left.metric", "good"), "its 'test.left.metric' is of the kind str"),
        (json.dumps(RESULT | {"test": None}).encode(), "has no 'test.left.loss'"),
        (json.dumps(RESULT | {"diverged": "epoch 1"}).encode(), "its 'test' is of the kind dict"),
        (json.dumps(DIVERGED | {"chance": {}}).encode(), "has no 'chance.left'"),
        (json.dumps(RESULT).replace("null", "NaN").encode(), "NaN is no number"),
        (json.dumps(RESULT).replace('"seed": 3', '"seed": 4').encode(), "it is of another run"),
        (json.dumps(RESULT | {"protocol": {"epochs": 1}}).encode(), "it is of no run"),
        (json.dumps(DIVERGED | {"protocol": OTHER}).encode(), "it is of another run"),
    ],
)
def test_a_damaged_result_is_set_aside_and_named(content, reason, tmp_path: Path) -> None:
    with ResultsFolder(tmp_path, PROTOCOL).opened() as store:
        path = store.result_path(RUN)
        path.write_bytes(content)
        with pytest.warns(UserWarning) as warned:
            assert store.finished(RUN) is None
        (said,) = [str(warning.message) for warning in warned]
        assert path.name in said and reason in said
        assert not path.exists()
        assert path.with_name(f"{path.name}.damaged").read_bytes() == content
        store.write(RUN, RESULT)
    assert read_results(tmp_path) == [RESULT]


@pytest.mark.parametrize("content", [None, "{", "{}", '{"format": 1}'])
def test_results_say_whose_the_folder_is_where_nothing_else_does(content, tmp_path: Path) -> None:
    with ResultsFolder(tmp_path, PROTOCOL).opened() as store:
        store.write(RUN, RESULT)
    (tmp_path / "a.json").write_text("{")  # damaged, and before it in the alphabet
    grid = tmp_path / "grid.json"
    grid.unlink() if content is None else grid.write_text(content)
    before = {path.name for path in tmp_path.iterdir()}
    other = ResultsFolder(tmp_path, Protocol(**OTHER))
    with pytest.raises(ValueError, match="its epochs is 20, and this one's is 7"), other.opened():
        pass
    assert {path.name for path in tmp_path.iterdir()} == before
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        with ResultsFolder(tmp_path, PROTOCOL).opened() as store:
            assert store.finished(RUN) == RESULT
    assert len(warned) == (content is not None)  # the damaged description is set aside
    assert json.loads(grid.read_text())["epochs"] == 20


@pytest.mark.parametrize("content", ["{", "null", "[1]", "5"])
def test_a_damaged_description_of_the_grid_is_made_again(content, tmp_path: Path) -> None:
    (tmp_path / "grid.json").write_text(content)
    with (
        pytest.warns(UserWarning, match="set aside as grid.json.damaged"),
        ResultsFolder(tmp_path, PROTOCOL).opened(),
    ):
        assert json.loads((tmp_path / "grid.json").read_text())["epochs"] == 20


def test_folders_in_place_of_files_are_set_aside(tmp_path: Path) -> None:
    (tmp_path / "grid.json").mkdir()
    (tmp_path / f"{RUN}.json" / "notes").mkdir(parents=True)
    assert ResultsFolder(tmp_path, PROTOCOL).all_finished([RUN]) is None
    with pytest.raises(ValueError, match=r"is damaged \(it can't be read: .*directory"):
        read_results(tmp_path)
    with (
        pytest.warns(UserWarning, match=r"set aside as .*\.json\.damaged"),
        ResultsFolder(tmp_path, PROTOCOL).opened() as store,
    ):
        assert store.finished(RUN) is None
        store.write(RUN, RESULT)
    assert (tmp_path / f"{RUN}.json.damaged" / "notes").is_dir()
    assert read_results(tmp_path) == [RESULT]


@pytest.mark.parametrize("content", ["[" * 100_000, "1" * 100_000, '{"format":' * 100_000])
def test_a_file_that_no_reader_can_take_is_set_aside(content, tmp_path: Path) -> None:
    (tmp_path / "grid.json").write_text(content)
    (tmp_path / f"{RUN}.json").write_text(content)
    with (
        pytest.warns(UserWarning, match="set aside"),
        ResultsFolder(tmp_path, PROTOCOL).opened() as store,
    ):
        assert store.finished(RUN) is None


def test_what_was_set_aside_before_stays(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    for content in ("one", "two", "three"):
        path.write_text(content)
        with pytest.warns(UserWarning, match=r"set aside as run\.json\.damaged"):
            assert set_aside(path).read_text() == content
    kept = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert kept == {
        "run.json.damaged": "one",
        "run.json.damaged.2": "two",
        "run.json.damaged.3": "three",
    }


def test_a_folder_that_can_not_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError) as caught:
        with ResultsFolder(tmp_path / "file" / "results", PROTOCOL).opened():
            pass
    assert "can't be written" in str(caught.value)
    assert "name another folder" in str(caught.value)


LIMITED = """
import json, resource, sys
from mtl_tutorial.experiments.protocol import PROTOCOLS, Setting
from mtl_tutorial.experiments.store import ResultsFolder
result = json.loads(sys.argv[2])
run = Setting(**result["setting"])
with ResultsFolder(sys.argv[1], PROTOCOLS["quick"]).opened() as store:
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
    try:
        store.write(run, result)
    except OSError as error:
        print(error)
"""


@pytest.mark.skipif(os.name != "posix", reason="limits of file size are POSIX's")
def test_a_folder_without_room_for_its_description_is_named(tmp_path: Path, monkeypatch) -> None:
    def full(path, content):
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(store_module, "write_whole", full)
    sentence = f"results folder {tmp_path} can't be written .No space left on device.; name another"
    with pytest.raises(OSError, match=sentence), ResultsFolder(tmp_path, PROTOCOL).opened():
        pass
    monkeypatch.undo()
    with ResultsFolder(tmp_path, PROTOCOL).opened():  # nobody holds it
        pass


@pytest.mark.slow
@pytest.mark.parametrize("there", [True, False])
def test_a_full_disk_leaves_no_half_of_a_result_and_keeps_a_checkpoint(there, tmp_path) -> None:
    checkpoint = ResultsFolder(tmp_path, PROTOCOL).checkpoint_path(RUN)
    checkpoint.parent.mkdir()
    if there:
        checkpoint.write_text("half-way")
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tmp_path), json.dumps(RESULT)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.endswith("can't be written (File too large)\n")
    assert {path.name for path in tmp_path.iterdir()} == {"grid.json", ".lock", "checkpoints"}
    assert checkpoint.exists() == there


def test_a_result_of_a_later_version_is_named_and_stays(tmp_path: Path) -> None:
    with ResultsFolder(tmp_path, PROTOCOL).opened() as store:
        path = store.result_path(RUN)
        path.write_text(json.dumps({"format": 9, "all": "else is other"}))
        with pytest.raises(OtherVersionError, match="has the format 9, and this version .* 2 at"):
            store.finished(RUN)
        with pytest.raises(ValueError, match="update the course"):
            read_results(tmp_path)
        assert path.exists()


def test_a_folder_of_a_later_version_is_named_and_stays(tmp_path: Path) -> None:
    grid = tmp_path / "grid.json"
    grid.write_text('{"format": 9}')
    with pytest.raises(ValueError, match="has the format 9"):
        with ResultsFolder(tmp_path, PROTOCOL).opened():
            pass
    assert grid.read_text() == '{"format": 9}'


def test_a_result_of_tasks_that_the_data_had_before_is_no_damage(tmp_path, monkeypatch) -> None:
    with ResultsFolder(tmp_path, PROTOCOL).opened() as store:
        store.write(RUN, RESULT)
    grown = replace(DATA_SETS["two_digits"], tasks=("left", "right", "middle"))
    monkeypatch.setitem(DATA_SETS, "two_digits", grown)
    assert read_results(tmp_path) == [RESULT]
    said = "has the tasks left, right, and two_digits has left, right, middle by now"
    with ResultsFolder(tmp_path, PROTOCOL).opened() as store:
        with pytest.raises(OtherVersionError, match=said):
            store.finished(RUN)
        with pytest.raises(OtherVersionError, match=said):
            store.all_finished([RUN])
        assert store.result_path(RUN).exists()


def test_fixed_weights_of_tasks_that_the_data_had_before_can_be_read(tmp_path, monkeypatch) -> None:
    weights = RESULT | {"setting": RESULT["setting"] | {"balancer": "left=1,right=2"}}
    (tmp_path / "a.json").write_text(json.dumps(weights))
    grown = replace(DATA_SETS["two_digits"], tasks=("left", "right", "middle"))
    monkeypatch.setitem(DATA_SETS, "two_digits", grown)
    assert read_results(tmp_path) == [weights]


def test_results_of_the_first_format_are_those_of_the_first_recipe(tmp_path: Path) -> None:
    with ResultsFolder(tmp_path, PROTOCOL_OF_1).opened() as store:
        store.result_path(RUN).write_text(json.dumps(OF_1))
        assert store.finished(RUN) == OF_1
    assert recipe_in(tmp_path) == 1
    second = ResultsFolder(tmp_path, replace(PROTOCOL, recipe=2))
    with pytest.raises(ValueError, match="its recipe is 1, and this one's is 2"), second.opened():
        pass


@pytest.mark.parametrize("content", [None, "{", '{"format": 1}'])
def test_the_recipe_of_a_folder_is_that_of_its_results(content, tmp_path: Path) -> None:
    assert recipe_in(tmp_path) is None
    (tmp_path / "a.json").write_text(json.dumps(OF_1))
    if content is not None:
        (tmp_path / "grid.json").write_text(content)
    assert recipe_in(tmp_path) == 1


def test_a_folder_of_a_later_version_has_no_recipe_that_is_known(tmp_path: Path) -> None:
    (tmp_path / "grid.json").write_text('{"format": 3, "epochs": 20}')
    assert recipe_in(tmp_path) is None


def test_all_results_are_given_only_where_none_is_missing_or_damaged(tmp_path: Path) -> None:
    store = ResultsFolder(tmp_path / "new", PROTOCOL)
    assert store.all_finished([RUN]) is None
    with store.opened():
        store.write(RUN, RESULT)
    assert store.all_finished([RUN]) == [RESULT]
    assert store.all_finished([RUN, replace(RUN, seed=4)]) is None
    store.result_path(RUN).write_text("{")
    assert store.all_finished([RUN]) is None
    assert store.result_path(RUN).read_text() == "{"


def test_a_name_that_is_too_long_for_a_file_is_refused() -> None:
    store, long = ResultsFolder("never", PROTOCOL), f"left=0.{'1' * 99},right=0.{'2' * 99}"
    with pytest.raises(ValueError, match="makes a file name of 2.* bytes.* fewer digits"):
        store.check_names([RUN, replace(RUN, balancer=long)])


def test_no_results_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="there are no results in .*; run 'python -m"):
        read_results(tmp_path)


def test_a_damaged_result_among_others_is_named_when_all_are_read(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("{")
    with pytest.raises(ValueError, match=r"x\.json is damaged .*; delete it"):
        read_results(tmp_path)


def test_numbers_are_kept_to_five_digits_and_what_is_no_number_is_nothing() -> None:
    given = {"a": [1.23456789, 123456.789, 2], "b": (float("nan"), float("-inf")), "c": "x"}
    assert rounded(given) == {"a": [1.2346, 123460.0, 2], "b": [None, None], "c": "x"}
