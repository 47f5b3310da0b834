"""Encoders equal their layers written out, and say in a sentence what they do not take."""

from __future__ import annotations

import re

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from mtl_tutorial.architectures import ClassicEncoder, ConvEncoder, LeNet, VGGEncoder
from mtl_tutorial.architectures.encoders import features_of, module_dict, place_like

CHANNELS = (2, 3, 4)


def images(count=3, size=28):
    return torch.rand(count, 1, size, size, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("size", [1, 7, 27, 28, 30, 64])
def test_conv_encoder_takes_images_of_every_size_it_was_built_for(size):
    encoder = ConvEncoder(3, size=size)
    assert encoder(images(2, size)).shape == (2, encoder.out_features)


@pytest.mark.parametrize("encoder", [ConvEncoder, ClassicEncoder, LeNet, VGGEncoder])
@pytest.mark.parametrize("shape", [(2, 1, 32, 32), (2, 1, 28, 27), (2, 3, 28, 28), (1, 28, 28)])
def test_images_of_another_shape_are_refused_in_one_sentence(encoder, shape):
    with pytest.raises(ValueError, match=r"shape \(B, 1, 28, 28\), got " + re.escape(str(shape))):
        encoder()(torch.zeros(shape))


@pytest.mark.parametrize("encoder", [ConvEncoder, ClassicEncoder, LeNet, VGGEncoder])
def test_images_that_are_bytes_or_no_tensor_are_refused_in_one_sentence(encoder):
    with pytest.raises(ValueError, match=r"floating-point numbers, got torch.uint8; use ima"):
        encoder()(torch.zeros(2, 1, 28, 28, dtype=torch.uint8))
    with pytest.raises(ValueError, match=r"one tensor, got a dict of \['image'\]; for inputs by"):
        encoder()({"image": images()})
    with pytest.raises(ValueError, match="one tensor, got a list; for inputs by"):
        encoder()([images()])


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


@pytest.mark.parametrize("relu_everywhere", [False, True])
def test_classic_encoder_has_the_parameters_of_its_three_layers(relu_everywhere):
    counts = [p.numel() for p in ClassicEncoder(relu_everywhere=relu_everywhere).parameters()]
    # 32 kernels of 1x3x3, 64 kernels of 32x3x3, 128 rows of 9216; a bias for each
    assert counts == [32 * 9, 32, 64 * 32 * 9, 64, 128 * 9216, 128]
    assert sum(counts) == 1_198_592


@pytest.mark.parametrize("least", [-torch.inf, 0.0])
def test_classic_encoder_equals_its_layers_written_out(least):
    """Without ReLUs after the second convolution and the linear layer, and with them."""
    encoder = ClassicEncoder(relu_everywhere=least == 0).eval()
    k1, b1, k2, b2, w, b = encoder.parameters()
    h = F.conv2d(F.conv2d(images(), k1, b1).clamp(min=0), k2, b2).clamp(min=least)
    assert h.shape == (3, 64, 24, 24)
    pooled = h.reshape(3, 64, 12, 2, 12, 2).amax((3, 5))
    expected = (pooled.reshape(3, 9216) @ w.T + b).clamp(min=least)
    assert torch.allclose(encoder(images()), expected, atol=1e-5)


def test_classic_encoder_gives_features_of_both_signs_and_with_more_relus_none_below_zero():
    torch.manual_seed(0)
    assert ClassicEncoder()(images()).min() < 0
    assert ClassicEncoder(relu_everywhere=True)(images()).min() == 0


@pytest.mark.parametrize("relu_everywhere", [False, True])
def test_classic_encoder_drops_a_quarter_of_the_channels_whole_while_training(relu_everywhere):
    torch.manual_seed(0)
    layers = ClassicEncoder(relu_everywhere=relu_everywhere).layers
    dropout = [isinstance(layer, nn.Dropout2d) for layer in layers].index(True)
    layers[2].bias.data.fill_(10)  # so that no channel is zero by itself
    channels = layers[: dropout + 1].train()(images(40)).flatten(2)
    dropped = (channels == 0).all(2)
    assert torch.equal(dropped, (channels == 0).any(2))
    assert dropped.float().mean().item() == pytest.approx(0.25, abs=0.03)


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: ConvEncoder(16, 0), "out_features must be at least 1, got 0"),
        (lambda: ConvEncoder(0), "width must be at least 1, got 0"),
        (lambda: ConvEncoder(2.5), "width must be a whole number, got 2.5"),
        (lambda: ConvEncoder(2, size="28"), "size must be a whole number, got '28'"),
        (lambda: ConvEncoder(2, size=-3), "size must be at least 1, got -3"),
        (lambda: VGGEncoder(()), r"channels must be .* got \("),
        (lambda: VGGEncoder((4, 0)), r"channels must be .* got \("),
        (lambda: VGGEncoder((1,) * 5), "28 pixels a side can't be halved 5 times"),
    ],
)
def test_what_can_not_be_built_is_refused(build, words):
    with pytest.raises(ValueError, match=words):
        build()


def normed(x, norm):
    mean, var = (v[:, None, None] for v in (norm.running_mean, norm.running_var))
    scale, shift = (v[:, None, None] for v in (norm.weight, norm.bias))
    return (x - mean) / (var + norm.eps).sqrt() * scale + shift


def test_vgg_encoder_equals_its_layers_written_out():
    torch.manual_seed(0)
    encoder = VGGEncoder(CHANNELS)
    for norm in (layer for layer in encoder.layers if isinstance(layer, nn.BatchNorm2d)):
        norm.momentum = 1.0  # so that one call is enough
        nn.init.uniform_(norm.weight, 0.5, 2)
        nn.init.uniform_(norm.bias, -0.5, 0.5)
    encoder(images(8))
    encoder.eval()
    x = images()
    for start in range(0, 21, 7):
        c1, n1, _, c2, n2, *_ = encoder.layers[start : start + 7]
        u = normed(F.conv2d(x, c1.weight, padding=1), n1).clamp(min=0)
        p = normed(F.conv2d(u, c2.weight, padding=1), n2).clamp(min=0)
        own_u, own_p = list(encoder.stages(images()))[start // 7]
        assert torch.allclose(own_u, u, atol=1e-5)
        assert torch.allclose(own_p, p, atol=1e-5)
        x = F.max_pool2d(p, 2)
    assert x.shape == (3, 4, 3, 3)
    assert torch.allclose(encoder(images()), x.flatten(1), atol=1e-5)
    assert encoder.out_features == 36


@pytest.mark.parametrize(
    ("modules", "words"),
    [
        ({"keys": nn.ReLU()}, "sense 'keys' can't .* taken by torch's ModuleDict.*'keys_sense'"),
        ({"left.image": nn.ReLU()}, "sense 'left.image' can't .*without a dot.*'left_image'"),
        ({"": nn.ReLU()}, "sense '' can't be the name of a module"),
        ({3: nn.ReLU()}, "sense 3 can't be the name of a module: it needs text"),
        ({"image": torch.relu}, "encoders must be modules, got a .* for sense 'image'"),
        ([nn.ReLU()], "encoders must be a dict by sense with at least one entry, got a list"),
        ({}, "encoders must be a dict by sense with at least one entry, got an empty one"),
    ],
)
def test_what_torch_can_not_hold_by_name_is_refused_in_one_sentence(modules, words):
    with pytest.raises(ValueError, match=words):
        module_dict("encoders", "sense", modules)


def test_features_are_those_that_the_encoder_says():
    encoder = ConvEncoder(2)
    assert torch.equal(features_of(encoder, images()), encoder(images()))
    encoder.out_features = 99
    with pytest.raises(ValueError, match=r"gives 99 features .* gave shape \(3, 8\); set encoder"):
        features_of(encoder, images())
    recurrent = nn.LSTM(28, 4)
    recurrent.out_features = 4
    with pytest.raises(ValueError, match="LSTM says that it gives 4 .* gave a tuple; .* alone"):
        features_of(recurrent, images()[:, 0])


def test_a_new_part_is_put_where_the_others_parameters_are_in_their_number_format():
    assert place_like(nn.Linear(2, 2), nn.Linear(3, 3).double()).weight.dtype == torch.float64
    assert place_like(nn.Linear(2, 2), nn.Linear(3, 3, device="meta")).weight.is_meta
    assert place_like(nn.Linear(2, 2), nn.ReLU()).weight.dtype == torch.float32
