"""The single-task trainer trains what is chosen, shows what it did, and leaves nothing running."""

from __future__ import annotations

import asyncio
import math

import pytest
import torch
from matplotlib.figure import Figure

from mtl_tutorial.architectures import ClassicEncoder, ConvEncoder, HardSharing
from mtl_tutorial.data import Digits, Scenes, load_digits, located_digits
from mtl_tutorial.experiments.session import MEASURE_EVERY, Session
from mtl_tutorial.tasks import Batch, Task
from mtl_tutorial.widgets.single_task_trainer import (
    SHOWN,
    SingleTaskTrainer,
    describe_training,
    draw_trainer,
    predict,
)

PNG = b"\x89PNG"


@pytest.fixture(scope="module")
def scenes() -> Scenes:
    source = load_digits("train")
    return located_digits("train", digits=Digits(source.images[:64], source.labels[:64], "train"))


@pytest.fixture
def trainer(scenes):
    return make(scenes)


def build(task: Task) -> HardSharing:
    return HardSharing(ConvEncoder(width=4), [task])


def make(scenes: Scenes, **settings) -> SingleTaskTrainer:
    return SingleTaskTrainer(
        build, scenes.tasks, scenes, scenes, **{"steps": 60, "batch_size": 8, **settings}
    )


def titles(figure: Figure) -> list[str]:
    return [axes.get_title(loc="left") or axes.get_title() for axes in figure.axes]


def buttons(trainer: SingleTaskTrainer) -> dict:
    return {
        button.description: button
        for button in trainer.controls.children
        if hasattr(button, "click")
    }


def test_answers_are_those_of_evaluation_mode_and_leave_the_mode(scenes) -> None:
    task = scenes.tasks[0]
    model = HardSharing(ClassicEncoder(), [task])  # has dropout
    batch = scenes.draw(4, torch.Generator().manual_seed(0))
    for training in (True, False):
        model.train(training)
        first, second = predict(model, batch), predict(model, batch)
        assert torch.equal(first["digit"], second["digit"])
        assert not first["digit"].requires_grad
        assert model.training is training


@pytest.mark.parametrize("number", range(3))
def test_the_picture_holds_the_curve_and_the_answers(scenes, number) -> None:
    task = scenes.tasks[number]
    session = Session(lambda: build(task), [task], scenes, scenes, steps=50, batch_size=8)
    while session.step():
        pass
    batch = scenes.draw(SHOWN, torch.Generator().manual_seed(0))
    shown = Batch(batch.inputs, {task.name: batch.targets[task.name]})
    figure = Figure(figsize=(9, 3.7))
    said = draw_trainer(
        figure, {task.name: session.run}, task, shown, predict(session.model, shown)
    )
    curve = figure.axes[0].lines[0]
    assert curve.get_xdata().tolist() == [m.step for m in session.run.measurements]
    assert curve.get_ydata().tolist() == [
        m.scores[task.name].metric for m in session.run.measurements
    ]
    metric = session.run.latest.scores[task.name].metric
    assert titles(figure) == [
        f"{task.name}: {task.metric_name} {metric:.2f}",
        "Answers on unseen scenes after 50 steps",
    ]
    assert f"{metric:.2f}" in said


def test_the_sentence_tells_the_score_before_and_now(scenes) -> None:
    task = scenes.tasks[0]
    session = Session(lambda: build(task), [task], scenes, scenes, steps=30, batch_size=8)
    assert "knows nothing yet" in describe_training(session.run, task)
    for _ in range(30):
        session.step()
    said = describe_training(session.run, task)
    first, now = session.run.measurements[0], session.run.latest
    assert "After 30 steps the digit network" in said
    assert f"before training {first.scores['digit'].metric:.2f}" in said
    assert f"{now.scores['digit'].loss:.3g}" in said


def test_it_starts_with_a_picture_of_the_first_task(trainer) -> None:
    assert bytes(trainer.image.value).startswith(PNG)
    assert trainer.choice.value == "digit"
    assert "digit network knows nothing yet" in trainer.sentence
    bundle, _ = trainer._repr_mimebundle_()
    assert bundle["image/png"]
    assert "digit network" in bundle["text/plain"]
    assert "application/vnd.jupyter.widget-view+json" in bundle


def test_another_task_changes_picture_and_sentence(trainer) -> None:
    pictures, sentences = {trainer.image.value}, {trainer.sentence}
    for name in ("box", "mask"):
        trainer.choice.value = name
        assert f"{name} network" in trainer.sentence
        pictures.add(trainer.image.value)
        sentences.add(trainer.sentence)
    assert len(pictures) == len(sentences) == 3


def test_the_step_button_makes_one_step_of_the_chosen_network_alone(trainer) -> None:
    trainer.choice.value = "box"
    before = trainer.image.value
    buttons(trainer)["Step"].click()
    assert trainer.sessions["box"].run.latest.step == 1
    assert trainer.sessions["digit"].run.latest.step == 0
    assert "After 1 step the" in trainer.sentence
    assert trainer.image.value != before


def test_each_task_keeps_its_network_while_another_one_is_shown(trainer) -> None:
    for _ in range(3):
        trainer.player.step()
    trainer.choice.value = "mask"
    trainer.choice.value = "digit"
    assert "After 3 steps" in trainer.sentence


def test_reset_starts_the_chosen_network_over_and_keeps_the_others(trainer) -> None:
    before = {name: s.model.state_dict() for name, s in trainer.sessions.items()}
    start = {name: {k: v.clone() for k, v in state.items()} for name, state in before.items()}
    trainer.player.step()
    trainer.choice.value = "box"
    trainer.player.step()
    buttons(trainer)["Reset"].click()
    assert "knows nothing yet" in trainer.sentence
    assert trainer.sessions["digit"].run.latest.step == 1
    again = trainer.sessions["box"].model.state_dict()
    assert all(torch.equal(value, again[name]) for name, value in start["box"].items())


def test_warm_up_makes_its_steps_with_the_first_task(scenes) -> None:
    trainer = make(scenes, warm_up=30)
    assert trainer.sessions["digit"].run.latest.step == 30
    assert trainer.sessions["box"].run.latest.step == 0
    assert "After 30 steps" in trainer.sentence
    assert trainer._repr_mimebundle_()[0]["text/plain"].startswith("After 30 steps")


def test_a_run_that_is_over_says_so_and_stays(scenes) -> None:
    trainer = make(scenes, steps=2, warm_up=2)
    trainer.player.step()
    assert "This run is over" in trainer.sentence
    assert trainer.session.run.latest.step == 2


def test_a_loss_that_breaks_is_told_and_kept(scenes) -> None:
    task = scenes.tasks[0]
    broken = Task("digit", lambda p, t: task.loss(p, t) * math.nan, task.metric, 10)
    trainer = SingleTaskTrainer(build, [broken], scenes, scenes, steps=5, batch_size=8)
    trainer.player.step()
    assert "Stopped." in trainer.sentence
    assert "'digit' became nan at step 1" in trainer.sentence


async def until(condition) -> None:
    while not condition():
        await asyncio.sleep(0)


def others() -> set[asyncio.Task]:
    return asyncio.all_tasks() - {asyncio.current_task()}


def test_start_trains_in_the_background_and_pause_leaves_no_task(scenes) -> None:
    async def scenario() -> None:
        trainer = make(scenes, steps=10_000)
        trainer.player.toggle()
        assert trainer.player.running
        assert "Pause" in buttons(trainer)
        await until(lambda: trainer.session.run.latest.step >= 2 * MEASURE_EVERY)
        trainer.player.toggle()
        assert not trainer.player.running
        made = trainer.session.run.latest.step
        await asyncio.sleep(0)
        assert others() == set()
        assert trainer.session.run.latest.step == made
        assert f"After {made} steps" in trainer.sentence
        assert "Start" in buttons(trainer)

    asyncio.run(scenario())


def test_pause_and_start_go_on_where_the_run_was(scenes) -> None:
    async def scenario() -> None:
        trainer = make(scenes, steps=10_000)
        for measured in (1, 2):
            trainer.player.start()
            await until(lambda: trainer.session.run.latest.step >= measured * MEASURE_EVERY)
            trainer.player.pause()
        steps = [m.step for m in trainer.session.run.measurements]
        assert steps == sorted(set(steps))
        assert len(trainer.session.runs) == 1

    asyncio.run(scenario())


def test_choosing_another_task_pauses_the_training(scenes) -> None:
    async def scenario() -> None:
        trainer = make(scenes, steps=10_000)
        trainer.player.start()
        await until(lambda: trainer.session.run.latest.step >= MEASURE_EVERY)
        trainer.choice.value = "box"
        await asyncio.sleep(0)
        assert not trainer.player.running
        assert others() == set()
        assert trainer.sessions["box"].run.latest.step == 0

    asyncio.run(scenario())


def test_a_run_that_reaches_its_end_leaves_no_task_and_says_so(scenes) -> None:
    async def scenario() -> None:
        trainer = make(scenes, steps=3)
        trainer.player.start()
        await until(lambda: not others())
        assert not trainer.player.running
        assert trainer.session.run.latest.step == 3
        assert "This run is over" in trainer.sentence

    asyncio.run(scenario())


def test_a_second_trainer_stops_the_first(scenes) -> None:
    async def scenario() -> None:
        first = make(scenes, steps=10_000)
        first.player.start()
        await until(lambda: first.session.run.latest.step >= MEASURE_EVERY)
        second = make(scenes, steps=10_000)  # as when the cell is run again
        await until(lambda: not others())
        made = first.session.run.latest.step
        second.player.start()
        await until(lambda: second.session.run.latest.step >= MEASURE_EVERY)
        assert not first.player.running
        assert "Start" in buttons(first)
        assert first.session.run.latest.step == made
        second.player.pause()
        await asyncio.sleep(0)
        assert others() == set()

    asyncio.run(scenario())
