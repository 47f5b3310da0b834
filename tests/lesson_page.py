"""A lesson in JupyterLab as a person has it: in a browser, with eyes and hands."""

from __future__ import annotations

import ast
import base64
import io
import itertools
import re
import time
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
from jupyter_client import BlockingKernelClient
from PIL import Image
from playwright.sync_api import ConsoleMessage, Locator, Page
from test_lab import Lab, wait_until

PATIENCE = 180  # seconds for what takes one on a quiet machine
SERIAL = itertools.count()
PIXELS = """image => {
    if (!image.complete || !image.naturalWidth) return null;
    const canvas = document.createElement('canvas');
    [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
    canvas.getContext('2d').drawImage(image, 0, 0);
    return canvas.toDataURL();
}"""


class Kernel:
    """A kernel that a page uses, asked from beside the page."""

    def __init__(self, connection_file: Path) -> None:
        self._file = connection_file

    def ask(self, expression: str) -> Any:
        """Give the value of an expression: numbers, strings, and tuples or lists of them."""
        client = BlockingKernelClient(connection_file=str(self._file))
        client.load_connection_file()
        client.start_channels()
        try:
            reply = client.execute(
                "",
                silent=True,
                store_history=False,
                user_expressions={"answer": expression},
                reply=True,
                timeout=PATIENCE,
            )
        finally:
            client.stop_channels()
        answer = reply["content"]["user_expressions"]["answer"]
        assert answer["status"] == "ok", answer
        return ast.literal_eval(answer["data"]["text/plain"])

    @property
    def pid(self) -> int:
        return self.ask("__import__('os').getpid()")

    def training(self) -> list[str]:
        """The names of the tasks that train."""
        names = self.ask("[task.get_name() for task in __import__('asyncio').all_tasks()]")
        return [name for name in names if not re.fullmatch(r"Task-\d+", name)]

    def load(self) -> float:
        """The share of one core that the process takes, all its threads together."""
        clock = "(__import__('time').process_time(), __import__('time').monotonic())"
        used, began = self.ask(clock)
        time.sleep(1)  # what is measured is what happens meanwhile
        used_since, ended = self.ask(clock)
        return (used_since - used) / (ended - began)


class Shown:
    """What widgets of both kinds have on the page."""

    def __init__(self, element: Locator) -> None:
        self.element = element

    def table(self) -> list[dict[str, str]]:
        """The rows of the table below, by the words at its head."""
        read = "rows => rows.map(row => [...row.cells].map(cell => cell.textContent))"
        head, *rows = self.element.locator("table tr").evaluate_all(read)
        return [dict(zip(head, row, strict=True)) for row in rows]

    def press(self, name: str) -> None:
        self.element.locator(f"button:text-is('{name}')").click()

    def slider(self, label: str) -> Locator:
        return self.element.locator("label", has_text=label).locator("input[type=range]")

    def readout(self, label: str) -> str:
        return self.element.locator("label", has_text=label).locator("output").text_content()


class ShownView(Shown):
    """A widget on the page: its picture, its sentence, its controls."""

    def __init__(self, element: Locator) -> None:
        super().__init__(element)
        self.image = element.locator(".mtl-panels > img")

    def picture(self) -> bytes:
        """The pixels that are shown, as a PNG; empty where there are none yet."""
        address = self.image.evaluate(PIXELS)
        return base64.b64decode(address.partition(",")[2]) if address else b""

    def still_picture(self) -> bytes:
        """The pixels once they have come and do not change."""

        def still() -> bytes:
            found = self.picture()
            time.sleep(0.3)
            return found if found == self.picture() else b""

        return wait_until(still, "a picture that stands still", PATIENCE)

    def sentence(self) -> str:
        return self.element.locator(".mtl-say:visible").text_content().strip()

    def steps(self) -> int:
        """The number of training steps that the sentence tells."""
        found = re.search(r"\bStep (\d+)|\bAfter (\d+) steps", self.sentence())
        return int(found[1] or found[2]) if found else 0

    def sees_change(self, act: Callable[[], Any], words: str = "") -> None:
        """Act, and wait until picture and sentence are others, and the sentence has the words."""
        picture, sentence = self.picture(), self.sentence()

        def seen() -> bool:
            shown = self.sentence()
            return shown != sentence and words in shown and self.picture() not in (picture, b"")

        act()
        try:
            wait_until(seen, f"a change from {sentence!r} to {words!r}", PATIENCE)
        except AssertionError as error:
            raise AssertionError(f"{error}; the sentence is {self.sentence()!r}") from None


class ShownExplorable(Shown):
    """An explorable on the page: drawn there, with its sentence, handles and controls."""

    def sentence(self) -> str:
        return self.element.locator(".mtl-say").text_content().strip()

    def drawn(self) -> int:
        """How often it was drawn."""
        return int(self.element.get_attribute("data-drawn") or 0)

    def steps(self) -> int:
        """The number of training steps that the sentence tells."""
        found = re.search(r"\bStep (\d+)", self.sentence())
        return int(found[1]) if found else 0

    def choose(self, label: str, option: str) -> None:
        field = self.element.locator("label", has_text=label).locator("select")
        field.select_option(label=option)

    def drag(self, label: str, right: float, up: float) -> None:
        grip = self.element.get_by_label(label, exact=True)
        grip.hover()  # waits until the page, scrolled there, stands still
        box = grip.bounding_box()
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        mouse = self.element.page.mouse
        mouse.down()
        mouse.move(x + right, y - up, steps=8)
        mouse.up()

    def sees_change(self, act: Callable[[], Any], words: str = "") -> None:
        """Act, and wait until it is drawn anew and the sentence, another one, has the words."""
        sentence, drawn = self.sentence(), self.drawn()

        def seen() -> bool:
            shown = self.sentence()
            return shown != sentence and words in shown and self.drawn() > drawn

        act()
        try:
            wait_until(seen, f"a change from {sentence!r} to {words!r}", PATIENCE)
        except AssertionError as error:
            raise AssertionError(f"{error}; the sentence is {self.sentence()!r}") from None


def pixels(picture: bytes) -> np.ndarray:
    """The colours of a picture, shape (height, width, 3), from 0 to 255."""
    return np.asarray(Image.open(io.BytesIO(picture)).convert("RGB")).astype(int)


class LessonPage:
    """A notebook in a page of its own, with a kernel of its own."""

    def __init__(self, page: Page, lab: Lab, notebook: Path) -> None:
        self.page, self.lab, self.notebook = page, lab, notebook
        self.complaints: list[str] = []
        page.set_default_timeout(60_000)
        page.on("console", self._listen)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("dialog", lambda dialog: dialog.accept())  # "Leave this page?"

    def _listen(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.complaints.append(f"{message.text} ({message.location['url']})")

    def open(self) -> None:
        """Load the page, and wait until all cells are there and the kernel waits."""
        cells = len(nbformat.read(self.notebook, as_version=4).cells)
        workspace = f"test-{next(SERIAL)}"  # another page's would open its notebooks here, too
        self.page.goto(
            f"http://127.0.0.1:{self.lab.port}/lab/workspaces/{workspace}/tree/"
            f"{self.notebook.name}?token={self.lab.token}"
        )
        wait_until(
            lambda: self.page.locator(".jp-Notebook .jp-Cell").count() == cells,
            f"{cells} cells on the page",
            PATIENCE,
        )
        wait_until(
            lambda: (self._session() or {}).get("execution_state") == "idle", "a kernel", PATIENCE
        )

    def _session(self) -> dict[str, Any] | None:
        for session in self.lab.ask("/api/sessions")[1]:
            if session["path"] == self.notebook.name:
                return session["kernel"]
        return None

    @property
    def kernel(self) -> Kernel:
        return Kernel(self._runtime_dir / f"kernel-{self._session()['id']}.json")

    @cached_property
    def _runtime_dir(self) -> Path:
        return self.lab.ask_runtime_dir()

    def choose(self, menu: str, entry: str) -> None:
        """Choose from the menu bar."""
        self.page.locator(f"div.lm-MenuBar-itemLabel:text-is('{menu}')").click()
        self.page.locator(f"div.lm-Menu-itemLabel:text-is('{entry}')").click()

    def run_all(self) -> None:
        self._run(lambda: self.choose("Run", "Run All Cells"))

    def run_cell(self, number: int) -> None:
        """Run one code cell, by its number among them."""
        cell = self.page.locator(".jp-CodeCell").nth(number)
        cell.evaluate("cell => cell.focus()")  # its editor may be folded
        self._run(lambda: self.page.keyboard.press("Control+Enter"))

    def _run(self, act: Callable[[], None]) -> None:
        before = self.prompts()
        act()
        wait_until(lambda: "[*]:" in self.prompts() or self.prompts() != before, "a cell that runs")
        wait_until(lambda: "[*]:" not in self.prompts(), "the end of the run", 10 * PATIENCE)

    def prompts(self) -> list[str]:
        """What stands before each code cell, such as ``[3]:``, or ``[*]:`` while it waits."""
        return self.page.locator(".jp-CodeCell .jp-InputPrompt").all_text_contents()

    def outputs(self, mime_type: str) -> list[str]:
        """The texts of all outputs of one kind."""
        return self.page.locator(
            f".jp-OutputArea-output[data-mime-type='{mime_type}']"
        ).all_text_contents()

    def outputs_text(self) -> str:
        """The texts of all outputs, of every kind."""
        return "\n".join(self.page.locator(".jp-OutputArea-output").all_text_contents())

    def pictures(self) -> list[tuple[int, int]]:
        """Width and height on the page of each picture in the outputs; 0 where it is broken."""
        read = """images => images.map(image => {
            const seen = image.complete && image.naturalWidth;
            return seen ? [image.offsetWidth, image.offsetHeight] : [0, 0];
        })"""
        return self.page.locator(".jp-OutputArea-output img").evaluate_all(read)

    def views(self) -> list[ShownView]:
        """The widgets that are a picture between controls."""
        found = self.page.locator(".widget-vbox:has(> * > .mtl-part > .mtl-panels > img)")
        return [ShownView(found.nth(number)) for number in range(found.count())]

    def explorables(self) -> list[ShownExplorable]:
        """The widgets that are drawn in the page."""
        found = self.page.locator(".jp-OutputArea-output .mtl:not(.mtl-part)")
        return [ShownExplorable(found.nth(number)) for number in range(found.count())]

    def explorable(self) -> ShownExplorable:
        """The only one."""
        (explorable,) = self.explorables()
        return explorable

    def view(self) -> ShownView:
        """The only one."""
        (view,) = self.views()
        return view

    def save(self) -> None:
        before = self.notebook.stat().st_mtime_ns
        self.choose("File", "Save Notebook")
        wait_until(lambda: self.notebook.stat().st_mtime_ns != before, "the saved notebook")

    def close(self) -> None:
        """Close the page, and end its kernel."""
        self.page.context.close()
        for session in self.lab.ask("/api/sessions")[1]:
            if session["path"] == self.notebook.name:
                self.lab.ask(f"/api/sessions/{session['id']}", method="DELETE")
