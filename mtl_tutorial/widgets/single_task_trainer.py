"""The single-task trainer: one network, one task, and its answers on images it has not seen."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import ipywidgets
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from mtl_tutorial.data import Scenes
from mtl_tutorial.experiments.session import Session, Trace
from mtl_tutorial.measuring import predict
from mtl_tutorial.plots import draw_scenes_on, label_ends, panels, task_style
from mtl_tutorial.tasks import Batch, Task
from mtl_tutorial.widgets.events import in_cell_loop
from mtl_tutorial.widgets.player import PlayerControls
from mtl_tutorial.widgets.view import View, in_a_row

SHOWN = 8  # held-out scenes


def draw_trainer(
    figure: Figure,
    runs: Mapping[str, Trace],
    task: Task,
    batch: Batch,
    outputs: Mapping[str, Tensor],
) -> str:
    """Draw the metric of each network so far, and one network's answers on held-out scenes."""
    curve, scenes = panels(figure, 1, 2)[0]
    curve.set_position([0.07, 0.15, 0.34, 0.73])
    scenes.set_position([0.49, 0.02, 0.5, 0.86])
    longest = max(run.latest.step for run in runs.values())
    end = max(200, -(-longest // 200) * 200)
    curve.set(xlim=(0, end), ylim=(0, 1), xticks=[0, end // 2, end], yticks=[0, 0.5, 1])
    curve.set(xlabel="training step", ylabel="validation metric")
    ends = []
    for name, run in runs.items():
        points = [(m.step, m.scores[name].metric) for m in run.measurements]
        curve.plot(*zip(*points, strict=True), **task_style(name))
        ends.append((*points[-1], name))
    label_ends(curve, ends)
    now = runs[task.name].latest
    curve.set_title(f"{task.name}: {task.metric_name} {now.scores[task.name].metric:.2f}")
    draw_scenes_on(scenes, batch, outputs, columns=4)
    scenes.set_title(f"Answers on unseen scenes after {_steps(now.step)}")
    return describe_training(runs[task.name], task)


def describe_training(run: Trace, task: Task) -> str:
    """Say in words where one network stands."""
    first, now = run.measurements[0], run.latest
    score = now.scores[task.name]
    if now.step == 0:
        return (
            f"The {task.name} network knows nothing yet: {task.metric_name} "
            f"{score.metric:.2f}. Press Start."
        )
    return (
        f"After {_steps(now.step)} the {task.name} network reaches {task.metric_name} "
        f"{score.metric:.2f} on scenes it has not seen (before training "
        f"{first.scores[task.name].metric:.2f}); its validation loss is {score.loss:.3g}."
    )


def _steps(number: int) -> str:
    return "1 step" if number == 1 else f"{number} steps"


class SingleTaskTrainer(View):
    """Trains one network for one task, and shows what it answers.

    Args:
        build: ``build(task)`` makes a network for one task.
        tasks: to choose from; each keeps its own network.
        scenes: what they train on.
        held_out: what they are measured and shown on.
        warm_up: steps made at once with the first task.
        settings: ``steps``, ``batch_size``, ``learning_rate``, ``seed`` of a run.
    """

    def __init__(
        self,
        build: Callable[[Task], nn.Module],
        tasks: Sequence[Task],
        scenes: Scenes,
        held_out: Scenes,
        *,
        warm_up: int = 0,
        **settings,
    ) -> None:
        self.sessions = {
            task.name: Session(partial(build, task), [task], scenes, held_out, **settings)
            for task in tasks
        }
        self._tasks = {task.name: task for task in tasks}
        shown = held_out.draw(SHOWN, torch.Generator().manual_seed(0))
        self._shown = {
            name: Batch(shown.inputs, {name: shown.targets[name]}) for name in self._tasks
        }
        self.choice = ipywidgets.ToggleButtons(options=list(self._tasks))
        self.choice.observe(in_cell_loop(self._choose), "value")
        self.controls = PlayerControls(
            type(self).__name__,
            step=lambda: self.session.step(),
            draw=self._refresh,
            reset=lambda: self.session.reset(),
            say=self.say,
        )
        self.player = self.controls.player
        super().__init__(
            draw_trainer,
            size=(9, 3.7),
            above=[in_a_row(ipywidgets.Label("task"), self.choice), self.controls],
        )
        for _ in range(warm_up):
            self.session.step()
        self._refresh()

    @property
    def session(self) -> Session:
        """The chosen task's."""
        return self.sessions[self.choice.value]

    def _choose(self, _change: object) -> None:
        self.player.pause()
        self._refresh()

    def _refresh(self) -> None:
        if not self.player.running:
            self.session.measure()
        name = self.choice.value
        runs = {
            other: session.run
            for other, session in self.sessions.items()
            if other == name or session.run.latest.step
        }
        outputs = predict(self.session.model, self._shown[name])
        self.redraw(runs, self._tasks[name], self._shown[name], outputs)
