"""The scene sampler shows what its sliders say, and never an old picture."""

from __future__ import annotations

import math

import pytest
import torch
from matplotlib.figure import Figure

from mtl_tutorial.data import Digits, load_digits, two_digits
from mtl_tutorial.plots import draw_scenes
from mtl_tutorial.widgets.scene_sampler import (
    KINDS,
    SCENES,
    TITLES,
    Knobs,
    SceneSampler,
    compute_scenes,
    describe_change,
    describe_sample,
    draw_sampler,
)


@pytest.fixture(scope="module")
def source() -> Digits:
    return load_digits("train")


def ink_sides(sample) -> torch.Tensor:
    x0, y0, x1, y1 = (28 * sample.batch.targets["box"]).unbind(1)
    return torch.maximum(x1 - x0, y1 - y0)


def test_the_same_setting_gives_the_same_scenes(source) -> None:
    first, second = (compute_scenes(source, Knobs()) for _ in range(2))
    assert torch.equal(first.batch.inputs, second.batch.inputs)
    assert len(first.batch) == SCENES


def test_noise_changes_the_pixels_and_no_right_answer(source) -> None:
    clean = compute_scenes(source, Knobs(noise=0)).batch
    noisy = compute_scenes(source, Knobs(noise=0.4)).batch
    assert not torch.equal(clean.inputs, noisy.inputs)
    assert clean.targets.keys() == {"digit", "box", "mask"}
    for name, target in clean.targets.items():
        assert torch.equal(target, noisy.targets[name])


def test_the_size_changes_boxes_and_keeps_digits(source) -> None:
    small = compute_scenes(source, Knobs(smallest=10, largest=10))
    large = compute_scenes(source, Knobs(smallest=24, largest=24))
    assert torch.equal(small.batch.targets["digit"], large.batch.targets["digit"])
    assert ink_sides(small).max() < ink_sides(large).min()
    assert small.box_share < large.box_share
    assert small.ink_share < large.ink_share


def test_shares_are_those_of_the_scenes(source) -> None:
    sample = compute_scenes(source, Knobs(sample=3))
    boxes = sample.batch.targets["box"].tolist()
    areas = [(x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in boxes]
    assert sample.box_share == pytest.approx(sum(areas) / SCENES, rel=1e-5)
    assert sample.ink_share == pytest.approx(sample.batch.targets["mask"].mean().item())


def test_never_looking_depends_on_kind_and_size_alone(source) -> None:
    first = compute_scenes(source, Knobs())
    same = compute_scenes(source, Knobs(sample=3, noise=0.4))
    large = compute_scenes(source, Knobs(smallest=26, largest=28))
    untouched = compute_scenes(source, Knobs("untouched"))
    assert first.blind_iou == same.blind_iou
    assert min(large.blind_iou, untouched.blind_iou) > first.blind_iou + 0.2


def test_two_digits_have_no_box_to_speak_of(source) -> None:
    sample = compute_scenes(source, Knobs("two"))
    assert sample.batch.targets.keys() == {"left", "right"}
    assert math.isnan(sample.box_share)
    assert "nan" not in describe_sample(sample).lower()


def test_two_digits_are_drawn_as_ink_on_paper_though_networks_get_them_normalised(source) -> None:
    pixels = 255 * compute_scenes(source, Knobs("two")).batch.inputs
    assert (pixels - pixels.round()).abs().max() < 1e-2
    assert (pixels == 0).float().mean() > 0.4 and len(pixels.round().unique()) > 100
    with pytest.raises(ValueError, match=r"must be 0 \(paper\) to 1 \(ink\), got -0.42 to 2.82"):
        draw_scenes(Figure(), two_digits("test").draw(12, torch.Generator().manual_seed(0)))


def test_an_unknown_kind_is_refused_with_its_neighbours() -> None:
    with pytest.raises(ValueError, match="did you mean 'located'"):
        Knobs("locatted")


@pytest.mark.parametrize("kind", KINDS)
def test_a_drawing_describes_what_it_shows(source, kind) -> None:
    figure = Figure(figsize=(9, 4))
    sample = compute_scenes(source, Knobs(kind))
    assert draw_sampler(figure, sample) == describe_sample(sample)
    (axes,) = figure.axes
    assert axes.get_title() == TITLES[kind]
    labels = [text.get_text() for text in axes.texts]
    names = [name for name in ("digit", "left", "right") if name in sample.batch.targets]
    true = zip(*(sample.batch.targets[name].tolist() for name in names), strict=True)
    assert labels == [" ".join(map(str, scene)) for scene in true]


MOVES = {
    "noise": (lambda w: setattr(w.noise, "value", 0.3), "Noise went from 0.10 to 0.30"),
    "size": (lambda w: setattr(w.size, "value", (9, 12)), "Digits of 9 to 12 px"),
    "two": (lambda w: setattr(w.kind, "value", "two"), "left, right"),
    "untouched": (lambda w: setattr(w.kind, "value", "untouched"), "digit, box"),
    "new": (lambda w: w.button.click(), "New digits and places"),
}


@pytest.fixture
def sampler() -> SceneSampler:
    return SceneSampler()


@pytest.mark.parametrize("move", MOVES)
def test_every_control_changes_picture_and_sentence(sampler, move) -> None:
    act, words = MOVES[move]
    picture, sentence = sampler.image.value, sampler.sentence
    act(sampler)
    assert sampler.image.value != picture
    assert sampler.sentence != sentence
    assert words in sampler.sentence


def test_a_slider_that_returns_brings_its_picture_back(sampler) -> None:
    picture = sampler.image.value
    sampler.noise.value = 0.5
    sampler.size.value = (8, 28)
    sampler.noise.value = 0.1
    sampler.size.value = (14, 22)
    assert sampler.image.value == picture


def test_the_picture_is_that_of_the_controls_after_every_move(sampler) -> None:
    for kind in ("two", "located", "untouched", "located"):
        sampler.kind.value = kind
        assert sampler.sample.knobs.kind == kind
    sampler.size.value = (9, 10)
    fresh = SceneSampler(knobs=sampler.sample.knobs)
    assert sampler.image.value == fresh.image.value


def test_sliders_without_effect_are_off(sampler) -> None:
    sampler.kind.value = "two"
    assert sampler.noise.disabled
    assert sampler.size.disabled
    sampler.kind.value = "located"
    assert not sampler.noise.disabled
    assert not sampler.size.disabled


def test_new_scenes_differ_each_time(sampler) -> None:
    pictures = {sampler.image.value}
    for _ in range(3):
        sampler.button.click()
        pictures.add(sampler.image.value)
    assert len(pictures) == 4


def test_before_it_is_run_a_reader_sees_picture_and_words(sampler) -> None:
    data = sampler._repr_mimebundle_()
    data = data[0] if isinstance(data, tuple) else data
    assert data["image/png"]
    assert data["text/plain"].startswith("Digits of 14 to 22 px, noise 0.10.")


def test_an_unknown_source_is_refused() -> None:
    with pytest.raises(ValueError, match="digit source"):
        SceneSampler("mnits")


def test_the_change_is_told_from_the_scene_before(source) -> None:
    before = compute_scenes(source, Knobs())
    assert describe_change(before, before) == ""
    after = compute_scenes(source, Knobs(smallest=8, largest=9))
    told = describe_change(before, after)
    assert f"{before.box_share:.0%}" in told
    assert f"{after.box_share:.0%}" in told
