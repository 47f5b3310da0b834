"""Lesson 07's own GradNorm is the package's."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lesson_cells import run_tagged

from mtl_tutorial.architectures import ConvEncoder, HardSharing
from mtl_tutorial.balancing import gradnorm_step, training_rates
from mtl_tutorial.data import located_digits
from mtl_tutorial.tasks import task_losses

SCENES = located_digits("train")
TASKS = SCENES.tasks[:2]
UNHURRIED = settings(deadline=None, max_examples=60)
positive = st.floats(0.1, 10)


@pytest.fixture(scope="module")
def lesson() -> dict:
    return run_tagged("07_gradnorm", "from-scratch")


@UNHURRIED
@given(st.lists(st.tuples(*[positive] * 4), min_size=2, max_size=5), st.sampled_from([0, 0.5, 2]))
def test_the_lessons_update_is_the_packages(lesson, rows, alpha) -> None:
    drawn, norms, losses, first = zip(*rows, strict=True)
    weights = [len(drawn) * weight / sum(drawn) for weight in drawn]
    made = gradnorm_step(
        weights, norms, training_rates(losses, first), alpha=alpha, learning_rate=0.01
    )
    gaps = [abs(g - t) for g, t in zip(made.norms, made.targets, strict=True)]
    if min(gaps) > 1e-5:  # no sign hangs on rounding
        columns = [torch.tensor(column).double() for column in (weights, norms, losses, first)]
        own = lesson["gradnorm_update"](*columns, alpha, 0.01)
        assert own.tolist() == pytest.approx(made.new_weights.tolist(), rel=1e-5)


def test_the_lessons_backward_pass_is_that_of_the_weighted_sum(lesson) -> None:
    torch.manual_seed(0)
    model = HardSharing(ConvEncoder(2), TASKS)
    batch = SCENES.draw(8, torch.Generator().manual_seed(0))
    losses = list(task_losses(model(batch.inputs), batch.targets, TASKS).values())
    layer = model.last_shared_layer().weight
    alone = [torch.autograd.grad(loss, layer, retain_graph=True)[0] for loss in losses]
    norms = lesson["gradnorm_backward"](losses, torch.tensor([0.5, 1.5]), layer)
    assert norms.tolist() == pytest.approx([gradient.norm().item() for gradient in alone])
    assert torch.allclose(layer.grad, 0.5 * alone[0] + 1.5 * alone[1], atol=1e-6)
