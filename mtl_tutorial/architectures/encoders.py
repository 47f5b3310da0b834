"""Encoders: networks that turn an image into one feature vector."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from numbers import Integral
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

Module = TypeVar("Module", bound=nn.Module)


class ConvEncoder(nn.Module):
    """Two strided convolutions and a linear layer; small and fast.

    z = ReLU(W · flatten(ReLU(conv(ReLU(conv(x)))))); both convolutions are 3x3, stride 2, with
    ``width`` and ``2 * width`` channels.

    Args:
        width: channels of the first convolution.
        out_features: length of the feature vector; left out, ``4 * width``.
        size: side of the square image, in pixels.

    Shapes: ``(B, 1, size, size)`` to ``(B, out_features)``.

    Raises:
        ValueError: where a number is below 1, or an image has another shape.
    """

    def __init__(self, width: int = 16, out_features: int | None = None, size: int = 28) -> None:
        super().__init__()
        self.out_features = 4 * width if out_features is None else out_features
        self.size = size
        at_least_one(width=width, out_features=self.out_features, size=size)
        quarter = -(-size // 4)
        self.layers = nn.Sequential(
            nn.Conv2d(1, width, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, 2 * width, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(2 * width * quarter * quarter, self.out_features),
            nn.ReLU(),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Give the features of each image."""
        check_images(images, self.size)
        return self.layers(images)


class ClassicEncoder(nn.Module):
    """The encoder of the document that this course starts from, 1.2 million parameters.

    Convolution 1 → 32 (3x3, no padding), ReLU, convolution 32 → 64 (3x3), 2x2 max-pool, 2-d
    dropout 0.25, linear 9216 → 128. Nothing follows the linear layer, and only the max-pool
    stands between it and the second convolution.

    Args:
        relu_everywhere: adds the ReLUs that the document leaves out, after the second convolution
            and after the linear layer. The parameters are the same.

    Shapes: ``(B, 1, 28, 28)`` to ``(B, 128)``.

    Raises:
        ValueError: where an image has another shape.
    """

    size = 28

    def __init__(self, *, relu_everywhere: bool = False) -> None:
        super().__init__()
        self.out_features = 128
        layers = [
            *(nn.Conv2d(1, 32, 3), nn.ReLU(), nn.Conv2d(32, 64, 3)),
            *(nn.MaxPool2d(2), nn.Dropout2d(0.25), nn.Flatten()),
            nn.Linear(9216, 128),
        ]
        if relu_everywhere:
            layers = [*layers[:3], nn.ReLU(), *layers[3:], nn.ReLU()]
        self.layers = nn.Sequential(*layers)

    def forward(self, images: Tensor) -> Tensor:
        """Give the features of each image."""
        check_images(images, self.size)
        return self.layers(images)


class LeNet(nn.Module):
    """The small network of the two-digit experiments in the literature, 22,000 parameters.

    Convolutions 1 → 10 → 20 (5x5, no padding), a 2x2 max-pool and a ReLU after each, linear
    320 → 50, ReLU.

    Args:
        channels: of the two convolutions.
        out_features: length of the feature vector.

    Shapes: ``(B, 1, 28, 28)`` to ``(B, out_features)``.

    Raises:
        ValueError: where a number is below 1, or an image has another shape.

    Source: LeCun et al. 1998; in this form Sener & Koltun 2018 (arXiv 1810.04650), without the
    dropout of their code, and with one linear layer a head where their code has two.
    """

    size = 28

    def __init__(self, channels: tuple[int, int] = (10, 20), out_features: int = 50) -> None:
        super().__init__()
        self.out_features = out_features
        at_least_one(channels=min(channels), out_features=out_features)
        convolutions = nn.Conv2d(1, channels[0], 5), nn.Conv2d(*channels, 5)
        for convolution in convolutions:  # with few channels, a quarter faster on a CPU
            convolution.to(memory_format=torch.channels_last)
        first, second = convolutions
        self.layers = nn.Sequential(
            *(first, nn.MaxPool2d(2), nn.ReLU()),
            *(second, nn.MaxPool2d(2), nn.ReLU()),
            *(nn.Flatten(), nn.Linear(16 * channels[1], out_features), nn.ReLU()),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Give the features of each image."""
        check_images(images, self.size)
        return self.layers(images)


class VGGEncoder(nn.Module):
    """Blocks of two 3x3 convolutions and a 2x2 max-pool, as in VGG.

    In block j: u_j = ReLU(BN(conv(x_j))), p_j = ReLU(BN(conv(u_j))), x_{j+1} = pool(p_j). The
    features are flatten(x) after the last block. Convolutions have no bias: BN adds one.

    Args:
        channels: C_j, those of both convolutions of each block.
        size: side of the square image, in pixels; every pool halves it, rounded down.

    Shapes: ``(B, 1, size, size)`` to ``(B, out_features)``.

    Raises:
        ValueError: where there is no block, a block has no channel, the image has too few pixels
            for so many pools, or an image has another size than it was built for.

    Source: Simonyan & Zisserman 2015 (arXiv 1409.1556), with batch norm.
    """

    def __init__(self, channels: Sequence[int] = (8, 16, 16), size: int = 28) -> None:
        super().__init__()
        self.channels, self.size = tuple(channels), size
        if not self.channels or min(self.channels) < 1:
            raise ValueError(
                f"channels must be one or more numbers from 1 on, one a block, got {self.channels}"
            )
        side = size >> len(self.channels)
        if side < 1:
            raise ValueError(
                f"an image of {size} pixels a side can't be halved {len(self.channels)} times; "
                f"use fewer blocks or larger images"
            )
        self.out_features = self.channels[-1] * side * side
        layers: list[nn.Module] = []
        for before, after in zip((1, *self.channels), self.channels, strict=False):
            layers += [*conv_norm_relu(before, after), *conv_norm_relu(after, after)]
            layers.append(nn.MaxPool2d(2))
        self.layers = nn.Sequential(*layers, nn.Flatten())

    def forward(self, images: Tensor) -> Tensor:
        """Give the features of each image."""
        check_images(images, self.size)
        return self.layers(images)

    def stages(self, images: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Give u_j and p_j of one block after the other, each ``(B, C_j, H_j, W_j)``."""
        check_images(images, self.size)
        x = images
        for start in range(0, 7 * len(self.channels), 7):  # 7 layers a block
            u = self.layers[start : start + 3](x)
            p = self.layers[start + 3 : start + 6](u)
            yield u, p
            x = self.layers[start + 6](p)


def at_least_one(**sizes: int) -> None:
    """Check the sizes that a network is built with.

    Raises:
        ValueError: naming the first that is below 1, or no whole number.
    """
    for what, size in sizes.items():
        if isinstance(size, bool) or not isinstance(size, Integral):
            raise ValueError(f"{what} must be a whole number, got {size!r}")
        if size < 1:
            raise ValueError(f"{what} must be at least 1, got {size}")


def feature_count(encoder: nn.Module) -> int:
    """Give the length of an encoder's feature vectors, its ``out_features``.

    Raises:
        ValueError: where it has none.
    """
    count = getattr(encoder, "out_features", None)
    if not isinstance(count, int):
        raise ValueError(
            f"{type(encoder).__name__} has no out_features, which says how many features the "
            f"layers after it get; set encoder.out_features to the length of its feature vectors"
        )
    return count


def features_of(encoder: nn.Module, inputs: Any) -> Tensor:
    """Give the features of a batch, of the length that the encoder says.

    Raises:
        ValueError: where it gives something else than a tensor of that length.
    """
    features = encoder(inputs)
    if not isinstance(features, Tensor) or features.shape[-1:] != (encoder.out_features,):
        tensor = isinstance(features, Tensor)
        got = f"shape {tuple(features.shape)}" if tensor else f"a {type(features).__name__}"
        raise ValueError(
            f"{type(encoder).__name__} says that it gives {encoder.out_features} features "
            f"(out_features), but gave {got}; set encoder.out_features to the length of its "
            f"feature vectors, or let its forward give them alone"
        )
    return features


def check_images(images: Tensor, size: int) -> None:
    """Check the shape of images, before a layer deep inside stumbles over it.

    Raises:
        ValueError: where they are no tensor of floating-point numbers ``(B, 1, size, size)``.
    """
    if not isinstance(images, Tensor):
        names = f" of {sorted(images)}" if isinstance(images, Mapping) else ""
        raise ValueError(
            f"this encoder needs images as one tensor, got a {type(images).__name__}{names}; "
            f"for inputs by modality use a FusionNetwork, or hand in one of them"
        )
    if images.ndim != 4 or images.shape[1:] != (1, size, size):
        raise ValueError(
            f"this encoder needs images of shape (B, 1, {size}, {size}), got "
            f"{tuple(images.shape)}; resize them, or use an encoder built for their size"
        )
    if not images.is_floating_point():
        raise ValueError(
            f"this encoder needs images of floating-point numbers, got {images.dtype}; "
            f"use images.float() / 255 for bytes"
        )


def conv_norm_relu(before: int, after: int, kernel: int = 3) -> list[nn.Module]:
    """A convolution that keeps the image's size, batch norm, ReLU."""
    convolution = nn.Conv2d(before, after, kernel, padding=kernel // 2, bias=False)
    convolution.to(memory_format=torch.channels_last)  # with few channels, faster on a CPU
    return [convolution, nn.BatchNorm2d(after), nn.ReLU()]


def module_dict(what: str, by: str, modules: Mapping[str, nn.Module]) -> nn.ModuleDict:
    """Make a ModuleDict, with a sentence where torch has a bare error.

    Args:
        what: what the modules are, in the plural.
        by: what their names name.

    Raises:
        ValueError: where they are no dict of modules by name, there is none, or a name can't be
            the name of a module: it is empty, has a dot in it, or is taken by ModuleDict.
    """
    if not isinstance(modules, Mapping) or not modules:
        got = "an empty one" if isinstance(modules, Mapping) else f"a {type(modules).__name__}"
        raise ValueError(f"{what} must be a dict by {by} with at least one entry, got {got}")
    for name, module in modules.items():
        if not isinstance(module, nn.Module):
            raise ValueError(
                f"{what} must be modules, got a {type(module).__name__} for {by} {name!r}"
            )
        taken = isinstance(name, str) and hasattr(nn.ModuleDict(), name)
        if not isinstance(name, str) or not name or "." in name or taken:
            why = "it is taken by torch's ModuleDict" if taken else "it needs text without a dot"
            raise ValueError(
                f"{by} {name!r} can't be the name of a module: {why}; choose another name, "
                f"such as {str(name).replace('.', '_') + (f'_{by}' if taken or not name else '')!r}"
            )
    return nn.ModuleDict(modules)


def check_modalities(
    inputs: Mapping[str, Tensor | None], names: Iterable[str], otherwise: str
) -> None:
    """Check that inputs are a dict which has every modality.

    Args:
        otherwise: what to do where one is missing.

    Raises:
        ValueError: naming what they are, or the modality that is missing.
    """
    if not isinstance(inputs, Mapping):
        shape = f" of shape {tuple(inputs.shape)}" if isinstance(inputs, Tensor) else ""
        raise ValueError(
            f"inputs must be a dict with a tensor for each of {list(names)}, got a "
            f"{type(inputs).__name__}{shape}"
        )
    for name in names:
        if name not in inputs:
            raise ValueError(
                f"modality {name!r} is missing from the inputs, which have {sorted(inputs)}; "
                f"{otherwise}"
            )


def place_like(module: Module, other: nn.Module) -> Module:
    """Move a new module to the device and the number format of another one's parameters."""
    like = next((p for p in other.parameters() if p.is_floating_point()), None)
    return module if like is None else module.to(like.device, like.dtype)
