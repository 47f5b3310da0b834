"""States of networks in which numbers stand by position: whose numbers they are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

EXTRA_STATE = "_extra_state"  # torch's name for what `get_extra_state` gives


def names_state(names: Iterable[str]) -> Tensor:
    """Give names as a tensor of bytes, so that a state holds nothing but tensors."""
    return torch.tensor(list("\n".join(names).encode()), dtype=torch.uint8)


def names_in_state(
    state: Mapping[str, Any], prefix: str, what: str, part: str, names: Iterable[str]
) -> list[str]:
    """Give the names, in their order, of the network that a state was saved from.

    A state from before names were stored says their order by that of its keys. Keys may have been
    sorted since; so it is taken where they stand in the order of ``names``, and refused elsewhere.

    Args:
        prefix: of the network's keys.
        what: the names name, in the plural.
        part: of the network that has an entry by each name, and a dot.
        names: of the network that is to have the state.

    Raises:
        ValueError: where the names are others, or their order is not certain.
    """
    own, stored = list(names), state.get(prefix + EXTRA_STATE)
    keys = [key.removeprefix(prefix + part) for key in state if key.startswith(prefix + part)]
    saved = list(dict.fromkeys(key.partition(".")[0] for key in keys))
    if stored is not None:
        saved = bytes(stored.tolist()).decode().split("\n")
    if sorted(saved) != sorted(own):
        raise ValueError(
            f"the state is of a network with the {what} {saved}, this network has {own}; "
            f"build a network with those {what} to load it into"
        )
    if stored is None and saved != own:
        raise ValueError(
            f"the state has no {EXTRA_STATE!r} that says the order of its {what} (it was saved by "
            f"an older version, or that entry was taken out), and its keys have the order "
            f"{saved}, this network {own}; build the network with the {what} in the order in "
            f"which they were saved"
        )
    return saved
