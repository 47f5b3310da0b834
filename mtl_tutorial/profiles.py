"""Two sizes of every experiment: quick for a laptop and CI, full for a GPU."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable
from dataclasses import dataclass

import torch


def check_choice(what: str, value: str, choices: Iterable[str]) -> str:
    """Give ``value`` back where it is one of ``choices``.

    Raises:
        ValueError: naming the choices and, where there is one, the nearest.
    """
    choices = tuple(choices)
    if value in choices:
        return value
    plain = {choice.lower(): choice for choice in choices}
    near = difflib.get_close_matches(str(value).lower(), plain, n=1)
    hint = f"; did you mean {plain[near[0]]!r}?" if near else ""
    raise ValueError(f"{what} must be one of {', '.join(map(repr, choices))}, got {value!r}{hint}")


def resolve_device(device: str | torch.device) -> torch.device:
    """Turn a device's name into a device that is there.

    Raises:
        ValueError: for a name that torch does not know, a GPU that the machine does not have, or
            a device that holds no numbers.
    """
    try:
        resolved = torch.device(device)
    except RuntimeError:
        raise ValueError(
            f"device must be a name that torch knows, such as 'cpu' or 'cuda', got {device!r}"
        ) from None
    if resolved.type == "cuda" and (resolved.index or 0) >= torch.cuda.device_count():
        raise ValueError(
            f"device {str(device)!r} was asked for, but torch sees "
            f"{torch.cuda.device_count()} CUDA GPUs here; use device='cpu'"
        )
    try:
        torch.empty(0, device=resolved).cpu()  # on "meta" there is nothing to copy
    except (RuntimeError, AssertionError, ImportError):  # each backend has its own way to be absent
        raise ValueError(
            f"device {str(device)!r} was asked for, but torch can't use it here; use device='cpu'"
        ) from None
    return resolved


@dataclass(frozen=True)
class Profile:
    """The size of an experiment; the code is the same for every size.

    Args:
        name: ``"quick"`` or ``"full"``.
        digits: where the digits come from.
        steps: training steps of one run.
        batch_size: examples a step.
        seeds: one run for each.
        device: where tensors live.
    """

    name: str
    digits: str
    steps: int
    batch_size: int
    seeds: tuple[int, ...]
    device: torch.device

    def __str__(self) -> str:
        return (
            f"profile {self.name}: {self.digits} digits, {self.steps} steps of {self.batch_size} "
            f"scenes, {len(self.seeds)} seeds, on {self.device.type}"
        )


def load_profile(name: str | None = None, *, device: str | None = None) -> Profile:
    """Give the profile to run with.

    Quick also sets torch to one thread: networks this small gain nothing from more, are many
    times slower where threads wait for a busy core, and give the same numbers on any number of
    cores.

    Args:
        name: ``"quick"`` or ``"full"``; left out, the variable ``MTL_PROFILE``, else quick.
        device: left out, the CPU for quick; for full a GPU where there is one.

    Raises:
        ValueError: for an unknown profile or a device that is not there.
    """
    name = check_choice(
        "profile", name or os.environ.get("MTL_PROFILE") or "quick", ("quick", "full")
    )
    if name == "quick":
        torch.set_num_threads(1)
        return Profile("quick", "embedded", 400, 64, (0, 1, 2), resolve_device(device or "cpu"))
    best = "cuda" if torch.cuda.is_available() else "cpu"
    return Profile("full", "mnist", 10_000, 128, (0, 1, 2, 3, 4), resolve_device(device or best))
