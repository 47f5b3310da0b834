"""Questions in a tiny grammar about a digit that is seen and a digit that is heard."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from mtl_tutorial.data.digits import Digits, load_small_digits
from mtl_tutorial.data.scenes import Scenes, is_ink, tight_boxes, uniform, with_noise
from mtl_tutorial.data.sound import log_mel
from mtl_tutorial.data.tones import dial_tones
from mtl_tutorial.profiles import check_choice
from mtl_tutorial.tasks import NO_LABEL, Batch, Task, accuracy, mean_iou

SIDE, DIGIT_SIDE, COLUMNS = 16, 8, 8
GRID = 4  # pixels between two places where a digit may stand
PLACES = 7  # words in the longest question
COUNTING = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
THRESHOLDS = tuple(range(2, 8))
WORDS = (
    "·",  # stands in every place that a question leaves empty
    *("which", "is", "are", "where", "even", "larger", "than", "the", "same"),
    *("seen", "heard", "plus", "and"),
    *(COUNTING[number] for number in THRESHOLDS),
    "spare",  # a word that no question has: what it means can be learned later
)
ANSWERS = (*(str(number) for number in range(19)), "yes", "no")
YES, NO = ANSWERS.index("yes"), ANSWERS.index("no")
SUBJECTS = ("seen", "heard", "seen plus heard")
NOISE = 0.1  # of pixels and of the spectrogram, standard deviation


def box_loss(prediction: Tensor, target: Tensor) -> Tensor:
    """Ten times the mean squared error, so that it counts beside cross-entropies of about 1."""
    return 10 * F.mse_loss(prediction, target)


KINDS = (
    *(
        Task(name, F.cross_entropy, accuracy, len(ANSWERS))
        for name in ("which", "even", "larger", "same")
    ),
    Task("where", box_loss, mean_iou, 4, kind="regression"),
)


class Question(NamedTuple):
    """A sentence of the grammar, and what it means.

    Args:
        text: its words, with spaces between.
        kind: the name of its task.
        subject: one of `SUBJECTS`.
        threshold: of "larger than", otherwise 0.
    """

    text: str
    kind: str
    subject: str
    threshold: int = 0

    def value(self, seen: Tensor, heard: Tensor) -> Tensor:
        """The number that the question is about."""
        return {"seen": seen, "heard": heard}.get(self.subject, seen + heard)

    def answer(self, seen: Tensor, heard: Tensor) -> Tensor:
        """The number of the right word in `ANSWERS`, for digits of shape ``(B,)``."""
        value = self.value(seen, heard)
        if self.kind == "which":
            return value
        if self.kind == "where":
            return torch.full_like(seen, NO_LABEL)
        true = {
            "even": value % 2 == 0,
            "larger": value > self.threshold,
            "same": seen == heard,
        }[self.kind]
        return torch.where(true, YES, NO)


def _all_questions() -> tuple[Question, ...]:
    which = [Question(f"which is {s}", "which", s) for s in SUBJECTS]
    even = [Question(f"is {s} even", "even", s) for s in SUBJECTS]
    larger = [
        Question(f"is {s} larger than {COUNTING[k]}", "larger", s, k)
        for s in SUBJECTS
        for k in THRESHOLDS
    ]
    same = Question("are seen and heard the same", "same", "seen plus heard")
    return (*which, *even, *larger, same, Question("where is seen", "where", "seen"))


QUESTIONS = _all_questions()
HELD_OUT = tuple(  # every word of them is in other questions, and so is every pair but one
    question
    for question in QUESTIONS
    if question.text
    in (
        "is heard even",
        "is seen larger than four",
        "is heard larger than three",
        "is seen plus heard larger than six",
    )
)
TRAINED = tuple(question for question in QUESTIONS if question not in HELD_OUT)


def find(text: str) -> Question:
    """Give the question with these words.

    Raises:
        ValueError: where the grammar has none.
    """
    known = {question.text: question for question in QUESTIONS}
    return known[check_choice("question", " ".join(text.replace("?", " ").split()), known)]


def tokenize(text: str) -> list[int]:
    """Give the numbers of a question's words in `WORDS`, and 0 for each of the places left over.

    Raises:
        ValueError: for a word that is not in `WORDS`, or too many of them.
    """
    words = text.split()
    if len(words) > PLACES:
        raise ValueError(f"a question must have at most {PLACES} words, got {len(words)}: {text!r}")
    numbers = [WORDS.index(check_choice("word", word, WORDS)) for word in words]
    return numbers + [0] * (PLACES - len(words))


def allowed_answers(questions: Sequence[Question] = QUESTIONS) -> Tensor:
    """Which words can be right, bool, ``(Q, len(ANSWERS))``; none for a box."""
    seen, heard = torch.cartesian_prod(torch.arange(10), torch.arange(10)).T
    rows = torch.zeros(len(questions), len(ANSWERS), dtype=torch.bool)
    for row, question in zip(rows, questions, strict=True):
        if question.kind != "where":
            row[question.answer(seen, heard)] = True
    return rows


@dataclass(frozen=True, eq=False)
class _Asked:
    digits: Digits
    framed: Tensor  # each digit in the middle of paper, so that any window can be cut, (N, 24, 24)
    columns: Tensor  # (10, speakers, takes, 32, COLUMNS)
    questions: tuple[Question, ...]
    chances: Tensor
    matching: float

    def __call__(self, index: Tensor, generator: Generator) -> Batch:
        _digits, speakers, takes, *_ = self.columns.shape
        seen, device = self.digits.labels[index], index.device
        coin, shift, who, take, x, y, asked = uniform((7, len(index)), generator, device)
        shift = torch.where(coin < self.matching, 0, 1 + (9 * shift).long())
        heard = (seen + shift) % 10
        sound = self.columns[heard, (speakers * who).long(), (takes * take).long()]
        clean = self.cut(index, x, y)
        number = torch.bucketize(asked, self.chances.cumsum(0)[:-1], right=True)
        inputs = {
            "image": with_noise(clean[:, None], NOISE, generator).clamp_(0, 1),
            "sound": with_noise(sound[:, None], NOISE, generator),
            "question": torch.tensor([tokenize(q.text) for q in self.questions])[number],
            "number": torch.tensor([QUESTIONS.index(q) for q in self.questions])[number],
            "seen": seen,
            "heard": heard,
        }
        return Batch(inputs, self.targets(number, seen, heard, clean))

    def cut(self, index: Tensor, x: Tensor, y: Tensor) -> Tensor:
        """Put each digit at a place of its own; x and y from 0 to 1."""
        spare = SIDE - DIGIT_SIDE
        stops = spare // GRID + 1
        start_x, start_y = (spare - GRID * (stops * at).long() for at in (x, y))
        along = torch.arange(SIDE)
        rows, columns = start_y[:, None] + along, start_x[:, None] + along
        return self.framed[index[:, None, None], rows[:, :, None], columns[:, None]]

    def targets(self, number: Tensor, seen: Tensor, heard: Tensor, clean: Tensor) -> dict:
        answers = torch.stack([q.answer(seen, heard) for q in self.questions])
        words = answers.gather(0, number[None])[0]
        kinds = [kind.name for kind in KINDS]
        kind = torch.tensor([kinds.index(q.kind) for q in self.questions])[number]
        targets = {
            name: torch.where(kind == k, words, NO_LABEL) for k, name in enumerate(kinds[:-1])
        }
        box = tight_boxes(is_ink(clean)) / SIDE
        targets["where"] = box.masked_fill((kind != len(kinds) - 1)[:, None], torch.nan)
        return {name: target for name, target in targets.items() if _some(target)}


def _some(target: Tensor) -> bool:
    there = ~target.isnan() if target.is_floating_point() else target != NO_LABEL
    return bool(there.any())


def asked_scenes(
    split: str,
    questions: Sequence[Question] = TRAINED,
    *,
    digits: Digits | None = None,
    matching: float = 0.3,
    kind_chances: Callable[[str], float] = lambda kind: 1.0,
) -> Scenes:
    """Scenes of a digit that is seen, a digit that is heard, and one question about them.

    Inputs: ``image`` ``(B, 1, 16, 16)``, 0 to 1; ``sound`` ``(B, 1, 32, 8)``, a log-mel
    spectrogram whose 8 columns are means over four of 32; ``question`` ``(B, 7)``, words by
    number; ``number`` ``(B,)``, the question's place in `QUESTIONS`. What is right, ``seen`` and
    ``heard``, stands there too, for those who choose scenes; no network reads it.

    Tasks are the `KINDS`: each example has a label of one of them. First a kind is drawn, then
    one of its questions.

    Args:
        split: ``"train"``, ``"validation"`` or ``"test"``; no digit and no sound is in two.
        questions: those that are asked.
        digits: of this split, 8 x 8; left out, those that come with scikit-learn.
        matching: probability that the sound says what the image shows.
        kind_chances: how often a kind is drawn, in any unit, by its name.

    Raises:
        ValueError: for an unknown split, no question, digits of another size, no chance of any
            kind, or a probability that is none.
    """
    if not questions:
        raise ValueError("questions must be at least one")
    if not 0 <= matching <= 1:
        raise ValueError(f"matching must be from 0 to 1, got {matching}")
    if digits is None:
        pixels, labels = load_small_digits(split)
        images = (pixels[:, None] * (255 / 16)).round().to(torch.uint8)
        digits = Digits(images, labels.long(), split)
    if digits.images.shape[1:] != (1, DIGIT_SIDE, DIGIT_SIDE):
        raise ValueError(
            f"digits must be {DIGIT_SIDE} x {DIGIT_SIDE} pixels with one channel, got images of "
            f"shape {tuple(digits.images.shape)}"
        )
    spare = SIDE - DIGIT_SIDE
    framed = F.pad(digits.images[:, 0].float() / 255, (spare,) * 4)
    waves = dial_tones(split).waves
    columns = log_mel(waves.flatten(0, 2))[:, 0].unflatten(2, (COLUMNS, -1)).mean(-1)
    kinds = [q.kind for q in questions]
    chances = torch.tensor([kind_chances(kind) / kinds.count(kind) for kind in kinds])
    if (chances < 0).any() or not 0 < chances.sum() < torch.inf:
        raise ValueError("kind_chances must be at least 0, and more than 0 for one of the kinds")
    compose = _Asked(
        digits,
        framed,
        columns.unflatten(0, waves.shape[:3]),
        tuple(questions),
        chances / chances.sum(),
        matching,
    )
    asked = [kind for kind in KINDS if kind.name in kinds]
    return Scenes(tuple(asked), digits, compose)
