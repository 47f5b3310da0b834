"""Events of widgets are handled in the loop of the cells, whatever thread brings them."""

from __future__ import annotations

import asyncio
import threading

import ipywidgets

from mtl_tutorial.widgets.events import in_cell_loop, redraw_on_moves


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


def test_a_move_draws_and_the_button_draws_once_with_every_control_back() -> None:
    sliders = [ipywidgets.IntSlider(value) for value in (1, 2, 3)]
    button, drawn = ipywidgets.Button(), []
    redraw_on_moves(sliders, lambda: drawn.append([slider.value for slider in sliders]), button)
    sliders[0].value = 10
    sliders[2].value = 30
    assert drawn == [[10, 2, 3], [10, 2, 30]]
    button.click()
    assert drawn[2:] == [[1, 2, 3]]
    sliders[1].value = 20
    assert drawn[3:] == [[1, 20, 3]]
