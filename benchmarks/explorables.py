"""How fast explorables answer a hand, on a bare page and in JupyterLab; what the live tuner costs.

python benchmarks/explorables.py --home page lab
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import nbformat
import numpy as np
import torch
from playwright.sync_api import Page

from mtl_tutorial.architectures import ConvEncoder, HardSharing
from mtl_tutorial.balancing import FixedWeights
from mtl_tutorial.commands.stills import bring_to_life, browser
from mtl_tutorial.data import located_digits
from mtl_tutorial.experiments import seeded
from mtl_tutorial.training import fit
from mtl_tutorial.web import FOLDER, bundle
from mtl_tutorial.widgets.loss_weight_tuner import LossWeightTuner

WIDTH = 8  # of the encoder, as in lesson 02
THUMB = 16  # pixels, of a slider
MOVES, EVERY = 120, 1 / 60  # of a drag, and seconds between two
TRAINED = """import torch
from mtl_tutorial.architectures import ConvEncoder, HardSharing
from mtl_tutorial.data import located_digits
torch.set_num_threads(1)
scenes = located_digits("train")
tasks = scenes.tasks[:2]
build = lambda: HardSharing(ConvEncoder(8), tasks)"""
MAKE = {  # what is dragged, and how it is made in a cell
    "gradient_compass": "from mtl_tutorial.widgets.gradient_compass import GradientCompass as Made",
    "landscape_race": "from mtl_tutorial.widgets.landscape_race import LandscapeRace as Made",
    "pareto_explorer": "from mtl_tutorial.widgets.pareto_explorer import ParetoExplorer as Made",
    "relatedness_lab": "from mtl_tutorial.widgets.relatedness_lab import RelatednessLab as Made",
    "uncertainty_bowl": """from mtl_tutorial.data.questions import BOX, DIGIT
from mtl_tutorial.widgets.uncertainty_bowl import UncertaintyBowl
Made = lambda: UncertaintyBowl((DIGIT, BOX), (2.3, 0.02))""",
    "loss_scale_mixer": """from mtl_tutorial.data.questions import BOX, DIGIT
from mtl_tutorial.experiments.units import Snapshot
from mtl_tutorial.widgets.loss_scale_mixer import LossScaleMixer
numbers = [{"digit": 2.0, "box": 0.01}, {"digit": 0.7, "box": 0.2}, {"digit": 2.3, "box": 0.04}]
Made = lambda: LossScaleMixer(Snapshot((DIGIT, BOX), *numbers))""",
    "flight_recorder": """from mtl_tutorial.experiments.store import committed_results
from mtl_tutorial.widgets.flight_recorder import FlightRecorder
def Made():
    made = FlightRecorder(committed_results("quick_60_epochs"))
    made.epoch = 30
    return made""",
    "gate_viewer": "from mtl_tutorial.widgets.gate_viewer import GateViewer as Made",
    "draw_a_digit": "from mtl_tutorial.widgets.draw_a_digit import DrawADigit as Made",
    "ask_the_network": "from mtl_tutorial.widgets.ask_the_network import AskTheNetwork as Made",
    "label_dial": "from mtl_tutorial.widgets.label_dial import LabelDial as Made",
    "luck_machine": """from mtl_tutorial.widgets.luck_machine import LuckMachine
Made = lambda: LuckMachine(number=200)""",
    "gradnorm_stepper": f"""{TRAINED}
from mtl_tutorial.widgets.gradnorm_stepper import GradNormStepper
Made = lambda: GradNormStepper(build, tasks, scenes, warm_up=40)""",
    "loss_weight_tuner": f"""{TRAINED}
from mtl_tutorial.widgets.loss_weight_tuner import LossWeightTuner
Made = lambda: LossWeightTuner(build, tasks, scenes, located_digits("validation"), warm_up=100)""",
}
DRAGGED = ".mtl-grip:visible, .mtl rect[style*=crosshair]"
SLIDER = ".mtl input[type=range]:visible"  # the last one, where there is nothing else to drag
WATCH = """(slider) => {
    const root = document.querySelector(".mtl");
    window.waits = []; window.drawn = window.asked = 0;
    let moved = 0, drew = false;
    const event = slider ? "input" : "pointermove"; // a slider moves by steps, not by pixels
    document.addEventListener(event, () => { moved ||= performance.now(); asked += 1; }, true);
    new MutationObserver(() => {
        drawn += 1;
        drew = true;
        const since = moved;
        moved = 0;
        // after the frame in which it was drawn has been painted
        const painted = () => { if (since) waits.push(performance.now() - since); };
        requestAnimationFrame(() => setTimeout(painted));
    }).observe(root, { attributes: true, attributeFilter: ["data-drawn"] });
    const frame = () => {
        // a move that no frame has answered has changed nothing: it was beyond an end
        setTimeout(() => { if (!drew) moved = 0; drew = false; });
        requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
}"""


def drag(page: Page) -> tuple[float, float, float, float]:
    """Drag what can be dragged in a circle, or a slider to and fro.

    Returns:
        Median and 95th percentile of the milliseconds from pointer to paint; pictures, and moves
        of the hand, a second.
    """
    slider = page.locator(DRAGGED).count() == 0
    target = page.locator(SLIDER).last if slider else page.locator(DRAGGED).first
    target.scroll_into_view_if_needed()
    box = target.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    if slider:
        share = target.evaluate("(s) => (s.value - s.min) / (s.max - s.min)")
        x = box["x"] + THUMB / 2 + share * (box["width"] - THUMB)
    page.evaluate(WATCH, slider)
    page.mouse.move(x, y)
    page.mouse.down()
    began = time.perf_counter()
    for move in range(MOVES):
        turn = 2 * np.pi * move / MOVES
        down = 0 if slider else 20 * (np.cos(turn) - 1)
        page.mouse.move(x + 40 * np.sin(turn), y + down)
        time.sleep(max(0.0, began + (move + 1) * EVERY - time.perf_counter()))
    seconds = time.perf_counter() - began
    page.mouse.up()
    page.wait_for_timeout(200)
    waits, *counts = page.evaluate("[waits, drawn, asked]")
    median, late = np.percentile(waits, (50, 95))
    return float(median), float(late), *(count / seconds for count in counts)


@contextlib.contextmanager
def bare_page(page: Page, name: str) -> Iterator[None]:
    """The explorable alone, without a kernel."""
    made: dict = {}
    exec(f"{MAKE[name]}\nmade = Made()", made)
    page.set_content("<!DOCTYPE html><div id=here></div>")
    bring_to_life(page, made["made"].get_state())
    yield


@contextlib.contextmanager
def jupyter(folder: Path) -> Iterator[str]:
    """A JupyterLab of its own; gives its address."""
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--port=0", "--allow-root",
               "--IdentityProvider.token=", f"--ServerApp.root_dir={folder}"]  # fmt: skip
    homes = {n: str(folder / ".home") for n in ("JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR")}
    with open(folder / "server.log", "w+") as log:
        server = subprocess.Popen(command, env={**os.environ, **homes}, stdout=log, stderr=log)
        try:
            for _ in range(600):
                text = Path(log.name).read_text()
                if found := re.search(r"http://(?:localhost|127\.0\.0\.1):\d+", text):
                    yield found[0]
                    return
                time.sleep(0.1)
            raise RuntimeError(f"JupyterLab did not start:\n{text}")
        finally:
            server.terminate()
            server.wait()


@contextlib.contextmanager
def in_lab(page: Page, name: str) -> Iterator[None]:
    """The explorable in a notebook of JupyterLab, beside its kernel."""
    with tempfile.TemporaryDirectory() as place:
        cells = [nbformat.v4.new_code_cell(f"{MAKE[name]}\nMade()")]
        kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
        nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), f"{place}/a.ipynb")
        with jupyter(Path(place)) as address:
            page.goto(f"{address}/lab/tree/a.ipynb?reset")
            page.locator(".jp-Notebook").wait_for(timeout=120_000)
            page.locator(".jp-Cell").first.click()
            page.locator(".jp-Notebook-ExecutionIndicator[data-status=idle]").wait_for(
                state="attached", timeout=120_000
            )
            page.keyboard.press("Shift+Enter")
            page.locator(".mtl-say").wait_for(timeout=120_000)
            page.wait_for_timeout(1000)
            yield
            page.goto("about:blank")


def bare_loop(tasks, scenes, seconds: float) -> float:
    """Steps a second of `fit` alone."""
    with seeded(0) as generator:
        model = HardSharing(ConvEncoder(WIDTH), tasks)
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3, fused=True)
    weights = FixedWeights({task.name: 1.0 for task in tasks})
    steps, start = 0, time.perf_counter()
    for _record in fit(model, tasks, scenes.stream(64, generator), weights, optimizer, 10**9):
        steps += 1
        if time.perf_counter() - start > seconds:
            return steps / (time.perf_counter() - start)
    raise AssertionError("an endless stream ended")


def live_tuner(tasks, scenes, held_out, seconds: float) -> tuple[float, float]:
    """Steps of the tuner a second while it trains, and how often a second it tells the page."""
    tuner = LossWeightTuner(
        lambda: HardSharing(ConvEncoder(WIDTH), tasks), tasks, scenes, held_out, steps=10**9
    )
    told: list[float] = []
    tell = tuner.player._draw
    tuner.player._draw = lambda: (tell(), told.append(time.perf_counter()))

    async def watch() -> float:
        start = time.perf_counter()
        tuner.player.start()
        while time.perf_counter() - start < seconds:
            await asyncio.sleep(0.05)
            tuner.player.watched()
        elapsed, made, pictures = time.perf_counter() - start, tuner.session.steps_made, len(told)
        tuner.player.pause()
        return made / elapsed, pictures / elapsed

    return asyncio.run(watch())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", nargs="*", default=["page"], choices=["page", "lab"])
    parser.add_argument("--only", nargs="*", default=list(MAKE), choices=list(MAKE))
    parser.add_argument("--seconds", type=float, default=6, help="of each measurement of training")
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()

    torch.set_num_threads(1)  # of the quick profile
    scenes, held_out = located_digits("train"), located_digits("validation")
    tasks = scenes.tasks[:2]
    bare_loop(tasks, scenes, 1)  # warm up
    rows = []
    for _ in range(args.rounds):
        bare = bare_loop(tasks, scenes, args.seconds)
        rows.append((bare, *live_tuner(tasks, scenes, held_out, args.seconds)))
    if rows:
        bare, live, pictures = np.array(rows).T
        ratio = live / bare
        print(f"tuner / bare loop: median {np.median(ratio):.3f} ({ratio.min():.3f} to "
              f"{ratio.max():.3f}); pictures a second: {np.median(pictures):.0f}\n")  # fmt: skip

    print("| explorable | home | pointer to paint, ms: median | 95 % "
          "| pictures a second | moves a second | bytes |")  # fmt: skip
    print("|---|---|---|---|---|---|---|")
    homes = {"page": bare_page, "lab": in_lab}
    with browser() as chromium:
        for home in args.home:
            for name in args.only:
                page = chromium.new_page(viewport={"width": 1280, "height": 1000})
                with homes[home](page, name):
                    median, late, drawn, asked = drag(page)
                page.close()
                size = len(bundle(name).encode())
                print(f"| {name} | {home} | {median:.1f} | {late:.1f} | {drawn:.0f} | {asked:.0f} "
                      f"| {size:,} |", flush=True)  # fmt: skip
    sizes = [path.stat().st_size for path in FOLDER.glob("*.js")]
    lines = sum(path.read_text().count("\n") for path in FOLDER.glob("*.js"))
    print(f"\nall modules: {sum(sizes):,} bytes, {lines:,} lines")


if __name__ == "__main__":
    main()
