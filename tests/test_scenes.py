from __future__ import annotations

import contextlib
import copy
import itertools
import math
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mtl_tutorial.data import (
    Digits,
    Scenes,
    load_digits,
    located_digits,
    seen_and_heard,
    two_digits,
    untouched_digits,
    with_few_labels,
)
from mtl_tutorial.data.scenes import _grid, is_ink, resample, tight_boxes
from mtl_tutorial.data.sound import mel_filters
from mtl_tutorial.tasks import Batch, has_label, map_batches

UNHURRIED = settings(deadline=None, max_examples=30)
SOURCES = ("embedded", "mnist", "fashion")
MAKERS = (located_digits, untouched_digits, two_digits)


@pytest.fixture
def source(request):
    """The name of a digit source whose files are there."""
    if request.param != "embedded":
        request.getfixturevalue("real_data")
    return request.param


every_source = pytest.mark.parametrize("source", SOURCES, indirect=True)
digit_sources = pytest.mark.parametrize("source", SOURCES[:2], indirect=True)
every_maker = pytest.mark.parametrize("maker", MAKERS)


def seed(number):
    return torch.Generator().manual_seed(number)


def assert_same(one, other):
    assert torch.equal(one.inputs, other.inputs)
    assert one.targets.keys() == other.targets.keys()
    assert all(torch.equal(one.targets[name], other.targets[name]) for name in one.targets)


def slow_box(ink):
    rows, columns = np.nonzero(ink)
    return [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]


# ink, boxes and sampling


@UNHURRIED
@given(st.integers(1, 6), st.integers(1, 6), st.data())
def test_tight_boxes_are_the_least_and_greatest_ink_of_each_image(height, width, data):
    pixel = st.integers(0, 255)
    values = st.lists(pixel, min_size=height * width, max_size=height * width).filter(any)
    image = np.array(data.draw(values), np.uint8).reshape(height, width)
    ink = 10 * image.astype(int) > 3 * int(image.max())
    batch = torch.from_numpy(image)[None]
    assert is_ink(batch)[0].tolist() == ink.tolist()
    assert tight_boxes(is_ink(batch))[0].tolist() == slow_box(ink)


def test_an_image_without_ink_has_no_box():
    ink = torch.zeros(3, 5, 4, dtype=torch.bool)
    ink[1, 2, 3] = True
    boxes = tight_boxes(ink)
    assert boxes[1].tolist() == [3, 2, 4, 3]
    assert boxes[[0, 2]].isnan().all()


@every_source
def test_ink_does_not_depend_on_the_unit_of_brightness(source):
    images = load_digits("test", digits=source).images[:500, 0]
    assert torch.equal(is_ink(images), is_ink(images.float() / 255))


def slow_resample(image, start, step, size):
    height, width = len(image), len(image[0])
    result = [[0.0] * size for _ in range(size)]
    for row, column in itertools.product(range(size), repeat=2):
        x = start[0] + (column + 0.5) * step[0] - 0.5  # the centre of pixel 0 lies at 1/2
        y = start[1] + (row + 0.5) * step[1] - 0.5
        for r in (math.floor(y), math.floor(y) + 1):
            for c in (math.floor(x), math.floor(x) + 1):
                if 0 <= r < height and 0 <= c < width:
                    result[row][column] += (1 - abs(y - r)) * (1 - abs(x - c)) * image[r][c]
    return result


@UNHURRIED
@given(st.data(), st.integers(1, 6), st.integers(1, 6), st.integers(1, 6))
def test_resample_equals_bilinear_interpolation_pixel_by_pixel(data, height, width, size):
    number = st.floats(0, 1, width=32)
    place = st.tuples(st.floats(-4, 4, width=32), st.floats(-4, 4, width=32))
    scale = st.tuples(st.floats(0.25, 3, width=32), st.floats(0.25, 3, width=32))
    row = st.lists(number, min_size=width, max_size=width)
    images, starts, steps = [], [], []
    for _ in range(2):
        images.append(data.draw(st.lists(row, min_size=height, max_size=height)))
        starts.append(data.draw(place))
        steps.append(data.draw(scale))
    fast = resample(torch.tensor(images)[:, None], torch.tensor(starts), torch.tensor(steps), size)
    slow = [
        slow_resample(*arguments, size) for arguments in zip(images, starts, steps, strict=True)
    ]
    assert fast[:, 0].numpy() == pytest.approx(np.array(slow), abs=1e-4)


@every_source
def test_resample_by_nothing_gives_the_image_back(source):
    images = load_digits("test", digits=source).images[:500]
    same = resample(
        images.float() / 255, torch.zeros(len(images), 2), torch.ones(len(images), 1), 28
    )
    assert torch.equal((same * 255).round().to(torch.uint8), images)


# what every kind of scene promises


@every_maker
def test_the_same_generator_gives_the_same_scenes(maker):
    scenes = maker("validation")
    assert_same(scenes.draw(50, seed(3)), scenes.draw(50, seed(3)))
    assert_same(scenes.draw(50, seed(3)), maker("validation").draw(50, seed(3)))
    index = torch.arange(40)
    assert_same(scenes.compose(index, seed(5)), scenes.compose(index, seed(5)))


@every_maker
def test_different_generators_give_different_scenes(maker):
    scenes = maker("validation")
    assert not torch.equal(scenes.draw(50, seed(3)).inputs, scenes.draw(50, seed(4)).inputs)


@every_maker
def test_scenes_use_only_the_generator_handed_in(maker):
    scenes = maker("validation")
    before = torch.get_rng_state()
    scenes.draw(20, seed(0))
    next(scenes.epoch(20, seed(0)))
    assert torch.equal(before, torch.get_rng_state())


@every_maker
def test_scenes_have_a_target_of_the_right_shape_for_each_task(maker):
    scenes = maker("test")
    batch = scenes.draw(17, seed(0))
    assert len(batch) == 17
    assert batch.inputs.shape == (17, 1, 28, 28)
    assert batch.inputs.dtype == torch.float32
    if maker is not two_digits:  # which are normalised
        assert 0 <= batch.inputs.min() and batch.inputs.max() <= 1
    assert list(batch.targets) == [task.name for task in scenes.tasks]
    for task in scenes.tasks:
        guess = torch.zeros(17, task.out_features)
        assert task.loss(guess, batch.targets[task.name]).ndim == 0
        assert 0 <= task.metric(guess, batch.targets[task.name]) <= 1


@every_maker
def test_scenes_promise_that_no_label_is_missing_and_kept_ones_too(maker):
    scenes = maker("test")
    for batch in (scenes.draw(4, seed(0)), scenes.keep(4, seed(0)).draw(4, seed(0))):
        assert batch.complete


def test_a_dash_so_thin_that_it_falls_between_the_samples_is_promised_nothing():
    images = torch.zeros(1, 1, 28, 28, dtype=torch.uint8)
    images[0, 0, 14] = 255
    dash = Digits(images, torch.zeros(1, dtype=torch.long), "test")
    coarse = located_digits("test", digits=dash, extent=(8, 8), noise=0).draw(200, seed(0))
    lost = coarse.inputs.amax((1, 2, 3)) == 0
    assert 0 < lost.sum() < 200 and not coarse.complete
    assert torch.equal(has_label(coarse.targets["box"]), ~lost)
    fine = located_digits("test", digits=dash, extent=(14, 14), noise=0).draw(200, seed(0))
    assert has_label(fine.targets["box"]).all() and fine.complete


@every_maker
def test_labels_are_those_of_the_digits_asked_for(maker):
    scenes = maker("test")
    index = torch.tensor([5, 3, 3, 359, 0])
    targets = scenes.compose(index, seed(0)).targets
    assert torch.equal(targets.get("digit", targets.get("left")), scenes.digits.labels[index])


@every_maker
@pytest.mark.parametrize(
    ("choice", "named"),
    [({"digits": "minst"}, "'minst'"), ({"device": "cuda:99"}, "'cuda:99'")],
)
def test_a_wrong_choice_is_named(maker, choice, named):
    with pytest.raises(ValueError, match=named):
        maker("train", **choice)


@every_maker
def test_an_unknown_split_is_named(maker):
    with pytest.raises(ValueError, match="split must be one of .*'training'"):
        maker("training")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
@every_maker
def test_a_cpu_generator_gives_the_same_scenes_on_a_gpu(maker):
    here, there = maker("test").draw(64, seed(0)), maker("test", device="cuda").draw(64, seed(0))
    assert there.inputs.is_cuda
    assert torch.allclose(here.inputs, there.inputs.cpu(), atol=1e-5)
    for name, target in here.targets.items():
        same = torch.isclose(target.float(), there.targets[name].cpu().float(), atol=1e-5)
        assert same.float().mean() > 0.99, name  # an edge may fall on the other side of a rounding


@contextlib.contextmanager
def default_type(dtype):
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    yield
    torch.set_default_dtype(before)


@pytest.mark.parametrize("maker", [*MAKERS, seen_and_heard])
@pytest.mark.parametrize("default", [torch.float64, torch.device("meta")])
def test_scenes_do_not_depend_on_torchs_defaults(maker, default):
    usual = maker("test").draw(8, seed(0))
    for cache in (_grid, mel_filters):
        cache.cache_clear()
    with default if isinstance(default, torch.device) else default_type(default):
        unusual = with_few_labels(maker("test"), {}, seed(1)).draw(8, seed(0))
    near = map_batches(lambda one, other: (one - other).abs().max() < 1e-3, usual, unusual)
    assert all(near.targets.values())
    assert all(near.inputs.values()) if maker is seen_and_heard else near.inputs


def numbered():
    """Scenes that answer with the numbers of the digits drawn."""
    digits = load_digits("validation")
    return Scenes((), digits, lambda index, generator: Batch(index, {"number": index}))


@pytest.mark.parametrize("batch_size", [1, 64, 359, 1000])
def test_an_epoch_visits_each_digit_once(batch_size):
    batches = list(numbered().epoch(batch_size, seed(0)))
    numbers = torch.cat([batch.inputs for batch in batches])
    assert numbers.sort().values.tolist() == list(range(359))
    assert all(len(batch) == batch_size for batch in batches[:-1])


def test_two_epochs_differ_in_their_order():
    generator = seed(0)
    first, second = (next(numbered().epoch(359, generator)).inputs for _ in range(2))
    assert not torch.equal(first, second)


def test_a_stream_goes_on_after_every_digit_was_drawn_and_never_repeats_a_batch():
    batches = list(itertools.islice(numbered().stream(100, seed(0)), 40))
    assert len({tuple(batch.inputs.tolist()) for batch in batches}) == 40
    assert set().union(*(batch.inputs.tolist() for batch in batches)) == set(range(359))


def test_a_stream_is_a_series_of_draws():
    scenes, generator = located_digits("test"), seed(1)
    for batch in itertools.islice(scenes.stream(8, seed(1)), 3):
        assert_same(batch, scenes.draw(8, generator))


@pytest.mark.parametrize("size", [0, -1, 3.0, True, "3", None])
def test_what_is_no_number_of_scenes_is_refused(size):
    scenes, rule = numbered(), f"must be a whole number of scenes from 1 on, got {size!r}"
    for draw in (scenes.draw, scenes.keep):
        with pytest.raises(ValueError, match=f"count {rule}"):
            draw(size, seed(0))
    for batches in (scenes.stream, scenes.epoch):
        with pytest.raises(ValueError, match=f"batch_size {rule}"):
            next(batches(size, seed(0)))


@pytest.mark.parametrize("generator", [0, None, np.random.default_rng(0)])
def test_what_is_no_generator_is_refused(generator):
    scenes = located_digits("test")
    for draw in (scenes.draw, scenes.keep, lambda *how: next(scenes.stream(*how))):
        with pytest.raises(ValueError, match=r"generator must be a torch.Generator, got"):
            draw(4, generator)
    with pytest.raises(ValueError, match=r"torch.Generator\(\).manual_seed\(0\) makes one"):
        next(scenes.epoch(4, generator))


def through_a_file(scenes):
    return pickle.loads(pickle.dumps(scenes))


@every_maker
@pytest.mark.parametrize("kept", [False, True])
@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, through_a_file])
def test_copies_of_scenes_give_the_same_scenes(maker, kept, copied):
    scenes = maker("test").keep(30, seed(1)) if kept else maker("test")
    again = copied(scenes)
    assert again.tasks == scenes.tasks and len(again) == len(scenes)
    assert_same(again.draw(20, seed(2)), scenes.draw(20, seed(2)))


@every_maker
def test_scenes_digits_and_sounds_can_be_compared(maker):
    scenes = maker("test")
    assert scenes == scenes and scenes != maker("test")
    assert scenes.digits != load_digits("test")


@every_maker
def test_kept_scenes_are_as_many_as_asked_for_and_each_comes_once_an_epoch(maker):
    kept = maker("test").keep(300, seed(0))
    assert len(kept) == 300
    whole = kept.compose(torch.arange(300), seed(1))
    (epoch,) = kept.epoch(300, seed(2))
    names = sorted(image.numpy().tobytes() for image in whole.inputs)
    assert names == sorted(image.numpy().tobytes() for image in epoch.inputs)
    assert_same(kept.keep(40, seed(3)).compose(torch.arange(40), seed(0)), kept.draw(40, seed(3)))


def test_length_of_scenes_is_their_number_of_digits():
    assert len(located_digits("test")) == 360


# located digits


@every_source
def test_the_mask_of_a_clean_scene_is_its_ink_and_its_box_is_tight_around_it(source):
    batch = located_digits("test", digits=source, noise=0).draw(200, seed(0))
    for image, mask, box in zip(
        batch.inputs[:, 0].numpy(),
        batch.targets["mask"].numpy(),
        batch.targets["box"].numpy(),
        strict=True,
    ):
        ink = image > 0.3 * image.max()
        assert np.array_equal(mask, ink)
        assert box * 28 == pytest.approx(slow_box(ink), abs=1e-4)


def test_noise_changes_the_image_alone():
    clean, noisy = (located_digits("test", noise=noise).draw(64, seed(0)) for noise in (0, 0.1))
    assert all(torch.equal(clean.targets[name], noisy.targets[name]) for name in clean.targets)
    inside = (clean.inputs > 0.3) & (clean.inputs < 0.7)  # where clamping does not bite
    difference = (noisy.inputs - clean.inputs)[inside]
    assert difference.std().item() == pytest.approx(0.1, rel=0.1)
    assert abs(difference.mean().item()) < 0.01


def test_clean_scenes_are_paper_away_from_the_digit():
    batch = located_digits("test", noise=0, extent=(14, 14)).draw(64, seed(0))
    assert (batch.inputs == 0).float().mean() > 0.5


@digit_sources
@pytest.mark.parametrize("extent", [(8, 8), (14, 22), (20, 20), (28, 28)])
def test_the_longer_side_of_a_digit_lies_within_the_extent(source, extent):
    boxes = located_digits("test", digits=source, extent=extent).draw(1000, seed(0)).targets["box"]
    longer = ((boxes[:, 2:] - boxes[:, :2]).amax(1) * 28).round()
    assert longer.min() >= extent[0] - 2
    assert longer.max() <= min(extent[1] + 2, 28)


@pytest.mark.parametrize("size", [20, 28, 40])
def test_digits_of_every_size_come_at_every_place(size):
    low, high = 10, 18
    boxes = located_digits("test", size=size, extent=(low, high)).draw(4000, seed(0))
    boxes = boxes.targets["box"] * size
    longer = (boxes[:, 2:] - boxes[:, :2]).amax(1)
    share, _ = longer.histogram(bins=4, range=(low, high))
    assert share.min() > 0.15 * share.sum()
    assert boxes[:, :2].amin(0).tolist() == [0, 0]
    assert boxes[:, 2:].amax(0).tolist() == [size, size]
    left, right = boxes[:, 0], size - boxes[:, 2]
    assert left.mean().item() == pytest.approx(right.mean().item(), rel=0.1)


@digit_sources
@pytest.mark.parametrize("extent", [(14, 22), (28, 28)])
def test_digits_lie_wholly_in_the_image(source, extent):
    scenes = located_digits("test", digits=source, noise=0, extent=extent)
    index = torch.arange(300)
    batch = scenes.compose(index, seed(0))
    sides = batch.targets["box"] * 28
    source_boxes = tight_boxes(is_ink(scenes.digits.images[index, 0]))
    scale = ((sides[:, 2:] - sides[:, :2]) / (source_boxes[:, 2:] - source_boxes[:, :2])).prod(1)
    ink_before = is_ink(scenes.digits.images[index, 0]).float().sum((1, 2))
    ratio = batch.targets["mask"].sum((1, 2)) / (ink_before * scale)
    assert ratio.mean().item() == pytest.approx(1, abs=0.1)
    assert ratio.min() > 0.7


@digit_sources
def test_a_digit_keeps_its_proportions(source):
    scenes = located_digits("test", digits=source, extent=(28, 28))
    index = torch.arange(300)
    before = tight_boxes(is_ink(scenes.digits.images[index, 0]))
    after = scenes.compose(index, seed(0)).targets["box"] * 28
    wide, tall = (before[:, 2:] - before[:, :2]).unbind(1)
    wide_after, tall_after = (after[:, 2:] - after[:, :2]).unbind(1)
    longer = torch.maximum(wide, tall)
    assert (wide_after - 28 * wide / longer).abs().max() <= 3
    assert (tall_after - 28 * tall / longer).abs().max() <= 3


@pytest.mark.parametrize("size", [20, 40])
def test_located_digits_come_in_the_size_asked_for(size):
    scenes = located_digits("test", size=size, extent=(8, size))
    batch = scenes.draw(5, seed(0))
    assert batch.inputs.shape == (5, 1, size, size)
    assert batch.targets["mask"].shape == (5, size, size)
    assert [task.out_features for task in scenes.tasks] == [10, 4, size * size]


@pytest.mark.parametrize(
    "extent", [(0, 10), (1, 1), (22, 14), (14, 29), (-5, 5), (math.nan, 20), (14, math.inf)]
)
def test_an_extent_that_does_not_fit_is_refused(extent):
    with pytest.raises(ValueError, match=r"extent must be .*size=28, got \("):
        located_digits("test", extent=extent)


@pytest.mark.parametrize("noise", [-0.1, math.nan, math.inf, 1e30, "0.1", None])
def test_noise_that_is_no_number_in_range_is_refused(noise):
    with pytest.raises(ValueError, match="noise must be a number from 0 to 1e.06, got"):
        located_digits("test", noise=noise)


@pytest.mark.parametrize("extent", [14, (14,), (8, 14, 22), "ab", None, (14, None)])
def test_an_extent_that_is_no_pair_of_numbers_is_refused(extent):
    with pytest.raises(ValueError, match="extent must be two numbers, the least and the greatest"):
        located_digits("test", extent=extent)


@pytest.mark.parametrize("size", [28.0, "28", True, 0, -28])
def test_a_size_that_is_no_whole_number_is_refused(size):
    with pytest.raises(ValueError, match="size must be a whole number of pixels from 1 on, got"):
        located_digits("test", size=size)


# untouched digits


@every_source
def test_untouched_digits_equal_their_source_bit_for_bit(source):
    scenes = untouched_digits("test", digits=source)
    index = torch.arange(0, len(scenes), 7)
    batch = scenes.compose(index, seed(0))
    assert torch.equal(batch.inputs * 255, scenes.digits.images[index].float())


@every_source
def test_the_box_of_an_untouched_digit_is_tight(source):
    scenes = untouched_digits("test", digits=source)
    index = torch.arange(200)
    boxes = scenes.compose(index, seed(0)).targets["box"].numpy()
    for box, image in zip(boxes, scenes.digits.images[index, 0].numpy(), strict=True):
        ink = 10 * image.astype(int) > 3 * int(image.max())
        assert box * 28 == pytest.approx(slow_box(ink), abs=1e-4)


# digits handed in


def test_digits_of_another_split_are_refused():
    with pytest.raises(ValueError, match="'train', but 'validation' was asked for"):
        located_digits("validation", digits=load_digits("train"))


@every_maker
@pytest.mark.parametrize("digits", [torch.zeros(3), 3, None])
def test_what_is_no_source_of_digits_is_refused(maker, digits):
    with pytest.raises(ValueError, match="digits must be the name of a source or a Digits object"):
        maker("train", digits=digits)


@pytest.mark.parametrize("maker", [located_digits, untouched_digits])
def test_a_digit_without_ink_is_refused_by_its_number(maker):
    images = load_digits("test").images[:5].clone()
    images[[2, 4]] = 0
    digits = Digits(images, torch.arange(5), "test")
    with pytest.raises(ValueError, match="2 of 5 digits have none, the first of them number 2"):
        maker("test", digits=digits)


def test_one_digit_is_enough_for_scenes():
    source = load_digits("test")
    digits = Digits(source.images[:1], source.labels[:1], "test")
    for maker in MAKERS:
        assert len(maker("test", digits=digits).draw(3, seed(0))) == 3
