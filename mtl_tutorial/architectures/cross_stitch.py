"""Cross-stitch networks: one encoder a task, and units that learn how much to share."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mtl_tutorial.architectures.encoders import check_images, last_weighted_layer
from mtl_tutorial.architectures.hard_sharing import HardSharing, linear_heads
from mtl_tutorial.profiles import check_choice
from mtl_tutorial.tasks import Task, unique_names

MIXINGS = {  # the indices of α, and those of the features that it takes and gives
    "scalar": "ij,jb...->ib...",
    "channel": "ijc,jbc...->ibc...",
    "matrix": "ijcd,jbd...->ibc...",
}


class CrossStitchUnit(nn.Module):
    """Mixes the features of T encoders: x̃_i = Σ_j α_ij x_j, at every place of a feature map.

    What α_ij is depends on ``mixing``:

    - ``"scalar"``: a number, α has shape ``(T, T)``; the published equation.
    - ``"channel"``: a number for each channel, ``(T, T, C)``: x̃_i[c] = Σ_j α_ij[c] x_j[c];
      the published networks have this one.
    - ``"matrix"``: a matrix over channels, ``(T, T, C, C)``: x̃_i[c] = Σ_j Σ_d α_ij[c, d] x_j[d].

    Args:
        tasks: T, at least 2.
        channels: C, at least 1.
        mixing: one of the three.
        keep: what a task takes of its own features at the start, 0 to 1; the rest comes from the
            others in equal parts. ``1`` gives independent networks.

    Raises:
        ValueError: for an unknown mixing, fewer than 2 tasks, no channel, or ``keep`` out of range.

    Source: Misra et al. 2016, equation 1, the scalar form, and section 5, a unit a channel
    (arXiv 1604.03539).
    """

    def __init__(
        self, tasks: int, channels: int, mixing: str = "scalar", keep: float = 0.9
    ) -> None:
        super().__init__()
        self.mixing = check_choice("mixing", mixing, MIXINGS)
        if tasks < 2:
            raise ValueError(f"a cross-stitch unit mixes at least 2 tasks, got {tasks}")
        if channels < 1:
            raise ValueError(f"a cross-stitch unit needs at least 1 channel, got {channels}")
        if not 0 <= keep <= 1:
            raise ValueError(f"keep must be from 0 to 1, got {keep}")
        self.channels = channels
        over_channels = {"scalar": (), "channel": (channels,), "matrix": (channels, channels)}
        self.alpha = nn.Parameter(torch.empty(tasks, tasks, *over_channels[mixing]))
        self.set_alpha(torch.full((tasks, tasks), (1 - keep) / (tasks - 1)).fill_diagonal_(keep))

    @torch.no_grad()
    def set_alpha(self, alpha: Tensor) -> None:
        """Set every α_ij, in place.

        Args:
            alpha: of α's own shape; or of shape ``(T, T)``, and then every channel gets the same
                number (with ``"matrix"``: that number times the identity).

        Raises:
            ValueError: for another shape, or a number that is NaN or infinite.
        """
        own, numbers = tuple(self.alpha.shape), tuple(self.alpha.shape[:2])
        alpha = torch.as_tensor(alpha, dtype=self.alpha.dtype, device=self.alpha.device)
        if tuple(alpha.shape) not in (own, numbers):
            either = f"{own}" if own == numbers else f"{own} or {numbers}"
            raise ValueError(
                f"α of this unit ({self.mixing} mixing) must have shape {either}, "
                f"got {tuple(alpha.shape)}"
            )
        if not alpha.isfinite().all():
            raise ValueError(f"every α of a unit must be finite, got {alpha.tolist()}")
        if alpha.ndim < len(own):
            alpha = alpha.reshape(*numbers, *[1] * (len(own) - 2))
            if self.mixing == "matrix":
                alpha = alpha * torch.eye(self.channels, device=alpha.device)
        self.alpha.copy_(alpha.expand(own))

    def forward(self, features: Tensor) -> Tensor:
        """Mix; features of shape ``(T, B, C, ...)``, one task after the other, keep their shape.

        Raises:
            ValueError: where they are not those of T tasks with C channels.
        """
        tasks = len(self.alpha)
        if features.ndim < 3 or (len(features), features.shape[2]) != (tasks, self.channels):
            raise ValueError(
                f"a unit for {tasks} tasks and {self.channels} channels needs features of shape "
                f"({tasks}, B, {self.channels}, ...), got {tuple(features.shape)}"
            )
        mixed = torch.einsum(MIXINGS[self.mixing], self.alpha, features)
        return mixed.contiguous()  # in another order in memory, later layers round differently


class CrossStitch(nn.Module):
    """One encoder a task, mixed by a cross-stitch unit after each chosen block.

    After block l: x̃_i = Σ_j α_ij x_j, see `CrossStitchUnit`; task i's next block sees x̃_i, and
    its head the last of them: ŷ_i = g_φi(x̃_i).

    Args:
        encoders: one for each task, alike in their layers; each has ``layers``, a
            ``nn.Sequential``, and ``out_features``; some have the ``size`` of their images. They
            are used, not copied.
        tasks: at least two.
        mixing: ``"scalar"``, ``"channel"`` or ``"matrix"``.
        after: numbers of the layers that a unit follows; left out, every ReLU.
        keep: as for `CrossStitchUnit`.

    Raises:
        ValueError: where encoders and tasks differ in number, encoders differ in shape, or a unit
            is wanted where there is no layer or none with channels before it.

    Source: Misra et al. 2016 (arXiv 1604.03539).
    """

    def __init__(
        self,
        encoders: Iterable[nn.Module],
        tasks: Iterable[Task],
        *,
        mixing: str = "scalar",
        after: Sequence[int] | None = None,
        keep: float = 0.9,
    ) -> None:
        super().__init__()
        encoders, tasks = tuple(encoders), tuple(tasks)
        names = unique_names(tasks, least=2)
        _check_alike(encoders, names)
        layers = encoders[0].layers
        if after is None:
            after = [i for i, layer in enumerate(layers) if isinstance(layer, nn.ReLU)]
        self.after = tuple(sorted(set(after)))
        if not self.after or not 0 <= self.after[0] <= self.after[-1] < len(layers):
            raise ValueError(
                f"after must name at least one layer, from 0 to {len(layers) - 1}, "
                f"got {list(after)}"
            )
        self.encoders = nn.ModuleDict(dict(zip(names, encoders, strict=True)))
        self.units = nn.ModuleList(
            CrossStitchUnit(len(tasks), _channels(layers, i), mixing, keep) for i in self.after
        )
        self.heads = linear_heads(encoders[0], tasks)

    @classmethod
    def from_networks(
        cls, networks: Iterable[HardSharing], tasks: Iterable[Task], **options: Any
    ) -> CrossStitch:
        """Start from networks that were trained on one task each; they are copied.

        Args:
            networks: for each task, one that has this task's head.
            tasks: as for the class, like ``options``.

        Raises:
            ValueError: as for the class, and where a network has no head for its task.
        """
        networks, tasks = tuple(networks), tuple(tasks)
        model = cls([copy.deepcopy(network.encoder) for network in networks], tasks, **options)
        for task, network in zip(tasks, networks, strict=True):
            if task.name not in network.heads:
                raise ValueError(
                    f"the network for task {task.name!r} has heads for {list(network.heads)}; "
                    f"give the networks in the order of the tasks"
                )
            model.heads[task.name].load_state_dict(network.heads[task.name].state_dict())
        return model.to(next(networks[0].parameters()).device)

    def forward(self, inputs: Tensor) -> dict[str, Tensor]:
        """Give the prediction of each task, shape ``(B, task.out_features)``, by its name."""
        features = self.features(inputs)[-1]
        return {name: head(features[name]) for name, head in self.heads.items()}

    def features(self, inputs: Tensor) -> list[dict[str, Tensor]]:
        """Give every task's features by its name: after each unit, and last those its head sees.

        Raises:
            ValueError: where an image has another shape than the encoders say, by their ``size``.
        """
        size = getattr(next(iter(self.encoders.values())), "size", None)
        if size is not None:
            check_images(inputs, size)
        streams, stages, start = {name: inputs for name in self.encoders}, [], 0
        for stop, unit in zip(self.after, self.units, strict=True):
            streams = self._run(streams, start, stop + 1)
            streams = dict(zip(streams, unit(torch.stack([*streams.values()])), strict=True))
            stages.append(streams)
            start = stop + 1
        return [*stages, self._run(streams, start, None)]

    def _run(self, streams: dict[str, Tensor], start: int, stop: int | None) -> dict[str, Tensor]:
        return {name: self.encoders[name].layers[start:stop](x) for name, x in streams.items()}

    def shared_parameters(self) -> list[nn.Parameter]:
        """All units, and all encoders up to the last unit; in the last, row i serves task i."""
        return [p for part in (*self._shared_layers(), self.units) for p in part.parameters()]

    def task_parameters(self, name: str) -> list[nn.Parameter]:
        """The parameters that only task ``name`` uses: its layers after the last unit, its head.

        Raises:
            ValueError: where there is no such task.
        """
        check_choice("task", name, self.heads)
        own = self.encoders[name].layers[self.after[-1] + 1 :]
        return [*own.parameters(), *self.heads[name].parameters()]

    def last_shared_layer(self) -> nn.Module:
        """The last layer with a weight matrix or kernel before the last unit, of every encoder."""
        return nn.ModuleList(map(last_weighted_layer, self._shared_layers()))

    def _shared_layers(self) -> list[nn.Sequential]:
        return [encoder.layers[: self.after[-1] + 1] for encoder in self.encoders.values()]

    def parameter_groups(self, learning_rate: float, unit_factor: float) -> list[dict[str, Any]]:
        """Two groups for an optimizer: the networks, and the units at a rate of their own.

        Args:
            learning_rate: of the encoders and heads.
            unit_factor: the units learn at ``unit_factor * learning_rate``; 0 freezes them.
        """
        networks = [*self.encoders.parameters(), *self.heads.parameters()]
        return [
            {"params": networks, "lr": learning_rate},
            {"params": list(self.units.parameters()), "lr": unit_factor * learning_rate},
        ]


def _check_alike(encoders: Sequence[nn.Module], names: Sequence[str]) -> None:
    if len(encoders) != len(names):
        raise ValueError(
            f"one encoder for each task is needed: {len(names)} tasks ({', '.join(names)}), "
            f"but {len(encoders)} encoders"
        )
    if len({id(encoder) for encoder in encoders}) < len(encoders):
        raise ValueError("every task needs an encoder of its own, but one was given twice")
    layers = [list(map(type, encoder.layers)) for encoder in encoders]
    shapes = [[tuple(p.shape) for p in encoder.parameters()] for encoder in encoders]
    for name, own, sizes in zip(names, layers, shapes, strict=True):
        if own != layers[0] or sizes != shapes[0]:
            raise ValueError(
                f"encoders must be alike so that their features can be mixed, but those of "
                f"{names[0]!r} and {name!r} differ: parameters of shapes {shapes[0]} and {sizes}"
            )


def _channels(layers: nn.Sequential, after: int) -> int:
    """How many channels the features have after a layer."""
    for part in reversed(list(layers[: after + 1].modules())):
        if isinstance(part, nn.Flatten):
            break
        for size in ("out_channels", "out_features"):
            if hasattr(part, size):
                return getattr(part, size)
    raise ValueError(
        f"a unit can't stand after layer {after}: there is no layer with weights before it, or "
        f"its features are flattened in between; choose a layer after a convolution or linear layer"
    )
