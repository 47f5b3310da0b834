"""Match from few labels for twice as many steps as in few_labels.py, for lesson 12.

python benchmarks/few_labels_longer.py

Writes results/few_labels_longer.json: whether what `digit` adds after 600 steps lasts to 1200.
It takes two minutes on one core.
"""

from __future__ import annotations

import json
import time

import torch

from mtl_tutorial.checkpoints import write_whole
from mtl_tutorial.experiments.execute import versions
from mtl_tutorial.experiments.few_labels import LONGER_RUNS, QUESTIONS, company_name, learn

SEEDS, STEPS, EVERY = range(3), 2 * QUESTIONS["match"].steps, 200
RUNS = ((300, ()), (1000, ()), (300, ("digit",)))  # labels, helpers
COLUMNS = ["labels", "helpers", "seed", "step", "validation", "test"]


def main() -> None:
    torch.set_num_threads(1)
    made_by = versions(torch.device("cpu"))  # before the checkout goes on
    begin, rows = time.process_time(), []
    for seed in SEEDS:
        for labels, helpers in RUNS:
            table = learn("match", labels, helpers, seed=seed, steps=STEPS, every=EVERY)
            for step, validation, test in table.itertuples(index=False):
                scores = [round(validation, 4), round(test, 4)]
                rows.append([labels, company_name(helpers), seed, step, *scores])
            print(*rows[-1], f"{time.process_time() - begin:.0f} s", flush=True)
    provenance = {
        "command": "python benchmarks/few_labels_longer.py",
        "task": "match",
        "digits": "embedded",
        "encoder": "ConvEncoder(width=8)",
        "optimizer": "Adam",
        "learning_rate": QUESTIONS["match"].learning_rate,
        **made_by,
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "cpu_seconds": round(time.process_time() - begin),
    }
    lines = ",\n".join("  " + json.dumps(row) for row in rows)
    text = (
        f'{{\n "provenance": {json.dumps(provenance)},\n "columns": {json.dumps(COLUMNS)},\n'
        f' "rows": [\n{lines}\n ]\n}}\n'
    )
    write_whole(LONGER_RUNS, text.encode())


if __name__ == "__main__":
    main()
