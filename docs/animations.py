"""Films a hand on the compass and on the tuner, for the readme: from the explorables themselves.

python docs/animations.py
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from mtl_tutorial.architectures import ConvEncoder, HardSharing
from mtl_tutorial.commands.stills import PAGE, bring_to_life, browser, settle
from mtl_tutorial.data import located_digits
from mtl_tutorial.widgets.gradient_compass import GradientCompass
from mtl_tutorial.widgets.loss_weight_tuner import LossWeightTuner

PICTURES = Path(__file__).resolve().parents[1] / "pictures"
WIDTH, FRAME = 940, 80  # pixels, and milliseconds
HEIGHT = {"compass": 520, "tuner": 608}
HAND = """() => {
    const hand = document.createElement("div");
    hand.innerHTML = `<svg width="26" height="30" viewBox="0 0 13 15">
        <path d="M1 0v12l3-3 2 5 2-1-2-5h4z" fill="#fff" stroke="#000"/></svg>`;
    hand.style.cssText = "position:fixed;z-index:9;pointer-events:none;left:0;top:0";
    document.body.append(hand);
    addEventListener("pointermove", (event) => {
        hand.style.transform = `translate(${event.clientX - 2}px, ${event.clientY}px)`;
    }, true);
}"""


def centre(node: Any) -> tuple[float, float]:
    """The middle of a node, in pixels of the page."""
    box = node.bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def smooth(steps: int) -> Iterator[float]:
    """From 0 to 1, slow at both ends."""
    for step in range(1, steps + 1):
        yield (1 - math.cos(math.pi * step / steps)) / 2


def compass(page: Any) -> Iterator[None]:
    """A tip is drawn round until the sum hurts a task, then longer, and back."""
    bring_to_life(page, GradientCompass().get_state())
    page.evaluate(HAND)
    tip = page.locator(".mtl-grip").nth(1)
    x, y = centre(tip)
    page.mouse.move(x, y)
    page.mouse.down()
    for right, up in ((70, -30), (-150, 60), (-50, 70), (80, 50), (50, -150)):
        start = x, y
        for share in smooth(11):
            x, y = start[0] + share * right, start[1] - share * up
            page.mouse.move(x, y)
            settle(page)
            yield
    page.mouse.up()


def tuner(page: Any) -> Iterator[None]:
    """Trains at equal weights until the box has fallen back; then its weight is turned up."""
    torch.set_num_threads(1)
    scenes = located_digits("train")
    tasks = scenes.tasks[:2]
    made = LossWeightTuner(
        lambda: HardSharing(ConvEncoder(), tasks), tasks, scenes, located_digits("validation")
    )
    bring_to_life(page, {**made.get_state(), "running": True}, kernel=True)
    page.evaluate(HAND)
    slider = page.get_by_label("weight of box")
    box = slider.bounding_box()
    x, y = box["x"] + box["width"] * 0.4, box["y"] + box["height"] / 2
    page.mouse.move(x, y + 60)
    for frame in range(62):
        for _ in range(5):
            made.session.step()
        made.player.step()
        page.evaluate("rows => model.set('runs_shown', rows)", made.runs_shown)
        if frame == 30:
            page.mouse.move(x, y)
            page.mouse.down()
        if 30 < frame <= 42:
            page.mouse.move(x + (frame - 30) / 12 * box["width"] * 0.4, y)
            made.weights = page.evaluate("model.get('weights')")
        if frame == 43:
            page.mouse.up()
        settle(page)
        yield


def film(page: Any, frames: Iterator[None], path: Path) -> None:
    """Write an animated picture of what is drawn."""
    shots = [Image.open(io.BytesIO(page.screenshot())).convert("RGB") for _ in frames]
    pause = [FRAME] * (len(shots) - 1) + [1500]
    shots[0].save(
        path, save_all=True, append_images=shots[1:], duration=pause, loop=0, quality=50, method=6
    )
    print(f"{path.name}: {len(shots)} frames, {path.stat().st_size / 1000:.0f} kB")


def main() -> None:
    """Film both."""
    with browser() as found:
        for made in (compass, tuner):
            page = found.new_page(viewport={"width": WIDTH, "height": HEIGHT[made.__name__]})
            page.set_content(PAGE)
            film(page, made(page), PICTURES / f"{made.__name__}.webp")
            page.close()


if __name__ == "__main__":
    main()
