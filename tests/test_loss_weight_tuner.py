"""The tuner trains in the kernel while weights are turned, and the page tells what happened."""

from __future__ import annotations

import asyncio
import time

import pytest
import traitlets

from mtl_tutorial.architectures import ConvEncoder, HardSharing
from mtl_tutorial.data import located_digits
from mtl_tutorial.widgets import player as player_module
from mtl_tutorial.widgets.loss_weight_tuner import LossWeightTuner

TRAIN, HELD_OUT = located_digits("train"), located_digits("validation")
TASKS = TRAIN.tasks[:2]


def tuner(**settings) -> LossWeightTuner:
    def build():
        return HardSharing(ConvEncoder(2), TASKS)

    return LossWeightTuner(build, TASKS, TRAIN, HELD_OUT, **settings)


def step_of(one: LossWeightTuner) -> int:
    one.session.measure()
    return one.session.run.latest.step


def test_a_weight_that_is_set_acts_and_is_told() -> None:
    one = tuner(warm_up=3)
    one.weights = [1, 100]
    assert one.session.balancer.weights == {"digit": 1, "box": 100}
    assert one.runs_shown[-1]["rows"][-1][:3] == [3, 1, 100]


@pytest.mark.parametrize(
    ("weights", "told"),
    [
        ([1, 0], "weights must be 2 numbers from 0.01 to 1000"),
        ([1, float("nan")], "weights must be"),
    ],
)
def test_a_weight_that_can_not_be_is_refused(weights, told) -> None:
    one = tuner()
    with pytest.raises(traitlets.TraitError, match=told):
        one.weights = weights
    assert one.weights == [1, 1]


def test_a_weight_too_many_is_refused() -> None:
    one = tuner()
    with pytest.raises(traitlets.TraitError, match="weights must be 2 numbers"):
        one.weights = [1, 1, 1]


def test_what_the_page_asks_is_done() -> None:
    one = tuner()
    for what, steps in (("step", 1), ("step", 2), ("reset", 0)):
        one._on_message(one, {"do": what}, [])
        assert step_of(one) == steps
    assert [run.latest.step for run in one.runs] == [2, 0]
    assert [run["number"] for run in one.runs_shown] == [1, 2]
    for nonsense in ({"do": "explode"}, "step", None, {}):
        one._on_message(one, nonsense, [])
    assert step_of(one) == 0


async def until(condition) -> None:
    for _ in range(100_000):
        if condition():
            return
        await asyncio.sleep(0.001)
    raise AssertionError("waited in vain")


def test_training_goes_on_while_a_slider_moves_and_ends_with_pause():
    async def scenario():
        one = tuner()
        one.player.start()
        await until(lambda: one.session.steps_made > 3)
        one.weights = [1, 100]
        turned_at = one.session.steps_made
        await until(lambda: one.session.steps_made > turned_at + 30)
        assert one.player.running
        one.player.pause()
        rest = step_of(one)
        for _ in range(20):
            await asyncio.sleep(0)
        assert step_of(one) == rest
        assert one.session.run.latest.weights["box"] == pytest.approx(100)
        return [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]

    assert asyncio.run(scenario()) == []


def test_a_second_tuner_stops_the_first():
    async def scenario():
        first = tuner()
        first.player.start()
        await until(lambda: first.session.steps_made > 2)
        second = tuner()
        await until(lambda: not first.player.running)
        assert not first.running
        second.player.start()
        await until(lambda: second.session.steps_made > 2)
        second.player.pause()

    asyncio.run(scenario())


def test_training_rests_when_nobody_watches(monkeypatch):
    monkeypatch.setattr(player_module, "PATIENCE", 0.0)

    async def scenario():
        one = tuner()
        one.player.start()
        await until(lambda: not one.player.running)
        assert "nobody seems to be watching" in one.said

    asyncio.run(scenario())


def test_a_long_cell_in_between_is_not_taken_for_nobody_watching(monkeypatch):
    monkeypatch.setattr(player_module, "PATIENCE", 0.3)
    monkeypatch.setattr(player_module, "LONG_BLOCK", 0.2)

    async def scenario():
        one = tuner()
        one.player.start()
        await until(lambda: one.session.steps_made > 1)
        time.sleep(0.5)  # another cell keeps the kernel busy
        reached = one.session.steps_made
        await until(lambda: one.session.steps_made > reached + 2 or not one.player.running)
        assert one.player.running
        one.player.pause()

    asyncio.run(scenario())


def test_a_picture_that_cannot_be_drawn_is_said(monkeypatch):
    async def scenario():
        one = tuner(steps=10**6)

        def broken():
            raise OverflowError("no such number")

        one.player._draw = broken
        one.player.start()
        await until(lambda: not one.player.running)
        assert "no such number" in one.said

    asyncio.run(scenario())


def test_a_weight_turned_while_training_is_dated_to_its_step():
    async def scenario():
        one = tuner()
        one.player.start()
        await until(lambda: one.session.steps_made >= 30)
        one.weights = [1, 100]
        turned_at = one.session.steps_made
        await until(lambda: one.session.steps_made >= 51)
        one.player.pause()
        assert one.session.run.since_change.step == turned_at
        assert one.session.run.since_change.weights["box"] == 1

    asyncio.run(scenario())


def test_training_stops_at_the_step_that_is_asked_for_and_goes_on_from_there():
    async def scenario():
        one = tuner()
        one.stop_at = 5
        one.player.start()
        await until(lambda: not one.running)
        assert step_of(one) == 5
        assert "Stopped at step 5" in one.said
        one.player.start()
        await until(lambda: one.session.steps_made > 8)
        one.player.pause()

    asyncio.run(scenario())


def test_a_run_that_is_over_says_so():
    async def scenario():
        one = tuner(steps=2)
        one.player.start()
        await until(lambda: not one.player.running)
        assert "This run is over" in one.said
        assert one.session.run.latest.step == 2

    asyncio.run(scenario())


def test_a_loss_that_turns_nan_stops_the_run_and_names_the_task():
    def broken_after_two(prediction, target):
        broken_after_two.calls += 1
        loss = TASKS[1].loss(prediction, target)
        return loss * float("nan") if broken_after_two.calls > 6 else loss

    broken_after_two.calls = 0
    tasks = (TASKS[0], type(TASKS[1])("box", broken_after_two, TASKS[1].metric, 4))
    one = LossWeightTuner(lambda: HardSharing(ConvEncoder(2), tasks), tasks, TRAIN, HELD_OUT)
    for _ in range(8):
        one.player.step()
    assert "loss of task 'box' became nan" in one.said
    assert len(one.session.run.measurements) > 1
