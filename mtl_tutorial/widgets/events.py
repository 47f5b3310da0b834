"""Where the events of widgets are handled: in the event loop of the cells, and nowhere else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

import ipywidgets


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


def redraw_on_moves(
    controls: Iterable[ipywidgets.ValueWidget], redraw: Callable[[], None], undo: ipywidgets.Button
) -> None:
    """Let controls redraw a picture when one of them moves, and a button put all of them back.

    The button draws once, when every control is back; no picture shows some back and some not.

    Args:
        controls: stand where the button will put them.
        redraw: reads the controls and draws.
        undo: the button.
    """
    start = [(control, control.value) for control in controls]
    undoing = False

    def move(_: object) -> None:
        if not undoing:
            redraw()

    def put_back(_: object) -> None:
        nonlocal undoing
        undoing = True
        try:
            for control, value in start:
                control.value = value
        finally:
            undoing = False
        redraw()

    for control, _ in start:
        control.observe(in_cell_loop(move), "value")
    undo.on_click(in_cell_loop(put_back))
