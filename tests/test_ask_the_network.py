"""A visitor asks the network: by hand, by keys, in words of their own; and Python reads along."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from explorable_page import ExplorablePage, chromium
from playwright.sync_api import Browser
from traitlets import TraitError

from mtl_tutorial.data.digits import load_small_digits
from mtl_tutorial.data.grammar import HELD_OUT, QUESTIONS, WORDS, asked_scenes, tokenize
from mtl_tutorial.experiments.asked import ask, asked_network, from_page
from mtl_tutorial.widgets.ask_the_network import TAKES, AskTheNetwork, shown_scenes

browser = pytest.fixture(scope="module")(chromium)


@pytest.fixture
def page(browser: Browser) -> Iterator[ExplorablePage]:
    """The explorable on a page, where nothing is complained about."""
    shown = ExplorablePage(
        browser.new_page(viewport={"width": 960, "height": 900}), AskTheNetwork()
    )
    yield shown
    shown.page.close()
    assert shown.complaints == []


def of_page(letters: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(letters), np.uint8)


def test_the_digits_of_the_page_are_ones_that_no_network_was_trained_on() -> None:
    pixels, labels = load_small_digits("validation")
    for digit, takes in enumerate(shown_scenes()["images"]):
        assert len(takes) == TAKES
        for take in takes:
            small = torch.from_numpy(of_page(take) / 255 * 16).round().view(8, 8)
            found = (pixels == small).all((1, 2)).nonzero()[:, 0]
            assert labels[found].tolist() == [digit]


def test_the_sounds_of_the_page_are_the_packages() -> None:
    columns = asked_scenes("validation").compose.columns
    for digit, takes in enumerate(shown_scenes()["sounds"]):
        for k, take in enumerate(takes):
            sound = torch.from_numpy(of_page(take) / 100 - 1).view(32, 8).float()
            assert torch.allclose(sound, columns[digit, 2 * k, k], atol=0.006)


def test_the_page_answers_what_python_answers(page: ExplorablePage) -> None:
    widget = AskTheNetwork()
    model, scenes = from_page(widget.network), widget.scenes
    image = torch.zeros(16, 16)
    image[4:12, 4:12] = torch.from_numpy(of_page(scenes["images"][7][0]) / 255).view(8, 8)
    sound = torch.from_numpy(of_page(scenes["sounds"][5][0]) / 100 - 1).view(32, 8).float()
    for question in QUESTIONS[::4]:
        page.set(question=question.text)
        found = ask(model, image, sound, question.text)
        share, best = found["logits"].softmax(0).max(0)
        if question.kind != "where":
            answer = widget.network["answers"][best]
            assert f"it answers “{answer}” ({100 * share:.0f}%)" in page.sentence


def test_every_question_of_the_grammar_can_be_chosen_and_the_untrained_are_marked(page) -> None:
    options = page.page.locator("option")
    marked = [o.removesuffix(" (never trained)") for o in options.all_inner_texts()]
    assert marked == [question.text for question in QUESTIONS]
    untrained = [o for o in options.all_inner_texts() if o.endswith("(never trained)")]
    assert len(untrained) == len(HELD_OUT)
    page.page.locator("select").select_option("is heard even")
    page.settle()
    assert page.state["question"] == "is heard even"
    assert page.page.get_by_text("never asked in training", exact=True).count() == 1
    page.click("Undo")
    assert page.state["question"] == "which is seen plus heard"


def test_a_typed_question_is_answered_and_a_strange_word_is_named(page: ExplorablePage) -> None:
    field = page.page.get_by_label("or type one")
    field.fill("Where is seen?")
    page.settle()
    assert page.state["question"] == "where is seen"
    assert "it answers a box" in page.sentence
    field.fill("is seen a dog")
    page.settle()
    assert "it answers a box" in page.sentence  # not before the question is finished
    field.press("Enter")
    assert page.sentence == (
        f"The network does not know the word “a”. It knows: {', '.join(WORDS[1:])}."
    )
    assert page.state["question"] == "where is seen"
    field.fill("seen " * 8)
    field.press("Enter")
    assert page.sentence == "A question has 1 to 7 words; this one has 8."


def test_words_are_chosen_by_hovering_and_by_arrow_keys(page: ExplorablePage) -> None:
    page.page.get_by_role("button", name="seen", exact=True).hover()
    page.settle()
    assert page.state["word"] == 3 and "the word “seen” looks at the image" in page.sentence
    page.page.get_by_role("button", name="the answer").focus()
    for pressed, word in (("ArrowRight", 1), ("ArrowRight", 2), ("ArrowLeft", 1)):
        page.page.keyboard.press(pressed)
        page.settle()
        assert page.state["word"] == word
    for _ in range(9):  # to the last word and no further
        page.page.keyboard.press("ArrowRight")
    page.settle()
    assert page.state["word"] == 5 and "the word “heard”" in page.sentence


def test_who_looks_is_what_python_finds(page: ExplorablePage) -> None:
    widget = AskTheNetwork()
    image = torch.zeros(16, 16)
    image[4:12, 4:12] = torch.from_numpy(of_page(widget.scenes["images"][7][0]) / 255).view(8, 8)
    sound = torch.from_numpy(of_page(widget.scenes["sounds"][5][0]) / 100 - 1).view(32, 8)
    looks = ask(from_page(widget.network), image, sound.float(), widget.question)["looks"]
    for block, word in ((1, 5), (2, 0)):
        page.set(block=block, word=word)
        row = looks[block - 1].mean(0)[24 + word if word else 0]
        shares = [f"{100 * part.sum():.0f}%" for part in (row[1:17], row[17:25], row[25:])]
        assert (
            "image with {}, at the sound with {}, at words with {}.".format(*shares)
            in page.sentence
        )


def test_a_drawn_digit_is_seen(page: ExplorablePage) -> None:
    page.set(question="which is seen")
    sheet = page.page.locator("rect[style*=crosshair]").bounding_box()
    before = page.page.locator("svg").first.inner_html()
    mouse = page.page.mouse
    mouse.move(sheet["x"] + 60, sheet["y"] + 20)
    mouse.down()
    mouse.move(sheet["x"] + 60, sheet["y"] + 120, steps=5)
    mouse.up()
    page.settle()
    (stroke,) = page.state["strokes"]
    assert len(stroke) == 6 and "what you draw counts as 7" in page.sentence
    assert page.page.locator("svg").first.inner_html() != before
    page.click("Clear the drawing")
    assert page.state["strokes"] == [] and "7 is seen" in page.sentence
    page.click("Undo")
    assert page.state["strokes"] == [stroke]


def test_a_box_is_drawn_where_a_place_is_asked_for_alone(page: ExplorablePage) -> None:
    frames = page.page.locator("svg").first.locator("path[stroke-width='3']")
    drawn = "paths => paths.map((path) => path.getAttribute('d').length > 0)"
    assert frames.evaluate_all(drawn) == [False, False]
    page.set(question="where is seen")
    assert frames.evaluate_all(drawn) == [True, True]


def test_a_sound_is_heard_at_a_click_and_not_before(page: ExplorablePage) -> None:
    page.page.evaluate("""() => {
        window.played = [];
        const own = OscillatorNode.prototype.start;
        OscillatorNode.prototype.start = function (at) {
            window.played.push(this.frequency.value); own.call(this, at);
        };
    }""")
    page.set(heard=1)
    assert page.page.evaluate("played") == []
    page.click("Hear it")
    assert page.page.evaluate("played") == [697, 1209, 120]


def test_a_lesson_keeps_no_copy_of_the_network() -> None:
    widget = AskTheNetwork()
    kept = AskTheNetwork.kept(widget.get_state())
    assert set(kept) == {
        *("question", "seen", "heard", "take", "place", "strokes", "word", "block")
    }
    own = AskTheNetwork(asked_network())
    assert "network" in AskTheNetwork.kept(own.get_state())


def test_python_sets_a_question_as_it_would_be_written() -> None:
    widget = AskTheNetwork(question="Is seen  EVEN?")
    assert widget.question == "is seen even"
    assert tokenize(widget.question)[:3] == [WORDS.index(w) for w in ("is", "seen", "even")]


def test_a_digit_that_is_dragged_stands_on_whole_pixels_at_the_end(page: ExplorablePage) -> None:
    (grip,) = page.grips()
    page.drag(grip, 33, 0, hold=True)
    held = page.state["place"]
    page.page.mouse.up()
    page.settle()
    assert page.state["place"] == [round(held[0]), 4] and held[0] > 5
    assert "between the nine places of training" in page.sentence


@pytest.mark.parametrize(
    "state", [{"question": "which · seen"}, {"question": "· seen"}, {"strokes": [[]]}]
)
def test_the_mark_of_no_word_and_a_stroke_without_a_point_are_refused(state) -> None:
    with pytest.raises(TraitError, match="stands for no word|at least 1 point"):
        AskTheNetwork(**state)
