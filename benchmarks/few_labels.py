"""Tasks with few labels, alone and beside helpers that have many, for lesson 12 and its label dial.

python benchmarks/few_labels.py

Writes results/few_labels.json: a task's metric on validation and test scenes, by number of labels,
helpers, their weight, seed and step; and match of image and sound from unlimited labels, at several
learning rates, four times as long as in the lesson. It takes some 16 minutes on one core.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import torch

from mtl_tutorial.checkpoints import write_whole
from mtl_tutorial.experiments import train
from mtl_tutorial.experiments.execute import versions
from mtl_tutorial.experiments.few_labels import (
    EXAM,
    FROZEN,
    LABEL_RUNS,
    QUESTIONS,
    TABLES,
    companies,
    company_name,
    frozen_encoder,
    learn,
    network_for,
    scenes_for,
)

SEEDS = range(3)
LONG_STEPS, LONG_EVERY = 800, 200
LONG = (  # helpers of match, and the rate
    ((), 2.5e-3),
    ((), 6.25e-4),
    (("speaker",), 2.5e-3),
)
COLUMNS = {
    TABLES[0]: ["task", "labels", "helpers", "weight", "seed", "step", "validation", "test"],
    TABLES[1]: ["helpers", "rate", "seed", "step", "value"],
}


def with_few_labels(task: str) -> Iterator[list]:
    question = QUESTIONS[task]
    for seed in SEEDS:
        settings = [
            (company_name(helpers), {"helpers": helpers, "weight": weight})
            for helpers in companies(task)
            for weight in (question.weights if helpers else (1.0,))
        ]
        if task == "box":
            settings.append((FROZEN, {"prepare": frozen_encoder("mask", seed=seed)}))
        for labels in question.labels:
            for name, options in settings:
                table = learn(task, labels, seed=seed, **options)
                weight = options.get("weight", 1.0)
                for step, validation, test in table.itertuples(index=False):
                    scores = [round(validation, 4), round(test, 4)]
                    yield [task, labels, name, weight, seed, step, *scores]


def long_runs_of_match() -> Iterator[list]:
    scenes = scenes_for("match", "train")
    exam = scenes_for("match", "test").draw(2 * EXAM, torch.Generator().manual_seed(7))
    for helpers, rate in LONG:
        asked = tuple(t for t in scenes.tasks if t.name in ("match", *helpers))
        for seed in SEEDS:
            _, history = train(
                lambda asked=asked: network_for(asked),
                asked,
                scenes,
                exam,
                seed=seed,
                steps=LONG_STEPS,
                learning_rate=rate,
                measure_every=LONG_EVERY,
            )
            for step, scores in history.scores:
                yield [company_name(helpers), rate, seed, step, round(scores["match"].metric, 4)]


def main() -> None:
    torch.set_num_threads(1)
    made_by = versions(torch.device("cpu"))  # before the checkout goes on
    begin, tables = time.process_time(), {name: [] for name in TABLES}
    sources = [(TABLES[0], with_few_labels(task)) for task in ("box", "digit")]
    sources += [(TABLES[1], long_runs_of_match()), (TABLES[0], with_few_labels("match"))]
    for name, rows in sources:
        for row in rows:
            tables[name].append(row)
            print(*row, f"{time.process_time() - begin:.0f} s", flush=True)
        _write(tables, made_by, time.process_time() - begin)


def _write(tables: dict[str, list], made_by: dict, seconds: float) -> None:
    """Write what there is so far."""
    provenance = {
        "command": "python benchmarks/few_labels.py",
        "digits": "embedded",
        "encoder": "ConvEncoder(width=8)",
        "optimizer": "Adam",
        **made_by,
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "cpu_seconds": round(seconds),
    }
    parts = [f' "provenance": {json.dumps(provenance)}']
    for name, rows in tables.items():
        lines = ",\n".join("  " + json.dumps(row) for row in rows)
        columns = json.dumps(COLUMNS[name])
        parts.append(f' "{name}": {{"columns": {columns}, "rows": [\n{lines}\n ]}}')
    write_whole(LABEL_RUNS, ("{\n" + ",\n".join(parts) + "\n}\n").encode())


if __name__ == "__main__":
    main()
