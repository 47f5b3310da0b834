"""Few-shot tasks are made of different digits, and joint training does not look at queries."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from mtl_tutorial.architectures import HardSharing
from mtl_tutorial.data import load_digits, located_digits
from mtl_tutorial.experiments.few_shot import (
    NEW,
    OLD,
    adapted_accuracy,
    best_rate,
    draw_episode,
    new_task_loss,
    of_classes,
    query_accuracy,
    train_alone,
    train_jointly,
)
from mtl_tutorial.experiments.runs import seeded
from mtl_tutorial.measuring import predict
from mtl_tutorial.tasks import Batch

CLASSES = torch.tensor([2, 3, 5, 8])


def build() -> HardSharing:
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(256, 6), nn.ReLU())
    encoder.out_features = 6
    return HardSharing(encoder, (OLD, NEW))


@pytest.fixture(scope="module")
def scenes():
    return located_digits("train", size=16, extent=(11, 14))


def test_support_and_query_of_a_task_share_no_digit_and_come_from_its_classes(scenes) -> None:
    plain = located_digits("train", noise=0.0)
    seen = []

    def compose(index, generator):
        seen.append(index)
        return plain.compose(index, generator)

    watched = type(plain)(plain.tasks, plain.digits, compose)
    draws = torch.Generator().manual_seed(0)
    episode = draw_episode(watched, CLASSES, count=7, shots=5, queries=4, generator=draws)
    index = seen[0].reshape(7, 3, 9)
    assert all(len(row.unique()) == 27 for row in index.flatten(1))
    labels = plain.digits.labels[index]
    assert (labels == labels[..., :1]).all()
    assert torch.isin(labels, CLASSES).all()
    assert all(len(row.unique()) == 3 for row in labels[..., 0])
    assert episode.support.shape == (7, 15, 1, 28, 28)
    assert episode.query_targets.tolist() == [[0] * 4 + [1] * 4 + [2] * 4] * 7


def test_too_few_digits_or_classes_for_a_task_are_refused(scenes) -> None:
    size = {"count": 1, "queries": 100, "generator": torch.Generator()}
    with pytest.raises(ValueError, match="20 shots and 100 queries need 120 digits a class"):
        draw_episode(scenes, CLASSES, shots=20, **size)
    with pytest.raises(ValueError, match=r"a task needs 3 classes, got \[2, 3\]"):
        draw_episode(scenes, CLASSES[:2], shots=1, **size)


def test_digits_of_some_classes_are_all_of_them_and_no_others() -> None:
    digits = load_digits("train")
    chosen = of_classes(digits, CLASSES)
    assert set(chosen.labels.tolist()) == set(CLASSES.tolist())
    assert len(chosen) == torch.isin(digits.labels, CLASSES).sum()


def test_joint_training_learns_both_tasks_and_does_not_look_at_queries(scenes) -> None:
    old = located_digits("train", digits=of_classes(scenes.digits, torch.tensor([0, 1])), size=16,
                         extent=(11, 14))  # fmt: skip
    draws = torch.Generator().manual_seed(0)
    episode = draw_episode(scenes, CLASSES, count=2, shots=3, queries=2, generator=draws)
    setting = {"seed": 0, "steps": 60, "batch_size": 32, "learning_rate": 5e-3}
    networks = train_jointly(build, old, episode, **setting)
    outputs = predict(networks, Batch(episode.support, {}))
    assert (outputs["new"].argmax(-1) == episode.support_targets).float().mean() > 0.9
    batch = old.draw(100, draws)
    guesses = predict(networks, Batch(batch.inputs.expand(2, -1, 1, 16, 16), {}))["digit"]
    assert (guesses.argmax(-1) == batch.targets["digit"]).float().mean() > 0.7
    blind = episode._replace(query=torch.full_like(episode.query, torch.nan))
    again = train_jointly(build, old, blind, **setting)
    assert all(
        torch.equal(a, b) for a, b in zip(networks.parameters(), again.parameters(), strict=True)
    )


def test_networks_trained_jointly_start_from_weights_of_their_own(scenes) -> None:
    draws = torch.Generator().manual_seed(0)
    episode = draw_episode(scenes, CLASSES, count=3, shots=1, queries=1, generator=draws)
    setting = {"seed": 5, "steps": 0, "batch_size": 8, "learning_rate": 5e-3}
    starts = [
        n.heads["new"].weight for n in train_jointly(build, scenes, episode, **setting).apart()
    ]
    with seeded(5):
        alone = build().heads["new"].weight
    assert [torch.equal(start, alone) for start in starts] == [True, False, False]
    assert not torch.equal(starts[1], starts[2])


def test_training_alone_is_joint_training_without_the_old_task(scenes) -> None:
    draws = torch.Generator().manual_seed(0)
    episode = draw_episode(scenes, CLASSES, count=2, shots=3, queries=20, generator=draws)
    setting = {"seed": 5, "learning_rate": 5e-3}
    first = train_alone(build, episode, steps=0, **setting)
    joint = train_jointly(build, scenes, episode, steps=0, batch_size=8, **setting)
    assert all(map(torch.equal, first.parameters(), joint.parameters()))
    trained = train_alone(build, episode, steps=60, **setting)
    learned = episode._replace(query=episode.support, query_targets=episode.support_targets)
    assert query_accuracy(trained, learned) == 1
    assert query_accuracy(first, learned) < query_accuracy(trained, episode) + 0.2
    blind = episode._replace(query=torch.full_like(episode.query, torch.nan))
    again = train_alone(build, blind, steps=60, **setting)
    assert all(map(torch.equal, trained.parameters(), again.parameters()))


def test_networks_trained_alone_do_not_hear_of_each_other(scenes) -> None:
    draws = torch.Generator().manual_seed(0)
    episode = draw_episode(scenes, CLASSES, count=2, shots=2, queries=1, generator=draws)
    other = episode._replace(
        support=episode.support * torch.tensor([1.0, -2.0])[:, None, None, None, None]
    )
    pair = [
        train_alone(build, tasks, seed=1, steps=20, learning_rate=5e-3)
        for tasks in (episode, other)
    ]
    for one, again in zip(*(networks.parameters() for networks in pair), strict=True):
        assert torch.equal(one[0], again[0])
    assert not torch.equal(pair[0].stacked.heads["new"].weight, pair[1].stacked.heads["new"].weight)


def test_the_accuracy_after_adaptation_is_that_of_each_task_adapted_alone(scenes) -> None:
    draws = torch.Generator().manual_seed(0)
    episode = draw_episode(scenes, CLASSES, count=3, shots=4, queries=10, generator=draws)
    with seeded(0):
        model = build()
    theta = {name: value.detach() for name, value in model.named_parameters()}
    found = adapted_accuracy(model, theta, episode, rate=0.3, steps=5)
    one_by_one = []
    for i in range(3):
        with seeded(0):
            network = build()
        sgd = torch.optim.SGD(network.parameters(), lr=0.3)
        for _ in range(5):
            sgd.zero_grad()
            F.cross_entropy(
                network(episode.support[i])["new"], episode.support_targets[i]
            ).backward()
            sgd.step()
        answers = network(episode.query[i])["new"].argmax(-1)
        one_by_one.append((answers == episode.query_targets[i]).float().mean())
    assert found.item() == pytest.approx(torch.stack(one_by_one).mean().item(), abs=0.02)


def test_the_best_rate_is_the_one_that_is_best_on_the_tuning_tasks(scenes) -> None:
    draws = torch.Generator().manual_seed(0)
    episode = draw_episode(scenes, CLASSES, count=3, shots=4, queries=10, generator=draws)
    model = build()
    theta = {name: value.detach() for name, value in model.named_parameters()}
    assert best_rate(model, theta, episode, [0.0, 0.3], steps=20) == 0.3
    assert best_rate(model, theta, episode, [0.3, 0.0], steps=20) == 0.3
    assert best_rate(model, theta, episode, [0.1, 0.3], steps=0) == 0.1


def test_the_loss_of_the_new_task_is_its_cross_entropy() -> None:
    model, images = build(), torch.rand(6, 1, 16, 16)
    labels = torch.tensor([0, 1, 2] * 2)
    theta = dict(model.named_parameters())
    expected = F.cross_entropy(model(images)["new"], labels)
    assert torch.allclose(new_task_loss(model)(theta, images, labels), expected)


@pytest.mark.parametrize(
    ("classes", "size", "words"),
    [
        ([1, 1, 1], {}, r"classes must be different whole numbers, got \[1, 1, 1\]"),
        ([1.5, 2, 3], {}, r"classes must be different whole numbers, got \[1.5"),
        ([[1, 2, 3]], {}, "classes must be different whole numbers"),
        ([1, 2, 30], {}, "class 30 has 0; ask for fewer"),
        ([1, 2, 3], {"count": 0}, "count must be at least 1, got 0"),
        ([1, 2, 3], {"shots": 0}, "shots must be at least 1, got 0"),
        ([1, 2, 3], {"queries": -1}, "queries must be at least 1, got -1"),
    ],
)
def test_what_makes_no_task_is_refused(scenes, classes, size, words) -> None:
    given = {"count": 1, "shots": 1, "queries": 1, "generator": torch.Generator()} | size
    with pytest.raises(ValueError, match=words):
        draw_episode(scenes, torch.tensor(classes), **given)


def test_classes_may_be_any_sequence(scenes) -> None:
    size = {"count": 2, "shots": 1, "queries": 1}
    one, other = (
        draw_episode(scenes, classes, generator=torch.Generator().manual_seed(0), **size)
        for classes in ([2, 3, 5], torch.tensor([2, 3, 5]))
    )
    assert all(map(torch.equal, one, other))


def test_classes_that_no_digit_has_are_refused() -> None:
    with pytest.raises(ValueError, match=r"no digit is of the classes \[77\]; there are \[0, 1"):
        of_classes(load_digits("train"), torch.tensor([77]))


def test_labels_that_are_no_class_numbers_are_refused() -> None:
    model, images = build(), torch.rand(3, 1, 16, 16)
    loss, theta = new_task_loss(model), dict(model.named_parameters())
    with pytest.raises(ValueError, match="class numbers .*torch.int64.* got torch.float32"):
        loss(theta, images, torch.zeros(3))


def test_joint_training_refuses_an_episode_whose_parts_do_not_fit(scenes) -> None:
    episode = draw_episode(
        scenes, CLASSES, count=2, shots=1, queries=1, generator=torch.Generator()
    )
    fewer = episode._replace(support_targets=episode.support_targets[:, :2])
    with pytest.raises(ValueError, match=r"support \(2, 3, .* targets \(2, 2\)"):
        train_jointly(build, scenes, fewer, seed=0, steps=1, batch_size=4, learning_rate=0.1)
