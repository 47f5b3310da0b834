"""Steps captured in CUDA graphs and replayed: the same numbers, without waiting for launches."""

from __future__ import annotations

import gc
import random
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from mtl_tutorial.balancing import Balancer, FixedWeights, FromTorchJD, NonFiniteError
from mtl_tutorial.balancing.host import handled_by
from mtl_tutorial.data import Scenes
from mtl_tutorial.experiments.runs import Run
from mtl_tutorial.tasks import Batch
from mtl_tutorial.training import NonFiniteLossError, StepRecord, fit

WARM_UP = 3  # steps before a capture, in which libraries and optimizers set themselves up


class CapturedSteps:
    """The steps of a run on a CUDA GPU, an epoch at a time.

    One step (scenes, losses, gradients, weights, optimizer) is captured in a CUDA graph, and
    replayed for every full batch; a method that computes on the CPU cuts it in two. The first
    steps, and the last batch of an epoch where it is smaller, are launched one by one; so are all
    where the balancer is not `replayable`, or a step can't be captured since it reads a value.

    Args:
        run: a network in training, on a GPU.
        scenes: what it trains on.
        batch_size: scenes a step.

    Attributes:
        why_not: why the steps are not captured; empty where they are, or it was not tried yet.
    """

    def __init__(self, run: Run, scenes: Scenes, batch_size: int) -> None:
        self.run, self.scenes, self.batch_size = run, scenes, batch_size
        device = scenes.digits.labels.device
        self.full, self.rest = divmod(len(scenes), batch_size)
        self.order = torch.zeros(len(scenes), dtype=torch.long, device=device)
        self.position = torch.zeros((), dtype=torch.long, device=device)
        self.within = torch.arange(batch_size, device=device)
        self.log = torch.zeros(self.full + bool(self.rest), 2 * len(run.tasks), device=device)
        self.stream = torch.cuda.Stream(device)
        self.warm = 0
        self.why_not = why_not_captured(run)
        self._graph: _Graph | None = None
        self._constants = ""  # that are captured
        self._rows: dict[str, Tensor] = {}  # the memory that the graph reads and writes
        make_capturable(run.optimizer)

    @property
    def outcome(self) -> str:
        """Whether the steps are captured, and else why not; for a result."""
        return self.why_not or ("yes" if self._graph else "too few steps")

    def epoch(self) -> tuple[Tensor, Tensor]:
        """Train on each scene once; give losses and weights, ``(steps, T)`` each, on the CPU.

        Raises:
            NonFiniteLossError: where a loss was NaN or infinite; the epoch is over by then.
        """
        outside = torch.cuda.current_stream(self.order.device)
        self.stream.wait_stream(outside)
        with self.run.randomness.in_force(), torch.cuda.stream(self.stream):
            self.order.copy_(self.scenes.order(self.run.generator))
            self.position.zero_()
            constants = _constants(self.run)
            for step in range(self.full):
                self._full_step(step + 1, constants)
            if self.rest:
                self._step(self.order[-self.rest :])
        outside.wait_stream(self.stream)
        losses, weights = self.log.cpu().chunk(2, dim=1)
        for step, name in (~losses.isfinite()).nonzero().tolist():
            raise NonFiniteLossError(self.run.tasks[name].name, step + 1, losses[step, name].item())
        return losses, weights

    def _full_step(self, step: int, constants: str) -> None:
        if self.warm >= WARM_UP and not self.why_not and constants != self._constants:
            self._capture()
            self._constants = constants
        if self._graph is None:
            self.warm += 1
            self._next_step()
            return
        self._pin()
        try:
            self._graph.replay()
        except NonFiniteError as error:
            raise NonFiniteLossError(str(error.task), step, error.value, error.what) from error
        self.run.balancer.replayed()

    def _next_step(self) -> None:
        self._step(self.order[self.position * self.batch_size + self.within])

    def _step(self, index: Tensor) -> None:
        batch = self.scenes.compose(index, self.run.generator)
        record = self._one(batch)
        names = [task.name for task in self.run.tasks]
        if missing := set(names) - record.losses.keys():
            raise ValueError(
                f"a batch has no label of task {min(missing)!r}, and was said to be complete; make "
                f"batches with complete=False"
            )
        parts = [part[name] for part in (record.losses, record.weights) for name in names]
        row = [torch.as_tensor(part, dtype=torch.float32, device=self.log.device) for part in parts]
        self.log.index_copy_(0, self.position[None], torch.stack(row)[None])
        self.position += 1

    def _one(self, batch: Batch) -> StepRecord:
        """Make one step; `fit` looks at losses after the last of its steps, and this is not."""
        run = self.run
        return next(fit(run.model, run.tasks, [batch], run.balancer, run.optimizer, 2))

    def _pin(self) -> None:
        """Bring what the balancer remembers to where the graph reads it."""
        memory = self.run.balancer.memory
        if all(memory[name] is row for name, row in self._rows.items()):
            return
        for name, row in self._rows.items():
            row.copy_(memory[name])
        self.run.balancer.memory = dict(self._rows)

    def _capture(self) -> None:
        balancer, self._graph = self.run.balancer, None
        before, chance = balancer.state_dict(), _chance_on_cpu()
        rows = {name: row.clone() for name, row in balancer.memory.items()}
        balancer.memory = dict(rows)
        vars(balancer)["replayed"] = lambda: None  # it would be noted, and done in every step

        def step() -> None:
            self._next_step()
            if balancer.memory.keys() != rows.keys():
                raise ValueError("the balancer begins to remember another task")
            for name, row in rows.items():
                row.copy_(balancer.memory[name])

        graph = _Graph([self.run.generator, *_generators(balancer)], self.order.device)
        try:
            self.why_not = graph.record(step)
        finally:
            del vars(balancer)["replayed"]
            balancer.load_state_dict(before)
        if not self.why_not and _chance_on_cpu() != chance:
            self.why_not = "a step draws random numbers on the CPU"
        if not self.why_not:
            self._graph, self._rows = graph, rows


def make_capturable(optimizer: torch.optim.Optimizer) -> None:
    """Let an optimizer keep its counts of steps on the GPU, where it counts any."""
    for group in optimizer.param_groups:
        if "capturable" in group:
            group["capturable"] = True


def why_not_captured(run: Run) -> str:
    """Say why the steps of a run can't be replayed, as far as that can be told; else nothing.

    What runs in Python alone (hooks, counters, random numbers of the CPU) is not replayed.
    """
    balancer, model = run.balancer, run.model
    if not {**vars(type(balancer)), **vars(balancer)}.get("replayable"):  # not an inherited one
        return "the balancer is not replayable"
    if type(balancer).after_step not in (Balancer.after_step, FromTorchJD.after_step):
        return "the balancer learns after a step"
    if any(generator.device.type == "cpu" for generator in _generators(balancer)):
        return "the balancer draws on the CPU"
    fused = all(group.get("fused") for group in run.optimizer.param_groups)
    known = (torch.optim.Adam, torch.optim.AdamW) if fused else (torch.optim.SGD,)
    if type(run.optimizer) not in known:
        return f"the optimizer is no SGD or fused Adam, but {type(run.optimizer).__name__}"
    hooks = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    of_modules = any(getattr(part, name) for part in model.modules() for name in hooks)
    of_parameters = ("_backward_hooks", "_post_accumulate_grad_hooks")
    if of_modules or any(getattr(p, name) for p in model.parameters() for name in of_parameters):
        return "the model has hooks"
    return ""


def _constants(run: Run) -> str:
    """What a graph holds as numbers of its own: settings of the optimizer, and fixed weights."""
    groups = [
        {name: value for name, value in group.items() if name != "params"}
        for group in run.optimizer.param_groups
    ]
    frozen = [parameter.requires_grad for parameter in run.model.parameters()]
    weights = run.balancer.weights if isinstance(run.balancer, FixedWeights) else None
    return repr((groups, frozen, weights))


def _chance_on_cpu() -> tuple[bytes, object, str]:
    """Where the random numbers of the CPU stand: torch's, Python's and numpy's."""
    numpy = repr(np.random.get_state())
    return torch.get_rng_state().numpy().tobytes(), random.getstate(), numpy


class Replayed:
    """A step without arguments that is launched a few times, then captured and replayed.

    Where it can't be captured, and on a CPU, it is launched every time.

    Args:
        step: reads and writes tensors that stay where they are.
        generators: that it draws from, beside the default one.
        device: where it computes.
    """

    def __init__(
        self,
        step: Callable[[], object],
        generators: Sequence[torch.Generator],
        device: torch.device,
    ) -> None:
        self.step, self.generators, self.device = step, generators, device
        self.stream = torch.cuda.Stream(device) if device.type == "cuda" else None
        self.made = 0
        self._graph: _Graph | None = None

    def __call__(self) -> None:
        """Make a step."""
        if self.stream is None:
            self.step()
            return
        outside = torch.cuda.current_stream(self.device)
        self.stream.wait_stream(outside)
        with torch.cuda.stream(self.stream):
            if self.made == WARM_UP:
                graph = _Graph(self.generators, self.device)
                if not graph.record(self.step):
                    self._graph = graph
            (self._graph.replay if self._graph else self.step)()
        outside.wait_stream(self.stream)
        self.made += 1


class _Graph:
    """What happens on a stream, in one or more graphs, with calls on the CPU between them.

    Args:
        generators: that what happens draws from, beside the default one.
        device: where it happens.
    """

    def __init__(self, generators: Sequence[torch.Generator], device: torch.device) -> None:
        self.generators = [g for g in generators if g.device.type == "cuda"]
        self.default = torch.cuda.default_generators[device.index or 0]
        self.parts: list[Callable[[], object]] = []
        self._open: torch.cuda.CUDAGraph | None = None
        self._pool = torch.cuda.graph_pool_handle()

    def record(self, step: Callable[[], object]) -> str:
        """Note what a step does on the current stream; nothing is computed.

        Returns:
            Why that can't be done; empty where it is.
        """
        states = [(g, g.clone_state()) for g in (*self.generators, self.default)]
        gc.collect()  # a graph that dies within a capture would end it
        torch.cuda.synchronize()
        try:
            with handled_by(self._call):
                self._begin()
                try:
                    step()
                finally:
                    self._end()
        except Exception as error:  # launched one by one, the step says what is wrong with it
            for generator, state in states:  # a capture that failed holds on to what it drew from
                generator.graphsafe_set_state(state)
            return str(error).partition("\n")[0] or type(error).__name__
        return ""

    def replay(self) -> None:
        """Do it again."""
        for part in self.parts:
            part()

    def _begin(self) -> None:
        self._open = torch.cuda.CUDAGraph()
        for generator in self.generators:
            self._open.register_generator_state(generator)
        self._open.capture_begin(pool=self._pool, capture_error_mode="thread_local")

    def _end(self) -> None:
        graph, self._open = self._open, None
        if graph is not None:
            graph.capture_end()
            self.parts.append(graph.replay)

    def _call(self, function: Callable[[Tensor], Tensor], given: Tensor, like: Tensor) -> Tensor:
        self._end()
        result = torch.empty_like(like)
        self.parts.append(lambda: result.copy_(function(given)))
        self._begin()
        return result


def _generators(balancer: Balancer) -> list[torch.Generator]:
    found = getattr(balancer, "generator", None)
    return [found] if isinstance(found, torch.Generator) else []


def means_of_columns(values: Tensor) -> list[float]:
    """The mean of each column, added row by row, as one adds up over a loop of steps."""
    total = values[0]
    for row in values[1:]:
        total = total + row
    return (total / len(values)).tolist()
