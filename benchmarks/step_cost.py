"""What a training step costs with each balancer, as a multiple of the plain sum of the losses.

Ours, TorchJD's and LibMTL's stand side by side on the same model and batch, in one process, one
round after the other; on a CPU in its own seconds, so that other work on the machine counts less.
Before anything is timed, all that compute the same thing must agree on a
batch with conflicts. LibMTL takes part where it is found (``pip install --no-deps LibMTL``): its
weighting modules are loaded on their own, since the package itself needs an old torchvision.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from types import ModuleType

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchjd import aggregation
from torchjd.autojac import jac_to_grad, mtl_backward

from mtl_tutorial.architectures import HardSharing, LeNet
from mtl_tutorial.balancing import (
    MGDA,
    DynamicWeightAverage,
    FixedWeights,
    FromTorchJD,
    GradientNormWeights,
    GradNorm,
    PCGrad,
    UncertaintyWeights,
    task_gradients,
)
from mtl_tutorial.experiments import seeded
from mtl_tutorial.tasks import Task, accuracy, task_losses

Backward = Callable[[dict[str, Tensor], HardSharing, Tensor], object]


def ours(balancer) -> Backward:
    return lambda losses, model, features: balancer.backward(losses, model)


def torchjds(aggregator) -> Backward:
    def backward(losses, model, features):
        mtl_backward(list(losses.values()), features=features)
        jac_to_grad(model.encoder.parameters(), aggregator)

    return backward


def find_libmtl() -> ModuleType | None:
    """Make ``LibMTL.weighting`` importable without running the package's own imports."""
    spec = importlib.util.find_spec("LibMTL")
    if spec is None or not spec.submodule_search_locations:
        return None
    folder = spec.submodule_search_locations[0]
    for name, path in (("LibMTL", folder), ("LibMTL.weighting", f"{folder}/weighting")):
        module = ModuleType(name)
        module.__path__ = [path]
        sys.modules[name] = module
    return sys.modules["LibMTL.weighting"]


def libmtls(name: str, model: HardSharing, count: int, **options) -> Backward:
    base = getattr(importlib.import_module(f"LibMTL.weighting.{name}"), name)

    class Peer(base):
        def get_share_params(self):
            return list(model.encoder.parameters())

        def zero_grad_share_params(self):
            for parameter in model.encoder.parameters():
                parameter.grad.zero_()

    peer = Peer()
    peer.task_num, peer.device, peer.rep_grad, peer.epoch = count, device_of(model), False, 2
    peer.train_loss_buffer = np.ones((count, 4))
    peer.init_param()

    def backward(losses, model, features):
        for parameter in model.parameters():
            parameter.grad = torch.zeros_like(parameter)
        peer.backward(torch.stack(list(losses.values())), **options)

    return backward


def device_of(model: nn.Module) -> torch.device:
    return next(model.parameters()).device


def contestants(tasks, model, peers: bool) -> dict[str, tuple[str, Backward]]:
    """Every balancer by a label of its own, with the name of what it computes."""
    count = len(tasks)
    result = {
        "plain sum": ("sum", lambda losses, model, features: sum(losses.values()).backward()),
        "FixedWeights": ("sum", ours(FixedWeights())),
        "UncertaintyWeights": ("uncertainty", ours(UncertaintyWeights(tasks))),
        "DynamicWeightAverage": ("DWA", ours(DynamicWeightAverage(50))),
        "GradNorm": ("GradNorm", ours(GradNorm())),
        "GradientNormWeights": ("norm shares", ours(GradientNormWeights())),
        "PCGrad": ("PCGrad", ours(PCGrad())),
        "MGDA": ("MGDA", ours(MGDA())),
        "FromTorchJD(UPGrad)": ("UPGrad", ours(FromTorchJD(aggregation.UPGrad()))),
        "TorchJD PCGrad": ("PCGrad", torchjds(aggregation.PCGrad())),
        "TorchJD MGDA": ("MGDA", torchjds(aggregation.MGDA())),
        "TorchJD UPGrad": ("UPGrad", torchjds(aggregation.UPGrad())),
    }
    if peers:
        result |= {
            "LibMTL UW": ("LibMTL's uncertainty", libmtls("UW", model, count)),
            "LibMTL DWA": ("LibMTL's DWA", libmtls("DWA", model, count, T=2.0)),
            "LibMTL GradNorm": ("LibMTL's GradNorm", libmtls("GradNorm", model, count, alpha=1.5)),
            "LibMTL PCGrad": ("PCGrad", libmtls("PCGrad", model, count)),
            "LibMTL MGDA": ("LibMTL's MGDA", libmtls("MGDA", model, count, mgda_gn="none")),
        }
    return result


def losses_of(model, tasks, batch: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], Tensor]:
    features = model.encoder(batch["images"])
    outputs = {name: head(features) for name, head in model.heads.items()}
    return task_losses(outputs, batch, tasks, complete=True), features


def set_up(count: int, device: str, seed: int):
    tasks = [Task(f"task{i}", F.cross_entropy, accuracy, 10) for i in range(count)]
    with seeded(seed) as generator:
        model = HardSharing(LeNet(), tasks).to(device)
        model.to(memory_format=torch.contiguous_format)  # LibMTL can't flatten other gradients
        batch = {task.name: torch.randint(10, (256,), generator=generator) for task in tasks}
        batch["images"] = torch.rand(256, 1, 28, 28, generator=generator)
    return tasks, model, {name: tensor.to(device) for name, tensor in batch.items()}


def assert_agreement(device: str, peers: bool) -> None:
    """Check that all that compute the same thing do, with two tasks in conflict."""
    for seed in range(1000):
        tasks, model, batch = set_up(2, device, seed)
        losses, _ = losses_of(model, tasks, batch)
        jacobian = task_gradients(losses, model.encoder.parameters())
        if jacobian[0] @ jacobian[1] < 0:
            break
    else:
        raise AssertionError("no batch with a conflict was found")
    found: dict[str, Tensor] = {}
    for label, (kind, backward) in contestants(tasks, model, peers).items():
        model.zero_grad()
        backward(*loss_model_features(model, tasks, batch))
        gradient = torch.cat([p.grad.flatten() for p in model.parameters()])
        expected = found.setdefault(kind, gradient.clone())
        assert torch.allclose(gradient, expected, rtol=1e-3, atol=1e-6), label


def loss_model_features(model, tasks, batch):
    losses, features = losses_of(model, tasks, batch)
    return losses, model, features


def seconds_of_steps(model, tasks, batch, backward: Backward, steps: int) -> float:
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4)
    synchronise(batch["images"])
    clock = time.perf_counter if batch["images"].is_cuda else time.process_time
    start = clock()
    for _ in range(steps):
        losses, features = losses_of(model, tasks, batch)
        optimizer.zero_grad()
        backward(losses, model, features)
        optimizer.step()
    synchronise(batch["images"])
    return clock() - start


def synchronise(tensor: Tensor) -> None:
    if tensor.is_cuda:
        torch.cuda.synchronize()


def main() -> None:
    """Measure, and print a table for each device."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, nargs="+", default=[2, 4, 8])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--steps", type=int, default=10, help="of each round")
    parser.add_argument("--threads", type=int, default=2)
    here = ["cpu"] + ["cuda"] * torch.cuda.is_available()
    parser.add_argument("--devices", nargs="+", default=here, help="default: %(default)s")
    choice = parser.parse_args()
    torch.set_num_threads(choice.threads)
    peers = find_libmtl() is not None
    if not peers:
        print("LibMTL was not found and does not take part.\n")
    for device in choice.devices:
        assert_agreement(device, peers)
        columns = {count: ratios(count, device, peers, choice) for count in choice.tasks}
        print(f"LeNet, batches of 256, {device}, {choice.threads} threads; median (range)\n")
        print("| balancer | " + " | ".join(f"T = {count}" for count in columns) + " |")
        print("|---|" + "---|" * len(columns))
        for label in next(iter(columns.values())):
            cells = [
                f"{statistics.median(c[label]):.2f} ({min(c[label]):.2f}-{max(c[label]):.2f})"
                for c in columns.values()
            ]
            print(f"| {label} | " + " | ".join(cells) + " |")


def ratios(count: int, device: str, peers: bool, choice) -> dict[str, list[float]]:
    """The cost of a step of each, round by round, as a multiple of the plain sum's."""
    tasks, model, batch = set_up(count, device, 0)
    named = contestants(tasks, model, peers)
    for _, backward in named.values():
        seconds_of_steps(model, tasks, batch, backward, 2)
    result: dict[str, list[float]] = {label: [] for label in named}
    for _ in range(choice.rounds):
        seconds = {
            label: seconds_of_steps(model, tasks, batch, backward, choice.steps)
            for label, (_, backward) in named.items()
        }
        for label, value in seconds.items():
            result[label].append(value / seconds["plain sum"])
    return result


if __name__ == "__main__":
    main()
