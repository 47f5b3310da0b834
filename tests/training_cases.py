"""A small network with dropout and batch norm, its tasks and its data."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from mtl_tutorial.architectures import HardSharing
from mtl_tutorial.balancing import FixedWeights
from mtl_tutorial.tasks import Batch, Task, accuracy
from mtl_tutorial.training import fit


def closeness(prediction, target):
    return 1 / (1 + F.mse_loss(prediction, target))


KIND = Task("kind", F.cross_entropy, accuracy, 3)
SIZE = Task("size", F.mse_loss, closeness, 1)
TASKS = (KIND, SIZE)


def build(seed=0, *, dropout=0.5):
    """A model with dropout, so that modes and random numbers matter."""
    torch.manual_seed(seed)
    encoder = nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Dropout(dropout))
    encoder.out_features = 4
    return HardSharing(encoder, TASKS)


def adam(model):
    return torch.optim.Adam(model.parameters(), lr=0.01)


def batches(count, seed=1):
    generator = torch.Generator().manual_seed(seed)
    for _ in range(count):
        inputs = torch.randn(8, 5, generator=generator)
        targets = {
            "kind": torch.randint(3, (8,), generator=generator),
            "size": torch.randn(8, 1, generator=generator),
        }
        yield Batch(inputs, targets)


def start(model, data, steps=100, *, tasks=TASKS, balancer=None):
    return fit(model, tasks, data, balancer or FixedWeights(), adam(model), steps)


def assert_same_state(one, other):
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)
