"""Mixtures of experts beside their rivals, with more correlations, steps and seeds than lesson 13.

python benchmarks/experts.py

Writes results/experts.json: on the pair of regressions the error of five networks of equal size;
on located digits scores, and what the gates do. It takes about eight minutes on one core.
"""

from __future__ import annotations

import functools
import json
import time

import pandas as pd
import torch

from mtl_tutorial.architectures import Experts, experts_used
from mtl_tutorial.checkpoints import write_whole
from mtl_tutorial.data import located_digits
from mtl_tutorial.experiments.execute import versions
from mtl_tutorial.experiments.experts import (
    LONG_RUNS,
    NETWORKS,
    learn_pairs,
    network_for_scenes,
    train_mixture,
)

CORRELATIONS, MARKS, SEEDS = (0.0, 0.5, 0.9, 1.0), (250, 500, 1000, 2000, 4000), range(4)
SHORT = 1000  # steps of what is compared at other rates, and with deep heads
RATES = (0.0025, 0.01)  # beside 0.005
SCENE_RUNS = (  # network, weight of the importance loss
    ("hard sharing", 0.0),
    ("own network", 0.0),
    ("one gate", 0.0),
    ("a gate a task", 0.0),
    ("a gate a task", 0.1),
    ("a gate a task", 1.0),
)
SCENE_STEPS = {300: range(3), 1200: range(2)}  # by number of steps: seeds
LONG = ("hard sharing", "a gate a task")  # what is trained longer on scenes, and at other rates


def pairs(begin: float) -> pd.DataFrame:
    settings = [(name, "linear", 0.005, CORRELATIONS, MARKS) for name in NETWORKS]
    settings += [(name, "deep", 0.005, (0.0, 1.0), (250, 500, SHORT)) for name in LONG]
    settings += [(name, "linear", r, (0.0, 1.0), (SHORT,)) for name in LONG for r in RATES]
    tables = []
    for name, heads, rate, correlations, marks in settings:
        table = learn_pairs(
            name,
            correlations,
            seeds=SEEDS,
            steps=max(marks),
            marks=marks,
            deep_heads=heads == "deep",
            learning_rate=rate,
        )
        tables.append(table.assign(network=name, heads=heads, rate=rate))
        print(name, heads, rate, f"{time.process_time() - begin:.0f} s", flush=True)
    return pd.concat(tables)


def scenes(begin: float) -> pd.DataFrame:
    data, held_out = located_digits("train"), located_digits("validation")
    validation = held_out.draw(1024, torch.Generator().manual_seed(100))
    tasks, rows = data.tasks[:2], []
    for steps, seeds in SCENE_STEPS.items():
        for name, balance in SCENE_RUNS:
            for seed in seeds if steps == 300 or (name in LONG and not balance) else ():
                build = functools.partial(network_for_scenes, name, tasks)
                model, scores = train_mixture(
                    build, tasks, data, validation, seed=seed, steps=steps, balance=balance
                )
                row = {"network": name, "balance": balance, "steps": steps, "seed": seed, **scores}
                if isinstance(model, Experts):
                    with torch.no_grad():
                        gates = model.gates(validation.inputs)
                    used = {f"{task}_used": experts_used(g).item() for task, g in gates.items()}
                    row |= {**used, "box_most": gates["box"].max(dim=1).values.mean().item()}
                rows.append(row)
            print(name, balance, steps, f"{time.process_time() - begin:.0f} s", flush=True)
    return pd.DataFrame(rows)


def main() -> None:
    torch.set_num_threads(1)
    made_by = versions(torch.device("cpu"))  # before the checkout goes on
    begin = time.process_time()
    tables = {"scenes": scenes(begin), "pairs": pairs(begin)}
    provenance = {
        "command": "python benchmarks/experts.py",
        "optimizer": "Adam, 0.005 where no other rate is named",
        "batch_size": {"pairs": 128, "scenes": 64},
        **made_by,
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "cpu_seconds": round(time.process_time() - begin),
    }
    parts = [f' "provenance": {json.dumps(provenance)}']
    for name, table in tables.items():
        found = table.astype(object).where(table.notna(), None)
        rows = ",\n".join("  " + json.dumps([_short(v) for v in row]) for row in found.values)
        parts.append(f' "{name}": {{"columns": {json.dumps(list(table))}, "rows": [\n{rows}\n ]}}')
    write_whole(LONG_RUNS, ("{\n" + ",\n".join(parts) + "\n}\n").encode())


def _short(value: object) -> object:
    return float(f"{value:.4g}") if isinstance(value, float) else value


if __name__ == "__main__":
    main()
