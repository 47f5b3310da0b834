"""Networks side by side are those alone, and what would mix them is refused."""

from __future__ import annotations

import functools

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from mtl_tutorial.experiments.side_by_side import SideBySide


class Answers(nn.Module):
    """Two heads on one layer, and whatever a test adds."""

    def __init__(self, between: nn.Module | None = None, width: int = 4, **more) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(6, width), nn.ReLU() if between is None else between)
        self.heads = nn.ModuleDict({"old": nn.Linear(width, 2), "new": nn.Linear(width, 3)})
        for name, value in more.items():
            setattr(self, name, value)

    def forward(self, inputs):
        features = self.encoder(inputs)
        return {name: head(features) for name, head in self.heads.items()}


class Others(Answers):
    """Other code on the same parameters."""

    def forward(self, inputs):
        return {name: -answer for name, answer in super().forward(inputs).items()}


def test_networks_side_by_side_are_those_alone() -> None:
    torch.manual_seed(0)
    copies = [Answers() for _ in range(3)]
    stack = SideBySide(copies)
    inputs = torch.rand(3, 5, 6)
    together = stack(inputs)
    for i, network in enumerate(copies):
        for name, prediction in network(inputs[i]).items():
            assert torch.allclose(together[name][i], prediction, atol=1e-6)
    for network, own in zip(stack.apart(), copies, strict=True):
        assert all(map(torch.equal, network.parameters(), own.parameters()))
    together["new"][1].sum().backward()
    assert all((p.grad[[0, 2]] == 0).all() for p in stack.parameters() if p.grad is not None)
    assert any(p.grad[1].abs().sum() > 0 for p in stack.parameters() if p.grad is not None)


def frozen(network: nn.Module) -> nn.Module:
    network.encoder.requires_grad_(False)
    return network


def tied(network: nn.Module) -> nn.Module:
    network.heads["old"].bias = nn.Parameter(torch.zeros(2))
    network.more = network.heads["old"]
    return network


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (lambda: Others(), "network 1 has class Others, and network 0 has Answers"),
        (lambda: Answers(nn.Tanh()), "'encoder.1' of network 1 has class Tanh, .* ReLU"),
        (lambda: Answers(width=5), r"'encoder.0' of network 1 .* out_features"),
        (lambda: Answers(scale=2.0), "network 1 .*scale"),
        (lambda: Answers(act=torch.tanh), "network 1 .*act"),
        (lambda: Answers().double(), "'encoder.0.weight' of network 1 .* torch.float64"),
        (lambda: frozen(Answers()), "'encoder.0.weight' of network 1 has frozen True"),
        (lambda: tied(Answers()), "network 1 alone has 'more'"),
        (lambda: Answers().eval(), "network 1 .* training"),
        (lambda: "a network", "networks must be modules, got 'a network'"),
    ],
)
def test_networks_that_differ_in_more_than_their_numbers_are_refused(other, words) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        SideBySide([Answers(), other()])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("between", "words"),
    [
        (lambda: nn.BatchNorm1d(4), "keeps a state in 'encoder.1.running_mean', as batch norm"),
        (lambda: nn.Dropout(0.1), "layer 'encoder.1' of Answers is dropout"),
        (lambda: nn.AlphaDropout(0.1), "layer 'encoder.1' of Answers is dropout"),
    ],
)
def test_state_and_dropout_are_refused(between, words) -> None:
    with pytest.raises(ValueError, match=words):
        SideBySide([Answers(between()), Answers(between())])


def test_activations_that_are_told_apart_by_a_number_are_refused() -> None:
    with pytest.raises(ValueError, match="'encoder.1' of network 1 .* negative_slope"):
        SideBySide([Answers(nn.LeakyReLU(0.1)), Answers(nn.LeakyReLU(0.2))])


def test_functions_that_say_the_same_are_the_same() -> None:
    def build(slope):
        return Answers(act=lambda x: F.leaky_relu(x, slope))

    SideBySide([build(0.1), build(0.1)])
    with pytest.raises(ValueError, match="network 1 .*act"):
        SideBySide([build(0.1), build(0.2)])


def test_a_function_with_its_arguments_is_compared_with_them() -> None:
    def build(slope):
        return Answers(act=functools.partial(F.leaky_relu, negative_slope=slope))

    SideBySide([build(0.1), build(0.1)])
    with pytest.raises(ValueError, match="network 1 .*act"):
        SideBySide([build(0.1), build(0.2)])


def test_no_network_is_refused() -> None:
    with pytest.raises(ValueError, match="networks must be one or more, got none"):
        SideBySide([])


def test_all_frozen_alike_are_stacked_and_stay_frozen() -> None:
    stack = SideBySide([frozen(Answers()), frozen(Answers())])
    assert not stack.stacked.encoder[0].weight.requires_grad
    assert stack.stacked.heads["new"].weight.requires_grad
