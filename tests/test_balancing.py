"""What every balancer keeps to, whatever it does with the gradients."""

from __future__ import annotations

import copy
import io
import math

import pytest
import torch
from balancing_cases import (
    NAMES,
    NETWORKS,
    RANDOM,
    WIDTH,
    Images,
    Plain,
    build,
    by_hand,
    compares_gradients,
    draws,
    filled,
    floats,
    is_surgeon,
    is_theirs,
    losses_of,
    step,
    those,
)
from torch import nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torchjd import aggregation, scalarization

from mtl_tutorial.architectures import (
    MTAN,
    ConvEncoder,
    CrossModalAttention,
    CrossStitch,
    FusionNetwork,
    HardSharing,
    VGGEncoder,
)
from mtl_tutorial.balancing import (
    MGDA,
    DynamicWeightAverage,
    FixedWeights,
    GradientNormWeights,
    GradNorm,
    PCGrad,
    UncertaintyWeights,
    shared_parameters,
)
from mtl_tutorial.data import located_digits
from mtl_tutorial.experiments import seeded
from mtl_tutorial.tasks import Task, accuracy, task_losses

no_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
DEVICES = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]
every_balancer = those()
surgeons = those(is_surgeon)
ours = those(lambda balancer: not is_theirs(balancer))
each_network = pytest.mark.parametrize("network", NETWORKS, ids=lambda network: network.__name__)


def agree(found, expected, tolerance=1e-4):
    """Whether gradients are the same, up to a share of the largest entry of all."""
    assert [g is None for g in found] == [e is None for e in expected]
    pairs = [(g, e) for g, e in zip(found, expected, strict=True) if g is not None]
    largest = max(e.abs().max().item() for _, e in pairs)
    return all(
        torch.allclose(g.to(e), e, rtol=tolerance, atol=tolerance * largest) for g, e in pairs
    )


def gradients(model):
    return list(filled(model).values())


def looks_at_a_layer(balancer):
    return isinstance(balancer, GradNorm | GradientNormWeights)


# The gradient


@every_balancer
@each_network
def test_every_parameter_gets_once_what_the_weights_say(make, network):
    model = build(network)
    losses = losses_of(model)
    balancer = make(NAMES, model)
    weights = step(balancer, model, losses)
    assert list(weights) == list(NAMES)
    assert all(map(math.isfinite, floats(weights).values()))
    expected = by_hand(
        losses_of(model), list(model.parameters()), weights, surgery=is_surgeon(balancer)
    )
    assert agree(gradients(model), expected)


@every_balancer
@each_network
def test_gradients_have_their_parameters_layout_and_memory_of_their_own(make, network):
    model = build(network)
    step(make(NAMES, model), model, losses_of(model))
    found = [p.grad for p in model.parameters()]
    assert [g.stride() for g in found] == [p.stride() for p in model.parameters()]
    before = [g.clone() for g in found]
    for i, gradient in enumerate(found):
        gradient.zero_()
        assert all(map(torch.equal, found[i + 1 :], before[i + 1 :]))


@every_balancer
@pytest.mark.parametrize("count", [2, 8])
@pytest.mark.parametrize("device", DEVICES)
def test_any_number_of_tasks_fills_every_gradient(make, count, device):
    names = [f"task{i}" for i in range(count)]
    model = build(names=names, device=device)
    weights = step(make(names, model), model, losses_of(model, names))
    assert list(weights) == names
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


@surgeons
def test_a_head_gets_its_own_gradient_to_the_last_bit(make):
    model = build()
    losses = losses_of(model)
    heads = {name: list(model.heads[name].parameters()) for name in losses}
    alone = {
        name: torch.autograd.grad(losses[name], heads[name], retain_graph=True) for name in losses
    }
    step(make(NAMES, model), model, losses)
    for name, expected in alone.items():
        assert all(map(torch.equal, [p.grad for p in heads[name]], expected))


@every_balancer
def test_gradients_add_up_as_with_backward(make):
    model = build()
    step(make(NAMES, model), model, losses_of(model))
    once = gradients(model)
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    step(make(NAMES, model), model, losses_of(model))
    assert agree(gradients(model), [gradient + 1 for gradient in once])


@every_balancer
@each_network
def test_hooks_of_parameters_act_once(make, network):
    model = build(network)
    step(make(NAMES, model), model, losses_of(model))
    plain = gradients(model)
    model.zero_grad()
    calls = dict.fromkeys(model.parameters(), 0)

    def count(parameter):
        assert parameter.grad is not None
        calls[parameter] += 1

    for parameter in model.parameters():
        parameter.register_hook(lambda gradient: gradient / 2)
        parameter.register_post_accumulate_grad_hook(count)
    balancer = make(NAMES, model)
    step(balancer, model, losses_of(model))
    if not scaled_by_length(balancer):
        assert agree(gradients(model), [gradient / 2 for gradient in plain])
    assert set(calls.values()) == {1}


def scaled_by_length(balancer):
    """Whether the weights hang on how long the gradients are, of the first step too."""
    lengths = (aggregation.NashMTL, aggregation.CAGrad, aggregation.ExcessMTL)
    return is_theirs(balancer) and isinstance(balancer.method, lengths)


@every_balancer
def test_batch_statistics_and_the_random_state_are_left_as_the_forward_pass_left_them(make):
    model = build(Images)
    losses = losses_of(model)
    balancer = make(NAMES, model)
    before, random_state = copy.deepcopy(model.norm.state_dict()), torch.get_rng_state()
    step(balancer, model, losses)
    after = model.norm.state_dict()
    assert after["num_batches_tracked"] == 1
    assert torch.equal(after["running_mean"], before["running_mean"])
    assert torch.equal(torch.get_rng_state(), random_state)


@every_balancer
def test_what_lies_outside_of_the_model_gets_its_gradient_too(make):
    """A learned temperature, and inputs of which a gradient is asked."""
    model, temperature = build(), torch.tensor(2.0, requires_grad=True)
    inputs = torch.randn(16, 5, generator=torch.Generator().manual_seed(0)).requires_grad_()
    target = torch.arange(16) % WIDTH

    def losses():
        outputs = model(inputs)
        return {
            name: (i + 1) * F.cross_entropy(output / temperature, target)
            for i, (name, output) in enumerate(outputs.items())
        }

    balancer = make(NAMES, model)
    weights = step(balancer, model, losses())
    if is_surgeon(balancer):
        weights = {name: torch.ones(()) for name in weights}
    expected = by_hand(losses(), [inputs, temperature], weights, surgery=False)
    assert agree([inputs.grad, temperature.grad], expected)


@every_balancer
def test_frozen_parts_stay_without_a_gradient(make):
    model = build()
    model.first.requires_grad_(False)
    model.heads["b"].bias.requires_grad_(False)
    balancer = make(NAMES, model)
    weights = step(balancer, model, losses_of(model))
    trained = [p for p in model.parameters() if p.requires_grad]
    expected = by_hand(losses_of(model), trained, weights, surgery=is_surgeon(balancer))
    assert agree([p.grad for p in trained], expected)
    assert all(p.grad is None for p in model.parameters() if not p.requires_grad)


class Sparse(Plain):
    """An embedding with sparse gradients, of one task or of all."""

    def __init__(self, names, *, shared):
        super().__init__(names)
        self.shared = shared
        self.embedding = nn.Embedding(5, 4, sparse=True)

    def forward(self, x):
        z, extra = self.features(x), self.embedding(torch.arange(len(x)) % 5)
        return {
            name: head(z + extra if self.shared or name == "a" else z)
            for name, head in self.heads.items()
        }


NETWORKS_OF_THEIR_OWN = {
    "sparse": lambda shared: Sparse(NAMES, shared=shared),
    "complex": lambda shared: Spectral(NAMES, shared=shared),
}


class Spectral(Plain):
    """Complex parameters, of one task or of all."""

    def __init__(self, names, *, shared):
        super().__init__(names)
        self.shared = shared
        self.filter = nn.Parameter(torch.ones(3, dtype=torch.complex64))

    def forward(self, x):
        z = self.features(x)
        extra = torch.fft.irfft(torch.fft.rfft(z) * self.filter, 4)
        return {
            name: head(extra if self.shared or name == "a" else z)
            for name, head in self.heads.items()
        }


def own_losses(model):
    outputs = model(torch.randn(16, 5, generator=torch.Generator().manual_seed(0)))
    target = torch.arange(16) % WIDTH
    return {name: F.cross_entropy(output, target) for name, output in outputs.items()}


@every_balancer
@pytest.mark.parametrize("kind", NETWORKS_OF_THEIR_OWN)
def test_sparse_and_complex_parameters_of_one_task_are_trained(make, kind):
    torch.manual_seed(0)
    model = NETWORKS_OF_THEIR_OWN[kind](False)
    balancer = make(NAMES, model)
    for _ in range(2):  # the second is added
        weights = step(balancer, model, own_losses(model))
        parameters = list(model.parameters())
        expected = by_hand(own_losses(model), parameters, weights, surgery=is_surgeon(balancer))
        found = [p.grad.to_dense() for p in parameters]
        assert agree(found, [e.to_dense() for e in expected])
        model.zero_grad()
    step(balancer, model, own_losses(model))
    step(balancer, model, own_losses(model))
    assert all(p.grad.to_dense().isfinite().all() for p in model.parameters())


@every_balancer
@pytest.mark.parametrize("kind", NETWORKS_OF_THEIR_OWN)
def test_sparse_and_complex_parameters_of_all_are_trained_or_named(make, kind):
    torch.manual_seed(0)
    model = NETWORKS_OF_THEIR_OWN[kind](True)
    balancer = make(NAMES, model)
    if compares_gradients(balancer):
        name = {"sparse": "embedding.weight", "complex": "filter"}[kind]
        with pytest.raises(ValueError, match=f"of shared parameter '{name}' is {kind}, .* or use"):
            step(balancer, model, own_losses(model))
        assert all(p.grad is None for p in model.parameters())
        return
    weights = step(balancer, model, own_losses(model))
    expected = by_hand(own_losses(model), list(model.parameters()), weights, surgery=False)
    assert agree([p.grad.to_dense() for p in model.parameters()], [e.to_dense() for e in expected])


# The weights


def has_places(balancer):
    """Whether weights are drawn, or one task is the first by right."""
    return is_theirs(balancer) and isinstance(balancer.method, (*RANDOM, aggregation.PCD))


@those(lambda balancer: not has_places(balancer))
def test_the_order_of_the_tasks_does_not_count(make):
    model = build()
    names = NAMES[:2] if draws(make(NAMES, model)) else NAMES
    found = []
    for order in (names, names[1:] + names[:1]):
        balancer, steps = make(order, model), []
        for seed in range(5):
            losses = losses_of(model, names, seed)
            steps.append(floats(step(balancer, model, {name: losses[name] for name in order})))
        found.append(steps)
    for one, other in zip(*found, strict=True):
        assert one == pytest.approx(other, rel=2e-3, abs=1e-5)


def scale_free(balancer):
    """Whether the unit of all losses does not count."""
    if is_theirs(balancer):
        methods = (aggregation.UPGrad, aggregation.IMTLG, scalarization.GeometricMean)
        return isinstance(balancer.method, methods)
    kinds = (FixedWeights, DynamicWeightAverage, GradientNormWeights, PCGrad, MGDA)
    return isinstance(balancer, kinds)


@those(scale_free)
@pytest.mark.parametrize("unit", [2.0**10, 1e-20, 1e18])
def test_the_unit_of_the_losses_does_not_count(make, unit):
    model, found = build(), []
    for scale in (1.0, unit):
        balancer = make(NAMES, model)
        for seed in range(5):
            model.zero_grad()
            weights = step(balancer, model, losses_of(model, seed=seed, scale=scale))
        found.append((floats(weights), [g / scale for g in gradients(model)]))
    (one, expected), (other, scaled) = found
    assert other == pytest.approx(one, rel=1e-3, abs=1e-5)
    assert agree(scaled, expected, 1e-3)


def quiet(losses, names):
    """The losses, without gradients for some tasks."""
    return {name: loss * 0 + 1 if name in names else loss for name, loss in losses.items()}


@ours
@pytest.mark.parametrize("names", ["c", "bc", "abc"])
def test_a_gradient_of_zero_harms_nobody(make, names):
    model = build()
    losses = losses_of(model)
    alone = filled(model)
    for name in set(NAMES) - set(names):
        (alone[name],) = torch.autograd.grad(
            losses[name], model.heads[name].weight, retain_graph=True
        )
    balancer = make(NAMES, model)
    weights = floats(step(balancer, model, quiet(losses, names)))
    assert all(map(math.isfinite, weights.values()))
    assert all(gradient.isfinite().all() for gradient in gradients(model))
    for name in NAMES:
        assert model.heads[name].weight.grad.any() == (name not in names)
    if isinstance(balancer, MGDA) or len(names) == 3:
        assert not model.first.weight.grad.any()


@those(is_theirs)
def test_a_gradient_of_zero_gives_torchjds_methods_numbers_or_a_sentence(make):
    model = build()
    losses = losses_of(model)
    try:
        step(make(NAMES, model), model, quiet(losses, "c"))
    except ValueError as error:
        assert "lower the learning rate" in str(error)
        assert all(gradient is None for gradient in gradients(model))
    else:
        assert all(gradient.isfinite().all() for gradient in gradients(model))


@ours
@pytest.mark.parametrize("factor", [1.0, 2.0, 1e4, 1e-4])
def test_parallel_gradients_are_followed(make, factor):
    model = build()
    losses = losses_of(model)
    losses = {"a": losses["a"], "b": factor * losses["a"], "c": 3 * losses["a"]}
    theta = model.first.weight
    (g,) = torch.autograd.grad(losses["a"], theta, retain_graph=True)
    balancer = make(NAMES, model)
    weights = floats(step(balancer, model, losses))
    along = (theta.grad * g).sum() / g.square().sum()
    assert torch.allclose(theta.grad, along * g, atol=1e-6 * theta.grad.abs().max().item())
    expected = weights["a"] + factor * weights["b"] + 3 * weights["c"]
    assert along.item() == pytest.approx(expected, rel=1e-5)
    if isinstance(balancer, MGDA):
        assert along.item() == pytest.approx(min(1, factor), rel=1e-5)
    if isinstance(balancer, PCGrad):
        assert along.item() == pytest.approx(1 + factor + 3, rel=1e-5)


@those(lambda balancer: isinstance(balancer, PCGrad | MGDA))
def test_opposite_gradients_cancel(make):
    model = build()
    losses = losses_of(model)
    step(make(NAMES, model), model, {"a": losses["a"], "b": -2 * losses["a"]})
    assert model.first.weight.grad.abs().max() < 1e-6


# Tasks that are missing


@every_balancer
def test_a_missing_task_is_not_forgotten_and_comes_back(make):
    model = build()
    balancer = make(NAMES, model)
    step(balancer, model, losses_of(model))
    step(balancer, model, losses_of(model, seed=1))
    if balancer.state_dict().get("names"):
        before = repr(balancer.state_dict())
        with pytest.raises(ValueError, match=r"by their place and began with .* give every batch"):
            step(balancer, model, losses_of(model, NAMES[:2], seed=2))
        assert repr(balancer.state_dict()) == before
        return
    kept = {name: row.clone() for name, row in balancer.memory.items()}
    model.zero_grad()
    weights = step(balancer, model, losses_of(model, NAMES[:2], seed=2))
    assert list(weights) == list(NAMES[:2])
    assert all(p.grad is None for p in model.heads["c"].parameters())
    assert all(p.grad.isfinite().all() for p in model.heads["b"].parameters())
    if kept:
        assert torch.equal(balancer.memory["c"], kept["c"])
        assert not torch.equal(balancer.memory["b"], kept["b"])
    weights = step(balancer, model, losses_of(model, seed=3))
    assert list(weights) == list(NAMES)


@those(lambda balancer: not is_theirs(balancer) or is_surgeon(balancer))
@each_network
def test_one_task_alone_gets_its_gradient(make, network):
    model = build(network)
    parameters = list(model.parameters())
    losses = losses_of(model, "b")
    expected = torch.autograd.grad(losses["b"], parameters, retain_graph=True, allow_unused=True)
    weight = step(make(NAMES, model), model, losses)["b"]
    assert agree(gradients(model), [None if g is None else weight * g for g in expected])
    if is_surgeon(make(NAMES, model)):
        assert weight == 1


# Numbers in other formats


@every_balancer
@pytest.mark.parametrize("device", DEVICES)
def test_autocast_losses_are_balanced(make, device):
    model = build(device=device)
    with torch.autocast(device, dtype=torch.bfloat16):
        losses = losses_of(model)
    step(make(NAMES, model), model, losses)
    assert all(p.grad.dtype == p.dtype and p.grad.isfinite().all() for p in model.parameters())


@every_balancer
@pytest.mark.parametrize("device", DEVICES)
def test_a_backward_pass_inside_autocast_gives_the_same(make, device):
    model, found = build(device=device), []
    for inside in (False, True):
        model.zero_grad()
        with torch.autocast(device, dtype=torch.bfloat16):
            losses = losses_of(model)
        with torch.autocast(device, dtype=torch.bfloat16, enabled=inside):
            weights = step(make(NAMES, model), model, losses)
        found.append((floats(weights), gradients(model)))
    (outside, expected), (inside, given) = found
    assert inside == pytest.approx(outside)
    assert agree(given, expected)


@ours
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("scale", [1, 3000])  # squared norms above 65504 overflow in float16
def test_a_half_precision_model_is_balanced_as_a_double_one(make, dtype, scale):
    found = []
    for precision in (torch.double, dtype):
        model = build(dtype=precision)
        losses = losses_of(model, scale=scale / 9)
        found.append(floats(step(make(NAMES, model), model, losses)))
        assert all(p.grad.dtype == precision for p in model.parameters())
        assert all(p.grad.isfinite().all() for p in model.parameters())
    assert found[1] == pytest.approx(found[0], rel=0.05, abs=0.02)


@those(is_theirs)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.double])
def test_torchjds_methods_take_any_precision(make, dtype):
    model = build(dtype=dtype)
    for seed in range(3):
        step(make(NAMES, model), model, losses_of(model, seed=seed))
    assert all(p.grad.dtype == dtype and p.grad.isfinite().all() for p in model.parameters())


class NoDouble(TorchDispatchMode):
    """A device without float64, as Apple's GPUs are."""

    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        result = function(*arguments, **(options or {}))
        for value in torch.utils._pytree.tree_leaves((arguments, options, result)):
            if isinstance(value, torch.Tensor) and value.dtype == torch.float64:
                raise TypeError(f"{function} touches float64")
        return result


@ours
def test_a_step_needs_no_double_precision(make):
    model = build()
    balancer = make(NAMES, model)
    for seed in range(3):
        losses = losses_of(model, seed=seed)
        with NoDouble():
            step(balancer, model, losses)


@ours
@each_network
def test_a_step_reads_no_number_from_the_device(make, network):
    """On the meta device there are none: reading one, or asking whether it is above 0, fails."""
    model = build(network, device="meta")
    balancer = make(NAMES, model)
    for seed in range(3):
        weights = step(balancer, model, losses_of(model, seed=seed))
        assert all(weight.device.type == "meta" for weight in weights.values())
    assert all(p.grad is not None for p in model.parameters())


@ours
def test_a_step_of_many_tasks_reads_no_number_from_the_device(make):
    many = [f"task{i}" for i in range(10)]
    model = build(names=many, device="meta")
    step(make(many, model), model, losses_of(model, many))


@ours
@no_gpu
def test_a_step_never_waits_for_a_gpu(make):
    model = build(device="cuda")
    balancer = make(NAMES, model)
    step(balancer, model, losses_of(model))  # makes what is made once
    losses = losses_of(model, seed=1)
    torch.cuda.set_sync_debug_mode("error")
    try:
        balancer.backward(losses, model)
    finally:
        torch.cuda.set_sync_debug_mode("default")


# A scaled step, and numbers that are not finite


@every_balancer
@pytest.mark.parametrize("scale", [2.0**16, torch.tensor(2.0**-8)])
def test_scaled_gradients_come_with_the_weights_of_unscaled_ones(make, scale):
    model, found = build(), []
    for options in ({}, {"scale": scale}):
        balancer = make(NAMES, model)
        for seed in range(3):
            model.zero_grad()
            weights = step(balancer, model, losses_of(model, seed=seed), seed, **options)
        found.append((floats(weights), gradients(model)))
    (plain, expected), (scaled, given) = found
    assert scaled == pytest.approx(plain, rel=2e-3, abs=1e-5)
    assert agree([g / scale for g in given], expected, 2e-3)


@every_balancer
def test_a_gradscaler_scales_steps_and_skips_those_that_are_not_finite(make):
    plain, scaled = build(), build()
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10, growth_interval=1)
    balancers = make(NAMES, plain), make(NAMES, scaled)
    rates = [torch.optim.SGD(model.parameters(), lr=0.1) for model in (plain, scaled)]
    for seed in range(3):
        plain.zero_grad(), scaled.zero_grad()
        step(balancers[0], plain, losses_of(plain, seed=seed), seed)
        rates[0].step()
        step(balancers[1], scaled, losses_of(scaled, seed=seed), seed, scale=scaler)
        scaler.step(rates[1])
        scaler.update()
        assert agree(
            [p.detach() for p in scaled.parameters()],
            [p.detach() for p in plain.parameters()],
            1e-3,
        )
    assert scaler.get_scale() == 2.0**13
    before = [p.detach().clone() for p in scaled.parameters()]
    scaled.zero_grad()
    losses = losses_of(scaled)
    step(balancers[1], scaled, losses | {"b": losses["b"] * math.inf}, scale=scaler)
    scaler.step(rates[1])
    scaler.update()
    assert all(map(torch.equal, before, scaled.parameters()))
    assert scaler.get_scale() == 2.0**12


@those(lambda balancer: compares_gradients(balancer) or looks_at_a_layer(balancer))
@pytest.mark.parametrize(
    "spoilt", [lambda zero: zero.abs().sqrt(), lambda zero: zero * 1e38 * 1e38], ids=["nan", "inf"]
)
def test_a_gradient_that_is_not_finite_is_named_and_fills_nothing(make, spoilt):
    model = build()
    balancer = make(NAMES, model)
    losses = losses_of(model)
    hidden = losses["b"] - losses["b"].detach()
    losses["b"] = losses["b"].detach() + spoilt(hidden)
    with pytest.raises(ValueError, match=r"gradient of task 'b' is (nan|inf|-inf)"):
        step(balancer, model, losses)
    assert all(gradient is None for gradient in gradients(model))


@every_balancer
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_under_a_scale_what_is_not_finite_is_left_for_the_scaler_and_not_learned(make, value):
    model = build()
    balancer = make(NAMES, model)
    step(balancer, model, losses_of(model), scale=8.0)
    before = copy.deepcopy(balancer.memory)
    model.zero_grad()
    losses = losses_of(model, seed=1)
    losses["b"] = losses["b"] * value
    step(balancer, model, losses, scale=8.0)
    assert not all(p.grad.isfinite().all() for p in model.parameters())
    assert all(row.isfinite().all() for row in balancer.memory.values())
    if not isinstance(balancer, DynamicWeightAverage):
        assert all(map(torch.equal, balancer.memory.values(), before.values()))
    model.zero_grad()
    step(balancer, model, losses_of(model, seed=2), scale=8.0)
    assert all(p.grad.isfinite().all() for p in model.parameters())


@every_balancer
def test_a_first_step_that_is_not_finite_is_left_for_the_scaler_too(make):
    model = build()
    balancer = make(NAMES, model)
    losses = losses_of(model)
    losses["b"] = losses["b"] * math.nan
    step(balancer, model, losses, scale=8.0)
    model.zero_grad()
    step(balancer, model, losses_of(model, seed=1), scale=8.0)
    assert all(p.grad.isfinite().all() for p in model.parameters())


@those(lambda balancer: compares_gradients(balancer) or looks_at_a_layer(balancer))
def test_a_scaler_that_is_switched_off_skips_no_step_so_that_nothing_is_left_for_it(make):
    model, off = build(), torch.amp.GradScaler("cpu", enabled=False)
    losses = losses_of(model)
    losses["b"] = losses["b"] * math.nan
    with pytest.raises(ValueError, match="of task 'b' is nan"):
        step(make(NAMES, model), model, losses, scale=off)
    assert all(gradient is None for gradient in gradients(model))


@every_balancer
@pytest.mark.parametrize(
    "scale", [0, -2.0, math.nan, "8", torch.zeros(()), torch.ones(2)], ids=repr
)
def test_a_scale_that_is_no_number_above_0_is_refused_and_fills_nothing(make, scale):
    model = build()
    with pytest.raises(ValueError, match="scale must be a GradScaler or a finite number above 0"):
        step(make(NAMES, model), model, losses_of(model), scale=scale)
    assert all(gradient is None for gradient in gradients(model))


@every_balancer
def test_a_loss_without_a_graph_is_named_fills_nothing_and_is_forgotten(make):
    model = build()
    balancer = make(NAMES, model)
    before = repr(balancer.state_dict())
    losses = losses_of(model)
    losses["b"] = losses["b"].detach()
    with pytest.raises(ValueError, match=r"'b' depends on no trained parameter.*no_grad"):
        balancer.backward(losses, model)
    assert all(gradient is None for gradient in gradients(model))
    assert repr(balancer.state_dict()) == before


@every_balancer
@pytest.mark.parametrize(
    ("losses", "words"),
    [
        ({}, "at least 1 task is needed"),
        ({"a": 1.0}, r"loss of task 'a' must be a scalar tensor, got 1\.0"),
        ({"a": torch.ones(1, requires_grad=True)}, r"got shape \(1,\)"),
        ({"a": torch.ones(3, requires_grad=True)}, r"got shape \(3,\)"),
        ([torch.ones((), requires_grad=True)], "losses must be a dict by task name, got a list"),
        (torch.ones((), requires_grad=True), "losses must be a dict by task name, got a Tensor"),
    ],
    ids=["none", "a float", "one in a vector", "a vector", "a list", "a sum"],
)
def test_what_is_no_loss_is_refused(make, losses, words):
    model = build()
    with pytest.raises(ValueError, match=words):
        make(NAMES, model).backward(losses, model)


# What is shared


@those(lambda balancer: compares_gradients(balancer) or looks_at_a_layer(balancer))
def test_a_frozen_trunk_is_refused(make):
    model = build()
    model.first.requires_grad_(False)
    model.last.requires_grad_(False)
    words = r"Plain \(4 of its 10 parameters are frozen\)|layer.* is frozen"
    with pytest.raises(ValueError, match=words):
        step(make(NAMES, model), model, losses_of(model))


class Apart(Plain):
    """Tasks that share nothing."""

    def forward(self, x):
        return {name: head(x[:, :4]) for name, head in self.heads.items()}


@those(lambda balancer: compares_gradients(balancer) or looks_at_a_layer(balancer))
def test_a_model_that_shares_nothing_is_refused(make):
    model = Apart(NAMES)
    words = "no trained parameter of Apart is reached by two|'a' does not reach the last shared"
    with pytest.raises(ValueError, match=words):
        make(NAMES, model).backward(own_losses(model), model)


class Outsider(Plain):
    """The last task shares nothing with the others."""

    def forward(self, x):
        outputs = super().forward(x)
        return outputs | {"c": self.heads["c"](x[:, :4])}


@those(lambda balancer: compares_gradients(balancer) or looks_at_a_layer(balancer))
def test_a_task_that_shares_nothing_is_named(make):
    model = Outsider(NAMES)
    with pytest.raises(ValueError, match=r"task 'c' (does not reach the last|shares no)"):
        make(NAMES, model).backward(own_losses(model), model)
    assert all(gradient is None for gradient in gradients(model))


# State


@every_balancer
def test_a_run_goes_on_from_its_saved_state_as_if_it_had_not_stopped(make):
    model = build()

    def steps(balancer, seeds):
        return [floats(step(balancer, model, losses_of(model, seed=s), s)) for s in seeds]

    def saved(balancer):
        file = io.BytesIO()
        torch.save(balancer.state_dict(), file)
        file.seek(0)
        return torch.load(file, weights_only=True)

    whole = steps(make(NAMES, model), range(6))
    stopped = make(NAMES, model)
    steps(stopped, range(3))
    kept, state = stopped.state_dict(), saved(stopped)
    steps(stopped, range(3, 5))  # what was saved does not follow
    other = make(NAMES, model)
    other.load_state_dict(kept)
    steps(other, range(2))  # nor does it follow what was loaded
    for given in (kept, state):
        resumed = make(NAMES, model)
        resumed.load_state_dict(given)
        for mine, theirs in zip(steps(resumed, range(3, 6)), whole[3:], strict=True):
            assert mine == pytest.approx(theirs, rel=1e-5)


@every_balancer
def test_the_state_of_another_balancer_is_refused(make):
    model = build()
    balancer = make(NAMES, model)
    others = [GradNorm(layer=model.last), DynamicWeightAverage(2), FixedWeights(), PCGrad()]
    tasks = [Task(name, F.cross_entropy, accuracy, WIDTH) for name in NAMES]
    for other in (*others, UncertaintyWeights(tasks), MGDA(), GradientNormWeights()):
        if type(other) is type(balancer):
            continue
        step(other, model, losses_of(model))
        with pytest.raises(ValueError, match=type(balancer).__name__):
            balancer.load_state_dict(other.state_dict())
    with pytest.raises(ValueError, match="the state of something else, and not of"):
        balancer.load_state_dict(None)


# Training

SLOW = (aggregation.NashMTL, aggregation.CAGrad)  # their solvers take 10 to 100 ms a step


@those(lambda balancer: not (is_theirs(balancer) and isinstance(balancer.method, SLOW)))
def test_training_lowers_every_loss(make):
    model = build()
    balancer, adam = make(NAMES, model), torch.optim.Adam(model.parameters(), lr=0.02)
    first = floats({name: loss.detach() for name, loss in losses_of(model).items()})
    for seed in range(80):
        losses = losses_of(model)
        adam.zero_grad()
        step(balancer, model, losses, seed)
        adam.step()
    last = floats({name: loss.detach() for name, loss in losses_of(model).items()})
    assert all(last[name] < 0.8 * first[name] for name in NAMES)


SCENES = located_digits("train")
ARCHITECTURES = {
    "HardSharing": lambda tasks: HardSharing(ConvEncoder(2), tasks),
    "CrossStitch": lambda tasks: CrossStitch([ConvEncoder(2) for _ in tasks], tasks),
    "MTAN": lambda tasks: MTAN(VGGEncoder((2, 3)), tasks),
    "FusionNetwork": lambda tasks: FusionNetwork(
        {"image": ConvEncoder(2), "sound": ConvEncoder(2)}, CrossModalAttention(8), tasks
    ),
}


@ours
@pytest.mark.parametrize("architecture", ARCHITECTURES.values(), ids=ARCHITECTURES)
def test_every_architecture_is_balanced(make, architecture):
    tasks = tuple(Task(name, F.cross_entropy, accuracy, 10 + i) for i, name in enumerate(NAMES))
    with seeded(0) as generator:
        model = architecture(tasks)
        digits = SCENES.draw(8, generator)
    inputs = digits.inputs
    if isinstance(model, FusionNetwork):
        inputs = {"image": inputs, "sound": inputs.flip(0)}
    target = digits.targets["digit"]
    losses = task_losses(model(inputs), {task.name: target for task in tasks}, tasks)
    theta = [p for p in shared_parameters(losses, model) if p.ndim > 1]
    rows = [
        torch.autograd.grad(loss, theta, retain_graph=True, allow_unused=True)
        for loss in losses.values()
    ]
    for p, *column in zip(theta, *rows, strict=True):  # one that all tasks reach
        if all(g is not None for g in column):
            model.last = nn.ParameterList([p])
    make(NAMES, model).backward(losses, model)
    named = {id(p): name for name, p in model.named_parameters()}
    without = [named[id(p)] for p in model.parameters() if p.grad is None]
    assert without in ([], ["absent"])  # no sense is absent here
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)
