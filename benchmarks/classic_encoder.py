"""Trains the source document's network to the end and beyond, and commits what came out.

Three seeds: its encoder and that with two more ReLUs at its rate, and its encoder at half the rate
for twice the epochs. Lesson 02 draws ``results/classic_encoder.json``.
"""

from __future__ import annotations

import argparse
import datetime
import json

import torch

from mtl_tutorial.checkpoints import write_whole
from mtl_tutorial.experiments.classic import FILE, classic_epochs
from mtl_tutorial.experiments.execute import versions

PLAN = (("as printed", 0.01, 1), ("two more ReLUs", 0.01, 1), ("as printed", 0.005, 2))


def main() -> None:
    """Train one run after the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--seeds", type=int, default=3)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for seed in range(chosen.seeds):
        for encoder, rate, times in PLAN:
            for row in classic_epochs(encoder, seed, rate, times * chosen.epochs):
                rows.append({k: round(v, 4) if type(v) is float else v for k, v in row.items()})
                print(rows[-1], flush=True)
    made = {**versions(torch.device("cpu")), "date": datetime.date.today().isoformat()}
    text = json.dumps({"provenance": made, "epochs": rows}, indent=0)
    write_whole(FILE, f"{text}\n".encode())


if __name__ == "__main__":
    main()
