"""Encoders: networks that turn an image into one feature vector."""

from __future__ import annotations

from torch import Tensor, nn


class ConvEncoder(nn.Module):
    """Two strided convolutions and a linear layer; small and fast.

    z = ReLU(W · flatten(ReLU(conv(ReLU(conv(x)))))); both convolutions are 3x3, stride 2, with
    ``width`` and ``2 * width`` channels.

    Args:
        width: channels of the first convolution.
        out_features: length of the feature vector; left out, ``4 * width``.
        size: side of the square image, in pixels.

    Shapes: ``(B, 1, size, size)`` to ``(B, out_features)``.
    """

    def __init__(self, width: int = 16, out_features: int | None = None, size: int = 28) -> None:
        super().__init__()
        self.out_features = out_features or 4 * width
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
        return self.layers(images)


class ClassicEncoder(nn.Module):
    """The encoder of PyTorch's MNIST example, about 1.2 million parameters.

    Convolutions 1 → 32 → 64 (3x3, no padding), 2x2 max-pool, 2-d dropout 0.25, linear
    9216 → 128, a ReLU after each layer with weights.

    Shapes: ``(B, 1, 28, 28)`` to ``(B, 128)``.
    """

    def __init__(self) -> None:
        super().__init__()
        self.out_features = 128
        self.layers = nn.Sequential(
            nn.Conv2d(1, 32, 3),
            nn.ReLU(),
            nn.Conv2d(32, 64, 3),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Dropout2d(0.25),
            nn.Flatten(),
            nn.Linear(9216, 128),
            nn.ReLU(),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Give the features of each image."""
        return self.layers(images)


def last_weighted_layer(network: nn.Module) -> nn.Module:
    """Give the last layer of a network that has a weight matrix or kernel."""
    weights = [(layer, getattr(layer, "weight", None)) for layer in network.modules()]
    return [layer for layer, weight in weights if isinstance(weight, Tensor) and weight.ndim > 1][
        -1
    ]
