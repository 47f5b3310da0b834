"""Fusions equal their formulas, written out; the network loses a sense only as it is told."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from mtl_tutorial.architectures import (
    PAIRS,
    Concatenation,
    ContrastiveFusion,
    ConvEncoder,
    CrossAttention,
    CrossModalAttention,
    FusionNetwork,
    HardSharing,
    contrastive_loss,
    share_stem,
)
from mtl_tutorial.data.questions import MATCH, SUM
from mtl_tutorial.tasks import task_losses

B, D = 5, 8


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def inputs(count: int = B) -> dict[str, torch.Tensor]:
    return {"image": random(count, 1, 28, 28), "sound": random(count, 1, 32, 32, seed=1)}


def network(fusion: nn.Module | None = None, dropout: float = 0.0) -> FusionNetwork:
    torch.manual_seed(0)
    encoders = {"image": ConvEncoder(2), "sound": ConvEncoder(3, size=32)}
    return FusionNetwork(encoders, fusion or Concatenation(2, D), (MATCH, SUM), dropout)


def cross_modal(features: int = D, seed: int = 0) -> CrossModalAttention:
    """Attention with a W that is not zero."""
    attention = CrossModalAttention(features)
    attention.weight.data = random(features, features, seed=seed) / 2
    return attention


FUSIONS = {
    "concatenation": lambda: Concatenation(2, D),
    "cross-modal": cross_modal,
    "query-key-value": lambda: CrossAttention(2, D, tokens=4),
}
EVERY_FUSION = pytest.mark.parametrize("fusion", FUSIONS.values(), ids=FUSIONS)


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 4), st.integers(1, 4), st.integers(1, 6), st.integers(0, 99))
def test_cross_modal_attention_equals_its_formula_in_loops(batch, senses, width, seed) -> None:
    attention = cross_modal(width, seed)
    h, w = random(batch, senses, width, seed=seed), attention.weight
    fused = torch.zeros(batch, width)
    for b in range(batch):
        for m in range(senses):
            scores = [h[b, m] @ w @ h[b, n] for n in range(senses)]
            total = sum(score.exp() for score in scores)
            for n in range(senses):
                alpha = scores[n].exp() / total
                assert torch.allclose(attention.weights(h)[b, m, n], alpha, atol=1e-5)
                fused[b] += alpha * h[b, m] * h[b, n]
    assert torch.allclose(attention(h), fused, atol=1e-4)


@pytest.mark.parametrize("width", [1, 3, 64])
def test_scaled_scores_are_the_printed_ones_divided_by_the_number_of_features(width) -> None:
    scaled, h = CrossModalAttention(width, scaled=True), random(5, 2, width)
    scaled.weight.data = random(width, width)
    scores = torch.einsum("bmi,ij,bnj->bmn", h, scaled.weight, h) / width
    assert torch.allclose(scaled.weights(h), scores.softmax(-1), atol=1e-5)
    printed = CrossModalAttention(width)
    printed.weight.data = scaled.weight / width
    assert torch.allclose(scaled(h), printed(h), atol=1e-4)


def test_printed_scores_saturate_where_scaled_ones_do_not() -> None:
    h, w = F.layer_norm(random(200, 2, 64), (64,)), random(64, 64, seed=1) / 8 ** (1 / 2)
    spread = {}
    for scaled in (False, True):
        attention = CrossModalAttention(64, scaled=scaled)
        attention.weight.data = w
        weights = attention.weights(h)
        spread[scaled] = ((weights < 0.01) | (weights > 0.99)).float().mean().item()
    assert spread[False] > 0.8
    assert spread[True] == 0


def test_a_tiny_example_comes_out_as_by_hand() -> None:
    attention = CrossModalAttention(2)
    attention.weight.data = torch.eye(2) * math.log(3)
    h = torch.tensor([[[1.0, 0.0], [1.0, 1.0]]])
    # scores / log 3: [[1, 1], [1, 2]]; so weights [1/2, 1/2] and [3, 9] / 12
    assert torch.allclose(attention.weights(h), torch.tensor([[[0.5, 0.5], [0.25, 0.75]]]))
    # 1/2 (1,0) + 1/2 (1,0) + 1/4 (1,0) + 3/4 (1,1)
    assert torch.allclose(attention(h), torch.tensor([[2.0, 0.75]]))


def test_rows_of_the_weights_sum_to_one() -> None:
    h = 3 * random(B, 3, D)
    for attention in (cross_modal(), CrossAttention(3, D, tokens=2)):
        weights = attention.weights(h)
        assert weights.min() >= 0
        assert torch.allclose(weights.sum(-1), torch.tensor(1.0), atol=1e-5)


def test_the_order_of_the_senses_moves_the_weights_and_not_the_result() -> None:
    attention, h = cross_modal(), random(B, 3, D)
    order = [2, 0, 1]
    assert torch.allclose(attention(h[:, order]), attention(h), atol=1e-5)
    moved = attention.weights(h)[:, order][:, :, order]
    assert torch.allclose(attention.weights(h[:, order]), moved, atol=1e-6)


def test_weights_that_are_handed_in_take_the_place_of_the_networks_own() -> None:
    attention, h = cross_modal(), random(B, 2, D)
    assert torch.equal(attention(h, attention.weights(h)), attention(h))
    only_cross = torch.tensor([[0.0, 1.0], [1.0, 0.0]]).expand(B, -1, -1)
    assert torch.allclose(attention(h, only_cross), 2 * h[:, 0] * h[:, 1], atol=1e-6)


def test_products_of_turned_signs_are_the_same_products() -> None:
    attention, h = cross_modal(), random(B, 2, D)
    assert torch.allclose(attention(-h), attention(h), atol=1e-5)


@pytest.mark.parametrize("senses", [2, 3])
def test_before_training_every_product_has_the_same_weight(senses: int) -> None:
    weights = CrossModalAttention(D).weights(random(B, senses, D))
    assert torch.allclose(weights, torch.tensor(1 / senses))


def test_query_key_value_attention_equals_its_formula_written_out() -> None:
    torch.manual_seed(0)
    tokens, width = 4, 3
    fusion, h = CrossAttention(2, tokens * width, tokens), random(B, 2, tokens * width)
    rows = []
    for m, attention in enumerate(fusion.attentions):
        own, other = (h[:, i].reshape(B, tokens, width) for i in (m, 1 - m))
        w_q, w_k, w_v = attention.in_proj_weight.chunk(3)
        b_q, b_k, b_v = attention.in_proj_bias.chunk(3)
        q, k, v = own @ w_q.T + b_q, other @ w_k.T + b_k, other @ w_v.T + b_v
        weights = (q @ k.transpose(1, 2) / math.sqrt(width)).softmax(-1)
        assert torch.allclose(fusion.weights(h)[:, m], weights, atol=1e-5)
        z = own + attention.out_proj(weights @ v)
        rows.append(z.flatten(1))
    expected = fusion.join.layer(torch.cat(rows, 1)).relu()
    assert torch.allclose(fusion(h), expected, atol=1e-5)


def test_query_key_value_attention_equals_torchs_scaled_dot_product() -> None:
    fusion, h = CrossAttention(2, 8, tokens=4), random(B, 2, 8)
    attention = fusion.attentions[0]
    own, other = (x.unflatten(1, (4, 2)) for x in h.unbind(1))
    biases = attention.in_proj_bias.chunk(3)
    q, k, v = (
        F.linear(x, w, b)
        for x, w, b in zip(
            (own, other, other), attention.in_proj_weight.chunk(3), biases, strict=True
        )
    )
    expected = attention.out_proj(F.scaled_dot_product_attention(q, k, v))
    assert torch.allclose(fusion._ask(h)[0][0], expected, atol=1e-5)


def test_with_three_senses_each_asks_the_tokens_of_both_others() -> None:
    fusion, h = CrossAttention(3, 8, tokens=2), random(B, 3, 8)
    assert fusion.weights(h).shape == (B, 3, 2, 4)
    changed = h.clone()
    changed[:, 2] += 1
    assert (fusion._ask(changed)[0][0] != fusion._ask(h)[0][0]).any()


def test_concatenation_is_one_layer_over_all_features() -> None:
    fusion, h = Concatenation(2, D, 3), random(B, 2, D)
    w = fusion.layer.weight
    expected = h[:, 0] @ w[:, :D].T + h[:, 1] @ w[:, D:].T + fusion.layer.bias
    assert torch.allclose(fusion(h), expected.clamp(min=0), atol=1e-5)


@EVERY_FUSION
def test_each_task_gets_a_prediction_of_its_width(fusion) -> None:
    outputs = network(fusion())(inputs())
    assert {name: tuple(y.shape) for name, y in outputs.items()} == {
        "match": (B, 2),
        "sum": (B, 19),
    }


@EVERY_FUSION
def test_the_last_shared_layer_is_the_last_that_features_pass_through(fusion) -> None:
    model = network(fusion())
    layer = model.last_shared_layer()
    if isinstance(model.fusion, CrossModalAttention):  # its matrix makes weights, not features
        assert [id(p) for p in layer] == [id(p[0]) for p in model.projections.values()]
    else:
        assert layer.weight.ndim == 2
        assert any(layer is part for part in model.fusion.modules())


def test_a_sense_that_is_left_alone_is_never_dropped() -> None:
    model = network(dropout=0.9).train()
    given = {**inputs(), "sound": None}
    with torch.no_grad():
        model.absent.fill_(7.0)
        h = model.features(given)
    assert not (h[:, 0] == 7).all(dim=1).any()
    assert (h[:, 1] == 7).all()


def test_senses_with_different_numbers_of_examples_are_refused() -> None:
    given = inputs()
    given["sound"] = given["sound"][:-1]
    with pytest.raises(ValueError, match="must have as many examples"):
        network().features(given)


@pytest.mark.parametrize("choice", [{"tokens": 0}, {"tokens": 3}, {"heads": 0}, {"heads": 3}])
def test_tokens_and_heads_that_do_not_divide_are_refused(choice) -> None:
    with pytest.raises(ValueError, match="must divide the"):
        CrossAttention(2, 16, **choice)


def test_every_sense_comes_with_the_same_loudness_and_with_both_signs() -> None:
    h = network().features({name: 100 * x for name, x in inputs().items()})
    assert torch.allclose(h.mean(-1), torch.zeros(B, 2), atol=1e-5)
    assert torch.allclose(h.square().mean(-1), torch.ones(B, 2), atol=1e-2)


@EVERY_FUSION
def test_both_senses_and_every_shared_parameter_reach_both_tasks(fusion) -> None:
    for task in ("match", "sum"):
        model = network(fusion())
        model(inputs())[task].square().sum().backward()
        other = {"match": "sum", "sum": "match"}[task]
        without = {name for name, p in model.named_parameters() if p.grad is None}
        assert without == {"absent", f"heads.{other}.weight", f"heads.{other}.bias"}


def test_a_modality_that_is_missing_without_a_word_is_named() -> None:
    with pytest.raises(ValueError, match=r"modality 'sound' is missing.*\['image'\]; give None"):
        network()({"image": inputs()["image"]})


def test_one_sense_at_least_must_be_there() -> None:
    with pytest.raises(ValueError, match=r"one of \['image', 'sound'\] must be there"):
        network()({"image": None, "sound": None})


def test_a_modality_without_an_encoder_is_left_alone() -> None:
    model = FusionNetwork({"image": ConvEncoder(2)}, Concatenation(1, D), (MATCH,))
    both = inputs()
    assert torch.equal(model(both)["match"], model({**both, "sound": None})["match"])


@EVERY_FUSION
def test_a_lost_sense_is_its_vector_whatever_was_to_be_heard(fusion) -> None:
    model = network(fusion()).eval()
    model.absent.data = random(2, D, seed=7)
    lost = model({**inputs(), "sound": None})
    h = model.features(inputs()).clone()
    h[:, 1] = model.absent[1]
    expected = model.answers(model.fusion(h))
    assert all(torch.allclose(lost[name], expected[name], atol=1e-5) for name in lost)


def test_the_vector_of_a_lost_sense_is_zero_at_the_start() -> None:
    assert network().absent.abs().sum() == 0
    assert network().features({**inputs(), "image": None})[:, 0].abs().sum() == 0


@settings(deadline=None, max_examples=20)
@given(st.floats(0.05, 1), st.integers(0, 99))
def test_modality_dropout_never_drops_both_and_drops_as_often_as_it_says(rate, seed) -> None:
    model = network(dropout=rate).train()
    model.absent.data.fill_(math.nan)
    torch.manual_seed(seed)
    lost = model._drop(torch.zeros(4000, 2, D)).isnan().all(-1)
    assert not lost.all(1).any()
    assert lost.any(1).float().mean().item() == pytest.approx(rate, abs=0.05)
    assert lost.float().mean(0).tolist() == pytest.approx([rate / 2] * 2, abs=0.05)


def test_modality_dropout_puts_the_learned_vector_in_place_and_leaves_the_rest() -> None:
    model = network(dropout=0.6).train()
    model.absent.data = random(2, D, seed=3)
    h = random(500, 2, D)
    dropped = model._drop(h)
    lost = (dropped != h).any(-1)
    assert 0 < lost.sum() < 500
    assert torch.equal(dropped[~lost], h[~lost])
    assert torch.equal(dropped[lost], model.absent.expand(500, -1, -1)[lost])


def test_modality_dropout_does_nothing_in_evaluation_or_at_zero() -> None:
    plain, dropping = network().train(), network(dropout=1.0).eval()
    outputs = plain(inputs())
    assert all(torch.equal(y, outputs[name]) for name, y in dropping(inputs()).items())


def test_the_vector_of_a_lost_sense_learns_under_dropout_alone() -> None:
    for dropout, learns in ((0.0, False), (1.0, True)):
        model = network(dropout=dropout).train()
        model(inputs(50))["match"].sum().backward()
        assert (model.absent.grad is not None and model.absent.grad.abs().sum() > 0) == learns


def test_modality_dropout_follows_the_seed() -> None:
    model, h = network(dropout=0.5).train(), random(50, 2, D)
    torch.manual_seed(5)
    first = model._drop(h)
    torch.manual_seed(5)
    assert torch.equal(model._drop(h), first)


@EVERY_FUSION
def test_features_of_another_shape_are_refused_in_one_sentence(fusion) -> None:
    for shape in ((B, 2, D + 1), (B, 2 * D), (2, D)):
        with pytest.raises(ValueError, match=rf"joins features of shape \(B, [2M], {D}\), one row"):
            fusion()(torch.zeros(shape))


@pytest.mark.parametrize("fusion", [lambda: Concatenation(2, D), lambda: CrossAttention(2, D)])
def test_features_of_another_number_of_senses_are_refused(fusion) -> None:
    with pytest.raises(ValueError, match=rf"shape \(B, 2, {D}\), one row a sense, got \({B}, 3, 8"):
        fusion()(torch.zeros(B, 3, D))


def test_inputs_that_are_no_dict_are_refused_in_one_sentence() -> None:
    with pytest.raises(
        ValueError, match=r"dict with a tensor for each of .* got a Tensor of shape"
    ):
        network()(inputs()["image"])
    with pytest.raises(ValueError, match=r"each of \['image', 'sound'\], got a list"):
        network()(list(inputs().values()))


class Keeping(nn.Module):
    """A fusion that joins nothing."""

    in_features = out_features = D

    def forward(self, h):
        return h


def test_a_fusion_that_joins_nothing_is_named() -> None:
    with pytest.raises(ValueError, match=r"Keeping must give features of shape \(B, 8\), got"):
        network(Keeping())(inputs())


# States


def turned(fusion: nn.Module) -> FusionNetwork:
    """The same network with its senses in another order."""
    encoders = {"sound": ConvEncoder(3, size=32), "image": ConvEncoder(2)}
    return FusionNetwork(encoders, fusion, (MATCH, SUM))


@EVERY_FUSION
def test_the_state_of_another_order_of_senses_is_refused(fusion) -> None:
    state = network(fusion()).state_dict()
    other = turned(fusion())
    before = {name: value.clone() for name, value in other.state_dict().items()}
    with pytest.raises(ValueError, match=r"fuses \['image', 'sound'\] .* has \['sound', 'image'\]"):
        other.load_state_dict(state)
    assert all(torch.equal(value, before[name]) for name, value in other.state_dict().items())
    same = network(fusion())
    same.load_state_dict(state)
    outputs = network(fusion())(inputs())
    assert all(torch.equal(y, outputs[name]) for name, y in same(inputs()).items())


def test_a_state_without_the_names_of_its_senses_loads_in_the_same_order_alone() -> None:
    state = network().state_dict()
    del state["_extra_state"]
    network().load_state_dict(state)
    with pytest.raises(ValueError, match="no '_extra_state' that says the order of its modalities"):
        turned(Concatenation(2, D)).load_state_dict(state)


# One low-level network for both senses


def both() -> dict[str, ConvEncoder]:
    torch.manual_seed(0)
    return {"image": ConvEncoder(3, 9), "sound": ConvEncoder(3, 7, size=32)}


@pytest.mark.parametrize("layers", [1, 2, 4])
def test_with_a_shared_stem_the_first_layers_are_one_and_count_once(layers) -> None:
    own = both()
    shared = share_stem(own, layers)
    model = FusionNetwork(shared, Concatenation(2, D), (MATCH, SUM))
    apart = FusionNetwork(own, Concatenation(2, D), (MATCH, SUM))
    stem = sum(p.numel() for p in own["sound"].layers[:layers].parameters())
    sizes = [sum(p.numel() for p in network.parameters()) for network in (apart, model)]
    assert sizes[0] - sizes[1] == stem
    pairs = zip(shared["image"].layers, shared["sound"].layers, strict=True)
    assert [one is other for one, other in pairs] == [i < layers for i in range(7)]


def test_a_shared_stem_is_that_of_the_first_encoder_and_the_branches_are_their_own() -> None:
    own = both()
    shared, x = share_stem(own, 2), inputs()["sound"]
    assert torch.equal(shared["image"](inputs()["image"]), own["image"](inputs()["image"]))
    expected = own["sound"].layers[2:](own["image"].layers[:2](x))
    assert torch.equal(shared["sound"](x), expected)


def test_encoders_that_were_handed_in_keep_their_own_stems() -> None:
    own, x = both(), inputs()["sound"]
    before = own["sound"](x)
    share_stem(own, 2)["sound"].layers[0].weight.data.zero_()
    assert torch.equal(own["sound"](x), before)


def test_both_senses_train_a_shared_stem() -> None:
    shared = share_stem(both(), 2)
    gradients = []
    for name, encoder in shared.items():
        encoder.zero_grad()
        encoder(inputs()[name]).sum().backward()
        gradients.append(shared["image"].layers[0].weight.grad.clone())
    assert all(gradient.abs().sum() > 0 for gradient in gradients)
    assert not torch.allclose(*gradients)


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: share_stem(both(), 0), "stem must be from 1 to 6, .*'image' .*, got 0"),
        (lambda: share_stem(both(), 7), "from 1 to 6"),
        (
            lambda: share_stem({"image": ConvEncoder(2), "sound": ConvEncoder(3)}, 2),
            r"of 'image' are .*Conv2d\(1, 2, .* those of 'sound' .*Conv2d\(1, 3, ",
        ),
        (lambda: share_stem({"image": nn.Linear(4, 4)}, 1), "modality 'image' .* nn.Sequential"),
        (lambda: share_stem({}, 1), "dict by modality with at least one entry"),
    ],
)
def test_a_stem_that_can_not_be_shared_is_refused(build, words) -> None:
    with pytest.raises(ValueError, match=words):
        build()


def test_an_encoder_that_gives_another_number_of_features_than_it_says_is_named() -> None:
    encoder = ConvEncoder(2)
    encoder.out_features = 99
    model = FusionNetwork({"image": encoder}, Concatenation(1, D), (MATCH,))
    with pytest.raises(ValueError, match="ConvEncoder says that it gives 99 features"):
        model(inputs())


# Embeddings that a contrastive loss aligns, and tasks use


def contrastive(fusion: nn.Module | None = None, **options) -> ContrastiveFusion:
    return ContrastiveFusion(network(fusion, options.pop("dropout", 0.0)), **options)


@EVERY_FUSION
def test_the_tasks_are_answered_from_the_embeddings_that_are_compared(fusion) -> None:
    model = contrastive(fusion(), temperature=0.5)
    outputs = model(inputs())
    h = model.network.features(inputs())
    z = h / h.norm(dim=2, keepdim=True)
    assert torch.allclose(outputs["pairs"], z[:, 0] @ z[:, 1].T / 0.5, atol=1e-5)
    for name, y in model.network.answers(model.network.fusion(h)).items():
        assert torch.equal(outputs[name], y)


def test_the_contrastive_loss_is_one_more_loss_that_reaches_both_senses() -> None:
    model = contrastive()
    outputs = model(inputs())
    match = torch.tensor([1, 0, 1, 1, 0])
    targets = {"match": match, "sum": torch.arange(5), "pairs": match}
    losses = task_losses(outputs, targets, (MATCH, SUM, PAIRS))
    assert list(losses) == ["match", "sum", "pairs"]
    assert torch.equal(losses["pairs"], contrastive_loss(outputs["pairs"], match))
    shared = [*model.network.encoders.parameters(), *model.network.projections.parameters()]
    for loss in losses.values():
        assert all(g.any() for g in torch.autograd.grad(loss, shared, retain_graph=True))
    assert torch.autograd.grad(losses["pairs"], model.log_temperature)[0] != 0


def test_every_loss_reaches_the_last_shared_layer() -> None:
    model = contrastive(cross_modal())
    weights = [layer.weight for layer in model.last_shared_layer()]
    for y in model(inputs()).values():
        gradients = torch.autograd.grad(y.square().sum(), weights, retain_graph=True)
        assert all(g.any() for g in gradients)


def test_training_on_both_losses_aligns_and_answers() -> None:
    torch.manual_seed(0)
    model = contrastive()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    x, match = inputs(16), torch.arange(16) % 2
    targets = {"match": match, "sum": torch.arange(16), "pairs": match}
    history = []
    for _ in range(120):
        losses = task_losses(model(x), targets, (MATCH, SUM, PAIRS))
        optimizer.zero_grad()
        sum(losses.values()).backward()
        optimizer.step()
        history.append({name: loss.item() for name, loss in losses.items()})
    assert all(history[-1][name] < 0.5 * first for name, first in history[0].items())
    assert PAIRS.metric(model(x)["pairs"], match) > 0.8


def test_modality_dropout_acts_on_what_is_fused_and_not_on_the_pairs() -> None:
    model, plain = contrastive(dropout=1.0).train(), contrastive()
    assert torch.equal(model(inputs())["pairs"], plain(inputs())["pairs"])
    assert not torch.allclose(model(inputs())["match"], plain(inputs())["match"])


def test_where_a_sense_is_lost_there_are_no_pairs() -> None:
    assert list(contrastive()({**inputs(), "sound": None})) == ["match", "sum"]


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: CrossAttention(1, D), "two senses or more, got 1"),
        (lambda: CrossAttention(2, D, tokens=3), "divide the 8 features, got 3"),
        (lambda: network(dropout=1.5), "got 1.5 with 2"),
        (lambda: network(dropout=-0.1), "got -0.1 with 2"),
        (
            lambda: FusionNetwork({"image": ConvEncoder(2)}, Concatenation(1, D), (MATCH,), 0.2),
            "0 with one sense, got 0.2",
        ),
        (lambda: FusionNetwork({"image": ConvEncoder(2)}, Concatenation(1, D), ()), "got \\[\\]"),
        (
            lambda: FusionNetwork({"image": ConvEncoder(2)}, Concatenation(1, D), (SUM, SUM)),
            "different names",
        ),
        (lambda: Concatenation(3), r"such as Concatenation\(3, 64\), got Concatenation\(3\)"),
        (lambda: Concatenation(0, 8), "modalities must be at least 1, got 0"),
        (lambda: CrossModalAttention(0), "features must be at least 1, got 0"),
        (
            lambda: network(Concatenation(3, D)),
            r"Concatenation joins 3 senses, but there are 2 encoders \(image, sound\)",
        ),
        (lambda: network(CrossAttention(3, D)), "CrossAttention joins 3 senses, but there are 2"),
        (lambda: network(nn.ReLU()), "ReLU has no in_features, .* set fusion.in_features"),
        (
            lambda: FusionNetwork({"keys": ConvEncoder(2)}, Concatenation(1, D), (MATCH,)),
            "modality 'keys' can't be the name of a module.*'keys_modality'",
        ),
        (
            lambda: FusionNetwork({"left.image": ConvEncoder(2)}, Concatenation(1, D), (MATCH,)),
            "modality 'left.image' can't be .* without a dot.*'left_image'",
        ),
        (lambda: FusionNetwork({}, Concatenation(1, D), (MATCH,)), "at least one entry"),
        (lambda: FusionNetwork(ConvEncoder(2), Concatenation(1, D), (MATCH,)), "got a ConvEnc"),
        (
            lambda: ContrastiveFusion(HardSharing(ConvEncoder(2), (MATCH,))),
            "must be a FusionNetwork, .* got HardSharing",
        ),
        (lambda: contrastive(temperature=0.0), "finite and above 0, got 0.0"),
        (
            lambda: ContrastiveFusion(
                FusionNetwork({"image": ConvEncoder(2)}, Concatenation(1, D), (MATCH,))
            ),
            r"pairs are of two senses, got \['image'\]",
        ),
        (
            lambda: ContrastiveFusion(
                FusionNetwork(both(), Concatenation(2, D), (replace(MATCH, name="pairs"),))
            ),
            "'pairs' is the name of what is compared",
        ),
    ],
)
def test_what_can_not_be_built_is_refused(build, words) -> None:
    with pytest.raises(ValueError, match=words):
        build()


@pytest.mark.parametrize("tokens", [2, 4])
def test_the_own_weights_of_query_key_value_attention_given_back_change_nothing(tokens) -> None:
    torch.manual_seed(0)
    attention, h = CrossAttention(3, 16, tokens=tokens), torch.randn(5, 3, 16)
    assert torch.allclose(attention(h, attention.weights(h)), attention(h), atol=1e-6)


@pytest.mark.parametrize("heads", [1, 2])
def test_equal_weights_of_query_key_value_attention_are_means_over_tokens(heads) -> None:
    torch.manual_seed(0)
    attention, h = CrossAttention(2, 16, tokens=4, heads=heads), torch.randn(5, 2, 16)
    mean = torch.full((5, 2, 4, 4), 0.25)
    same = h.unflatten(2, (4, 4)).mean(2, keepdim=True).expand(5, 2, 4, 4).flatten(2)
    answers = []
    for m, asks in enumerate(attention.attentions):
        own, other = h[:, m].unflatten(1, (4, 4)), same[:, 1 - m].unflatten(1, (4, 4))
        answers.append(asks(own, other, other)[0].flatten(1))  # equal tokens: any weights will do
    expected = attention.join(h + torch.stack(answers, 1))
    assert torch.allclose(attention(h, mean), expected, atol=1e-6)
    assert not torch.allclose(attention(h, mean), attention(h), atol=1e-3)
