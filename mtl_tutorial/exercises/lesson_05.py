"""Exercises of lesson 05: a belief that listens, a network that errs by ear, and contrast."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from mtl_tutorial.exercises.core import (
    AnswerError,
    Exercise,
    Verdict,
    function,
    number,
    passes_gradients,
    solution_of,
)
from mtl_tutorial.widgets.modality_fader import MOST_IMAGE_NOISE, ModalityFader, a_digit

# Exercise 1: equal in a quarter of the scenes; the image says 8 with 0.4, 3 with 0.6; 8 is heard.
EIGHT, THREE = 0.4 * 0.25, 0.6 * 0.75 / 9

q1 = Exercise(
    name="Exercise 1",
    verdict=number(
        EIGHT / (EIGHT + THREE),
        tolerance=4e-3,
        mistakes={
            0.4 * 0.5 / (0.4 * 0.5 + 0.6 / 18): "Those are the factors of the lesson's scenes. "
            "How often do image and sound agree in these?",
            EIGHT: "Beliefs in all digits sum to 1. What does the belief in 3 become?",
            0.4: "That is what the image says alone. What does it say about a digit that it is "
            "heard?",
            0.25: "That is what the sound says alone. The network has seen something, too.",
            0.4 * 0.25 / (0.4 * 0.25 + 0.6 * 0.75): "If a 3 is seen, how likely is it that an 8 is "
            "heard, and none of the eight other digits?",
            0.4 * 0.25 / (0.4 * 0.25 + 0.6 * 0.75 / 10): "How many digits share the 0.75?",
            THREE / (EIGHT + THREE): "That is the belief in 3.",
        },
        otherwise="Two products, one for 8 and one for 3: what the image says, times how likely "
        "it is to hear an 8 then. What do you do with both?",
    ),
    praise="0.4 · 1/4 against 0.6 · 1/12: two to one for the 8, although the image says 3.",
    hints=(
        "If an 8 is seen, an 8 is heard in 1 scene of 4. And if a 3 is seen?",
        "If a 3 is seen, each of nine other digits is heard with probability 0.75 / 9.",
        "The product for 8 is 0.4 · 0.25. Make that for 3 likewise. Which part of both is for 8?",
    ),
    solution_code="eight, three = 0.4 * 0.25, 0.6 * 0.75 / 9\nanswer = eight / (eight + three)",
)


def _says_what_it_hears(fader: Any) -> str | None:
    if not isinstance(fader, ModalityFader):
        raise AnswerError(f"Hand in the fader itself: `fader`; yours is a {type(fader).__name__}.")
    fading, truth = fader.reaction.fading, fader.reaction.scene.truth
    said, seen = fader.reaction.answers["digit"][0], truth["digit"]
    heard = truth["sum"] - seen
    if fading.weights != "own":
        return "The network has to use its own weights here. Yours are put in their place."
    if fading.lost != "none":
        return "Give it both senses. What could it hear that leads it astray?"
    if heard == seen:
        return (
            f"{a_digit(seen)} is seen and heard: its answer can't tell which one it took. "
            "Choose “different digits”."
        )
    if said == heard:
        return None
    if said == seen:
        return f"It says {said}, and that is seen. " + (
            "Why should it listen, while it can see?"
            if fading.image_noise < MOST_IMAGE_NOISE
            else "Not every scene leads it astray: try others."
        )
    return f"Wrong, but not by ear: it says {said}. {a_digit(heard)} is heard. Try other scenes."


q2 = Exercise(
    name="Exercise 2",
    verdict=Verdict(_says_what_it_hears),
    praise="It can't see, so it bets that both digits are equal. Half of the time that bet wins; "
    "here it lost. What helps on average hurts in single scenes.",
    hints=(
        "Which sense has to be poor, so that the other one decides?",
        "Set both noises so, choose “different digits”, and go through scenes: about one in five "
        "will do.",
    ),
    solution_code="""
from mtl_tutorial.architectures import ConvEncoder, CrossModalAttention, FusionNetwork
from mtl_tutorial.data import dial_tones, load_digits, seen_and_heard
from mtl_tutorial.exercises.lesson_05 import q2
from mtl_tutorial.experiments import Run
from mtl_tutorial.widgets.modality_fader import Fading, ModalityFader

# A network like the lesson's; with the lesson's own fader, the last five lines are enough.
digits, sound = load_digits("train"), dial_tones("train")
scenes = seen_and_heard("train", digits=digits, sound=sound, image_noise=(0.0, 2.0))


def build():
    encoders = {"image": ConvEncoder(8, 64), "sound": ConvEncoder(8, 64, size=32)}
    return FusionNetwork(encoders, CrossModalAttention(64), scenes.tasks)


run = Run(build, scenes.tasks, scenes, seed=0, steps=100, learning_rate=3e-3)
list(run)
fader = ModalityFader(run.model, digits, sound)
fader.image_noise.value, fader.sound_noise.value = 2.0, 0.0
fader.scenes.value = "different"
while q2.verdict(fader):
    fader.button.click()
answer = fader""",
)


def _contrast(z_image, z_sound, temperature):
    z_image, z_sound = F.normalize(z_image, dim=1), F.normalize(z_sound, dim=1)
    logits = z_image @ z_sound.T / temperature
    pairs = torch.arange(len(logits))
    return (F.cross_entropy(logits, pairs) + F.cross_entropy(logits.T, pairs)) / 2


def _logits(z_image: Tensor, z_sound: Tensor, temperature: float) -> Tensor:
    return F.normalize(z_image, dim=1) @ F.normalize(z_sound, dim=1).T / temperature


def _both_ways(logits: Tensor, **how: Any) -> Tensor:
    pairs = torch.arange(len(logits))
    return (F.cross_entropy(logits, pairs, **how) + F.cross_entropy(logits.T, pairs, **how)) / 2


def _zeros(logits: Tensor) -> Tensor:
    return torch.zeros(len(logits), dtype=torch.long)


def _seeded(rows: int, columns: int, seed: int) -> tuple[Tensor, Tensor]:
    z = torch.randn(2, rows, columns, generator=torch.Generator().manual_seed(seed))
    return z[0], 2 * z[0] + 3 * z[1]


CONTRAST_CASES = [
    (torch.eye(2), torch.eye(2), 1.0),
    (*_seeded(5, 3, 0), 0.5),
    (*_seeded(4, 8, 1), 0.2),
]
CONTRAST_MISTAKES = (
    (
        lambda a, b, t: _both_ways(a @ b.T / t),
        "A longer embedding gets a larger logit in yours. What length has a z in the formula?",
    ),
    (
        lambda a, b, t: F.cross_entropy(_logits(a, b, t), torch.arange(len(a))),
        "In yours each image looks for its sound. Who looks for whom in the other half?",
    ),
    (
        lambda a, b, t: F.cross_entropy(_logits(a, b, t).T, torch.arange(len(a))),
        "In yours each sound looks for its image. Who looks for whom in the other half?",
    ),
    (
        lambda a, b, t: _both_ways(_logits(a, b, 1 / t)),
        "With a small τ, are the logits to be large or small? Look where τ stands.",
    ),
    (
        lambda a, b, t: _both_ways(_logits(a, b, math.exp(t))),
        "The temperature that you get is τ itself, not its logarithm.",
    ),
    (
        lambda a, b, t: _both_ways(_logits(a, b, 1.0)),
        "Yours gives the same at every τ.",
    ),
    (
        lambda a, b, t: (
            (
                F.cross_entropy(_logits(a, b, t), _zeros(a))
                + F.cross_entropy(_logits(a, b, t).T, _zeros(a))
            )
            / 2
        ),
        "In yours everybody looks for the same one, number 0. Which column belongs to row i?",
    ),
    (
        lambda a, b, t: (
            -(_logits(a, b, t).log_softmax(1).mean() + _logits(a, b, t).log_softmax(0).mean()) / 2
        ),
        "In yours every pair is as good as the right one. Which entries of S are the right ones?",
    ),
    (
        lambda a, b, t: -_logits(a, b, t).diagonal().mean(),
        "Yours only draws pairs together, and nothing apart. What is the right one compared with?",
    ),
    (
        lambda a, b, t: 2 * _both_ways(_logits(a, b, t)),
        "Yours adds both directions. The formula has their mean.",
    ),
    (
        lambda a, b, t: _both_ways(_logits(a, b, t), reduction="sum"),
        "Yours grows with the number of pairs. A cross-entropy is the mean over rows.",
    ),
    (
        lambda a, b, t: _both_ways(_logits(a, b, t).softmax(1)),
        "`F.cross_entropy` takes logits: there is a softmax in it already.",
    ),
    (
        lambda a, b, t: _both_ways(F.normalize(a, dim=0) @ F.normalize(b, dim=0).T / t),
        "Yours makes columns of length 1. An embedding is a row.",
    ),
    (
        lambda a, b, t: F.cross_entropy(_logits(a, b, t), torch.diag(_logits(a, b, t))),
        "The target is the number of the right column of each row, not what stands there.",
    ),
    (
        lambda a, b, t: _both_ways(F.normalize(a, dim=1) @ F.normalize(b, dim=1) / t),
        "S compares every image with every sound: B rows and B columns. How must the second sense "
        "be turned for that?",
    ),
    (
        lambda a, b, t: F.cross_entropy(_logits(a, b, t), torch.arange(a.shape[1])),
        "A target for each row of S: how many rows has it?",
    ),
)

q3 = Exercise(
    name="Exercise 3",
    verdict=function(
        _contrast,
        CONTRAST_CASES,
        returns="the loss",
        tolerance=1e-4,
        mistakes=CONTRAST_MISTAKES,
        otherwise=lambda given: (
            "Two pairs, each the same in both senses and at right angles to the other, τ = 1: S is "
            f"the unit matrix, and the loss is log(1 + 1/e) = 0.313. Yours gives {given[0]:.3f}."
            if abs(given[0] - 0.3133) > 1e-3
            else "Right where every embedding has length 1 and τ is 1, and only there. What "
            "changes with the lengths, and what with τ?"
        ),
        then=passes_gradients(
            _contrast,
            CONTRAST_CASES[1:2],
            "The loss is right, but no gradient of it, or another one, reaches the embeddings. "
            "What cuts it off: detach, item, a new tensor?",
        ),
    ),
    praise="Normalise, compare, divide by τ, and let rows and columns look for the diagonal.",
    hints=(
        "Write S first. Of what length is each row of z_image and z_sound before they are "
        "compared?",
        "S has one row an image: `z_image @ z_sound.T / temperature`. The sounds look along the "
        "columns, the rows of `S.T`.",
        "The right column of row i is i: `torch.arange(len(S))` is the target of "
        "`F.cross_entropy`, both times.",
    ),
    solution_code=solution_of(_contrast, "import torch\nfrom torch.nn import functional as F"),
)
