"""Labels can be few, and come from several data sets; everything else stays as it is."""

from __future__ import annotations

import copy
import itertools
import math
import pickle

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mtl_tutorial.architectures import ConvEncoder, HardSharing
from mtl_tutorial.balancing import FixedWeights, PCGrad
from mtl_tutorial.data import (
    in_turn,
    joined,
    located_digits,
    mixed,
    only,
    seen_and_heard,
    two_digits,
    untouched_digits,
    with_few_labels,
)
from mtl_tutorial.experiments import seeded
from mtl_tutorial.measuring import evaluate
from mtl_tutorial.tasks import Batch, has_label
from mtl_tutorial.training import fit

LOCATED, UNTOUCHED = located_digits("train"), untouched_digits("train")
TASKS, TWO = LOCATED.tasks, UNTOUCHED.tasks
UNHURRIED = settings(deadline=None, max_examples=20)


def seed(number: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(number)


def labelled(scenes) -> dict[str, torch.Tensor]:
    """Which digits have a label, by task name."""
    batch = scenes.compose(torch.arange(len(scenes)), seed())
    return {name: has_label(target) for name, target in batch.targets.items()}


# few labels


@UNHURRIED
@given(st.floats(0, 1), st.integers(0, 1078))
def test_as_many_labels_stay_as_were_asked_for(share, count) -> None:
    few = with_few_labels(LOCATED, {"digit": share, "mask": count}, seed())
    has = labelled(few)
    assert has["digit"].sum() == round(share * 1078)
    assert has["mask"].sum() == count
    assert has["box"].all()


def test_labels_that_stay_and_images_are_what_they_were() -> None:
    few = with_few_labels(LOCATED, {"digit": 0.3, "box": 40}, seed())
    index = torch.arange(500)
    before, after = LOCATED.compose(index, seed(7)), few.compose(index, seed(7))
    assert torch.equal(before.inputs, after.inputs)
    for name, target in before.targets.items():
        has = has_label(after.targets[name])
        assert torch.equal(after.targets[name][has], target[has])
        assert after.targets[name].dtype == target.dtype
    assert before.complete and not after.complete


def test_a_digit_has_its_label_in_every_epoch_and_draw_or_never() -> None:
    few = with_few_labels(UNTOUCHED, {"digit": 0.2}, seed())
    found: dict[bytes, set[bool]] = {}
    for number in range(3):
        for batch in (*few.epoch(300, seed(number)), few.draw(500, seed(number))):
            for image, has in zip(batch.inputs, has_label(batch.targets["digit"]), strict=True):
                found.setdefault(image.numpy().tobytes(), set()).add(has.item())
    assert all(len(ways) == 1 for ways in found.values())
    assert sum(True in ways for ways in found.values()) == round(0.2 * 1078)


def test_more_labels_include_fewer_and_tasks_do_not_move_each_other() -> None:
    fewer = labelled(with_few_labels(LOCATED, {"digit": 0.1}, seed(4)))["digit"]
    more = labelled(with_few_labels(LOCATED, {"box": 0.5, "digit": 0.2}, seed(4)))
    assert more["digit"][fewer].all() and more["digit"].sum() > fewer.sum()
    assert not torch.equal(more["digit"], more["box"])
    other = labelled(with_few_labels(LOCATED, {"digit": 0.1}, seed(5)))["digit"]
    assert not torch.equal(fewer, other)


def test_kept_scenes_keep_or_lack_their_labels() -> None:
    few = with_few_labels(LOCATED, {"digit": 0.5}, seed()).keep(200, seed(1))
    (epoch,) = few.epoch(200, seed(2))
    share = has_label(epoch.targets["digit"]).float().mean().item()
    assert 0.35 < share < 0.65
    of_kept = labelled(with_few_labels(LOCATED.keep(200, seed(1)), {"digit": 30}, seed(2)))
    assert of_kept["digit"].sum() == 30


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_copies_lack_the_same_labels(copied) -> None:
    few = with_few_labels(LOCATED, {"digit": 0.5}, seed())
    assert torch.equal(labelled(copied(few))["digit"], labelled(few)["digit"])


def test_pairs_lose_the_label_of_one_side() -> None:
    has = labelled(with_few_labels(two_digits("test"), {"right": 0}, seed()))
    assert has["left"].all() and not has["right"].any()


@pytest.mark.parametrize("share", [-0.1, 1.1, -1, 1079, math.nan, math.inf, True, "0.1", None])
def test_a_share_that_is_none_is_refused(share) -> None:
    rule = "labels of task 'digit' must be a share from 0.0 to 1.0 or a whole number from 0 to 1078"
    with pytest.raises(ValueError, match=rule):
        with_few_labels(LOCATED, {"digit": share}, seed())


def test_labels_of_a_task_that_is_not_there_are_refused() -> None:
    with pytest.raises(
        ValueError, match="task must be one of .*got 'digits'; did you mean 'digit'"
    ):
        with_few_labels(LOCATED, {"digits": 0.1}, seed())
    with pytest.raises(ValueError, match="generator must be a torch.Generator, got 0"):
        with_few_labels(LOCATED, {"digit": 0.1}, 0)


# streams of several data sets


def test_only_the_named_tasks_keep_their_targets() -> None:
    full, (part,) = LOCATED.draw(5, seed()), only([LOCATED.draw(5, seed())], "box", "digit")
    assert list(part.targets) == ["box", "digit"] and part.complete
    assert torch.equal(part.inputs, full.inputs)
    assert torch.equal(part.targets["box"], full.targets["box"])
    with pytest.raises(ValueError, match="did you mean 'mask'"):
        next(only(LOCATED.stream(4, seed()), "masks"))
    with pytest.raises(ValueError, match="only needs a task to keep"):
        only(LOCATED.stream(4, seed()))


def test_streams_come_in_turn_until_one_ends() -> None:
    digits, boxes = (
        only(LOCATED.epoch(600, seed()), "digit"),
        only(UNTOUCHED.stream(4, seed()), "box"),
    )
    turns = list(in_turn(digits, boxes))
    assert [list(batch.targets) for batch in turns] == [["digit"], ["box"]] * 2
    assert [len(batch) for batch in turns] == [600, 4, 478, 4]


def test_a_joined_batch_has_every_examples_own_labels_and_marks_the_others() -> None:
    (digits,), (boxes,) = (
        only([LOCATED.draw(3, seed())], "digit"),
        only([LOCATED.draw(5, seed(1))], "box"),
    )
    masks = Batch(boxes.inputs[:2], {"mask": LOCATED.draw(2, seed(2)).targets["mask"]})
    whole = joined(digits, boxes, masks)
    assert torch.equal(whole.inputs, torch.cat([digits.inputs, boxes.inputs, masks.inputs]))
    assert list(whole.targets) == ["digit", "box", "mask"] and not whole.complete
    assert whole.targets["digit"].tolist() == [*digits.targets["digit"].tolist(), *[-100] * 7]
    places = {"digit": range(3), "box": range(3, 8), "mask": range(8, 10)}
    for name, source in (("digit", digits), ("box", boxes), ("mask", masks)):
        has = has_label(whole.targets[name])
        assert has.nonzero()[:, 0].tolist() == list(places[name])
        assert torch.equal(whole.targets[name][has], source.targets[name])
        assert whole.targets[name].dtype == source.targets[name].dtype


def test_joining_batches_with_all_labels_is_complete_and_loses_none() -> None:
    one, other = LOCATED.draw(3, seed()), LOCATED.draw(4, seed(1))
    whole = joined(one, other)
    assert whole.complete and len(whole) == 7
    assert torch.equal(
        whole.targets["mask"], torch.cat([one.targets["mask"], other.targets["mask"]])
    )
    assert not joined(one, Batch(other.inputs, other.targets)).complete


def test_batches_without_any_label_can_be_joined() -> None:
    unlabelled = Batch(LOCATED.draw(2, seed()).inputs, {})
    whole = joined(LOCATED.draw(3, seed()), unlabelled)
    assert has_label(whole.targets["box"]).tolist() == [True] * 3 + [False] * 2


def test_inputs_of_two_senses_are_joined_by_sense() -> None:
    scenes = seen_and_heard("validation")
    one, other = scenes.draw(2, seed()), scenes.draw(3, seed(1))
    whole = joined(*only([one], "match"), *only([other], "sum"))
    assert torch.equal(
        whole.inputs["sound"], torch.cat([one.inputs["sound"], other.inputs["sound"]])
    )
    assert whole.targets["sum"].tolist() == [-100, -100, *other.targets["sum"].tolist()]


@pytest.mark.parametrize(
    ("other", "told"),
    [
        (Batch(torch.zeros(2, 1, 20, 20), {}), r"inputs must be alike .*\(B, 1, 20, 20\)"),
        (Batch({"image": torch.zeros(2, 1, 28, 28)}, {}), "inputs must be alike .*image: "),
        (Batch(torch.zeros(2, 1, 28, 28).double(), {}), "inputs must be alike .*float64"),
        (
            Batch(torch.zeros(2, 1, 28, 28), {"mask": torch.zeros(2, 16, 16)}),
            r"targets of task 'mask' must be alike .*\(B, 16, 16\)",
        ),
        (
            Batch(torch.zeros(2, 1, 28, 28), {"seen": torch.ones(2, dtype=torch.bool)}),
            "targets of task 'seen' are torch.bool, which has no mark for a missing label",
        ),
    ],
)
def test_what_can_not_be_joined_is_refused(other, told) -> None:
    with pytest.raises(ValueError, match=told):
        joined(LOCATED.draw(3, seed()), other)


@pytest.mark.parametrize("function", [in_turn, mixed, joined])
def test_nothing_to_take_from_is_refused_at_once(function) -> None:
    with pytest.raises(ValueError, match=f"{function.__name__} needs a stream or a batch"):
        function()


def one_task_each(number: int) -> list:
    """A stream for each task, as if from two data sets of which each has labels for one."""
    return [
        only(UNTOUCHED.stream(32, seed(10 * number + i)), task.name) for i, task in enumerate(TWO)
    ]


@pytest.mark.parametrize("way", [in_turn, mixed])
@pytest.mark.parametrize("balancer", [FixedWeights, PCGrad])
def test_a_network_learns_every_task_from_a_data_set_of_its_own(way, balancer) -> None:
    exam = untouched_digits("validation").draw(359, seed(100))
    for number in range(2):
        with seeded(number):
            model = HardSharing(ConvEncoder(8, 32), TWO)
        before = evaluate(model, TWO, exam)
        adam = torch.optim.Adam(model.parameters(), lr=5e-3)
        records = list(fit(model, TWO, way(*one_task_each(number)), balancer(), adam, 120))
        steps = [set(record.losses) for record in records]
        assert steps == ([{"digit"}, {"box"}] * 60 if way is in_turn else [{"digit", "box"}] * 120)
        after = evaluate(model, TWO, exam)
        assert after["digit"].metric > before["digit"].metric + 0.4
        assert after["box"].loss < before["box"].loss / 3


def test_steps_and_scores_leave_out_a_task_without_labels() -> None:
    few = with_few_labels(UNTOUCHED, {"digit": 40}, seed())
    with seeded(0):
        model = HardSharing(ConvEncoder(8, 32), TWO)
    adam = torch.optim.Adam(model.parameters(), lr=5e-3)
    own = [few.draw(8, generator) for generator in [seed()] for _ in range(20)]
    expected = [has_label(batch.targets["digit"]).any().item() for batch in own]
    assert True in expected and False in expected
    records = list(fit(model, TWO, few.stream(8, seed()), FixedWeights(), adam, 20))
    assert ["digit" in record.losses for record in records] == expected
    assert all("box" in record.losses for record in records)
    assert evaluate(model, TWO, own[expected.index(False)]).keys() == {"box"}


def test_scenes_or_lists_in_place_of_streams_or_batches_are_refused() -> None:
    for function in (in_turn, mixed):
        with pytest.raises(ValueError, match="takes streams, such as scenes.stream.*, got Scenes"):
            function(LOCATED)
    with pytest.raises(ValueError, match="joined takes batches, got list"):
        joined([LOCATED.draw(2, seed())])


def test_streams_of_streams_can_be_nested() -> None:
    digits, boxes, masks = (only(LOCATED.stream(4, seed()), task.name) for task in TASKS)
    batches = list(itertools.islice(in_turn(mixed(digits, boxes), masks), 2))
    assert [list(batch.targets) for batch in batches] == [["digit", "box"], ["mask"]]
