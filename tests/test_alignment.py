"""Contrastive alignment equals its formula, and brings together what belongs together."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from mtl_tutorial.architectures import (
    PAIRS,
    ContrastiveAlignment,
    ConvEncoder,
    contrastive_loss,
    recall_at_1,
)


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def alignment(**options) -> ContrastiveAlignment:
    torch.manual_seed(0)
    encoders = {"image": ConvEncoder(2), "sound": ConvEncoder(3, size=32)}
    return ContrastiveAlignment(encoders, **options)


def inputs(count: int = 6) -> dict[str, torch.Tensor]:
    return {"image": random(count, 1, 28, 28), "sound": random(count, 1, 32, 32, seed=1)}


def test_the_loss_of_two_pairs_comes_out_as_by_hand() -> None:
    logits = torch.tensor([[math.log(3), 0.0], [0.0, 0.0]])
    # rows: 3/4 and 1/2; columns: 3/4 and 1/2
    expected = -(math.log(3 / 4) + math.log(1 / 2)) / 2
    assert contrastive_loss(logits).item() == pytest.approx(expected, rel=1e-6)


def test_the_loss_takes_both_directions() -> None:
    logits = torch.tensor([[0.0, math.log(3)], [0.0, 0.0]])
    # rows: 1/4, 1/2; columns: 1/2, 1/4
    expected = -(math.log(1 / 4) + math.log(1 / 2)) / 2
    assert contrastive_loss(logits).item() == pytest.approx(expected, rel=1e-6)
    uneven = torch.tensor([[0.0, math.log(3)], [math.log(7), 0.0]])
    rows = (math.log(4) + math.log(8)) / 2
    assert contrastive_loss(uneven).item() == pytest.approx(rows, rel=1e-6)


@given(st.integers(1, 8), st.integers(0, 99))
def test_the_loss_is_symmetric_and_knows_no_order_of_pairs(count, seed) -> None:
    logits = 3 * random(count, count, seed=seed)
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
    loss = contrastive_loss(logits)
    assert torch.allclose(contrastive_loss(logits.T), loss, atol=1e-5)
    assert torch.allclose(contrastive_loss(logits[order][:, order]), loss, atol=1e-5)


def test_without_any_knowledge_the_loss_is_the_log_of_the_number_of_pairs() -> None:
    assert contrastive_loss(torch.zeros(10, 10)).item() == pytest.approx(math.log(10))


def test_pairs_that_do_not_belong_together_are_looked_for_by_none_and_chosen_from() -> None:
    logits, together = random(4, 4), torch.tensor([1, 0, 1, 0])
    rows, columns = logits.log_softmax(1).diagonal(), logits.log_softmax(0).diagonal()
    expected = -(rows[[0, 2]].mean() + columns[[0, 2]].mean()) / 2
    assert torch.allclose(contrastive_loss(logits, together), expected)
    assert torch.equal(contrastive_loss(logits, torch.ones(4)), contrastive_loss(logits))


def test_with_all_together_the_loss_is_that_of_the_paper_to_the_last_bit() -> None:
    logits, pairs = random(64, 64), torch.arange(64)
    paper = (F.cross_entropy(logits, pairs) + F.cross_entropy(logits.T, pairs)) / 2
    assert torch.equal(contrastive_loss(logits), paper)


def test_a_batch_in_which_nothing_belongs_together_has_no_loss_and_no_gradient() -> None:
    logits = random(4, 4).requires_grad_()
    loss = contrastive_loss(logits, torch.zeros(4))
    loss.backward()
    assert loss.item() == 0
    assert not logits.grad.any()


@pytest.mark.parametrize("measure", [contrastive_loss, recall_at_1])
def test_shapes_that_do_not_fit_are_refused(measure) -> None:
    with pytest.raises(ValueError, match=r"must be square, one row a pair, got \(3, 4\)"):
        measure(random(3, 4), torch.ones(3))
    with pytest.raises(ValueError, match=r"one number a pair, shape \(3,\), got \(3, 1\)"):
        measure(random(3, 3), torch.ones(3, 1))


def test_recall_over_logits_that_are_not_square_is_refused() -> None:
    with pytest.raises(ValueError, match=r"must be square, one row a pair, got \(5, 3, 1\)"):
        recall_at_1(random(5, 3, 1))


def test_recall_leaves_out_rows_without_a_partner() -> None:
    logits = torch.tensor([[2.0, 1, 0], [3, 1, 2], [0, 0, 1]])
    assert recall_at_1(logits, torch.tensor([1, 1, 0])).item() == pytest.approx(1 / 2)
    assert recall_at_1(logits, torch.tensor([1, 0, 1])).item() == 1


def test_the_pairs_are_a_task_whose_targets_say_what_belongs_together() -> None:
    logits, together = random(4, 4), torch.tensor([1, 0, 1, 1])
    assert torch.equal(PAIRS.loss(logits, together), contrastive_loss(logits, together))
    assert torch.equal(PAIRS.metric(logits, together), recall_at_1(logits, together))
    assert PAIRS.kind == "classification"


def test_recall_counts_the_rows_that_find_their_own() -> None:
    logits = torch.tensor([[2.0, 1, 0], [3, 1, 2], [0, 0, 1]])
    assert recall_at_1(logits).item() == pytest.approx(2 / 3)
    assert recall_at_1(logits.T).item() == 0
    assert recall_at_1(torch.eye(4)).item() == 1


def test_recall_of_several_galleries_is_the_mean() -> None:
    galleries = torch.stack([torch.eye(2), torch.eye(2).flip(0)])
    assert recall_at_1(galleries).item() == 0.5


def test_embeddings_have_length_one() -> None:
    model = alignment(features=5)
    for name, x in inputs().items():
        z = model.embed(name, x)
        assert z.shape == (6, 5)
        assert torch.allclose(z.norm(dim=1), torch.ones(6), atol=1e-5)


@pytest.mark.parametrize("temperature", [0.07, 0.5])
def test_logits_are_cosines_over_the_temperature(temperature: float) -> None:
    model = alignment(temperature=temperature)
    image, sound = (model.embed(name, x) for name, x in inputs().items())
    cosines = torch.nn.functional.cosine_similarity(image[:, None], sound[None], dim=2)
    assert torch.allclose(model(inputs()), cosines / temperature, atol=1e-4)


def test_the_temperature_is_learned_in_log_space() -> None:
    model = alignment(temperature=0.07)
    assert model.log_temperature.item() == pytest.approx(math.log(0.07))
    contrastive_loss(model(inputs())).backward()
    assert model.log_temperature.grad.abs() > 0


def test_a_modality_without_an_encoder_or_without_inputs_is_named() -> None:
    with pytest.raises(ValueError, match="modality must be one of 'image', 'sound', got 'smell'"):
        alignment().embed("smell", inputs()["image"])
    with pytest.raises(ValueError, match=r"'sound' is missing from the inputs, .* \['image'\]"):
        alignment()({"image": inputs()["image"]})
    with pytest.raises(ValueError, match=r"a dict with a tensor for each of \['image', 'sound'\]"):
        alignment()(inputs()["image"])


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: ContrastiveAlignment({"image": ConvEncoder(2)}), r"two encoders, got \['image'\]"),
        (lambda: alignment(temperature=0.0), "above 0, got 0.0"),
        (
            lambda: ContrastiveAlignment({"keys": ConvEncoder(2), "sound": ConvEncoder(2)}),
            "modality 'keys' can't be .* ModuleDict",
        ),
        (
            lambda: ContrastiveAlignment([ConvEncoder(2), ConvEncoder(2)]),
            "encoders must be a dict by modality .*, got a list",
        ),
        (lambda: alignment(temperature=math.inf), "finite"),
    ],
)
def test_what_can_not_be_built_is_refused(build, words) -> None:
    with pytest.raises(ValueError, match=words):
        build()
