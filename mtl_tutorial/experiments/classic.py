"""The training run of the document that this course starts from, watched epoch by epoch."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pandas as pd
import torch
from torch import nn

from mtl_tutorial.architectures import ClassicEncoder, HardSharing
from mtl_tutorial.data import Scenes, untouched_digits
from mtl_tutorial.experiments.runs import Run
from mtl_tutorial.measuring import evaluate, evaluation_mode
from mtl_tutorial.places import RESULTS
from mtl_tutorial.tasks import Batch, Task, task_losses

BATCH_SIZE = 64
PROBE = 128  # scenes on which curvature is measured
FILE = RESULTS / "classic_encoder.json"
ENCODERS: dict[str, Callable[[], nn.Module]] = {
    "as printed": ClassicEncoder,
    "two more ReLUs": lambda: ClassicEncoder(relu_everywhere=True),
}


def curvature(model: nn.Module, task: Task, batch: Batch) -> float:
    """Give gᵀHg / gᵀg: how fast a task's loss L bends along its own gradient g.

    A step of -η g lowers the quadratic that fits L there only where η · gᵀHg / gᵀg is below 2. It
    is measured in evaluation mode, over all parameters that L reaches; 0 where g is 0.
    """
    with evaluation_mode(model), torch.enable_grad():
        (loss,) = task_losses(model(batch.inputs), batch.targets, [task]).values()
        held = [p for p in model.parameters() if p.requires_grad]
        found = torch.autograd.grad(loss, held, create_graph=True, allow_unused=True)
        pairs = [(p, g) for p, g in zip(held, found, strict=True) if g is not None]
        along = torch.stack([(g * g.detach()).sum() for _, g in pairs]).sum()
        bent = torch.autograd.grad(along, [p for p, _ in pairs], allow_unused=True)
    parts = [(g.detach(), h) for (_, g), h in zip(pairs, bent, strict=True) if h is not None]
    product = sum((g * h).sum().item() for g, h in parts)
    squares = sum(g.detach().square().sum().item() for _, g in pairs)
    return product / squares if squares else 0.0


def classic_epochs(
    encoder: str,
    seed: int,
    rate: float,
    epochs: int,
    *,
    tasks: Sequence[str] = ("digit", "box"),
    scenes: Scenes | None = None,
    exam: Batch | None = None,
) -> Iterator[dict[str, Any]]:
    """Train as the document does: SGD, batches of 64, weights 1 and 1, one item an epoch.

    Args:
        encoder: ``"as printed"`` or ``"two more ReLUs"``.
        rate: of SGD; the document's is 0.01.
        tasks: names of those that it learns; the document's are both.
        scenes, exam: left out, the embedded digits as they are, and all of their validation split.

    Yields:
        ``tasks``, ``encoder``, ``rate``, ``seed`` and ``epoch``, each task's validation metric
        after it under the task's name, and the ``curvature`` of the box loss.
    """
    scenes = scenes or untouched_digits("train")
    if exam is None:
        unseen = untouched_digits("validation")
        exam = next(unseen.epoch(len(unseen), torch.Generator().manual_seed(0)))
    probe = scenes.draw(PROBE, torch.Generator().manual_seed(1))
    learned = [task for task in scenes.tasks if task.name in tasks]
    box = next(task for task in learned if task.name == "box")
    run = Run(
        lambda: HardSharing(ENCODERS[encoder](), learned),
        learned,
        scenes,
        seed=seed,
        steps=0,
        optimizer=lambda model: torch.optim.SGD(model.parameters(), lr=rate),
    )
    for epoch in range(1, epochs + 1):
        for _ in run.over(scenes.epoch(BATCH_SIZE, run.generator), len(scenes)):
            pass
        scores = evaluate(run.model, learned, exam)
        yield {
            **{"tasks": " and ".join(tasks), "encoder": encoder, "rate": rate},
            **{"seed": seed, "epoch": epoch},
            **{name: score.metric for name, score in scores.items()},
            "curvature": curvature(run.model, box, probe),
        }


def committed_epochs() -> tuple[pd.DataFrame, str]:
    """Read the runs that come with the course, made by ``benchmarks/classic_encoder.py``.

    Returns:
        A table with the columns of `classic_epochs`, and a line that says what made it.
    """
    found = json.loads(FILE.read_text(encoding="utf-8"))
    made = found["provenance"]
    words = f"torch {made['torch']}, {made['device']}, commit {made['commit']}, {made['date']}"
    return pd.DataFrame(found["epochs"]), words


def settings(epochs: pd.DataFrame) -> pd.Series:
    """Say of each row what its run does otherwise than the document's; ``"as above"``: nothing.

    Args:
        epochs: as `committed_epochs` gives them.
    """
    named = epochs["encoder"].replace("as printed", "as above")
    named = named.where(epochs["rate"] == 0.01, "half the rate")
    return named.mask(epochs["tasks"] == "box", "box alone")


def breakdowns(epochs: pd.DataFrame, *, below: float = 0.4, first: int = 5) -> pd.DataFrame:
    """Give for every run when its box breaks down, and rate × curvature since.

    Args:
        epochs: as `committed_epochs` gives them, with a column ``run`` that names the setting.
        below: the box has broken down where its metric is below this.
        first: the epoch from which that counts; before, the box is still to be learned.

    Returns:
        A row a run and seed; columns ``breaks in epoch``, and ``ηc since``, the mean of rate ×
        curvature from that epoch on. Both are NaN without a breakdown.
    """
    rows = {}
    for place, run in epochs.sort_values("epoch").groupby(["run", "seed"]):
        product, box, epoch = run["rate"] * run["curvature"], run["box"], run["epoch"]
        breaks = epoch[(epoch >= first) & (box < below)].min()
        rows[place] = breaks, product[epoch >= breaks].mean()
    table = pd.DataFrame.from_dict(rows, "index", columns=["breaks in epoch", "ηc since"])
    table.index = pd.MultiIndex.from_tuples(rows, names=["run", "seed"])
    return table
