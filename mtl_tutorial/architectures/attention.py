"""Multi-task attention: every task has masks of its own over the features of one shared trunk."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _NormBase

from mtl_tutorial.architectures.encoders import VGGEncoder, conv_norm_relu, place_like
from mtl_tutorial.architectures.hard_sharing import linear_heads
from mtl_tutorial.tasks import Task, unique_names

Masks = Mapping[str, Sequence[Tensor | None]]


class MTAN(nn.Module):
    """A shared trunk, and for each task and block a mask that says which features count.

    In block j the trunk gives u_j after its first convolution and p_j after its second. Task i
    attends to p_j:

    - a_ij = σ(BN(1x1(ReLU(BN(1x1([u_j ; f_{j-1}(â_{i,j-1})])))))), in block 1 from u_1 alone;
    - â_ij = a_ij ⊙ p_j;
    - f_j = 2x2 max-pool(ReLU(BN(3x3(·)))), the same for all tasks;
    - ŷ_i = g_φi(flatten(f_J(â_iJ))), with a linear head g_φi.

    The trunk goes on with max-pool(p_j), whatever the masks. The 1x1 stacks and the heads belong
    to a task; the trunk and the weights of the f_j are shared. f_j keeps running statistics for
    each task: training is not changed by that, and evaluation uses those of the same task.

    Args:
        encoder: the trunk, with C_j channels in block j. It is used, not copied.
        tasks: one set of masks and one head of width ``task.out_features`` for each.

    Raises:
        ValueError: where there is no task, two have one name, the encoder is another one, or an
            image has another size than it was built for.

    Source: Liu, Johns & Davison 2019, section 3 (arXiv 1803.10704).
    """

    def __init__(self, encoder: VGGEncoder, tasks: Iterable[Task]) -> None:
        super().__init__()
        tasks = tuple(tasks)
        names = unique_names(tasks)
        if not isinstance(encoder, VGGEncoder):
            raise ValueError(
                f"the trunk must be a VGGEncoder, whose blocks the masks can look into, got "
                f"{type(encoder).__name__}; use MTAN(VGGEncoder(), tasks)"
            )
        if type(encoder).forward is not VGGEncoder.forward or (
            len(encoder.layers) != 7 * len(encoder.channels) + 1
        ):
            raise ValueError(
                f"the trunk must be the blocks of a VGGEncoder and nothing else, got "
                f"{type(encoder).__name__} with {len(encoder.layers)} layers for "
                f"{len(encoder.channels)} blocks or another forward, which would be left out"
            )
        self.encoder = encoder
        channels = encoder.channels
        self.attention = nn.ModuleDict(
            {
                name: nn.ModuleList(
                    mask_stack(c if j == 0 else 2 * c, c) for j, c in enumerate(channels)
                )
                for name in names
            }
        )
        self.extractors = nn.ModuleList(
            SharedExtractor(before, after, names)
            for before, after in zip(channels, (*channels[1:], channels[-1]), strict=True)
        )
        self.heads = linear_heads(encoder, tasks)
        place_like(self.attention, encoder)
        place_like(self.extractors, encoder)

    def forward(self, inputs: Tensor, masks: Masks | None = None) -> dict[str, Tensor]:
        """Give the prediction of each task, shape ``(B, task.out_features)``, by its name.

        Args:
            inputs: images, shape ``(B, 1, size, size)``.
            masks: used in place of a task's own, block by block; each broadcasts to the shape of
                its p_j. A task left out, or None for a block, keeps the network's own.

        Raises:
            ValueError: where masks are for an unknown task, are not one a block, or don't
                broadcast.
        """
        features, _ = self._attend(inputs, masks or {})
        return {name: head(features[name].flatten(1)) for name, head in self.heads.items()}

    def masks(self, inputs: Tensor) -> dict[str, list[Tensor]]:
        """Give each task's masks a_ij, one a block, ``(B, C_j, H_j, W_j)``, from 0 to 1.

        They are those of the mode that the network is in. A look changes nothing: in training mode
        the batch norms use the batch's statistics, and keep their running ones.
        """
        with _statistics_kept(self):
            return self._attend(inputs, {})[1]

    def _attend(
        self, inputs: Tensor, given: Masks
    ) -> tuple[dict[str, Tensor], dict[str, list[Tensor]]]:
        self._check(given)
        used: dict[str, list[Tensor]] = {name: [] for name in self.heads}
        passed: dict[str, Tensor] = {}
        for j, (u, p) in enumerate(self.encoder.stages(inputs)):
            for name, masks in used.items():
                mask = given[name][j] if name in given else None
                if mask is None:
                    seen = torch.cat([u, passed[name]], dim=1) if j else u
                    stacks: Any = self.attention[name]
                    mask = stacks[j](seen)
                elif not _broadcasts(mask.shape, p.shape):
                    raise ValueError(
                        f"the mask of task {name!r} for block {j} must broadcast to its features, "
                        f"of shape {tuple(p.shape)}, got {tuple(mask.shape)}"
                    )
                masks.append(mask)
                passed[name] = self.extractors[j](mask * p, name)
        return passed, used

    def _check(self, given: Masks) -> None:
        for name, masks in given.items():
            if name not in self.heads:
                raise ValueError(
                    f"masks are given for {name!r}, but the tasks are {list(self.heads)}"
                )
            if len(masks) != len(self.extractors):
                raise ValueError(
                    f"task {name!r} needs one mask a block, {len(self.extractors)} in all, "
                    f"got {len(masks)}; give None for a block that keeps its own"
                )

    def last_shared_layer(self) -> nn.Module:
        """The convolution of the last f_j; every task's features pass through it."""
        return self.extractors[-1].get_submodule("convolution")


class SharedExtractor(nn.Module):
    """f: 2x2 max-pool(ReLU(BN(3x3(x)))), with one set of weights for all tasks.

    Each task has batch statistics of its own; the scale and shift of BN are shared.

    Args:
        before: channels of x.
        after: channels of f(x).
        names: of the tasks.
    """

    def __init__(self, before: int, after: int, names: Sequence[str]) -> None:
        super().__init__()
        self.convolution = conv_norm_relu(before, after)[0]
        self.norms = nn.ModuleDict({name: nn.BatchNorm2d(after) for name in names})
        _tie(self)
        self.register_load_state_dict_post_hook(_tie)  # assign=True gives each norm its own

    def forward(self, x: Tensor, name: str) -> Tensor:
        """Give f(x) of task ``name``: ``(B, before, H, W)`` to ``(B, after, H/2, W/2)``."""
        return F.max_pool2d(F.relu(self.norms[name](self.convolution(x))), 2)


def _broadcasts(shape: Sequence[int], to: Sequence[int]) -> bool:
    """Whether a tensor of a shape can be used as one of another shape, which stays as it is."""
    pairs = zip(reversed(shape), reversed(to), strict=False)
    return len(shape) <= len(to) and all(own in (1, other) for own, other in pairs)


def _tie(extractor: SharedExtractor, *_keys: object) -> None:
    """Let all tasks have the scale and shift of the first one's norm."""
    first, *others = extractor.norms.values()
    for norm in others:
        norm.weight, norm.bias = first.weight, first.bias


@contextmanager
def _statistics_kept(network: nn.Module) -> Iterator[None]:
    """Inside, no batch norm of the network moves its running statistics."""
    norms = [norm for norm in network.modules() if isinstance(norm, _NormBase) and norm.training]
    tracked = [norm.track_running_stats for norm in norms]
    try:
        for norm in norms:
            norm.track_running_stats = False
        yield
    finally:
        for norm, tracks in zip(norms, tracked, strict=True):
            norm.track_running_stats = tracks


def mask_stack(before: int, after: int) -> nn.Sequential:
    """Two 1x1 convolutions with batch norm, a ReLU between, a sigmoid at the end."""
    first = conv_norm_relu(before, after, kernel=1)
    convolution, norm, _relu = conv_norm_relu(after, after, kernel=1)
    return nn.Sequential(*first, convolution, norm, nn.Sigmoid())
