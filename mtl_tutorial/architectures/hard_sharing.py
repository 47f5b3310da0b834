"""Hard parameter sharing: one encoder, one head a task."""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor, nn

from mtl_tutorial.architectures.encoders import feature_count, features_of, place_like
from mtl_tutorial.architectures.layered import last_layer
from mtl_tutorial.tasks import Task, unique_names


class HardSharing(nn.Module):
    """One encoder shared by all tasks, and a linear head for each.

    ŷ_i = g_φi(f_θ(x)), with f_θ the encoder and g_φi the head of task i.

    Args:
        encoder: gives features of shape ``(B, encoder.out_features)``.
        tasks: one head of width ``task.out_features`` for each.

    Raises:
        ValueError: where there is no task, two have one name, or the encoder has no
            ``out_features``.

    Source: Caruana 1997, Multitask Learning.
    """

    def __init__(self, encoder: nn.Module, tasks: Iterable[Task]) -> None:
        super().__init__()
        tasks = tuple(tasks)
        unique_names(tasks)
        self.encoder = encoder
        self.heads = linear_heads(encoder, tasks)

    def forward(self, inputs: Tensor) -> dict[str, Tensor]:
        """Give the prediction of each task, shape ``(B, task.out_features)``, by its name."""
        features = features_of(self.encoder, inputs)
        return {name: head(features) for name, head in self.heads.items()}

    def last_shared_layer(self) -> nn.Module:
        """The last layer of the encoder that has a weight matrix or kernel.

        Raises:
            ValueError: where there is none, or it is not certain which is the last.
        """
        return last_layer(self.encoder, "model.encoder")


def linear_heads(encoder: nn.Module, tasks: Iterable[Task]) -> nn.ModuleDict:
    """Give a linear layer for each task, from an encoder's features to ``task.out_features``.

    They are on the encoder's device, in its number format.

    Raises:
        ValueError: where the encoder has no ``out_features``.
    """
    features = feature_count(encoder)
    heads = nn.ModuleDict({task.name: nn.Linear(features, task.out_features) for task in tasks})
    return place_like(heads, encoder)
