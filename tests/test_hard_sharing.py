from __future__ import annotations

import re

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from mtl_tutorial.architectures import (
    ClassicEncoder,
    Concatenation,
    ContrastiveAlignment,
    ConvEncoder,
    CrossAttention,
    FusionNetwork,
    HardSharing,
    LeNet,
)
from mtl_tutorial.tasks import Task, accuracy, mean_iou

DIGIT = Task("digit", F.cross_entropy, accuracy, 10)
BOX = Task("box", F.mse_loss, mean_iou, 4)
ENCODERS = (ClassicEncoder, ConvEncoder, lambda: ConvEncoder(2, out_features=7))


def images(count=3, size=28):
    return torch.rand(count, 1, size, size, generator=torch.Generator().manual_seed(0))


def tiny_encoder(*layers):
    encoder = nn.Sequential(*layers)
    encoder.out_features = 4
    return encoder


@pytest.mark.parametrize("encoder", ENCODERS)
def test_each_task_gets_a_prediction_of_its_width_for_each_example(encoder):
    outputs = HardSharing(encoder(), (DIGIT, BOX))(images(3))
    assert {name: tuple(value.shape) for name, value in outputs.items()} == {
        "digit": (3, 10),
        "box": (3, 4),
    }


@pytest.mark.parametrize("size", [1, 7, 27, 28, 30, 64])
def test_conv_encoder_takes_images_of_every_size_it_was_built_for(size):
    encoder = ConvEncoder(3, size=size)
    assert encoder(images(2, size)).shape == (2, encoder.out_features)


@pytest.mark.parametrize("encoder", [ConvEncoder, ClassicEncoder, LeNet])
@pytest.mark.parametrize("shape", [(2, 1, 32, 32), (2, 1, 28, 27), (2, 3, 28, 28), (1, 28, 28)])
def test_images_of_another_shape_are_refused_in_one_sentence(encoder, shape):
    with pytest.raises(ValueError, match=r"shape \(B, 1, 28, 28\), got " + re.escape(str(shape))):
        encoder()(torch.zeros(shape))


def test_conv_encoder_gives_four_features_a_channel_where_none_are_asked_for():
    assert ConvEncoder(5).out_features == 20
    assert ConvEncoder(5)(images()).shape == (3, 20)


def test_conv_encoder_equals_its_formula():
    encoder = ConvEncoder(3, out_features=5)
    k1, b1, k2, b2, w, b = encoder.parameters()
    h = F.conv2d(images(), k1, b1, stride=2, padding=1).clamp(min=0)
    h = F.conv2d(h, k2, b2, stride=2, padding=1).clamp(min=0)
    expected = (h.reshape(3, -1) @ w.T + b).clamp(min=0)
    assert torch.allclose(encoder(images()), expected, atol=1e-6)


def test_classic_encoder_has_the_parameters_of_its_three_layers():
    counts = [p.numel() for p in ClassicEncoder().parameters()]
    # 32 kernels of 1x3x3, 64 kernels of 32x3x3, 128 rows of 9216; a bias for each
    assert counts == [32 * 9, 32, 64 * 32 * 9, 64, 128 * 9216, 128]
    assert sum(counts) == 1_198_592


def test_classic_encoder_equals_its_layers_written_out():
    encoder = ClassicEncoder().eval()
    k1, b1, k2, b2, w, b = encoder.parameters()
    h = F.conv2d(F.conv2d(images(), k1, b1).clamp(min=0), k2, b2).clamp(min=0)
    assert h.shape == (3, 64, 24, 24)
    pooled = h.reshape(3, 64, 12, 2, 12, 2).amax((3, 5))
    expected = (pooled.reshape(3, 9216) @ w.T + b).clamp(min=0)
    assert torch.allclose(encoder(images()), expected, atol=1e-5)


def test_classic_encoder_drops_a_quarter_of_the_channels_whole_while_training():
    torch.manual_seed(0)
    up_to_dropout = ClassicEncoder().layers[:6].train()
    up_to_dropout[2].bias.data.fill_(10)  # so that no channel is zero by itself
    channels = up_to_dropout(images(40)).flatten(2)
    dropped = (channels == 0).all(2)
    assert torch.equal(dropped, (channels == 0).any(2))
    assert dropped.float().mean().item() == pytest.approx(0.25, abs=0.03)


@pytest.mark.parametrize("encoder", ENCODERS)
def test_shared_and_task_parameters_are_all_parameters_once(encoder):
    model = HardSharing(encoder(), (DIGIT, BOX))
    parts = [
        *model.shared_parameters(),
        *model.task_parameters("digit"),
        *model.task_parameters("box"),
    ]
    assert len(parts) == len(set(map(id, parts)))
    assert set(map(id, parts)) == set(map(id, model.parameters()))


@pytest.mark.parametrize(("own", "other"), [(DIGIT, BOX), (BOX, DIGIT)])
def test_a_tasks_prediction_depends_on_its_own_head_and_no_other(own, other):
    model = HardSharing(ConvEncoder(2), (DIGIT, BOX))
    model(images())[own.name].sum().backward()
    assert all(p.grad is not None for p in model.task_parameters(own.name))
    assert all(p.grad is None for p in model.task_parameters(other.name))
    assert all(p.grad is not None for p in model.shared_parameters())


def test_heads_are_linear_in_the_features():
    model = HardSharing(ConvEncoder(2), (DIGIT, BOX))
    features = model.encoder(images())
    for name, output in model(images()).items():
        weight, bias = model.task_parameters(name)
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
    assert layer.weight is model.shared_parameters()[-2]


@pytest.mark.parametrize("norm", [nn.BatchNorm1d, nn.LayerNorm])
def test_a_norm_after_the_last_matrix_is_not_the_last_shared_layer(norm):
    linear = nn.Linear(5, 4)
    model = HardSharing(tiny_encoder(linear, norm(4), nn.ReLU()), (BOX,))
    assert model.last_shared_layer() is linear


def test_an_encoder_without_a_matrix_has_no_last_shared_layer():
    model = HardSharing(tiny_encoder(nn.BatchNorm1d(5)), (BOX,))
    with pytest.raises(ValueError, match="Sequential has no layer with a weight matrix"):
        model.last_shared_layer()


def test_an_encoder_may_be_a_single_layer():
    linear = nn.Linear(5, 4)
    assert HardSharing(linear, (BOX,)).last_shared_layer() is linear


@pytest.mark.parametrize("tasks", [(), (BOX, DIGIT, BOX)])
def test_no_task_or_two_of_one_name_are_refused(tasks):
    with pytest.raises(ValueError, match="different names, got") as told:
        HardSharing(ConvEncoder(2), tasks)
    assert str([task.name for task in tasks]) in str(told.value)


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: ConvEncoder(16, 0), "out_features must be at least 1, got 0"),
        (lambda: ConvEncoder(0), "width must be at least 1, got 0"),
        (lambda: ConvEncoder(2, size=-3), "size must be at least 1, got -3"),
        (lambda: Concatenation(2, 4, 0), "out_features must be at least 1, got 0"),
        (lambda: CrossAttention(2, 4, out_features=0), "out_features must be at least 1, got 0"),
    ],
)
def test_a_size_below_1_is_refused(build, words):
    with pytest.raises(ValueError, match=words):
        build()


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
