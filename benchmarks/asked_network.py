"""Trainings of the network that is asked in words, and of its rivals, longer than lesson 14's.

python benchmarks/asked_network.py

Writes results/asked.json, how each question is answered on test scenes after some numbers of
steps; and the network of the page, seed 0 of the longest run. Runs that are in the file already are
left as they are, so that it can be stopped and taken up again. About 10 minutes on one core.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import NamedTuple

import pandas as pd
import torch
from torch import nn

from mtl_tutorial.balancing import Balancer, PCGrad
from mtl_tutorial.checkpoints import write_whole
from mtl_tutorial.data.grammar import TRAINED
from mtl_tutorial.experiments.asked import (
    BATCH_SIZE,
    LONG_RUNS,
    ON_THE_PAGE,
    RATE,
    asked_network,
    grade,
    head_a_question,
    learn,
    make_exam,
    page_weights,
    start,
    training_scenes,
)
from mtl_tutorial.experiments.execute import versions

MARKS = (250, 500, 1000, 2000, 4000)
SEEDS = range(3)
PAGE = ("asked", 0)


class Kind(NamedTuple):
    """What is trained, and how."""

    build: Callable[[], nn.Module]
    steps: int
    surgery: bool = False


RUNS = {
    "asked": Kind(asked_network, 4000),
    "a head a question": Kind(head_a_question, 1000),
    "asked, PCGrad": Kind(asked_network, 500, surgery=True),
}


def main() -> None:
    torch.set_num_threads(1)
    made_by = versions(torch.device("cpu"))  # before the checkout goes on
    exam = make_exam("test", drawn=6000)
    known = {question: batch for question, batch in exam.items() if question in TRAINED}
    scenes = training_scenes()
    tables, before = _so_far()
    done = {pair for table in tables for pair in zip(table["run"], table["seed"], strict=True)}
    begin = time.process_time() - before.get("cpu_seconds", 0)
    for name, kind in RUNS.items():
        asked = known if kind.build is head_a_question else exam
        for seed in SEEDS:
            if (name, seed) in done:
                continue
            balancer = _surgery(kind, seed)
            run = start(kind.build, scenes, seed=seed, steps=kind.steps, balancer=balancer)
            found = learn(run, marks=MARKS, look=lambda model: grade(model, asked))
            for step, table in found.items():
                rows = table[["text", "value"]]
                tables.append(rows.assign(run=name, seed=seed, step=step))
            seconds = time.process_time() - begin
            print(name, seed, f"{seconds:.0f} s", table["value"].mean(), flush=True)
            _write(pd.concat(tables), made_by, before, seconds)
            if (name, seed) == PAGE:
                made = {"run": name, "seed": seed, "steps": kind.steps, "commit": made_by["commit"]}
                text = json.dumps({**page_weights(run.model), "made": made}, ensure_ascii=False)
                write_whole(ON_THE_PAGE, f"{text}\n".encode())


def _surgery(kind: Kind, seed: int) -> Balancer | None:
    """PCGrad for the runs that have it; the others add the losses up."""
    if not kind.surgery:
        return None
    return PCGrad(generator=torch.Generator().manual_seed(seed))


def _so_far() -> tuple[list[pd.DataFrame], dict]:
    """Give the rows that are there, and where they are from."""
    if not LONG_RUNS.is_file():
        return [], {}
    content = json.loads(LONG_RUNS.read_text(encoding="utf-8"))
    return [pd.DataFrame(content["rows"], columns=content["columns"])], content["provenance"]


def _write(table: pd.DataFrame, made_by: dict, before: dict, seconds: float) -> None:
    """Write what there is so far."""
    provenance = {
        "command": "python benchmarks/asked_network.py",
        "optimizer": f"Adam, {RATE:g}, rising for 100 steps, from 500 on falling as 1 / sqrt(step)",
        "batch_size": BATCH_SIZE,
        **made_by,
        **({"commit": before["commit"], "taken_up_at": made_by["commit"]} if before else {}),
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "cpu_seconds": round(seconds),
    }
    columns = ["run", "seed", "step", "text", "value"]
    head = json.dumps({"provenance": provenance, "columns": columns}, indent=1)
    rows = [[*row[:4], round(row[4], 4)] for row in table[columns].itertuples(index=False)]
    text = ",\n".join("  " + json.dumps(row) for row in rows)
    write_whole(LONG_RUNS, f'{head[:-2]},\n "rows": [\n{text}\n ]\n}}\n'.encode())


if __name__ == "__main__":
    main()
