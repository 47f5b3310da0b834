"""GradNorm's stepper shows one step, its norms and its targets."""

from __future__ import annotations

import pytest
import torch
from matplotlib.figure import Figure

from mtl_tutorial.architectures import ConvEncoder, HardSharing
from mtl_tutorial.balancing import gradnorm_step
from mtl_tutorial.data import located_digits
from mtl_tutorial.widgets.gradnorm_stepper import (
    GradNormStepper,
    StepView,
    describe_step,
    draw_step,
    with_alpha,
)

SCENES = located_digits("train")


TASKS = SCENES.tasks[:2]


def view(alpha=1.0) -> StepView:
    made = gradnorm_step([1.2, 0.8], [1.0, 0.5], [1.4, 0.6], alpha=alpha, learning_rate=0.1)
    return StepView(("digit", "box"), 7, alpha, made, {"digit": [1, 1.2], "box": [1, 0.8]})


@pytest.fixture
def stepper() -> GradNormStepper:
    return GradNormStepper(lambda: HardSharing(ConvEncoder(2), TASKS), TASKS, SCENES, warm_up=3)


def test_the_sentence_names_who_lags_and_where_each_weight_goes() -> None:
    text = describe_step(view())
    assert "Step 7, α = 1.0" in text
    assert "<b>digit</b> lags (r = 1.40); its G of 1.2 is above the target of 1.12" in text
    assert "its weight falls from 1.200 to" in text
    assert "<b>box</b> leads (r = 0.60); its G of 0.4 is below the target of 0.48" in text
    assert "its weight rises from 0.800 to" in text


def test_another_alpha_moves_the_targets_and_nothing_that_was_measured() -> None:
    made = view().made
    other = with_alpha(made, 2.0, 0.1)
    for name in ("norms", "rates", "weights"):
        assert torch.equal(getattr(other, name), getattr(made, name))
    assert other.targets.tolist() == pytest.approx([0.8 * 1.4**2, 0.8 * 0.6**2])
    assert torch.equal(with_alpha(made, 1.0, 0.1).new_weights, made.new_weights)


def test_the_same_alpha_gives_the_step_that_adam_made(stepper) -> None:
    stepper.buttons["leap"].click()
    made = stepper.balancer.last_step
    assert torch.equal(with_alpha(made, 1.5, 0.025).new_weights, made.new_weights)


def test_a_weight_that_moves_against_its_norm_is_not_explained_by_it() -> None:
    zeros = torch.zeros(2)
    made = view().made._replace(new_weights=torch.tensor([1.3, 0.7]), gradients=zeros)
    text = describe_step(StepView(("digit", "box"), 7, 1.0, made, {}))
    assert "above the target of 1.12, and yet, by the steps before it and the sum, its" in text


def test_the_bars_are_the_norms_and_the_lines_the_targets() -> None:
    figure = Figure(figsize=(9, 4))
    shown = view()
    draw_step(figure, shown)
    bars, lines = figure.axes
    assert [bar.get_height() for bar in bars.patches] == shown.made.norms.tolist()
    assert [line.get_ydata()[0] for line in bars.lines] == shown.made.targets.tolist()
    assert [list(line.get_ydata()) for line in lines.lines] == list(shown.weights.values())


def test_an_alpha_that_the_slider_can_not_show_is_refused() -> None:
    with pytest.raises(ValueError, match="alpha must be a number from 0 to 3, got 12"):
        GradNormStepper(lambda: HardSharing(ConvEncoder(2), TASKS), TASKS, SCENES, alpha=12)


def test_a_click_makes_one_step_and_the_other_button_ten(stepper) -> None:
    assert "Step 3," in stepper.sentence.value
    picture = stepper.image.value
    stepper.buttons["Step"].click()
    assert "Step 4," in stepper.sentence.value
    assert stepper.image.value != picture
    stepper.buttons["leap"].click()
    assert "Step 14," in stepper.sentence.value


def test_alpha_acts_on_the_picture_at_once_and_on_the_next_step(stepper) -> None:
    before, weights = stepper.sentence.value, stepper.balancer.weights
    stepper.alpha.value = 0
    assert stepper.sentence.value != before
    assert "α = 0.0" in stepper.sentence.value
    assert stepper.balancer.weights == weights
    stepper.buttons["Step"].click()
    made = stepper.balancer.last_step
    assert made.targets.tolist() == pytest.approx([sum(made.norms.tolist()) / 2] * 2)


def test_reset_starts_the_same_run_again(stepper) -> None:
    before = stepper.balancer.weights
    stepper.buttons["leap"].click()
    assert stepper.balancer.weights != before
    stepper.buttons["Reset"].click()
    assert "Step 3," in stepper.sentence.value
    assert stepper.balancer.weights == before
