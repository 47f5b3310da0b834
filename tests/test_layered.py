"""The last layer is given where it is certain; what is more than its layers is caught."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from mtl_tutorial.architectures import ClassicEncoder, ConvEncoder, LeNet, VGGEncoder
from mtl_tutorial.architectures.layered import (
    check_layers,
    difference,
    example_inputs,
    last_layer,
)

WHERE = "model.encoder"


class Recurrent(nn.Module):
    def __init__(self, kind: type = nn.LSTM) -> None:
        super().__init__()
        self.rnn = kind(5, 4, batch_first=True)
        self.out_features = 4

    def forward(self, x):
        return self.rnn(x)[0][:, -1]


class UsedBackwards(nn.Module):
    """Registers its layers in another order than it uses them."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 4)
        self.first = nn.Linear(5, 4)

    def forward(self, x):
        return self.fc(self.first(x).relu())


class Layered(nn.Module):
    def __init__(self, *layers: nn.Module, size: int | None = None) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)
        self.out_features = 4
        if size:
            self.size = size

    def forward(self, x):
        return self.layers(x)


class Scaled(Layered):
    def forward(self, x):
        return 2 * self.layers(x)


class Projected(Layered):
    """A layer after its layers, which starts as the identity."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__(*layers)
        self.projection = nn.Linear(4, 4)
        nn.init.eye_(self.projection.weight)
        nn.init.zeros_(self.projection.bias)

    def forward(self, x):
        return self.projection(self.layers(x))


class NoisyInTraining(Layered):
    def forward(self, x):
        x = self.layers(x)
        return x + torch.randn_like(x) if self.training else x


class Residual(nn.Sequential):
    def forward(self, x):
        return x + super().forward(x)


# The last layer


def test_in_a_sequential_it_is_the_last_with_a_weight_matrix():
    linear = nn.Linear(5, 4)
    for after in (nn.BatchNorm1d(4), nn.LayerNorm(4), nn.LayerNorm((1, 4)), nn.PReLU(4)):
        assert last_layer(nn.Sequential(nn.Linear(5, 5), linear, after, nn.ReLU()), WHERE) is linear


def test_in_nested_sequentials_it_is_the_last_of_the_last():
    kernel = nn.Conv2d(1, 2, 3)
    inner = nn.Sequential(nn.Linear(3, 3), nn.Sequential(kernel, nn.BatchNorm2d(2)))
    assert last_layer(nn.Sequential(nn.Linear(3, 3), inner, nn.ReLU()), WHERE) is kernel


@pytest.mark.parametrize("encoder", [ConvEncoder, ClassicEncoder, LeNet, VGGEncoder])
def test_every_encoder_of_the_package_has_one(encoder):
    network = encoder()
    weighted = [
        layer for layer in network.layers if getattr(layer, "weight", torch.ones(1)).ndim > 1
    ]
    assert last_layer(network, WHERE) is weighted[-1]


def test_a_network_with_one_weight_matrix_has_that():
    network = UsedBackwards()
    network.first = nn.Identity()
    assert last_layer(network, WHERE) is network.fc
    linear = nn.Linear(5, 4)
    assert last_layer(linear, WHERE) is linear
    embedding = nn.Sequential(nn.Embedding(5, 4), nn.Flatten())
    assert last_layer(embedding, WHERE) is embedding[0]


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
def test_a_recurrent_encoder_is_told_which_layer_to_choose(kind):
    with pytest.raises(ValueError) as told:
        last_layer(Recurrent(kind), WHERE)
    words = str(told.value)
    assert words.startswith("which layer of Recurrent is the last that tasks share can't be told")
    assert "2 weight matrices (rnn.weight_ih_l0, rnn.weight_hh_l0)" in words
    assert "pass layer= (a module or a parameter), e.g. GradNorm(layer=model.encoder.rnn)" in words
    assert "has no layer" not in words


def test_layers_in_the_order_of_registration_are_not_taken_for_layers_in_the_order_of_use():
    with pytest.raises(
        ValueError, match=r"layer of UsedBackwards .* GradNorm\(layer=model.encoder.fi"
    ):
        last_layer(UsedBackwards(), WHERE)


def test_a_weight_matrix_beside_the_layers_makes_the_last_one_uncertain():
    with pytest.raises(
        ValueError, match=r"layer of Projected .*GradNorm\(layer=model.encoder.proj"
    ):
        last_layer(Projected(nn.Linear(5, 4)), WHERE)


@pytest.mark.parametrize(
    ("network", "example"),
    [
        (nn.Sequential(nn.Linear(5, 5), nn.LSTM(5, 4)), "model.encoder[1].weight_hh_l0"),
        (Layered(nn.Linear(5, 5), UsedBackwards()), "model.encoder.layers[1].first"),
        (Residual(nn.Linear(4, 4), nn.Linear(4, 4)), "model.encoder[1]"),
        (nn.MultiheadAttention(4, 2), "model.encoder.out_proj"),
        (
            nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(5, 4))),
            "model.encoder[0].parametrizations.weight",
        ),
    ],
)
def test_a_block_that_runs_as_only_its_forward_knows_is_not_guessed(network, example):
    with pytest.raises(ValueError, match="pass layer=") as told:
        last_layer(network, WHERE)
    assert type(network).__name__ in str(told.value)
    assert f"GradNorm(layer={example})" in str(told.value)


@pytest.mark.parametrize("network", [nn.BatchNorm1d(5), nn.Sequential(nn.ReLU()), Layered()])
def test_a_network_without_a_matrix_has_none(network):
    with pytest.raises(
        ValueError, match="has no layer with a weight matrix .* pass layer="
    ) as told:
        last_layer(network, WHERE)
    assert str(told.value).startswith(type(network).__name__)


def test_layers_of_a_size_not_yet_known_are_not_said_to_be_none():
    with pytest.raises(ValueError, match="Layered has lazy layers, .*; run it once on some inputs"):
        last_layer(Layered(nn.LazyLinear(4)), WHERE)


# Whether the layers are all of it


@pytest.mark.parametrize(
    "encoder",
    [
        *(ConvEncoder, ClassicEncoder, LeNet, VGGEncoder),
        lambda: ConvEncoder(2, size=19),
        lambda: Layered(nn.Linear(5, 4), nn.Dropout(0.5)),
        lambda: Layered(nn.Conv1d(3, 4, 3), nn.Flatten(), nn.Linear(104, 4)),
        lambda: Layered(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()),
        lambda: ConvEncoder(2).double(),
    ],
)
def test_encoders_that_are_their_layers_pass_and_could_be_compared(encoder):
    assert check_layers(encoder(), "it")


def test_an_encoder_whose_inputs_can_not_be_told_passes_uncompared():
    assert not check_layers(Scaled(nn.Embedding(5, 4)), "it")
    with pytest.raises(ValueError, match="does more than its layers"):
        check_layers(Scaled(nn.Embedding(5, 4)), "it", torch.tensor([1, 2]))


@pytest.mark.parametrize(
    ("encoder", "words"),
    [
        (
            lambda: Scaled(nn.Linear(5, 4)),
            r"forward of it \(Scaled\) .*up to .* in evaluation mode",
        ),
        (lambda: NoisyInTraining(nn.Linear(5, 4)), "dropped: numbers differ .* in training mode"),
        (
            lambda: Projected(nn.Linear(5, 4)),
            r"beside its layers \(projection.weight, projection.b",
        ),
        (
            lambda: nn.Linear(5, 4),
            r"it \(Linear\) must have its layers in a nn.Sequential named la",
        ),
        (lambda: Layered(nn.LazyLinear(4)), r"it \(Layered\) has lazy layers, .* run it once"),
        (lambda: Recurrent(), r"it \(Recurrent\) must .* got NoneType"),
    ],
)
def test_an_encoder_that_is_more_than_its_layers_is_refused(encoder, words):
    with pytest.raises(ValueError, match=words):
        check_layers(encoder(), "it")


def test_a_hook_on_the_encoder_that_changes_what_it_gives_is_caught():
    encoder = ConvEncoder(2)
    check_layers(encoder, "it")
    encoder.register_forward_hook(lambda module, inputs, output: output + 1)
    with pytest.raises(ValueError, match="does more than its layers"):
        check_layers(encoder, "it")


def test_layers_that_add_what_came_in_are_caught():
    encoder = Layered()
    encoder.layers = Residual(nn.Linear(4, 4))
    with pytest.raises(ValueError, match="does more than its layers"):
        check_layers(encoder, "it")


def test_a_check_leaves_the_encoder_and_the_random_numbers_as_they_are():
    encoder = VGGEncoder((2, 2)).train()
    encoder.layers.append(nn.Dropout(0.5))
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    state = torch.get_rng_state()
    check_layers(encoder, "it")
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, before[name]) for name, value in encoder.state_dict().items())
    assert all(module.training for module in encoder.modules())


def test_examples_are_those_that_the_layers_take():
    assert example_inputs(ConvEncoder(2)).shape == (4, 1, 28, 28)
    assert example_inputs(ConvEncoder(2, size=19)).shape == (4, 1, 19, 19)
    colour = Layered(nn.Conv2d(3, 2, 3), nn.Flatten(), nn.Linear(8, 4), size=4)
    assert example_inputs(colour).shape == (4, 3, 4, 4)
    assert example_inputs(Layered(nn.Linear(7, 4))).shape == (4, 7)
    assert example_inputs(ConvEncoder(2).double()).dtype == torch.float64
    assert example_inputs(Layered(nn.Embedding(5, 4))) is None
    assert example_inputs(ConvEncoder(2).to("meta")) is None


def test_equal_modules_have_no_difference_and_other_shapes_are_named():
    x = torch.ones(2, 3)
    linear = nn.Linear(3, 4)
    assert difference(linear, nn.Sequential(linear, nn.Identity()), x) is None
    assert (
        difference(linear, nn.Linear(3, 5), x)
        == "shape (2, 5) in place of (2, 4) in evaluation mode"
    )
