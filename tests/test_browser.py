"""The lessons in a real JupyterLab and a real browser: everything runs, and every control acts."""

from __future__ import annotations

import base64
import contextlib
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import matplotlib
import nbformat
import pytest
from explorable_page import chromium, violations
from lesson_cells import NOTEBOOKS, code_sources, needed_for, widget_cells
from lesson_page import PATIENCE, LessonPage
from nbformat.v4 import new_code_cell, new_markdown_cell, new_output
from playwright.sync_api import Browser, Page
from test_lab import (
    Lab,
    commit,
    git,
    make_checkout,
    needs_git,
    processes_of,
    running_lab,
    wait_until,
)

from mtl_tutorial.widgets.view import View, show

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="ends the server by a signal")

# The lessons with a view, and one of explorables: test_explorable.py tries them all on pages.
# Two of them are always opened, the others by pytest -m slow.
LESSONS = [
    path.stem
    for path in sorted(NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))
    if widget_cells(code_sources(path), View) or path.stem == "08_pcgrad"
]
WITHOUT_WIDGET = ("Error displaying widget", "Error creating widget", "Loading widget")
ALWAYS = ("00_start_here", "08_pcgrad")


def only(*names: str) -> pytest.MarkDecorator:
    rows = [pytest.param(n, marks=() if n in ALWAYS else pytest.mark.slow) for n in names]
    return pytest.mark.parametrize("lesson", rows, indirect=True)


EVERY_LESSON = only(*LESSONS)


# What a kernel says that is idle when it is ended: Jupyter interrupts it before it shuts it down.
ENDED = "KeyboardInterrupt caught in kernel"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """The lab command with a copy of the lessons; ends as by Ctrl-C, and leaves nothing behind."""
    course = tmp_path_factory.mktemp("browser") / "course"
    folder = course / "notebooks"
    shutil.copytree(NOTEBOOKS, folder, ignore=shutil.ignore_patterns(".*"))
    with running_lab(
        course,
        "--no-browser",
        str(folder / f"{LESSONS[0]}.ipynb"),
        MTL_PROFILE="quick",
        MTL_STEPS="0.1",  # what the runs are worth is for nbval to say
        MPLCONFIGDIR=matplotlib.get_configdir(),  # a new home has to look for fonts, and says so
    ) as lab:
        yield lab
        lab.process.send_signal(signal.SIGINT)
        assert lab.process.wait(timeout=PATIENCE) == 0
        wait_until(lambda: not processes_of(Path(lab.env["HOME"])), "the end of every process")
        complaints = lab.stderr.read_text().splitlines()
        assert [line for line in complaints if ENDED not in line] == []


@pytest.fixture(scope="module")
def folder(lab: Lab) -> Path:
    """The notebooks that are served."""
    return lab.stderr.parent / "course" / "notebooks"


browser = pytest.fixture(scope="module")(chromium)


def new_page(browser: Browser) -> Page:
    return browser.new_context(viewport={"width": 1280, "height": 1000}).new_page()


class RunLesson(LessonPage):
    """A lesson of which the cells with widgets ran, and those they need; how it looked before."""

    ran: list[int]
    committed_pictures: int
    unrun_pictures: list[tuple[int, int]]
    unrun_text: str


@pytest.fixture(scope="module")
def lesson(request, browser: Browser, lab: Lab, folder: Path) -> Iterator[RunLesson]:
    page = RunLesson(new_page(browser), lab, folder / f"{request.param}.ipynb")
    outputs = [
        output
        for cell in nbformat.read(page.notebook, as_version=4).cells
        for output in cell.get("outputs", [])
    ]
    page.committed_pictures = sum("image/png" in output.get("data", {}) for output in outputs)
    page.open()
    with contextlib.suppress(AssertionError):  # what is missing is for a test to say
        wait_until(
            lambda: len([size for size in page.pictures() if all(size)]) == page.committed_pictures,
            "the committed pictures",
        )
    page.unrun_pictures, page.unrun_text = page.pictures(), page.outputs_text()
    code = code_sources(page.notebook)
    page.ran = needed_for(code, widget_cells(code))
    page.choose("Edit", "Clear Outputs of All Cells")
    page.choose("View", "Expand All Code")  # a folded cell shows no number
    for number in page.ran:
        page.run_cell(number)
    yield page
    page.close()


@pytest.fixture
def tuner(request, browser: Browser, lab: Lab, folder: Path) -> Iterator[LessonPage]:
    """A page with the tuner of lesson 02, without the cells that it can do without."""
    source = nbformat.read(NOTEBOOKS / "02_hard_sharing.ipynb", as_version=4)
    code = code_sources(NOTEBOOKS / "02_hard_sharing.ipynb")
    (turned,) = [number for number in widget_cells(code) if "LossWeightTuner(" in code[number]]
    *needed, tuner = [code[number] for number in needed_for(code, [turned])]
    long = f"from functools import partial\n{LONG_RUN}"  # its run must not end within a test
    cells = list(map(nbformat.v4.new_code_cell, [*needed, long, tuner]))
    notebook = folder / f"{request.node.name}.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=source.metadata), notebook)
    page = LessonPage(new_page(browser), lab, notebook)
    page.open()
    page.run_all()
    yield page
    page.close()


STEPS_MADE = "[out for out in Out.values() if hasattr(out, 'session')][-1].session.run.latest.step"
LONG_RUN = "LossWeightTuner = partial(LossWeightTuner, steps=100_000)"


LINES = """
from mtl_tutorial.plots import panels
from mtl_tutorial.widgets.slider import Slider
from mtl_tutorial.widgets.view import View

def draw(figure, x):
    panels(figure, 1)[0, 0].plot([0, x])
    return f"A line that goes up to {x} of 9."

class Lines(View):
    def __init__(self):
        self.x = Slider("height", 3, min=1, max=9)
        super().__init__(draw, above=[self.x])
        self.x.observe(lambda change: self.redraw(self.x.value), "value")
        self.redraw(self.x.value)

Lines()
"""
DRAWN = {}
exec(LINES.removesuffix("Lines()\n"), DRAWN)
STILL = show(DRAWN["draw"], 3)
STORED = {"image/png": base64.b64encode(STILL.png).decode(), "text/plain": STILL.description}
SMALL_LESSON = [
    new_code_cell(
        "print('set-up')",
        metadata={"tags": ["hide-input"], "jupyter": {"source_hidden": True}},
        execution_count=1,
        outputs=[new_output("display_data", data={"text/html": "<b>set-up</b>"})],
    ),
    new_code_cell(
        "from mtl_tutorial.exercises import guess\n"
        "first = guess('Where does it end?', ['at 1', 'at 3'])\nfirst"
    ),
    new_code_cell(
        "first.compare('at 3')",
        execution_count=3,
        outputs=[new_output("stream", text="at 3 came out\n")],
    ),
    new_markdown_cell(
        "It ends **at 3**, as $\\frac{9}{3}$ says:\n\n$$\\sum_i \\theta_i$$\n\n- `x` is 3",
        metadata={"tags": ["answer"]},
    ),
    new_markdown_cell("## A widget\n\nThen comes [the next lesson](01_next.ipynb)."),
    new_code_cell(LINES, outputs=[new_output("display_data", data=STORED)]),
]


@pytest.fixture(scope="module")
def small_lab(request, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """The lab command in a checkout of its own, in git, with four times the small lesson."""
    names = ("00_answer", "01_next", "02_again", "03_run")
    root = make_checkout(tmp_path_factory.mktemp("small") / "course", *SMALL_LESSON, names=names)
    if shutil.which("git"):
        commit(root)
    words = getattr(request, "param", [])
    fonts = {"MPLCONFIGDIR": matplotlib.get_configdir()}
    with running_lab(root, "--no-browser", *words, **fonts) as lab:
        yield lab


def open_lesson(browser: Browser, lab: Lab, name: str) -> LessonPage:
    """Open a small lesson in a new page: the copy, where there is one."""
    root = lab.stderr.parent / "course"
    folder = next(filter(Path.exists, (root / "my_lessons", root / "notebooks")))
    page = LessonPage(new_page(browser), lab, folder / f"{name}.ipynb")
    page.open()
    return page


@pytest.mark.slow
def test_an_answer_is_not_shown_before_it_is_opened(browser: Browser, small_lab: Lab) -> None:
    page = open_lesson(browser, small_lab, "00_answer")
    answer, folded = page.page.locator("details"), page.page.locator("details p").first
    assert "set-up" in page.outputs_text() and "came out" not in page.outputs_text()
    assert not folded.is_visible()
    answer.locator("summary").click()
    wait_until(folded.is_visible, "the answer")
    assert answer.locator("strong").text_content() == "at 3"
    assert answer.locator("li code").text_content() == "x"
    wait_until(lambda: answer.locator("mjx-container").count() == 2, "two formulas")
    page.run_all()
    assert "At 3 came out" in page.outputs_text()
    assert page.complaints == []
    page.close()


def test_a_stored_picture_has_its_description_before_a_cell_is_run(
    browser: Browser, small_lab: Lab
) -> None:
    page = open_lesson(browser, small_lab, "03_run")
    picture = page.page.get_by_role("img", name=STILL.description, exact=True)
    wait_until(lambda: picture.count() == 1 and page.pictures() != [(0, 0)], "the picture")
    ((width, height),) = page.pictures()
    assert 600 < width <= 900 and height == pytest.approx(width * 4 / 9, abs=2)
    page.page.set_viewport_size({"width": 700, "height": 900})
    cell = page.page.locator(".jp-OutputArea-output:has(> .jp-RenderedHTML img), .jp-RenderedHTML")
    inside = "area => area.scrollWidth <= area.clientWidth"
    wait_until(lambda: cell.first.evaluate(inside), "a picture that is not cut")
    assert page.complaints == []
    page.close()


@pytest.mark.slow
def test_nothing_lies_over_a_lesson_and_its_links_lead_to_copies(
    browser: Browser, small_lab: Lab
) -> None:
    page = open_lesson(browser, small_lab, "03_run")
    page.run_cell(1)  # what JupyterLab has to say at its start, it has said by now
    assert page.page.locator(".jp-Dialog, .Toastify__toast, [role=alert]:visible").count() == 0
    names = page.page.locator(".jp-DirListing-itemText").all_text_contents()
    there = page.notebook.parent.iterdir()
    assert names == sorted(path.name for path in there if not path.name.startswith("."))
    page.page.locator("a:text-is('the next lesson')").click()
    tab = page.page.locator(".lm-TabBar-tab.lm-mod-current .lm-TabBar-tabLabel")
    wait_until(lambda: "01_next.ipynb" in tab.all_text_contents(), "the next lesson")
    page.close()


def test_a_lesson_that_is_opened_again_shows_its_widgets_without_being_run(
    browser: Browser, small_lab: Lab
) -> None:
    page = open_lesson(browser, small_lab, "02_again")
    for number in (1, 3):  # not every cell
        page.run_cell(number)
    view = page.view()
    view.slider("height").focus()
    view.sees_change(lambda: page.page.keyboard.press("ArrowRight"), "up to 4")
    picture = view.picture()
    page.page.locator("button:text-is('at 3')").click()
    for _ in range(2):  # the second time nothing is run before it is saved
        page.save()
        page.close()
        page = open_lesson(browser, small_lab, "02_again")
        wait_until(lambda: page.views() and page.view().picture(), "the picture")
        assert page.view().picture() == picture
        assert "up to 4" in page.view().sentence()
        assert page.page.locator("button.mod-active").text_content() == "at 3"
        assert [words for words in WITHOUT_WIDGET if words in page.outputs_text()] == []
    page.close()


@needs_git
@pytest.mark.slow
@pytest.mark.parametrize("small_lab", [[], ["--show"]], ids=["own copy", "show"], indirect=True)
def test_git_sees_nothing_of_a_lesson_that_was_run_and_saved(
    browser: Browser, small_lab: Lab
) -> None:
    page = open_lesson(browser, small_lab, "03_run")
    page.page.locator(".jp-InputPlaceholder, .jp-Placeholder").first.click()  # unfold the set-up
    page.run_all()
    assert page.view().picture()
    page.save()
    course = small_lab.stderr.parent / "course"  # the file beside it, while it saves, goes again
    wait_until(lambda: git(course, "status", "--porcelain") == "", "a clean checkout")
    draft = page.notebook.with_name(f".~{page.notebook.name}")
    wait_until(lambda: not draft.exists(), "a lesson that is saved")
    saved = nbformat.read(page.notebook, as_version=4)
    assert ("widgets" in saved.metadata) == (page.notebook.parent.name == "my_lessons")
    page.close()


@EVERY_LESSON
def test_a_lesson_shows_its_pictures_before_it_is_run(lesson: RunLesson) -> None:
    assert len(lesson.unrun_pictures) == lesson.committed_pictures >= 1
    assert all(width > 300 and height > 100 for width, height in lesson.unrun_pictures)
    assert [words for words in WITHOUT_WIDGET if words in lesson.unrun_text] == []


@EVERY_LESSON
def test_the_cells_of_a_widget_run_without_a_complaint(lesson: RunLesson) -> None:
    prompts = lesson.prompts()
    assert [prompts[number] for number in lesson.ran] == [
        f"[{count}]:" for count in range(1, 1 + len(lesson.ran))
    ]
    assert lesson.outputs("application/vnd.jupyter.error") == []
    assert lesson.outputs("application/vnd.jupyter.stderr") == []
    assert lesson.complaints == []


@EVERY_LESSON
def test_every_widget_of_a_lesson_shows_a_picture_and_a_sentence(lesson: RunLesson) -> None:
    assert lesson.views() or lesson.explorables()
    for explorable in lesson.explorables():
        panels = explorable.element.locator(".mtl-panels > svg:visible")
        assert panels.count() >= 1
        box = explorable.element.bounding_box()
        assert 600 < box["width"] <= 960 and box["height"] > 200
        assert len(explorable.sentence().split()) > 5
    for view in lesson.views():
        assert view.picture()
        box = view.image.bounding_box()
        assert 600 < box["width"] <= 900
        assert box["height"] > 200
        assert len(view.sentence().split()) > 5
    assert [words for words in WITHOUT_WIDGET if words in lesson.outputs_text()] == []


@EVERY_LESSON
def test_nothing_of_a_widget_stands_in_the_way_of_who_hears_or_types(lesson: RunLesson) -> None:
    """By the rules of axe-core, in what the cells with widgets show."""
    assert violations(lesson.page, ".jp-OutputArea-output") == []
    for view in lesson.views():
        assert view.image.get_attribute("alt").split()[:3]
        assert view.element.locator(".mtl-say:visible").get_attribute("aria-live") == "polite"


@EVERY_LESSON
def test_a_narrow_window_cuts_no_view_off(lesson: RunLesson) -> None:
    wide = lesson.page.viewport_size
    for width in (853, 720):  # 1280 pixels at 150 %; a side of the screen
        lesson.page.set_viewport_size({**wide, "width": width})
        for view in lesson.views():
            area = view.element.locator(
                "xpath=ancestor::*[contains(@class, 'jp-OutputArea-output')]"
            )
            cut = """area => [...area.querySelectorAll('img, label, button, p')].filter(node =>
                node.getBoundingClientRect().right > area.getBoundingClientRect().right + 1
            ).map(node => node.outerHTML.slice(0, 120))"""
            wait_until(lambda area=area: area.first.evaluate(cut) == [], f"all within {width} px")
    lesson.page.set_viewport_size(wide)


@EVERY_LESSON
def test_every_slider_is_reached_by_tab_and_moved_by_an_arrow(lesson: RunLesson) -> None:
    for view in lesson.views():
        unreached = view.element.locator("input[type=range]:enabled").count()
        view.element.locator("button").first.focus()
        for _ in range(10 + 3 * unreached):
            lesson.page.keyboard.press("Tab")
            focused = view.element.locator("label:has(input[type=range]:focus)")
            if focused.count():
                unreached -= 1
                value = focused.locator("output").text_content
                old, sentence = value(), view.sentence()
                handle = focused.locator("input")
                ends = [handle.input_value(), handle.get_attribute("max")]
                there, back = ("ArrowLeft", "ArrowRight")[:: 1 if ends[0] == ends[1] else -1]
                lesson.page.keyboard.press(there)
                wait_until(lambda: value() != old, f"another value than {old}")
                wait_until(lambda: view.sentence() != sentence, "a sentence on the new value")
                moved = view.sentence()
                lesson.page.keyboard.press(back)
                wait_until(lambda: value() == old, f"{old} again")
                wait_until(lambda: view.sentence() != moved, "a sentence on the old value")
        assert unreached == 0


@EVERY_LESSON
def test_every_handle_is_moved_by_an_arrow_and_brought_back(lesson: RunLesson) -> None:
    for shown in lesson.explorables():
        for grip in shown.element.locator(".mtl-grip").all():
            if not grip.is_visible():
                continue
            before, told = grip.get_attribute("transform"), shown.sentence()
            for key in ("ArrowLeft", "ArrowDown", "ArrowRight", "ArrowUp"):
                grip.press(key)
                lesson.page.wait_for_timeout(60)
                if grip.get_attribute("transform") != before:
                    break
            assert grip.get_attribute("transform") != before, grip.get_attribute("aria-label")
            shown.press("Undo")
            wait_until(lambda told=told: shown.sentence() == told, "the sentence of before")


@only("00_start_here")
def test_noise_and_kind_change_the_scenes_that_are_shown(lesson: RunLesson) -> None:
    view = lesson.view()
    view.slider("noise").focus()
    view.sees_change(lambda: lesson.page.keyboard.press("ArrowRight"), "Noise went from")
    view.sees_change(lambda: view.press("New scenes"))
    view.sees_change(lambda: view.press("two digits"), "left, right")
    view.sees_change(lambda: view.press("one located digit"))


@only("01_two_tasks_one_image")
def test_the_single_task_trainer_trains_the_network_that_is_chosen(lesson: RunLesson) -> None:
    view = lesson.view()
    view.sees_change(lambda: view.press("digit"), "digit network")
    steps = view.steps()
    view.press("Start")
    wait_until(lambda: view.steps() > steps, "steps of the digit network", PATIENCE)
    view.press("Pause")
    wait_until(lambda: lesson.kernel.training() == [], "a pause")
    view.sees_change(lambda: view.press("box"), "box network")


@only("03_cross_stitch")
def test_the_mixer_overrides_a_unit_and_brings_back_what_was_learned(lesson: RunLesson) -> None:
    view, label = lesson.view(), "unit 1: box takes of digit"

    def says(words: str) -> None:
        wait_until(lambda: words in view.sentence(), f"{words!r} in the sentence", PATIENCE)

    view.press("separate")
    says("Separate: every task sees its own encoder alone")
    wait_until(lambda: float(view.readout(label)) == 0, "a slider at 0")
    view.press("learned")
    says("The units are as they were learned")
    learned, picture = view.readout(label), view.still_picture()
    view.slider(label).focus()
    lesson.page.keyboard.press("ArrowRight")
    wait_until(lambda: view.readout(label) != learned, "another value")
    says(f"At unit 1 box takes {view.readout(label)} of digit's features (learned: {learned})")
    view.press("shared")
    says("Shared: every task takes half from each encoder")
    view.press("learned")
    says("The units are as they were learned")
    wait_until(lambda: view.picture() == picture, "the picture of before")
    assert view.readout(label) == learned
    view.sees_change(lambda: view.press("Next scene"), "On scene 2")


@only("04_attention_fusion")
def test_the_mask_viewer_shows_another_image_block_task_and_mask(lesson: RunLesson) -> None:
    view = lesson.view()
    view.sees_change(lambda: view.press("Next image"), "Image 2, block 1")
    assert view.sentence().startswith("Image 2, block 1")
    view.sees_change(lambda: view.press("block 3"), "block 3, channel 1 of 16")
    view.slider("channel").focus()
    view.sees_change(lambda: lesson.page.keyboard.press("ArrowRight"), "channel 2 of 16")
    view.press("flat")
    wait_until(lambda: "with flat masks" in view.sentence(), "a sentence on flat masks")


@only("05_multimodal_fusion")
def test_senses_fade_are_lost_and_can_be_heard(lesson: RunLesson) -> None:
    view = lesson.view()
    view.slider("noise on the image").focus()
    view.sees_change(lambda: lesson.page.keyboard.press("ArrowRight"), "Image with noise 0.55")
    view.sees_change(lambda: view.press("swapped"), "columns swapped")
    view.sees_change(lambda: view.press("its own weights"))
    view.sees_change(lambda: view.press("no sound"), "sound lost")
    view.sees_change(lambda: view.press("both senses"))
    player = view.element.locator("audio")
    ready = "audio => audio.duration"
    wait_until(lambda: abs((player.evaluate(ready) or 0) - 0.64) < 0.05, "a sound to play")
    address = player.get_attribute("src")
    view.sees_change(lambda: view.press("Another scene"))
    wait_until(lambda: player.get_attribute("src") != address, "another sound")


def start(page: LessonPage) -> None:
    """Start the tuner, and wait until it has drawn what it trains."""
    view = page.explorable()
    steps = view.steps()
    view.press("Start")
    wait_until(lambda: view.steps() > steps, "a training step", PATIENCE)
    assert page.kernel.training() == ["LossWeightTuner"]


def turn(page: LessonPage, move: Callable[[], None]) -> str:
    """Turn the weight of box while the tuner trains; give the weight once it has acted."""
    view = page.explorable()
    old, steps, drawn = view.readout("weight of box"), view.steps(), view.drawn()
    move()
    new = view.readout("weight of box")
    assert new != old
    wait_until(lambda: f"box {new}" in view.sentence(), f"weight {new} in the sentence", PATIENCE)
    wait_until(lambda: view.steps() > steps, "training that goes on", PATIENCE)
    assert view.drawn() > drawn
    return new


def test_the_weight_that_a_hand_turns_during_training_acts_on_it(tuner: LessonPage) -> None:
    view = tuner.explorable()
    start(tuner)

    def by_keyboard() -> None:
        view.slider("weight of box").focus()
        for _ in range(10):
            tuner.page.keyboard.press("ArrowRight")

    def by_mouse() -> None:
        handle = view.slider("weight of box")
        handle.scroll_into_view_if_needed()
        box = handle.bounding_box()
        y = box["y"] + box["height"] / 2
        tuner.page.mouse.move(box["x"] + box["width"] / 2, y)
        tuner.page.mouse.down()
        tuner.page.mouse.move(box["x"] + 0.8 * box["width"], y, steps=10)
        tuner.page.mouse.up()

    first = turn(tuner, by_keyboard)
    assert first == "3.16"
    second = turn(tuner, by_mouse)
    last = f"→ {second}"  # the table is drawn after the sentence
    wait_until(lambda: view.table()[0]["weight box"].endswith(last), "it in the table", PATIENCE)
    (run,) = view.table()
    assert run["weight digit"] == "1"
    assert run["weight box"].startswith(f"1 → {first} → ") or run["weight box"].startswith("1 → …")
    assert tuner.kernel.training() == ["LossWeightTuner"]
    assert tuner.complaints == []


@pytest.mark.slow
def test_the_tuner_pauses_steps_once_and_keeps_a_run_as_a_ghost(tuner: LessonPage) -> None:
    view = tuner.explorable()
    start(tuner)
    view.press("Pause")
    wait_until(lambda: tuner.kernel.training() == [], "a pause")
    paused = tuner.kernel.ask(STEPS_MADE)
    wait_until(lambda: view.steps() == paused, "the picture of the pause")
    assert tuner.kernel.load() < 0.2
    assert view.steps() == tuner.kernel.ask(STEPS_MADE) == paused

    view.sees_change(lambda: view.press("Step"))
    assert view.steps() == paused + 1
    assert tuner.kernel.training() == []

    view.sees_change(lambda: view.press("Reset"), "Step 0")
    assert view.steps() == 0
    start(tuner)
    wait_until(lambda: [run["run"] for run in view.table()] == ["1", "2"], "both runs", PATIENCE)
    assert view.table()[0]["steps"] == str(paused + 1)


@pytest.mark.slow
def test_running_the_cell_again_stops_the_tuner_that_trains(tuner: LessonPage) -> None:
    start(tuner)
    tuner.explorable().press("Pause")
    wait_until(lambda: tuner.kernel.training() == [], "a pause")
    start(tuner)  # by now clicks come in another thread of the kernel
    tuner.run_cell(len(tuner.prompts()) - 1)
    wait_until(lambda: tuner.kernel.training() == [], "the end of the first tuner")
    assert tuner.kernel.load() < 0.2
    start(tuner)
    assert tuner.complaints == []


@pytest.mark.slow
def test_a_tuner_that_nobody_watches_stops_and_goes_on_when_asked(tuner: LessonPage) -> None:
    start(tuner)
    tuner.save()
    tuner.page.goto("about:blank")
    wait_until(lambda: tuner.kernel.training() == [], "the end of the training")
    assert tuner.kernel.load() < 0.2
    tuner.open()
    wait_until(tuner.explorables, "the tuner on the page that was opened again", PATIENCE)
    assert "nobody seems to be watching" in tuner.explorable().sentence()
    tuner.explorable().press("Start")
    wait_until(lambda: tuner.explorable().steps() > 150, "training that goes on", PATIENCE)


@pytest.mark.slow
def test_a_restart_of_the_kernel_while_it_trains_leaves_no_process(tuner: LessonPage) -> None:
    home = Path(tuner.lab.env["HOME"])
    start(tuner)
    old, before = tuner.kernel.pid, len(processes_of(home))
    tuner.choose("Kernel", "Restart Kernel…")
    tuner.page.locator(".jp-Dialog button", has_text="Restart").click()
    wait_until(lambda: old not in processes_of(home), "the end of the old kernel", PATIENCE)
    wait_until(lambda: tuner.kernel.pid != old, "another kernel", PATIENCE)
    assert tuner.kernel.training() == []
    assert len(processes_of(home)) == before


@only("08_pcgrad")
def test_the_compass_is_dragged_and_the_race_is_run_again(lesson: RunLesson) -> None:
    compass, measured, race = lesson.explorables()
    compass.sees_change(lambda: compass.drag("tip of gradient 2", 60, 0))
    compass.sees_change(lambda: compass.press("Undo"), "(135°)")
    measured.slider("measured pair").focus()
    measured.sees_change(lambda: lesson.page.keyboard.press("ArrowRight"))
    race.sees_change(lambda: race.drag("start 3", -20, -20))
    race.sees_change(lambda: race.choose("optimizer", "gradient descent"), "of gradient descent")
