"""Contrastive alignment: one space for two senses, where what belongs together lies together."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mtl_tutorial.architectures.encoders import feature_count
from mtl_tutorial.profiles import check_choice


class ContrastiveAlignment(nn.Module):
    """Two encoders whose embeddings can be compared.

    z_m = P_m f_m(x_m) / ‖P_m f_m(x_m)‖; logits = z_1 z_2ᵀ / τ, with log τ learned.

    Args:
        encoders: two, by modality; the first one's examples are the rows of the logits.
        features: length of the embeddings.
        temperature: τ at the start.

    Raises:
        ValueError: where there are not two encoders, one has no ``out_features``, or the
            temperature is not above 0.

    Source: Radford et al. 2021, figure 3 (arXiv 2103.00020).
    """

    def __init__(
        self, encoders: Mapping[str, nn.Module], features: int = 32, temperature: float = 0.07
    ) -> None:
        super().__init__()
        if len(encoders) != 2:
            raise ValueError(f"alignment needs two encoders, got {list(encoders)}")
        if not 0 < temperature < math.inf:
            raise ValueError(f"temperature must be finite and above 0, got {temperature}")
        self.encoders = nn.ModuleDict(encoders)
        self.projections = nn.ModuleDict(
            {
                name: nn.Linear(feature_count(encoder), features, bias=False)
                for name, encoder in encoders.items()
            }
        )
        self.log_temperature = nn.Parameter(torch.tensor(math.log(temperature)))

    def embed(self, name: str, inputs: Tensor) -> Tensor:
        """Give the embeddings of one sense's inputs, each of length 1, shape ``(B, features)``.

        Raises:
            ValueError: where there is no encoder for this sense.
        """
        check_choice("modality", name, self.encoders)
        return F.normalize(self.projections[name](self.encoders[name](inputs)), dim=1)

    def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Give the logits of every pair, shape ``(B, B)``.

        Raises:
            ValueError: where a modality is missing.
        """
        for name in self.encoders:
            if name not in inputs:
                raise ValueError(
                    f"modality {name!r} is missing from the inputs, which have {sorted(inputs)}; "
                    f"a pair needs both"
                )
        rows, columns = (self.embed(name, inputs[name]) for name in self.encoders)
        return rows @ columns.T / self.log_temperature.exp()


def contrastive_loss(logits: Tensor) -> Tensor:
    """Mean of two cross-entropies against the diagonal: each row finds its column, and back.

    Args:
        logits: shape ``(B, B)``; pair i is entry (i, i).

    Source: Radford et al. 2021, figure 3 (arXiv 2103.00020).
    """
    if logits.ndim != 2 or logits.shape[0] != logits.shape[1]:
        raise ValueError(f"logits must be square, one row a pair, got {tuple(logits.shape)}")
    pairs = torch.arange(len(logits), device=logits.device)
    return (F.cross_entropy(logits, pairs) + F.cross_entropy(logits.T, pairs)) / 2


def recall_at_1(logits: Tensor) -> Tensor:
    """Share of rows whose largest entry is their own pair's.

    Args:
        logits: shape ``(..., B, B)``: similarity of B queries with B candidates.
    """
    pairs = torch.arange(logits.shape[-1], device=logits.device)
    return (logits.argmax(dim=-1) == pairs).float().mean()
