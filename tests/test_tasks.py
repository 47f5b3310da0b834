"""What a task and a batch are, their losses over what is labelled, and metrics."""

from __future__ import annotations

import math
import string
from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from mtl_tutorial.tasks import (
    Batch,
    Task,
    accuracy,
    binary_accuracy,
    has_label,
    map_batches,
    mean_iou,
    metric_of,
    pixel_cross_entropy,
    pixel_iou,
    task_losses,
    unique_names,
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


@pytest.mark.parametrize("targets", [{}, {"a": torch.zeros(3)}, {"a": torch.zeros(())}])
def test_length_of_a_batch_is_its_number_of_examples(targets):
    assert len(Batch({"image": torch.zeros(3, 1), "sound": torch.zeros(3, 9)}, targets)) == 3
    assert len(Batch(torch.zeros(3, 1), targets)) == 3


def test_batches_of_other_tasks_are_not_joined():
    one, other = (Batch(torch.ones(2, 1), {name: torch.ones(2)}) for name in "ab")
    for pair in ((one, other), (other, one), (one, Batch({"x": torch.ones(2)}, one.targets))):
        with pytest.raises(ValueError, match="batches must be alike to be mapped together, got"):
            map_batches(lambda *tensors: torch.cat(tensors), *pair)


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


# Labels


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (torch.tensor([0, -100, 2]), [True, False, True]),
        (torch.tensor([1.0, torch.nan, -100.0]), [True, False, True]),
        (torch.tensor([[0.0, 1.0], [torch.nan, 1.0]]), [True, False]),
        (torch.tensor([[0, -100], [-100, -100]]), [True, False]),
        (torch.tensor([[[0, -100]], [[-100, -100]]]), [True, False]),
        (torch.tensor([torch.inf, -torch.inf]), [True, True]),
        (torch.tensor([3, 255], dtype=torch.uint8), [True, True]),
        (torch.tensor([True, False]), [True, True]),
        (torch.tensor([torch.nan, 1.0], dtype=torch.bfloat16), [False, True]),
        (torch.zeros(0), []),
        (torch.zeros(0, 4), []),
    ],
)
def test_an_example_has_a_label_unless_a_number_is_nan_or_all_classes_are_minus_100(
    target, expected
):
    assert has_label(target).tolist() == expected


def test_examples_without_a_label_are_left_out_of_the_mean():
    wanted = targets()
    wanted["size"][0] = torch.nan
    wanted["kind"][1] = -100
    losses = task_losses(predictions(), wanted, (SIZE, KIND))
    assert losses["size"].item() == pytest.approx(4)
    assert losses["kind"].item() == pytest.approx(math.log(3))


@pytest.mark.parametrize(
    "size", [None, torch.full((2, 1), torch.nan), torch.zeros(0, 1), "absent"], ids=str
)
def test_a_task_without_any_label_has_no_loss(size):
    wanted, outputs = targets(), predictions()
    wanted["size"] = size
    if isinstance(size, str):
        del wanted["size"]
    elif size is not None and not len(size):
        outputs["size"] = torch.zeros(0, 1)
    assert list(task_losses(outputs, wanted, (SIZE, KIND))) == ["kind"]


def test_a_gradient_never_flows_from_an_example_without_a_label():
    outputs = {"size": torch.tensor([[1.0], [torch.inf]], requires_grad=True)}
    loss = task_losses(outputs, {"size": torch.tensor([[0.0], [torch.nan]])}, (SIZE,))["size"]
    loss.backward()
    assert outputs["size"].grad.tolist() == [[2], [0]]


def test_pixels_without_a_class_are_left_to_the_loss():
    task = Task("map", F.cross_entropy, accuracy, 2)
    outputs = {"map": torch.randn(2, 2, 3, 3, generator=torch.Generator().manual_seed(0))}
    target = torch.zeros(2, 3, 3, dtype=torch.long)
    target[0, 1:] = -100
    loss = task_losses(outputs, {"map": target}, (task,))["map"]
    expected = F.cross_entropy(outputs["map"], target, reduction="sum") / (target == 0).sum()
    assert loss.item() == pytest.approx(expected.item())
    score = accuracy(outputs["map"], target).item()
    right = (outputs["map"].argmax(1) == 0) & (target == 0)
    assert score == pytest.approx(right.sum().item() / 12)


def test_labels_of_a_complete_batch_are_not_looked_at():
    wanted = targets()
    wanted["size"][0] = torch.nan
    assert task_losses(predictions(), wanted, (SIZE,), complete=True)["size"].isnan()


@pytest.mark.parametrize(
    ("name", "words"),
    [("sise", "'size' has no label in this batch, but there are labels for 'sise'"), ("depth", "")],
)
def test_labels_under_a_name_that_is_misspelled_are_pointed_to(name, words):
    wanted = {name: targets()["size"], "kind": targets()["kind"]}
    if not words:
        assert list(task_losses(predictions(), wanted, (SIZE, KIND))) == ["kind"]
        return
    with pytest.raises(ValueError, match=words):
        task_losses(predictions(), wanted, (SIZE, KIND))


def test_labels_of_another_output_are_not_taken_for_a_misspelled_name():
    outputs = {f"task{i}": torch.zeros(2, 1) for i in range(2)}
    tasks = [Task("task0", F.mse_loss, accuracy, 1)]
    assert task_losses(outputs, {"task1": torch.zeros(2, 1)}, tasks) == {}


WRONG = [
    ("kind", torch.tensor([0, 3]), r"loss of task 'kind' fails on .*Target 3 is out of bounds"),
    ("kind", torch.tensor([0, -1]), "loss of task 'kind' fails on .*Target -1 is out of bounds"),
    ("kind", torch.tensor([0.0, 1.0]), r"'kind' fails on .*labels of shape \(2,\) \(torch.float32"),
    ("kind", torch.tensor([0, 1], dtype=torch.int32), r"'kind' fails on .*\(torch.int32\)"),
    ("kind", torch.tensor([[0], [1]]), "'kind' fails on predictions of shape"),
    ("kind", torch.tensor([0, 1, 2]), r"'kind' has predictions of shape \(2, 3\) and labels of sh"),
    ("kind", torch.tensor(1), "one row an example is needed in both"),
    ("kind", [0, 1], r"labels of task 'kind' must be a tensor .*, got \[0, 1\]"),
    ("size", torch.tensor([0.0, 1.0]), r"'size' must have one shape, got \(2, 1\) and \(2,\)"),
    ("size", torch.zeros(2, 3), r"one shape, got \(2, 1\) and \(2, 3\), and would be compared all"),
    ("size", torch.zeros(3, 1), "one row an example is needed in both"),
]


@pytest.mark.parametrize(("name", "target", "words"), WRONG)
def test_labels_that_do_not_fit_name_the_task(name, target, words):
    with pytest.raises(ValueError, match=words):
        task_losses(predictions(), targets() | {name: target}, (SIZE, KIND))


@pytest.mark.parametrize("loss", [nn.MSELoss(), partial(F.mse_loss), F.l1_loss, nn.HuberLoss()])
def test_no_loss_of_torch_compares_all_with_all(loss):
    task = Task("size", loss, accuracy, 1)
    with pytest.raises(ValueError, match="would be compared all with all; reshape the labels"):
        task_losses(predictions(), {"size": torch.zeros(2)}, (task,))


def test_a_loss_of_ones_own_is_kept_from_comparing_a_column_with_a_row():
    task = Task("size", lambda p, t: (p - t).square().mean(), accuracy, 1)
    with pytest.raises(ValueError, match="would be compared all with all"):
        task_losses(predictions(), {"size": torch.zeros(2)}, (task,))


def test_one_answer_for_a_whole_batch_is_a_task():
    task = Task("count", F.mse_loss, accuracy, 1)
    losses = task_losses({"count": torch.tensor(3.0)}, {"count": torch.tensor(1.0)}, (task,))
    assert losses["count"].item() == 4
    assert (
        task_losses({"count": torch.tensor(3.0)}, {"count": torch.tensor(torch.nan)}, (task,)) == {}
    )


@pytest.mark.parametrize("given", ["outputs", "targets"])
def test_what_is_no_dict_by_task_name_is_refused(given):
    parts = {"outputs": predictions(), "targets": targets()} | {given: torch.zeros(2)}
    with pytest.raises(ValueError, match="in a dict by task name, got a Tensor"):
        task_losses(parts["outputs"], parts["targets"], (SIZE,))


# Metrics check what they get


def test_accuracy_leaves_out_examples_without_a_label():
    logits = torch.tensor([[0.0, 1.0], [1.0, 0.0], [1.0, 0.0]])
    assert accuracy(logits, torch.tensor([1, 0, -100])).item() == 1


@pytest.mark.parametrize(
    ("prediction", "target"),
    [
        (torch.zeros(3, 1), torch.zeros(3, dtype=torch.long)),  # one logit
        (torch.zeros(3, 2), torch.zeros(3, 1, dtype=torch.long)),
        (torch.zeros(3, 2), torch.zeros(3)),
        (torch.zeros(3), torch.zeros(3, dtype=torch.long)),
        (torch.zeros(3, 2, 4), torch.zeros(3, 5, dtype=torch.long)),
    ],
)
def test_accuracy_refuses_what_it_would_compare_wrongly(prediction, target):
    with pytest.raises(
        ValueError, match=r"accuracy needs logits .*for one logit .*binary_accuracy"
    ):
        accuracy(prediction, target)


def test_binary_accuracy_is_the_share_of_right_signs_of_labelled_examples():
    prediction = torch.tensor([[2.0], [-1.0], [3.0], [1.0]])
    target = torch.tensor([[1.0], [0.0], [0.0], [torch.nan]])
    assert binary_accuracy(prediction, target).item() == pytest.approx(2 / 3)
    with pytest.raises(ValueError, match="binary_accuracy needs predictions and targets of one"):
        binary_accuracy(prediction, target[:, 0])


@pytest.mark.parametrize("shape", [(2,), (2, 3), (1, 4)])
def test_mean_iou_refuses_what_is_no_boxes(shape):
    with pytest.raises(ValueError, match="mean_iou needs"):
        mean_iou(torch.zeros(2, 4) if shape == (1, 4) else torch.zeros(shape), torch.zeros(shape))


def test_two_boxes_that_cover_nothing_agree():
    empty, full = torch.zeros(1, 4), torch.tensor([[0.0, 0.0, 1.0, 1.0]])
    assert mean_iou(empty, empty).item() == 1
    assert mean_iou(empty, full).item() == mean_iou(full, empty).item() == 0


def test_pixel_iou_refuses_another_number_of_pixels():
    with pytest.raises(ValueError, match=r"pixel_iou needs .* got \(2, 4\) and \(2, 9\)"):
        pixel_iou(torch.zeros(2, 4), torch.zeros(2, 3, 3))


def test_a_metric_that_fails_or_gives_no_number_names_its_task():
    with pytest.raises(ValueError, match="metric of task 'size' fails on predictions of shape"):
        metric_of(SIZE, predictions()["size"], targets()["size"])
    task = Task("size", F.mse_loss, lambda p, t: (p - t).abs(), 1)
    with pytest.raises(ValueError, match=r"metric of task 'size' must give one number .*\(2, 1\)"):
        metric_of(task, predictions()["size"], targets()["size"])


@pytest.mark.parametrize("thing", ["size", None, F.mse_loss])
def test_what_is_no_task_is_refused(thing):
    with pytest.raises(ValueError, match="tasks must be Task objects, got"):
        unique_names([SIZE, thing])


def test_a_mapped_batch_keeps_its_promise_only_where_all_do():
    batch = Batch(torch.ones(2, 1), targets())
    whole = Batch(torch.ones(2, 1), targets(), complete=True)
    for other in (whole, batch):
        joined = map_batches(lambda *tensors: torch.cat(tensors), whole, other)
        assert joined.complete == other.complete


# Labels that are missing, or are none


@pytest.mark.parametrize("metric", [mean_iou, pixel_iou])
def test_an_example_without_a_label_is_left_out_of_a_metric(metric):
    prediction = torch.tensor([[0.0, 0.0, 1.0, 1.0], [9.0, 9.0, 9.0, 9.0]])
    target = torch.tensor([[0.0, 0.0, 1.0, 1.0], [math.nan, 0.0, 1.0, 1.0]])
    assert metric(prediction, target).item() == 1


def test_a_binary_label_of_minus_100_is_left_out():
    logits = torch.tensor([1.0, -1.0, 1.0, -1.0])
    assert binary_accuracy(logits, torch.tensor([1, 1, -100, -100])).item() == 0.5


@pytest.mark.parametrize("number", [156, 255])
def test_a_byte_is_a_class_number_like_any_other(number):
    target = torch.tensor([number, 3], dtype=torch.uint8)
    assert has_label(target).all()
    assert accuracy(F.one_hot(target.long(), 256).float(), target).item() == 1


@pytest.mark.parametrize("number", [-1, 4, 255])
def test_the_accuracy_of_a_class_that_there_is_not_is_refused(number):
    words = rf"class numbers from 0 to 3, or -100 where there is no label, got {number}"
    with pytest.raises(ValueError, match=words):
        accuracy(torch.eye(4), torch.tensor([0, 1, number, -100]))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.uint8, torch.int64])
def test_mean_iou_of_boxes_in_pixels_is_right_in_every_format(dtype):
    size = 200 if dtype == torch.uint8 else 256
    boxes = torch.tensor([[0, 0, size, size], [size, 0, 0, size]])
    half = torch.tensor([[0, 0, size, size // 2], [0, 0, size, size]])
    assert mean_iou(boxes.to(dtype), half.to(dtype)).item() == pytest.approx(0.25)


def test_pixel_iou_refuses_what_has_no_rows():
    with pytest.raises(ValueError, match=r"one row of pixels an example, got shapes \(2,\) and"):
        pixel_iou(torch.ones(2), torch.ones(2))


def test_an_empty_batch_has_no_losses():
    outputs, labels = ({n: t[:0] for n, t in of.items()} for of in (predictions(), targets()))
    assert task_losses(outputs, labels, (SIZE, KIND)) == {}


def test_two_tasks_of_one_name_have_no_losses():
    with pytest.raises(ValueError, match="two tasks have the name 'size'; give each one"):
        task_losses(predictions(), targets(), (SIZE, SIZE))


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyError, AttributeError, AssertionError])
def test_whatever_a_loss_raises_is_told_with_its_task(error):
    def broken(prediction, target):
        raise error("nobody knows")

    with pytest.raises(ValueError, match=r"loss of task 'size' fails on .*nobody knows") as told:
        task_losses(predictions(), targets(), (Task("size", broken, accuracy, 1),))
    assert isinstance(told.value.__cause__, error)


def test_a_device_without_memory_stays_that():
    def large(prediction, target):
        raise torch.OutOfMemoryError("too large")

    with pytest.raises(torch.OutOfMemoryError):
        task_losses(predictions(), targets(), (Task("size", large, accuracy, 1),))


@pytest.mark.parametrize("labels", [torch.zeros(2), [torch.zeros(2)], None])
def test_a_batch_refuses_targets_that_are_not_by_name(labels):
    with pytest.raises(ValueError, match="targets of a batch must be a dict by task name, got a "):
        Batch(torch.zeros(2, 5), labels)


def test_accuracy_can_be_vmapped():
    predictions = torch.tensor([[[2.0, 1.0], [0.0, 3.0]], [[2.0, 1.0], [4.0, 3.0]]])
    targets = torch.tensor([[0, 1], [0, 1]])
    assert torch.func.vmap(accuracy)(predictions, targets).tolist() == [1.0, 0.5]
