"""Trains the source document's network to the end and beyond, and commits what came out.

Three seeds of each: its encoder and that with two more ReLUs at its rate, its encoder at half the
rate, and the box alone. Lesson 02 draws ``results/classic_encoder.json``. A run that is in the
file is not made again.
"""

from __future__ import annotations

import argparse
import datetime
import json

import torch

from mtl_tutorial.experiments.classic import FILE, classic_epochs
from mtl_tutorial.experiments.execute import versions
from mtl_tutorial.writing import write_whole

BOTH, BOX = ("digit", "box"), ("box",)
PLAN = (  # tasks, encoder, rate, epochs
    (BOTH, "as printed", 0.01, 15),
    (BOTH, "two more ReLUs", 0.01, 15),
    (BOX, "as printed", 0.01, 15),
    (BOTH, "as printed", 0.005, 20),
)


def main() -> None:
    """Train one run after the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    seeds = range(parser.parse_args().seeds)
    torch.set_num_threads(1)
    rows = json.loads(FILE.read_text(encoding="utf-8"))["epochs"] if FILE.exists() else []
    done = {(row["tasks"], row["encoder"], row["rate"], row["seed"]) for row in rows}
    made = {**versions(torch.device("cpu")), "date": datetime.date.today().isoformat()}
    for seed in seeds:
        for tasks, encoder, rate, epochs in PLAN:
            if (" and ".join(tasks), encoder, rate, seed) in done:
                continue
            run = list(classic_epochs(encoder, seed, rate, epochs, tasks=tasks))
            rows += [{k: round(v, 4) if type(v) is float else v for k, v in r.items()} for r in run]
            lines = ",\n".join(map(json.dumps, rows))
            text = f'{{"provenance": {json.dumps(made)},\n"epochs": [\n{lines}\n]}}\n'
            write_whole(FILE, text.encode())
            print(run[-1], flush=True)


if __name__ == "__main__":
    main()
