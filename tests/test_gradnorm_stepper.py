"""GradNorm's stepper trains by the step, and tells the page what it measured."""

from __future__ import annotations

import pytest
import traitlets

from mtl_tutorial.architectures import ConvEncoder, HardSharing
from mtl_tutorial.data import located_digits
from mtl_tutorial.widgets.gradnorm_stepper import MOST_AT_ONCE, GradNormStepper

SCENES = located_digits("train")
TASKS = SCENES.tasks[:2]


def make(**settings) -> GradNormStepper:
    def build():
        return HardSharing(ConvEncoder(2), TASKS)

    return GradNormStepper(build, TASKS, SCENES, **{"warm_up": 3, **settings})


@pytest.fixture
def stepper() -> GradNormStepper:
    return make()


def test_it_begins_after_the_warm_up_with_the_weights_of_every_step(stepper) -> None:
    assert stepper.step == 3
    assert [len(row) for row in stepper.history] == [4, 4]
    assert [row[0] for row in stepper.history] == [1, 1]
    weights = [float(weight) for weight in stepper.balancer.weights.values()]
    assert [row[-1] for row in stepper.history] == pytest.approx(weights, abs=1e-5)


def test_the_page_asks_for_steps_and_for_a_new_start(stepper) -> None:
    begun = stepper.balancer.weights
    stepper._on_message(stepper, {"do": "steps", "steps": 10}, [])
    assert stepper.step == 13 and stepper.balancer.weights != begun
    stepper._on_message(stepper, {"do": "reset"}, [])
    assert stepper.step == 3 and stepper.balancer.weights == begun
    for nonsense in ({"do": "jump"}, None, "steps", {}):
        stepper._on_message(stepper, nonsense, [])
    assert stepper.step == 3
    stepper._on_message(stepper, {"do": "steps", "steps": 10**9}, [])
    assert stepper.step == 3 + MOST_AT_ONCE


def test_another_alpha_acts_on_the_next_step_and_on_nothing_that_was_measured(stepper) -> None:
    made, weights = stepper.made, stepper.balancer.weights
    stepper.alpha = 0
    assert stepper.made == made and stepper.balancer.weights == weights
    stepper.advance(1)
    last = stepper.balancer.last_step
    assert last.targets.tolist() == pytest.approx([sum(last.norms.tolist()) / 2] * 2)


@pytest.mark.parametrize(
    ("alpha", "told"), [(12, "from 0 to 3, got 12"), ("much", "must be a number, got 'much'")]
)
def test_an_alpha_that_can_not_be_is_refused(stepper, alpha, told) -> None:
    with pytest.raises(traitlets.TraitError, match=told):
        make(alpha=alpha)
    with pytest.raises(traitlets.TraitError, match=told):
        stepper.alpha = alpha
    assert stepper.alpha == 1.5
