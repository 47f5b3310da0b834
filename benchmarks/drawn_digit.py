"""Trains the network that answers to drawn digits, and packs it into the page's file.

python benchmarks/drawn_digit.py [--digits mnist] [--steps 6000]
"""

from __future__ import annotations

import argparse
import json

import torch

from mtl_tutorial.architectures import ConvEncoder, HardSharing
from mtl_tutorial.balancing import FixedWeights
from mtl_tutorial.data import located_digits
from mtl_tutorial.experiments import seeded, train
from mtl_tutorial.widgets.draw_a_digit import TASKS, TRAINED, packed


def main() -> None:
    """Train, print the scores, and write the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--digits", default="mnist")
    parser.add_argument("--steps", type=int, default=8000)
    choice = parser.parse_args()
    torch.set_num_threads(1)
    scenes = located_digits("train", digits=choice.digits)
    with seeded(1) as generator:
        unseen = located_digits("validation", digits=choice.digits).draw(2000, generator)
    assert tuple(task.name for task in scenes.tasks) == TASKS
    model, history = train(
        lambda: HardSharing(ConvEncoder(width=8), scenes.tasks),
        scenes.tasks,
        scenes,
        unseen,
        seed=0,
        steps=choice.steps,
        batch_size=128,
        learning_rate=3e-3,
        balancer=FixedWeights({"digit": 1, "box": 20, "mask": 10}),
    )
    scores = {name: round(score.metric, 3) for name, score in history.scores[-1][1].items()}
    print(scores)
    made = {"digits": choice.digits, "steps": choice.steps, "validation": scores}
    text = json.dumps({**packed(model), "made": made})
    TRAINED.write_text(text + "\n", encoding="utf-8")
    print(f"{TRAINED}: {len(text) / 1000:.0f} kB")


if __name__ == "__main__":
    main()
