"""What the tests of balancers have in common: every balancer, and small networks of many kinds."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Mapping, Sequence

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchjd import aggregation, scalarization

from mtl_tutorial.balancing import (
    BALANCERS,
    Balancer,
    FixedWeights,
    FromTorchJD,
    GradientNormWeights,
    GradNorm,
    GramianBalancer,
    Making,
    PCGrad,
)
from mtl_tutorial.tasks import Task, accuracy

NAMES = ("a", "b", "c")
WIDTH = 7  # classes of every task


def floats(weights: Mapping[str, Tensor]) -> dict[str, float]:
    """Give what a balancer gave as numbers; fails where it is no tensor without dimensions."""
    assert all(isinstance(w, Tensor) and not w.ndim for w in weights.values()), weights
    assert not any(weight.requires_grad for weight in weights.values())
    return {name: weight.item() for name, weight in weights.items()}


def constant(**losses: float) -> dict[str, Tensor]:
    """Losses of these values, with a graph that leads nowhere."""
    anchor = torch.zeros((), requires_grad=True)
    return {name: anchor * 0 + value for name, value in losses.items()}


# Balancers

Make = Callable[[Sequence[str], nn.Module], Balancer]


def _registered(name: str) -> Make:
    def make(names: Sequence[str], model: nn.Module) -> Balancer:
        tasks = tuple(Task(task, F.cross_entropy, accuracy, WIDTH) for task in names)
        balancer = BALANCERS[name](Making(tasks, 2, torch.Generator().manual_seed(0)))
        if isinstance(balancer, GradNorm):
            balancer.layer = model.last  # a plain module does not say which it is
        return balancer

    return make


def _aggregator(name: str, **options: object) -> Make:
    return lambda names, model: FromTorchJD(getattr(aggregation, name)(**options))


def _scalarizer(name: str, **options: object) -> Make:
    return lambda names, model: FromTorchJD(getattr(scalarization, name)(**options))


def _sized(name: str) -> Make:
    return lambda names, model: FromTorchJD(getattr(scalarization, name)(len(names)))


CASES: dict[str, Make] = {
    **{name: _registered(name) for name in BALANCERS},
    "fixed": lambda names, model: FixedWeights({name: ord(name[-1]) / 99 for name in names}),
    "gradnorm by sgd": lambda names, model: GradNorm(layer=model.last, optimizer="sgd"),
    "gradnorm on a parameter": lambda names, model: GradNorm(0, layer=matrix(model.last)),
    "gradient norms of a layer": lambda names, model: GradientNormWeights(layer=model.last),
    "pcgrad without generator": lambda names, model: PCGrad(),
    "gradvac": _aggregator("GradVac"),
    "excess_mtl": _aggregator("ExcessMTL"),
    "pcd": _aggregator("PCD"),
    "config": _aggregator("ConFIG"),
    "random aggregator": _aggregator("Random"),
    "famo": _sized("FAMO"),
    "imtl_l": _sized("IMTLL"),
    "uw": _sized("UW"),
    "stch": _scalarizer("STCH", mu=0.5),
    "geometric mean": _scalarizer("GeometricMean"),
    "random": _scalarizer("Random"),
    "dwa of torchjd": _scalarizer("DWA"),
}
RANDOM = (aggregation.Random, scalarization.Random)


def those(fits: Callable[[Balancer], bool] = lambda balancer: True) -> pytest.MarkDecorator:
    """Run a test with ``make`` of every balancer that fits, as far as its library is here."""
    names = [name for name, balancer in _made().items() if fits(balancer)]
    assert names
    return pytest.mark.parametrize("make", [CASES[name] for name in names], ids=names)


@functools.cache
def _made() -> dict[str, Balancer]:
    made = {}
    for name, make in CASES.items():
        with contextlib.suppress(ImportError):
            made[name] = make(NAMES, Plain(NAMES))
    return made


def is_theirs(balancer: Balancer) -> bool:
    """Whether TorchJD's code is at work: it may wait for the device, and use float64."""
    return isinstance(balancer, FromTorchJD)


def is_surgeon(balancer: Balancer) -> bool:
    """Whether it combines gradients of θ, and leaves every head its own; else it weighs losses."""
    if isinstance(balancer, FromTorchJD):
        return isinstance(balancer.method, aggregation.Aggregator)
    return isinstance(balancer, GramianBalancer)


def compares_gradients(balancer: Balancer) -> bool:
    """Whether it takes the gradients of θ one task at a time, all of them."""
    all_of_theta = isinstance(balancer, GradientNormWeights) and balancer.layer is None
    return is_surgeon(balancer) or all_of_theta


def draws(balancer: Balancer) -> bool:
    """Whether the weights of three tasks hang on chance."""
    if isinstance(balancer, FromTorchJD):
        return isinstance(balancer.method, (*RANDOM, aggregation.PCGrad, aggregation.GradVac))
    return isinstance(balancer, PCGrad)


def matrix(layer: nn.Module) -> nn.Parameter:
    """The first weight matrix or kernel of a layer."""
    return next(parameter for parameter in layer.parameters() if parameter.ndim > 1)


# Networks: plain modules without a method of ours; `last` is the layer that all tasks use last


class Plain(nn.Module):
    """A trunk and a head for each task."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(5, 6), nn.Linear(6, 4)
        self.heads = nn.ModuleDict({name: nn.Linear(4, WIDTH) for name in names})

    def features(self, x: Tensor) -> Tensor:
        return torch.tanh(self.last(torch.tanh(self.first(x))))

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        z = self.features(x)
        return {name: head(z) for name, head in self.heads.items()}


class Tied(Plain):
    """The words' embedding is the first task's head, too, and a block is listed and used twice."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(names)
        self.first, self.last = nn.Embedding(WIDTH, 4), nn.Linear(4, 4)
        self.again = self.last
        self.heads[names[0]] = nn.Linear(4, WIDTH, bias=False)
        self.heads[names[0]].weight = self.first.weight

    def features(self, x: Tensor) -> Tensor:
        return torch.tanh(self.again(torch.tanh(self.last(self.first(x).mean(1)))))


class Recurrent(Plain):
    """An LSTM reads a sequence."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(names)
        del self.first
        self.last = nn.LSTM(5, 4, batch_first=True)

    def features(self, x: Tensor) -> Tensor:
        return self.last(x)[0][:, -1]


class Images(Plain):
    """Convolutions with batch norm and dropout, in the channels-last layout."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(names)
        self.first, self.last = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3)
        self.norm, self.dropout = nn.BatchNorm2d(4), nn.Dropout(0.3)
        self.to(memory_format=torch.channels_last)

    def features(self, x: Tensor) -> Tensor:
        x = self.dropout(self.norm(self.first(x)).relu())
        return self.last(x).mean((2, 3))


NETWORKS: dict[type[Plain], Callable[[torch.Generator], Tensor]] = {
    Plain: lambda generator: torch.randn(16, 5, generator=generator),
    Tied: lambda generator: torch.randint(WIDTH, (16, 3), generator=generator),
    Recurrent: lambda generator: torch.randn(16, 4, 5, generator=generator),
    Images: lambda generator: torch.randn(16, 3, 8, 8, generator=generator),
}


def build(
    network: type[Plain] = Plain,
    names: Sequence[str] = NAMES,
    dtype: torch.dtype = torch.float32,
    device: str = "cpu",
) -> Plain:
    """A network, always the same."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return network(names).to(device, dtype)


def losses_of(
    model: Plain, names: Sequence[str] = NAMES, seed: int = 0, scale: float = 1.0
) -> dict[str, Tensor]:
    """Cross-entropies on a random batch, each 3 times the one before it."""
    generator = torch.Generator().manual_seed(seed)
    inputs = NETWORKS[type(model)](generator)
    like = next(model.parameters())
    inputs = inputs.to(like.device, like.dtype if inputs.is_floating_point() else inputs.dtype)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # of dropout
        outputs = model(inputs)
    targets = {name: torch.randint(WIDTH, (16,), generator=generator) for name in model.heads}
    return {
        name: scale * 3**i * F.cross_entropy(outputs[name], targets[name].to(like.device))
        for i, name in enumerate(outputs)
        if name in names
    }


def step(
    balancer: Balancer,
    model: nn.Module,
    losses: Mapping[str, Tensor],
    seed: int = 0,
    **options: object,
) -> dict[str, Tensor]:
    """One call of ``backward``, with what hangs on chance as the seed gives it."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        weights = balancer.backward(losses, model, **options)
    balancer.after_step(lambda: {name: 0.9 * loss.detach() for name, loss in losses.items()})
    return weights


def filled(model: nn.Module) -> dict[str, Tensor | None]:
    """What ``.grad`` holds."""
    return {
        name: None if p.grad is None else p.grad.detach().clone()
        for name, p in model.named_parameters()
    }


def by_hand(
    losses: Mapping[str, Tensor],
    leaves: Sequence[Tensor],
    weights: Mapping[str, Tensor],
    *,
    surgery: bool,
) -> list[Tensor | None]:
    """What the leaves must get, each once: Σ w_i g_i where tasks share, else g_i or w_i g_i."""
    rows = [
        torch.autograd.grad(loss, leaves, retain_graph=True, allow_unused=True)
        for loss in losses.values()
    ]
    expected = []
    for column in zip(*rows, strict=True):
        there = {name: g for name, g in zip(losses, column, strict=True) if g is not None}
        weighted = not surgery or len(there) > 1
        parts = [(weights[name].to(g.dtype) if weighted else 1) * g for name, g in there.items()]
        expected.append(functools.reduce(torch.add, parts) if parts else None)
    return expected
