"""A player makes steps while somebody watches, gives way to sliders, and says why it stopped."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from mtl_tutorial.widgets import player as player_module
from mtl_tutorial.widgets.player import Player, PlayerControls


class Counter:
    """Counts its steps up to a last one; keeps what was drawn and said."""

    def __init__(self, last: float = float("inf"), *, name: str = "counter") -> None:
        self.made, self.last, self.drawn, self.said = 0, last, [], [""]
        self.player = Player(
            name, step=self.step, draw=self.draw, reset=self.reset, say=self.said.append
        )

    def step(self) -> bool:
        if self.made >= self.last:
            return False
        self.made += 1
        return True

    def draw(self) -> None:
        self.drawn.append(self.made)

    def reset(self) -> None:
        self.made = 0

    async def until(self, condition) -> None:
        for _ in range(10**6):
            if condition():
                return
            await asyncio.sleep(0)
        raise AssertionError("waited in vain")


def test_steps_are_made_until_it_is_paused_and_the_last_is_drawn() -> None:
    async def scenario() -> None:
        counter = Counter()
        counter.player.toggle()
        await counter.until(lambda: counter.made > 20)
        assert counter.player.running
        counter.player.toggle()
        assert not counter.player.running and counter.drawn[-1] == counter.made
        made = counter.made
        for _ in range(10):
            await asyncio.sleep(0)
        assert counter.made == made

    asyncio.run(scenario())


def test_pictures_are_no_more_than_an_eye_can_follow(monkeypatch) -> None:
    async def scenario() -> None:
        counter = Counter()
        now = 0.0

        def later() -> float:  # a clock that training moves on: 1 ms at each look
            nonlocal now
            now += 1e-3
            return now

        monkeypatch.setattr(player_module, "time", SimpleNamespace(monotonic=later))
        counter.player.start()
        await counter.until(lambda: now > 1)
        assert counter.made > 200 and 10 <= len(counter.drawn) <= 20
        counter.player.pause()

    asyncio.run(scenario())


def test_a_step_that_was_not_made_says_why() -> None:
    async def scenario() -> None:
        counter = Counter()
        counter.player._step = lambda: "Stopped at 5, as asked for."
        counter.player.start()
        await counter.until(lambda: not counter.player.running)
        assert counter.said[-1] == "Stopped at 5, as asked for."

    asyncio.run(scenario())


def test_buttons_show_what_the_player_does() -> None:
    said: list[str] = []
    acts = {"draw": lambda: None, "reset": lambda: None, "say": said.append}
    controls = PlayerControls("counter", step=lambda: "1 < 2", **acts)
    controls.player.step()
    assert said[-1] == "1 < 2"
    assert [child.description for child in controls.children[:3]] == ["Start", "Step", "Reset"]


def test_a_step_alone_pauses_and_draws() -> None:
    counter = Counter()
    counter.player.step()
    assert (counter.made, counter.drawn, counter.said) == (1, [1], [""])


def test_the_end_of_a_run_is_said_and_a_reset_starts_over() -> None:
    async def scenario() -> None:
        counter = Counter(last=5)
        counter.player.start()
        await counter.until(lambda: not counter.player.running)
        assert counter.made == 5 and "This run is over" in counter.said[-1]
        counter.player.reset()
        assert counter.drawn[-1] == 0

    asyncio.run(scenario())


def test_an_error_in_a_step_or_a_drawing_stops_it_and_is_said() -> None:
    async def scenario(part: str) -> None:
        counter = Counter()

        def broken() -> None:
            raise OverflowError("1 < 2 is no number")

        setattr(counter.player, part, broken)
        counter.player.start()
        await counter.until(lambda: not counter.player.running)
        assert counter.said[-1] == "Stopped. 1 < 2 is no number"

    for part in ("_step", "_draw"):
        asyncio.run(scenario(part))


@pytest.mark.parametrize(("name", "goes_on"), [("counter", False), ("another", True)])
def test_a_player_stops_the_one_of_its_name_alone(name, goes_on) -> None:
    async def scenario() -> None:
        first = Counter()
        first.player.start()
        await first.until(lambda: first.made > 2)
        Counter(name=name)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert first.player.running == goes_on
        assert ("another one trains now" in first.said[-1]) != goes_on
        first.player.pause()

    asyncio.run(scenario())


def test_without_a_sign_from_the_browser_it_pauses_and_says_so(monkeypatch) -> None:
    async def scenario() -> None:
        counter = Counter()
        counter.player.start()
        await counter.until(lambda: not counter.player.running)
        assert "nobody seems to be watching" in counter.said[-1]

    monkeypatch.setattr(player_module, "PATIENCE", 0.0)
    asyncio.run(scenario())
