"""Contrastive alignment: one space for two senses, where what belongs together lies together."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mtl_tutorial.architectures.encoders import (
    check_modalities,
    feature_count,
    features_of,
    module_dict,
    place_like,
)
from mtl_tutorial.profiles import check_choice
from mtl_tutorial.tasks import Task


class ContrastiveAlignment(nn.Module):
    """Two encoders whose embeddings can be compared.

    z_m = P_m f_m(x_m) / ‖P_m f_m(x_m)‖; logits = z_1 z_2ᵀ / τ, with log τ learned.

    Args:
        encoders: two, by modality; the first one's examples are the rows of the logits.
        features: length of the embeddings.
        temperature: τ at the start.

    Raises:
        ValueError: where there are not two encoders, one has no ``out_features`` or a name that
            torch can't hold, or the temperature is not above 0.

    Source: Radford et al. 2021, figure 3 (arXiv 2103.00020).
    """

    def __init__(
        self, encoders: Mapping[str, nn.Module], features: int = 32, temperature: float = 0.07
    ) -> None:
        super().__init__()
        self.encoders = module_dict("encoders", "modality", encoders)
        if len(encoders) != 2:
            raise ValueError(f"alignment needs two encoders, got {list(encoders)}")
        self.projections = nn.ModuleDict(
            {
                name: place_like(nn.Linear(feature_count(encoder), features, bias=False), encoder)
                for name, encoder in encoders.items()
            }
        )
        self.log_temperature = log_temperature(temperature, self.projections)

    def embed(self, name: str, inputs: Tensor) -> Tensor:
        """Give the embeddings of one sense's inputs, each of length 1, shape ``(B, features)``.

        Raises:
            ValueError: where there is no encoder for this sense.
        """
        check_choice("modality", name, self.encoders)
        return F.normalize(self.projections[name](features_of(self.encoders[name], inputs)), dim=1)

    def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Give the logits of every pair, shape ``(B, B)``.

        Raises:
            ValueError: where a modality is missing.
        """
        check_modalities(inputs, self.encoders, "a pair needs both")
        rows, columns = (self.embed(name, inputs[name]) for name in self.encoders)
        return rows @ columns.T / self.log_temperature.exp()


def log_temperature(temperature: float, others: nn.Module) -> nn.Parameter:
    """Give log τ, to be learned, on the device and in the number format of other parameters.

    Raises:
        ValueError: where τ is not finite and above 0.
    """
    if not 0 < temperature < math.inf:
        raise ValueError(f"temperature must be finite and above 0, got {temperature}")
    like = next(others.parameters())
    return nn.Parameter(like.new_tensor(math.log(temperature)))


def contrastive_loss(logits: Tensor, together: Tensor | None = None) -> Tensor:
    """Mean of two cross-entropies against the diagonal: each row finds its column, and back.

    Args:
        logits: shape ``(B, B)``; pair i is entry (i, i).
        together: 1 where the two of a pair belong together, 0 where they were only found together,
            shape ``(B,)``; left out, all do. The others are looked for by no row or column, and
            stay among what is chosen from. 0 where none belongs together.

    Raises:
        ValueError: for other shapes.

    Source: Radford et al. 2021, figure 3 (arXiv 2103.00020).
    """
    pairs = _columns(logits, together)
    count = (pairs >= 0).sum().clamp(min=1)
    rows, columns = (F.cross_entropy(x, pairs, reduction="sum") for x in (logits, logits.T))
    return (rows / count + columns / count) / 2


def recall_at_1(logits: Tensor, together: Tensor | None = None) -> Tensor:
    """Share of rows whose largest entry is their own pair's.

    Args:
        logits: shape ``(..., B, B)``: similarity of B queries with B candidates.
        together: as for `contrastive_loss`, with logits of shape ``(B, B)``; rows that have no
            partner do not count.

    Raises:
        ValueError: for other shapes.
    """
    if together is None:
        if logits.ndim < 2 or logits.shape[-2] != logits.shape[-1]:
            raise ValueError(f"logits must be square, one row a pair, got {tuple(logits.shape)}")
        pairs = torch.arange(logits.shape[-1], device=logits.device)
        return (logits.argmax(dim=-1) == pairs).float().mean()
    pairs = _columns(logits, together)
    return (logits.argmax(dim=-1) == pairs).sum() / (pairs >= 0).sum()


def _columns(logits: Tensor, together: Tensor | None) -> Tensor:
    """The column that belongs to each row; -100, torch's mark of no label, where none does."""
    if logits.ndim != 2 or logits.shape[0] != logits.shape[1]:
        raise ValueError(f"logits must be square, one row a pair, got {tuple(logits.shape)}")
    pairs = torch.arange(len(logits), device=logits.device)
    if together is None:
        return pairs
    if together.shape != pairs.shape:
        raise ValueError(
            f"together must have one number a pair, shape {tuple(pairs.shape)}, got "
            f"{tuple(together.shape)}"
        )
    return torch.where(together > 0, pairs, -100)


PAIRS = Task("pairs", contrastive_loss, recall_at_1, 1, kind="classification")
"""What `ContrastiveFusion` is trained on beside its tasks; the targets are ``together``."""
