"""What each data set asks: its tasks, known without loading a digit."""

from __future__ import annotations

from torch.nn import functional as F

from mtl_tutorial.tasks import Task, accuracy, mean_iou, pixel_cross_entropy, pixel_iou

DIGIT = Task("digit", F.cross_entropy, accuracy, 10)
BOX = Task("box", F.mse_loss, mean_iou, 4)
LEFT = Task("left", F.cross_entropy, accuracy, 10)
RIGHT = Task("right", F.cross_entropy, accuracy, 10)
SPEAKER = Task("speaker", F.cross_entropy, accuracy, 6)
MATCH = Task("match", F.cross_entropy, accuracy, 2)
SUM = Task("sum", F.cross_entropy, accuracy, 19)


def mask_task(size: int) -> Task:
    """The task that marks every pixel of a ``size`` x ``size`` image as ink or not."""
    return Task("mask", pixel_cross_entropy, pixel_iou, size * size)


TASKS: dict[str, tuple[Task, ...]] = {  # by the name of the function that makes the scenes
    "located_digits": (DIGIT, BOX, mask_task(28)),  # at the size that it has where none is named
    "untouched_digits": (DIGIT, BOX),
    "two_digits": (LEFT, RIGHT),
    "seen_and_heard": (DIGIT, SPEAKER, MATCH, SUM),
}
