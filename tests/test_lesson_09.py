"""Lesson 09's gradients are the package's; few-shot tasks and the relatedness lab are right."""

from __future__ import annotations

import copy
import math

import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lesson_cells import run_tagged
from matplotlib.figure import Figure
from torch import nn
from torch.func import functional_call, grad
from torch.nn import functional as F

from mtl_tutorial.architectures import HardSharing
from mtl_tutorial.data import load_digits, located_digits
from mtl_tutorial.experiments.few_shot import (
    NEW,
    OLD,
    draw_episode,
    new_task_loss,
    of_classes,
    train_jointly,
)
from mtl_tutorial.experiments.meta import adapt, first_order_maml_gradient, maml_gradient
from mtl_tutorial.experiments.relatedness import ANGLES, compute_relatedness
from mtl_tutorial.experiments.runs import seeded
from mtl_tutorial.experiments.side_by_side import SideBySide
from mtl_tutorial.measuring import predict
from mtl_tutorial.plots import draw_by_shots
from mtl_tutorial.tasks import Batch
from mtl_tutorial.widgets.relatedness_lab import RelatednessLab, draw_relatedness

UNHURRIED = settings(deadline=None, max_examples=20)
CLASSES = torch.tensor([2, 3, 5, 8])
KINDS = ((False, maml_gradient), (True, first_order_maml_gradient))


def build() -> HardSharing:
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(256, 6), nn.ReLU())
    encoder.out_features = 6
    return HardSharing(encoder, (OLD, NEW))


def random_tasks(seed: int, count: int = 3) -> tuple[dict, tuple, object]:
    """A network's parameters, few-shot tasks of random numbers, and the loss."""
    draws = torch.Generator().manual_seed(seed)
    net = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3)).double()
    theta = {
        name: torch.randn(value.shape, generator=draws).double()
        for name, value in net.named_parameters()
    }
    inputs = torch.randn(2, count, 6, 4, generator=draws).double()
    labels = torch.randint(3, (2, count, 6), generator=draws)

    def loss(parameters, given, targets):
        return F.cross_entropy(functional_call(net, parameters, (given,)), targets)

    return theta, (inputs[0], labels[0], inputs[1], labels[1]), loss


@pytest.fixture(scope="module")
def lesson() -> dict:
    return run_tagged("09_transfer_and_meta", "from-scratch")


@pytest.fixture(scope="module")
def scenes():
    return located_digits("train", size=16, extent=(11, 14))


@UNHURRIED
@given(st.integers(0, 10_000), st.integers(0, 3))
def test_the_lessons_gradients_are_the_packages(lesson, seed, steps) -> None:
    theta, tasks, loss = random_tasks(seed)
    for first_order, packaged in KINDS:
        own = lesson["meta_gradient"](loss, theta, tasks, 0.3, steps, first_order)
        theirs = packaged(loss, theta, tasks, rate=0.3, steps=steps)
        assert own.keys() == theirs.keys()
        assert all(torch.allclose(own[name], theirs[name]) for name in own)


@UNHURRIED
@given(st.integers(0, 10_000))
def test_mamls_gradient_is_the_slope_of_the_loss_after_adaptation(seed) -> None:
    theta, tasks, loss = random_tasks(seed)

    def after(shift):
        moved = {name: value + shift for name, value in theta.items()}
        total = 0.0
        for support, labels, query, answers in zip(*tasks, strict=True):
            adapted = adapt(loss, moved, support, labels, rate=0.3, steps=2)
            total += loss(adapted, query, answers).item()
        return total

    gradient = maml_gradient(loss, theta, tasks, rate=0.3, steps=2)
    slope = sum(value.sum() for value in gradient.values()).item()
    assert slope == pytest.approx((after(1e-5) - after(-1e-5)) / 2e-5, abs=1e-6)


@UNHURRIED
@given(st.integers(0, 10_000))
def test_first_order_takes_the_query_gradient_at_the_adapted_parameters(seed) -> None:
    theta, tasks, loss = random_tasks(seed)
    expected = {name: torch.zeros_like(value) for name, value in theta.items()}
    for support, labels, query, answers in zip(*tasks, strict=True):
        adapted = adapt(loss, theta, support, labels, rate=0.3, steps=2)
        for name, slope in grad(loss)(adapted, query, answers).items():
            expected[name] += slope
    found = first_order_maml_gradient(loss, theta, tasks, rate=0.3, steps=2)
    assert all(torch.allclose(found[name], expected[name]) for name in theta)


@pytest.mark.parametrize("gradient", [maml_gradient, first_order_maml_gradient])
def test_without_inner_steps_the_gradient_is_that_of_the_sum_over_tasks(gradient) -> None:
    theta, tasks, loss = random_tasks(0)

    def total(parameters):
        return sum(loss(parameters, q, a) for q, a in zip(*tasks[2:], strict=True))

    found, expected = gradient(loss, theta, tasks, rate=0.3, steps=0), grad(total)(theta)
    assert all(torch.allclose(found[name], expected[name]) for name in theta)


def test_adaptation_is_gradient_descent_and_leaves_its_start_alone() -> None:
    theta, (support, labels, *_), loss = random_tasks(1)
    before = copy.deepcopy(theta)
    net = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3)).double()
    net.load_state_dict(theta)
    sgd = torch.optim.SGD(net.parameters(), lr=0.3)
    for _ in range(4):
        sgd.zero_grad()
        F.cross_entropy(net(support[0]), labels[0]).backward()
        sgd.step()
    adapted = adapt(loss, theta, support[0], labels[0], rate=0.3, steps=4)
    assert all(torch.allclose(adapted[n], value) for n, value in net.state_dict().items())
    assert all(torch.equal(theta[name], before[name]) for name in theta)


def test_a_probe_moves_the_head_alone() -> None:
    theta, (support, labels, *_), loss = random_tasks(1)
    adapted = adapt(loss, theta, support[0], labels[0], rate=0.3, steps=4, only="2.")
    moved = {name for name in theta if not torch.equal(adapted[name], theta[name])}
    assert moved == {"2.weight", "2.bias"}
    with pytest.raises(ValueError, match="only must be the start of a parameter's name, got 'he"):
        adapt(loss, theta, support[0], labels[0], rate=0.3, steps=4, only="head")


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


def test_networks_side_by_side_are_those_alone() -> None:
    torch.manual_seed(0)
    copies = [build() for _ in range(3)]
    stack = SideBySide(copies)
    images = torch.rand(3, 5, 1, 16, 16)
    together = stack(images)
    for i, network in enumerate(copies):
        for name, prediction in network(images[i]).items():
            assert torch.allclose(together[name][i], prediction, atol=1e-6)
    for network, own in zip(stack.apart(), copies, strict=True):
        assert all(map(torch.equal, network.parameters(), own.parameters()))
    together["new"][1].sum().backward()
    assert all((p.grad[[0, 2]] == 0).all() for p in stack.parameters() if p.grad is not None)
    assert any(p.grad[1].abs().sum() > 0 for p in stack.parameters() if p.grad is not None)


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


def test_the_loss_of_the_new_task_is_its_cross_entropy() -> None:
    model, images = build(), torch.rand(6, 1, 16, 16)
    labels = torch.tensor([0, 1, 2] * 2)
    theta = dict(model.named_parameters())
    expected = F.cross_entropy(model(images)["new"], labels)
    assert torch.allclose(new_task_loss(model)(theta, images, labels), expected)


def test_the_lab_draws_the_ratio_of_the_errors() -> None:
    figure, lab = Figure(figsize=(9, 4)), compute_relatedness(45, (20, 60), 1.0)
    text = draw_relatedness(figure, lab)
    lines = [line for line in figure.axes[1].lines if len(line.get_xdata()) == len(ANGLES)]
    for line, curve, alone in zip(lines, lab.curves, lab.alone, strict=True):
        assert line.get_ydata() == pytest.approx(curve / alone)
    assert text.startswith("At 45° joint training helps task 1: error ")


@pytest.mark.parametrize(
    "setting", [(0, (15, 15), 2.0), (180, (120, 120), 0.1), (180, (15, 120), 2.0)]
)
def test_the_lab_can_be_drawn_at_its_ends(setting) -> None:
    assert "task 2" in draw_relatedness(Figure(figsize=(9, 4)), compute_relatedness(*setting))


def test_every_slider_of_the_lab_changes_picture_and_sentence_and_the_button_undoes_it() -> None:
    widget = RelatednessLab()
    start, sentence = widget.image.value, widget.sentence.value
    for slider in widget.sliders.values():
        slider.value = slider.value + slider.step
        assert widget.sentence.value != sentence
        assert widget.image.value != start
        widget.button.click()
        assert (widget.sentence.value, widget.image.value) == (sentence, start)


def test_the_button_of_the_lab_shows_one_picture_with_all_sliders_back() -> None:
    widget = RelatednessLab()
    start, shown = widget.image.value, []
    for slider in widget.sliders.values():
        slider.value = slider.max
    widget.image.observe(lambda change: shown.append(change.new), "value")
    widget.button.click()
    assert shown == [start]


@pytest.mark.parametrize(
    ("start", "told"),
    [
        ({"angle": 400}, "angle must be a number from 0 to 180, got 400"),
        ({"samples": (5, 60)}, "samples of task 1 must be a whole number from 15 to 120, got 5"),
        ({"samples": (20, 500)}, "samples of task 2 must be .* got 500"),
        ({"samples": (20, 60, 30)}, r"samples must be two numbers, .* got \(20, 60, 30\)"),
        ({"samples": 20}, "samples must be two numbers, one for each task, got 20"),
        (
            {"samples": (20.5, 60)},
            "samples of task 1 must be a whole number from 15 to 120, got 20.5",
        ),
        ({"noise": math.nan}, "noise must be a number from 0.1 to 2, got nan"),
        ({"noise": 0}, "noise must be .* got 0"),
    ],
)
def test_a_start_that_the_labs_sliders_can_not_show_is_refused(start, told) -> None:
    with pytest.raises(ValueError, match=told):
        RelatednessLab(**start)


@pytest.mark.parametrize("start", [(0, (15, 120), 0.1), (180, (120, 15), 2)])
def test_the_lab_starts_at_the_ends_of_its_sliders(start) -> None:
    sliders = RelatednessLab(*start).sliders
    values = {name: slider.value for name, slider in sliders.items()}
    assert (values["angle"], (values["first"], values["second"]), values["noise"]) == start


def test_each_seed_and_mean_of_the_methods_is_drawn() -> None:
    rows = [
        {"shots": shots, "method": method, "seed": seed, "value": 0.5 + 0.1 * seed}
        for shots in (1, 5)
        for method in ("a", "b")
        for seed in range(3)
    ]
    figure = Figure(figsize=(9, 4))
    colours = {"a": "#000000", "b": "#0072B2"}
    assert draw_by_shots(figure, pd.DataFrame(rows), colours, title="t", chance=1 / 3) == "t"
    for axes in figure.axes:
        assert [text.get_text() for text in axes.texts] == ["0.60", "0.60"]
        dots = [line for line in axes.lines if line.get_marker() == "o"]
        assert [list(line.get_xdata()) for line in dots] == [[0.5, 0.6, 0.7]] * 2
