"""The flight recorder reads runs as they were recorded, and tells them apart."""

from __future__ import annotations

import itertools

import pytest
from explorable_page import ExplorablePage, chromium
from result_cases import LAYERS, PAIR
from result_cases import flown as result

from mtl_tutorial.balancing.registry import method_of
from mtl_tutorial.experiments.store import committed_results
from mtl_tutorial.plots import method_label
from mtl_tutorial.widgets.flight_recorder import (
    OF_THE_LESSON,
    FlightRecorder,
    compute_flight,
    layer_words,
)

browser = pytest.fixture(scope="module")(chromium)


def test_layers_are_called_by_their_kind() -> None:
    given = ("all", *reversed(LAYERS[:-1]))  # in a file they stand in any order
    assert list(layer_words("two_digits", "hard_sharing", PAIR, given).items()) == [
        ("encoder.layers.0", "conv 1"),
        ("encoder.layers.3", "conv 2"),
        ("encoder.layers.7", "linear"),
        ("all", "all of them"),
    ]
    both = ("encoders.right.layers.0", "encoders.right.layers.3", "all")
    assert layer_words("two_digits", "cross_stitch", PAIR, both)[both[1]] == "right conv 2"
    senses, tasks = ("encoders.sound.layers.5", "all"), ("digit", "speaker")
    sensed = layer_words("seen_and_heard", "hard_sharing", tasks, senses)
    assert sensed["encoders.sound.layers.5"] == "sound linear"
    gone = layer_words("two_digits", "hard_sharing", PAIR, ("encoder.old.2", *LAYERS))
    assert list(gone.items())[-2:] == [("encoder.old.2", "encoder old 2"), ("all", "all of them")]


def test_a_recording_holds_the_numbers_of_the_file() -> None:
    given = result(epochs=4)
    flight = compute_flight(given)
    assert flight.epochs == 4
    assert list(flight.cosines) == [PAIR]
    found = {layer: values.tolist() for layer, values in flight.cosines[PAIR].items()}
    cosines = given["curves"]["cosine"]["left, right"]
    words = ("conv 1", "conv 2", "linear", "all of them")
    assert found == dict(zip(words, cosines.values(), strict=True))
    assert flight.weights["left"].tolist() == given["curves"]["weight"]["left"]


def test_a_run_that_shares_nothing_has_no_recording() -> None:
    alone = result(architecture="single_task", balancer="equal")
    del alone["curves"]["cosine"]
    with pytest.raises(ValueError, match="no cosines in the run of 'single_task'"):
        compute_flight(alone)
    with pytest.raises(ValueError, match="no run with cosines"):
        FlightRecorder([alone])


@pytest.mark.parametrize(
    ("differing", "names"),
    [
        ([{"learning_rate": 0.1}, {"learning_rate": 0.1, "seed": 1}], ["PCGrad"]),
        ([{"learning_rate": 0.1}, {"learning_rate": 0.01, "seed": 1}], ["PCGrad"]),
        (
            [{"learning_rate": 0.1}, {"learning_rate": 0.01}],
            ["PCGrad, rate 0.1", "PCGrad, rate 0.01"],
        ),
        ([{"balancer": "left=0.5,right=1.5", "learning_rate": 0.1}], ["tuned weighted sum"]),
        (
            [{"balancer": "left=0.5,right=1.5"}, {"balancer": "left=1.5,right=0.5"}],
            ["tuned weighted sum, left 0.5, right 1.5", "tuned weighted sum, left 1.5, right 0.5"],
        ),
        (
            [
                {"balancer": f"left={w},right={2 - w}", "learning_rate": r}
                for w, r in ((0.5, 0.1), (1.5, 0.1), (1.5, 0.01))
            ],
            [
                "tuned weighted sum, left 0.5, right 1.5, rate 0.1",
                "tuned weighted sum, left 1.5, right 0.5, rate 0.1",
                "tuned weighted sum, left 1.5, right 0.5, rate 0.01",
            ],
        ),
    ],
)
def test_a_method_is_called_by_its_rate_and_weights_where_they_tell_runs_apart(
    differing, names
) -> None:
    widget = FlightRecorder([result("equal"), *(result(**setting) for setting in differing)])
    shown = list(dict.fromkeys(flight["method"] for flight in widget.flights))
    assert shown == ["equal weights", *names]
    if names[0].startswith("PCGrad"):  # what is shown first
        assert widget.method == names[0]


COMMITTED = ("two_digits_8_epochs", "two_digits_8_epochs/search", "quick_60_epochs")


@pytest.mark.parametrize("name", COMMITTED)
def test_every_committed_run_with_cosines_can_be_chosen_by_its_name(name) -> None:
    results = [r for r in committed_results(name) if "cosine" in r["curves"]]
    flights = FlightRecorder(results).flights
    chosen = {(f["runs"], f["method"], f["seed"]) for f in flights}
    assert len(chosen) == len(flights) == len(results)
    if "search" not in name:
        methods = {method_label(method_of(r["setting"]["balancer"]), r["setting"]["architecture"])
                   for r in results}  # fmt: skip
        assert {flight["method"] for flight in flights} == methods


def of_three() -> dict:
    three = result(data="located_digits")
    layers = ("encoder.layers.0", "encoder.layers.2", "encoder.layers.5", "all")
    pairs = {"digit, box": -0.5, "digit, mask": 0.5, "box, mask": 0.1}
    three["curves"] = {
        name: {task: [0.5, 0.6] for task in ("digit", "box", "mask")}
        for name in ("weight", "validation metric")
    }
    three["curves"]["cosine"] = {p: {n: [c, c] for n in layers} for p, c in pairs.items()}
    return three


def test_two_tasks_of_three_are_chosen_by_their_pair(browser) -> None:
    page = ExplorablePage(browser.new_page(), FlightRecorder([of_three()]))
    assert "digit and box pull apart most" in page.sentence
    page.set(pair="box and mask")
    assert "box and mask pull apart in no layer (cosine 0.10 over all of them)" in page.sentence


def test_an_epoch_without_a_number_is_drawn_and_said(browser) -> None:
    broken = result()
    broken["curves"]["cosine"]["left, right"]["all"][1] = None
    broken["curves"]["weight"] = {"left": [0.6, None, 0.9], "right": [0.6, 0.77, 0.9]}
    page = ExplorablePage(browser.new_page(), FlightRecorder([broken]))
    page.set(epoch=2)
    assert "Weights: left none, right 0.77" in page.sentence
    assert page.complaints == []


def test_the_line_follows_the_hand_between_two_epochs_and_rests_on_one(browser) -> None:
    page = ExplorablePage(browser.new_page(), FlightRecorder([result(epochs=4)]))
    grip, drawn = page.grips()[0], page.page.locator(".mtl")
    places, counts = set(), set()
    page.drag(grip, -60, 0)
    page.drag(grip, 2, 0, hold=True)
    for _ in range(5):  # pixels, far less than an epoch
        page.page.mouse.move(*(v + 1 for v in centre(grip)))
        page.settle()
        places.add(centre(grip)[0])
        counts.add(drawn.get_attribute("data-drawn"))
    assert len(places) == len(counts) == 5
    epoch = page.state["epoch"]
    assert epoch == int(epoch)
    page.page.mouse.up()
    page.settle()
    assert centre(grip)[0] not in places and page.state["epoch"] == epoch


def centre(grip) -> tuple[float, float]:
    box = grip.bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def test_a_lesson_keeps_no_flights_that_the_courses_files_hold() -> None:
    found = list(itertools.chain(*map(committed_results, OF_THE_LESSON)))
    whole, part = FlightRecorder(found), FlightRecorder(found[:1], method="equal")
    assert "flights" not in whole.kept(whole.get_state())
    assert part.kept(part.get_state())["flights"] == part.flights
