"""Fusion: one network for several senses, and the ways in which it joins them."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mtl_tutorial.architectures.alignment import PAIRS, log_temperature
from mtl_tutorial.architectures.encoders import (
    at_least_one,
    check_modalities,
    feature_count,
    features_of,
    module_dict,
    place_like,
)
from mtl_tutorial.architectures.hard_sharing import linear_heads
from mtl_tutorial.architectures.layered import check_layers, last_layer, layers_of
from mtl_tutorial.architectures.named_state import EXTRA_STATE, names_in_state, told
from mtl_tutorial.tasks import Task, unique_names


class Concatenation(nn.Module):
    """Features side by side, through one layer: ReLU(W [h_1; …; h_M] + b).

    Args:
        modalities: M.
        features: D, the length of each h_m.
        out_features: length of the result; left out, D.

    Shapes: ``(B, M, D)`` to ``(B, out_features)``.

    Raises:
        ValueError: where a number is missing or below 1, or features have another shape.
    """

    def __init__(
        self, modalities: int, features: int | None = None, out_features: int | None = None
    ) -> None:
        super().__init__()
        if features is None:
            raise ValueError(
                f"Concatenation needs the number of senses and the length of a sense's features, "
                f"such as Concatenation({modalities}, 64), got Concatenation({modalities})"
            )
        self.modalities, self.in_features = modalities, features
        self.out_features = features if out_features is None else out_features
        at_least_one(modalities=modalities, features=features, out_features=self.out_features)
        self.layer = nn.Linear(modalities * features, self.out_features)

    def forward(self, h: Tensor) -> Tensor:
        """Join the features of all senses."""
        _check_features(h, self.modalities, self.in_features)
        return self.layer(h.flatten(1)).relu()


class CrossModalAttention(nn.Module):
    """Attention between senses that weighs the products of their features.

    fused = Σ_m Σ_n α_mn h_m ⊙ h_n, with the weights

    - as printed in the document that this course starts from: α_mn = softmax_n(h_mᵀ W h_n);
    - scaled: α_mn = softmax_n(h_mᵀ W h_n / D).

    h_mᵀ W h_n is a sum over D numbers of each sense, and h_m of a `FusionNetwork` has the length
    √D: the printed scores grow until α is 0 or 1, mostly the same ones whatever is seen.

    There are no queries, keys or values: what is weighed are elementwise products, a sense's with
    itself among them. W starts at zero, so that every product starts with the weight 1 / M.

    Args:
        features: D, the length of each h_m.
        scaled: divides the scores by D.

    Shapes: ``(B, M, D)`` to ``(B, D)``.

    Raises:
        ValueError: where the length is below 1, or features have another shape.
    """

    def __init__(self, features: int, *, scaled: bool = False) -> None:
        super().__init__()
        at_least_one(features=features)
        self.in_features = self.out_features = features
        self.scale = features if scaled else 1
        self.weight = nn.Parameter(torch.zeros(features, features))  # W

    def weights(self, h: Tensor) -> Tensor:
        """Give α, shape ``(B, M, M)``; each row sums to 1."""
        _check_features(h, None, self.in_features)
        return (h @ self.weight @ h.transpose(1, 2) / self.scale).softmax(dim=-1)

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
        self.modalities, self.tokens = modalities, tokens
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

    def forward(self, h: Tensor, alpha: Tensor | None = None) -> Tensor:
        """Join the features of all senses.

        ``alpha``, of the shape of `weights`, takes the place of the softmax in every head.
        """
        answers = torch.stack([answer.flatten(1) for answer, _ in self._ask(h, alpha)], dim=1)
        return self.join(h + answers)

    def _ask(self, h: Tensor, alpha: Tensor | None = None) -> list[tuple[Tensor, Tensor]]:
        _check_features(h, self.modalities, self.in_features)
        senses = [x.unflatten(1, (self.tokens, -1)) for x in h.unbind(1)]
        answers = []
        for m, (own, attention) in enumerate(zip(senses, self.attentions, strict=True)):
            others = torch.cat([x for n, x in enumerate(senses) if n != m], dim=1)
            if alpha is None:
                answers.append(attention(own, others, others))
            else:
                answers.append((_weigh(attention, others, alpha[:, m]), alpha[:, m]))
        return answers


def _weigh(attention: Any, others: Tensor, alpha: Tensor) -> Tensor:
    """Give α V W_O, with one α for all heads."""
    w_v, b_v = attention.in_proj_weight.chunk(3)[2], attention.in_proj_bias.chunk(3)[2]
    return attention.out_proj(alpha @ F.linear(others, w_v, b_v))


class FusionNetwork(nn.Module):
    """An encoder a sense, a fusion of what they give, and a linear head a task.

    h_m = LayerNorm(P_m f_m(x_m)), with P_m a linear layer: features have signs, and no sense is
    louder than another. ŷ_i = g_φi(fusion(h_1, …, h_M)). A lost sense is represented by a vector
    of its own, zero at the start, and learned where modality dropout makes use of it.

    A state knows its senses by name, in their order: loaded into a network with another order, it
    is refused.

    Args:
        encoders: by modality, in the order of fusion. Two may share their first layers, as
            `share_stem` lets them.
        fusion: ``(B, M, D)`` to ``(B, fusion.out_features)``, with D its ``in_features``.
        tasks: one head of width ``task.out_features`` for each.
        modality_dropout: in training mode, the probability that an example loses one of its
            senses, each as often as the others. It never loses its last one.

    Raises:
        ValueError: where there is no task, two have one name, an encoder has no ``out_features``
            or a name that torch can't hold, the fusion is for another number of senses or does not
            say which lengths it takes and gives, or the probability is out of range; dropout needs
            two senses.

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
        self.encoders = module_dict("encoders", "modality", encoders)
        if not 0 <= modality_dropout <= (len(encoders) > 1):
            raise ValueError(
                f"modality_dropout must be a probability from 0 to 1, and 0 with one sense, "
                f"got {modality_dropout} with {len(encoders)}"
            )
        if not hasattr(fusion, "in_features"):
            raise ValueError(
                f"{type(fusion).__name__} has no in_features, which says how long the features of "
                f"a sense are that it joins; set fusion.in_features"
            )
        if getattr(fusion, "modalities", len(encoders)) != len(encoders):
            raise ValueError(
                f"{type(fusion).__name__} joins {fusion.modalities} senses, but there are "
                f"{len(encoders)} encoders ({', '.join(encoders)}); build it for {len(encoders)}"
            )
        width: Any = fusion.in_features
        self.projections = nn.ModuleDict(
            {
                name: place_like(
                    nn.Sequential(nn.Linear(feature_count(encoder), width), nn.LayerNorm(width)),
                    encoder,
                )
                for name, encoder in encoders.items()
            }
        )
        self.fusion = fusion
        like = next(self.projections.parameters())
        self.absent = nn.Parameter(like.new_zeros(len(encoders), width))
        self.modality_dropout = modality_dropout
        self.heads = place_like(linear_heads(fusion, tasks), self.projections)

    def features(self, inputs: Mapping[str, Tensor | None]) -> Tensor:
        """Give h, shape ``(B, M, D)``, after modality dropout.

        Args:
            inputs: a tensor a modality, or None for a sense that is lost; modalities without an
                encoder are left alone.

        Raises:
            ValueError: where a modality is missing without a word, or all are lost.
        """
        return self._drop(self._embed(inputs), self._present(inputs))

    def _embed(self, inputs: Mapping[str, Tensor | None]) -> Tensor:
        check_modalities(inputs, self.encoders, "give None for a sense that is lost")
        h = {
            name: self.projections[name](features_of(encoder, inputs[name]))
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
        return torch.stack(rows, dim=1)

    def _present(self, inputs: Mapping[str, Tensor | None]) -> list[int]:
        return [m for m, name in enumerate(self.encoders) if inputs[name] is not None]

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
        """Give each task's prediction from fused features ``(B, fusion.out_features)``.

        Raises:
            ValueError: where the fusion gave another shape.
        """
        if fused.ndim != 2 or fused.shape[1] != self.fusion.out_features:
            raise ValueError(
                f"{type(self.fusion).__name__} must give features of shape "
                f"(B, {self.fusion.out_features}), got {tuple(fused.shape)}"
            )
        return {name: head(fused) for name, head in self.heads.items()}

    def forward(self, inputs: Mapping[str, Tensor | None]) -> dict[str, Tensor]:
        """Give the prediction of each task, shape ``(B, task.out_features)``, by its name."""
        return self.answers(self.fusion(self.features(inputs)))

    def last_shared_layer(self) -> nn.Module:
        """The last layer of the fusion that features pass through, else those before the fusion.

        The matrix of `CrossModalAttention` weighs features and does not transform them: there the
        linear layers of the projections are the last.

        Raises:
            ValueError: where another fusion has none, or it is not certain which is the last.
        """
        if isinstance(self.fusion, CrossModalAttention):
            return nn.ModuleList(p.get_submodule("0") for p in self.projections.values())
        if isinstance(self.fusion, CrossAttention):
            return self.fusion.join.layer
        return last_layer(self.fusion, "model.fusion")

    def get_extra_state(self) -> Tensor:
        """Give the modalities' names in their order, for `state_dict`."""
        return told(modalities=self.encoders)

    def set_extra_state(self, state: Tensor) -> None:
        """Do nothing: the order was checked before the numbers were loaded."""

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        if any(key.startswith((f"{prefix}fusion.", f"{prefix}absent")) for key in state_dict):
            own = list(self.encoders)
            saved = names_in_state(state_dict, prefix, "modalities", "projections.", own)
            if saved != own:
                raise ValueError(
                    f"the state is of a network that fuses {saved} in this order, this network "
                    f"has {own}; build the network with the encoders in the order of the state"
                )
            state_dict.setdefault(prefix + EXTRA_STATE, self.get_extra_state())
        super()._load_from_state_dict(state_dict, prefix, *rest)


class ContrastiveFusion(nn.Module):
    """A network of two senses whose tasks read the embeddings that a contrastive loss aligns.

    z_m = h_m / ‖h_m‖, with h_m what the network's fusion joins; logits = z_1 z_2ᵀ / τ, with log τ
    learned. The tasks are answered as the network answers them. The logits are one prediction
    more, under the name ``"pairs"``: with the task `PAIRS` among the others, their loss is one
    more loss, for any balancer to weigh.

    Modality dropout acts on what the fusion joins, not on the pairs. Where a sense is lost, there
    are no pairs.

    Args:
        network: of two senses; it is used, not copied.
        temperature: τ at the start.

    Raises:
        ValueError: where there are not two senses, a task is named ``"pairs"``, or the temperature
            is not above 0.

    Source: Radford et al. 2021, figure 3 (arXiv 2103.00020), for the contrastive loss.
    """

    def __init__(self, network: FusionNetwork, temperature: float = 0.07) -> None:
        super().__init__()
        if not isinstance(network, FusionNetwork):
            raise ValueError(
                f"network must be a FusionNetwork, whose senses are embedded one by one, got "
                f"{type(network).__name__}"
            )
        if len(network.encoders) != 2:
            raise ValueError(f"pairs are of two senses, got {list(network.encoders)}")
        if PAIRS.name in network.heads:
            raise ValueError(
                f"{PAIRS.name!r} is the name of what is compared, and of a task of the network "
                f"too; give that task another name"
            )
        self.network = network
        self.log_temperature = log_temperature(temperature, network.projections)

    def forward(self, inputs: Mapping[str, Tensor | None]) -> dict[str, Tensor]:
        """Give the prediction of each task, and under ``"pairs"`` the logits, shape ``(B, B)``."""
        network = self.network
        h, present = network._embed(inputs), network._present(inputs)
        outputs = network.answers(network.fusion(network._drop(h, present)))
        if len(present) == 2:
            rows, columns = F.normalize(h, dim=2).unbind(1)
            outputs[PAIRS.name] = rows @ columns.T / self.log_temperature.exp()
        return outputs

    def last_shared_layer(self) -> nn.Module:
        """The linear layers of the network's projections: all losses reach them."""
        return nn.ModuleList(p.get_submodule("0") for p in self.network.projections.values())


def share_stem(encoders: Mapping[str, nn.Module], layers: int) -> dict[str, nn.Module]:
    """Give copies of encoders that have one low-level network: the first one's first layers.

    f_m(x) = branch_m(stem(x)), with the stem the same module in every encoder: its parameters
    count once, and each sense trains them. Images and spectrograms are both pictures; convolutions
    take them at any size.

    Args:
        encoders: by modality; each is its ``layers``, a ``nn.Sequential``. They stay as they are.
        layers: how many layers the stem has; at least 1, and fewer than each encoder has.

    Raises:
        ValueError: where there is no encoder, one does more than its layers, or the stems would
            differ in their layers or shapes.
    """
    copies = copy.deepcopy(dict(module_dict("encoders", "modality", encoders)))
    for name, encoder in copies.items():
        check_layers(encoder, f"the encoder of modality {name!r}")
        if not 0 < layers < len(layers_of(encoder)):
            raise ValueError(
                f"layers of the stem must be from 1 to {len(layers_of(encoder)) - 1}, so that the "
                f"encoder of modality {name!r} keeps one of its own, got {layers}"
            )
    first, *others = copies
    stem = layers_of(copies[first])[:layers]
    for name in others:
        own = layers_of(copies[name])[:layers]
        if repr(own) != repr(stem):
            raise ValueError(
                f"a stem that two encoders share must be the same in both, but the first {layers} "
                f"layers of {first!r} are {' '.join(repr(stem).split())}, those of {name!r} "
                f"{' '.join(repr(own).split())}"
            )
        for i, layer in enumerate(stem):
            layers_of(copies[name])[i] = layer
    return copies


def _check_features(h: Tensor, modalities: int | None, features: int) -> None:
    if h.ndim != 3 or h.shape[1] != (modalities or h.shape[1]) or h.shape[2] != features:
        raise ValueError(
            f"the fusion joins features of shape (B, {modalities or 'M'}, {features}), one row a "
            f"sense, got {tuple(h.shape)}"
        )
