"""Mixtures of experts beside their rivals, with more correlations, steps and seeds than lesson 13.

python benchmarks/experts.py            about twelve minutes on one core
python benchmarks/experts.py --added    only what came later, five minutes; other rows stay

Writes results/experts.json: on the pair of regressions the error of five networks of equal size,
and at five rates; on located digits scores, and what the gates do, of twins, too: one task twice.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import json
import time

import pandas as pd
import torch

from mtl_tutorial.architectures import Experts, experts_used
from mtl_tutorial.checkpoints import write_whole
from mtl_tutorial.data import Scenes, located_digits
from mtl_tutorial.experiments.execute import versions
from mtl_tutorial.experiments.experts import (
    LONG_RUNS,
    NETWORKS,
    learn_pairs,
    long_runs,
    network_for_scenes,
    train_mixture,
)
from mtl_tutorial.tasks import Batch

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
SEARCHED = (0.0025, 0.01, 0.02, 0.04)  # for all networks, up to SHORT; 0.005 is there
TWINS = (("digit", "box"), ("box", "box"), ("digit", "digit"))  # two tasks; one task twice
LONG = ("hard sharing", "a gate a task")  # what is trained longer on scenes, and at other rates


def pairs(begin: float) -> pd.DataFrame:
    settings = [(name, "linear", 0.005, CORRELATIONS, MARKS) for name in NETWORKS]
    settings += [(name, "deep", 0.005, (0.0, 1.0), (250, 500, SHORT)) for name in LONG]
    settings += [(name, "linear", r, (0.0, 1.0), (SHORT,)) for name in LONG for r in RATES]
    return _learned(settings, begin)


def searched(begin: float) -> pd.DataFrame:
    return _learned(
        [(n, "linear", r, (0.0, 1.0), (250, 500, SHORT)) for r in SEARCHED for n in NETWORKS], begin
    )


def _learned(settings: list[tuple], begin: float) -> pd.DataFrame:
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


def twins(begin: float) -> pd.DataFrame:
    """Train a gate a task on two tasks, of which the second may be the first one again."""
    data, held_out = located_digits("train"), located_digits("validation")
    by_name, rows = {task.name: task for task in data.tasks}, []
    for first, second in TWINS:
        tasks = (by_name[first], dataclasses.replace(by_name[second], name="second"))
        source, unseen = (_named(scenes, second, tasks) for scenes in (data, held_out))
        validation = unseen.draw(1024, torch.Generator().manual_seed(100))
        for seed in SCENE_STEPS[300]:
            build = functools.partial(network_for_scenes, "a gate a task", tasks)
            model, scores = train_mixture(build, tasks, source, validation, seed=seed, steps=300)
            with torch.no_grad():
                one, other = (g.mean(0) for g in model.gates(validation.inputs).values())
            overlap = torch.minimum(one, other).sum().item()
            row = {"first": first, "second": second, "seed": seed, "overlap": overlap}
            rows.append(row | {"first_score": scores[first], "second_score": scores["second"]})
        print(first, second, f"{time.process_time() - begin:.0f} s", flush=True)
    return pd.DataFrame(rows)


def _named(scenes: Scenes, task: str, tasks: tuple) -> Scenes:
    """Give the scenes with the labels of a task under the name "second", too."""

    def compose(index: torch.Tensor, generator: torch.Generator) -> Batch:
        batch = scenes.compose(index, generator)
        targets = {**batch.targets, "second": batch.targets[task]}
        return dataclasses.replace(batch, targets=targets)

    return Scenes(tasks, scenes.digits, compose)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--added", action="store_true", help="only what came later")
    only_added = parser.parse_args().added
    torch.set_num_threads(1)
    made_by = versions(torch.device("cpu"))  # before the checkout goes on
    begin = time.process_time()
    if only_added:
        there, earlier = long_runs()
    else:
        there, earlier = {"scenes": scenes(begin), "pairs": pairs(begin)}, {}
    new, key = searched(begin), ["network", "heads", "rate", "correlation", "seed", "step"]
    _compare(there["pairs"], new, key)
    tables = {
        "scenes": there["scenes"],
        "pairs": pd.concat([there["pairs"], new]).drop_duplicates(key),  # the earlier row stays
        "twins": twins(begin),
    }
    provenance = {
        "command": "python benchmarks/experts.py" + " --added" * only_added,
        "optimizer": "Adam, 0.005 where no other rate is named",
        "batch_size": {"pairs": 128, "scenes": 64},
        **made_by,
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "cpu_seconds": round(time.process_time() - begin),
    }
    if only_added:
        added = "rates 0.0025, 0.01, 0.02 and 0.04 of all networks to 1,000 steps, and twins"
        provenance = {**earlier, "added": {"rows": added, **provenance}}
    parts = [f' "provenance": {json.dumps(provenance)}']
    for name, table in tables.items():
        found = table.astype(object).where(table.notna(), None)
        rows = ",\n".join("  " + json.dumps([_short(v) for v in row]) for row in found.values)
        parts.append(f' "{name}": {{"columns": {json.dumps(list(table))}, "rows": [\n{rows}\n ]}}')
    write_whole(LONG_RUNS, ("{\n" + ",\n".join(parts) + "\n}\n").encode())


def _compare(there: pd.DataFrame, new: pd.DataFrame, key: list[str]) -> None:
    """Say how far rows that were there differ from the same ones now."""
    both = there.merge(new, on=key, suffixes=("", "_now"))
    apart = (both["error"] / both["error_now"] - 1).abs().max()
    print(f"{len(both)} rows were there; errors differ by {apart:.1%} at most", flush=True)


def _short(value: object) -> object:
    return float(f"{value:.4g}") if isinstance(value, float) else value


if __name__ == "__main__":
    main()
