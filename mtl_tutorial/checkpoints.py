"""The state of a training on disk: saved whole or not at all."""

from __future__ import annotations

import copy
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from mtl_tutorial.writing import write_whole


def save_checkpoint(path: str | Path, **parts: Any) -> None:
    """Save the state of each part; a file that is there is replaced whole or not at all.

    Args:
        path: the file; its folder is made where it is missing.
        parts: objects with a ``state_dict()``, such as ``model=…, optimizer=…, balancer=…``.

    Raises:
        ValueError: where a part has no state.
        OSError: where the folder can't be written.
    """
    _check_parts(parts, "state_dict")
    content = io.BytesIO()  # torch.save to a file hides the reason why it can't be written
    torch.save({name: part.state_dict() for name, part in parts.items()}, content)
    try:
        write_whole(path, content.getbuffer())
    except OSError as error:
        raise OSError(
            f"checkpoint folder {Path(path).parent} can't be written ({error.strerror}); "
            f"the run goes on in memory, save it to another folder"
        ) from error


def load_checkpoint(path: str | Path, **parts: Any) -> None:
    """Give each part the state that `save_checkpoint` saved under its name.

    Raises:
        ValueError: where the file is damaged, or holds no state that fits a part, or one has none;
            every part keeps the state that it had.
        OSError: where the file can't be opened.
    """
    _check_parts(parts, "load_state_dict")
    content = Path(path).read_bytes()
    try:
        states = torch.load(io.BytesIO(content), weights_only=True, map_location="cpu")
    except Exception as error:  # torch raises many kinds for a damaged file, with long advice
        what = "is damaged, or was never a checkpoint" if content else "is empty"
        raise ValueError(f"checkpoint {path} can't be read: it {what}; train again") from error
    if not isinstance(states, dict):
        raise ValueError(
            f"checkpoint {path} holds a {type(states).__name__} in place of states by name; it is "
            f"no file of save_checkpoint"
        )
    for name in parts:
        if name not in states:
            raise ValueError(
                f"checkpoint {path} has no state for {name!r}, only for {sorted(states)}"
            )
    before = {name: copy.deepcopy(part.state_dict()) for name, part in parts.items()}
    for name, part in parts.items():
        try:
            if isinstance(part, torch.optim.Optimizer):
                _check_kind(part, states[name])
            part.load_state_dict(states[name])
        except Exception as error:  # torch raises many kinds for a state that does not fit
            for loaded, state in before.items():
                parts[loaded].load_state_dict(state)
            reason = " ".join(str(error).split())
            raise ValueError(f"checkpoint {path} does not fit {name!r}: {reason}") from error


def _check_parts(parts: Mapping[str, Any], method: str) -> None:
    for name, part in parts.items():
        if not hasattr(part, method):
            raise ValueError(
                f"part {name!r} of a checkpoint must have a {method}(), got a "
                f"{type(part).__name__}; keep a number in a buffer of the model"
            )


def _check_kind(optimizer: torch.optim.Optimizer, state: Mapping[str, Any]) -> None:
    """Check what torch finds out in the next step only: whose state it is.

    Raises:
        ValueError: where the state lacks a setting of this optimizer.
    """
    for group in state["param_groups"]:
        if missing := optimizer.defaults.keys() - group.keys():
            raise ValueError(
                f"it is the state of another optimizer than {type(optimizer).__name__}, without "
                f"{min(missing)!r}; make the optimizer that was saved"
            )
