from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from mtl_tutorial.architectures import (
    ClassicEncoder,
    Concatenation,
    ContrastiveAlignment,
    ConvEncoder,
    FusionNetwork,
    HardSharing,
)
from mtl_tutorial.tasks import Task, accuracy, mean_iou

DIGIT = Task("digit", F.cross_entropy, accuracy, 10)
BOX = Task("box", F.mse_loss, mean_iou, 4)
ENCODERS = (ClassicEncoder, ConvEncoder, lambda: ConvEncoder(2, out_features=7))


def images(count=3, size=28):
    return torch.rand(count, 1, size, size, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("encoder", ENCODERS)
def test_each_task_gets_a_prediction_of_its_width_for_each_example(encoder):
    outputs = HardSharing(encoder(), (DIGIT, BOX))(images(3))
    assert {name: tuple(value.shape) for name, value in outputs.items()} == {
        "digit": (3, 10),
        "box": (3, 4),
    }


@pytest.mark.parametrize(("own", "other"), [(DIGIT, BOX), (BOX, DIGIT)])
def test_a_tasks_prediction_depends_on_its_own_head_and_no_other(own, other):
    model = HardSharing(ConvEncoder(2), (DIGIT, BOX))
    model(images())[own.name].sum().backward()
    assert all(p.grad is not None for p in model.heads[own.name].parameters())
    assert all(p.grad is None for p in model.heads[other.name].parameters())
    assert all(p.grad is not None for p in model.encoder.parameters())


def test_heads_are_linear_in_the_features():
    model = HardSharing(ConvEncoder(2), (DIGIT, BOX))
    features = model.encoder(images())
    for name, output in model(images()).items():
        weight, bias = model.heads[name].parameters()
        assert torch.allclose(output, features @ weight.T + bias, atol=1e-6)


def test_heads_follow_the_order_of_the_tasks():
    assert list(HardSharing(ConvEncoder(2), (BOX, DIGIT))(images())) == ["box", "digit"]


def test_tasks_may_come_from_an_iterator():
    assert list(HardSharing(ConvEncoder(2), iter((BOX, DIGIT)))(images())) == ["box", "digit"]


@pytest.mark.parametrize("encoder", [ClassicEncoder, ConvEncoder])
def test_the_last_shared_layer_is_the_encoders_last_linear_layer(encoder):
    model = HardSharing(encoder(), (DIGIT,))
    layer = model.last_shared_layer()
    assert isinstance(layer, nn.Linear)
    assert layer.out_features == model.encoder.out_features
    assert layer.weight is list(model.encoder.parameters())[-2]


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(28, 6, batch_first=True)
        self.out_features = 6

    def forward(self, images):
        return self.lstm(images[:, 0])[0][:, -1]


def test_a_recurrent_encoder_works_and_says_that_the_layer_is_a_choice():
    model = HardSharing(Recurrent(), (DIGIT, BOX))
    assert model(images())["digit"].shape == (3, 10)
    with pytest.raises(ValueError, match=r"Recurrent .*GradNorm\(layer=model.encoder.lstm\)"):
        model.last_shared_layer()


def test_heads_are_where_the_encoder_is_and_in_its_number_format():
    model = HardSharing(ConvEncoder(2).double(), (DIGIT, BOX))
    assert {y.dtype for y in model(images().double()).values()} == {torch.float64}


@pytest.mark.parametrize("tasks", [(), (BOX, DIGIT, BOX)])
def test_no_task_or_two_of_one_name_are_refused(tasks):
    with pytest.raises(ValueError, match="different names, got") as told:
        HardSharing(ConvEncoder(2), tasks)
    assert str([task.name for task in tasks]) in str(told.value)


def test_what_is_no_task_is_refused():
    with pytest.raises(ValueError, match="must be Task objects, got 'left'; make one by Task"):
        HardSharing(ConvEncoder(2), ["left"])


NAMELESS = nn.Sequential(nn.Flatten(), nn.Linear(784, 4))  # nobody said how many features


@pytest.mark.parametrize(
    "build",
    [
        lambda: HardSharing(NAMELESS, [BOX]),
        lambda: FusionNetwork({"image": NAMELESS}, Concatenation(1, 4), [BOX]),
        lambda: ContrastiveAlignment({"image": NAMELESS, "sound": ConvEncoder(2)}),
    ],
)
def test_an_encoder_that_does_not_say_how_many_features_it_gives_is_refused(build):
    with pytest.raises(ValueError, match="Sequential has no out_features.*set encoder.out_feat"):
        build()
