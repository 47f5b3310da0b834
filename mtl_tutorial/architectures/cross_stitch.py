"""Cross-stitch networks: one encoder a task, and units that learn how much to share."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mtl_tutorial.architectures.encoders import check_images, feature_count, place_like
from mtl_tutorial.architectures.hard_sharing import HardSharing, linear_heads
from mtl_tutorial.architectures.layered import (
    check_layers,
    difference,
    example_inputs,
    last_layer,
    layers_of,
)
from mtl_tutorial.architectures.named_state import EXTRA_STATE, facts_in_state, names_in_state, told
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

    A state knows its tasks by name: loaded into a network with the same tasks in another order,
    every α_ij is put where its tasks are. One with units after other layers is refused.

    Args:
        encoders: one for each task, alike in their layers; each has ``layers``, a
            ``nn.Sequential`` that is all of its forward, and ``out_features``; some have the
            ``size`` of their images. They are used, not copied.
        tasks: at least two.
        mixing: ``"scalar"``, ``"channel"`` or ``"matrix"``.
        after: numbers of the layers that a unit follows; ``"last"`` for one unit after whole
            encoders, ŷ_i = g_φi(Σ_j α_ij f_θj(x)); left out, every ReLU.
        keep: as for `CrossStitchUnit`.
        example: inputs by which an encoder is compared with its layers; left out, some that its
            first layer takes, where that can be told.

    Raises:
        ValueError: where encoders and tasks differ in number, encoders differ in shape, number
            format or device, one does more than its layers, or a unit is wanted where there is no
            layer or none with channels before it.

    Source: Misra et al. 2016 (arXiv 1604.03539).
    """

    def __init__(
        self,
        encoders: Iterable[nn.Module],
        tasks: Iterable[Task],
        *,
        mixing: str = "scalar",
        after: Sequence[int] | str | None = None,
        keep: float = 0.9,
        example: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.units: nn.ModuleList
        encoders, tasks = tuple(encoders), tuple(tasks)
        names = unique_names(tasks, least=2)
        _check_alike(encoders, names, example)
        self.after = _places(layers_of(encoders[0]), after)
        self.encoders = nn.ModuleDict(dict(zip(names, encoders, strict=True)))
        units = nn.ModuleList(
            CrossStitchUnit(len(tasks), _channels(encoders[0], i), mixing, keep) for i in self.after
        )
        self.units = place_like(units, encoders[0])
        self.heads = linear_heads(encoders[0], tasks)

    @classmethod
    def from_networks(
        cls, networks: Iterable[HardSharing], tasks: Iterable[Task], **options: Any
    ) -> CrossStitch:
        """Start from networks that were trained on one task each; they are copied.

        The copied parts are run beside each network, in evaluation and in training mode: without
        units they must answer as it does.

        Args:
            networks: for each task, one that has this task's head.
            tasks: as for the class, like ``options``.

        Raises:
            ValueError: as for the class, and where a network has no head for its task, does more
                than its encoder's layers and that head, or can't be compared without ``example``.
        """
        networks, tasks = tuple(networks), tuple(tasks)
        names = unique_names(tasks, least=2)
        if len(networks) != len(names):
            raise ValueError(
                f"one network for each task is needed: {len(names)} tasks ({', '.join(names)}), "
                f"but {len(networks)} networks"
            )
        for name, network in zip(names, networks, strict=True):
            heads = getattr(network, "heads", None)
            if not isinstance(heads, nn.ModuleDict) or not hasattr(network, "encoder"):
                raise ValueError(
                    f"the network for task {name!r} ({type(network).__name__}) must have an "
                    f"encoder and heads by task name, as HardSharing has"
                )
            if name not in heads:
                raise ValueError(
                    f"the network for task {name!r} has heads for {list(heads)}; "
                    f"give the networks in the order of the tasks"
                )
        model = cls([copy.deepcopy(network.encoder) for network in networks], tasks, **options)
        for name, network in zip(names, networks, strict=True):
            model.heads[name] = copy.deepcopy(network.heads[name])
            alone = nn.Sequential(*layers_of(model.encoders[name]), model.heads[name])
            _check_same(network, name, alone, options.get("example"))
        return model.train(networks[0].training)

    def forward(self, inputs: Tensor) -> dict[str, Tensor]:
        """Give the prediction of each task, shape ``(B, task.out_features)``, by its name."""
        features = self.features(inputs)[-1]
        return {name: head(features[name]) for name, head in self.heads.items()}

    def features(self, inputs: Tensor) -> list[dict[str, Tensor]]:
        """Give every task's features by its name: after each unit, and last those its head sees.

        Raises:
            ValueError: where an image has another shape than the encoders say, by their ``size``,
                or the encoders give features of different shapes.
        """
        size = getattr(next(iter(self.encoders.values())), "size", None)
        if size is not None:
            check_images(inputs, size)
        streams, stages, start = {name: inputs for name in self.encoders}, [], 0
        for stop, unit in zip(self.after, self.units, strict=True):
            streams = self._run(streams, start, stop + 1)
            shapes = {name: tuple(x.shape) for name, x in streams.items()}
            if len(set(shapes.values())) > 1:
                raise ValueError(
                    f"encoders must give features of one shape so that they can be mixed, "
                    f"but after layer {stop} they have {shapes}"
                )
            streams = dict(zip(streams, unit(torch.stack([*streams.values()])), strict=True))
            stages.append(streams)
            start = stop + 1
        return [*stages, self._run(streams, start, None)]

    def _run(self, streams: dict[str, Tensor], start: int, stop: int | None) -> dict[str, Tensor]:
        for name, x in streams.items():
            for layer in list(layers_of(self.encoders[name]))[start:stop]:
                x = layer(x)
            streams = streams | {name: x}
        return streams

    def get_extra_state(self) -> Tensor:
        """Give the tasks' names in their order, and where units stand, for `state_dict`."""
        return told(tasks=self.heads, after=self.after)

    def set_extra_state(self, state: Tensor) -> None:
        """Do nothing: what they say was done before the numbers were loaded."""

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        alphas = [key for key in state_dict if key.startswith(f"{prefix}units.")]
        if alphas:
            names = list(self.heads)
            saved = names_in_state(state_dict, prefix, "tasks", "heads.", names)
            after = facts_in_state(state_dict, prefix).get("after", list(self.after))
            if after != list(self.after):
                raise ValueError(
                    f"the state has units after the layers {after}, this network after "
                    f"{list(self.after)}; build the network with after={after}"
                )
            order = [saved.index(name) for name in names]
            for key in alphas:
                if saved != names and state_dict[key].ndim >= 2:
                    state_dict[key] = state_dict[key][order][:, order]
            state_dict.setdefault(prefix + EXTRA_STATE, self.get_extra_state())
        super()._load_from_state_dict(state_dict, prefix, *rest)

    def last_shared_layer(self) -> nn.Module:
        """The last layer with a weight matrix or kernel before the last unit, of every encoder.

        Raises:
            ValueError: where there is none, or it is not certain which is the last.
        """
        return nn.ModuleList(
            last_layer(layers, f"model.encoders[{name!r}].layers")
            for name, layers in zip(self.encoders, self._shared_layers(), strict=True)
        )

    def _shared_layers(self) -> list[nn.Sequential]:
        stop = self.after[-1] + 1
        return [nn.Sequential(*list(layers_of(e))[:stop]) for e in self.encoders.values()]

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


def _check_alike(
    encoders: Sequence[nn.Module], names: Sequence[str], example: Tensor | None
) -> None:
    if len(encoders) != len(names):
        raise ValueError(
            f"one encoder for each task is needed: {len(names)} tasks ({', '.join(names)}), "
            f"but {len(encoders)} encoders"
        )
    if len({id(encoder) for encoder in encoders}) < len(encoders):
        raise ValueError("every task needs an encoder of its own, but one was given twice")
    for name, encoder in zip(names, encoders, strict=True):
        check_layers(encoder, f"the encoder of task {name!r}", example)
    layers = [list(map(type, layers_of(encoder))) for encoder in encoders]
    shapes = [[tuple(p.shape) for p in encoder.parameters()] for encoder in encoders]
    places = [{f"{p.dtype} on {p.device}" for p in encoder.parameters()} for encoder in encoders]
    for name, own, sizes, place in zip(names, layers, shapes, places, strict=True):
        if own != layers[0] or sizes != shapes[0]:
            raise ValueError(
                f"encoders must be alike so that their features can be mixed, but those of "
                f"{names[0]!r} and {name!r} differ: parameters of shapes {shapes[0]} and {sizes}"
            )
        if place != places[0]:
            raise ValueError(
                f"encoders must be alike so that their features can be mixed, but those of "
                f"{names[0]!r} and {name!r} differ: parameters in {', '.join(sorted(places[0]))} "
                f"and {', '.join(sorted(place))}; move both to one device and number format"
            )


def _check_same(network: Any, task: str, alone: nn.Module, example: Tensor | None) -> None:
    example = example_inputs(network.encoder) if example is None else example
    if example is None:
        raise ValueError(
            f"the network for task {task!r} can't be compared with its copy, since its layers do "
            f"not tell which inputs they take; hand in some, example=..."
        )
    by = difference(_Answer(network, task), alone, example)
    if by is not None:
        raise ValueError(
            f"the network for task {task!r} ({type(network).__name__}) does more than the layers "
            f"of its encoder and its head, which would be dropped: {by}; start from HardSharing "
            f"networks whose encoder's forward is its layers one after the other"
        )


class _Answer(nn.Module):
    """What a network answers for one task."""

    def __init__(self, network: nn.Module, task: str) -> None:
        super().__init__()
        self.network, self.task = network, task

    def forward(self, inputs: Tensor) -> Tensor:
        return self.network(inputs)[self.task]


def _places(layers: nn.Sequential, after: Sequence[int] | str | None) -> tuple[int, ...]:
    """The numbers of the layers that a unit follows, each once, in their order."""
    last = len(layers) - 1
    if after is None:
        after = [i for i, layer in enumerate(layers) if isinstance(layer, nn.ReLU)]
        if not after:
            raise ValueError(
                f"no layer is a ReLU, which units follow where nothing is said; say after which "
                f"layers they stand, after=[...] with numbers from 0 to {last}, or after='last'"
            )
    wanted: list[Any] = [*after] if not isinstance(after, str | int) else [after]
    wanted = [last] if after == "last" else wanted
    if not wanted or not all(isinstance(i, int) and 0 <= i <= last for i in wanted):
        raise ValueError(
            f"after must name at least one layer, from 0 to {last}, or be 'last', got {after!r}"
        )
    return tuple(sorted(set(wanted)))


def _channels(encoder: nn.Module, after: int) -> int:
    """How many channels the features have after a layer."""
    layers = layers_of(encoder)
    if after == len(layers) - 1:
        return feature_count(encoder)
    for part in reversed(list(layers[: after + 1].modules())):
        if isinstance(part, nn.Flatten):
            break
        for size in ("out_channels", "out_features"):
            if hasattr(part, size):
                return getattr(part, size)
    raise ValueError(
        f"a unit can't stand after layer {after}: there is no layer with weights before it, or "
        f"its features are flattened in between; choose a layer after a convolution or linear "
        f"layer, or the last one, after='last'"
    )
