"""Fusion: one network for several senses, and the ways in which it joins them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mtl_tutorial.architectures.encoders import at_least_one, feature_count
from mtl_tutorial.architectures.hard_sharing import linear_heads
from mtl_tutorial.architectures.layered import last_layer
from mtl_tutorial.profiles import check_choice
from mtl_tutorial.tasks import Task, unique_names


class Concatenation(nn.Module):
    """Features side by side, through one layer: ReLU(W [h_1; …; h_M] + b).

    Args:
        modalities: M.
        features: D, the length of each h_m.
        out_features: length of the result; left out, D.

    Shapes: ``(B, M, D)`` to ``(B, out_features)``.

    Raises:
        ValueError: where a number is below 1.
    """

    def __init__(self, modalities: int, features: int, out_features: int | None = None) -> None:
        super().__init__()
        self.in_features = features
        self.out_features = features if out_features is None else out_features
        at_least_one(modalities=modalities, features=features, out_features=self.out_features)
        self.layer = nn.Linear(modalities * features, self.out_features)

    def forward(self, h: Tensor) -> Tensor:
        """Join the features of all senses."""
        return self.layer(h.flatten(1)).relu()


class CrossModalAttention(nn.Module):
    """Attention between senses that weighs the products of their features.

    α_mn = softmax_n(h_mᵀ W h_n), fused = Σ_m Σ_n α_mn h_m ⊙ h_n. There are no queries, keys or
    values: what is weighed are elementwise products, a sense's with itself among them. W starts at
    zero, so that every product starts with the weight 1 / M.

    Args:
        features: D, the length of each h_m.

    Shapes: ``(B, M, D)`` to ``(B, D)``.
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        self.in_features = self.out_features = features
        self.weight = nn.Parameter(torch.zeros(features, features))  # W

    def weights(self, h: Tensor) -> Tensor:
        """Give α, shape ``(B, M, M)``; each row sums to 1."""
        return (h @ self.weight @ h.transpose(1, 2)).softmax(dim=-1)

    def forward(self, h: Tensor, alpha: Tensor | None = None) -> Tensor:
        """Join the features of all senses; ``alpha`` takes the place of the network's own."""
        alpha = self.weights(h) if alpha is None else alpha
        return (h * (alpha @ h)).sum(dim=1)  # Σ_m h_m ⊙ (Σ_n α_mn h_n)


class CrossAttention(nn.Module):
    """Query-key-value attention: the tokens of each sense ask those of all other senses.

    Each h_m is read as ``tokens`` rows of d = D / tokens numbers, X_m. With Q = X_m W_Q, and
    K = X W_K, V = X W_V of the other senses' tokens X, Z_m = X_m + softmax(Q Kᵀ / √d) V W_O; then
    fused = ReLU(W [Z_1; …; Z_M] + b). Each product with a W has a bias. With several heads, each
    has its own W_Q, W_K, W_V to d / heads numbers, √(d / heads) in place of √d, and its own rows
    of W_O.

    Args:
        modalities: M, two or more.
        features: D, the length of each h_m.
        tokens: divides D.
        heads: of each attention; divides d.
        out_features: length of the result; left out, D.

    Shapes: ``(B, M, D)`` to ``(B, out_features)``.

    Raises:
        ValueError: where there is one sense, tokens or heads do not divide what they share, or a
            length is below 1.

    Source: Vaswani et al. 2017, equation 1 (arXiv 1706.03762); between senses as in Tsai et al.
    2019 (arXiv 1906.00295).
    """

    def __init__(
        self,
        modalities: int,
        features: int,
        tokens: int = 4,
        heads: int = 1,
        out_features: int | None = None,
    ) -> None:
        super().__init__()
        if modalities < 2:
            raise ValueError(f"cross-attention needs two senses or more, got {modalities}")
        if tokens < 1 or features % tokens:
            raise ValueError(f"tokens must divide the {features} features, got {tokens}")
        if heads < 1 or (features // tokens) % heads:
            raise ValueError(
                f"heads must divide the {features // tokens} numbers of a token, got {heads}"
            )
        self.tokens = tokens
        self.attentions = nn.ModuleList(
            nn.MultiheadAttention(features // tokens, heads, batch_first=True)
            for _ in range(modalities)
        )
        self.join = Concatenation(modalities, features, out_features)
        self.in_features, self.out_features = features, self.join.out_features

    def weights(self, h: Tensor) -> Tensor:
        """Give each sense's attention to the others' tokens, the mean over heads.

        Shape ``(B, M, tokens, (M − 1) · tokens)``; the last axis sums to 1.
        """
        return torch.stack([weights for _answer, weights in self._ask(h)], dim=1)

    def forward(self, h: Tensor) -> Tensor:
        """Join the features of all senses."""
        answers = torch.stack([answer.flatten(1) for answer, _weights in self._ask(h)], dim=1)
        return self.join(h + answers)

    def _ask(self, h: Tensor) -> list[tuple[Tensor, Tensor]]:
        senses = [x.unflatten(1, (self.tokens, -1)) for x in h.unbind(1)]
        answers = []
        for m, (own, attention) in enumerate(zip(senses, self.attentions, strict=True)):
            others = torch.cat([x for n, x in enumerate(senses) if n != m], dim=1)
            answers.append(attention(own, others, others))
        return answers


class FusionNetwork(nn.Module):
    """An encoder a sense, a fusion of what they give, and a linear head a task.

    h_m = LayerNorm(P_m f_m(x_m)), with P_m a linear layer: features have signs, and no sense is
    louder than another. ŷ_i = g_φi(fusion(h_1, …, h_M)). A lost sense is represented by a vector
    of its own, zero at the start, and learned where modality dropout makes use of it.

    Args:
        encoders: by modality, in the order of fusion.
        fusion: ``(B, M, D)`` to ``(B, fusion.out_features)``, with D its ``in_features``.
        tasks: one head of width ``task.out_features`` for each.
        modality_dropout: in training mode, the probability that an example loses one of its
            senses, each as often as the others. It never loses its last one.

    Raises:
        ValueError: where there is no task, two have one name, an encoder has no ``out_features``,
            or the probability is out of range; dropout needs two senses.

    Source: modality dropout as in Neverova et al. 2014, ModDrop (arXiv 1501.00102).
    """

    def __init__(
        self,
        encoders: Mapping[str, nn.Module],
        fusion: nn.Module,
        tasks: Iterable[Task],
        modality_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        tasks = tuple(tasks)
        unique_names(tasks)
        if not 0 <= modality_dropout <= (len(encoders) > 1):
            raise ValueError(
                f"modality_dropout must be a probability from 0 to 1, and 0 with one sense, "
                f"got {modality_dropout} with {len(encoders)}"
            )
        self.encoders = nn.ModuleDict(encoders)
        self.projections = nn.ModuleDict(
            {
                name: nn.Sequential(
                    nn.Linear(feature_count(encoder), fusion.in_features),
                    nn.LayerNorm(fusion.in_features),
                )
                for name, encoder in encoders.items()
            }
        )
        self.fusion = fusion
        self.absent = nn.Parameter(torch.zeros(len(encoders), fusion.in_features))
        self.modality_dropout = modality_dropout
        self.heads = linear_heads(fusion, tasks)

    def features(self, inputs: Mapping[str, Tensor | None]) -> Tensor:
        """Give h, shape ``(B, M, D)``.

        Args:
            inputs: a tensor a modality, or None for a sense that is lost; modalities without an
                encoder are left alone.

        Raises:
            ValueError: where a modality is missing without a word, or all are lost.
        """
        for name in self.encoders:
            if name not in inputs:
                raise ValueError(
                    f"modality {name!r} is missing from the inputs, which have {sorted(inputs)}; "
                    f"give None for a sense that is lost"
                )
        h = {
            name: self.projections[name](encoder(inputs[name]))
            for name, encoder in self.encoders.items()
            if inputs[name] is not None
        }
        if not h:
            raise ValueError(f"one of {sorted(self.encoders)} must be there, got None for each")
        count = len(next(iter(h.values())))
        absent = dict(zip(self.encoders, self.absent, strict=True))
        if counts := {name: len(x) for name, x in h.items() if len(x) != count}:
            raise ValueError(
                f"every modality must have as many examples, got {count} of {next(iter(h))!r} and "
                f"{counts}"
            )
        rows = [h.get(name, absent[name].expand(count, -1)) for name in self.encoders]
        present = [m for m, name in enumerate(self.encoders) if name in h]
        return self._drop(torch.stack(rows, dim=1), present)

    def _drop(self, h: Tensor, present: Sequence[int] | None = None) -> Tensor:
        present = range(h.shape[1]) if present is None else present
        if not self.training or not self.modality_dropout or len(present) < 2:
            return h
        batch, modalities, _features = h.shape
        loses = torch.rand(batch, device=h.device) < self.modality_dropout
        choice = torch.randint(len(present), (batch,), device=h.device)
        which = torch.tensor(list(present), device=h.device)[choice]
        lost = F.one_hot(which, modalities).bool() & loses[:, None]
        return torch.where(lost[:, :, None], self.absent, h)

    def answers(self, fused: Tensor) -> dict[str, Tensor]:
        """Give each task's prediction from fused features ``(B, fusion.out_features)``."""
        return {name: head(fused) for name, head in self.heads.items()}

    def forward(self, inputs: Mapping[str, Tensor | None]) -> dict[str, Tensor]:
        """Give the prediction of each task, shape ``(B, task.out_features)``, by its name."""
        return self.answers(self.fusion(self.features(inputs)))

    def shared_parameters(self) -> list[nn.Parameter]:
        """The parameters that all tasks use: all but the heads'."""
        parts = (self.encoders, self.projections, self.fusion)
        return [*(p for part in parts for p in part.parameters()), self.absent]

    def task_parameters(self, name: str) -> list[nn.Parameter]:
        """The parameters that only task ``name`` uses: φ_i.

        Raises:
            ValueError: where there is no such task.
        """
        return list(self.heads[check_choice("task", name, self.heads)].parameters())

    def last_shared_layer(self) -> nn.Module:
        """The last layer of the fusion that features pass through, else those before the fusion.

        The matrix of `CrossModalAttention` weighs features and does not transform them: there the
        linear layers of the projections are the last.

        Raises:
            ValueError: where another fusion has none, or it is not certain which is the last.
        """
        if isinstance(self.fusion, CrossModalAttention):
            return nn.ModuleList(projection[0] for projection in self.projections.values())
        if isinstance(self.fusion, CrossAttention):
            return self.fusion.join.layer
        return last_layer(self.fusion, "model.fusion")
