"""Networks that run layer by layer: where the last one is, and whether the layers are all of it."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

SIDES = (28, 32, 64, 224)  # of the images that an encoder is tried with, where it does not say


def layers_of(encoder: nn.Module) -> nn.Sequential:
    """Give the layers of an encoder that is checked to have them."""
    layers = encoder.layers
    assert isinstance(layers, nn.Sequential)
    return layers


def last_layer(network: nn.Module, where: str) -> nn.Module:
    """Give the last layer of a network that has a weight matrix or kernel, where that is certain.

    It is certain in a `nn.Sequential`, in a network whose weight matrices all lie in one named
    ``layers``, and where there is one weight matrix only. The order in which a module registers
    its parts is not the order in which it uses them.

    Args:
        where: how a reader reaches the network, such as ``"model.encoder"``.

    Raises:
        ValueError: where there is no weight matrix, or the last one is not certain.
    """
    _check_known(network, type(network).__name__)
    layer, path = network, where
    while (chain := _chain(layer)) is not None:
        places = reversed(range(len(chain)))
        last = next((i for i in places if any(_matrices(chain[i]))), None)
        if last is None:
            break
        path += f"[{last}]" if chain is layer else f".layers[{last}]"
        layer = chain[last]
    matrices = list(_matrices(layer))
    if len(matrices) == 1:
        return layer.get_submodule(matrices[0][0])
    kind = type(network).__name__
    if not matrices:
        raise ValueError(
            f"{kind} has no layer with a weight matrix or kernel, so it has no last shared one; "
            f"pass layer=, a module or a parameter that the loss of every task reaches"
        )
    owner, name = matrices[-1]
    names = ", ".join(".".join(filter(None, matrix)) for matrix in matrices)
    steps = "".join(f"[{s}]" if s.isdigit() else f".{s}" for s in (owner or name).split("."))
    raise ValueError(
        f"which layer of {kind} is the last that tasks share can't be told: {path} has "
        f"{len(matrices)} weight matrices ({names}), used in an order that only its forward knows; "
        f"pass layer= (a module or a parameter), e.g. GradNorm(layer={path + steps})"
    )


def _check_known(network: nn.Module, what: str) -> None:
    if any(is_lazy(parameter) for parameter in network.parameters()):
        raise ValueError(
            f"{what} has lazy layers, whose sizes are known after they have run; "
            f"run it once on some inputs first"
        )


def _chain(network: nn.Module) -> nn.Sequential | None:
    """The layers that a network runs one after the other, where that is certain."""
    for layers in (network, getattr(network, "layers", None)):
        if isinstance(layers, nn.Sequential) and type(layers).forward is nn.Sequential.forward:
            break
    else:
        return None
    inside = {id(p) for p in layers.parameters()}
    outside = [p for p in network.parameters() if p.ndim > 1 and id(p) not in inside]
    return None if outside else layers


def _matrices(network: nn.Module) -> Iterator[tuple[str, str]]:
    """The path of a layer and the name of its parameter, for every weight matrix or kernel."""
    for path, layer in network.named_modules():
        if not isinstance(layer, nn.LayerNorm):
            for name, parameter in layer.named_parameters(recurse=False):
                if parameter.ndim > 1:
                    yield path, name


def check_layers(encoder: nn.Module, what: str, example: Tensor | None = None) -> bool:
    """Check that an encoder does what its ``layers`` do, one after the other, and nothing else.

    Both are run on the same inputs, in evaluation and in training mode, on copies.

    Args:
        what: the encoder's name in a message.
        example: inputs to compare by; left out, images or vectors that the first layer takes.

    Returns:
        Whether there were inputs to compare by.

    Raises:
        ValueError: where it has no such layers, parameters beside them, or gives something else.
    """
    kind = type(encoder).__name__
    layers = getattr(encoder, "layers", None)
    if not isinstance(layers, nn.Sequential):
        raise ValueError(
            f"{what} ({kind}) must have its layers in a nn.Sequential named layers, so that "
            f"features can be taken after each, got {type(layers).__name__}"
        )
    _check_known(encoder, f"{what} ({kind})")
    inside = {id(p) for p in layers.parameters()}
    if beside := [name for name, p in encoder.named_parameters() if id(p) not in inside]:
        raise ValueError(
            f"{what} ({kind}) has parameters beside its layers ({', '.join(beside)}), which are "
            f"not used where it runs layer by layer; move them into {kind}.layers"
        )
    example = example_inputs(encoder) if example is None else example
    if example is None:
        return False
    if (by := difference(encoder, nn.Sequential(*layers), example)) is not None:
        raise ValueError(
            f"the forward of {what} ({kind}) does more than its layers one after the other, "
            f"which would be dropped: {by}; move all of it into {kind}.layers"
        )
    return True


def example_inputs(encoder: nn.Module) -> Tensor | None:
    """Give some inputs that an encoder takes, as far as its layers tell; else None."""
    tensors = [*encoder.parameters(), *encoder.buffers()]
    like = next((t for t in tensors if t.is_floating_point()), torch.zeros(()))
    if any(t.is_meta for t in tensors):
        return None
    trial = copy.deepcopy(encoder).eval()
    for shape in _shapes(encoder):
        values = torch.rand(4, *shape, generator=torch.Generator().manual_seed(0), device="cpu")
        values = values.to(like.device, like.dtype)
        try:
            with torch.no_grad():
                nn.Sequential(*layers_of(trial))(values)
                trial(values)
        except Exception:  # whatever a layer says to inputs that it was not made for
            continue
        return values
    return None


def _shapes(encoder: nn.Module) -> Iterator[tuple[int, ...]]:
    size = getattr(encoder, "size", None)
    sides = (size, *SIDES) if isinstance(size, int) else SIDES
    for layer in layers_of(encoder).modules():
        if isinstance(layer, nn.Linear):
            yield from ((1, side, side) for side in sides if side * side == layer.in_features)
            yield (layer.in_features,)
            return
        for dimensions, kind in enumerate((nn.Conv1d, nn.Conv2d, nn.Conv3d), start=1):
            if isinstance(layer, kind):
                yield from ((layer.in_channels, *[side] * dimensions) for side in sides)
                return


def difference(one: nn.Module, other: nn.Module, inputs: Tensor) -> str | None:
    """Say how two modules differ on the same inputs and the same random numbers; else None.

    They are compared in evaluation mode and then in training mode, on copies.
    """
    copies = [copy.deepcopy(module) for module in (one, other)]
    devices = [inputs.device] if inputs.is_cuda else []
    for training in (False, True):
        answers = []
        for module in copies:
            with torch.random.fork_rng(devices), torch.no_grad():  # the same dropout for both
                answers.append(module.train(training)(inputs))
        mode = "training" if training else "evaluation"
        own, new = answers
        if own.shape != new.shape:
            return f"shape {tuple(new.shape)} in place of {tuple(own.shape)} in {mode} mode"
        if not torch.allclose(own, new, rtol=1e-4, atol=1e-6, equal_nan=True):
            return f"numbers differ by up to {(own - new).abs().max().item():.2g} in {mode} mode"
    return None
