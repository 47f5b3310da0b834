"""Two processes with half of a batch each take the step of one process with all of it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from balancing_cases import CASES, NAMES, WIDTH, Plain, draws
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel

from mtl_tutorial.balancing import MGDA, PCGrad, mgda

STEPS, REPLICAS, BATCH = 4, 2, 12
pytestmark = pytest.mark.skipif(
    not (torch.distributed.is_available() and torch.distributed.is_gloo_available()),
    reason="torch.distributed has no gloo here",
)
# The mean of what TorchJD's scalarizers make of a replica's losses is what they make of the mean;
# ConFIG and the like are held by the same code as those here.
TRIED = (
    *("equal", "fixed", "uncertainty", "dwa", "gradnorm", "gradnorm by sgd", "pcgrad", "mgda"),
    *("gradient_norm_weights", "gradient norms of a layer", "pcgrad without generator", "upgrad"),
    *("imtl_g", "config", "random aggregator", "geometric mean", "imtl_l", "random", "famo"),
)


class Choosy(Plain):
    """A network of which a replica may leave a part unused."""

    def __init__(self) -> None:
        super().__init__(NAMES)
        self.extra = nn.Linear(5, 6)

    def forward(self, x: Tensor, all_of_it: bool) -> dict[str, Tensor]:
        start = self.first(x) + (self.extra(x) if all_of_it else 0)
        z = torch.tanh(self.last(torch.tanh(start)))
        return {name: head(z) for name, head in self.heads.items()}


def losses_of(outputs: dict[str, Tensor], labels: Tensor) -> dict[str, Tensor]:
    return {name: F.cross_entropy(output, labels) for name, output in outputs.items()}


class Outer(nn.Module):
    """A model that holds its replicated part, and a parameter beside it."""

    def __init__(self, within: nn.Module) -> None:
        super().__init__()
        self.within, self.temperature = within, nn.Parameter(torch.ones(()))

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {name: output * self.temperature for name, output in self.within(x).items()}


def compiled(model: nn.Module) -> nn.Module:
    return torch.compile(model, backend="eager")


WRAPPERS = {"within": Outer, "compiled": compiled}


def train(
    name: str, rank: int, replicas: int, wrap: Callable[[nn.Module], nn.Module] | None = None
) -> dict[str, Tensor]:
    """Take a few steps with a share of each batch; give all parameters and all weights."""
    torch.manual_seed(0)
    network = Plain(NAMES)
    balancer = CASES[name](NAMES, network)
    model = DistributedDataParallel(network) if replicas > 1 else network
    model = model if wrap is None else wrap(model)
    if rank and isinstance(balancer, PCGrad):  # chance is not the same on every replica
        balancer.generator = torch.Generator().manual_seed(99)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    data, weights = torch.Generator().manual_seed(1), []
    torch.manual_seed(5 + rank)
    for _ in range(STEPS):
        x = torch.randn(BATCH, 5, generator=data)
        labels = torch.randint(WIDTH, (BATCH,), generator=data)
        mine = slice(rank * BATCH // replicas, (rank + 1) * BATCH // replicas)
        optimizer.zero_grad()
        found = balancer.backward(losses_of(model(x[mine]), labels[mine]), model)
        optimizer.step()
        balancer.after_step(lambda x=x[mine], y=labels[mine]: losses_of(model(x), y))
        weights.append(torch.stack(list(found.values())))
    parameters = torch.cat([parameter.detach().flatten() for parameter in network.parameters()])
    return {"parameters": parameters, "weights": torch.stack(weights)}


def replica(rank: int, folder: str) -> None:
    """What one process does; it leaves what it found in a file."""
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=REPLICAS
    )
    found: dict[str, object] = {name: train(name, rank, REPLICAS) for name in TRIED}
    for how, wrap in WRAPPERS.items():
        found[how] = train("pcgrad", rank, REPLICAS, wrap)
    model = DistributedDataParallel(Choosy(), find_unused_parameters=True)
    x = torch.randn(BATCH, 5, generator=torch.Generator().manual_seed(rank))
    labels = torch.arange(BATCH) % WIDTH
    MGDA().backward(losses_of(model(x, bool(rank)), labels), model)
    found["choosy"] = [parameter.grad for parameter in model.parameters()]
    try:
        some = dict(list(losses_of(model(x, True), labels).items())[rank:])
        PCGrad().backward(some, model)
    except ValueError as error:
        found["sentence"] = str(error)
    torch.save(found, f"{folder}/{rank}.pt")
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()


@pytest.fixture(scope="module")
def found() -> list[dict]:
    """What each replica found."""
    with tempfile.TemporaryDirectory() as folder:
        torch.multiprocessing.spawn(replica, (folder,), REPLICAS)
        return [torch.load(Path(folder) / f"{rank}.pt") for rank in range(REPLICAS)]


@pytest.mark.parametrize("name", TRIED)
def test_replicas_stay_equal(found, name: str) -> None:
    first, second = (of_replica[name] for of_replica in found)
    assert torch.equal(first["parameters"], second["parameters"])
    assert torch.allclose(first["weights"], second["weights"])


@pytest.mark.parametrize(
    "name", [name for name in TRIED if name.startswith("pcgrad g") or not name.startswith("random")]
)
def test_replicas_take_the_steps_of_one_process_on_the_joined_batch(found, name: str) -> None:
    alone = train(name, 0, 1)
    if draws(CASES[name](NAMES, Plain(NAMES))) and name != "pcgrad":
        pytest.skip("draws from torch's own generator, which processes do not share")
    assert torch.allclose(found[0][name]["parameters"], alone["parameters"], atol=1e-6)
    assert torch.allclose(found[0][name]["weights"], alone["weights"], atol=1e-5)


@pytest.mark.parametrize("how", WRAPPERS)
def test_a_model_that_holds_a_replicated_one_is_replicated(found, how: str) -> None:
    first, second = (of_replica[how]["parameters"] for of_replica in found)
    assert torch.equal(first, second)
    alone = train("pcgrad", 0, 1, WRAPPERS[how])
    assert torch.allclose(first, alone["parameters"], atol=1e-6)


def test_a_part_that_one_replica_leaves_unused_is_averaged_too(found) -> None:
    first, second = (of_replica["choosy"] for of_replica in found)
    assert all(map(torch.equal, first, second))
    assert all(gradient is not None for gradient in first)


def test_replicas_with_other_tasks_are_told_so_and_none_waits(found) -> None:
    for of_replica in found:
        assert "replicas must have losses of the same tasks" in of_replica["sentence"]


def test_surgery_is_on_the_mean_of_the_replicas_gradients_not_the_mean_of_surgeries() -> None:
    first, second = torch.tensor([[1.0, 0], [-1, 1]]), torch.tensor([[1.0, 2], [3, -1]])
    of_mean, mean_of = mgda((first + second) / 2), (mgda(first) + mgda(second)) / 2
    assert not torch.allclose(of_mean, mean_of)  # so the order matters, and the tests above see it
