"""A network for each task shares nothing, and says which one has no answer."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from mtl_tutorial.architectures import ConvEncoder, HardSharing, SingleTaskNetworks
from mtl_tutorial.experiments import catalogue
from mtl_tutorial.tasks import Task, accuracy, mean_iou

DIGIT = Task("digit", F.cross_entropy, accuracy, 10)
BOX = Task("box", F.mse_loss, mean_iou, 4)


def built() -> SingleTaskNetworks:
    return SingleTaskNetworks({t.name: HardSharing(ConvEncoder(2), [t]) for t in (DIGIT, BOX)})


def test_every_task_gets_its_own_networks_prediction():
    model, x = built(), torch.rand(3, 1, 28, 28)
    outputs = model(x)
    assert list(outputs) == ["digit", "box"]
    for name, output in outputs.items():
        assert torch.equal(output, model.networks[name](x)[name])


@pytest.mark.parametrize(("own", "other"), [("digit", "box"), ("box", "digit")])
def test_a_loss_reaches_its_own_network_alone(own, other):
    model = built()
    model(torch.rand(3, 1, 28, 28))[own].sum().backward()
    assert all(p.grad is not None for p in model.networks[own].parameters())
    assert all(p.grad is None for p in model.networks[other].parameters())


def test_a_network_without_its_tasks_head_is_named():
    model = SingleTaskNetworks({"digit": HardSharing(ConvEncoder(2), [BOX])})
    with pytest.raises(ValueError, match=r"task 'digit' has predictions for \['box'\] only; give"):
        model(torch.rand(3, 1, 28, 28))


def test_a_network_that_does_not_answer_by_task_is_named():
    with pytest.raises(ValueError, match="task 'digit' must give .* a Tensor; wrap its encoder in"):
        SingleTaskNetworks({"digit": ConvEncoder(2)})(torch.rand(3, 1, 28, 28))


@pytest.mark.parametrize("networks", [{}, [HardSharing(ConvEncoder(2), [BOX])]])
def test_networks_that_are_not_by_task_are_refused(networks):
    with pytest.raises(ValueError, match="networks must be a dict by task"):
        SingleTaskNetworks(networks)


def test_the_catalogue_has_the_same_class():
    assert catalogue.SingleTaskNetworks is SingleTaskNetworks
