"""The flight recorder shows the run, pair, seed and epoch that is chosen, as it was recorded."""

from __future__ import annotations

import copy

import pytest
from matplotlib.figure import Figure

from mtl_tutorial.balancing.registry import method_of
from mtl_tutorial.experiments.store import committed_results
from mtl_tutorial.plots import method_label
from mtl_tutorial.widgets.flight_recorder import (
    FlightRecorder,
    compute_flight,
    describe_flight,
    draw_flight,
    layer_words,
)

LAYERS = ("encoder.layers.0", "encoder.layers.3", "encoder.layers.7", "all")


PAIR = ("left", "right")


def result(balancer="pcgrad", seed=0, epochs=3, cosine=0.5, **setting) -> dict:
    """What a run on two digits leaves, with cosines that fall by 0.3 a layer."""
    cosines = {name: [cosine - 0.3 * i] * epochs for i, name in enumerate(LAYERS)}
    rising = [round(0.5 + 0.4 * (e + 1) / epochs, 3) for e in range(epochs)]
    curves = {name: {"left": rising, "right": rising} for name in ("validation metric", "weight")}
    return {
        "setting": {
            "data": "two_digits", "architecture": "hard_sharing", "balancer": balancer,
            "learning_rate": 0.05, "seed": seed,
        } | setting,
        "protocol": {"profile": "quick", "epochs": epochs},
        "provenance": {
            "device": "cpu (x)", "mtl_tutorial": "1", "torch": "2", "torchjd": None,
            "python": "3.12", "commit": "abc", "date": "2030-01-01",
        },
        "curves": curves | {"cosine": {"left, right": cosines}},
    }  # fmt: skip


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
    ("cosine", "words"),
    [
        (0.5, "left and right pull apart in linear (cosine -0.10)"),
        (-0.1, "left and right pull apart most in linear (cosine -0.70)"),
        (0.7, "left and right pull apart in no layer (cosine -0.20 over all of them)"),
    ],
)
def test_the_sentence_says_where_two_tasks_pull_apart(cosine, words) -> None:
    text = describe_flight(compute_flight(result(cosine=cosine, seed=3)), PAIR, 2)
    assert text.startswith(f"Epoch 2 of PCGrad, seed 3: {words}.")
    assert "Weights: left 0.77, right 0.77" in text


@pytest.mark.parametrize("epochs", [1, 3, 60, 100, 1000])
def test_the_heat_map_shows_every_layer_and_epoch_and_fades_what_is_to_come(epochs) -> None:
    figure, flight = Figure(figsize=(9, 4)), compute_flight(result(epochs=epochs))
    draw_flight(figure, flight, PAIR, epochs)
    heat, _, weights, metrics = figure.axes
    assert heat.images[0].get_array().shape == (4, epochs)
    assert [label.get_text() for label in heat.get_yticklabels()][:2] == ["conv 1", "conv 2"]
    assert len(heat.patches) == 0
    draw_flight(figure, flight, PAIR, 1)
    assert len(heat.patches) == (epochs > 1)
    solid = [line for line in metrics.lines if line.get_alpha() is None]
    assert {len(line.get_xdata()) for line in solid} <= {1, 2}  # up to the epoch, and its mark
    assert len(weights.texts) == 2


def test_a_diverging_weight_or_a_missing_cosine_can_be_drawn() -> None:
    broken = result()
    broken["curves"]["cosine"]["left, right"]["all"][1] = None
    broken["curves"]["weight"]["left"][1] = None
    text = draw_flight(Figure(figsize=(9, 4)), compute_flight(broken), PAIR, 2)
    assert "left nan" in text


def test_each_choice_changes_the_run_that_is_shown() -> None:
    runs = [result("equal", seed) for seed in (0, 1)] + [result("mgda", 1)]
    widget = FlightRecorder([*runs, result("equal", epochs=5, seed=7)], method="equal")
    assert "Epoch 3 of equal weights, seed 0" in widget.sentence.value
    picture = widget.image.value
    widget.epoch.value = 1
    assert "Epoch 1 of" in widget.sentence.value and widget.image.value != picture
    widget.seed.value = 1
    assert "Epoch 1 of equal weights, seed 1" in widget.sentence.value
    widget.method.value = "MGDA"
    assert "Epoch 1 of MGDA, seed 1" in widget.sentence.value
    widget.button.click()
    assert "Epoch 3 of MGDA" in widget.sentence.value
    widget.runs.value = widget.runs.options[1]
    assert "Epoch 5 of equal weights, seed 7" in widget.sentence.value
    assert widget.epoch.max == widget.play.max == 5
    widget.runs.value = widget.runs.options[0]
    assert widget.epoch.max == 3 and "Epoch 3 of" in widget.sentence.value


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
    assert list(widget.method.options) == ["equal weights", *names]
    if names[0].startswith("PCGrad"):  # what is shown first
        assert f"Epoch 3 of {names[0]}, seed 0" in widget.sentence.value
    for name in names:
        widget.method.value = name
        assert f"Epoch 3 of {name}, seed 0" in widget.sentence.value


@pytest.mark.parametrize("name", ["two_digits_8_epochs", "quick_60_epochs"])
def test_no_committed_run_needs_more_than_its_methods_name(name) -> None:
    results = [r for r in committed_results(name) if "cosine" in r["curves"]]
    methods = {method_label(method_of(r["setting"]["balancer"]), r["setting"]["architecture"])
               for r in results}  # fmt: skip
    by_name = FlightRecorder(results).by_name
    assert {method for of_runs in by_name.values() for method in of_runs} == methods


@pytest.mark.parametrize(
    "name", ["two_digits_8_epochs", "two_digits_8_epochs/search", "quick_60_epochs"]
)
def test_every_committed_run_with_cosines_can_be_chosen(name) -> None:
    results = [r for r in committed_results(name) if "cosine" in r["curves"]]
    by_name = FlightRecorder(results).by_name
    shown = [run for methods in by_name.values() for seeds in methods.values()
             for run in seeds.values()]  # fmt: skip
    assert len(shown) == len(results) and all(run in shown for run in results)


def test_two_tasks_of_three_are_chosen_by_their_pair() -> None:
    three = result(data="located_digits")
    layers = ("encoder.layers.0", "encoder.layers.2", "encoder.layers.5", "all")
    pairs = {"digit, box": -0.5, "digit, mask": 0.5, "box, mask": 0.1}
    three["curves"] = {
        name: {task: [0.5, 0.6] for task in ("digit", "box", "mask")}
        for name in ("weight", "validation metric")
    }
    three["curves"]["cosine"] = {p: {n: [c, c] for n in layers} for p, c in pairs.items()}
    widget = FlightRecorder([three])
    assert "digit and box pull apart most" in widget.sentence.value
    widget.pair.value = "box and mask"
    assert "box and mask pull apart in no layer" in widget.sentence.value


def test_a_recorder_leaves_the_results_that_it_is_given_alone() -> None:
    given = [result(seed=seed) for seed in (0, 1)]
    before = copy.deepcopy(given)
    FlightRecorder(given).seed.value = 1
    assert given == before
