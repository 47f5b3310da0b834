"""What a method computes outside of torch, on the CPU, in the middle of a step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from torch import Tensor


class Handler(Protocol):
    """Calls a function of a tensor whose result is like another one; or notes the call."""

    def __call__(self, function: Callable[[Tensor], Tensor], given: Tensor, like: Tensor) -> Tensor:
        """Give the result, or where it will be written."""


def _call(function: Callable[[Tensor], Tensor], given: Tensor, like: Tensor) -> Tensor:
    return function(given).to(like)


_handlers: list[Handler] = [_call]


def on_host(function: Callable[[Tensor], Tensor], given: Tensor, like: Tensor) -> Tensor:
    """Call a function that no CUDA graph can hold, such as a solver on the CPU.

    Where a step is captured, its graph ends here, and another one begins after the call.

    Args:
        given: what it is called with.
        like: what its result is brought to: a tensor of its shape, type and device.
    """
    return _handlers[-1](function, given, like)


@contextmanager
def handled_by(handler: Handler) -> Iterator[None]:
    """Inside, another one deals with what `on_host` is to call."""
    _handlers.append(handler)
    try:
        yield
    finally:
        _handlers.pop()
