"""Trainings with the box loss in other units that last longer than those of lessons 06 and 07.

python benchmarks/units.py

Writes results/units.json: scores, losses, loss weights and gradient norms after some numbers of
steps, up to four times those of the lessons. It takes about an hour on one core.
"""

from __future__ import annotations

import json
import time

import pandas as pd
import torch
from torchjd.scalarization import GeometricMean

from mtl_tutorial.architectures import ConvEncoder, HardSharing
from mtl_tutorial.balancing import (
    Balancer,
    FixedWeights,
    FromTorchJD,
    GradientNormWeights,
    GradNorm,
    UncertaintyWeights,
)
from mtl_tutorial.data import located_digits
from mtl_tutorial.experiments.execute import versions
from mtl_tutorial.experiments.units import LONG_RUNS, follow, in_unit
from mtl_tutorial.tasks import Task
from mtl_tutorial.writing import write_whole

MARKS = (10, 30, 75, 150, 300, 600, 1200)
UNCERTAINTY = {f"uncertainty, s at {rate:g}": rate for rate in (0.005, 0.1)}  # the rate of s
RUNS = (  # the factor on the box loss, and a method
    *((28.0, method) for method in ("equal", "shares", "GradNorm, α = 0")),
    *((1.0, method) for method in ("equal", "shares", "GradNorm, α = 0", "geometric mean")),
    *((factor, method) for method in UNCERTAINTY for factor in (1.0, 1000.0, 0.001)),
    *((factor, "equal") for factor in (1000.0, 0.001)),
)
SEEDS = range(4)


def balancer_of(method: str, tasks: tuple[Task, ...]) -> Balancer:
    if method in UNCERTAINTY:
        return UncertaintyWeights(tasks, learning_rate=UNCERTAINTY[method])
    if method == "geometric mean":
        return FromTorchJD(GeometricMean())
    made = {"equal": FixedWeights, "shares": GradientNormWeights}
    return made[method]() if method in made else GradNorm(alpha=0)


def main() -> None:
    torch.set_num_threads(1)
    made_by = versions(torch.device("cpu"))  # before the checkout goes on
    scenes, held_out = located_digits("train"), located_digits("validation")
    validation = held_out.draw(1024, torch.Generator().manual_seed(100))
    digit, box = scenes.tasks[:2]
    begin, tables = time.process_time(), []
    for unit, method in RUNS:
        for seed in SEEDS:
            tasks = (digit, in_unit(box, unit))
            table = follow(
                lambda tasks: HardSharing(ConvEncoder(width=8), tasks),
                tasks,
                scenes,
                validation,
                balancer=balancer_of(method, tasks),
                seed=seed,
                marks=MARKS,
            )
            tables.append(table.assign(unit=unit, method=method, seed=seed))
            print(unit, method, seed, f"{time.process_time() - begin:.0f} s", flush=True)
        _write(pd.concat(tables), made_by, time.process_time() - begin)


def _write(table: pd.DataFrame, made_by: dict, seconds: float) -> None:
    """Write what there is so far."""
    provenance = {
        "command": "python benchmarks/units.py",
        "encoder": "ConvEncoder(width=8)",
        "optimizer": "Adam, 0.005",
        "batch_size": 64,
        **made_by,
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "cpu_seconds": round(seconds),
    }
    head = json.dumps({"provenance": provenance, "columns": list(table)}, indent=1)
    rows = [
        [float(f"{value:.4g}") if isinstance(value, float) else value for value in row]
        for row in table.itertuples(index=False)
    ]
    text = ",\n".join("  " + json.dumps(row, ensure_ascii=False) for row in rows)
    write_whole(LONG_RUNS, f'{head[:-2]},\n "rows": [\n{text}\n ]\n}}\n'.encode())


if __name__ == "__main__":
    main()
