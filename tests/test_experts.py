"""A mixture of experts equals its formula; one expert is hard sharing."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from mtl_tutorial.architectures import (
    ConvEncoder,
    Experts,
    HardSharing,
    VGGEncoder,
    experts_used,
    importance_loss,
)
from mtl_tutorial.tasks import Task, accuracy, mean_iou

DIGIT = Task("digit", F.cross_entropy, accuracy, 10)
BOX = Task("box", F.mse_loss, mean_iou, 4)
FIRST, SECOND = (Task(name, F.mse_loss, F.mse_loss, 1) for name in ("first", "second"))
GATES = pytest.mark.parametrize("gate", ["task", "all"])


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def on_images(count: int = 3, gate: str = "task", tasks=(DIGIT, BOX)) -> Experts:
    torch.manual_seed(0)
    return Experts([ConvEncoder(2) for _ in range(count)], tasks, 784, gate=gate)


def on_vectors(count: int = 3, gate: str = "task") -> Experts:
    torch.manual_seed(0)
    return Experts([nn.Linear(5, 4) for _ in range(count)], (FIRST, SECOND), 5, gate=gate)


def test_two_linear_experts_come_out_as_by_hand():
    experts = nn.Linear(2, 1), nn.Linear(2, 1)
    model = Experts(experts, (FIRST, SECOND), 2)
    for layer, weight in zip(experts, ([1.0, 0.0], [0.0, 2.0]), strict=True):
        layer.weight.data, layer.bias.data = torch.tensor([weight]), torch.zeros(1)
    log3 = torch.tensor(3.0).log().item()
    model.gate_layers["first"].weight.data = torch.tensor([[log3, 0.0], [0.0, 0.0]])
    model.gate_layers["second"].weight.data = torch.tensor([[0.0, 0.0], [0.0, log3]])
    for head in model.heads.values():
        head.weight.data, head.bias.data = torch.ones(1, 1), torch.zeros(1)
    x = torch.tensor([[1.0, 2.0]])
    gates = model.gates(x)
    assert torch.allclose(gates["first"], torch.tensor([[3 / 4, 1 / 4]]))  # softmax(log 3, 0)
    assert torch.allclose(gates["second"], torch.tensor([[1 / 10, 9 / 10]]))  # softmax(0, 2 log 3)
    outputs = model(x)  # the experts give 1 and 4
    assert outputs["first"].item() == pytest.approx(3 / 4 * 1 + 1 / 4 * 4)
    assert outputs["second"].item() == pytest.approx(1 / 10 * 1 + 9 / 10 * 4)


@GATES
def test_predictions_equal_the_formula_in_loops(gate):
    model, x = on_vectors(gate=gate), random(6, 5)
    outputs = model(x)
    for name, head in model.heads.items():
        w = model.gate_layers[name if gate == "task" else "all_tasks"].weight
        for b in range(6):
            scores = [(w[i] @ x[b]).exp() for i in range(3)]
            mixed = sum(
                s / sum(scores) * e(x[b]) for s, e in zip(scores, model.experts, strict=True)
            )
            assert torch.allclose(outputs[name][b], head(mixed), atol=1e-6)


@GATES
def test_one_expert_is_hard_sharing_to_the_last_bit(gate):
    model, x = on_images(1, gate), random(4, 1, 28, 28)
    shared = HardSharing(model.experts[0], (DIGIT, BOX))
    shared.heads.load_state_dict(model.heads.state_dict())
    assert all(torch.equal(y, model(x)[name]) for name, y in shared(x).items())


@pytest.mark.parametrize("count", [1, 2, 5])
@GATES
def test_rows_of_the_gates_sum_to_one_and_none_is_negative(count, gate):
    x = 20 * random(7, 1, 28, 28)
    gates = on_images(count, gate).gates(x)
    assert list(gates) == ["digit", "box"]
    for rows in gates.values():
        assert rows.shape == (7, count)
        assert rows.min() >= 0
        assert torch.allclose(rows.sum(1), torch.ones(7), atol=1e-6)


def test_with_one_gate_for_all_every_task_has_the_same_weights():
    x = random(3, 5)
    one, each = on_vectors(gate="all").gates(x), on_vectors().gates(x)
    assert torch.equal(one["first"], one["second"])
    assert not torch.allclose(each["first"], each["second"])


@GATES
def test_a_loss_reaches_every_expert_its_gate_and_its_head_and_no_other_tasks(gate):
    model = on_images(gate=gate)
    model(random(4, 1, 28, 28))["box"].square().sum().backward()
    own = [*model.experts, model.gate_layers["box" if gate == "task" else "all_tasks"]]
    for part in (*own, model.heads["box"]):
        assert all(p.grad.abs().sum() > 0 for p in part.parameters())
    others = [model.heads["digit"]]
    if gate == "task":
        others.append(model.gate_layers["digit"])
    assert all(p.grad is None for part in others for p in part.parameters())


def test_reading_the_gates_changes_nothing():
    model = Experts([VGGEncoder((2,)) for _ in range(2)], (DIGIT, BOX), 784).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    model.gates(random(4, 1, 28, 28))
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(module.training for module in model.modules())


def test_gates_that_are_handed_in_take_the_place_of_the_networks_own():
    model, x = on_vectors(), random(3, 5)
    assert torch.equal(model(x, model.gates(x))["first"], model(x)["first"])
    only_last = model(x, {"first": torch.tensor([0.0, 0.0, 1.0])})
    assert torch.allclose(only_last["first"], model.heads["first"](model.experts[2](x)), atol=1e-6)
    assert torch.equal(only_last["second"], model(x)["second"])


def test_the_last_shared_layer_is_that_of_every_expert():
    model = on_images()
    assert list(model.last_shared_layer()) == [expert.layers[5] for expert in model.experts]
    assert next(iter(on_vectors().last_shared_layer())).in_features == 5


def test_gates_learn_to_part_tasks_that_want_different_experts():
    torch.manual_seed(0)
    model, x = on_vectors(2), torch.randn(256, 5)
    targets = {"first": x[:, :1].abs(), "second": -x[:, 1:2].abs()}
    optimizer = torch.optim.Adam(model.parameters(), lr=0.03)
    losses = []
    for _ in range(300):
        outputs = model(x)
        losses.append(sum(F.mse_loss(outputs[name], y) for name, y in targets.items()))
        optimizer.zero_grad()
        losses[-1].backward()
        optimizer.step()
    assert losses[-1] < 0.5 * losses[0]


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: Experts([], (DIGIT,), 5), "experts must be at least 1, got 0"),
        (lambda: on_images(tasks=()), r"different names, got \[\]"),
        (lambda: Experts([nn.Linear(5, 4)], (DIGIT,), 0), "in_features must be at least 1, got 0"),
        (lambda: Experts([nn.Linear(5, 4)] * 2, (DIGIT,), 5), "one was given twice"),
        (lambda: Experts([nn.ReLU()], (DIGIT,), 5), "ReLU has no out_features"),
        (
            lambda: Experts([nn.Linear(5, 4), nn.Linear(5, 3)], (DIGIT,), 5),
            r"equal out_features so that they can be mixed, got \[4, 3\]",
        ),
        (lambda: on_images(gate="tasks"), "gate must be one of 'task', 'all', .* mean 'task'"),
    ],
)
def test_what_can_not_be_built_is_refused(build, words):
    with pytest.raises(ValueError, match=words):
        build()


def test_inputs_and_gates_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"784 numbers an example, got \(2, 1, 32, 32\)"):
        on_images()(random(2, 1, 32, 32))
    with pytest.raises(ValueError, match="784 numbers an example, got dict"):
        on_images()({"image": random(2, 1, 28, 28)})
    with pytest.raises(ValueError, match="task must be one of 'digit', 'box', got 'boks'"):
        on_images()(random(2, 1, 28, 28), {"boks": torch.ones(3) / 3})
    with pytest.raises(ValueError, match=r"'box' must be a tensor with one number for each of 3"):
        on_images()(random(2, 1, 28, 28), {"box": torch.ones(1)})
    with pytest.raises(ValueError, match="'first' are for 1 examples, but there are 4"):
        on_vectors()(random(4, 5), {"first": torch.ones(1, 3) / 3})


def test_a_batch_may_be_empty() -> None:
    assert on_vectors().gates(random(0, 5))["first"].shape == (0, 3)


def test_a_task_may_have_any_name():
    tasks = Task("all_tasks", F.mse_loss, F.mse_loss, 1), FIRST
    torch.manual_seed(0)
    gates = Experts([nn.Linear(5, 4), nn.Linear(5, 4)], tasks, 5).gates(random(3, 5))
    assert not torch.allclose(gates["all_tasks"], gates["first"])


def test_importance_comes_out_as_by_hand() -> None:
    gates = torch.tensor([[0.5, 0.5], [1.0, 0.0]])  # importance 1.5 and 0.5: mean 1, variance 0.25
    assert importance_loss(gates).item() == pytest.approx(0.25)
    even = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    assert importance_loss(even).item() == 0
    assert importance_loss(torch.stack([gates, even])).item() == pytest.approx(0.125)
    with pytest.raises(ValueError, match="those of a task are 0 on average"):
        importance_loss(torch.stack([gates, 0 * even]))


@pytest.mark.parametrize("count", [2, 3, 8])
def test_importance_and_the_number_of_experts_have_their_ends(count) -> None:
    one, all_alike = (
        F.one_hot(torch.zeros(6, dtype=torch.long), count).float(),
        torch.ones(6, count),
    )
    assert importance_loss(one).item() == pytest.approx(count - 1)
    assert importance_loss(all_alike / count).item() == pytest.approx(0, abs=1e-9)
    assert experts_used(one).item() == pytest.approx(1)
    assert experts_used(all_alike / count).item() == pytest.approx(count)
    assert experts_used(torch.stack([one, all_alike / count])).shape == (2,)


def test_shares_that_are_none_have_no_number_of_experts() -> None:
    with pytest.raises(ValueError, match="gates must sum to 1 in every row"):
        experts_used(torch.ones(4, 3))


def test_many_examples_in_half_precision_do_not_overflow() -> None:
    half = torch.full((200_000, 2), 0.5, dtype=torch.float16)
    assert importance_loss(half).item() == 0 and experts_used(half).item() == pytest.approx(2)


def test_following_importance_downhill_evens_out_a_gate() -> None:
    scores = torch.tensor([[3.0, 0.0, 0.0]]).repeat(4, 1).requires_grad_()
    for _ in range(200):
        loss = importance_loss(scores.softmax(1))
        (slope,) = torch.autograd.grad(loss, scores)
        scores = (scores - 2 * slope).detach().requires_grad_()
    assert experts_used(scores.softmax(1)).item() > 2.9


@pytest.mark.parametrize("measure", [importance_loss, experts_used])
@pytest.mark.parametrize(
    ("gates", "words"),
    [
        (torch.ones(3), r"shape \(B, n\), or .* got \(3,\)"),
        (torch.ones(0, 3), r"with an example at least, got \(0, 3\)"),
        (torch.ones(2, 3, dtype=torch.long), "floating-point numbers, got torch.int64"),
        (None, "floating-point numbers, got NoneType"),
        (torch.tensor([[1.5, -0.5]]), "weights from 0 on, and finite; take the softmax"),
        (torch.tensor([[math.nan, 0.5]]), "weights from 0 on, and finite"),
        (torch.tensor([[math.inf, 0.5]]), "weights from 0 on, and finite"),
    ],
)
def test_what_are_no_gates_is_refused(measure, gates, words) -> None:
    with pytest.raises(ValueError, match=words):
        measure(gates)


def test_gates_of_four_axes_have_no_importance() -> None:
    with pytest.raises(ValueError, match=r"got \(1, 1, 2, 3\)"):
        importance_loss(torch.ones(1, 1, 2, 3))
