"""The fader shows what its controls say, and never an old picture."""

from __future__ import annotations

import io
import itertools
import re
import wave
from dataclasses import replace

import pytest
import torch
from matplotlib.figure import Figure
from torch import nn
from traitlets import TraitError

from mtl_tutorial.architectures import (
    Concatenation,
    ConvEncoder,
    CrossAttention,
    CrossModalAttention,
    FusionNetwork,
)
from mtl_tutorial.data import dial_tones, load_digits, log_mel
from mtl_tutorial.data.questions import DIGIT, MATCH, SPEAKER, SUM
from mtl_tutorial.data.sound import RATE, SAMPLES
from mtl_tutorial.experiments import seeded
from mtl_tutorial.widgets import modality_fader
from mtl_tutorial.widgets.modality_fader import (
    LOST,
    MANY,
    WEIGHTS,
    Fading,
    ModalityFader,
    a_digit,
    compute_reaction,
    compute_scene,
    compute_shares,
    describe_reaction,
    draw_fader,
    wav_bytes,
)

DIGITS, TONES = load_digits("validation"), dial_tones("validation")
TASKS = (DIGIT, SPEAKER, MATCH, SUM)


def network(fusion=None) -> FusionNetwork:
    with seeded(0):
        encoders = {"image": ConvEncoder(2), "sound": ConvEncoder(2, size=32)}
        model = FusionNetwork(encoders, fusion or CrossModalAttention(16), TASKS)
        if not fusion:
            nn.init.normal_(model.fusion.weight, std=0.1)  # weights that depend on the scene
        return model


MODEL = network()


def react(**fading):
    return compute_reaction(MODEL, DIGITS, TONES, Fading(**fading))


@pytest.fixture
def fader() -> ModalityFader:
    return ModalityFader(MODEL, DIGITS, TONES)


@pytest.mark.parametrize("scene", range(12))
def test_a_scene_has_the_right_answers(scene: int) -> None:
    made = compute_scene(DIGITS, TONES, Fading(scene=scene))
    heard = made.truth["sum"] - made.truth["digit"]
    assert made.truth["match"] == (heard == made.truth["digit"])
    takes = TONES.waves[heard, made.truth["speaker"]]
    assert any(torch.equal(made.wave, take) for take in takes)
    images = DIGITS.images[DIGITS.labels == made.truth["digit"]] / 255
    assert any(torch.equal(made.image, image) for image in images)


def test_scenes_differ_and_some_match() -> None:
    truths = [compute_scene(DIGITS, TONES, Fading(scene=i)).truth for i in range(40)]
    assert 10 < sum(truth["match"] for truth in truths) < 30
    assert len({tuple(truth.values()) for truth in truths}) > 30


def test_more_noise_scales_the_same_draw_and_keeps_the_answers() -> None:
    clean, one, two = (
        compute_scene(DIGITS, TONES, Fading(sound_noise=noise)) for noise in (0.0, 1.0, 2.0)
    )
    assert torch.allclose(two.wave - clean.wave, 2 * (one.wave - clean.wave), atol=1e-5)
    assert (one.wave - clean.wave).std().item() == pytest.approx(1, abs=0.05)
    assert clean.truth == two.truth
    noisy = compute_scene(DIGITS, TONES, Fading(image_noise=1.0))
    assert torch.equal(noisy.wave, clean.wave) and not torch.equal(noisy.image, clean.image)
    assert 0 <= noisy.image.min() and noisy.image.max() <= 1


def test_answers_are_those_of_the_network() -> None:
    reaction = react(image_noise=0.3, sound_noise=0.5, scene=3)
    scene = reaction.scene
    inputs = {"image": scene.image[None], "sound": log_mel(scene.wave[None])}
    with torch.no_grad():
        outputs = MODEL.eval()(inputs)
        alpha = MODEL.fusion.weights(MODEL.features(inputs))[0]
    assert torch.allclose(reaction.alpha, alpha, atol=1e-6)
    for name, (chosen, probability) in reaction.answers.items():
        assert chosen == outputs[name].argmax().item()
        assert probability == pytest.approx(outputs[name].softmax(1).max().item(), abs=1e-5)


def test_a_lost_sense_makes_no_difference_any_more() -> None:
    first, second = (react(lost="sound", sound_noise=noise) for noise in (0.0, 3.0))
    assert first.answers == second.answers
    assert react(lost="sound").answers != react(lost="image").answers


def test_weights_can_be_overridden() -> None:
    own, equal, swapped = (react(weights=name) for name in WEIGHTS)
    assert torch.equal(equal.alpha, torch.full((2, 2), 0.5))
    assert torch.allclose(swapped.alpha, own.alpha.flip(1))
    assert equal.answers != own.answers
    assert equal.moved == own.moved == 0


def test_query_key_value_attention_is_overridden_likewise() -> None:
    model = network(CrossAttention(2, 16))
    own, equal, swapped = (
        compute_reaction(model, DIGITS, TONES, Fading(weights=name)) for name in WEIGHTS
    )
    assert torch.equal(equal.alpha, torch.full((2, 4, 4), 0.25))
    assert torch.allclose(swapped.alpha, own.alpha.flip(2))
    assert own.answers != equal.answers != swapped.answers
    assert "are all equal (0.25)" in describe_reaction(equal)
    figure = Figure(figsize=(9, 3))
    draw_fader(figure, swapped)
    numbers = [text.get_text() for text in figure.axes[2].texts]
    assert numbers == [f"{value:.2f}" for value in swapped.alpha.flatten().tolist()]


def test_a_fader_takes_a_network_of_query_key_value_attention() -> None:
    fader = ModalityFader(network(CrossAttention(2, 16, heads=2)), DIGITS, TONES)
    picture = fader.image.value
    fader.weights.value = "equal"
    assert fader.image.value != picture and fader.reaction.alpha.shape == (2, 4, 4)


@pytest.mark.parametrize("fading", [Fading(0.5, 1.0), Fading(lost="sound", weights="equal")])
def test_shares_over_many_scenes_are_those_of_scene_after_scene(fading) -> None:
    reactions = [react(**{**vars(fading), "scene": number}) for number in range(8)]
    found = compute_shares(MODEL, DIGITS, TONES, fading, range(8))
    for name, share in found.items():
        right = [r.answers[name][0] == r.scene.truth[name] for r in reactions]
        assert share == sum(right) / 8


def test_a_fader_shows_shares_over_sixty_scenes_of_the_kind_that_is_chosen(fader) -> None:
    expected = compute_shares(MODEL, DIGITS, TONES, fader.reaction.fading, range(MANY))
    assert fader.reaction.shares == expected
    told = ", ".join(f"{name} {share:.0%}" for name, share in expected.items())
    assert f"Right over 60 scenes: {told}." in fader.sentence
    fader.scenes.value = "different"
    numbers, different = itertools.count(), []
    while len(different) < MANY:
        number = next(numbers)
        if not compute_scene(DIGITS, TONES, Fading(scene=number)).truth["match"]:
            different.append(number)
    fading = fader.reaction.fading
    assert fader.reaction.shares == compute_shares(MODEL, DIGITS, TONES, fading, different)


def test_another_scene_asks_for_no_more_scenes(fader, monkeypatch) -> None:
    monkeypatch.setattr(modality_fader, "compute_shares", lambda *_: pytest.fail("asked again"))
    fader.button.click()
    assert fader.reaction.shares


def test_the_movement_of_the_weights_is_that_of_the_networks_own() -> None:
    clean, noisy = react(), react(image_noise=1.0)
    expected = (noisy.alpha - clean.alpha).abs().max().item()
    assert noisy.moved == pytest.approx(expected, abs=1e-6)
    assert noisy.moved > 0
    assert noisy.clean == clean.answers


def test_the_network_stays_as_it_was() -> None:
    model = network().train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    compute_reaction(model, DIGITS, TONES, Fading(0.5, 0.5, "image", "equal"))
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize("fading", [{"lost": "images"}, {"weights": "owns"}])
def test_an_unknown_choice_is_refused_with_its_neighbour(fading) -> None:
    with pytest.raises(ValueError, match="did you mean"):
        Fading(**fading)


@pytest.mark.parametrize("lost", LOST)
@pytest.mark.parametrize("weights", WEIGHTS)
def test_a_drawing_shows_matrix_answers_and_senses(lost: str, weights: str) -> None:
    figure = Figure(figsize=(9, 3))
    told = {"digit": 0.5, "speaker": 0.25, "match": 1.0, "sum": 0.0}
    reaction = replace(react(image_noise=0.5, lost=lost, weights=weights), shares=told)
    assert draw_fader(figure, reaction) == describe_reaction(reaction)
    image, sound, matrix, answers, shares = figure.axes
    numbers = [text.get_text() for text in matrix.texts]
    assert numbers == [f"{value:.2f}" for value in reaction.alpha.flatten().tolist()]
    assert [bar.get_width() for bar in answers.patches] == pytest.approx(
        [probability for _chosen, probability in reaction.answers.values()]
    )
    assert [bar.get_width() for bar in shares.patches] == list(told.values())
    shown = {"image": image, "sound": sound}
    assert [n for n, axes in shown.items() if axes.texts] == [lost] * (lost != "none")


def test_right_and_wrong_answers_are_marked_and_counted() -> None:
    for scene in range(4):
        reaction = react(scene=scene)
        figure = Figure(figsize=(9, 3))
        words = draw_fader(figure, reaction)
        truth = reaction.scene.truth
        right = [chosen == truth[name] for name, (chosen, _) in reaction.answers.items()]
        answers = figure.axes[3]
        assert [text.get_text()[-1] for text in answers.texts] == ["✗✓"[ok] for ok in right]
        assert answers.get_title() == f"{sum(right)} of 4 right"
        assert ("Wrong" in words) == (not all(right))


MOVES = {
    "image noise": (lambda w: setattr(w.image_noise, "value", 0.5), "Image with noise 0.50"),
    "sound noise": (lambda w: setattr(w.sound_noise, "value", 2.0), "sound with noise 2.00"),
    "lost": (lambda w: setattr(w.lost, "value", "image"), "Image lost"),
    "equal": (lambda w: setattr(w.weights, "value", "equal"), "are all equal (0.50)"),
    "swapped": (lambda w: setattr(w.weights, "value", "swapped"), "columns swapped"),
    "scene": (lambda w: w.button.click(), "Image with noise 0.00"),
}


@pytest.mark.parametrize("move", MOVES)
def test_every_control_changes_picture_and_sentence(fader, move) -> None:
    act, words = MOVES[move]
    picture, sentence = fader.image.value, fader.sentence
    act(fader)
    assert fader.image.value != picture
    assert fader.sentence != sentence
    assert words in fader.sentence


def test_the_smallest_move_of_a_slider_changes_the_sentence(fader) -> None:
    for slider in (fader.image_noise, fader.sound_noise):
        for weights in WEIGHTS:
            fader.weights.value = weights
            sentence = fader.sentence
            slider.value += slider.step
            assert fader.sentence != sentence


def test_controls_that_return_bring_the_picture_back(fader) -> None:
    picture = fader.image.value
    fader.image_noise.value = 0.7
    fader.weights.value = "equal"
    fader.lost.value = "sound"
    fader.lost.value = "none"
    fader.weights.value = "own"
    fader.image_noise.value = 0.0
    assert fader.image.value == picture


def test_the_picture_is_that_of_the_controls_after_every_move(fader) -> None:
    fader.sound_noise.value = 1.0
    fader.button.click()
    fader.lost.value = "image"
    fresh = ModalityFader(MODEL, DIGITS, TONES, fader.reaction.fading)
    assert fader.image.value == fresh.image.value
    assert fader.audio.value == fresh.audio.value


def test_scenes_of_different_digits_alone_can_be_asked_for(fader) -> None:
    while not fader.reaction.scene.truth["match"]:
        fader.button.click()
    fader.scenes.value = "different"
    for _ in range(6):
        assert not fader.reaction.scene.truth["match"]
        picture = fader.image.value
        fader.button.click()
        assert fader.image.value != picture


def test_a_digit_has_its_article() -> None:
    assert [a_digit(digit) for digit in (1, 8)] == ["A 1", "An 8"]


def test_the_slider_of_a_lost_sense_is_off(fader) -> None:
    fader.lost.value = "sound"
    assert fader.sound_noise.disabled and not fader.image_noise.disabled
    fader.lost.value = "image"
    assert fader.image_noise.disabled and not fader.sound_noise.disabled
    fader.lost.value = "none"
    assert not fader.image_noise.disabled and not fader.sound_noise.disabled


def test_what_can_be_played_is_the_sound_with_its_noise(fader) -> None:
    clean = fader.audio.value
    fader.sound_noise.value = 2.0
    assert fader.audio.value != clean
    with wave.open(io.BytesIO(fader.audio.value)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getnframes()) == (RATE, 1, SAMPLES)
        samples = torch.frombuffer(bytearray(file.readframes(SAMPLES)), dtype=torch.int16).float()
    heard = fader.reaction.scene.wave
    assert torch.corrcoef(torch.stack([samples, heard]))[0, 1] > 0.999
    assert samples.abs().max() < 32767
    assert len(clean) < 20_000


def test_silence_can_be_played() -> None:
    with wave.open(io.BytesIO(wav_bytes(torch.zeros(SAMPLES)))) as file:
        assert set(file.readframes(SAMPLES)) == {0}


def test_before_it_is_run_a_reader_sees_picture_and_words(fader) -> None:
    data = fader._repr_mimebundle_()
    data = data[0] if isinstance(data, tuple) else data
    assert data["image/png"]
    assert re.match(r"Image with noise 0.00 and sound with noise 0.00\.", data["text/plain"])


@pytest.mark.parametrize(
    ("fading", "words"),
    [
        (Fading(image_noise=9), "noise on the image must be a number from 0 to 2, got 9"),
        (Fading(sound_noise=-1), "noise on the sound must be a number from 0 to 4, got -1"),
    ],
)
def test_noise_that_can_not_be_is_refused(fading, words) -> None:
    with pytest.raises(TraitError, match=words):
        ModalityFader(MODEL, DIGITS, TONES, fading)


def test_a_network_of_another_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="or CrossAttention, got Concatenation of image and so"):
        ModalityFader(network(Concatenation(2, 16)), DIGITS, TONES)
