"""The command `train` runs a grid, prints its table, and answers what can't be in one sentence."""

from __future__ import annotations

import errno
import json
import re
import subprocess
import sys

import pytest

from mtl_tutorial.__main__ import main
from mtl_tutorial.commands import train as train_module
from mtl_tutorial.data import DataUnavailableError, digits
from mtl_tutorial.experiments import store
from mtl_tutorial.experiments.catalogue import load_scenes
from mtl_tutorial.experiments.dispatch import run_grid
from mtl_tutorial.experiments.protocol import make_protocol, settings
from mtl_tutorial.experiments.search import WIDENED


def train(*arguments: str) -> int:
    return main(["train", *arguments])


def refuse(split: str, source: str):
    raise DataUnavailableError("no network here")


def test_the_command_prints_a_table_with_intervals(tmp_path, capsys) -> None:
    folder = str(tmp_path / "results")
    arguments = ("--epochs", "1", "--balancer", "equal", "mgda", "--seeds", "0", "1")
    assert train(*arguments, "--results", folder) == 0
    out = capsys.readouterr().out
    assert "| hard_sharing | equal |" in out
    assert "| hard_sharing | mgda |" in out
    assert all(row.count("±") == 3 for row in out.splitlines()[2:4])
    assert train(*arguments, "--results", folder) == 0
    assert capsys.readouterr().out == out


def test_a_search_runs_only_what_it_chose_over_the_seeds(tmp_path, capsys) -> None:
    folder = tmp_path / "results"
    rates, weights = ["0.01", "0.1"], ["left=1,right=3", "left=3,right=1"]
    code = train(
        *("--epochs", "1", "--seeds", "0", "--search-seeds", "7", "--results", str(folder)),
        *("--balancer", "equal", *weights, "--learning-rate", *rates),
    )
    assert code == 0
    assert len(list((folder / "search").glob("two_*seed7.json"))) == 6
    assert len(list(folder.glob("two_*seed0.json"))) == 2
    assert "| hard_sharing | fixed |" in capsys.readouterr().out


def test_a_best_rate_at_an_edge_is_named_or_the_search_goes_on_from_it(tmp_path, capsys) -> None:
    options = ("--epochs", "1", "--seeds", "0", "--search-seeds", "7", "--learning-rate")
    rates, folder = ["1e-6", "2e-6"], str(tmp_path / "tiny")
    assert train(*options, *rates, "--results", folder) == 0
    said = capsys.readouterr()
    sentence = "the best rate of 'equal' on two_digits, hard_sharing, is at an edge"
    assert re.search(
        sentence
        + r" of those that were tried \((2e-06\); add 4e-06|1e-06\); add 5e-07), or --widen",
        said.err,
    )
    assert (
        "- Chosen by validation on seed 7, a run each, of 2 settings a method. At an edge"
        in said.out
    )
    folder = tmp_path / "wide"
    assert train(*options, "0.01", "0.02", "--widen", "--results", str(folder)) == 0
    tried = sorted(
        float(re.search(r"rate([\d.e-]+)-seed", path.name)[1])
        for path in (folder / "search").glob("two_*.json")
    )
    assert len(tried) > 2
    (chosen,) = folder.glob("two_*.json")
    best = float(re.search(r"rate([\d.e-]+)-seed", chosen.name)[1])
    at_an_edge = best in (tried[0], tried[-1])
    said = capsys.readouterr().err
    assert at_an_edge == ("is at an edge" in said) and "--widen" not in said
    assert not at_an_edge or len(tried) == 2 + WIDENED


def test_a_method_that_diverged_at_every_rate_is_named_with_a_smaller_one(tmp_path, capsys) -> None:
    rates = ("--learning-rate", "1e20", "1e10", "--search-seeds", "7")
    assert train("--epochs", "1", "--seeds", "0", *rates, "--results", str(tmp_path)) == 0
    said = capsys.readouterr().err
    assert "all runs of 'equal' on two_digits, hard_sharing, diverged in the search; " in said
    assert "add 5e+09, or --widen" in said


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--data", "two_digit"], "did you mean 'two_digits'"),
        (["--architecture", "mtam"], "did you mean 'mtan'"),
        (["--balancer", "pcgard"], "did you mean 'pcgrad'"),
        (["--profile", "fulll"], "did you mean 'full'"),
        (["--balancer", "PCGrad"], "did you mean 'pcgrad'"),
        (["--balancer", "IMTL-G"], "did you mean 'imtl_g'"),
        (["--balancer", "al"], "did you mean 'all'"),
        (["--balancer", "nothing"], "'nash_mtl', 'all', got 'nothing'"),
        (["--architecture", "MTAN"], "did you mean 'mtan'"),
        (["--learning-rate", "1e308"], "learning rate must be at most 1e+30, got 1e+308"),
        (["--learning-rate", "inf"], "learning rate must be finite and > 0, got inf"),
        (["--epochs", "0"], "epochs must be a whole number from 1 on, got 0"),
        (["--balancer", f"left=0.{'1' * 99},right=0.{'2' * 99}"], "write its weights with fewer"),
        (["--seeds", "-1"], "seed must be a whole number from 0 to 2^31 - 1, got -1"),
        (["--seeds", "1", "2", "--search-seeds", "2"], "seed 2 can't be searched and tested with"),
        (["--workers", "0"], "workers must be"),
        (["--learning-rate", "0.1", "0.2"], "'equal' has 2 settings on two_digits, hard_sharing"),
        (
            ["--balancer", "left=1,right=2", "left=2,right=1"],
            "'fixed' has 2 settings on two_digits, hard_sharing",
        ),
        (["--device", "cuda:77"], "device 'cuda:77' was asked for"),
    ],
)
def test_the_command_refuses_what_can_not_be_in_one_sentence(
    arguments, sentence, tmp_path, capsys
) -> None:
    assert train(*arguments, "--results", str(tmp_path / "results")) == 2
    said = capsys.readouterr().err
    assert said.startswith("mtl_tutorial: ")
    assert sentence in said
    assert said.count("\n") == 1


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_what_is_to_be_warned_of_is_said_once_by_each_process(workers, tmp_path, capfd) -> None:
    (tmp_path / "checkpoints").write_text("in the way")
    arguments = ("--epochs", "2", "--seeds", "0", "1", "--workers", str(workers))
    assert train(*arguments, "--results", str(tmp_path)) == 0
    said = [line for line in re.split(r"[\r\n]", capfd.readouterr().err) if "checkpoint" in line]
    sentence = (
        f"mtl_tutorial: checkpoint folder {tmp_path}/checkpoints can't be written (File exists)"
    )
    assert 1 <= len(said) <= workers
    assert all(line.startswith(sentence) for line in said)


def test_a_file_that_can_not_be_used_is_named_without_a_number(tmp_path, monkeypatch, capsys):
    def refused(*_arguments, **_options):
        raise OSError(errno.EIO, "Input/output error", "results/grid.json")

    monkeypatch.setattr(train_module, "run_grid", refused)
    assert train("--results", str(tmp_path)) == 1
    said = capsys.readouterr().err
    assert said == (
        "mtl_tutorial: results/grid.json can't be used (Input/output error); mend that, and start "
        "again\n"
    )


def test_a_folder_whose_name_is_too_long_is_named(tmp_path, capsys) -> None:
    assert train("--results", str(tmp_path / ("x" * 300))) == 2
    said = capsys.readouterr().err
    assert "can't be written (File name too long); name another folder" in said


def test_a_folder_of_the_first_recipe_goes_on_with_it_and_says_so(tmp_path, capsys) -> None:
    folder = tmp_path / "results"
    arguments = ("--epochs", "1", "--results", str(folder), "--seeds")
    protocol = make_protocol("quick", epochs=1, recipe=1)
    run_grid(settings(["two_digits"], ["hard_sharing"], ["equal"]), protocol, folder)
    path = folder / "grid.json"
    grid = json.loads(path.read_text())
    del grid["recipe"]
    path.write_text(json.dumps(grid | {"format": 1}))
    assert train(*arguments, "0", "1") == 0
    said = capsys.readouterr().err
    assert "was begun with recipe 1 of two digits, and goes on with it" in said
    results = store.read_results(folder)
    assert [result["protocol"]["recipe"] for result in results] == [1, 1]


def test_files_that_are_missing_are_named_once_and_nothing_runs(
    tmp_path, monkeypatch, capsys
) -> None:
    monkeypatch.setenv("MTL_DATA_ROOT", str(tmp_path))
    monkeypatch.setattr(digits, "_load_torchvision", refuse)
    load_scenes.cache_clear()
    assert train("--profile", "full", "--epochs", "1", "--results", str(tmp_path / "r")) == 2
    assert capsys.readouterr().err == "mtl_tutorial: no network here\n"


def test_help_needs_no_torch() -> None:
    code = (
        "import sys; from mtl_tutorial.__main__ import main\n"
        "try: main(['train', '--help'])\n"
        "except SystemExit: pass\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
