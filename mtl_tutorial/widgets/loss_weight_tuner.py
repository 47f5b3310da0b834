"""The loss-weight tuner: turn the weights of the losses while the network trains."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import ipywidgets
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator
from torch import nn

from mtl_tutorial.data import Scenes
from mtl_tutorial.experiments.session import Measurement, Session, Trace
from mtl_tutorial.plots import BLACK, label_ends, panels, percent_axis, task_style
from mtl_tutorial.tasks import Task
from mtl_tutorial.widgets.events import in_cell_loop
from mtl_tutorial.widgets.player import Player
from mtl_tutorial.widgets.view import View

GHOSTS = 4  # earlier runs that are drawn


def draw_tuner(figure: Figure, runs: Sequence[Trace], tasks: Sequence[Task]) -> str:
    """Draw the last run's losses, metrics, gradient shares and cosine; earlier runs as ghosts."""
    (loss, metric), (share, cosine) = panels(figure, 2, 2)
    figure.subplots_adjust(0.08, 0.1, 0.94, 0.94, wspace=0.28, hspace=0.32)
    run, shown = runs[-1], runs[-1 - GHOSTS :]
    end = max(200, -(-max(r.latest.step for r in shown) // 200) * 200)
    for axes in (loss, metric, share, cosine):
        axes.set(xlim=(0, end), xticks=[0, end // 2, end])
        for change in _changes(run):
            axes.axvline(change, color=BLACK, linewidth=0.8, linestyle=":")
    _decades(loss, [value for r in shown for m in r.measurements for value in m.losses.values()])
    metric.set(ylim=(0, 1), yticks=[0, 0.5, 1])
    percent_axis(share)
    share.set(yticks=[0, 0.5, 1], xlabel="training step")
    cosine.set(ylim=(-1, 1), yticks=[-1, 0, 1], xlabel="training step")
    for axes, value in (
        (loss, lambda m, name: m.losses.get(name)),
        (metric, lambda m, name: m.scores[name].metric),
        (share, lambda m, name: m.shares[name]),
    ):
        _plot_tasks(axes, shown if axes is not share else [run], tasks, value)
    cosine.plot([m.step for m in run.measurements], [m.cosine for m in run.measurements], c=BLACK)
    cosine.axhline(0, color=BLACK, linewidth=0.8)
    now = run.latest
    largest = max(tasks, key=lambda task: now.shares[task.name]).name
    loss.set_title("Training loss")
    metric.set_title("Validation: " + ", ".join(_metric_text(task, now) for task in tasks))
    share.set_title(f"{largest} has {now.shares[largest]:.0%} of the shared gradient")
    cosine.set_title(f"Gradients of one batch: cosine {now.cosine:+.2f}".replace("-", "−"))
    return describe_run(run, tasks)


def _plot_tasks(axes: Axes, runs: Sequence[Trace], tasks: Sequence[Task], value: Callable) -> None:
    """Plot ``value(measurement, task)`` of the last run with labels, of earlier ones pale."""
    ends = []
    for task in tasks:
        for run in runs:
            points = [(m.step, value(m, task.name)) for m in run.measurements]
            points = [point for point in points if point[1] is not None]
            if not points:
                continue
            ghost = {"alpha": 0.25, "linewidth": 1.4} if run is not runs[-1] else {}
            axes.plot(*zip(*points, strict=True), **task_style(task.name), **ghost)
            if not ghost:
                ends.append((*points[-1], task.name))
    label_ends(axes, ends)


def _decades(axes: Axes, losses: Sequence[float]) -> None:
    """A logarithmic axis over whole powers of ten, so that it seldom moves."""
    exponents = [math.log10(loss) for loss in losses if 0 < loss < math.inf] or [-3, 1]
    low, high = math.floor(min(exponents) - 0.2), math.ceil(max(exponents))
    if axes.get_yscale() != "log":
        axes.set_yscale("log")
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter("{x:g}")
    axes.set_ylim(10.0**low, 10.0 ** max(high, low + 1))


def _changes(run: Trace) -> list[int]:
    pairs = zip(run.measurements, run.measurements[1:], strict=False)
    return [earlier.step for earlier, later in pairs if earlier.weights != later.weights]


def _metric_text(task: Task, measurement: Measurement) -> str:
    return f"{task.name} {measurement.scores[task.name].metric:.2f}"


def describe_run(run: Trace, tasks: Sequence[Task]) -> str:
    """Say in words what the run did since its weights last changed."""
    now, then = run.latest, run.since_change
    weights = ", ".join(f"{task.name} {now.weights[task.name]:.3g}" for task in tasks)
    state = f"Step {now.step}, weights {weights}"
    if now.step == then.step:
        return f"{state}: press Start, then turn a weight while the curves grow."
    later, moves = run.measurements[run.measurements.index(then) :], []
    for task in tasks:
        before, after = then.scores[task.name].metric, now.scores[task.name].metric
        verb = "rose" if after > before + 0.005 else "fell" if after < before - 0.005 else "stayed"
        change = f"from {before:.2f} to {after:.2f}" if verb != "stayed" else f"at {after:.2f}"
        best = max(later, key=lambda moment: moment.scores[task.name].metric)
        if best.scores[task.name].metric > after + 0.05 and best is not then:
            change += f" (it was {best.scores[task.name].metric:.2f} at step {best.step})"
        moves.append(f"{task.name} {task.metric_name} {verb} {change}")
    since = f"since step {then.step}" if then.step else "since the start"
    return f"{state}. {since.capitalize()}, {' and '.join(moves)}."


def runs_table(runs: Sequence[Trace], tasks: Sequence[Task]) -> str:
    """Give the runs as an HTML table, the best value of each metric in bold."""
    done = [run for run in runs if run.latest.step]
    best = {t.name: max((r.latest.scores[t.name].metric for r in done), default=0) for t in tasks}
    heads = ["run", "steps", *(f"weight {t.name}" for t in tasks)]
    heads += [f"{t.name} {t.metric_name}" for t in tasks]
    rows = []
    for run in runs:
        cells = [str(run.number), str(run.latest.step)]
        cells += [_weight_text(run, task.name) for task in tasks]
        for task in tasks:
            value = run.latest.scores[task.name].metric
            bold = run in done and value == best[task.name]
            cells.append(f"<b>{value:.3f}</b>" if bold else f"{value:.3f}")
        rows.append("".join(f"<td style='padding:1px 14px'>{cell}</td>" for cell in cells))
    head = "".join(f"<th style='padding:1px 14px'>{text}</th>" for text in heads)
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    return f"<table style='font-size:13px;text-align:right'><tr>{head}</tr>{body}</table>"


def _weight_text(run: Trace, name: str) -> str:
    values = [m.weights[name] for m in run.measurements]
    path = [f"{a:.3g}" for a, b in zip(values, [*values[1:], None], strict=True) if a != b]
    return " → ".join(path if len(path) < 4 else [path[0], "…", path[-1]])


class LossWeightTuner(View):
    """Trains while you turn a weight a task; every weight acts on the very next step.

    Args:
        build: makes the model; every run starts from the same seed.
        tasks: what it learns; one slider each.
        scenes: what it trains on.
        held_out: what it is measured on.
        warm_up: steps made at once, before the learner takes over.
        settings: ``steps``, ``batch_size``, ``learning_rate``, ``seed`` of a run.
    """

    def __init__(
        self,
        build: Callable[[], nn.Module],
        tasks: Sequence[Task],
        scenes: Scenes,
        held_out: Scenes,
        *,
        warm_up: int = 0,
        **settings,
    ) -> None:
        self.session = Session(build, tasks, scenes, held_out, **settings)
        self.sliders = {
            task.name: ipywidgets.FloatLogSlider(
                value=1,
                min=-2,
                max=3,
                step=0.05,
                description=f"weight of {task.name}",
                readout_format=".3g",
                style={"description_width": "110px"},
                layout={"width": "430px"},
            )
            for task in self.session.tasks
        }
        for name, slider in self.sliders.items():
            turn = in_cell_loop(lambda change, name=name: self._turn(name, change.new))
            slider.observe(turn, "value")
        self._table = ipywidgets.HTML()
        self.player = Player(
            type(self).__name__,
            step=self.session.step,
            draw=self._refresh,
            reset=self.session.reset,
            say=self.say,
        )
        sliders = ipywidgets.HBox(
            list(self.sliders.values()), layout={"flex_flow": "row wrap", "width": "900px"}
        )
        super().__init__(
            draw_tuner, size=(9, 5.2), above=[self.player.controls, sliders], below=[self._table]
        )
        for _ in range(warm_up):
            self.session.step()
        self._refresh()

    @property
    def runs(self) -> list[Trace]:
        """All runs so far, the present one last."""
        return self.session.runs

    def _turn(self, name: str, weight: float) -> None:
        if self.session.run.latest.weights == self.session.balancer.weights:
            self.session.measure()  # the last state under the old weights
        self.session.balancer.set_weight(name, weight)
        if not self.player.running:
            self._refresh()

    def _refresh(self) -> None:
        if not self.player.running:
            self.session.measure()
        runs, tasks = self.session.runs, self.session.tasks
        self.redraw(runs, tasks)
        self._table.value = runs_table(runs, tasks)
