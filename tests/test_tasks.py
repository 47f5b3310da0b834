from __future__ import annotations

import math
import string

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from mtl_tutorial.tasks import (
    Batch,
    Task,
    accuracy,
    map_batches,
    mean_iou,
    pixel_cross_entropy,
    pixel_iou,
    task_losses,
)

UNHURRIED = settings(deadline=None, max_examples=60)

# Eighths make touching, equal and degenerate boxes likely; the floats make the rest.
coordinate = st.integers(-4, 12).map(lambda eighths: eighths / 8) | st.floats(-2, 2, width=32)
any_box = st.tuples(coordinate, coordinate, coordinate, coordinate)
side = st.integers(1, 8).map(lambda eighths: eighths / 8) | st.floats(0.125, 2, width=32)
true_box = st.tuples(coordinate, coordinate, side, side).map(
    lambda box: (box[0], box[1], box[0] + box[2], box[1] + box[3])
)
pairs = st.lists(st.tuples(any_box, true_box), min_size=1, max_size=6)


def slow_iou(predicted, true):
    def area(box):
        return max(box[2] - box[0], 0.0) * max(box[3] - box[1], 0.0)

    overlap = area(
        (
            max(predicted[0], true[0]),
            max(predicted[1], true[1]),
            min(predicted[2], true[2]),
            min(predicted[3], true[3]),
        )
    )
    return overlap / (area(predicted) + area(true) - overlap)


@UNHURRIED
@given(pairs)
def test_mean_iou_equals_a_slow_computation_on_boxes_of_every_kind(boxes):
    predicted, true = (torch.tensor(side, dtype=torch.float64) for side in zip(*boxes, strict=True))
    expected = sum(slow_iou(*pair) for pair in boxes) / len(boxes)
    assert mean_iou(predicted, true).item() == pytest.approx(expected, abs=1e-9)


@UNHURRIED
@given(pairs)
def test_mean_iou_lies_between_0_and_1(boxes):
    predicted, true = (torch.tensor(side, dtype=torch.float32) for side in zip(*boxes, strict=True))
    assert 0 <= mean_iou(predicted, true).item() <= 1


@UNHURRIED
@given(st.lists(true_box, min_size=1, max_size=6))
def test_mean_iou_of_boxes_with_themselves_is_1(boxes):
    boxes = torch.tensor(boxes, dtype=torch.float32)
    assert mean_iou(boxes, boxes).item() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(
    ("predicted", "expected"),
    [
        ((0.0, 0.0, 1.0, 1.0), 1.0),
        ((0.5, 0.0, 1.5, 1.0), 1 / 3),
        ((0.25, 0.25, 0.75, 0.75), 0.25),
        ((1.0, 0.0, 2.0, 1.0), 0.0),  # touches along an edge
        ((1.0, 1.0, 2.0, 2.0), 0.0),  # touches in a corner
        ((0.5, 0.5, 0.5, 0.5), 0.0),  # a point inside
        ((1.0, 1.0, 0.0, 0.0), 0.0),  # both sides inverted: its corners are the true ones
        ((1.0, 0.0, 0.0, 1.0), 0.0),  # one side inverted
    ],
)
def test_mean_iou_of_one_box_with_the_unit_square(predicted, expected):
    value = mean_iou(torch.tensor([predicted]), torch.tensor([(0.0, 0.0, 1.0, 1.0)]))
    assert value.item() == pytest.approx(expected, abs=1e-6)


def test_mean_iou_pairs_each_box_with_its_own_target_in_a_large_batch():
    generator = torch.Generator().manual_seed(0)
    corner, sides = torch.rand(2, 700, 2, generator=generator)
    true = torch.cat([corner, corner + 0.1 + sides], dim=1)
    predicted = true + 0.2 * torch.randn(true.shape, generator=generator)
    one_by_one = [mean_iou(p[None], t[None]).item() for p, t in zip(predicted, true, strict=True)]
    assert mean_iou(predicted, true).item() == pytest.approx(sum(one_by_one) / 700, abs=1e-5)


def test_mean_iou_of_a_prediction_that_is_not_a_number_is_not_a_good_score():
    predicted = torch.full((2, 4), math.nan)
    true = torch.tensor([(0.0, 0.0, 1.0, 1.0)] * 2)
    assert not mean_iou(predicted, true).item() > 0


@UNHURRIED
@given(st.data(), st.integers(1, 4), st.integers(1, 4), st.integers(1, 4))
def test_pixel_iou_equals_a_count_over_sets(data, examples, height, width):
    places = [(row, column) for row in range(height) for column in range(width)]
    subset = st.sets(st.sampled_from(places))
    scores, logits, masks = [], [], []
    for _ in range(examples):
        predicted, true = data.draw(subset), data.draw(subset)
        union = predicted | true
        scores.append(len(predicted & true) / len(union) if union else 1.0)
        logits.append(
            [[3.0 if (r, c) in predicted else -3.0 for c in range(width)] for r in range(height)]
        )
        masks.append([[float((r, c) in true) for c in range(width)] for r in range(height)])
    logits, masks = torch.tensor(logits), torch.tensor(masks)
    expected = sum(scores) / examples
    assert pixel_iou(logits, masks).item() == pytest.approx(expected, abs=1e-6)
    assert pixel_iou(logits.flatten(1), masks).item() == pytest.approx(expected, abs=1e-6)


def test_pixel_iou_of_two_empty_sets_is_1_and_of_one_empty_set_is_0():
    empty, full = torch.zeros(1, 2, 2), torch.ones(1, 2, 2)
    assert pixel_iou(-full, empty).item() == 1
    assert pixel_iou(-full, full).item() == 0
    assert pixel_iou(full, empty).item() == 0


def test_pixel_iou_does_not_count_a_logit_of_0_as_ink():
    assert pixel_iou(torch.zeros(1, 4), torch.zeros(1, 2, 2)).item() == 1


def test_accuracy_is_the_share_of_right_classes():
    logits = torch.tensor([[0.0, 2.0, 1.0], [5.0, -1.0, 0.0], [0.0, 0.0, 0.1], [1.0, 0.0, 0.0]])
    assert accuracy(logits, torch.tensor([1, 0, 2, 2])).item() == 0.75


def test_accuracy_of_tied_logits_counts_one_class_only():
    tied = torch.zeros(3, 3)
    assert accuracy(tied, torch.arange(3)).item() == pytest.approx(1 / 3)


@UNHURRIED
@given(st.lists(st.tuples(st.floats(-30, 30), st.booleans()), min_size=4, max_size=4))
def test_pixel_cross_entropy_equals_its_formula_over_pixels(pixels):
    logits = torch.tensor([logit for logit, _ in pixels], dtype=torch.float64)
    mask = torch.tensor([float(ink) for _, ink in pixels], dtype=torch.float64)
    expected = sum(math.log1p(math.exp(-x if ink else x)) for x, ink in pixels) / 4
    value = pixel_cross_entropy(logits.reshape(1, 4), mask.reshape(1, 2, 2))
    assert value.item() == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("name", ["", "two words", "1st", "a-b", "a.b"])
def test_task_refuses_a_name_that_is_not_an_identifier(name):
    with pytest.raises(ValueError, match="identifier") as caught:
        Task(name, F.mse_loss, accuracy, 1)
    assert repr(name) in str(caught.value)


def is_taken_by_torch(name):
    return hasattr(torch.nn.ModuleDict(), name)


@given(st.text(string.ascii_letters, min_size=1))
def test_task_takes_any_word_as_its_name_unless_torch_has_taken_it(name):
    if is_taken_by_torch(name):
        with pytest.raises(ValueError, match="is taken by torch's ModuleDict"):
            Task(name, F.mse_loss, accuracy, 1)
        return
    assert Task(name, F.mse_loss, accuracy, 1).name == name


@pytest.mark.parametrize("out_features", [0, -3])
def test_task_refuses_a_head_without_output(out_features):
    with pytest.raises(ValueError, match=f"'box' must be at least 1, got {out_features}"):
        Task("box", F.mse_loss, mean_iou, out_features)


def test_metric_names_read_as_words():
    def taps_per_minute(prediction, target): ...

    names = [
        Task("a", F.mse_loss, metric, 1).metric_name
        for metric in (accuracy, mean_iou, pixel_iou, taps_per_minute)
    ]
    assert names == ["accuracy", "mean IoU", "pixel IoU", "taps per minute"]


def test_length_of_a_batch_is_its_number_of_examples():
    assert (
        len(Batch({"image": torch.zeros(3, 1), "sound": torch.zeros(3, 9)}, {"a": torch.zeros(3)}))
        == 3
    )


def test_batches_are_mapped_place_by_place():
    one, two = (Batch({"a": x, "b": -x}, {"c": x + 1}) for x in torch.arange(6.0).split(3))
    both = map_batches(lambda *tensors: torch.cat(tensors), one, two)
    assert both.inputs["a"].tolist() == [0, 1, 2, 3, 4, 5]
    assert both.inputs["b"].tolist() == [0, -1, -2, -3, -4, -5]
    assert both.targets["c"].tolist() == [1, 2, 3, 4, 5, 6]
    first = map_batches(lambda tensor: tensor[:1], Batch(torch.ones(3, 2), both.targets))
    assert (first.inputs.tolist(), first.targets["c"].tolist()) == ([[1, 1]], [1])


SIZE = Task("size", F.mse_loss, accuracy, 1)
KIND = Task("kind", F.cross_entropy, accuracy, 3)


def predictions():
    return {"size": torch.tensor([[1.0], [3.0]]), "kind": torch.zeros(2, 3)}


def targets():
    return {"size": torch.tensor([[0.0], [1.0]]), "kind": torch.tensor([0, 2])}


def test_task_losses_are_each_tasks_own_loss_in_the_order_of_the_tasks():
    losses = task_losses(predictions(), targets(), (KIND, SIZE))
    assert list(losses) == ["kind", "size"]
    assert losses["size"].item() == pytest.approx((1 + 4) / 2)
    assert losses["kind"].item() == pytest.approx(math.log(3))


def test_task_losses_leave_out_predictions_and_targets_of_no_task():
    assert list(task_losses(predictions(), targets(), (SIZE,))) == ["size"]


def test_task_losses_leave_out_a_task_without_a_target():
    assert list(task_losses(predictions(), {"size": targets()["size"]}, (SIZE, KIND))) == ["size"]


def test_task_losses_name_the_task_without_an_output_and_those_that_have_one():
    with pytest.raises(ValueError, match=r"'size' has no output.*\['kind'\]"):
        task_losses({"kind": predictions()["kind"]}, targets(), (SIZE, KIND))


@pytest.mark.parametrize(
    ("loss", "got"),
    [
        (lambda p, t: F.mse_loss(p, t, reduction="none"), r"shape \(2, 1\)"),
        (lambda p, t: F.mse_loss(p, t)[None], r"shape \(1,\)"),
        (lambda p, t: F.mse_loss(p, t).item(), r"got 2\.5"),
        (lambda p, t: None, "got None"),
    ],
    ids=["a loss an example", "one element in a vector", "a float", "nothing"],
)
def test_task_losses_refuse_a_loss_that_is_not_a_scalar_tensor(loss, got):
    with pytest.raises(ValueError, match=f"'size' must be a scalar tensor.*{got}"):
        task_losses(predictions(), targets(), (Task("size", loss, accuracy, 1),))


@pytest.mark.parametrize("name", ["values", "type", "items", "training"])
def test_a_name_that_torch_needs_for_itself_is_refused(name):
    with pytest.raises(ValueError, match=f"{name!r} is taken"):
        Task(name, F.cross_entropy, accuracy, 10)
