"""What trains in the kernel is told in the page: the tuner's runs, the stepper's step."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from explorable_page import ExplorablePage, chromium
from playwright.sync_api import Browser
from test_gradnorm_stepper import make
from test_loss_weight_tuner import tuner

browser = pytest.fixture(scope="module")(chromium)


def moment(step, digit, box, weights=(1.0, 1.0), cosine=0.5):
    """A measurement as the page reads it: weights, losses, metrics, shares, and the cosine."""
    return [step, *weights, 2.0, 0.01, digit, box, 0.25, 0.75, cosine]


@pytest.fixture
def page(browser: Browser) -> Iterator[ExplorablePage]:
    shown = ExplorablePage(browser.new_page(viewport={"width": 960, "height": 900}), tuner())
    yield shown
    assert shown.complaints == []
    shown.page.close()


@pytest.mark.parametrize(
    ("moments", "words"),
    [
        (
            [moment(0, 0.1, 0), moment(50, 0.6, 0.3), moment(75, 0.5, 0.6, (1, 30))],
            "Step 75, weights digit 1, box 30. Since step 50, digit accuracy fell from 0.60 to 0.50"
            " and box mean IoU rose from 0.30 to 0.60. box has 75% of the shared gradient",
        ),
        (
            [moment(0, 0.1, 0), moment(50, 0.2, 0.63), moment(75, 0.5, 0.4)],
            "box mean IoU rose from 0.00 to 0.40 (it was 0.63 at step 50)",
        ),
        ([moment(0, 0.1, 0.5), moment(25, 0.6, 0.504)], "box mean IoU stayed at 0.50"),
        ([moment(0, 0.1, 0), moment(9, 0.6, 0.3, cosine=-0.4)], "pulls are apart (cosine −0.40)"),
        ([moment(0, 0.1, 0)], "press Start"),
    ],
)
def test_the_sentence_says_what_rose_and_what_fell(page, moments, words) -> None:
    page.set(runs_shown=[{"number": 1, "rows": moments}])
    assert words in page.sentence


def test_earlier_runs_are_numbered_and_stand_in_the_table_at_a_common_step(page) -> None:
    first = [moment(0, 0.1, 0), moment(50, 0.6, 0.3), moment(100, 0.7, 0.5)]
    second = [moment(0, 0.1, 0), moment(50, 0.5, 0.7, (1, 30))]
    page.set(
        runs_shown=[{"number": 1, "rows": first}, {"number": 2, "rows": second}],
        singles=[0.8, 0.9],
    )
    rows = [
        [cell.inner_text() for cell in row.locator("td").all()]
        for row in page.page.locator("table tr").all()
    ]
    assert rows[1:] == [
        ["1", "100", "1", "1", "0.700", "0.600", "0.500", "0.300"],
        ["2", "50", "1", "1 → 30", "0.500", "0.500", "0.700", "0.700"],
    ]
    plane = page.page.get_by_role("group", name="The run as a path").locator("text").all()
    assert {"1", "2"} <= {node.text_content() for node in plane}


def test_a_kernel_that_is_not_there_is_told_of(page) -> None:
    for words in ("Start", "Step"):
        assert page.page.get_by_role("button", name=words, exact=True).is_disabled()
    assert "trains in a notebook" in page.sentence


def made(**changed) -> dict:
    zeros = {"first": [0, 0], "second": [0, 0], "steps": [0, 0]}
    return {
        "weights": [1.2, 0.8],
        "gradient_norms": [1.0, 0.5],
        "rates": [1.4, 0.6],
        "learning_rate": 0.025,
        "moments": zeros,
        **changed,
    }


@pytest.fixture
def stepper_page(browser: Browser) -> Iterator[ExplorablePage]:
    shown = ExplorablePage(browser.new_page(viewport={"width": 960, "height": 900}), make())
    yield shown
    assert shown.complaints == []
    shown.page.close()


def test_the_stepper_says_who_lags_and_where_each_weight_goes(stepper_page) -> None:
    stepper_page.set(step=7, alpha=1.0, made=made())
    said = stepper_page.sentence
    assert said.startswith("Step 7, α = 1.0. digit lags (r = 1.40); its G of 1.2 is above the")
    assert "target of 1.12, so its weight falls from 1.200 to" in said
    assert "box leads (r = 0.60); its G of 0.4 is below the target of 0.48, so its weight" in said


def test_a_weight_that_moves_against_its_norm_is_not_explained_by_it(stepper_page) -> None:
    pushed = {"first": [-1, 1], "second": [0.01, 0.01], "steps": [9, 9]}
    stepper_page.set(alpha=1.0, made=made(moments=pushed))
    assert "and yet, by the steps before it and the sum, its weight rises" in stepper_page.sentence


def test_the_next_weights_of_the_page_are_those_of_the_package(stepper_page) -> None:
    for steps in (1, 2, 30):
        one = make(warm_up=steps)
        stepper_page.set(made=one.made, history=one.history, alpha=1.5)
        before = one.balancer.last_step
        for i, value in enumerate(before.new_weights.tolist()):
            assert f"from {before.weights[i]:.3f} to {value:.3f}" in stepper_page.sentence
        assert stepper_page.complaints == []


def test_a_target_that_is_dragged_moves_alpha(stepper_page) -> None:
    stepper_page.set(alpha=1.0, made=made())
    upper = stepper_page.grips()[0]
    stepper_page.drag(upper, 0, 20)
    assert stepper_page.state["alpha"] > 1
