"""Cross-stitch networks mix what they say they mix, and nothing where α is the identity."""

from __future__ import annotations

import copy
import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from mtl_tutorial.architectures import (
    MTAN,
    ClassicEncoder,
    ConvEncoder,
    CrossStitch,
    CrossStitchUnit,
    HardSharing,
    LeNet,
    VGGEncoder,
)
from mtl_tutorial.architectures.cross_stitch import MIXINGS
from mtl_tutorial.tasks import Task, accuracy, mean_iou

DIGIT = Task("digit", F.cross_entropy, accuracy, 10)
BOX = Task("box", F.mse_loss, mean_iou, 4)
EVEN = Task("even", F.cross_entropy, accuracy, 2)
INK = Task("ink", F.mse_loss, mean_iou, 4)
TASKS = (DIGIT, BOX, EVEN, INK)
EVERY_MIXING = pytest.mark.parametrize("mixing", MIXINGS)


class NormedEncoder(nn.Module):
    """Blocks of a convolution, a batch norm and a ReLU, and a pooling at the end."""

    def __init__(self, width: int = 4) -> None:
        super().__init__()
        self.out_features = 2 * width
        self.layers = nn.Sequential(
            nn.Sequential(nn.Conv2d(1, width, 3, stride=2), nn.BatchNorm2d(width), nn.ReLU()),
            nn.Sequential(
                nn.Conv2d(width, 2 * width, 3, stride=2), nn.BatchNorm2d(2 * width), nn.ReLU()
            ),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.layers(images)


class DenseEncoder(nn.Module):
    """Two linear layers on flattened images."""

    def __init__(self) -> None:
        super().__init__()
        self.out_features = 5
        self.layers = nn.Sequential(
            nn.Flatten(), nn.Linear(784, 6), nn.ReLU(), nn.Linear(6, 5), nn.ReLU()
        )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.layers(images)


class ScaledEncoder(DenseEncoder):
    """Its layers, and a factor after them."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return 3 * self.layers(images)


TRUNKS = {
    "convolutions": (lambda: ConvEncoder(3), None),
    "batch norms": (NormedEncoder, (0, 1)),
    "linear": (DenseEncoder, None),
}
EVERY_TRUNK = pytest.mark.parametrize("trunk", TRUNKS)


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def build(count: int = 2, trunk: str = "convolutions", **options) -> CrossStitch:
    make, after = TRUNKS[trunk]
    options.setdefault("after", after)
    torch.manual_seed(0)
    return CrossStitch([make() for _ in range(count)], TASKS[:count], **options)


def separate(model: CrossStitch, inputs: torch.Tensor) -> dict[str, torch.Tensor]:
    """What the encoders and heads answer without the units."""
    return {n: head(model.encoders[n].layers(inputs)) for n, head in model.heads.items()}


def networks(model: CrossStitch) -> list[nn.Parameter]:
    return [*model.encoders.parameters(), *model.heads.parameters()]


# The unit


@EVERY_MIXING
@pytest.mark.parametrize("count", [2, 3, 4])
@pytest.mark.parametrize("places", [(), (5,), (7, 7)])
def test_a_unit_keeps_the_shape_of_its_features(mixing, count, places) -> None:
    unit = CrossStitchUnit(count, 6, mixing)
    features = random(count, 3, 6, *places)
    assert unit(features).shape == features.shape


@EVERY_MIXING
def test_a_unit_equals_its_formula_written_as_loops(mixing) -> None:
    count, channels = 3, 4
    unit = CrossStitchUnit(count, channels, mixing)
    unit.alpha.data = random(*unit.alpha.shape) - 0.5
    x = random(count, 2, channels, 3, 3, seed=1)
    for i in range(count):
        expected = torch.zeros_like(x[i])
        for j in range(count):
            a = unit.alpha[i, j]
            for c in range(channels):
                if mixing == "scalar":
                    expected[:, c] += a * x[j][:, c]
                elif mixing == "channel":
                    expected[:, c] += a[c] * x[j][:, c]
                else:
                    expected[:, c] += sum(a[c, d] * x[j][:, d] for d in range(channels))
        assert torch.allclose(unit(x)[i], expected, atol=1e-6)


@EVERY_MIXING
@given(keep=st.floats(0, 1), count=st.integers(2, 4))
def test_rows_start_convex(mixing, keep, count) -> None:
    unit = CrossStitchUnit(count, 3, mixing, keep=keep)
    alpha = unit.alpha.detach()
    rows = alpha.sum(1)  # over the tasks that are taken from
    one = torch.eye(3) if mixing == "matrix" else torch.ones(())
    assert torch.allclose(rows, one.expand_as(rows), atol=1e-6)
    assert alpha.min() >= 0
    own = alpha[0, 0].diagonal() if mixing == "matrix" else alpha[0, 0]
    assert torch.allclose(own, torch.full_like(own, keep))


@EVERY_MIXING
@given(rows=st.lists(st.floats(-2, 2, width=32), min_size=4, max_size=4))
def test_equal_numbers_for_every_channel_make_all_three_mixings_one(mixing, rows) -> None:
    alpha, x = torch.tensor(rows).reshape(2, 2), random(2, 3, 4, 5)
    unit = CrossStitchUnit(2, 4, mixing)
    unit.set_alpha(alpha)
    expected = torch.stack([a * x[0] + b * x[1] for a, b in alpha])
    assert torch.allclose(unit(x), expected, atol=1e-5)


@EVERY_MIXING
def test_the_gradient_of_alpha_is_that_of_the_formula(mixing) -> None:
    unit = CrossStitchUnit(2, 3, mixing)
    x, upstream = random(2, 4, 3, 5, 5), random(2, 4, 3, 5, 5, seed=1)
    (upstream * unit(x)).sum().backward()
    for i in range(2):
        for j in range(2):
            by_channels = torch.einsum("bchw,bdhw->cd", upstream[i], x[j])
            expected = {  # ∂L/∂α_ij = Σ (∂L/∂x̃_i) x_j, over what α_ij's channels leave
                "scalar": by_channels.trace(),
                "channel": by_channels.diagonal(),
                "matrix": by_channels,
            }[mixing]
            assert torch.allclose(unit.alpha.grad[i, j], expected, rtol=1e-4)


@EVERY_MIXING
def test_alphas_gradient_passes_the_check_by_differences(mixing) -> None:
    unit = CrossStitchUnit(3, 2, mixing).double()
    x = random(3, 2, 2, 2).double().requires_grad_()

    def mixed(alpha, features):
        return torch.func.functional_call(unit, {"alpha": alpha}, features)

    assert torch.autograd.gradcheck(mixed, (unit.alpha, x))


@EVERY_MIXING
def test_a_unit_takes_its_own_shape_and_one_number_a_pair(mixing) -> None:
    unit = CrossStitchUnit(2, 3, mixing)
    full = random(*unit.alpha.shape)
    unit.set_alpha(full)
    assert torch.equal(unit.alpha, full)
    unit.set_alpha([[1.0, 0.0], [0.0, 1.0]])
    x = random(2, 4, 3)
    assert torch.equal(unit(x), x)
    assert unit.alpha.requires_grad


@pytest.mark.parametrize(
    ("mixing", "shape", "words"),
    [
        ("scalar", (3, 3), r"scalar mixing\) must have shape \(2, 2\), got \(3, 3\)"),
        ("scalar", (2, 2, 4), r"\(2, 2\), got \(2, 2, 4\)"),
        ("channel", (2, 2, 3), r"\(2, 2, 4\) or \(2, 2\), got \(2, 2, 3\)"),
        ("matrix", (4, 4), r"\(2, 2, 4, 4\) or \(2, 2\), got \(4, 4\)"),
        ("matrix", (), r"got \(\)"),
    ],
)
def test_alpha_of_another_size_is_refused_and_nothing_changes(mixing, shape, words) -> None:
    unit = CrossStitchUnit(2, 4, mixing)
    before = unit.alpha.detach().clone()
    with pytest.raises(ValueError, match=words):
        unit.set_alpha(torch.zeros(shape))
    assert torch.equal(unit.alpha, before)


@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_alpha_that_is_not_finite_is_refused_and_nothing_changes(number) -> None:
    unit = CrossStitchUnit(2, 4)
    before = unit.alpha.detach().clone()
    with pytest.raises(ValueError, match=f"must be finite, got .*{number}"):
        unit.set_alpha([[1.0, 0.0], [number, 1.0]])
    assert torch.equal(unit.alpha, before)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((1, 4), "at least 2 tasks, got 1"),
        ((2, 0), "at least 1 channel, got 0"),
        ((2, 4, "scaler"), "did you mean 'scalar'"),
        ((2, 4, "scalar", 1.1), "keep must be from 0 to 1, got 1.1"),
        ((2, 4, "scalar", float("nan")), "keep must be from 0 to 1, got nan"),
    ],
)
def test_a_unit_that_can_not_be_is_refused(arguments, words) -> None:
    with pytest.raises(ValueError, match=words):
        CrossStitchUnit(*arguments)


@pytest.mark.parametrize("shape", [(3, 5, 4), (2, 5, 3), (2, 4), (4,)])
def test_features_that_do_not_fit_the_unit_are_refused(shape) -> None:
    with pytest.raises(ValueError, match=r"needs features of shape \(2, B, 4, ...\), got"):
        CrossStitchUnit(2, 4)(torch.zeros(shape))


# The network


@EVERY_MIXING
@EVERY_TRUNK
@pytest.mark.parametrize("count", [2, 3])
def test_units_at_the_identity_are_independent_networks_to_the_last_bit(
    mixing, trunk, count
) -> None:
    model = build(count, trunk, mixing=mixing, keep=1)
    model.eval()  # a second pass in training would move the batch norms
    answers = []
    for answer in (model, lambda x: separate(model, x)):
        model.zero_grad()
        outputs = answer(random(16, 1, 28, 28))  # 64 bytes a feature: on some processors matrix
        # products round differently where a task's part of a stack begins elsewhere
        sum((y**2).sum() for y in outputs.values()).backward()
        answers.append((outputs, [p.grad.clone() for p in networks(model)]))
    (stitched, own), (apart, expected) = answers
    assert stitched.keys() == apart.keys()
    assert all(torch.equal(stitched[name], apart[name]) for name in apart)
    assert all(torch.equal(a, b) for a, b in zip(own, expected, strict=True))


@EVERY_MIXING
@EVERY_TRUNK
@pytest.mark.parametrize("count", [2, 3, 4])
def test_each_task_gets_a_prediction_of_its_width(mixing, trunk, count) -> None:
    outputs = build(count, trunk, mixing=mixing)(random(3, 1, 28, 28))
    assert {name: tuple(y.shape) for name, y in outputs.items()} == {
        task.name: (3, task.out_features) for task in TASKS[:count]
    }


def test_a_network_equals_its_formula_written_out() -> None:
    model, x = build(keep=0.7), random(3, 1, 28, 28)
    a, b = (encoder.layers for encoder in model.encoders.values())
    xa, xb = x, x
    for start, stop, unit in zip((0, 2, 4), (2, 4, 7), model.units, strict=True):
        xa, xb = a[start:stop](xa), b[start:stop](xb)
        (aa, ab), (ba, bb) = unit.alpha
        xa, xb = aa * xa + ab * xb, ba * xa + bb * xb
    outputs = model(x)
    assert torch.allclose(outputs["digit"], model.heads["digit"](xa), atol=1e-6)
    assert torch.allclose(outputs["box"], model.heads["box"](xb), atol=1e-6)


def test_the_alphas_of_one_network_do_not_tell_how_much_it_shares() -> None:
    model, x = build(keep=0.8), random(3, 1, 28, 28)
    before = model(x)
    first, unit = model.encoders["box"].layers[0], model.units[0]
    first.weight.data *= 4
    first.bias.data *= 4
    unit.set_alpha(unit.alpha.detach() / torch.tensor([1.0, 4.0]))
    after = model(x)
    assert unit.alpha[0, 1].item() == pytest.approx(0.05)
    assert all(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize(("own", "other"), [("digit", "box"), ("box", "digit")])
@pytest.mark.parametrize("after", [None, (1,), (3,), "last"])
def test_a_loss_reaches_every_encoder_up_to_the_last_unit_and_beyond_it_its_own(
    own, other, after
) -> None:
    model = build(after=after)
    model(random(2, 1, 28, 28))[own].sum().backward()
    stop = model.after[-1] + 1
    for name, encoder in model.encoders.items():
        assert all(p.grad is not None for p in encoder.layers[:stop].parameters())
        assert all((p.grad is None) == (name == other) for p in encoder.layers[stop:].parameters())
    assert all(
        p.grad is not None for p in [*model.units.parameters(), *model.heads[own].parameters()]
    )
    assert all(p.grad is None for p in model.heads[other].parameters())


def test_the_last_shared_layer_is_one_of_every_encoder_before_the_last_unit() -> None:
    model = build(after=(1, 3))
    convolutions = [encoder.layers[2] for encoder in model.encoders.values()]
    assert list(model.last_shared_layer()) == convolutions


def test_units_learn_at_a_rate_of_their_own_and_no_parameter_is_left_out() -> None:
    model = build()
    slow, fast = model.parameter_groups(0.01, 30)
    assert (slow["lr"], fast["lr"]) == (0.01, pytest.approx(0.3))
    assert list(map(id, fast["params"])) == [id(unit.alpha) for unit in model.units]
    every = [*slow["params"], *fast["params"]]
    assert sorted(map(id, every)) == sorted(map(id, model.parameters()))


def test_frozen_units_stay_where_they_are() -> None:
    model = build()
    optimizer = torch.optim.Adam(model.parameter_groups(0.1, 0))
    before = [unit.alpha.detach().clone() for unit in model.units]
    sum(y.sum() for y in model(random(2, 1, 28, 28)).values()).backward()
    optimizer.step()
    assert all(torch.equal(u.alpha, a) for u, a in zip(model.units, before, strict=True))


def test_a_unit_follows_every_relu_where_nothing_else_is_said() -> None:
    assert build().after == (1, 3, 6)
    assert [unit.channels for unit in build().units] == [3, 6, 12]
    assert [unit.channels for unit in build(2, "batch norms").units] == [4, 8]


def test_features_are_those_after_each_unit_and_those_of_the_heads() -> None:
    model, x = build(after=(1, 3)), random(2, 1, 28, 28)
    *after_units, last = model.features(x)
    assert [stage["box"].shape for stage in after_units] == [(2, 3, 14, 14), (2, 6, 7, 7)]
    assert torch.equal(model.heads["box"](last["box"]), model(x)["box"])


def single(task: Task, seed: int) -> HardSharing:
    torch.manual_seed(seed)
    return HardSharing(ConvEncoder(3), [task])


def test_a_network_started_from_single_ones_answers_as_they_do() -> None:
    singles = [single(DIGIT, 1), single(BOX, 2)]
    model = CrossStitch.from_networks(singles, (DIGIT, BOX), keep=1)
    x = random(16, 1, 28, 28)  # so that a task's part of a stack is aligned in memory
    outputs = model(x)
    for network, name in zip(singles, ("digit", "box"), strict=True):
        assert torch.equal(outputs[name], network(x)[name])


def test_the_networks_that_it_was_started_from_stay_as_they_are() -> None:
    singles = [single(DIGIT, 1), single(BOX, 2)]
    model = CrossStitch.from_networks(singles, (DIGIT, BOX))
    for parameter in model.parameters():
        parameter.data.zero_()
    assert all(p.abs().sum() > 0 for network in singles for p in network.parameters())


class Louder(HardSharing):
    """Its encoder and heads, and a factor after them."""

    def forward(self, inputs):
        return {name: 2 * y for name, y in super().forward(inputs).items()}


class DroppingOut(HardSharing):
    """In training mode it does more than in evaluation mode."""

    def forward(self, inputs):
        features = F.dropout(self.encoder(inputs), training=self.training)
        return {name: head(features) for name, head in self.heads.items()}


class DeepHeads(HardSharing):
    def __init__(self, encoder, tasks):
        super().__init__(encoder, tasks)
        for name, head in self.heads.items():
            layers = nn.Linear(encoder.out_features, 7), nn.ReLU(), nn.Linear(7, head.out_features)
            self.heads[name] = nn.Sequential(*layers)


def trained_statistics(network: HardSharing) -> HardSharing:
    """Move the batch norms away from where they start."""
    for seed in range(5):
        network(3 + random(8, 1, 28, 28, seed=seed))
    return network


SINGLES = {
    "batch norms": lambda task: trained_statistics(HardSharing(VGGEncoder((2, 3)), [task])),
    "double precision": lambda task: HardSharing(ConvEncoder(2), [task]).double(),
    "dropout": lambda task: HardSharing(ClassicEncoder(), [task]),
    "deep heads": lambda task: DeepHeads(ConvEncoder(2), [task]),
    "several heads": lambda task: HardSharing(ConvEncoder(2), TASKS),
}


@pytest.mark.parametrize("make", SINGLES.values(), ids=SINGLES)
@pytest.mark.parametrize("training", [True, False])
def test_networks_of_every_kind_answer_as_before_where_nothing_is_mixed(make, training) -> None:
    torch.manual_seed(0)
    singles = [make(task).train(training) for task in (DIGIT, BOX)]
    model = CrossStitch.from_networks(singles, (DIGIT, BOX), keep=1)
    assert {module.training for module in model.modules()} == {training}
    x = random(4, 1, 28, 28).to(next(model.parameters()).dtype)
    torch.manual_seed(1)
    outputs = model(x)
    torch.manual_seed(1)
    for network, name in zip(singles, ("digit", "box"), strict=True):
        expected = network(x)[name]
        assert outputs[name].dtype == expected.dtype
        assert torch.allclose(outputs[name], expected, atol=1e-6)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda task: MTAN(VGGEncoder((2, 3)), [task]), r"task 'digit' \(MTAN\) does more than"),
        (lambda task: Louder(ConvEncoder(2), [task]), r"task 'digit' \(Louder\) does more than"),
        (lambda task: DroppingOut(ConvEncoder(2), [task]), "does more .* in training mode"),
        (lambda task: HardSharing(ScaledEncoder(), [task]), "encoder of task 'digit' .*does more"),
        (
            lambda task: ConvEncoder(2),
            r"task 'digit' \(ConvEncoder\) must have an encoder and heads",
        ),
        (lambda task: HardSharing(Wordy(), [task]), "task 'digit' can't be compared .* example="),
    ],
)
def test_a_network_that_would_lose_something_is_refused_by_name(make, words) -> None:
    with pytest.raises(ValueError, match=words):
        CrossStitch.from_networks([make(DIGIT), make(BOX)], (DIGIT, BOX), after="last")


class Wordy(nn.Module):
    """Takes numbers of words, which its layers do not tell."""

    out_features = 3

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Embedding(5, 3), nn.Tanh())

    def forward(self, words: torch.Tensor) -> torch.Tensor:
        return self.layers(words)


def test_an_example_compares_networks_whose_layers_do_not_tell_what_they_take() -> None:
    singles, words = [HardSharing(Wordy(), [task]) for task in (DIGIT, BOX)], torch.tensor([1, 4])
    options = {"after": "last", "keep": 1}
    model = CrossStitch.from_networks(singles, (DIGIT, BOX), **options, example=words)
    assert torch.equal(model(words)["box"], singles[1](words)["box"])
    singles[1].register_forward_hook(lambda m, x, y: {name: -value for name, value in y.items()})
    with pytest.raises(ValueError, match="network for task 'box' .* does more"):
        CrossStitch.from_networks(singles, (DIGIT, BOX), **options, example=words)


def test_one_network_for_each_task_is_needed() -> None:
    with pytest.raises(ValueError, match=r"2 tasks \(digit, box\), but 1 networks"):
        CrossStitch.from_networks([single(DIGIT, 1)], (DIGIT, BOX))


def test_encoders_whose_features_have_different_sizes_are_named() -> None:
    encoders = ConvEncoder(2), ConvEncoder(2)
    encoders[1].layers[0].stride = (1, 1)
    model = CrossStitch(encoders, (DIGIT, BOX), after=(1,))
    with pytest.raises(ValueError, match="one shape .* after layer 1 they have .*'box': "):
        model(random(2, 1, 28, 28))


# States


@EVERY_MIXING
@pytest.mark.parametrize("order", list(itertools.permutations(range(3)))[1:])
def test_a_state_is_loaded_by_task_name(mixing, order) -> None:
    model = build(3, mixing=mixing)
    for seed, unit in enumerate(model.units):
        unit.set_alpha(random(*unit.alpha.shape, seed=seed) - 0.3)
    torch.manual_seed(1)
    tasks = [TASKS[i] for i in order]
    other = CrossStitch([ConvEncoder(3) for _ in tasks], tasks, mixing=mixing)
    other.load_state_dict(model.state_dict())
    x = random(2, 1, 28, 28)
    expected, outputs = model(x), other(x)
    assert list(outputs) == [task.name for task in tasks]
    assert all(torch.allclose(outputs[name], y, atol=1e-6) for name, y in expected.items())
    back = build(3, mixing=mixing)
    back.load_state_dict(other.state_dict())
    assert all(torch.equal(value, model.state_dict()[n]) for n, value in back.state_dict().items())


def test_a_state_that_is_loaded_stays_as_it_is() -> None:
    state = build().state_dict()
    before = {name: value.clone() for name, value in state.items()}
    CrossStitch([ConvEncoder(3), ConvEncoder(3)], (BOX, DIGIT)).load_state_dict(state)
    assert state.keys() == before.keys()
    assert all(torch.equal(value, before[name]) for name, value in state.items())


def test_the_state_of_a_part_of_a_larger_network_is_loaded_by_task_name() -> None:
    model = build()
    model.units[0].set_alpha([[0.8, 0.3], [0.1, 0.6]])
    other = CrossStitch([ConvEncoder(3), ConvEncoder(3)], (BOX, DIGIT))
    nn.ModuleDict({"net": other}).load_state_dict(nn.ModuleDict({"net": model}).state_dict())
    assert torch.allclose(other.units[0].alpha, torch.tensor([[0.6, 0.1], [0.3, 0.8]]))


def test_a_state_of_other_tasks_is_refused_and_nothing_changes() -> None:
    model = build()
    other = CrossStitch([ConvEncoder(3), ConvEncoder(3)], (DIGIT, EVEN))
    before = copy.deepcopy(other.state_dict())
    with pytest.raises(
        ValueError, match=r"tasks \['digit', 'box'\], this network has \['digit', 'ev"
    ):
        other.load_state_dict(model.state_dict(), strict=False)
    assert all(torch.equal(value, before[n]) for n, value in other.state_dict().items())


def test_a_state_with_units_after_other_layers_is_refused() -> None:
    state = build(after=(1, 3)).state_dict()
    with pytest.raises(ValueError, match=r"after the layers \[1, 3\], this network after \[3, 6\]"):
        build(after=(3, 6)).load_state_dict(state)
    build(after=[3, 1]).load_state_dict(state)


def test_a_state_without_names_loads_where_its_keys_have_the_order_of_the_tasks_alone() -> None:
    state = build().state_dict()
    del state["_extra_state"]
    build().load_state_dict(state)
    other = CrossStitch([ConvEncoder(3), ConvEncoder(3)], (BOX, DIGIT))
    with pytest.raises(
        ValueError, match=r"older version.* \['digit', 'box'\].* \['box', 'digit'\]"
    ):
        other.load_state_dict(state)


def test_units_without_a_word_of_their_tasks_are_refused_and_encoders_alone_load() -> None:
    state = build().state_dict()
    units = {name: value for name, value in state.items() if name.startswith("units.")}
    with pytest.raises(ValueError, match=r"tasks \[\], this network has"):
        build().load_state_dict(units, strict=False)
    encoders = {name: value for name, value in state.items() if name.startswith("encoders.")}
    assert not build().load_state_dict(encoders, strict=False).unexpected_keys


# Once after whole encoders


ENCODERS = {
    "classic": ClassicEncoder,
    "classic with all ReLUs": lambda: ClassicEncoder(relu_everywhere=True),
    "conv": lambda: ConvEncoder(3),
    "lenet": LeNet,
    "vgg": lambda: VGGEncoder((2, 3)),
    "batch norms": NormedEncoder,
    "dense": DenseEncoder,
}


@EVERY_MIXING
@pytest.mark.parametrize("make", ENCODERS.values(), ids=ENCODERS)
def test_mixing_once_after_whole_encoders_equals_its_formula(make, mixing) -> None:
    torch.manual_seed(0)
    encoders = make(), make()
    model = CrossStitch(encoders, (DIGIT, BOX), mixing=mixing, after="last").eval()
    (unit,) = model.units
    unit.set_alpha(random(*unit.alpha.shape) - 0.3)
    x = random(3, 1, 28, 28)
    f = [encoder(x) for encoder in encoders]
    assert unit.channels == f[0].shape[1]
    outputs = model(x)
    for i, task in enumerate((DIGIT, BOX)):
        times = torch.mul if mixing != "matrix" else (lambda t, features: features @ t.T)
        mixed = sum(times(unit.alpha[i, j], f[j]) for j in range(2))  # Σ_j T_ij f_θj(x)
        assert torch.allclose(outputs[task.name], model.heads[task.name](mixed), atol=1e-5)


def test_after_last_is_the_number_of_the_last_layer() -> None:
    assert build(after="last").after == build(after=(6,)).after == build(after=6).after == (6,)


def test_a_document_with_a_matrix_of_channels_has_t_times_t_matrices_of_c_times_c() -> None:
    model = CrossStitch(
        [ClassicEncoder(), ClassicEncoder()], (DIGIT, BOX), mixing="matrix", after="last"
    )
    assert model.units[0].alpha.shape == (2, 2, 128, 128)


def test_encoders_without_a_relu_are_asked_where_units_stand() -> None:
    tanhs = [DenseEncoder(), DenseEncoder()]
    for encoder in tanhs:
        encoder.layers[2], encoder.layers[4] = nn.Tanh(), nn.Tanh()
    with pytest.raises(ValueError, match="no layer is a ReLU.* from 0 to 4, or after='last'"):
        CrossStitch(tanhs, (DIGIT, BOX))


def test_networks_in_the_wrong_order_are_refused() -> None:
    singles = [single(BOX, 2), single(DIGIT, 1)]
    with pytest.raises(ValueError, match=r"'digit' has heads for \['box'\]; give the networks"):
        CrossStitch.from_networks(singles, (DIGIT, BOX))


@pytest.mark.parametrize(
    ("encoders", "tasks", "words"),
    [
        ([ConvEncoder(2)], (DIGIT,), r"two or more with different names, got \['digit'\]"),
        ([], (), r"got \[\]"),
        ([ConvEncoder(2), ConvEncoder(2)], (DIGIT, DIGIT), r"got \['digit', 'digit'\]"),
        ([ConvEncoder(2)], (DIGIT, BOX), "2 tasks \\(digit, box\\), but 1 encoders"),
        ([ConvEncoder(2), ConvEncoder(3)], (DIGIT, BOX), "'digit' and 'box' differ"),
        ([ConvEncoder(2), DenseEncoder()], (DIGIT, BOX), "'digit' and 'box' differ"),
        ([ConvEncoder(2)] * 2, (DIGIT, BOX), "one was given twice"),
        (
            [ConvEncoder(2), ConvEncoder(2).double()],
            (DIGIT, BOX),
            "'digit' and 'box' differ: parameters in torch.float32 on cpu and torch.float64 on cpu",
        ),
        ([ScaledEncoder(), ScaledEncoder()], (DIGIT, BOX), "of task 'digit' .* more than its la"),
        ([nn.Linear(4, 4), nn.Linear(4, 4)], (DIGIT, BOX), "of task 'digit' .* nn.Sequential"),
    ],
)
def test_encoders_and_tasks_that_do_not_fit_are_refused(encoders, tasks, words) -> None:
    with pytest.raises(ValueError, match=words):
        CrossStitch(encoders, tasks)


@pytest.mark.parametrize(
    ("after", "words"),
    [
        ((), "at least one layer"),
        ((7,), "from 0 to 6"),
        (7, "from 0 to 6, or be 'last', got 7"),
        ((-1, 3), "from 0 to 6"),
        ((1.5,), "from 0 to 6"),
        ("lst", "from 0 to 6, or be 'last', got 'lst'"),
        ((4,), "can't stand after layer 4"),
    ],
)
def test_a_unit_where_none_can_stand_is_refused(after, words) -> None:
    with pytest.raises(ValueError, match=words):
        build(after=after)


@pytest.mark.parametrize("encoder", [ConvEncoder, ClassicEncoder, LeNet])
def test_an_image_of_another_size_is_refused_in_one_sentence(encoder) -> None:
    model = CrossStitch([encoder(), encoder()], TASKS[:2])
    with pytest.raises(ValueError, match=r"needs images of shape \(B, 1, 28, 28\), got \(3, 1, 32"):
        model(random(3, 1, 32, 32))


def test_a_unit_before_every_layer_with_weights_is_refused() -> None:
    with pytest.raises(ValueError, match="there is no layer with weights before it"):
        build(2, "linear", after=(0,))


def test_an_unknown_mixing_is_refused() -> None:
    with pytest.raises(ValueError, match="mixing must be one of 'scalar', 'channel', 'matrix'"):
        build(mixing="tensor")
