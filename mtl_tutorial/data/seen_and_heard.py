"""Scenes for two senses: the image of a digit, and the sound of a digit."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real

import torch
from torch import Generator, Tensor

from mtl_tutorial.data.digits import Digits
from mtl_tutorial.data.questions import SPEAKER, TASKS
from mtl_tutorial.data.scenes import (
    MOST_NOISE,
    Scenes,
    check_split,
    least_and_greatest,
    source_of,
    uniform,
    with_noise,
)
from mtl_tutorial.data.sound import Sounds, log_mel
from mtl_tutorial.data.speech import load_speech
from mtl_tutorial.data.tones import dial_tones
from mtl_tutorial.profiles import check_choice
from mtl_tutorial.tasks import Batch

SOUNDS = {"tones": dial_tones, "speech": load_speech}


def seen_and_heard(
    split: str,
    *,
    digits: str | Digits = "embedded",
    sound: str | Sounds = "tones",
    image_noise: tuple[float, float] = (0.0, 0.0),
    sound_noise: tuple[float, float] = (0.0, 0.0),
    matching: float = 0.5,
    device: str = "cpu",
) -> Scenes:
    """Scenes of a digit that is seen and a digit that is heard.

    Inputs: ``image``, shape ``(B, 1, 28, 28)``, 0 to 1, and ``sound``, a log-mel spectrogram,
    shape ``(B, 1, 32, 32)``. Tasks: ``digit`` (which one is seen) and ``speaker`` (who speaks,
    or which phone; 6 classes) need one sense. ``match`` (1 where the sound says what the image
    shows) and ``sum`` (of both digits, 0 to 18) need both.

    White noise is added to the pixels and to the wave. Each scene draws its two standard
    deviations at random, from the least to the greatest.

    Args:
        split: ``"train"``, ``"validation"`` or ``"test"``; no digit and no recording is in two.
        digits: a source of digits, or digits that you have loaded.
        sound: ``"tones"`` (dial tones in the phone's hum) or ``"speech"`` (the Free Spoken Digit
            Dataset); or sounds that you have loaded, of at most six speakers.
        image_noise: least and greatest, on a scale from 0 (paper) to 1 (ink), up to 1e6.
        sound_noise: least and greatest, in units of the clean sound's root mean square.
        matching: probability that the sound says what the image shows; otherwise it says one of
            the nine other digits.
        device: where scenes are composed; loaded digits and sounds are used where they are.

    Raises:
        ValueError: for an unknown split, source or device, a noise or probability out of range,
            or digits and sounds that do not fit each other.
        DataUnavailableError: where digits or speech can't be had.
    """
    image_noise = least_and_greatest("image_noise", image_noise)
    sound_noise = least_and_greatest("sound_noise", sound_noise)
    for name, (least, greatest) in (("image_noise", image_noise), ("sound_noise", sound_noise)):
        if not 0 <= least <= greatest <= MOST_NOISE:
            raise ValueError(
                f"{name} must be 0 ≤ least ≤ greatest ≤ {MOST_NOISE:g}, got {(least, greatest)}"
            )
    if not isinstance(matching, Real) or not 0 <= matching <= 1:
        raise ValueError(f"matching must be a probability from 0 to 1, got {matching}")
    digits = source_of(split, digits, device)
    sound = _sounds_of(split, sound, device)
    if digits.images.device != sound.waves.device:
        raise ValueError(
            f"digits and sound must be on one device, got {digits.images.device} and "
            f"{sound.waves.device}"
        )
    compose = _SeenAndHeard(digits, sound, image_noise, sound_noise, matching)
    return Scenes(TASKS["seen_and_heard"], digits, compose)


def gallery(scenes: Scenes, generator: Generator) -> Batch:
    """Compose one scene of each digit from 0 to 9, in this order.

    Where a sound looks for its image among these, one image shows the right digit, no more.
    """
    order = scenes.order(generator)
    labels = scenes.digits.labels[order]
    first = [order[labels == digit][0] for digit in range(10)]
    return scenes.compose(torch.stack(first), generator)


def _sounds_of(split: str, sound: str | Sounds, device: str) -> Sounds:
    if isinstance(sound, str):
        return SOUNDS[check_choice("sound", sound, SOUNDS)](split, device=device)
    if not isinstance(sound, Sounds):
        raise ValueError(
            f"sound must be the name of a source or a Sounds object, got {type(sound).__name__}; "
            f"Sounds(waves, speakers, split) makes one of tensors"
        )
    check_split("sounds", sound.split, split)
    if len(sound.speakers) > SPEAKER.out_features:
        raise ValueError(
            f"sound must have at most {SPEAKER.out_features} speakers, the classes of task "
            f"'speaker', got {len(sound.speakers)}; leave some out"
        )
    return sound


@dataclass(frozen=True, eq=False)
class _SeenAndHeard:
    digits: Digits
    sound: Sounds
    image_noise: tuple[float, float]
    sound_noise: tuple[float, float]
    matching: float

    def __call__(self, index: Tensor, generator: Generator) -> Batch:
        _digits, speakers, takes, _samples = self.sound.waves.shape
        seen = self.digits.labels[index]
        coin, shift, who, take, *levels = uniform((6, len(index)), generator, index.device)
        shift = torch.where(coin < self.matching, 0, 1 + (9 * shift).long())
        heard = (seen + shift) % 10
        speaker = (speakers * who).long()
        waves = self.sound.waves[heard, speaker, (takes * take).long()]
        images = self.digits.images[index].float() / 255
        ranges = (self.image_noise, self.sound_noise)
        pixel, sample = (
            least + (greatest - least) * level
            for (least, greatest), level in zip(ranges, levels, strict=True)
        )
        images = with_noise(images, pixel.view(-1, 1, 1, 1), generator).clamp_(0, 1)
        waves = with_noise(waves, sample.view(-1, 1), generator)
        targets = {
            "digit": seen,
            "speaker": speaker,
            "match": (shift == 0).long(),
            "sum": seen + heard,
        }
        return Batch({"image": images, "sound": log_mel(waves)}, targets, complete=True)
