"""Scenes for two senses: the image of a digit, and the sound of a digit."""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from mtl_tutorial.data.digits import Digits, load_digits
from mtl_tutorial.data.scenes import DIGIT, Scenes, uniform, with_noise
from mtl_tutorial.data.sound import Recordings, log_mel
from mtl_tutorial.data.speech import load_speech
from mtl_tutorial.data.tones import dial_tones
from mtl_tutorial.profiles import check_choice
from mtl_tutorial.tasks import Batch, Task, accuracy

MATCH = Task("match", F.cross_entropy, accuracy, 2)
SUM = Task("sum", F.cross_entropy, accuracy, 19)
SPEAKER = Task("speaker", F.cross_entropy, accuracy, 6)
SOUNDS = {"tones": dial_tones, "speech": load_speech}


def seen_and_heard(
    split: str,
    *,
    digits: str | Digits = "embedded",
    sound: str | Recordings = "tones",
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
            Dataset); or recordings that you have loaded.
        image_noise: least and greatest, on a scale from 0 (paper) to 1 (ink).
        sound_noise: least and greatest, in units of the clean sound's root mean square.
        matching: probability that the sound says what the image shows; otherwise it says one of
            the nine other digits.
        device: where scenes are composed; loaded digits and recordings are used where they are.

    Raises:
        ValueError: for an unknown split, source or device, or a noise or probability out of range.
        DataUnavailableError: where digits or speech can't be had.
    """
    for name, (least, greatest) in (("image_noise", image_noise), ("sound_noise", sound_noise)):
        if not 0 <= least <= greatest < math.inf:
            raise ValueError(f"{name} must be 0 ≤ least ≤ greatest, got {(least, greatest)}")
    if not 0 <= matching <= 1:
        raise ValueError(f"matching must be a probability from 0 to 1, got {matching}")
    if isinstance(digits, str):
        digits = load_digits(split, digits=digits, device=device)
    if isinstance(sound, str):
        sound = SOUNDS[check_choice("sound", sound, SOUNDS)](split, device=device)
    for what, source in (("digits", digits), ("sound", sound)):
        if source.split != split:
            raise ValueError(
                f"the {what} handed in are of split {source.split!r}, but {split!r} was asked "
                f"for; splits never mix"
            )
    _digits, speakers, takes, _samples = sound.waves.shape

    def compose(index: Tensor, generator: Generator) -> Batch:
        seen = digits.labels[index]
        coin, shift, who, take, *levels = uniform((6, len(index)), generator, index.device)
        shift = torch.where(coin < matching, 0, 1 + (9 * shift).long())
        heard = (seen + shift) % 10
        speaker = (speakers * who).long()
        waves = sound.waves[heard, speaker, (takes * take).long()]
        images = digits.images[index].float() / 255
        pixel, sample = (
            least + (greatest - least) * level
            for (least, greatest), level in zip((image_noise, sound_noise), levels, strict=True)
        )
        images = with_noise(images, pixel.view(-1, 1, 1, 1), generator).clamp_(0, 1)
        waves = with_noise(waves, sample.view(-1, 1), generator)
        targets = {
            "digit": seen,
            "speaker": speaker,
            "match": (shift == 0).long(),
            "sum": seen + heard,
        }
        return Batch({"image": images, "sound": log_mel(waves)}, targets)

    return Scenes((DIGIT, SPEAKER, MATCH, SUM), digits, compose)
