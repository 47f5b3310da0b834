"""MTAN and its rivals of lesson 04, trained for eight times as long as the lesson trains them.

python benchmarks/longer_masks.py

Writes results/longer_masks.json: for each seed and number of steps, the metrics of every rival, and
how much more the masks of two tasks differ than those of one task that is asked twice, and than
masks of one question differ by chance. It takes about ten minutes on one core.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import torch
from torch import nn

from mtl_tutorial.architectures import MTAN, HardSharing, VGGEncoder
from mtl_tutorial.balancing import FixedWeights
from mtl_tutorial.data import Scenes, located_digits
from mtl_tutorial.experiments import Run
from mtl_tutorial.experiments.execute import versions
from mtl_tutorial.experiments.masks import (
    FOUR,
    LONG_RUNS,
    WEIGHTS,
    FlatMasks,
    chance,
    excess,
    four_times,
    mask_differences,
    with_twin,
)
from mtl_tutorial.measuring import count_operations, evaluate, evaluation_mode
from mtl_tutorial.tasks import Batch, Task
from mtl_tutorial.writing import write_whole

CHANNELS, WIDER = (8, 8, 16), (8, 8, 17)
STEPS, BATCH_SIZE, SEEDS = (80, 160, 320, 640), 32, range(6)
COLUMNS = ["setting", "seed", "steps", "name", "value"]


def models_of(
    build: Callable[[], nn.Module], scenes: Scenes, seed: int, ratio: float
) -> Iterator[tuple[int, nn.Module]]:
    """One run, at some numbers of steps, each ``ratio`` times what is told."""
    told = {round(ratio * steps): steps for steps in STEPS}
    run = Run(
        build,
        scenes.tasks,
        scenes,
        seed=seed,
        steps=max(told),
        batch_size=BATCH_SIZE,
        balancer=FixedWeights({task.name: WEIGHTS[task.name] for task in scenes.tasks}),
    )
    for record in run:
        if record.step in told:
            yield told[record.step], run.model


@torch.no_grad()
def excesses(model: MTAN, exam: Batch, *, one_question: bool) -> Iterator[tuple[str, float]]:
    """By block; where all tasks are one question, the largest that came about by chance."""
    with evaluation_mode(model):
        masks = model.masks(exam.inputs)
    if one_question:
        blocks = chance(masks).groupby("block")["value"].agg(lambda values: values.abs().max())
    else:
        blocks = excess(mask_differences(masks).assign(seed=0)).loc[0]
    yield from ((f"block {block}", value) for block, value in blocks.items())


def rows_of(seed: int, scenes: Scenes, exam: Batch) -> Iterator[list]:
    def mtan(tasks: Sequence[Task] = scenes.tasks) -> MTAN:
        return MTAN(VGGEncoder(CHANNELS), tasks)

    def flat() -> MTAN:
        return FlatMasks(VGGEncoder(CHANNELS), scenes.tasks)

    def hard(tasks: Sequence[Task] = scenes.tasks) -> HardSharing:
        return HardSharing(VGGEncoder(WIDER), tasks)

    questions = [task for task in scenes.tasks if task.name != "twin"]  # a control costs nothing
    image = torch.zeros(1, 1, 28, 28)
    work = [count_operations(build(questions), image, backward=True) for build in (mtan, hard)]
    plans: list = [("MTAN", mtan, scenes, 1.0), ("flat masks", flat, scenes, 1.0)]
    plans.append(("one question", lambda: mtan(FOUR), four_times(scenes), 1.0))
    plans.append(("hard sharing", hard, scenes, 1.0))
    plans.append(("hard sharing, ½ work", hard, scenes, work[0] / work[1] / 2))
    for task in questions:
        alone = lambda task=task: HardSharing(VGGEncoder(CHANNELS), [task])  # noqa: E731
        plans.append(("three networks", alone, replace(scenes, tasks=(task,)), 1.0))
    for setting, build, asked, ratio in plans:
        for steps, model in models_of(build, asked, seed, ratio):
            if setting != "one question":
                for name, score in evaluate(model, asked.tasks, exam).items():
                    if name != "twin":
                        yield [setting, seed, steps, name, round(score.metric, 4)]
            if setting in ("MTAN", "one question"):
                for name, value in excesses(model, exam, one_question=setting != "MTAN"):
                    yield [setting, seed, steps, name, round(value, 4)]


def main() -> None:
    torch.set_num_threads(1)
    made_by = versions(torch.device("cpu"))  # before the checkout goes on
    scenes = with_twin(located_digits("train"))
    exam = with_twin(located_digits("validation")).draw(384, torch.Generator().manual_seed(100))
    begin, rows = time.process_time(), []
    for seed in SEEDS:
        rows += rows_of(seed, scenes, exam)
        print(f"seed {seed}: {time.process_time() - begin:.0f} s", flush=True)
    provenance = {
        "command": "python benchmarks/longer_masks.py",
        "digits": "embedded",
        "batch_size": BATCH_SIZE,
        **made_by,
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "cpu_seconds": round(time.process_time() - begin),
    }
    head = json.dumps({"provenance": provenance, "columns": COLUMNS}, indent=1, ensure_ascii=False)
    table = ",\n".join("  " + json.dumps(row, ensure_ascii=False) for row in rows)
    write_whole(LONG_RUNS, f'{head[:-2]},\n "rows": [\n{table}\n ]\n}}\n'.encode())


if __name__ == "__main__":
    main()
