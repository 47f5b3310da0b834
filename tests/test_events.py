"""Events of widgets are handled in the loop of the cells, whatever thread brings them."""

from __future__ import annotations

import asyncio
import threading

from mtl_tutorial.widgets.events import in_cell_loop


def test_events_of_another_thread_are_handled_in_this_one_and_in_order() -> None:
    handled = []

    async def scenario() -> None:
        deliver = in_cell_loop(lambda event: handled.append((event, threading.current_thread())))

        async def subshell() -> None:
            deliver("first")
            deliver("second")

        await asyncio.to_thread(asyncio.run, subshell())
        await asyncio.sleep(0)

    asyncio.run(scenario())
    assert handled == [("first", threading.main_thread()), ("second", threading.main_thread())]


def test_events_of_the_same_loop_are_handled_at_once() -> None:
    handled = []

    async def scenario() -> None:
        in_cell_loop(handled.append)("now")
        assert handled == ["now"]

    asyncio.run(scenario())


def test_without_a_loop_events_are_handled_at_once() -> None:
    handled = []
    in_cell_loop(handled.append)("now")
    assert handled == ["now"]
