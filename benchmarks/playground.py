"""How fast the playground trains and draws; and what its stories tell, measured over seeds.

python benchmarks/playground.py [--rounds 5] [--stories]
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time

import numpy as np
import psutil
from playwright.sync_api import Page

from mtl_tutorial.commands.playground import PAGE, write_playground
from mtl_tutorial.commands.serving import served
from mtl_tutorial.commands.stills import browser

SEEDS = range(1, 6)
SETTING = {"scenes": "located_digits", "width": 8, "optimizer": "adam", "rate": 0.005}
PAIR = {"tasks": ["digit", "box"], "weights": [1, 1], "units": [1, 1], "method": "fixed"}
ALL = {"tasks": ["digit", "box", "mask"], "weights": [1, 1, 1], "units": [1, 1, 1]}
PIXELS = {"units": [1, 784]}  # the box in pixels: squares are 28 × 28 times as large
RUNS = {  # by name: a setting, how many steps, and a change of it at a step
    "plain": ({**PAIR, "alone": True}, 600, None),
    "pixels": ({**PAIR, **PIXELS}, 600, (300, {"weights": [1, 0.001]})),
    "emptied": ({**PAIR, **PIXELS}, 600, (300, {"weights": [1, 0.001], "emptied": True})),
    "balanced": ({**PAIR, "weights": [1, 30]}, 600, None),
    "hundred": ({**PAIR, "units": [100, 100]}, 300, None),
    "sum": ({**ALL, "method": "fixed"}, 300, None),
    "surgery": ({**ALL, "method": "pcgrad"}, 300, None),
}
AT = (300, 600)  # steps that are kept, each with means over the 100 steps before
MOVES, EVERY = 120, 1 / 60  # of a drag, and seconds between two
RUN = """async ([setting, steps, turn, at]) => {
    const [{ Lab }, { default: data }] = [await import("./engine.js"), await import("./digits.js")];
    const { cosineOf, sharesOf } = await import("./reading.js");
    const lab = new Lab(setting, data), found = [];
    let shares = [], apart = 0, looks = 0;
    for (let step = 1; step <= steps; step++) {
        const made = lab.go(step % 5 === 0);
        if (step % 5 === 0) {
            shares.push(sharesOf(made));
            looks += 1; apart += cosineOf(made.K, [0, 1]) < 0;
        }
        if (turn && step === turn[0]) {
            if (turn[1].emptied) lab.take({ ...setting, optimizer: "sgd" }); // Adam forgets
            lab.take({ ...setting, ...turn[1] });
        }
        if (step % 100) continue;
        const { metrics, alone } = lab.look();
        const mean = setting.tasks.map((_, i) => shares.reduce((s, x) => s + x[i], 0) / looks);
        const row = { step, metrics, alone, shares: mean, apart: apart / looks };
        if (at.includes(step)) found.push(row);
        shares = []; apart = looks = 0;
    }
    return found;
}"""
STEPS, WARM_UP = 200, 30
SPEED = """async ([setting, steps]) => {
    const [{ Lab }, { default: data }] = [await import("./engine.js"), await import("./digits.js")];
    const lab = new Lab(setting, data);
    for (let k = 0; k < 30; k++) lab.go(false);
    const start = performance.now();
    for (let k = 0; k < steps; k++) lab.go(false);
    return (1000 * steps) / (performance.now() - start);
}"""


def processor_seconds() -> float:
    """What this process's browsers have used; other programs of the machine do not count."""
    times = [child.cpu_times() for child in psutil.Process().children(recursive=True)]
    return sum(time.user + time.system for time in times)


def pictures_in_a_drag(page: Page) -> tuple[float, float]:
    """Pictures, and moves of the pointer, a second: a unit is dragged, and the network trains."""
    page.get_by_role("button", name="Play", exact=True).click()
    page.wait_for_timeout(1500)
    slider = page.get_by_label("unit of box")
    box = slider.bounding_box()
    assert box is not None
    middle, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    drawn = "Number(document.querySelector('.mtl').dataset.drawn)"
    page.mouse.move(middle, y)
    page.mouse.down()
    before, began = page.evaluate(drawn), time.perf_counter()
    for move in range(MOVES):
        page.mouse.move(middle + 40 * np.sin(2 * np.pi * move / MOVES), y)
        time.sleep(max(0.0, began + (move + 1) * EVERY - time.perf_counter()))
    seconds = time.perf_counter() - began
    pictures = page.evaluate(drawn) - before
    page.mouse.up()
    page.get_by_role("button", name="Pause", exact=True).click()
    return pictures / seconds, MOVES / seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--stories", nargs="*", choices=list(RUNS), help="measure these, or all")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, served(folder) as address, browser() as chromium:
        write_playground(folder)
        page = chromium.new_page(viewport={"width": 1280, "height": 720})
        page.goto(f"{address}/index.html#stop=0")
        page.locator(".mtl-say").wait_for()
        if args.stories is not None:
            measure_stories(page, args.stories or list(RUNS))
            return
        setting = {**SETTING, **ALL, "method": "pcgrad", "seed": 1, "alone": False}
        speeds, own = [], []
        for _ in range(args.rounds):
            before = processor_seconds()
            speeds.append(page.evaluate(SPEED, [setting, STEPS]))
            own.append((STEPS + WARM_UP) / (processor_seconds() - before))
        print(f"three tasks, PCGrad, width 8, batches of 64: {np.median(speeds):.0f} steps a "
              f"second ({min(speeds):.0f} to {max(speeds):.0f}), {np.median(own):.0f} a second of "
              f"processor time ({min(own):.0f} to {max(own):.0f})")  # fmt: skip
        drags, moves = zip(*(pictures_in_a_drag(page) for _ in range(args.rounds)), strict=True)
        print(f"a drag while it trains: {np.median(drags):.0f} pictures a second ({min(drags):.0f} "
              f"to {max(drags):.0f}), of {np.median(moves):.0f} moves")  # fmt: skip


def measure_stories(page: Page, names: list[str]) -> None:
    """Run what the stories tell of, and keep it where the page finds it."""
    path = PAGE / "measured.js"
    head = "export default "
    kept = json.loads(path.read_text(encoding="utf-8").removeprefix(head).rstrip().rstrip(";"))
    for name in names:
        setting, steps, turn = RUNS[name]
        kept[name] = []
        for seed in SEEDS:
            made = {**SETTING, "alone": False, **setting, "seed": seed}
            rows = page.evaluate(RUN, [made, steps, turn, list(AT)])
            kept[name].append(rows)
            print(name, seed, json.dumps(rows[-1]), flush=True)
        short = json.dumps(json.loads(json.dumps(kept), parse_float=lambda x: round(float(x), 4)))
        path.write_text(f"{head}{short};\n", encoding="utf-8")


if __name__ == "__main__":
    main()
