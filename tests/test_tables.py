"""The tables that come with the course are trained as their protocol says."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from concurrent.futures import BrokenExecutor
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch

from mtl_tutorial.balancing import BALANCERS, Making, make_balancer
from mtl_tutorial.experiments.catalogue import load_scenes, make_network
from mtl_tutorial.experiments.protocol import Setting

ROOT = Path(__file__).resolve().parents[1]
PROTOCOL = (ROOT / "results" / "PROTOCOL.md").read_text(encoding="utf-8")


def load():
    spec = importlib.util.spec_from_file_location("tables", ROOT / "benchmarks" / "tables.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["tables"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


tables = load()
TINY = tables.Grid(
    "two_digits", ["single_task", "hard_sharing"], ["equal", "dwa"], (0.01, 0.02), 2, (1000,)
)


def rows(head: str) -> dict[str, list[str]]:
    """The rows of the protocol's table with this head, by their first cell."""
    lines = PROTOCOL[PROTOCOL.index(head) :].splitlines()[2:]
    cells = [[c.strip() for c in line.strip("|").split("|")] for line in lines[: lines.index("")]]
    return {first.strip("`"): rest for first, *rest in cells}


def numbers(words: str) -> list[float]:
    return [float(number) for number in re.findall(r"\d+(?:\.\d+)?", words)]


def test_every_table_of_the_protocol_is_there_and_no_other() -> None:
    assert set(rows("| folder |")) == set(tables.TABLES) - {"rehearsal"}


@pytest.mark.parametrize("name", [name for name in tables.TABLES if name != "rehearsal"])
def test_a_table_has_the_rates_seeds_and_epochs_of_the_protocol(name) -> None:
    table = tables.TABLES[name]
    data, _, rates, search_seeds, seeds, epochs = rows("| folder |")[name]
    assert int(epochs) == table.epochs
    for grid in table.grids:
        assert grid.data in data
        assert tables.FIRST_SEED == int(numbers(seeds)[0])
        assert tables.FIRST_SEED + grid.seeds - 1 == int(numbers(seeds)[-1])
        assert max(grid.search_seeds) < tables.FIRST_SEED
        if table.searched_in:
            assert search_seeds == "–" and "found at 8 epochs" in rates
            continue
        assert [min(grid.search_seeds), max(grid.search_seeds)] == [
            numbers(search_seeds)[0],
            numbers(search_seeds)[-1],
        ]
        assert min(grid.rates) in numbers(rates) and max(grid.rates) in numbers(rates)
        assert len(grid.rates) >= 5
        assert all(b == 2 * a for a, b in zip(grid.rates, grid.rates[1:], strict=False))


def test_every_method_is_in_the_protocol_with_its_constants() -> None:
    methods = rows("| name | method |")
    assert set(methods) == {*BALANCERS, "fixed"}
    assert set(tables.ROWS) == {*BALANCERS, "fixed", *tables.ALONE}
    tasks = load_scenes("two_digits", "embedded", "tones", "cpu")["train"].tasks
    made = {}
    for name in methods.keys() - {"fixed", "nash_mtl"}:
        made[name] = make_balancer(name, Making(tasks, 5, torch.Generator()))
    assert made["gradnorm"].optimizer == "adam"
    assert numbers(methods["gradnorm"][1])[:2] == [
        made["gradnorm"].alpha,
        made["gradnorm"].learning_rate,
    ]
    assert numbers(methods["uncertainty"][1]) == [0, made["uncertainty"].learning_rate]
    assert numbers(methods["dwa"][1]) == [made["dwa"].temperature]
    assert str(made["cagrad"].method) == f"CAGrad{numbers(methods['cagrad'][1])[0]}"


@pytest.mark.parametrize("data", ["two_digits", "two_fashion", "located_digits", "seen_and_heard"])
def test_the_weights_that_are_tried_are_those_of_the_protocol(data) -> None:
    (grid,) = tables.TABLES[
        {"two_digits": "two_digits_8_epochs"}.get(data, f"{data}_1_epoch")
    ].grids
    (words,) = [
        cells[0] for names, cells in rows("| data | weights of").items() if f"{data}" in names
    ]
    tried = [numbers(balancer) for balancer in grid.balancers if "=" in balancer]
    said = [numbers(pair) for pair in re.findall(r"\(([^)]+)\)", words)]
    assert [weights[-2:] for weights in tried] == said


@pytest.mark.parametrize("data", ["two_digits", "located_digits", "seen_and_heard"])
def test_small_networks_have_together_the_parameters_of_the_shared_one(data) -> None:
    tasks = load_scenes(data, "embedded", "tones", "cpu")["train"].tasks
    size = {
        name: sum(p.numel() for p in make_network(data, name, tasks).parameters())
        for name in ("hard_sharing", "single_task_small")
    }
    assert abs(size["single_task_small"] / size["hard_sharing"] - 1) < 0.03
    assert "within 3 %" in PROTOCOL.replace("\n", " ")


def trained(tmp_path, monkeypatch, **options):
    found = {"a": tables.Table(1, [TINY]), "b": tables.Table(2, [TINY], searched_in="a")}
    monkeypatch.setattr(tables, "TABLES", found)
    training = tables.Tables(found, tmp_path, profile="quick", device="cpu", workers=1, **options)
    training.run()
    return training


@pytest.mark.slow
def test_what_a_search_has_chosen_is_trained_and_no_best_rate_is_at_an_edge(
    tmp_path, monkeypatch
) -> None:
    training = trained(tmp_path, monkeypatch)
    for name in ("a", "b"):
        names = [p.name for p in (tmp_path / name).glob("*.json") if p.name != "grid.json"]
        assert len(names) == 3 * 2  # rows, seeds
        assert {name[-9:-5] for name in names} == {"1010", "1011"}
    results = training.found("a", TINY)
    for best in tables.best_settings(results):
        rates = sorted(
            setting.learning_rate
            for setting in map(Setting.of, results)
            if tables.row_of(setting) == tables.row_of(best)
        )
        assert len(rates) == 2 + tables.WIDENED or rates[0] < best.learning_rate < rates[-1]
    again = [path.stat().st_mtime_ns for path in sorted(tmp_path.rglob("*seed*.json"))]
    training.run()
    assert again == [path.stat().st_mtime_ns for path in sorted(tmp_path.rglob("*seed*.json"))]


def test_the_most_important_rows_come_first_and_unfinished_searches_choose_nothing(
    tmp_path, monkeypatch
) -> None:
    training = trained(tmp_path, monkeypatch, seconds=0)
    assert not list(tmp_path.rglob("*seed*.json"))
    assert [tables.row_of(job.setting) for job in training.searches()] == [
        *["equal"] * 2,
        *["single_task"] * 2,
        *["dwa"] * 2,
    ]
    training.seconds = 1e9
    training.train(training.searches()[:2])
    assert training.chosen("b") == []  # the best of two rates is at an edge
    while more := training.wider():
        training.train(more)
    assert {tables.row_of(job.setting) for job in training.chosen("b")} == {"equal"}


def test_a_widening_that_was_cut_off_is_completed_before_its_row_is_tested(tmp_path) -> None:
    weights = ("left=1,right=2", "left=2,right=1")
    grid = replace(TINY, architectures=["hard_sharing"], balancers=weights)
    found = {"a": tables.Table(1, [grid])}
    training = tables.Tables(found, tmp_path, profile="quick", device="cpu", workers=1)
    training.train(training.searches()[:1])
    place = training.folder("a", training.protocols["a"], search=True)
    (pattern,) = place.folder.glob("*seed*.json")
    like = json.loads(pattern.read_text())
    scores = {(w, rate): 1 - abs(rate - 0.015) for w in weights for rate in (0.005, 0.01, 0.02)}
    scores |= {(w, 0.04): 0.1 for w in weights}
    for (balancer, rate), score in scores.items():
        setting = Setting("two_digits", "hard_sharing", balancer, rate, 1000)
        curves = like["curves"] | {"validation metric": {"left": [score], "right": [score]}}
        made = like | {"setting": asdict(setting), "curves": curves}
        place.write(setting, made)
    assert training.wider() == []
    assert len(training.chosen("a")) == 2
    place.result_path(setting).unlink()
    assert [job.setting for job in training.wider()] == [setting]
    assert training.chosen("a") == []


def test_a_killed_worker_and_a_full_disk_end_with_a_sentence(tmp_path, monkeypatch, capsys) -> None:
    command = ["tables.py", "rehearsal", "--profile", "quick", "--workers", "1"]
    monkeypatch.setattr(sys, "argv", [*command, "--root", str(tmp_path)])
    handlers = []
    monkeypatch.setattr(tables.signal, "signal", lambda number, handler: handlers.append(handler))

    def ends(error):
        def train(*given):
            raise error

        monkeypatch.setattr(tables.Tables, "train", train)
        with pytest.raises(SystemExit) as ended:
            tables.main()
        return ended.value.code

    assert ends(BrokenExecutor()) == tables.WORKER_KILLED
    assert "no room" in ends(OSError("no room"))

    def signalled(*given):  # its workers have ended by the same signal
        with suppress(KeyboardInterrupt):
            handlers[-1](15, None)
        raise BrokenExecutor

    monkeypatch.setattr(tables.Tables, "train", signalled)
    with pytest.raises(SystemExit, match="stopped; the same command goes on"):
        tables.main()
    monkeypatch.undo()

    def full(*given):
        raise OSError("no room")

    monkeypatch.setattr(tables.ResultsFolder, "write", full)
    found = {"a": tables.Table(1, [replace(TINY, balancers=["equal"], rates=(0.01,))])}
    training = tables.Tables(found, tmp_path, profile="quick", device="cpu", workers=1)
    with pytest.warns(UserWarning, match="wait in memory"), pytest.raises(tables.RunFailedError):
        training.train(training.searches())
    assert capsys.readouterr().err.count('{"best_epoch"') == 2  # printed, so not lost


def test_a_run_that_fails_is_named_and_the_others_are_kept(tmp_path, monkeypatch, capsys) -> None:
    def fails(setting, protocol, *place, threads):
        if setting.balancer == "dwa":
            return setting, None, "its trace"
        return attempt(setting, protocol, *place, threads=threads)

    attempt = tables.attempt
    monkeypatch.setattr(tables, "attempt", fails)
    found = {"a": tables.Table(1, [replace(TINY, architectures=["hard_sharing"])])}
    monkeypatch.setattr(tables, "TABLES", found)
    tables.Tables(found, tmp_path, profile="quick", device="cpu", workers=1).run()
    assert "dwa-rate0.01-seed1000 failed:\nits trace" in capsys.readouterr().err
    assert len(list((tmp_path / "a").glob("*equal*.json"))) == 2
    assert not list((tmp_path / "a").glob("*dwa*.json"))


@pytest.mark.parametrize("name", ["README.md", "results/README.md"])
def test_the_tables_of_a_page_are_those_of_the_results(name) -> None:
    page = (ROOT / name).read_text(encoding="utf-8")
    assert tables.MARKS.search(page)
    assert tables.as_committed(page, ROOT) == page


def test_a_table_that_is_out_of_date_is_written_anew_and_the_text_around_it_stays(
    tmp_path, monkeypatch
) -> None:
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    other = tmp_path / "page.md"
    head = "<!-- from results/full_100_epochs -->\n"
    other.write_text(f"before\n{head}old\n<!-- end -->\nafter", encoding="utf-8")
    monkeypatch.setattr(sys, "argv", ["tables.py", "--write", str(other)])
    tables.main()
    written = other.read_text(encoding="utf-8")
    assert written.startswith(f"before\n{head}| two_digits | method |")
    assert written.endswith("\n<!-- end -->\nafter") and "old\n" not in written
    assert page == (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["two_digit_8_epochs"], "table must be one of two_digits_8_epochs, .*, got 'two_digit_8"),
        ([], "name tables to train, or a page with --write"),
        (["rehearsal", "--write", "README.md"], "name tables to train, or a page"),
    ],
)
def test_what_can_not_be_done_is_said(words, told, monkeypatch, capsys) -> None:
    monkeypatch.setattr(sys, "argv", ["tables.py", *words])
    with pytest.raises(SystemExit):
        tables.main()
    assert re.search(told, capsys.readouterr().err)


def test_a_table_is_written_between_marks_that_hold_nothing_yet() -> None:
    head = "<!-- from results/full_100_epochs -->\n"
    page = f"{head}<!-- end -->\n\nwords\n\n{head}old\n<!-- end -->\n"
    written = tables.as_committed(page, ROOT)
    assert written.count("| hard_sharing | equal |") == 2 and "\n\nwords\n\n" in written
    assert tables.as_committed(written, ROOT) == written
