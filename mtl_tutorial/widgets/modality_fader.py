"""The modality fader: fade the image or the sound, and see weights and answers react."""

from __future__ import annotations

import io
import math
import wave
from dataclasses import dataclass, replace
from typing import cast

import ipywidgets
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from mtl_tutorial.architectures import CrossModalAttention, FusionNetwork
from mtl_tutorial.data import Digits, Sounds, log_mel
from mtl_tutorial.data.sound import RATE, SAMPLES
from mtl_tutorial.measuring import evaluation_mode
from mtl_tutorial.plots import (
    BLACK,
    VERMILION,
    draw_image_on,
    draw_matrix_on,
    draw_spectrogram_on,
    panels,
    task_style,
)
from mtl_tutorial.profiles import check_choice
from mtl_tutorial.widgets.events import in_cell_loop
from mtl_tutorial.widgets.slider import Slider
from mtl_tutorial.widgets.view import View, in_a_row

SENSES = ("image", "sound")
LOST = {"none": "both senses", "image": "no image", "sound": "no sound"}
WEIGHTS = {"own": "its own weights", "half": "all ½", "swapped": "swapped"}
SCENES = {"any": "any scene", "different": "different digits"}
MOST_IMAGE_NOISE, MOST_SOUND_NOISE = 2.0, 4.0


@dataclass(frozen=True)
class Fading:
    """What the network gets, and which weights it uses.

    Args:
        image_noise: standard deviation, on a scale from 0 (paper) to 1 (ink).
        sound_noise: standard deviation, in units of the clean sound's root mean square.
        lost: ``"none"``, or the sense that the network has to do without.
        weights: ``"own"``, ``"half"`` (all ½) or ``"swapped"`` (its columns in the other order).
        scene: which digit, recording and draw of noise; the same number gives the same ones.

    Raises:
        ValueError: for another lost sense or kind of weights.
    """

    image_noise: float = 0.0
    sound_noise: float = 0.0
    lost: str = "none"
    weights: str = "own"
    scene: int = 0

    def __post_init__(self) -> None:
        check_choice("lost sense", self.lost, LOST)
        check_choice("weights", self.weights, WEIGHTS)


@dataclass(frozen=True)
class SeenAndHeard:
    """One digit that is seen and one that is heard, under noise.

    Args:
        image: shape ``(1, 28, 28)``.
        wave: shape ``(SAMPLES,)``.
        truth: the right class by task name.
    """

    image: Tensor
    wave: Tensor
    truth: dict[str, int]


@dataclass(frozen=True)
class Reaction:
    """What a network makes of a scene.

    Args:
        fading: what it got.
        scene: the same, with its noise.
        alpha: the weights that were used, shape ``(2, 2)``.
        moved: the largest change of a weight of its own against the same scene without noise.
        answers: chosen class and its probability by task name.
        clean: the same without noise, with both senses and its own weights.
    """

    fading: Fading
    scene: SeenAndHeard
    alpha: Tensor
    moved: float
    answers: dict[str, tuple[int, float]]
    clean: dict[str, tuple[int, float]]


def compute_scene(digits: Digits, sound: Sounds, fading: Fading) -> SeenAndHeard:
    """Make a scene; a change of noise keeps the digits and scales the same draw of noise."""
    generator = torch.Generator().manual_seed(fading.scene)
    _ten, speakers, takes, _samples = sound.waves.shape
    which, matches, other, speaker, take = torch.rand(5, generator=generator).tolist()
    i = int(which * len(digits))
    seen = int(digits.labels[i])
    heard = seen if matches < 0.5 else (seen + 1 + int(9 * other)) % 10
    s, k = int(speaker * speakers), int(take * takes)
    speckle = torch.randn(1, 28, 28, generator=generator)
    hiss = torch.randn(SAMPLES, generator=generator)
    image = digits.images[i].cpu() / 255 + fading.image_noise * speckle
    wave = sound.waves[heard, s, k].cpu() + fading.sound_noise * hiss
    truth = {"digit": seen, "speaker": s, "match": int(seen == heard), "sum": seen + heard}
    return SeenAndHeard(image.clamp(0, 1), wave, truth)


def compute_reaction(
    model: FusionNetwork, digits: Digits, sound: Sounds, fading: Fading
) -> Reaction:
    """Show a scene to the network; it stays as it was.

    Args:
        model: with a `CrossModalAttention` of ``image`` and ``sound``.
        digits, sound: to choose from.
        fading: what the network gets.
    """
    clean, own, _own = _react(model, digits, sound, Fading(scene=fading.scene))
    unswayed = replace(fading, lost="none")
    _answers, faded, _used = _react(model, digits, sound, unswayed)
    answers, _own, used = _react(model, digits, sound, fading)
    moved = (faded - own).abs().max().item()
    scene = compute_scene(digits, sound, fading)
    return Reaction(fading, scene, used, moved, answers, clean)


@torch.no_grad()
def _react(
    model: FusionNetwork, digits: Digits, sound: Sounds, fading: Fading
) -> tuple[dict[str, tuple[int, float]], Tensor, Tensor]:
    scene = compute_scene(digits, sound, fading)
    where = model.absent.device
    inputs: dict[str, Tensor | None] = {
        "image": scene.image[None].to(where),
        "sound": log_mel(scene.wave[None]).to(where),
    }
    if fading.lost != "none":
        inputs[fading.lost] = None
    with evaluation_mode(model):
        h = model.features(inputs)
        own = cast("CrossModalAttention", model.fusion).weights(h)
        half, swapped = torch.full_like(own, 0.5), own.flip(2)
        used = {"own": own, "half": half, "swapped": swapped}[fading.weights]
        outputs = model.answers(model.fusion(h, used))
    answers = {}
    for name, logits in outputs.items():
        probability, chosen = logits[0].softmax(0).max(0)
        answers[name] = (int(chosen), probability.item())
    return answers, own[0].cpu(), used[0].cpu()


def draw_fader(figure: Figure, reaction: Reaction) -> str:
    """Draw what the network sees and hears, its weights, and its answers."""
    fading, scene = reaction.fading, reaction.scene
    image, sound, matrix, answers = panels(figure, 1, 4)[0]
    image.set_position([0.01, 0.2, 0.2, 0.62])
    sound.set_position([0.3, 0.2, 0.2, 0.62])
    matrix.set_position([0.59, 0.2, 0.17, 0.62])
    answers.set_position([0.805, 0.2, 0.185, 0.62])
    seen = scene.truth["digit"]
    heard = scene.truth["sum"] - seen
    lost = fading.lost
    draw_image_on(image, None if lost == "image" else scene.image, title=f"{a_digit(seen)} is seen")
    spectrogram = None if lost == "sound" else log_mel(scene.wave[None])[0]
    draw_spectrogram_on(sound, spectrogram, title=f"{a_digit(heard)} is heard")
    draw_matrix_on(matrix, reaction.alpha, ["image\nasks", "sound\nasks"], SENSES)
    matrix.set_title("Weights α")
    _draw_answers(answers, reaction)
    return describe_reaction(reaction)


def _draw_answers(axes: Axes, reaction: Reaction) -> None:
    names = list(reaction.answers)
    axes.grid(False)
    axes.set(xlim=(0, 1), ylim=(len(names) - 0.6, -0.7))
    axes.set_xticks([0, 0.5, 1], ["0", "½", "1"])
    axes.set(yticks=[], xlabel="probability")
    right = 0
    for row, name in enumerate(names):
        chosen, probability = reaction.answers[name]
        is_right = chosen == reaction.scene.truth[name]
        right += is_right
        axes.barh(row + 0.1, probability, 0.3, color=task_style(name)["color"])
        colour = BLACK if is_right else VERMILION
        text = f"{_answer_text(name, chosen)} {'✓' if is_right else '✗'}"
        axes.text(0, row - 0.12, text, va="bottom", fontweight="bold", color=colour)
    axes.set_title(f"{right} of {len(names)} right")


def _answer_text(name: str, chosen: int) -> str:
    if name == "match":
        return f"match {'yes' if chosen else 'no'}"
    return f"{name} {chosen}"


def a_digit(digit: int) -> str:
    """Give a digit with its article, at the beginning of a sentence."""
    return f"{'An' if digit == 8 else 'A'} {digit}"


def describe_reaction(reaction: Reaction) -> str:
    """Say in words what the noise did to the weights, and what to the answers."""
    fading = reaction.fading
    got = [
        f"{sense} {'lost' if fading.lost == sense else f'with noise {noise:.2f}'}"
        for sense, noise in (("image", fading.image_noise), ("sound", fading.sound_noise))
    ]
    parts = [f"{' and '.join(got).capitalize()}."]
    if fading.weights != "own":
        how = "are all ½" if fading.weights == "half" else "have their columns swapped"
        parts.append(f"The weights {how}, whatever the network would choose.")
    elif fading.lost == "none":
        moved = math.ceil(100 * reaction.moved) / 100  # rounded up
        most = f"more than {moved:.2f}" if reaction.moved >= 0.005 else "as much as 0.01"
        parts.append(f"Against the clean scene, no weight moved by {most}.")
    else:
        parts.append(f"A fixed vector stands in for the {fading.lost}.")
    parts.append(_answers_in_words(reaction))
    return " ".join(parts)


def _answers_in_words(reaction: Reaction) -> str:
    truth = reaction.scene.truth
    wrong = [name for name, (chosen, _p) in reaction.answers.items() if chosen != truth[name]]
    turned = [name for name in wrong if reaction.clean[name][0] == truth[name]]
    name = min(reaction.answers, key=lambda name: reaction.answers[name][1])
    unsure = f"It is least sure of {name}, with probability {reaction.answers[name][1]:.2f}."
    if not wrong:
        return f"All answers are right. {unsure}"
    said = ", ".join(f"{_answer_text(n, reaction.answers[n][0])}" for n in wrong)
    change = f" (right on the clean scene: {', '.join(turned)})" if turned else ""
    return f"Wrong: {said}{change}. {unsure}"


def wav_bytes(samples: Tensor) -> bytes:
    """Give a wave as a 16-bit WAV file at 8 kHz, its loudest sample at 0.9."""
    loudest = samples.abs().max().clamp(min=1e-6)
    content = io.BytesIO()
    with wave.open(content, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((samples / loudest * 0.9 * 32767).short().numpy().astype("<i2").tobytes())
    return content.getvalue()


class ModalityFader(View):
    """Fade one sense or take it away, override the attention, and read what the network answers.

    Args:
        model: a trained network of ``image`` and ``sound`` with `CrossModalAttention`; it is
            shown scenes, and stays as it is.
        digits: what it may see.
        sound: what it may hear.
        fading: where the controls start.

    Raises:
        ValueError: where the network is of another kind.
    """

    def __init__(
        self,
        model: FusionNetwork,
        digits: Digits,
        sound: Sounds,
        fading: Fading | None = None,
    ) -> None:
        if not isinstance(model.fusion, CrossModalAttention) or tuple(model.encoders) != SENSES:
            raise ValueError(
                f"the fader needs a network of image and sound with CrossModalAttention, got "
                f"{type(model.fusion).__name__} of {' and '.join(model.encoders)}"
            )
        fading = fading or Fading()
        self._model, self._digits, self._sound = model, digits, sound
        self.image_noise = Slider(
            "noise on the image", fading.image_noise, min=0, max=MOST_IMAGE_NOISE, step=0.05
        )
        self.sound_noise = Slider(
            "noise on the sound", fading.sound_noise, min=0, max=MOST_SOUND_NOISE, step=0.2
        )
        self.lost = self._buttons(LOST, fading.lost)
        self.weights = self._buttons(WEIGHTS, fading.weights)
        self.scenes = self._buttons(SCENES, "any", "290px")
        self.button = ipywidgets.Button(
            description="Another scene", icon="refresh", layout={"width": "150px"}
        )
        self.audio = ipywidgets.Audio(
            value=b"", format="wav", autoplay=False, loop=False, layout={"width": "300px"}
        )
        super().__init__(
            draw_fader,
            size=(9, 2.9),
            above=[
                in_a_row(self.lost, self.weights),
                in_a_row(self.image_noise, self.sound_noise),
            ],
            below=[in_a_row(self.button, self.scenes, self.audio)],
        )
        self._scene = fading.scene
        for control in (self.image_noise, self.sound_noise, self.lost, self.weights):
            control.observe(in_cell_loop(lambda _: self._refresh()), "value")
        self.button.on_click(in_cell_loop(lambda _: self._next()))
        self.scenes.observe(in_cell_loop(lambda _: self._choose()), "value")
        self._refresh()

    @staticmethod
    def _buttons(
        words: dict[str, str], value: str, width: str = "440px"
    ) -> ipywidgets.ToggleButtons:
        return ipywidgets.ToggleButtons(
            options=[(text, name) for name, text in words.items()],
            value=value,
            style={"button_width": "136px"},
            layout={"width": width},
        )

    def _next(self) -> None:
        self._scene += 1
        while not self._fits():
            self._scene += 1
        self._refresh()

    def _choose(self) -> None:
        if not self._fits():
            self._next()

    def _fits(self) -> bool:
        if self.scenes.value == "any":
            return True
        scene = compute_scene(self._digits, self._sound, Fading(scene=self._scene))
        return not scene.truth["match"]

    def _refresh(self) -> None:
        fading = Fading(
            self.image_noise.value,
            self.sound_noise.value,
            self.lost.value,
            self.weights.value,
            self._scene,
        )
        self.reaction = compute_reaction(self._model, self._digits, self._sound, fading)
        for slider, sense in ((self.image_noise, "image"), (self.sound_noise, "sound")):
            slider.disabled = fading.lost == sense
        self.redraw(self.reaction)
        self.audio.value = wav_bytes(self.reaction.scene.wave)
