"""A wrapped model is balanced as the model within."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from balancing_cases import NAMES, WIDTH, Plain, draws, is_surgeon, is_theirs, those
from torch import Tensor, nn
from torch.nn import functional as F

from mtl_tutorial.balancing import PCGrad
from mtl_tutorial.tasks import Batch, Task, accuracy
from mtl_tutorial.training import fit


def compiled_trunk(model: nn.Module) -> nn.Module:
    model.first = torch.compile(model.first, backend="aot_eager")
    return model


def compiled_in_place(model: nn.Module) -> nn.Module:
    model.compile(backend="aot_eager")
    return model


WRAPPERS: dict[str, Callable[[nn.Module], nn.Module]] = {
    "compiled": lambda model: torch.compile(model, backend="aot_eager"),
    "compiled in place": compiled_in_place,
    "a compiled layer": compiled_trunk,
    "DataParallel": nn.DataParallel,
}


def steps(make, wrap: Callable[[nn.Module], nn.Module]) -> tuple[list[Tensor], Tensor]:
    torch.manual_seed(0)
    network = Plain(NAMES)
    model, balancer = wrap(network), make(NAMES, network)
    x, labels = torch.randn(9, 5), torch.arange(9) % WIDTH
    for _ in range(2):
        network.zero_grad()
        outputs = model(x)
        losses = {name: F.cross_entropy(outputs[name], labels) for name in NAMES}
        weights = balancer.backward(losses, model)
        balancer.after_step(lambda losses=losses: losses)
    return [parameter.grad for parameter in network.parameters()], torch.stack([*weights.values()])


@pytest.mark.parametrize("wrap", WRAPPERS.values(), ids=WRAPPERS)
@those(lambda balancer: not is_theirs(balancer) and not draws(balancer))
def test_a_wrapped_model_gets_the_gradients_of_the_model_within(make, wrap) -> None:
    torch._dynamo.reset()
    expected, weights = steps(make, lambda model: model)
    gradients, found = steps(make, wrap)
    assert torch.allclose(found, weights, atol=1e-6)
    for gradient, plain in zip(gradients, expected, strict=True):
        assert torch.allclose(gradient, plain, atol=1e-6)


def hooked(model: nn.Module) -> nn.Module:
    model.last.register_full_backward_hook(lambda *arguments: None)
    return model


@pytest.mark.parametrize("wrap", [*WRAPPERS.values(), hooked], ids=[*WRAPPERS, "a hook"])
@those(lambda balancer: not is_theirs(balancer) or is_surgeon(balancer))
def test_one_task_alone_gets_its_gradient_from_a_wrapped_model(make, wrap) -> None:
    torch._dynamo.reset()
    torch.manual_seed(0)
    network = Plain(NAMES)
    model, balancer = wrap(network), make(NAMES, network)
    loss = F.cross_entropy(model(torch.randn(9, 5))["b"], torch.arange(9) % WIDTH)
    trunk = [*network.first.parameters(), *network.last.parameters()]
    expected = torch.autograd.grad(loss, trunk, retain_graph=True)
    weight = balancer.backward({"b": loss}, model)["b"]
    for parameter, gradient in zip(trunk, expected, strict=True):
        assert torch.allclose(parameter.grad, weight * gradient, atol=1e-6)


def test_a_head_of_a_compiled_model_is_not_taken_for_shared() -> None:
    torch._dynamo.reset()
    lengths = []
    for wrap in (lambda model: model, WRAPPERS["compiled"]):
        torch.manual_seed(0)
        network = Plain(NAMES)
        model, seen = wrap(network), []

        class Curious(PCGrad):
            def weights_of(self, gramian: Tensor, seen: list = seen) -> Tensor:
                seen.append(gramian)
                return super().weights_of(gramian)

        outputs = model(torch.ones(2, 5))
        Curious().backward({name: outputs[name].square().mean() for name in NAMES}, model)
        lengths.append(seen[0].diagonal())
    assert torch.allclose(*lengths)


def test_fit_trains_a_compiled_model_as_it_is() -> None:
    torch._dynamo.reset()
    tasks = tuple(Task(name, F.cross_entropy, accuracy, WIDTH) for name in NAMES)
    ends = []
    for wrap in (lambda model: model, WRAPPERS["compiled"]):
        torch.manual_seed(0)
        network = Plain(NAMES)
        batch = Batch(torch.randn(9, 5), {name: torch.arange(9) % WIDTH for name in NAMES})
        optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
        balancer = PCGrad(torch.Generator().manual_seed(0))
        for _ in fit(wrap(network), tasks, [batch] * 4, balancer, optimizer, 4):
            pass
        ends.append(torch.cat([parameter.detach().flatten() for parameter in network.parameters()]))
    assert torch.allclose(*ends, atol=1e-6)
