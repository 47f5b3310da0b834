"""Two overlapping digits are composed by the published recipe, and by the older one on request."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as F
from torchvision import transforms

from mtl_tutorial.data import TWO_DIGITS_RECIPE, Digits, load_digits, to_pixels, two_digits


@pytest.fixture(params=["embedded", "mnist"])
def source(request) -> str:
    if request.param != "embedded":
        request.getfixturevalue("real_data")
    return request.param


def seed(number: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(number)


def published(left: np.ndarray, right: np.ndarray) -> torch.Tensor:
    """One scene, made by the tools of the source: NumPy, PIL and torchvision's transforms."""
    canvas = np.zeros((36, 36), np.uint8)
    canvas[:28, :28] = left
    canvas[6:34, 6:34] = np.maximum(canvas[6:34, 6:34], right)
    image = Image.fromarray(canvas).resize((28, 28), Image.Resampling.NEAREST)
    steps = [transforms.ToTensor(), transforms.Normalize((0.1307,), (0.3081,))]
    return transforms.Compose(steps)(image)


def partners(scenes) -> torch.Tensor:
    """The number of each digit's right digit, found by its scene."""
    return torch.randint(len(scenes), (len(scenes),), generator=seed())


def test_scenes_equal_those_of_pil_and_torchvision_bit_for_bit(source) -> None:
    scenes = two_digits("test", digits=source)
    index = torch.arange(0, len(scenes), len(scenes) // 90)
    batch, other = scenes.compose(index, seed()), partners(scenes)[index]
    images = scenes.digits.images[:, 0].numpy()
    for left, right, scene in zip(index.tolist(), other.tolist(), batch.inputs, strict=True):
        assert torch.equal(scene, published(images[left], images[right]))
    assert torch.equal(batch.targets["left"], scenes.digits.labels[index])
    assert torch.equal(batch.targets["right"], scenes.digits.labels[other])


def test_nearest_picks_another_pixel_than_pil_at_640_of_784_places() -> None:
    numbers = torch.arange(36 * 36, dtype=torch.int32).view(36, 36)
    pil = Image.fromarray(numbers.numpy()).resize((28, 28), Image.Resampling.NEAREST)
    for mode, wrong in (("nearest", 640), ("nearest-exact", 0)):
        ours = F.interpolate(numbers[None, None].float(), size=28, mode=mode)[0, 0]
        assert (ours != torch.from_numpy(np.array(pil))).sum() == wrong


def test_an_epoch_visits_each_pair_once_and_every_epoch_has_the_same_pairs() -> None:
    scenes = two_digits("validation")
    first, second = (
        sorted(
            image.numpy().tobytes()
            for batch in scenes.epoch(100, seed(s))
            for image in batch.inputs
        )
        for s in (0, 1)
    )
    assert first == second
    assert len(set(first)) == len(scenes) == 359


def test_every_scenes_of_a_split_have_the_same_pairs_unless_a_generator_draws_others() -> None:
    index = torch.arange(359)
    same, again, seeded, other = (
        two_digits("validation", generator=generator).compose(index, seed()).targets["right"]
        for generator in (None, None, seed(0), seed(1))
    )
    assert torch.equal(same, again) and torch.equal(same, seeded)
    assert (same != other).float().mean() > 0.8


def test_draws_are_pairs_with_replacement() -> None:
    scenes = two_digits("validation")
    drawn = scenes.draw(2000, seed(3)).inputs
    pairs = {image.numpy().tobytes() for image in drawn}
    (whole,) = scenes.epoch(359, seed())
    assert pairs <= {image.numpy().tobytes() for image in whole.inputs}
    assert len(pairs) > 340


def test_right_digits_are_drawn_from_the_whole_split() -> None:
    scenes = two_digits("train", generator=seed(5))
    right = scenes.compose(torch.arange(len(scenes)), seed()).targets["right"]
    shares = right.bincount(minlength=10) / len(scenes)
    expected = scenes.digits.labels.bincount(minlength=10) / len(scenes)
    assert (shares - expected).abs().max() < 0.04
    same = (right == scenes.digits.labels).float().mean()
    assert same.item() == pytest.approx(0.1, abs=0.03)


def test_pixels_of_a_picture_are_those_before_normalisation() -> None:
    batch = two_digits("test").draw(50, seed())
    assert batch.inputs.min().item() == pytest.approx(-0.1307 / 0.3081)
    assert batch.inputs.max().item() == pytest.approx((1 - 0.1307) / 0.3081)
    pixels = to_pixels(batch.inputs)
    assert (pixels * 255 - (pixels * 255).round()).abs().max() < 1e-3
    assert pixels.min() == 0 and pixels.max().item() == pytest.approx(1)


def test_recipe_1_is_the_one_that_made_results_without_a_recipe() -> None:
    digits = load_digits("test")
    scenes, index = two_digits("test", digits=digits, recipe=1), torch.tensor([0, 7, 99, 259, 358])
    partner = torch.randint(360, (5,), generator=seed(3))
    canvas = torch.zeros(5, 1, 36, 36)
    canvas[..., :28, :28] = digits.images[index] / 255
    canvas[..., 6:34, 6:34] = canvas[..., 6:34, 6:34].maximum(digits.images[partner] / 255)
    batch = scenes.compose(index, seed(3))
    rows = torch.arange(28) * 36 // 28
    assert torch.equal(batch.inputs, canvas[..., rows, :][..., rows])
    assert torch.equal(batch.targets["right"], digits.labels[partner])
    again = scenes.compose(index, seed(4))
    assert not torch.equal(batch.inputs, again.inputs)
    assert torch.equal(batch.targets["left"], again.targets["left"])


def test_the_newest_recipe_is_the_one_that_nobody_has_to_name() -> None:
    drawn = [two_digits("test", **how).draw(9, seed()) for how in ({}, {"recipe": 2})]
    assert TWO_DIGITS_RECIPE == 2
    assert torch.equal(drawn[0].inputs, drawn[1].inputs)


@pytest.mark.parametrize("recipe", [0, 3, "2", True, None])
def test_an_unknown_recipe_is_refused(recipe) -> None:
    with pytest.raises(ValueError, match=f"recipe of two_digits must be 1 or 2, got {recipe!r}"):
        two_digits("test", recipe=recipe)


def test_a_generator_that_would_not_be_used_is_refused() -> None:
    with pytest.raises(ValueError, match="recipe 1 .* leave generator out"):
        two_digits("test", recipe=1, generator=seed())


def test_a_seed_in_place_of_a_generator_is_refused() -> None:
    with pytest.raises(ValueError, match=r"must be a torch.Generator, got 3"):
        two_digits("test", generator=3)


@pytest.mark.parametrize("recipe", [1, 2])
def test_digits_of_another_size_are_refused(recipe) -> None:
    digits = Digits(torch.full((4, 1, 32, 32), 255, dtype=torch.uint8), torch.arange(4), "test")
    with pytest.raises(ValueError, match=r"needs images of 28x28, got \(4, 1, 32, 32\)"):
        two_digits("test", digits=digits, recipe=recipe)


@pytest.mark.parametrize("recipe", [1, 2])
@pytest.mark.parametrize(
    "copied", [copy.deepcopy, lambda scenes: pickle.loads(pickle.dumps(scenes))]
)
def test_copies_give_the_same_scenes(recipe, copied) -> None:
    scenes = two_digits("test", recipe=recipe)
    one, other = scenes.draw(20, seed(1)), copied(scenes).draw(20, seed(1))
    assert torch.equal(one.inputs, other.inputs)
    assert torch.equal(one.targets["right"], other.targets["right"])
