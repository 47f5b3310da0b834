"""Each plausible wrong answer in lesson 05 gets the hint that fits it."""

from __future__ import annotations

import pytest
import torch
from exercise_answers import told, wrong_answer_tests
from torch.nn import functional as F

from mtl_tutorial.architectures import (
    ConvEncoder,
    CrossModalAttention,
    FusionNetwork,
    contrastive_loss,
)
from mtl_tutorial.data import dial_tones, load_digits
from mtl_tutorial.data.questions import TASKS
from mtl_tutorial.exercises.lesson_05 import q1, q2, q3
from mtl_tutorial.experiments import seeded
from mtl_tutorial.widgets.modality_fader import Fading, ModalityFader

ALL = {"q1": q1, "q2": q2, "q3": q3}
SOURCES = load_digits("validation"), dial_tones("validation")


def fader(answer: str, **fading) -> ModalityFader:
    """A fader whose network always says one digit: the seen one, the heard one, or another."""
    with seeded(0):
        encoders = {"image": ConvEncoder(1, 2), "sound": ConvEncoder(1, 2, size=32)}
        model = FusionNetwork(encoders, CrossModalAttention(2), TASKS["seen_and_heard"])
    made = ModalityFader(model, *SOURCES, Fading(**fading))
    while made.reaction.scene.truth["match"]:
        made.button.click()
    truth = made.reaction.scene.truth
    seen, heard = truth["digit"], truth["sum"] - truth["digit"]
    other = next(d for d in range(10) if d not in (seen, heard))
    digit = {"seen": seen, "heard": heard, "other": other}[answer]
    with torch.no_grad():
        model.heads["digit"].weight.zero_()
        model.heads["digit"].bias.copy_(F.one_hot(torch.tensor(digit), 10))
    made._refresh()
    return made


def equal_digits() -> ModalityFader:
    made = fader("heard")
    while not made.reaction.scene.truth["match"]:
        made.button.click()
    return made


def unit_lengths_and_no_temperature(z_image, z_sound, temperature):
    logits = F.normalize(z_image) @ F.normalize(z_sound).T
    return contrastive_loss(logits)


def with_everything_wrong(z_image, z_sound, temperature):
    return (z_image - z_sound).square().mean() * temperature


def right_for_units_alone(z_image, z_sound, temperature):
    return contrastive_loss(z_image @ z_sound.T)


def cut_off(z_image, z_sound, temperature):
    return contrastive_loss(F.normalize(z_image.detach()) @ F.normalize(z_sound).T / temperature)


WRONG = [
    ("q1", 66.7, "in per cent"),
    ("q1", 0.7, "but for the rounding"),
    ("q1", 2.0, "Two products"),
    ("q1", [0.1, 0.05], "One number is needed"),
    ("q2", fader("seen"), "and that is seen"),
    ("q2", fader("seen", image_noise=2.0), "try others"),
    ("q2", fader("other"), "not by ear"),
    ("q2", fader("heard", weights="swapped"), "its own weights"),
    ("q2", fader("heard", lost="image"), "both senses"),
    ("q2", equal_digits(), "can't tell which one it took"),
    ("q2", "fader", "Hand in the fader itself"),
    ("q3", unit_lengths_and_no_temperature, "the same at every τ"),
    ("q3", with_everything_wrong, "Yours gives 0.000"),
    ("q3", right_for_units_alone, "and only there"),
    ("q3", cut_off, "no gradient of it"),
]

test_a_wrong_answer_gets_the_hint_that_fits_it, test_four_are_tried = wrong_answer_tests(ALL, WRONG)


@pytest.mark.parametrize("answer", [2 / 3, 0.667, 0.67, torch.tensor(0.66667)])
def test_the_belief_may_be_rounded_and_of_any_type(answer, capsys) -> None:
    assert "Correct." in told(q1, answer, capsys)


def test_a_network_that_says_what_it_hears_is_found(capsys) -> None:
    assert "Correct." in told(q2, fader("heard", image_noise=2.0), capsys)


def test_the_packages_loss_is_right(capsys) -> None:
    def packaged(z_image, z_sound, temperature):
        return contrastive_loss(F.normalize(z_image) @ F.normalize(z_sound).T / temperature)

    assert "Correct." in told(q3, packaged, capsys)
