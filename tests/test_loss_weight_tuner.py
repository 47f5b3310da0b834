from __future__ import annotations

import asyncio
import io
import time

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from mtl_tutorial.architectures import ConvEncoder, HardSharing
from mtl_tutorial.data import located_digits
from mtl_tutorial.experiments.session import Measurement, Trace
from mtl_tutorial.measuring import Score
from mtl_tutorial.widgets import player as player_module
from mtl_tutorial.widgets.loss_weight_tuner import (
    LossWeightTuner,
    describe_run,
    draw_tuner,
    runs_table,
)

TRAIN, HELD_OUT = located_digits("train"), located_digits("validation")
TASKS = TRAIN.tasks[:2]


def tuner(**settings) -> LossWeightTuner:
    def build():
        return HardSharing(ConvEncoder(2), TASKS)

    return LossWeightTuner(build, TASKS, TRAIN, HELD_OUT, **settings)


def measurement(step, digit, box, weights=(1.0, 1.0), cosine=0.5):
    return Measurement(
        step,
        {"digit": weights[0], "box": weights[1]},
        {"digit": 2.0, "box": 0.01} if step else {},
        {"digit": Score(2.0, digit), "box": Score(0.01, box)},
        {"digit": 3.0, "box": 1.0},
        cosine,
    )


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)))


def step_of(one: LossWeightTuner) -> int:
    one.session.measure()
    return one.session.run.latest.step


def test_the_sentence_says_what_rose_and_what_fell_since_the_weights_changed():
    run = Trace(1, [measurement(0, 0.1, 0.0), measurement(50, 0.6, 0.3)])
    run.measurements.append(measurement(75, 0.5, 0.6, weights=(1.0, 30.0)))
    text = describe_run(run, TASKS)
    assert "Step 75, weights digit 1, box 30" in text
    assert "Since step 50, digit accuracy fell from 0.60 to 0.50" in text
    assert "box mean IoU rose from 0.30 to 0.60" in text


def test_the_sentence_tells_of_a_peak_that_was_lost():
    run = Trace(
        1, [measurement(0, 0.1, 0.0), measurement(50, 0.2, 0.63), measurement(75, 0.5, 0.4)]
    )
    text = describe_run(run, TASKS)
    assert "box mean IoU rose from 0.00 to 0.40 (it was 0.63 at step 50)" in text
    assert text.count("it was") == 1


def test_the_sentence_calls_a_change_below_half_a_hundredth_none():
    run = Trace(1, [measurement(0, 0.1, 0.500), measurement(25, 0.6, 0.504)])
    assert "box mean IoU stayed at 0.50" in describe_run(run, TASKS)


def test_the_table_marks_the_best_of_each_metric_and_the_path_of_the_weights():
    first = Trace(1, [measurement(0, 0.1, 0.0), measurement(50, 0.6, 0.3)])
    second = Trace(
        2, [measurement(0, 0.1, 0), measurement(25, 0.4, 0.6), measurement(50, 0.5, 0.7)]
    )
    second.measurements[-1] = measurement(50, 0.5, 0.7, weights=(1.0, 30.0))
    table = runs_table([first, second], TASKS)
    assert "<b>0.600</b>" in table and "<b>0.700</b>" in table
    assert "0.500" in table and "<b>0.500</b>" not in table
    assert "1 → 30" in table


def test_the_picture_says_who_has_the_gradient_and_how_the_two_of_a_batch_lie():
    figure = Figure(figsize=(9, 5.2))
    run = Trace(1, [measurement(0, 0.1, 0.0), measurement(50, 0.6, 0.3, (1.0, 9.0), cosine=-0.4)])
    draw_tuner(figure, [run], TASKS)
    titles = [axes.get_title() for axes in figure.axes]
    assert "box has 75% of the shared gradient" in titles
    assert "Gradients of one batch: cosine −0.40" in titles


def test_earlier_runs_are_drawn_pale():
    figure = Figure(figsize=(9, 5.2))
    ghost = Trace(1, [measurement(0, 0.1, 0.0), measurement(50, 0.6, 0.3)])
    draw_tuner(figure, [ghost, Trace(2, [measurement(0, 0.1, 0.0)])], TASKS)
    metric = figure.axes[1]
    assert sorted(line.get_alpha() or 1 for line in metric.lines) == [0.25, 0.25, 1, 1]


@pytest.mark.parametrize("name", ["digit", "box"])
def test_a_slider_sets_the_weight_and_changes_picture_and_sentence(name):
    one = tuner(warm_up=3)
    picture, sentence = one.image.value, one.sentence.value
    one.sliders[name].value = 100
    assert one.session.balancer.weights[name] == pytest.approx(100)
    assert f"{name} 100" in one.sentence.value != sentence
    assert (pixels(one.image.value) != pixels(picture)).any()


def test_a_redrawn_picture_equals_one_drawn_afresh():
    one = tuner(warm_up=30)
    for _ in range(200):
        one.session.step()
    one.sliders["box"].value = 50
    fresh = tuner()
    fresh.session = one.session
    fresh._refresh()
    assert (pixels(one.image.value) == pixels(fresh.image.value)).all()


def test_a_reader_sees_picture_and_sentence_without_the_live_view():
    bundle = tuner(warm_up=3)._repr_mimebundle_()
    assert bundle["text/plain"].startswith("Step 3, weights digit 1, box 1")
    assert bundle["image/png"].startswith("iVBOR")
    assert "application/vnd.jupyter.widget-view+json" in bundle


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
        await until(lambda: one.session._step > 3)
        one.sliders["box"].value = 100
        turned_at = one.session._step
        await until(lambda: one.session._step > turned_at + 30)
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
        await until(lambda: first.session._step > 2)
        second = tuner()
        await until(lambda: not first.player.running)
        assert first.player._start.description == "Start"
        second.player.start()
        await until(lambda: second.session._step > 2)
        second.player.pause()

    asyncio.run(scenario())


def test_training_rests_when_nobody_watches(monkeypatch):
    monkeypatch.setattr(player_module, "PATIENCE", 0.0)

    async def scenario():
        one = tuner()
        one.player.start()
        await until(lambda: not one.player.running)
        assert "nobody seems to be watching" in one.sentence.value

    asyncio.run(scenario())


def test_a_long_cell_in_between_is_not_taken_for_nobody_watching(monkeypatch):
    monkeypatch.setattr(player_module, "PATIENCE", 0.3)
    monkeypatch.setattr(player_module, "LONG_BLOCK", 0.2)

    async def scenario():
        one = tuner()
        one.player.start()
        await until(lambda: one.session._step > 1)
        time.sleep(0.5)  # another cell keeps the kernel busy
        reached = one.session._step
        await until(lambda: one.session._step > reached + 2 or not one.player.running)
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
        assert "no such number" in one.sentence.value

    asyncio.run(scenario())


def test_a_weight_turned_while_training_is_dated_to_its_step():
    async def scenario():
        one = tuner()
        one.player.start()
        await until(lambda: one.session._step >= 30)
        one.sliders["box"].value = 100
        turned_at = one.session._step
        await until(lambda: one.session._step >= 51)
        one.player.pause()
        assert one.session.run.since_change.step == turned_at
        assert one.session.run.since_change.weights["box"] == 1

    asyncio.run(scenario())


def test_step_makes_one_step_and_reset_starts_over():
    one = tuner()
    one.player.step()
    assert step_of(one) == 1
    one.player.reset()
    assert [run.latest.step for run in one.session.runs] == [1, 0]
    assert one._table.value.count("<tr>") == 3


def test_a_run_that_is_over_says_so():
    async def scenario():
        one = tuner(steps=2)
        one.player.start()
        await until(lambda: not one.player.running)
        assert "This run is over" in one.sentence.value
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
    assert "loss of task &#x27;box&#x27; became nan" in one.sentence.value
    assert len(one.session.run.measurements) > 1
