"""The mixer runs the network that its sliders say, and says what both tasks make of it."""

from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure

from mtl_tutorial.architectures import ConvEncoder, CrossStitch
from mtl_tutorial.data import located_digits
from mtl_tutorial.measuring import evaluate
from mtl_tutorial.tasks import Batch, Task
from mtl_tutorial.widgets.cross_stitch_mixer import (
    PRESETS,
    TILES,
    CrossStitchMixer,
    compute_mixture,
    draw_mixture,
    preset,
    take,
    tile,
)

SCENES = located_digits("validation")
TASKS: tuple[Task, ...] = SCENES.tasks[:2]
ALPHAS = st.lists(st.floats(-3, 3, width=32), min_size=4, max_size=4).map(
    lambda numbers: torch.tensor(numbers).reshape(2, 2)
)


@pytest.fixture(scope="module")
def batch() -> Batch:
    return SCENES.draw(6, torch.Generator().manual_seed(0))


def build(**options) -> CrossStitch:
    torch.manual_seed(0)
    model = CrossStitch([ConvEncoder(4) for _ in TASKS], TASKS, **options)
    for number, unit in enumerate(model.units):
        if unit.mixing == "scalar":
            unit.set_alpha([[1.234 + number, -0.218], [0.0471, 0.901 - 0.1 * number]])
    return model


@pytest.fixture
def mixer(batch) -> CrossStitchMixer:
    """A mixer of a network that learned nothing, which is all the same here."""
    return CrossStitchMixer(build(), TASKS, batch)


def learned(model: CrossStitch) -> list[torch.Tensor]:
    return [unit.alpha.detach() for unit in model.units]


def test_with_the_learned_units_the_metrics_are_those_of_the_model(batch) -> None:
    model = build()
    mixture = compute_mixture(model, TASKS, batch, learned(model), shown=3)
    scores = evaluate(model, TASKS, batch)
    assert mixture.metrics == {name: score.metric for name, score in scores.items()}
    assert torch.equal(mixture.scene.inputs, batch.inputs[3:4])
    with torch.no_grad():
        features = model.features(batch.inputs)[1]["box"][3]
    assert torch.allclose(mixture.maps[1]["box"], features, atol=1e-6)


def test_the_metrics_are_those_of_a_model_with_the_units_that_are_asked_for(batch) -> None:
    model = build()
    alphas = [torch.tensor([[0.5, 0.7], [-0.3, 1.0]])] * 3
    other = copy.deepcopy(model)
    for unit, alpha in zip(other.units, alphas, strict=True):
        unit.set_alpha(alpha)
    mixture = compute_mixture(model, TASKS, batch, alphas)
    scores = evaluate(other, TASKS, batch)
    assert mixture.metrics == {name: score.metric for name, score in scores.items()}


def test_the_model_stays_as_it_is(batch) -> None:
    model = build()
    model.train()
    before = copy.deepcopy(model.state_dict())
    compute_mixture(model, TASKS, batch, [torch.zeros(2, 2)] * 3)
    assert model.training
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_another_number_of_alphas_is_refused(batch) -> None:
    model = build()
    with pytest.raises(ValueError, match="one α for each of 3 units is needed, got 2"):
        compute_mixture(model, TASKS, batch, learned(model)[:2])


@given(alpha=ALPHAS)
def test_a_preset_keeps_the_sum_of_every_row(alpha) -> None:
    for name in PRESETS:
        (made,) = preset([alpha], name)
        assert torch.allclose(made.sum(1), alpha.sum(1), atol=1e-5)


@given(alpha=ALPHAS)
def test_presets_take_nothing_half_or_what_was_learned(alpha) -> None:
    assert preset([alpha], "separate")[0].fill_diagonal_(0).count_nonzero() == 0
    (shared,) = preset([alpha], "shared")
    assert torch.equal(shared[:, 0], shared[:, 1])
    assert torch.equal(preset([alpha], "learned")[0], alpha)


@given(alpha=ALPHAS, row=st.integers(0, 1), taken=st.floats(-2, 2, width=32))
def test_what_a_task_takes_of_the_other_it_gives_up_of_its_own(alpha, row, taken) -> None:
    before = alpha.clone()
    changed = take(alpha, row, taken)
    assert changed[row, 1 - row] == taken
    assert torch.allclose(changed[row].sum(), alpha[row].sum(), atol=1e-5)
    assert torch.equal(changed[1 - row], alpha[1 - row])
    assert torch.equal(alpha, before)


def test_an_unknown_preset_is_refused() -> None:
    with pytest.raises(ValueError, match="did you mean 'shared'"):
        preset([torch.eye(2)], "share")


@pytest.mark.parametrize("shape", [(32,), (8, 14, 14), (3,), (40, 7, 7)])
def test_tiles_are_white_at_zero_coloured_above_and_grey_below(shape) -> None:
    blank = tile(torch.zeros(shape), 1.0, "#0072B2")
    assert blank.shape == (*TILES, 3)
    assert (blank == 255).all()
    full = tile(torch.full(shape, 2.0), 1.0, "#0072B2")
    assert {tuple(colour) for colour in full.reshape(-1, 3).tolist()} <= {
        (0, 0x72, 0xB2),
        (255, 255, 255),
    }
    below = tile(torch.full(shape, -1.0), 1.0, "#0072B2").reshape(-1, 3)
    assert (below == below[:, :1]).all()
    assert below.min() < 200


def test_features_that_are_all_zero_can_be_drawn() -> None:
    assert (tile(torch.zeros(4), 0.0, "#0072B2") == 255).all()


def test_the_drawing_shows_both_metrics_and_what_every_row_mixes(batch) -> None:
    model = build()
    reference = compute_mixture(model, TASKS, batch, learned(model))
    alphas = preset(learned(model), "separate")
    mixture = compute_mixture(model, TASKS, batch, alphas)
    figure = Figure(figsize=(9, 4.2))
    told = draw_mixture(figure, mixture, reference, TASKS)
    assert told.startswith("Separate: every task sees its own encoder alone")
    metrics, _scene, maps = figure.axes
    heights = [bar.get_height() for bar in metrics.patches]
    assert heights == [mixture.metrics[task.name] for task in TASKS]
    words = {text.get_text() for text in maps.texts}
    assert {"1.02 own + 0.00 box", "0.95 own + 0.00 digit"} <= words
    draw_mixture(figure, reference, reference, TASKS)
    words = {text.get_text() for text in maps.texts}
    assert {"1.23 own − 0.22 box", "0.90 own + 0.05 digit"} <= words


def test_a_mixture_is_told_by_what_changed(mixer) -> None:
    assert "The units are as they were learned" in mixer.sentence
    mixer.sliders[0, 1].value = 0.3
    assert "At unit 1 box takes 0.30 of digit's features (learned: 0.05)" in mixer.sentence
    mixer.sliders[2, 0].value = 0.5
    assert "at unit 3 digit takes 0.50 of box's features" in mixer.sentence
    mixer.sliders[1, 0].value = 0.5
    assert "1 more is changed" in mixer.sentence


MOVES = {
    "a slider": lambda w: setattr(w.sliders[1, 0], "value", 0.9),
    "one step of a slider": lambda w: setattr(w.sliders[2, 1], "value", 0.06),
    "separate": lambda w: setattr(w.presets, "value", "separate"),
    "shared": lambda w: setattr(w.presets, "value", "shared"),
    "next scene": lambda w: w.button.click(),
}


@pytest.mark.parametrize("move", MOVES)
def test_every_control_changes_picture_and_sentence(mixer, move) -> None:
    picture, sentence = mixer.image.value, mixer.sentence
    MOVES[move](mixer)
    assert mixer.image.value != picture
    assert mixer.sentence != sentence


def test_a_slider_that_returns_brings_back_exactly_what_was_learned(mixer) -> None:
    picture, sentence = mixer.image.value, mixer.sentence
    for slider in mixer.sliders.values():
        value = slider.value
        slider.value = 1.0
        slider.value = value
    assert mixer.presets.value == "learned"
    assert (mixer.image.value, mixer.sentence) == (picture, sentence)
    assert all(map(torch.equal, mixer.mixture.alphas, learned(build())))


def test_what_a_page_makes_of_a_sliders_number_changes_nothing(mixer) -> None:
    sentence = mixer.sentence
    for slider in mixer.sliders.values():
        slider.value += 1e-9  # a page counts steps from the slider's end, and rounds
    assert mixer.presets.value == "learned"
    assert mixer.sentence == sentence
    assert all(map(torch.equal, mixer.mixture.alphas, learned(build())))
    mixer.presets.value = "separate"
    for slider in mixer.sliders.values():
        slider.value -= 1e-9
    assert mixer.presets.value == "separate"


@pytest.mark.parametrize("name", ["separate", "shared"])
def test_a_preset_moves_the_sliders_and_learned_moves_them_back(mixer, name) -> None:
    picture = mixer.image.value
    before = {key: slider.value for key, slider in mixer.sliders.items()}
    mixer.presets.value = name
    for (unit, row), slider in mixer.sliders.items():
        expected = preset(learned(build()), name)[unit][row, 1 - row].item()
        assert slider.value == pytest.approx(expected, abs=0.006)
    mixer.presets.value = "learned"
    assert {key: slider.value for key, slider in mixer.sliders.items()} == before
    assert mixer.image.value == picture


def test_no_preset_is_pressed_between_them_and_separate_where_nothing_is_taken(mixer) -> None:
    for slider in mixer.sliders.values():
        slider.value = 0.5
        assert mixer.presets.value is None
    for slider in mixer.sliders.values():
        slider.value = 0
    assert mixer.presets.value == "separate"


def test_a_preset_counts_after_the_sliders_have_left_it(mixer) -> None:
    mixer.presets.value = "shared"
    mixer.sliders[0, 0].value = 0
    assert mixer.presets.value is None
    mixer.presets.value = "shared"
    fresh = compute_mixture(build(), TASKS, mixer._batch, preset(learned(build()), "shared"))
    assert mixer.mixture.metrics == fresh.metrics


def test_learned_numbers_beyond_the_sliders_are_kept(batch) -> None:
    model = build()
    model.units[0].set_alpha([[4.0, -5.0], [7.5, 1.0]])
    mixer = CrossStitchMixer(model, TASKS, batch)
    assert torch.equal(mixer.mixture.alphas[0], model.units[0].alpha)
    mixer.presets.value = "shared"
    mixer.presets.value = "learned"
    assert torch.equal(mixer.mixture.alphas[0], model.units[0].alpha)
    assert mixer.sliders[0, 0].value == -5.0


def test_the_next_scenes_are_shown_one_after_the_other_and_begin_again(mixer, batch) -> None:
    for number in range(1, len(batch) + 1):
        mixer.button.click()
        assert torch.equal(mixer.mixture.scene.inputs[0], batch.inputs[number % len(batch)])


def test_the_model_that_was_handed_in_stays_as_it_is(batch) -> None:
    model = build()
    mixer = CrossStitchMixer(model, TASKS, batch)
    mixer.presets.value = "shared"
    assert all(map(torch.equal, learned(model), learned(build())))


@pytest.mark.parametrize("tasks", [TASKS[:1], TASKS[::-1], SCENES.tasks])
def test_other_tasks_than_the_models_are_refused(tasks, batch) -> None:
    with pytest.raises(ValueError, match=r"two tasks in its order \['digit', 'box'\], got"):
        CrossStitchMixer(build(), tasks, batch)


def test_units_of_another_mixing_are_refused(batch) -> None:
    with pytest.raises(ValueError, match="units of mixing 'scalar', got 'channel'"):
        CrossStitchMixer(build(mixing="channel"), TASKS, batch)


def test_before_it_is_run_a_reader_sees_picture_and_words(mixer) -> None:
    data = mixer._repr_mimebundle_()
    data = data[0] if isinstance(data, tuple) else data
    assert data["image/png"]
    assert data["text/plain"].startswith("The units are as they were learned")
