"""Scenes for two senses have the right answers, and only noise moves what is seen and heard."""

from __future__ import annotations

import copy
import math
import pickle

import pytest
import torch

from mtl_tutorial.data import (
    Digits,
    Sounds,
    dial_tones,
    gallery,
    load_digits,
    log_mel,
    seen_and_heard,
)
from mtl_tutorial.data.digits import SPLITS
from mtl_tutorial.data.sound import SAMPLES

TONES = dial_tones("validation")


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def scenes(**options):
    return seen_and_heard("validation", sound=TONES, **options)


def labelled_tones() -> Sounds:
    """Sounds that tell, by their first samples, which digit and speaker they are."""
    waves = torch.zeros(10, 6, 3, SAMPLES)
    for d in range(10):
        for s in range(6):
            tone = torch.sin(torch.arange(SAMPLES) * (0.05 + 0.02 * (6 * d + s)))
            waves[d, s] = tone
    return Sounds(waves, tuple("abcdef"), "validation")


def test_inputs_and_targets_have_the_promised_shapes_and_types() -> None:
    batch = scenes(image_noise=(0, 1), sound_noise=(0, 4)).draw(9, generator())
    assert {name: tuple(x.shape) for name, x in batch.inputs.items()} == {
        "image": (9, 1, 28, 28),
        "sound": (9, 1, 32, 32),
    }
    assert all(x.dtype == torch.float32 for x in batch.inputs.values())
    assert batch.inputs["image"].min() >= 0 and batch.inputs["image"].max() <= 1
    assert [task.name for task in scenes().tasks] == list(batch.targets)
    assert all(y.dtype == torch.int64 and y.shape == (9,) for y in batch.targets.values())


def test_the_sound_is_that_of_the_speaker_and_of_the_digit_that_match_and_sum_tell() -> None:
    tones = labelled_tones()
    batch = seen_and_heard("validation", sound=tones).draw(200, generator())
    heard = batch.targets["sum"] - batch.targets["digit"]
    expected = log_mel(tones.waves[heard, batch.targets["speaker"], 0])
    assert torch.allclose(batch.inputs["sound"], expected, atol=1e-4)
    assert torch.equal(batch.targets["match"] == 1, heard == batch.targets["digit"])


def test_the_image_is_that_of_the_digit() -> None:
    digits = load_digits("validation")
    batch = scenes(digits=digits).compose(torch.arange(20), generator())
    assert torch.equal(batch.inputs["image"], digits.images[:20] / 255)
    assert torch.equal(batch.targets["digit"], digits.labels[:20])


def test_half_of_the_sounds_match_and_every_other_digit_comes_equally_often() -> None:
    stream = scenes().stream(2_000, generator())
    parts = [next(stream).targets for _ in range(10)]
    targets = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
    assert targets["match"].float().mean().item() == pytest.approx(0.5, abs=0.015)
    heard = targets["sum"] - targets["digit"]
    shift = (heard - targets["digit"]) % 10
    counts = shift[shift > 0].bincount(minlength=10)[1:] / (shift > 0).sum()
    assert torch.allclose(counts, torch.tensor(1 / 9), atol=0.015)
    assert heard.min() == 0 and heard.max() == 9
    speakers = targets["speaker"].bincount(minlength=6) / len(heard)
    assert torch.allclose(speakers, torch.tensor(1 / 6), atol=0.015)


@pytest.mark.parametrize(("matching", "share"), [(0.0, 0.0), (1.0, 1.0)])
def test_matching_at_its_ends_is_never_and_always(matching: float, share: float) -> None:
    batch = scenes(matching=matching).draw(64, generator())
    assert batch.targets["match"].float().mean() == share


def test_noise_on_one_sense_leaves_the_other_and_the_answers() -> None:
    clean = scenes().draw(16, generator())
    for name, other in (("image", "sound"), ("sound", "image")):
        noisy = scenes(**{f"{name}_noise": (0.5, 0.5)}).draw(16, generator())
        assert not torch.equal(noisy.inputs[name], clean.inputs[name])
        assert torch.equal(noisy.inputs[other], clean.inputs[other])
        assert all(torch.equal(noisy.targets[t], clean.targets[t]) for t in clean.targets)


def test_noise_on_the_wave_has_its_deviation_in_units_of_the_sound() -> None:
    silent = Sounds(torch.zeros(10, 6, 1, SAMPLES), tuple("abcdef"), "validation")
    for deviation in (0.5, 2.0):
        sound = seen_and_heard("validation", sound=silent, sound_noise=(deviation, deviation)).draw(
            32, generator()
        )
        heard = sound.inputs["sound"]
        power = 10 ** (2.5 * heard[:, 0, 4:-2, 2:-2] - 0.5)
        base = 10 ** (2.5 * log_mel(torch.randn(32, SAMPLES, generator=generator()))[:, 0] - 0.5)
        ratio = power.mean() / base[:, 4:-2, 2:-2].mean()
        assert ratio.item() == pytest.approx(deviation**2, rel=0.05)


def test_every_scene_draws_its_own_noise_from_the_range() -> None:
    grey = Digits(torch.full((4, 1, 28, 28), 128, dtype=torch.uint8), torch.arange(4), "validation")
    noisy = scenes(digits=grey, image_noise=(0.02, 0.1)).draw(300, generator())
    deviations = noisy.inputs["image"].std((1, 2, 3))
    assert 0.017 < deviations.min() < 0.03 and 0.09 < deviations.max() < 0.11


def test_the_same_generator_gives_the_same_scenes_and_the_global_one_stays() -> None:
    source = scenes(image_noise=(0, 1), sound_noise=(0, 4))
    before = torch.get_rng_state()
    first, second = source.draw(8, generator(3)), source.draw(8, generator(3))
    third = source.draw(8, generator(4))
    assert torch.equal(torch.get_rng_state(), before)
    for name, x in first.inputs.items():
        assert torch.equal(x, second.inputs[name])
        assert not torch.equal(x, third.inputs[name])


def test_splits_share_no_image_and_no_recording() -> None:
    images: list[bytes] = []
    for split in SPLITS:
        source = seen_and_heard(split)
        batch = next(source.epoch(2000, generator()))
        images += {image.numpy().tobytes() for image in batch.inputs["image"]}
        assert source.digits.split == split
    assert len(images) == len(set(images)) == 1797


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"image_noise": (0.5, 0.1)}, "image_noise must be"),
        ({"image_noise": (-0.1, 0.1)}, "image_noise must be"),
        ({"sound_noise": (0, float("inf"))}, "sound_noise must be"),
        ({"sound_noise": (0, 1e30)}, "sound_noise must be 0 ≤ least ≤ greatest ≤ 1e"),
        ({"image_noise": (math.nan, 1)}, "image_noise must be 0"),
        ({"image_noise": 0.5}, "image_noise must be two numbers, the least and the greatest"),
        ({"sound_noise": None}, "sound_noise must be two numbers"),
        ({"matching": math.nan}, "matching must be a probability"),
        ({"matching": "0.5"}, "matching must be a probability"),
        ({"sound": None}, "sound must be the name of a source or a Sounds object, got NoneType"),
        ({"digits": torch.zeros(2)}, "digits must be the name of a source or a Digits object"),
        ({"matching": 1.5}, "matching must be a probability"),
        ({"sound": "tone"}, "did you mean 'tones'"),
        ({"digits": "minst"}, "did you mean 'mnist'"),
        ({"sound": dial_tones("test")}, "sounds handed in are of split 'test', but"),
        ({"digits": load_digits("train")}, "of split 'train', but 'validation'"),
    ],
)
def test_what_does_not_fit_is_refused(options, words) -> None:
    with pytest.raises(ValueError, match=words):
        seen_and_heard("validation", **options)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_scenes_on_a_gpu_are_those_on_the_cpu() -> None:
    options = {"image_noise": (0, 1), "sound_noise": (0, 4)}
    here = seen_and_heard("test", **options).draw(8, generator())
    there = seen_and_heard("test", **options, device="cuda").draw(8, generator())
    for name, x in here.inputs.items():
        assert torch.allclose(x, there.inputs[name].cpu(), atol=1e-3)


def test_kept_scenes_come_again_with_their_answers() -> None:
    kept = scenes(image_noise=(0, 1), sound_noise=(0, 4)).keep(300, generator())
    assert len(kept) == 300
    (whole,) = kept.epoch(300, generator(1))
    again = kept.draw(50, generator(2))
    rows = {x.numpy().tobytes(): i for i, x in enumerate(whole.inputs["sound"])}
    for i, x in enumerate(again.inputs["sound"]):
        place = rows[x.numpy().tobytes()]
        assert torch.equal(again.inputs["image"][i], whole.inputs["image"][place])
        assert all(again.targets[t][i] == whole.targets[t][place] for t in whole.targets)


def test_kept_scenes_know_their_digits_and_split() -> None:
    kept = scenes().keep(40, generator())
    batch = kept.compose(torch.arange(40), generator(9))
    assert torch.equal(batch.targets["digit"], kept.digits.labels)
    assert torch.equal(batch.inputs["image"], kept.digits.images / 255)
    assert (kept.digits.split, kept.tasks) == ("validation", scenes().tasks)


def test_more_speakers_than_the_task_has_classes_are_refused() -> None:
    waves = TONES.waves[:, [0, 1, 2, 3, 4, 5, 0]]
    crowd = Sounds(waves, tuple("abcdefg"), "validation")
    with pytest.raises(
        ValueError, match="at most 6 speakers, the classes of task 'speaker', got 7"
    ):
        seen_and_heard("validation", sound=crowd)
    pair = Sounds(TONES.waves[:, :2], ("a", "b"), "validation")
    targets = seen_and_heard("validation", sound=pair).draw(50, generator()).targets
    assert targets["speaker"].unique().tolist() == [0, 1]


@pytest.mark.parametrize("present", [[3], [0, 9]])
def test_digits_that_lack_a_class_hear_all_ten(present) -> None:
    digits = load_digits("validation")
    some = torch.isin(digits.labels, torch.tensor(present))
    few = Digits(digits.images[some], digits.labels[some], "validation")
    targets = scenes(digits=few).draw(2000, generator()).targets
    assert targets["digit"].unique().tolist() == present
    assert (targets["sum"] - targets["digit"]).unique().tolist() == list(range(10))
    assert targets["match"].float().mean().item() == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("kept", [False, True])
@pytest.mark.parametrize(
    "copied", [copy.deepcopy, lambda source: pickle.loads(pickle.dumps(source))]
)
def test_copies_give_the_same_scenes(kept, copied) -> None:
    source = scenes(image_noise=(0, 1), sound_noise=(0, 4))
    source = source.keep(30, generator(1)) if kept else source
    one, other = source.draw(8, generator(2)), copied(source).draw(8, generator(2))
    for name, x in one.inputs.items():
        assert torch.equal(x, other.inputs[name])
    assert all(torch.equal(y, other.targets[name]) for name, y in one.targets.items())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_digits_and_sounds_on_two_devices_are_refused() -> None:
    digits = load_digits("validation", device="cuda")
    with pytest.raises(ValueError, match="must be on one device, got cuda:0 and cpu"):
        scenes(digits=digits)


def test_a_gallery_has_one_scene_of_each_digit_in_order() -> None:
    matched = scenes(matching=1.0)
    first, second = (gallery(matched, generator(seed)) for seed in (0, 1))
    assert first.targets["digit"].tolist() == list(range(10))
    assert first.targets["match"].all()
    assert not torch.equal(first.inputs["image"], second.inputs["image"])
