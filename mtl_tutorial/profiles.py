"""Two sizes of every experiment: quick for a laptop and CI, full for a GPU."""

from __future__ import annotations

import difflib
import math
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch.optim.optimizer import register_optimizer_step_pre_hook

KNOBS = ("MTL_STEPS", "MTL_FIRST_SEED", "MTL_RATE")  # other sizes of a profile: see load_profile
Number = TypeVar("Number", int, float)


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

    Three variables try a lesson at another size: ``MTL_STEPS`` and ``MTL_RATE`` are factors, of
    the steps and of the learning rate of every optimizer; ``MTL_FIRST_SEED`` is where the seeds
    begin.

    Args:
        name: ``"quick"`` or ``"full"``; left out, the variable ``MTL_PROFILE``, else quick.
        device: left out, the CPU for quick; for full a GPU where there is one.

    Raises:
        ValueError: for an unknown profile, a device that is not there, or a variable that can't
            be used.
    """
    name = check_choice(
        "profile", name or os.environ.get("MTL_PROFILE") or "quick", ("quick", "full")
    )
    steps = _knob("MTL_STEPS", float, 1.0)
    first_seed = _knob("MTL_FIRST_SEED", int, 0)
    _scale_learning_rates(_knob("MTL_RATE", float, 1.0))
    if name == "quick":
        torch.set_num_threads(1)
        digits, own_steps, batch_size, seeds, best = "embedded", 400, 64, 3, "cpu"
    else:
        digits, own_steps, batch_size, seeds = "mnist", 10_000, 128, 5
        best = "cuda" if torch.cuda.is_available() else "cpu"
    return Profile(
        name,
        digits,
        max(1, round(own_steps * steps)),
        batch_size,
        tuple(range(first_seed, first_seed + seeds)),
        resolve_device(device or best),
    )


def _knob(name: str, kind: Callable[[str], Number], default: Number) -> Number:
    text = os.environ.get(name)
    if not text:
        return default
    try:
        value = kind(text)
        if (kind is int and value >= 0) or (kind is float and 0 < value < math.inf):
            return value
    except ValueError:
        pass
    rule = "a whole number, 0 or more" if kind is int else "a factor above 0, such as 2 or 0.5"
    raise ValueError(f"the variable {name} must be {rule}, got {text!r}; unset it for {default:g}")


_hook: Any = None


def _scale_learning_rates(factor: float) -> None:
    """Have every optimizer's first step multiply its rates, whoever made it."""
    global _hook
    if _hook is not None:
        _hook.remove()
        _hook = None
    if factor == 1:
        return

    def scale(optimizer: torch.optim.Optimizer, args: tuple, kwargs: dict) -> None:
        for group in optimizer.param_groups:
            if "scaled_by" not in group:
                group["scaled_by"] = factor
                group["lr"] = group["lr"] * factor

    _hook = register_optimizer_step_pre_hook(scale)
