"""States of networks in which numbers stand by position: whose numbers they are."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

EXTRA_STATE = "_extra_state"  # torch's name for what `get_extra_state` gives


def told(**facts: Iterable[str] | Sequence[int]) -> Tensor:
    """Give facts about a network as a tensor of bytes, so that a state holds tensors alone."""
    text = json.dumps({what: list(values) for what, values in facts.items()})
    return torch.tensor(list(text.encode()), dtype=torch.uint8)


def facts_in_state(state: Mapping[str, Any], prefix: str) -> dict[str, list]:
    """Give the facts that a state tells of the network it was saved from.

    Args:
        prefix: of the network's keys.
    """
    stored = state.get(prefix + EXTRA_STATE)
    return {} if stored is None else json.loads(bytes(stored.tolist()))


def names_in_state(
    state: Mapping[str, Any], prefix: str, what: str, part: str, names: Iterable[str]
) -> list[str]:
    """Give the names, in their order, of the network that a state was saved from.

    A state from before names were stored says their order by that of its keys. Keys may have been
    sorted since; so it is taken where they stand in the order of ``names``, and refused elsewhere.

    Args:
        prefix: of the network's keys.
        what: the names name, in the plural; the fact that holds them.
        part: of the network that has an entry by each name, and a dot.
        names: of the network that is to have the state.

    Raises:
        ValueError: where the names are others, or their order is not certain.
    """
    own, stored = list(names), facts_in_state(state, prefix).get(what)
    keys = [key.removeprefix(prefix + part) for key in state if key.startswith(prefix + part)]
    saved = stored or list(dict.fromkeys(key.partition(".")[0] for key in keys))
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
