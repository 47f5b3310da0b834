"""Races over the landscape of two tasks that last longer than a lesson does.

python benchmarks/landscape_race.py

Writes results/landscape_race.json: for each learning rate of Adam, method and start, the step from
which the racer is near a best trade-off. Each start has copies beside it, because ways over the
steep walls are chaotic. It takes some minutes on one core.
"""

from __future__ import annotations

import json
import math
import time

import torch

from mtl_tutorial.data.landscape import STARTS
from mtl_tutorial.experiments.execute import versions
from mtl_tutorial.experiments.race import LONG_RACES, METHODS, arrival_steps
from mtl_tutorial.writing import write_whole

RATES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3)
STEPS = 100_000
COPIES, APART = 8, 0.01  # starts a group, and the standard deviation of their distance
COLUMNS = ["learning_rate", "method", "start", "copy", "arrival"]


def rows_of(rate: float) -> list[list]:
    generator = torch.Generator().manual_seed(0)
    places = torch.tensor(STARTS, dtype=torch.float64)
    moved = torch.randn(COPIES, *places.shape, generator=generator, dtype=torch.float64)
    moved[0] = 0  # the first copy is the start itself
    starts = (places + APART * moved).flatten(0, 1)
    arrivals = arrival_steps(starts.tolist(), learning_rate=rate, steps=STEPS)
    return [
        [rate, method, start + 1, copy, int(step) if math.isfinite(step) else None]
        for method, of_method in zip(METHODS, arrivals.view(len(METHODS), COPIES, -1), strict=True)
        for copy, of_copy in enumerate(of_method)
        for start, step in enumerate(of_copy.tolist())
    ]


def main() -> None:
    torch.set_num_threads(1)
    made_by = versions(torch.device("cpu"))  # before the checkout goes on
    begin, rows = time.process_time(), []
    for rate in RATES:
        rows += rows_of(rate)
        print(f"learning rate {rate:g}: {time.process_time() - begin:.0f} s", flush=True)
    provenance = {
        "command": "python benchmarks/landscape_race.py",
        "optimizer": "Adam",
        "steps": STEPS,
        "copies": f"{COPIES} a start, {APART} apart",
        **made_by,
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "cpu_seconds": round(time.process_time() - begin),
    }
    head = json.dumps({"provenance": provenance, "columns": COLUMNS}, indent=1)
    table = ",\n".join("  " + json.dumps(row) for row in rows)
    write_whole(LONG_RACES, f'{head[:-2]},\n "rows": [\n{table}\n ]\n}}\n'.encode())


if __name__ == "__main__":
    main()
