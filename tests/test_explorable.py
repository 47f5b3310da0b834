"""Every explorable answers to pointer, keys and Python, on a bare page as in a notebook."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import pandas as pd
import pytest
import torch
import traitlets
from explorable_page import ExplorablePage, chromium, plain_state, violations
from label_cases import made_up
from playwright.sync_api import Browser
from result_cases import flown

from mtl_tutorial.architectures import ConvEncoder, HardSharing
from mtl_tutorial.data import located_digits
from mtl_tutorial.data.questions import BOX, DIGIT
from mtl_tutorial.experiments.units import Snapshot
from mtl_tutorial.measuring import evaluate
from mtl_tutorial.widgets.ask_the_network import AskTheNetwork
from mtl_tutorial.widgets.draw_a_digit import DrawADigit, packed, trained_network
from mtl_tutorial.widgets.explorable import Explorable
from mtl_tutorial.widgets.flight_recorder import FlightRecorder
from mtl_tutorial.widgets.gate_viewer import GateViewer
from mtl_tutorial.widgets.gradient_compass import GradientCompass
from mtl_tutorial.widgets.label_dial import LabelDial
from mtl_tutorial.widgets.landscape_race import LandscapeRace
from mtl_tutorial.widgets.loss_scale_mixer import LossScaleMixer
from mtl_tutorial.widgets.luck_machine import LuckMachine
from mtl_tutorial.widgets.pareto_explorer import ParetoExplorer
from mtl_tutorial.widgets.relatedness_lab import RelatednessLab
from mtl_tutorial.widgets.uncertainty_bowl import UncertaintyBowl

browser = pytest.fixture(scope="module")(chromium)

SNAPSHOT = Snapshot(
    (DIGIT, BOX),
    {"digit": 2.0, "box": 0.01},
    {"digit": 0.7, "box": 0.2},
    {"digit": 2.3, "box": 0.04},
)
NEEDLES = [(1.0, 0.5, -0.3), (0.2, 0.6, 0.4)]
LEADS = pd.DataFrame({"pcgrad": [0.01, 0.03, 0.02, 0.01], "mgda": [0.02, -0.01, 0.0, 0.01],
                      "fixed": [0.0] * 4}, index=[1010, 1011, 1012, 1013])  # fmt: skip
SEVEN = [[[8, 6], [20, 6], [12, 22]]]
MAKE: dict[str, Callable[[], Explorable]] = {
    "compass": lambda: GradientCompass(needles=NEEDLES),
    "race": lambda: LandscapeRace(steps=100),
    "pareto": ParetoExplorer,
    "bowl": lambda: UncertaintyBowl((DIGIT, BOX), (2.3, 0.02)),
    "mixer": lambda: LossScaleMixer(SNAPSHOT),
    "lab": RelatednessLab,
    "flight": lambda: FlightRecorder(
        [flown("equal", epochs=40), flown("mgda", 1, epochs=40)], "equal"
    ),
    "luck": LuckMachine,
    "real": lambda: LuckMachine(LEADS, table="the real table"),
    "digit": lambda: DrawADigit(strokes=SEVEN),
    "gates": GateViewer,
    "dial": lambda: LabelDial(helpers=["mask"], runs=made_up()),
    "ask": AskTheNetwork,
}
EVERY = pytest.mark.parametrize("name", MAKE)


@pytest.fixture
def show(browser: Browser) -> Iterator[Callable[..., ExplorablePage]]:
    """Give a function that shows a widget; at the end nothing was complained about."""
    pages = []

    def shown(widget: Explorable, width: int = 960, **options) -> ExplorablePage:
        size = {"width": width, "height": 900}
        pages.append(ExplorablePage(browser.new_page(viewport=size, **options), widget))
        return pages[-1]

    yield shown
    for page in pages:
        page.page.close()
    assert [line for page in pages for line in page.complaints] == []


@EVERY
def test_a_hand_moves_every_handle_and_undo_takes_it_back(show, name) -> None:
    page = show(MAKE[name]())
    for grip in page.grips():
        before, said = page.state, page.sentence
        page.drag(grip, -14, 9)
        if page.state == before:  # a handle that can only go the other way from here
            page.drag(grip, 14, -9)
        assert page.state != before, grip.get_attribute("aria-label")
        page.click("Undo")
        assert page.state == before and page.sentence == said


@EVERY
def test_arrow_keys_move_every_handle_and_undo_takes_it_back(show, name) -> None:
    page = show(MAKE[name]())
    for grip in page.grips():
        before, words = page.state, grip.get_attribute("aria-valuetext")
        for key in ("ArrowLeft", "ArrowUp", "ArrowRight", "ArrowDown"):
            grip.press(key)
            page.settle()
            if page.state != before:
                break
        assert page.state != before, grip.get_attribute("aria-label")
        assert grip.get_attribute("aria-valuetext") != words
        page.click("Undo")
        assert page.state == before


@EVERY
def test_every_slider_acts_and_says_its_value(show, name) -> None:
    page = show(MAKE[name]())
    for slider in page.page.locator("input[type=range]").all():
        if not slider.is_visible():
            continue
        before, words = page.state, slider.get_attribute("aria-valuetext")
        slider.focus()
        page.page.keyboard.press("ArrowLeft")
        page.settle()
        if page.state == before:
            page.page.keyboard.press("ArrowRight")
            page.settle()
        assert page.state != before
        assert slider.get_attribute("aria-valuetext") != words
        page.click("As it was")


@EVERY
def test_what_python_sets_is_drawn(show, name) -> None:
    page = show(MAKE[name]())
    drawn = int(page.page.locator(".mtl").get_attribute("data-drawn"))
    for trait, value in page.state.items():
        if isinstance(value, bool):
            page.set(**{trait: not value})
            page.set(**{trait: value})
        elif isinstance(value, (int, float)):
            page.set(**{trait: value + 1e-3})
        elif trait == "units":
            page.set(**{trait: [2 * unit for unit in value]})
    assert int(page.page.locator(".mtl").get_attribute("data-drawn")) > drawn


@EVERY
@pytest.mark.parametrize("dark", [False, True])
def test_nothing_stands_in_the_way_of_who_hears_or_types(show, name, dark) -> None:
    page = show(MAKE[name]())
    if dark:
        page.page.add_style_tag(
            content="body { color: #eee; background: #111; --jp-content-font-color1: #eee;"
            " --jp-layout-color0: #111; color-scheme: dark }"
        )
    assert violations(page.page, colours=dark or None) == []
    assert page.page.locator(".mtl-say").get_attribute("aria-live") == "polite"


@EVERY
def test_a_narrow_window_cuts_nothing_off(show, name) -> None:
    page = show(MAKE[name](), width=360)
    assert page.page.evaluate("document.documentElement.scrollWidth") <= 360
    for grip in page.grips():
        box = grip.bounding_box()
        assert box["width"] >= 30 and box["height"] >= 30


@EVERY
def test_a_finger_drags_what_a_pointer_drags(show, name) -> None:
    page = show(MAKE[name](), width=400, has_touch=True, is_mobile=True)
    for grip in page.grips():
        grip.scroll_into_view_if_needed()
        before, box = page.state, grip.bounding_box()
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        touch = page.page.context.new_cdp_session(page.page)
        for way in (-12, 12):
            for kind, points in (
                ("touchStart", [{"x": x, "y": y}]),
                ("touchMove", [{"x": x + way, "y": y + way}]),
                ("touchEnd", []),
            ):
                touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
                page.settle()
            if page.state != before:
                break
        assert page.state != before, grip.get_attribute("aria-label")
        page.set(**before)


@EVERY
def test_a_picture_that_is_taken_away_listens_no_more(show, name) -> None:
    page = show(MAKE[name]())
    page.page.evaluate("end()")
    heard = page.page.evaluate("Object.values(model.listeners).flat().length")
    assert heard == 0


@EVERY
def test_a_notebook_keeps_words_for_who_has_no_browser(name) -> None:
    data, _ = MAKE[name]()._repr_mimebundle_()
    assert data["text/plain"].endswith("drawn in the browser")
    assert "application/vnd.jupyter.widget-view+json" in data


@pytest.mark.parametrize(
    ("name", "state", "words"),
    [
        ("compass", {}, "g₁ and g₂ conflict (135°). sum hurts task 1, PCGrad hurts nobody"),
        ("compass", {"g2": [0.5, 0.8]}, "do not conflict (58°)"),
        ("compass", {"third": True, "g3": [0, -2.5], "methods": ["MGDA"]}, "MGDA hurts nobody."),
        ("compass", {"needle": 1}, "g₁ and g₂ conflict (107°)"),
        ("race", {}, "After 100 steps of Adam, rate 0.1"),
        ("race", {"starts": [[9, 9]], "steps": 5000}, "sum 1 of 1 (after "),
        ("pareto", {"distance": 0.9}, "0.90 apart: no part of the front is out"),
        ("pareto", {"distance": 2.3}, "all of the front but its ends is out"),
        ("bowl", {}, "1 / (2 · 0.02) = 25"),
        ("bowl", {"losses": [2.3, 0.2]}, "1 / (2 · 0.2) = 2.5"),
        ("mixer", {"units": [1, 100]}, "box × 100"),
        ("lab", {"angle": 45}, "At 45° joint training helps task 1: error "),
        ("flight", {}, "Epoch 40 of equal weights, seed 0: left and right pull apart in linear"),
        ("flight", {"epoch": 1, "method": "MGDA"}, "Epoch 1 of MGDA, seed 1:"),
        ("flight", {"beside": "MGDA"}, "Epoch 40 of MGDA, seed 1:"),
        ("luck", {"number": 40}, "Of 40 tables, 14 have a find at p < 0.05 and 2 with Holm's"),
        ("luck", {"number": 50, "again": True}, "when it is run again with new seeds: means of 50"),
        ("luck", {"gain": 3, "correct": True}, "Method 1 truly gains 3.00 spreads, and is found"),
        ("real", {}, "2 tests over 4 seeds, each at p < 0.05: told apart: PCGrad"),
        ("real", {"left_out": [0, 3], "correct": True}, "over 2 seeds, with Holm's correction: n"),
        ("real", {"opponents": ["PCGrad"]}, "1 tests over 4 seeds, each at p < 0.05: nothing is"),
        ("digit", {}, "Digit: 7"),
        ("gates", {}, "Teachers at cosine 0.50. The first task's gate gives expert 3 most, 1.00"),
        ("gates", {"correlation": 0.97}, "Teachers at cosine 1.00."),
        ("gates", {"x": [0, 0]}, "The first task's gate gives all experts the same, 0.25: the"),
        ("gates", {"gate": "one gate"}, "All around, the two gates overlap by 1.00."),
        ("dial", {}, "The box from 30 labels, 200 steps. Alone: mean IoU 0.47 (0.46 to 0.48)."),
        ("dial", {}, "With mask: 0.37 (0.36 to 0.38), 0.10 less, and more in 0 of 3 seeds."),
        ("dial", {"labels": 100}, "With mask: 0.47 (0.46 to 0.48), 0.10 less"),
        ("dial", {"labels": 100}, "Alone, that takes 30 labels."),
        ("dial", {"helpers": []}, "Tick a helper"),
        ("dial", {"helpers": ["mask", "speaker"]}, "With mask: 0.37"),
        ("dial", {"moment": "weight and stop chosen"}, "0.48 (0.47 to 0.49), the same"),
        ("dial", {"task": "digit", "labels": 10}, "The digit from 30 labels"),
        ("ask", {}, "Asked “which is seen plus heard”, as in training, it answers “"),
        ("ask", {"question": "is heard even"}, "is heard even”, which was never asked in training"),
        ("ask", {"question": "plus the"}, "no question of the grammar, it answers"),
        ("ask", {"question": "where is seen"}, "it answers a box that shares "),
        ("ask", {"strokes": [[[1, 1]]], "seen": 1}, "what you draw counts as 1 and 5 is heard"),
        ("ask", {"place": [5, 4]}, "between the nine places of training"),
        ("ask", {"word": 3, "block": 1}, "In block 1 the word “seen” looks at the image with "),
        ("ask", {"word": 1}, "In block 2 (too late for the answer: see block 1) the word “which”"),
    ],
)  # fmt: skip
def test_the_sentence_says_what_is_seen(show, name, state, words) -> None:
    page = show(MAKE[name]())
    page.set(**state)
    assert words in page.sentence


@pytest.mark.parametrize(
    ("name", "traits"),
    [
        ("compass", {"g1": [0, 0], "g2": [0, 0]}),
        ("compass", {"g1": [2.6, 2.6], "g2": [-2.6, -2.6], "parts": True}),
        ("compass", {"methods": []}),
        ("race", {"rate": 0.5, "weight": 0.95, "shown": 0}),
        ("race", {"starts": [[-13, -13], [11, 11], [0, 0]], "optimizer": "gradient descent"}),
        *(("pareto", {"distance": d, "weight": w, "rule": rule})
          for d in (0.6, 2.4) for w in (0.05, 0.95) for rule in ("weighted sum", "min-max")),
        ("bowl", {"losses": [0.001, 10], "start": [-8, 4], "rate": 1}),
        ("mixer", {"units": [1e-3, 1e3]}),
        ("lab", {"angle": 0, "samples": [15, 15], "noise": 2}),
        ("lab", {"angle": 180, "samples": [15, 120], "noise": 0.1}),
        ("flight", {"epoch": 1e6, "seed": "7", "pair": "none", "runs": "other runs"}),
        ("luck", {"methods": 1, "seeds": 30, "gain": 3, "number": 300}),
        ("real", {"left_out": [0, 1, 2, 3]}),
        ("real", {"opponents": ["PCGrad", "MGDA", "tuned weighted sum"]}),
        ("gates", {"x": [0, 0], "correlation": 0}),
        ("gates", {"x": [-2.2, 2.2], "correlation": 1, "gate": "one gate", "task": "second"}),
        ("digit", {"strokes": []}),
        ("dial", {"labels": 10, "helpers": ["digit", "mask"]}),
        ("dial", {"labels": 1000, "task": "digit", "helpers": ["box", "speaker"]}),
        ("dial", {"own": [{"task": "box", "labels": 60, "helpers": ["mask"], "value": 0.5}]}),
        ("digit", {"strokes": [[[0, 0]], [[28, 28], [0, 28]]], "thickness": 5, "mask": True}),
        ("ask", {"seen": 0, "heard": 0, "take": 2, "place": [0, 8], "block": 12, "word": 7}),
        ("ask", {"seen": 9, "heard": 9, "place": [8, 0], "question": "where is seen", "word": 1}),
        ("ask", {"strokes": [[[0, 0]], [[8, 8], [0, 8]]], "question": "seen seen seen"}),
    ],
)  # fmt: skip
def test_the_ends_of_every_state_are_drawn(show, name, traits) -> None:
    page = show(MAKE[name]())
    page.set(**traits)
    assert "NaN" not in page.page.locator(".mtl-panels").inner_html()
    assert "NaN" not in page.sentence and "undefined" not in page.sentence


@pytest.mark.parametrize(
    ("name", "trait", "value", "told"),
    [
        ("compass", "g1", [9, 0], "g1 must be two numbers from -2.6 to 2.6"),
        ("compass", "g1", [math.nan, 0], "g1 must be two numbers"),
        ("compass", "g2", "up", "g2 must be two numbers"),
        ("compass", "methods", ["pcgrad"], "methods must be of 'sum', .*, got 'pcgrad'"),
        ("race", "rate", 0, "rate must be from 0.001 to 0.5, got 0"),
        ("race", "rate", math.inf, "rate must be from 0.001 to 0.5, got inf"),
        ("race", "rate", "fast", "rate must be a number, got 'fast'"),
        ("race", "optimizer", "SGD", "optimizer must be one of 'Adam', .*, got 'SGD'"),
        ("race", "starts", [], "starts must be 1 to 8 points, got 0"),
        ("race", "starts", [[99, 0]], "start 1 must be two numbers from -13 to 11"),
        ("pareto", "distance", 9, "distance must be from 0.6 to 2.4, got 9"),
        ("pareto", "rule", "max-min", "rule must be one of 'weighted sum', 'min-max'"),
        ("bowl", "losses", [2.3, 0], "losses must be 2 numbers from 0.001 to 10"),
        ("bowl", "losses", [2.3], "losses must be 2 numbers"),
        ("mixer", "units", [], "units must be 2 numbers from 0.001 to 1000"),
        ("lab", "samples", [5, 60], "samples must be 2 numbers from 15 to 120"),
        ("lab", "noise", True, "noise must be a number, got True"),
        ("flight", "epoch", 0, "epoch must be from 1 to"),
        ("flight", "method", "SGD", "method must be one of 'equal weights', 'MGDA', got 'SGD'"),
        ("flight", "beside", "SGD", "beside must be one of 'nothing', 'equal weights', .*'SGD'"),
        ("flight", "seed", 3, "seed must be one of '0', '1', got '3'"),
        ("luck", "seeds", 2, "seeds must be from 3 to 30, got 2"),
        ("real", "left_out", [9], "seeds left out must be among 0, 1, 2, 3, got 9"),
        ("real", "opponents", ["SGD"], "methods left out must be among PCGrad, .*, got 'SGD'"),
        ("digit", "strokes", [[[50, 0]]], "a point of stroke 1 must be two numbers from 0 to 28"),
        ("dial", "labels", 5, "labels must be from 10 to 1000, got 5"),
        ("dial", "helpers", ["luck"], "helpers must be one of 'digit', .*, got 'luck'"),
        ("dial", "task", "sum", "task must be one of 'digit', 'box', got 'sum'"),
        ("dial", "task", "match", "task must be one of 'digit', 'box', got 'match'"),
        ("digit", "thickness", 9, "thickness must be from 1 to 5, got 9"),
        ("gates", "correlation", -1, "correlation must be from 0 to 1, got -1"),
        ("gates", "x", [3, 0], "x must be two numbers from -2.2 to 2.2"),
        ("gates", "x", None, "x must be two numbers from -2.2 to 2.2, got None"),
        ("gates", "gate", "two gates", "gate must be one of 'a gate a task', 'one gate', got"),
        ("ask", "question", "is it raining", "word must be one of .*'which'.*, got 'it'"),
        ("ask", "question", "is " * 8, "a question must have at most 7 words, got 8"),
        ("ask", "question", " ? ", "a question must have at least 1 word, got ' \\? '"),
        ("ask", "seen", 10, "seen must be from 0 to 9, got 10"),
        ("ask", "place", [4], "place must be 2 numbers from 0 to 8, got"),
        ("ask", "strokes", [[[9, 0]]], "a point of stroke 1 must be two numbers from 0 to 8"),
    ],
)
def test_a_state_that_can_not_be_is_refused(name, trait, value, told) -> None:
    widget = MAKE[name]()
    before = getattr(widget, trait)
    with pytest.raises(traitlets.TraitError, match=told):
        setattr(widget, trait, value)
    assert getattr(widget, trait) == before


@pytest.mark.parametrize(
    ("run", "told"),
    [
        (("match", 60, ["digit"], 0.5), "task must be one of 'digit', 'box', got 'match'"),
        (("box", 5, ["mask"], 0.5), "labels must be from 10 to 1000, got 5"),
        (("box", 60, ["speaker"], 0.5), "helpers of 'box' must be one of 'digit', 'mask', got"),
        (("box", 60, "mask", math.nan), "value must be from 0 to 1, got nan"),
    ],
)
def test_a_run_that_can_not_be_is_not_placed_and_the_dial_stays(run, told) -> None:
    dial = MAKE["dial"]()
    before = plain_state(dial)
    with pytest.raises(traitlets.TraitError, match=told):
        dial.place(*run)
    assert plain_state(dial) == before


def test_a_name_that_an_explorable_does_not_have_is_refused_and_any_number_is_one() -> None:
    with pytest.raises(TypeError, match="RelatednessLab has no 'noize'"):
        Explorable.__init__(RelatednessLab.__new__(RelatednessLab), noize=1)
    dial = MAKE["dial"]()
    dial.labels = torch.tensor([60]).numpy()[0]
    assert dial.labels == 60.0
    with pytest.raises(traitlets.TraitError, match="helpers must be one of .*, got 5"):
        dial.helpers = 5


def test_a_dial_takes_one_helper_by_its_name_and_says_which_runs_it_lacks() -> None:
    dial, runs = LabelDial(helpers="mask", runs=made_up()), made_up()
    dial.place("digit", 60, "box", 0.5)
    assert dial.helpers == ["box"] and LabelDial(helpers=None, runs=runs).helpers == []
    with pytest.raises(ValueError, match="runs must be of 'digit', 'box', 'match', got none"):
        LabelDial(runs=runs[:0])
    with pytest.raises(ValueError, match="runs of 'box' must have each company, and lack 'alone'"):
        LabelDial(runs=runs[(runs["task"] != "box") | (runs["helpers"] != "alone")])


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: GradientCompass(angle=400), "angle must be a number from 0 to 180, got 400"),
        (lambda: GradientCompass(length=0), "length must be a number from 0.1 to 2.5, got 0"),
        (lambda: GradientCompass(needles=[(1, 2)]), r"a needle is two lengths .* got \(1.0, 2.0\)"),
        (lambda: GradientCompass(needles=[(1, 2, 3)]), "and a cosine from -1 to 1"),
        (lambda: RelatednessLab(samples=(20, 500)), "samples of task 2 must be"),
        (
            lambda: UncertaintyBowl(located_digits("train").tasks, (1, 1, 1)),
            "tasks must be two, got 3",
        ),
        (lambda: LuckMachine(LEADS[:1]), "two seeds or more and no gap, got 1 seeds"),
        (lambda: LuckMachine(LEADS.where(LEADS > 0)), "leave methods out that lack a seed"),
    ],
)
def test_a_start_that_can_not_be_is_refused(make, told) -> None:
    with pytest.raises(ValueError, match=told):
        make()


def test_the_network_of_the_page_is_that_of_python() -> None:
    model = trained_network()
    found = packed(model)
    widget = DrawADigit()
    assert (found["width"], found["tasks"], found["numbers"]) == (
        widget.width,
        widget.tasks,
        widget.numbers,
    )
    unseen = located_digits("validation").draw(256, torch.Generator().manual_seed(0))
    scores = evaluate(model, located_digits("validation").tasks, unseen)
    assert scores["digit"].metric > 0.3 and scores["box"].metric > 0.6


def test_a_network_of_ones_own_answers_in_the_page(show) -> None:
    tasks = located_digits("train").tasks
    page = show(DrawADigit(HardSharing(ConvEncoder(4), tasks), strokes=SEVEN))
    assert page.sentence.startswith("Digit: ")


def test_colab_is_told_which_manager_draws_an_explorable(monkeypatch) -> None:
    manager = "https://colab.test/manager.js"
    colab = SimpleNamespace(
        enable_custom_widget_manager=lambda: None, _widgets=SimpleNamespace(_installed_url=manager)
    )
    monkeypatch.setitem(sys.modules, "google.colab.output", colab)
    _, metadata = ParetoExplorer()._repr_mimebundle_()
    assert metadata["application/vnd.jupyter.widget-view+json"]["colab"] == {
        "custom_widget_manager": {"url": manager}
    }


ELSEWHERE = """<!DOCTYPE html><html lang="en"><style>:root { %s }</style><body><div></div><script>
window.errors = [];
onerror = (message) => { errors.push(String(message)); };
onunhandledrejection = (event) => { errors.push(String(event.reason)); };
window.show = async (text, values) => {
    const given = { get: (name) => values[name], set(name, value) { values[name] = value; },
        on() {}, off() {}, send() {}, save_changes() {} };
    const model = new Proxy(given, { get(own, name) {
        if (!(name in own)) throw new Error("no host promises model." + String(name));
        return own[name];
    } });
    const url = URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
    const { default: widget } = await import(url);
    URL.revokeObjectURL(url);
    return typeof widget.render({ model, el: document.querySelector("div"), signal: null });
};
</script></body></html>"""
DARK = "--vscode-editor-foreground: #d4d4d4; --vscode-editor-background: #1e1e1e;"


@EVERY
def test_a_frame_of_another_origin_and_the_promised_model_are_enough(browser, name) -> None:
    """What VS Code and Colab have in common: their outputs are such frames, and their hosts give a
    model that gets, sets, saves, sends and is listened to, as anywidget documents, and no more."""
    widget = MAKE[name]()
    page = browser.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.set_content(
        "<!DOCTYPE html><iframe sandbox='allow-scripts' width=900 height=700></iframe>"
    )
    page.evaluate("html => { document.querySelector('iframe').srcdoc = html; }", ELSEWHERE % DARK)
    frame = page.frames[-1]
    frame.wait_for_function("window.show !== undefined")
    state = plain_state(widget)
    assert (
        frame.evaluate("([text, state]) => show(text, state)", [widget._esm, state]) == "function"
    )
    assert frame.locator(".mtl-say").inner_text()
    colour = frame.evaluate("getComputedStyle(document.querySelector('.mtl')).backgroundColor")
    assert colour == "rgb(30, 30, 30)"
    assert frame.evaluate("errors") == []
    assert [url for url in asked if url.startswith("http")] == []
    page.close()
