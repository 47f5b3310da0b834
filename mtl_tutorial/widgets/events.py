"""Where the events of widgets are handled: in the event loop of the cells, and nowhere else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


def in_cell_loop(handle: Callable[..., None]) -> Callable[..., None]:
    """Give a handler that acts in the event loop in which this function is called.

    JupyterLab may deliver clicks and moves to a thread of the kernel with a loop of its own (a
    subshell). There they would act in the middle of a training step.

    Args:
        handle: acts at once where the event comes in the loop, or where there is none; otherwise
            as soon as the loop is free, in the order of the events.
    """
    try:
        home = asyncio.get_running_loop()
    except RuntimeError:
        return handle

    def deliver(*args: object) -> None:
        try:
            here = asyncio.get_running_loop()
        except RuntimeError:
            here = None
        if here is home:
            handle(*args)
        else:
            home.call_soon_threadsafe(handle, *args)

    return deliver
