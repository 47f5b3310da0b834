"""Ask the network: a digit that is seen, one that is heard, and a question in words."""

from __future__ import annotations

import base64
import functools
import json
from pathlib import Path
from typing import Any

import torch
import traitlets

from mtl_tutorial.architectures.transformer import AskedNetwork
from mtl_tutorial.data.digits import load_small_digits
from mtl_tutorial.data.grammar import (
    COLUMNS,
    DIGIT_SIDE,
    HELD_OUT,
    PLACES,
    QUESTIONS,
    SIDE,
    WORDS,
    tokenize,
)
from mtl_tutorial.data.sound import log_mel
from mtl_tutorial.data.tones import HUMS, dial_tones, tone_pair
from mtl_tutorial.experiments.asked import page_weights
from mtl_tutorial.web import FOLDER
from mtl_tutorial.widgets.explorable import Explorable, Fixed, Number, Numbers, check_point

TRAINED = FOLDER / "asked_network.json"
TAKES = 3  # handwritings of each digit, and phones


class Asked(traitlets.Unicode):
    """A question in words that the network knows."""

    def validate(self, obj: Any, value: Any) -> str:
        """Give it back, in small letters, with one space between words and no question mark.

        Raises:
            TraitError: where it has no word, too many, or one that the network does not know.
        """
        words = str(value).lower().replace("?", " ").split()
        try:
            if WORDS[0] in words:
                raise ValueError(f"{WORDS[0]!r} stands for no word; got {value!r}")
            if not any(tokenize(" ".join(words))):
                raise ValueError(f"a question must have at least 1 word, got {value!r}")
        except ValueError as error:
            raise traitlets.TraitError(str(error)) from None
        return " ".join(words)


class Drawing(traitlets.List):
    """Lines of points, in pixels of a digit."""

    def validate(self, obj: Any, value: Any) -> list[list[list[float]]]:
        """Give them back as lists.

        Raises:
            TraitError: where a point is none, or a stroke has no point.
        """
        if not all(value):
            raise traitlets.TraitError("a stroke must have at least 1 point, got []")
        return [
            [check_point(f"a point of stroke {i}", point, 0, DIGIT_SIDE) for point in stroke]
            for i, stroke in enumerate(value, 1)
        ]


@functools.cache
def shown_scenes() -> dict[str, Any]:
    """Give what the page shows and plays: images and sounds that no network has been trained on.

    ``images`` and ``sounds`` hold `TAKES` of each digit, in base64: 64 pixels, 0 to 255; and a
    spectrogram, 32 x 8, S as 100 (S + 1). ``tones`` are the frequencies of each key and ``hums``
    those of the phones, in hertz; ``questions`` those of the grammar, ``held_out`` those of them
    that are never asked in training.
    """
    pixels, labels = load_small_digits("validation")
    images = (pixels.flatten(1) * (255 / 16)).round()
    waves = dial_tones("validation").waves
    heard = torch.stack([waves[:, 2 * take, take] for take in range(TAKES)], dim=1)
    spectrograms = log_mel(heard.flatten(0, 1))[:, 0].unflatten(2, (COLUMNS, -1)).mean(-1)
    sounds = (100 * (spectrograms + 1)).round().clamp(0, 255).flatten(1).unflatten(0, (10, TAKES))
    return {
        "images": [
            [_in_letters(image) for image in images[labels == digit][:TAKES]] for digit in range(10)
        ],
        "sounds": [[_in_letters(sound) for sound in takes] for takes in sounds],
        "tones": [list(tone_pair(digit)) for digit in range(10)],
        "hums": [HUMS[2 * take] for take in range(TAKES)],
        "questions": [question.text for question in QUESTIONS],
        "held_out": [question.text for question in HELD_OUT],
    }


def _in_letters(numbers: torch.Tensor) -> str:
    return base64.b64encode(numbers.to(torch.uint8).numpy().tobytes()).decode()


class AskTheNetwork(Explorable):
    """Pick or draw what is seen, pick what is heard, and ask in words; a transformer answers.

    Args:
        model: an `asked_network`; left out, the one that comes with the course.
        state: any of the traits to begin with: ``question``; the digits ``seen`` and ``heard``;
            ``take``, which handwriting and which phone; ``place`` of the digit, its left and upper
            end in pixels; ``strokes`` of a drawing, in pixels of a digit; ``word``, whose look is
            shown, 0 for the answer's; ``block``, in which it looks, the last where there are fewer.

    Raises:
        TraitError: for a state that can't be.
    """

    module = "ask_the_network"
    question = Asked("which is seen plus heard").tag(sync=True)
    seen, heard = Number("seen", 7, 0, 9), Number("heard", 5, 0, 9)
    take = Number("take", 0, 0, TAKES - 1)
    place = Numbers("place", 2, 0, SIDE - DIGIT_SIDE, default=(4, 4))
    strokes = Drawing([]).tag(sync=True)
    word = Number("word", 0, 0, PLACES)
    block = Number("block", 2, 1, 12)
    network, scenes = Fixed(), Fixed()

    def __init__(
        self, model: AskedNetwork | None = None, *, trained: Path = TRAINED, **state: Any
    ) -> None:
        parts = (
            {"network": page_weights(model), "scenes": shown_scenes()}
            if model
            else self.from_files(trained)
        )
        super().__init__(**parts, **state)

    @classmethod
    def from_files(cls, trained: Path = TRAINED) -> dict[str, Any]:
        """Give the network that comes with the course, and the scenes of the page."""
        network = json.loads(trained.read_text(encoding="utf-8"))
        return {"network": network, "scenes": shown_scenes()}
