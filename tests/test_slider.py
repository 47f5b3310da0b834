"""A slider of a view has a name and bounds, in Python and on the page."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import traitlets
from axe_playwright_python.sync_playwright import Axe
from explorable_page import ExplorablePage, chromium
from playwright.sync_api import Browser

from mtl_tutorial.widgets.slider import Slider

browser = pytest.fixture(scope="module")(chromium)


def noise() -> Slider:
    return Slider("noise", 0.5, min=0, max=2, step=0.05)


def sizes() -> Slider:
    return Slider("size, px", (14, 22), min=8, max=28)


@pytest.fixture
def show(browser: Browser) -> Iterator[Callable[..., ExplorablePage]]:
    """Give a function that shows a slider on a page without a kernel."""
    pages = []

    def shown(slider: Slider, width: int = 600) -> ExplorablePage:
        sheet = browser.new_page(viewport={"width": width, "height": 300})
        pages.append(ExplorablePage(sheet, slider))
        return pages[-1]

    yield shown
    for page in pages:
        page.page.close()
    assert [line for page in pages for line in page.complaints] == []


def test_numbers_are_whole_where_the_step_is() -> None:
    image = Slider("image", np.int64(3), min=1, max=9)
    assert (image.value, type(image.value)) == (3, int)
    half = noise()
    half.value = 1  # as a page sends it
    assert (half.value, type(half.value)) == (1.0, float)
    ends = sizes()
    ends.value = [9, 12]
    assert ends.value == (9, 12)


@pytest.mark.parametrize(
    ("value", "wanted"),
    [(2.5, "a number from 0 to 2, got 2.5"), ("1", "a number"), (True, "a number"),
     (math.nan, "got nan"), (None, "got None"), ((0, 1), "a number from 0 to 2, got (0, 1)")],
)  # fmt: skip
def test_a_number_that_can_not_be_is_refused_in_a_sentence(value, wanted) -> None:
    slider = noise()
    with pytest.raises(traitlets.TraitError) as refused:
        slider.value = value
    assert str(refused.value).startswith("noise must be a number from 0 to 2, got ")
    assert wanted in str(refused.value)
    assert slider.value == 0.5


@pytest.mark.parametrize("value", [(20, 10), (7, 9), (9, 29), (9.5, 12), (9,), 9, (8, 9, 10)])
def test_a_range_that_can_not_be_is_refused_in_a_sentence(value) -> None:
    slider = sizes()
    words = "size, px must be two whole numbers, the smaller first, from 8 to 28, got "
    with pytest.raises(traitlets.TraitError) as refused:
        slider.value = value
    assert str(refused.value) == f"{words}{value!r}"
    assert slider.value == (14, 22)


@pytest.mark.parametrize(
    "bounds", [{"min": 2, "max": 1}, {"min": 0, "max": math.inf}, {"min": 0, "max": 2, "step": 0}]
)
def test_bounds_that_can_not_be_are_refused(bounds) -> None:
    with pytest.raises(traitlets.TraitError, match="image needs numbers with min ≤ max and step"):
        Slider("image", 2, **bounds)
    with pytest.raises(traitlets.TraitError, match="image must be a whole number from 1 to 9"):
        Slider("image", 10, min=1, max=9)


def test_a_bound_that_moves_takes_the_value_along() -> None:
    image = Slider("image", 9, min=1, max=9)
    image.max = 4
    assert image.value == 4
    ends = sizes()
    ends.min = 18
    assert ends.value == (18, 22)


def test_the_page_names_it_and_moves_it(show) -> None:
    page = show(noise())
    slider = page.page.get_by_role("slider", name="noise")
    slider.press("ArrowRight")
    page.settle()
    assert page.state["value"] == 0.55
    assert page.page.locator("output").inner_text() == slider.get_attribute("aria-valuetext")
    page.set(value=1.25)
    assert (slider.input_value(), page.page.locator("output").inner_text()) == ("1.25", "1.25")


def test_one_end_of_a_range_takes_the_other_along(show) -> None:
    page = show(sizes())
    low = page.page.get_by_role("slider", name="size, px: from")
    high = page.page.get_by_role("slider", name="size, px: to")
    low.press("End")
    page.settle()
    assert page.state["value"] == [28, 28]
    high.press("Home")
    page.settle()
    assert page.state["value"] == [8, 8]
    assert page.page.locator("output").all_inner_texts() == ["8", "8"]


def test_what_python_changes_is_followed(show) -> None:
    page = show(Slider("channel", 12, min=0, max=16))
    slider = page.page.get_by_role("slider", name="channel")
    page.set(value=24, max=32)
    assert slider.input_value() == "24"
    page.set(disabled=True)
    assert slider.is_disabled()


@pytest.mark.parametrize("make", [noise, sizes])
def test_nothing_stands_in_the_way_of_who_hears_and_nothing_is_cut(show, make) -> None:
    page = show(make(), width=360)
    assert Axe().run(page.page).response["violations"] == []
    assert page.page.evaluate("document.documentElement.scrollWidth") <= 360
    page.page.evaluate("end()")
    assert page.page.evaluate("Object.values(model.listeners).flat().length") == 0
