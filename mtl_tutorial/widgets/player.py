"""Start, pause, step and reset for work that goes on while sliders move."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import ipywidgets

from mtl_tutorial.widgets.events import in_cell_loop

PATIENCE = 5.0  # seconds without a sign from the browser after which nobody is watching
LONG_BLOCK = 1.0  # seconds given to other cells after which signs may be waiting unread
DRAWING_SHARE = 0.1  # of the time goes into pictures, at most
PICTURE_EVERY = 0.05  # seconds, at least: more pictures a second are not seen, and training pays


class Player:
    """Runs a step again and again, as an asyncio task of the kernel, while somebody watches.

    The task gives way after every step, so what a hand moves acts at once. Twice a second the
    browser sends a sign (`watched`); where it stops (tab closed, page gone), so does the task. A
    new player stops the one of the same name that is running: a cell that is run again leaves
    nothing behind.

    Args:
        name: of the task.
        step: makes one step; gives False where there is nothing left to do, and a sentence where
            it made none for another reason.
        draw: shows the present state; called 20 times a second, or as often as a tenth of the time
            allows.
        reset: starts over; called while nothing runs.
        say: shows a sentence.
        show: told whether steps are being made, when that changes.
    """

    def __init__(
        self,
        name: str,
        *,
        step: Callable[[], bool | str],
        draw: Callable[[], None],
        reset: Callable[[], None],
        say: Callable[[str], None],
        show: Callable[[bool], None] = lambda running: None,
    ) -> None:
        self._name, self._step, self._draw, self._reset, self._say = name, step, draw, reset, say
        self._show = show
        self._task: asyncio.Task | None = None
        self._seen = 0.0
        self._show_state()
        _cancel_running(name)

    def watched(self) -> None:
        """Take a sign that somebody watches."""
        self._seen = time.monotonic()

    @property
    def running(self) -> bool:
        """Whether steps are being made."""
        return self._task is not None and not self._task.done()

    def toggle(self) -> None:
        """Start where it rests, pause where it runs."""
        if self.running:
            self.pause()
        else:
            self.start()

    def start(self) -> None:
        """Go on making steps in the background."""
        if self.running:
            return
        _cancel_running(self._name)
        self._seen = time.monotonic()
        self._task = asyncio.get_running_loop().create_task(self._run(), name=self._name)
        self._show_state()

    def pause(self) -> None:
        """Stop after the present step, and draw."""
        if self._task is not None and self.running:
            self._task.cancel()
            self._task = None
            self._show_state()
            self._draw()

    def step(self) -> None:
        """Pause, make one step, and draw."""
        self.pause()
        ending = self._try_step()
        self._draw()
        if ending:
            self._say(ending)

    def reset(self) -> None:
        """Pause, start over, and draw."""
        self.pause()
        self._reset()
        self._draw()

    async def _run(self) -> None:
        drawn, cost, ending = time.monotonic(), 0.0, ""
        try:
            while not (ending := self._try_step()):
                now = time.monotonic()
                if now - self._seen > PATIENCE:
                    ending = "Paused: nobody seems to be watching. Start goes on from here."
                    break
                if now - drawn > max(PICTURE_EVERY, cost / DRAWING_SHARE):
                    self._draw()
                    drawn = time.monotonic()
                    cost = drawn - now
                before = time.monotonic()
                await asyncio.sleep(0)
                if time.monotonic() - before > LONG_BLOCK:
                    self._seen = time.monotonic()
        except asyncio.CancelledError:
            if asyncio.current_task() is self._task:  # by another player of this name, not by pause
                self._say("Paused: another one trains now. Start goes on from here.")
            raise
        except Exception as error:  # a task's exception would vanish unseen
            self._say(_stopped(error))
            return
        finally:
            if asyncio.current_task() is self._task:  # else paused, and perhaps started again
                self._task = None
            self._show_state()
        self._draw()
        self._say(ending)

    def _try_step(self) -> str:
        """Make a step; give a sentence where it was the last."""
        try:
            made = self._step()
        except Exception as error:
            return _stopped(error)
        if isinstance(made, str):
            return made
        return "" if made else "This run is over. Reset keeps it and starts another."

    def _show_state(self) -> None:
        self._show(self.running)


class PlayerControls(ipywidgets.HBox):
    """Buttons for a player, and the sign that somebody watches.

    Args:
        name, step, draw, reset, say: as for `Player`.
    """

    def __init__(
        self,
        name: str,
        *,
        step: Callable[[], bool | str],
        draw: Callable[[], None],
        reset: Callable[[], None],
        say: Callable[[str], None],
    ) -> None:
        self._start = ipywidgets.Button(icon="play", tooltip="Train, or pause")
        one = ipywidgets.Button(
            description="Step", icon="step-forward", tooltip="Make one training step"
        )
        over = ipywidgets.Button(
            description="Reset", icon="refresh", tooltip="Keep this run as a ghost and start anew"
        )
        self._pulse = ipywidgets.Play(
            interval=500, max=2**31 - 1, layout={"visibility": "hidden", "width": "0px"}
        )
        self.player = Player(
            name,
            step=step,
            draw=draw,
            reset=reset,
            say=say,
            show=self._show_state,
        )
        for button, action in (
            (self._start, self.player.toggle),
            (one, self.player.step),
            (over, self.player.reset),
        ):
            button.on_click(in_cell_loop(lambda _, action=action: action()))
        self._pulse.observe(lambda _: self.player.watched(), "value")
        super().__init__([self._start, one, over, self._pulse], layout={"flex_flow": "row wrap"})

    def _show_state(self, running: bool) -> None:
        self._pulse.playing = running
        self._start.description = "Pause" if running else "Start"
        self._start.icon = "pause" if running else "play"


def _stopped(error: Exception) -> str:
    return f"Stopped. {error}"


def _cancel_running(name: str) -> None:
    try:
        tasks = asyncio.all_tasks()
    except RuntimeError:  # no event loop, so no task
        return
    for task in tasks:
        if task.get_name() == name:
            task.cancel()
