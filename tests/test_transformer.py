"""The transformer equals its formulas and torch's own, and reads what it says it reads."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from mtl_tutorial.architectures import AskedNetwork, HeadAQuestion
from mtl_tutorial.architectures.transformer import (
    SensesTransformer,
    Sizes,
    TransformerBlock,
    attention,
    patches,
)
from mtl_tutorial.tasks import Task, accuracy, mean_iou

KINDS = (
    Task("which", F.cross_entropy, accuracy, 6),
    Task("even", F.cross_entropy, accuracy, 6),
    Task("where", F.mse_loss, mean_iou, 4),
)
SIZES = Sizes(patches=4, pixels=4, columns=3, bands=5, words=2, vocabulary=7)


def draws(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def inputs(count: int = 3) -> dict[str, torch.Tensor]:
    g = draws()
    return {
        "image": torch.rand(count, 1, 4, 4, generator=g),
        "sound": torch.rand(count, 1, 5, 3, generator=g),
        "question": torch.randint(7, (count, 2), generator=g),
        "number": torch.arange(count) % 3,
    }


def reader(words: int = 2) -> SensesTransformer:
    torch.manual_seed(0)
    return SensesTransformer(SIZES._replace(words=words), width=8, heads=2, hidden=6)


def test_attention_by_hand_takes_three_quarters_of_one_value_and_a_quarter_of_the_other() -> None:
    log3 = torch.tensor(3.0).log().item()
    values, weights = attention(
        torch.tensor([[2 * log3, 0.0, 0.0, 0.0]]),  # √4 = 2 divides the product
        torch.eye(4)[:2],
        torch.tensor([[4.0], [8.0]]),
    )
    assert torch.allclose(weights, torch.tensor([[0.75, 0.25]]))
    assert values.item() == pytest.approx(5)


def test_attention_is_that_of_torch() -> None:
    q, k, v = (torch.randn(2, 3, n, 8, generator=draws(n)) for n in (5, 6, 6))
    values, weights = attention(q, k, v)
    expected = F.scaled_dot_product_attention(q, k, v)
    assert torch.allclose(values, expected, atol=1e-6)
    assert torch.allclose(weights.sum(-1), torch.ones(2, 3, 5))


def test_a_block_is_torchs_encoder_layer_with_the_norm_first() -> None:
    torch.manual_seed(0)
    block = TransformerBlock(8, heads=2, hidden=6)
    theirs = torch.nn.TransformerEncoderLayer(
        8, 2, dim_feedforward=6, dropout=0.0, norm_first=True, batch_first=True
    )
    state = block.state_dict()
    names = {
        "self_attn.in_proj_": "to_qkv.",
        "self_attn.out_proj.": "to_out.",
        "linear1.": "first.",
        "linear2.": "second.",
        "norm1.": "norm_1.",
        "norm2.": "norm_2.",
    }
    theirs.load_state_dict(
        {a + part: state[b + part] for a, b in names.items() for part in ("weight", "bias")}
    )
    tokens = torch.randn(3, 7, 8, generator=draws())
    assert torch.allclose(block(tokens), theirs(tokens), atol=1e-6)


def test_the_readout_alone_gives_the_features_of_the_whole_row() -> None:
    encoder = reader()
    features, looks = encoder.look(inputs())
    assert torch.allclose(encoder(inputs()), features, atol=1e-6)
    assert [tuple(look.shape) for look in looks] == [(3, 2, 10, 10)] * 2
    block, tokens = encoder.blocks[0], encoder.tokens(inputs())
    assert torch.allclose(block(tokens, 4), block(tokens)[:, :4], atol=1e-6)


def test_patches_are_squares_row_by_row() -> None:
    image = torch.arange(16.0).view(1, 1, 4, 4)
    assert patches(image, 2)[0].tolist() == [
        [0, 1, 4, 5],
        [2, 3, 6, 7],
        [8, 9, 12, 13],
        [10, 11, 14, 15],
    ]


def test_the_row_is_readout_patches_columns_and_words_each_with_its_place() -> None:
    encoder, given = reader(), inputs(1)
    with torch.no_grad():
        tokens = encoder.tokens(given)[0] - encoder.place
        assert torch.equal(tokens[0], torch.zeros(8))
        corner = given["image"][0, 0, :2, :2].flatten()
        assert torch.allclose(tokens[1], encoder.patch(corner), atol=1e-6)
        assert torch.allclose(tokens[6], encoder.column(given["sound"][0, 0, :, 1]), atol=1e-6)
        assert torch.allclose(tokens[9], encoder.word.weight[given["question"][0, 1]], atol=1e-6)


def test_the_question_changes_the_answer_and_tasks_of_one_width_get_one_answer() -> None:
    model = AskedNetwork(reader(), KINDS)
    first = model(inputs())
    assert {name: tuple(y.shape) for name, y in first.items()} == {
        "which": (3, 6),
        "even": (3, 6),
        "where": (3, 4),
    }
    assert torch.equal(first["which"], first["even"])
    assert ((first["where"] > 0) & (first["where"] < 1)).all()
    other = model({**inputs(), "question": 6 - inputs()["question"]})
    assert not torch.allclose(first["which"], other["which"])


def test_a_head_answers_its_own_question_with_its_own_words() -> None:
    allowed = torch.tensor([[1, 1, 0, 0, 0, 0], [0, 0, 1, 1, 1, 0], [0] * 6]).bool()
    model = HeadAQuestion(reader(0), KINDS, allowed)
    given = inputs()
    outputs, features = model(given), model.encoder(given)
    assert model.heads.out_features == 5
    rows = features @ model.heads.weight.T + model.heads.bias
    assert torch.allclose(outputs["which"][0, :2], rows[0, :2], atol=1e-6)
    assert torch.allclose(outputs["which"][1, 2:5], rows[1, 2:], atol=1e-6)
    assert torch.equal(outputs["which"] == -30, ~allowed)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="heads must divide the width"):
        TransformerBlock(10, heads=4, hidden=8)
    with pytest.raises(ValueError, match="must read questions"):
        AskedNetwork(reader(0), KINDS)
    with pytest.raises(ValueError, match="must not read questions"):
        HeadAQuestion(reader(), KINDS, torch.ones(1, 6, dtype=torch.bool))


@pytest.mark.parametrize(
    ("name", "shape", "told"),
    [
        ("image", (3, 3, 4, 4), r"image must have shape \(B, 1, 4, 4\), got \(3, 3, 4, 4\)"),
        ("image", (3, 1, 2, 8), r"image must have shape \(B, 1, 4, 4\), got \(3, 1, 2, 8\)"),
        ("sound", (3, 2, 5, 3), r"sound must have shape \(B, 1, 5, 3\), got \(3, 2, 5, 3\)"),
        ("sound", None, "inputs must have 'sound', got .*'image', 'number', 'question'"),
    ],
)
def test_inputs_that_do_not_fit_are_named(name, shape, told) -> None:
    given = inputs()
    given[name] = torch.zeros(shape or 0)
    if shape is None:
        del given[name]
    with pytest.raises(ValueError, match=told):
        reader()(given)
