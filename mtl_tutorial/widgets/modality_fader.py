"""The modality fader: fade the image or the sound, and see weights and answers react."""

from __future__ import annotations

import io
import itertools
import math
import wave
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import ipywidgets
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from mtl_tutorial.architectures import CrossAttention, CrossModalAttention, FusionNetwork
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
WEIGHTS = {"own": "its own weights", "equal": "all equal", "swapped": "swapped"}
SCENES = {"any": "any scene", "different": "different digits"}
MOST_IMAGE_NOISE, MOST_SOUND_NOISE = 2.0, 4.0
MANY = 60  # scenes over which answers are counted


@dataclass(frozen=True)
class Fading:
    """What the network gets, and which weights it uses.

    Args:
        image_noise: standard deviation, on a scale from 0 (paper) to 1 (ink).
        sound_noise: standard deviation, in units of the clean sound's root mean square.
        lost: ``"none"``, or the sense that the network has to do without.
        weights: ``"own"``, ``"equal"`` (one as large as another) or ``"swapped"`` (its columns in
            the other order).
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
        alpha: the weights that were used: shape ``(2, 2)`` of products; ``(2, tokens, tokens)`` of
            query-key-value attention, where each sense's tokens ask the other's.
        moved: the largest change of a weight of its own against the same scene without noise.
        answers: chosen class and its probability by task name.
        clean: the same without noise, with both senses and its own weights.
        shares: the share of right answers over many scenes under the same fading, by task name;
            empty where none were asked.
    """

    fading: Fading
    scene: SeenAndHeard
    alpha: Tensor
    moved: float
    answers: dict[str, tuple[int, float]]
    clean: dict[str, tuple[int, float]]
    shares: Mapping[str, float] = field(default_factory=dict)


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
        model: of ``image`` and ``sound``, with `CrossModalAttention` or `CrossAttention`.
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


def _react(
    model: FusionNetwork, digits: Digits, sound: Sounds, fading: Fading
) -> tuple[dict[str, tuple[int, float]], Tensor, Tensor]:
    outputs, own, used = _ask(model, [compute_scene(digits, sound, fading)], fading)
    answers = {}
    for name, logits in outputs.items():
        probability, chosen = logits[0].softmax(0).max(0)
        answers[name] = (int(chosen), probability.item())
    return answers, own[0].cpu(), used[0].cpu()


def compute_shares(
    model: FusionNetwork, digits: Digits, sound: Sounds, fading: Fading, scenes: Iterable[int]
) -> dict[str, float]:
    """Give the share of scenes that the network answers rightly, by task name.

    Args:
        model, digits, sound: as for `compute_reaction`.
        fading: what the network gets; its own scene does not count.
        scenes: by their numbers.
    """
    made = [compute_scene(digits, sound, replace(fading, scene=number)) for number in scenes]
    outputs, _own, _used = _ask(model, made, fading)
    chosen = {name: logits.argmax(1).tolist() for name, logits in outputs.items()}
    return {
        name: sum(a == s.truth[name] for a, s in zip(answers, made, strict=True)) / len(made)
        for name, answers in chosen.items()
    }


@torch.no_grad()
def _ask(
    model: FusionNetwork, scenes: Sequence[SeenAndHeard], fading: Fading
) -> tuple[dict[str, Tensor], Tensor, Tensor]:
    """Give the answers to scenes, the network's own weights for them, and those it used."""
    where = model.absent.device
    inputs: dict[str, Tensor | None] = {
        "image": torch.stack([scene.image for scene in scenes]).to(where),
        "sound": log_mel(torch.stack([scene.wave for scene in scenes])).to(where),
    }
    if fading.lost != "none":
        inputs[fading.lost] = None
    fusion: Any = model.fusion
    with evaluation_mode(model):
        h = model.features(inputs)
        own = used = fusion.weights(h)
        if fading.weights == "equal":
            used = torch.full_like(own, 1 / own.shape[-1])
        elif fading.weights == "swapped":
            used = own.flip(-1)
        fused = fusion(h) if fading.weights == "own" else fusion(h, used)
        return model.answers(fused), own, used


def draw_fader(figure: Figure, reaction: Reaction) -> str:
    """Draw what the network sees and hears, its weights, and its answers to one scene and many."""
    fading, scene = reaction.fading, reaction.scene
    image, sound, matrix, answers, shares = panels(figure, 1, 5)[0]
    for axes, left, width in (
        (image, 0.01, 0.165),
        (sound, 0.28, 0.165),
        (matrix, 0.525, 0.17),
        (answers, 0.725, 0.125),
        (shares, 0.87, 0.12),
    ):
        axes.set_position([left, 0.2, width, 0.62])
    seen = scene.truth["digit"]
    heard = scene.truth["sum"] - seen
    lost = fading.lost
    draw_image_on(image, None if lost == "image" else scene.image, title=f"{a_digit(seen)} is seen")
    spectrogram = None if lost == "sound" else log_mel(scene.wave[None])[0]
    draw_spectrogram_on(sound, spectrogram, title=f"{a_digit(heard)} is heard")
    _draw_weights(matrix, reaction.alpha)
    _draw_answers(answers, reaction)
    _draw_shares(shares, reaction)
    return describe_reaction(reaction)


def _draw_weights(axes: Axes, alpha: Tensor) -> None:
    """Draw a row for each sense that asks, or one for each of its tokens."""
    asking = ["image\nasks", "sound\nasks"]
    if alpha.ndim == 2:
        draw_matrix_on(axes, alpha, asking, SENSES)
    else:
        tokens = alpha.shape[1]
        columns = [str(k + 1) for k in range(tokens)]
        draw_matrix_on(axes, alpha.flatten(0, 1), [], columns)
        axes.axhline(tokens - 0.5, color=BLACK, linewidth=2)
        axes.set_yticks([(tokens - 1) / 2, (3 * tokens - 1) / 2], asking)
        axes.set_xlabel("token of the other sense")
        for text in axes.texts:
            text.set(fontsize=8, fontweight="normal")
    axes.set_title("Weights α")


def _draw_answers(axes: Axes, reaction: Reaction) -> None:
    right = 0
    for place, (name, (chosen, probability)) in enumerate(reaction.answers.items()):
        is_right = chosen == reaction.scene.truth[name]
        right += is_right
        text = f"{_answer_text(name, chosen)} {'✓' if is_right else '✗'}"
        _draw_bar(axes, place, name, probability, text, BLACK if is_right else VERMILION)
    _frame_bars(axes, len(reaction.answers), "probability")
    axes.set_title(f"{right} of {len(reaction.answers)} right")


def _draw_shares(axes: Axes, reaction: Reaction) -> None:
    for place, (name, share) in enumerate(reaction.shares.items()):
        _draw_bar(axes, place, name, share, f"{share:.0%}", BLACK)
    _frame_bars(axes, len(reaction.answers), "share right")
    axes.set_title(f"{MANY} scenes")


def _draw_bar(axes: Axes, place: int, name: str, long: float, text: str, colour: str) -> None:
    axes.barh(place + 0.1, long, 0.3, color=task_style(name)["color"])
    axes.text(0, place - 0.12, text, va="bottom", fontweight="bold", color=colour)


def _frame_bars(axes: Axes, count: int, label: str) -> None:
    axes.grid(False)
    axes.set(xlim=(0, 1), ylim=(count - 0.6, -0.7), yticks=[], xlabel=label)
    axes.set_xticks([0, 0.5, 1], ["0", "½", "1"])


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
        equal = f"are all equal ({1 / reaction.alpha.shape[-1]:.2f})"
        how = equal if fading.weights == "equal" else "have their columns swapped"
        parts.append(f"The weights {how}, whatever the network would choose.")
    elif fading.lost == "none":
        moved = math.ceil(100 * reaction.moved) / 100  # rounded up
        most = f"more than {moved:.2f}" if reaction.moved >= 0.005 else "as much as 0.01"
        parts.append(f"Against the clean scene, no weight moved by {most}.")
    else:
        parts.append(f"A fixed vector stands in for the {fading.lost}.")
    parts.append(_answers_in_words(reaction))
    if reaction.shares:
        told = ", ".join(f"{name} {share:.0%}" for name, share in reaction.shares.items())
        parts.append(f"Right over {MANY} scenes: {told}.")
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
        model: a trained network of ``image`` and ``sound`` with `CrossModalAttention` or
            `CrossAttention`; it is shown scenes, and stays as it is.
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
        known = isinstance(model.fusion, (CrossModalAttention, CrossAttention))
        if not known or tuple(model.encoders) != SENSES:
            raise ValueError(
                f"the fader needs a network of image and sound with CrossModalAttention or "
                f"CrossAttention, got {type(model.fusion).__name__} of "
                f"{' and '.join(model.encoders)}"
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
        self._many: dict[str, list[int]] = {}
        self._shares: dict[tuple[str, Fading], dict[str, float]] = {}
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
        if self._fits():
            self._refresh()
        else:
            self._next()

    def _fits(self) -> bool:
        return self.scenes.value == "any" or self._differ(self._scene)

    def _differ(self, number: int) -> bool:
        """Whether a scene shows one digit and sounds another."""
        return not compute_scene(self._digits, self._sound, Fading(scene=number)).truth["match"]

    def _count(self, fading: Fading) -> dict[str, float]:
        """The shares of right answers over the first scenes that the button would show."""
        kind = self.scenes.value
        if kind not in self._many:
            fitting = filter(self._differ, itertools.count()) if kind != "any" else range(MANY)
            self._many[kind] = list(itertools.islice(fitting, MANY))
        key = kind, replace(fading, scene=0)
        if key not in self._shares:
            self._shares[key] = compute_shares(
                self._model, self._digits, self._sound, fading, self._many[kind]
            )
        return self._shares[key]

    def _refresh(self) -> None:
        fading = Fading(
            self.image_noise.value,
            self.sound_noise.value,
            self.lost.value,
            self.weights.value,
            self._scene,
        )
        reaction = compute_reaction(self._model, self._digits, self._sound, fading)
        self.reaction = replace(reaction, shares=self._count(fading))
        for slider, sense in ((self.image_noise, "image"), (self.sound_noise, "sound")):
            slider.disabled = fading.lost == sense
        self.redraw(self.reaction)
        self.audio.value = wav_bytes(self.reaction.scene.wave)
