"""The map of the course: what README, site and JupyterLab show of each lesson, from one source."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from mtl_tutorial.commands.lessons import lessons, no_notebook, parse

# By lesson: what it is about, the question that it answers, and its widget.
QUESTIONS = {
    "00_start_here": (
        "Begin",
        "What is multi-task learning, what will I be able to do, does my machine work?",
        "scene sampler",
    ),
    "01_two_tasks_one_image": (
        "Begin",
        "What is a task? How good is one network per task?",
        "single-task trainer with predicted and true boxes",
    ),
    "02_hard_sharing": (
        "Share",
        "One encoder, many heads: what does the loss weight do?",
        "loss-weight tuner: turn the weights while it trains",
    ),
    "03_cross_stitch": (
        "Share",
        "Can the network learn how much to share?",
        "cross-stitch mixer: override the units, see both tasks react",
    ),
    "04_attention_fusion": (
        "Share",
        "Which features matter for which task?",
        "attention-mask viewer: lend a task the masks of another",
    ),
    "05_multimodal_fusion": (
        "Share",
        "Image and sound: fuse them, align them, survive losing one",
        "modality fader: corrupt a sense, override the attention, hear it",
    ),
    "06_loss_weighting": (
        "Balance",
        "Units and noise: why are equal weights arbitrary?",
        "uncertainty bowl; loss-scale mixer",
    ),
    "07_gradnorm": (
        "Balance",
        "Can weights follow training speed?",
        "GradNorm stepper: why did this weight move?",
    ),
    "08_pcgrad": (
        "Balance",
        "When do tasks pull apart, and what does surgery do?",
        "gradient compass; landscape race",
    ),
    "09_transfer_and_meta": (
        "Compare",
        "How does it relate to transfer and meta-learning?",
        "relatedness lab: when does joint training hurt?",
    ),
    "10_pareto_and_zoo": (
        "Compare",
        "What is a trade-off? More balancers, and do they help at all?",
        "Pareto explorer: bend a front, and see what no weight finds",
    ),
    "11_full_runs": (
        "Compare",
        "What holds at full scale, over seeds?",
        "training flight recorder: a run, layer by layer and epoch by epoch",
    ),
    "12_few_labels": (
        "Widen",
        "When does sharing pay? Few labels, missing labels, helper tasks",
        "label dial: what a helper is worth, in labels",
    ),
    "13_experts": (
        "Widen",
        "Many experts, one gate a task: does it bend where one trunk breaks?",
        "gate viewer: drag the relatedness or the example; see gates and experts",
    ),
    "14_one_network_any_question": (
        "Widen",
        "One network that is asked in words: what is gained on the way to general systems?",
        "ask the network: a digit seen, a digit heard, a question in words",
    ),
}
MINUTES = re.compile(
    r"(\d+) minutes to read.*\s(\d+) minutes for the exercises.*\s(\d+) seconds", re.DOTALL
)


class Lesson(NamedTuple):
    """A lesson on the map.

    Attributes:
        path: of its notebook.
        title: its heading.
        part: of the course: Begin, Share, Balance or Compare.
        question: that it answers.
        widget: what is moved in it.
        minutes: to read and play.
        exercises: minutes for the exercises.
        seconds: to run it all in the quick profile.
    """

    path: Path
    title: str
    part: str
    question: str
    widget: str
    minutes: int
    exercises: int
    seconds: int

    @property
    def name(self) -> str:
        """Its file without the ending, such as ``02_hard_sharing``."""
        return self.path.stem

    @property
    def short_title(self) -> str:
        """Its number and its title up to the colon."""
        return f"{self.name[:2]} {self.title.partition(':')[0]}"


def course(folder: Path | None = None) -> list[Lesson]:
    """Give the lessons in their order, with what the map says of each.

    Args:
        folder: where they lie, if not in ``notebooks`` of the checkout.

    Raises:
        UsageError: where there are none, or one can't be read.
    """
    return [_lesson(path) for path in lessons(folder)]


def _lesson(path: Path) -> Lesson:
    try:
        cells = parse(path.read_text(encoding="utf-8")).cells
    except (OSError, ValueError) as error:
        raise no_notebook(path, error) from error
    first = cells[0].source if cells else ""
    title, minutes = re.search(r"^# (.+)", first, re.MULTILINE), MINUTES.search(first)
    return Lesson(
        path,
        title[1].strip() if title else path.stem[3:].replace("_", " "),
        *QUESTIONS.get(path.stem, ("More", "", "")),
        *(map(int, minutes.groups()) if minutes else (0, 0, 0)),
    )


def rows(lessons: Iterable[Lesson]) -> list[str]:
    """Give the lines of the README's table of lessons."""
    return [
        f"| [`{one.name}`](notebooks/{one.path.name}) | {one.question} | {one.widget} "
        f"| {one.minutes} + {one.exercises} | {one.seconds} |"
        for one in lessons
    ]
