"""What every balancer keeps to, whatever it does with the gradients."""

from __future__ import annotations

import pytest
import torch
from balancing_cases import floats
from torch import nn
from torch.nn import functional as F
from torchjd import aggregation

from mtl_tutorial.architectures import (
    MTAN,
    ClassicEncoder,
    ConvEncoder,
    CrossModalAttention,
    CrossStitch,
    FusionNetwork,
    HardSharing,
    VGGEncoder,
)
from mtl_tutorial.balancing import (
    MGDA,
    DynamicWeightAverage,
    FixedWeights,
    FromTorchJD,
    GradientNormWeights,
    GradNorm,
    PCGrad,
    UncertaintyWeights,
    mgda,
    pcgrad,
    task_gradients,
)
from mtl_tutorial.data import located_digits
from mtl_tutorial.experiments import seeded, train
from mtl_tutorial.tasks import Task, accuracy, task_losses

SCENES = located_digits("train")


def several(count):
    """Tasks of different widths on the same digits."""
    return tuple(Task(f"task{i}", F.cross_entropy, accuracy, 10 + i) for i in range(count))


BALANCERS = {
    "FixedWeights": lambda tasks: FixedWeights(),
    "UncertaintyWeights": lambda tasks: UncertaintyWeights(tasks),
    "DynamicWeightAverage": lambda tasks: DynamicWeightAverage(2),
    "GradNorm": lambda tasks: GradNorm(),
    "GradientNormWeights": lambda tasks: GradientNormWeights(),
    "PCGrad": lambda tasks: PCGrad(torch.Generator().manual_seed(0)),
    "MGDA": lambda tasks: MGDA(),
    "FromTorchJD": lambda tasks: FromTorchJD(aggregation.UPGrad()),
}
SURGEONS = ("PCGrad", "MGDA", "FromTorchJD")
LOOK_AT_GRADIENTS = (*SURGEONS, "GradNorm", "GradientNormWeights")
every_balancer = pytest.mark.parametrize("make", BALANCERS.values(), ids=BALANCERS)
surgeons = pytest.mark.parametrize("make", [BALANCERS[n] for n in SURGEONS], ids=SURGEONS)
look_at_gradients = pytest.mark.parametrize(
    "make", [BALANCERS[n] for n in LOOK_AT_GRADIENTS], ids=LOOK_AT_GRADIENTS
)
DEVICES = ["cpu"]
if torch.cuda.is_available():
    DEVICES.append("cuda")


class Normalised(nn.Module):
    """An encoder with batch norm and dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.out_features = 12
        self.layers = nn.Sequential(
            nn.Conv2d(1, 3, 3, stride=4),
            nn.BatchNorm2d(3),
            nn.ReLU(),
            nn.Dropout(0.3),
            nn.Flatten(),
            nn.Linear(147, 12),
        )

    def forward(self, images):
        return self.layers(images)


def model_and_losses(tasks, encoder=lambda: ConvEncoder(2), *, seed=0, **to):
    with seeded(seed) as generator:
        model = HardSharing(encoder(), tasks).to(**to)
        digits = SCENES.draw(16, generator)
        outputs = model(digits.inputs.to(**to))
    target = digits.targets["digit"].to(outputs["task0"].device)
    return model, task_losses(outputs, {task.name: target for task in tasks}, tasks)


@every_balancer
@pytest.mark.parametrize("count", [2, 3, 8])
@pytest.mark.parametrize("device", DEVICES)
def test_any_number_of_tasks_fills_every_gradient(make, count, device):
    tasks = several(count)
    model, losses = model_and_losses(tasks, device=device)
    weights = make(tasks).backward(losses, model)
    assert list(weights) == [task.name for task in tasks]
    assert all(weight >= 0 for weight in floats(weights).values())
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


@surgeons
def test_a_head_gets_its_own_gradient_and_nothing_else(make):
    tasks = several(3)
    model, losses = model_and_losses(tasks)
    heads = {name: list(model.heads[name].parameters()) for name in losses}
    alone = {
        name: torch.autograd.grad(losses[name], heads[name], retain_graph=True) for name in losses
    }
    make(tasks).backward(losses, model)
    for name, gradients in alone.items():
        for parameter, gradient in zip(heads[name], gradients, strict=True):
            assert torch.equal(parameter.grad, gradient)


@surgeons
def test_the_weights_are_those_of_the_shared_gradient(make):
    tasks = several(3)
    model, losses = model_and_losses(tasks)
    jacobian = task_gradients(losses, model.encoder.parameters())
    weights = make(tasks).backward(losses, model)
    shared = torch.cat([p.grad.flatten() for p in model.encoder.parameters()])
    expected = torch.stack(list(weights.values())) @ jacobian
    assert torch.allclose(shared, expected, atol=1e-5 * expected.norm().item())


@pytest.mark.parametrize(
    ("make", "direction"), [(BALANCERS["PCGrad"], pcgrad), (BALANCERS["MGDA"], mgda)]
)
def test_the_shared_gradient_is_the_pure_functions(make, direction):
    tasks = several(2)
    model, losses = model_and_losses(tasks)
    jacobian = task_gradients(losses, model.encoder.parameters())
    make(tasks).backward(losses, model)
    shared = torch.cat([p.grad.flatten() for p in model.encoder.parameters()])
    assert torch.allclose(shared, direction(jacobian), atol=1e-6)


@pytest.mark.parametrize(
    "name", ["UPGrad", "CAGrad", "IMTLG", "AlignedMTL", "NashMTL", "Mean", "Sum", "DualProj"]
)
def test_torchjds_aggregators_make_the_shared_gradient(name):
    arguments = {"CAGrad": {"c": 0.5}, "NashMTL": {"n_tasks": 2}}.get(name, {})
    tasks = several(2)
    model, losses = model_and_losses(tasks)
    jacobian = task_gradients(losses, model.encoder.parameters())
    aggregator = getattr(aggregation, name)
    try:
        expected = aggregator(**arguments)(jacobian)
    except ImportError as error:
        pytest.skip(str(error))
    FromTorchJD(aggregator(**arguments)).backward(losses, model)
    shared = torch.cat([p.grad.flatten() for p in model.encoder.parameters()])
    assert torch.allclose(shared, expected, atol=1e-5)


@every_balancer
def test_batch_statistics_move_once_a_step(make):
    tasks = several(3)
    model, losses = model_and_losses(tasks, Normalised)
    norm = model.encoder.layers[1]
    before = norm.running_mean.clone()
    make(tasks).backward(losses, model)
    assert norm.num_batches_tracked == 1
    assert torch.equal(norm.running_mean, before)


@every_balancer
def test_dropout_is_the_same_for_every_task_of_a_step(make):
    tasks = several(2)
    model, losses = model_and_losses(tasks, Normalised)
    make(tasks).backward(losses, model)
    assert all(p.grad.isfinite().all() for p in model.parameters())


@every_balancer
@pytest.mark.parametrize("device", DEVICES)
def test_autocast_losses_are_balanced(make, device):
    tasks = several(2)
    with torch.autocast(device, dtype=torch.bfloat16):
        model, losses = model_and_losses(tasks, device=device)
    make(tasks).backward(losses, model)
    assert all(p.grad.dtype == p.dtype and p.grad.isfinite().all() for p in model.parameters())


@every_balancer
@pytest.mark.parametrize("device", DEVICES)
def test_a_backward_pass_inside_autocast_gives_the_same(make, device):
    tasks = several(3)
    found = []
    for inside in (False, True):
        with torch.autocast(device, dtype=torch.bfloat16):
            model, losses = model_and_losses(tasks, device=device)
        with torch.autocast(device, dtype=torch.bfloat16, enabled=inside):
            weights = make(tasks).backward(losses, model)
        found.append((weights, [p.grad for p in model.parameters()]))
    (outside, expected), (inside, gradients) = found
    assert floats(inside) == pytest.approx(floats(outside))
    assert all(map(torch.allclose, gradients, expected))


@every_balancer
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("scale", [1, 3000])  # squared norms above 65504 overflow in float16
def test_a_half_precision_model_is_balanced_as_a_double_one(make, dtype, scale):
    tasks = several(3)
    found = []
    for precision in (torch.double, dtype):
        model, losses = model_and_losses(tasks, dtype=precision)
        losses = {name: scale * loss for name, loss in losses.items()}
        found.append(make(tasks).backward(losses, model))
        assert all(p.grad.dtype == precision for p in model.parameters())
        assert all(p.grad.isfinite().all() for p in model.parameters())
    assert floats(found[1]) == pytest.approx(floats(found[0]), rel=0.05)


@pytest.mark.parametrize("direction", [pcgrad, mgda])
@pytest.mark.parametrize(
    ("jacobian", "words"),
    [
        (torch.tensor([[1, 0], [-1, 1]]), r"shape \(2, 2\) of torch.int64; .*\.float\(\)"),
        (torch.ones(3), r"one gradient a row, .* got shape \(3,\)"),
        (torch.ones(2, 3, 4), r"got shape \(2, 3, 4\)"),
        (torch.ones(0, 4), r"at least 1, .* got shape \(0, 4\)"),
        (torch.tensor([[1.0, 2.0], [0.0, torch.nan]]), "task 1 is nan"),
        (torch.tensor([[torch.inf, 2.0], [0.0, 1.0]]), "task 0 is inf"),
    ],
)
def test_what_is_no_jacobian_is_refused(direction, jacobian, words):
    with pytest.raises(ValueError, match=words):
        direction(jacobian)


@every_balancer
def test_gradients_add_up_as_with_backward(make):
    tasks = several(2)
    model, losses = model_and_losses(tasks)
    make(tasks).backward(losses, model)
    once = [p.grad.clone() for p in model.parameters()]
    again, losses = model_and_losses(tasks)
    for parameter in again.parameters():
        parameter.grad = torch.ones_like(parameter)
    make(tasks).backward(losses, again)
    for parameter, gradient in zip(again.parameters(), once, strict=True):
        assert torch.allclose(parameter.grad, gradient + 1)


@every_balancer
def test_a_run_goes_on_from_its_state_as_if_it_had_not_stopped(make):
    tasks = several(3)

    def steps(balancer, seeds):
        return [balancer.backward(*reversed(model_and_losses(tasks, seed=s))) for s in seeds]

    whole = steps(make(tasks), range(6))
    stopped = make(tasks)
    steps(stopped, range(3))
    state = stopped.state_dict()
    steps(stopped, range(3, 5))  # what was saved does not follow
    resumed = make(tasks)
    resumed.load_state_dict(state)
    again = make(tasks)
    again.load_state_dict(state)
    steps(again, range(2))  # nor does it follow what was loaded
    resumed = make(tasks)
    resumed.load_state_dict(state)
    for mine, theirs in zip(steps(resumed, range(3, 6)), whole[3:], strict=True):
        assert floats(mine) == pytest.approx(floats(theirs))


@every_balancer
def test_training_lowers_every_loss(make):
    tasks = SCENES.tasks
    validation = SCENES.draw(64, torch.Generator().manual_seed(1))
    _, history = train(
        lambda: HardSharing(ConvEncoder(4), tasks),
        tasks,
        SCENES,
        validation,
        seed=0,
        steps=60,
        balancer=make(tasks),
    )
    losses = (
        history.to_frame()
        .query("quantity == 'loss'")
        .pivot(index="step", columns="task", values="value")
    )
    assert (losses.iloc[-10:].mean() < losses.iloc[:3].mean()).all()


@every_balancer
def test_the_classic_encoder_is_balanced(make):
    tasks = SCENES.tasks
    with seeded(0) as generator:
        model = HardSharing(ClassicEncoder(), tasks)
        batch = SCENES.draw(4, generator)
    losses = task_losses(model(batch.inputs), batch.targets, tasks)
    make(tasks).backward(losses, model)
    assert all(p.grad.isfinite().all() for p in model.parameters())


@look_at_gradients
def test_one_task_alone_gets_its_own_gradient(make):
    model, losses = model_and_losses(several(1))
    expected = torch.autograd.grad(losses["task0"], list(model.parameters()), retain_graph=True)
    weights = make(several(2)).backward(losses, model)
    assert floats(weights) == {"task0": 1.0}
    for parameter, gradient in zip(model.parameters(), expected, strict=True):
        assert torch.allclose(parameter.grad, gradient, atol=1e-7)


@look_at_gradients
def test_a_loss_that_does_not_reach_the_shared_part_is_named(make):
    tasks = several(2)
    model, losses = model_and_losses(tasks)
    losses["task1"] = model.heads["task1"].weight.square().sum()
    with pytest.raises(ValueError, match="'task1' does not reach|nothing to balance") as told:
        make(tasks).backward(losses, model)
    assert "task1" in str(told.value)


@look_at_gradients
def test_a_frozen_encoder_is_refused(make):
    tasks = several(2)
    model, _ = model_and_losses(tasks)
    for parameter in model.encoder.parameters():
        parameter.requires_grad_(False)
    batch = SCENES.draw(4, torch.Generator().manual_seed(0))
    outputs = model(batch.inputs)
    losses = task_losses(outputs, {t.name: batch.targets["digit"] for t in tasks}, tasks)
    with pytest.raises(ValueError, match=r"of HardSharing.* (\(6 of its 10 .* are|is) frozen"):
        make(tasks).backward(losses, model)


class Bare(nn.Flatten):
    """An encoder with nothing to train."""

    out_features = 784


@look_at_gradients
def test_a_model_that_shares_nothing_is_refused(make):
    tasks = several(2)
    model, losses = model_and_losses(tasks, Bare)
    with pytest.raises(ValueError, match="HardSharing|layer"):
        make(tasks).backward(losses, model)


@look_at_gradients
def test_a_gradient_that_is_not_finite_is_named_and_fills_nothing(make):
    tasks = several(2)
    model, losses = model_and_losses(tasks)
    losses["task1"] = losses["task1"] * float("nan")
    with pytest.raises(ValueError, match="task 'task1' is nan"):
        make(tasks).backward(losses, model)
    assert all(p.grad is None for p in model.parameters())


@every_balancer
def test_a_loss_computed_under_no_grad_is_named_fills_nothing_and_is_forgotten(make):
    tasks = several(2)
    balancer = make(tasks)
    before = balancer.state_dict()
    model, losses = model_and_losses(tasks)
    losses["task1"] = losses["task1"].detach()
    with pytest.raises(ValueError, match="'task1' depends on no trained parameter.*no_grad"):
        balancer.backward(losses, model)
    assert all(p.grad is None for p in model.parameters())
    assert repr(balancer.state_dict()) == repr(before)


@every_balancer
def test_no_loss_at_all_is_refused(make):
    tasks = several(2)
    model, _ = model_and_losses(tasks)
    with pytest.raises(ValueError, match=r"at least|losses for \[\]"):
        make(tasks).backward({}, model)


@pytest.mark.parametrize("thing", [aggregation.UPGrad, "UPGrad", None, torch.nn.Linear(1, 1)])
def test_what_is_no_aggregator_is_refused(thing):
    with pytest.raises(ValueError, match="must be an aggregator or a scalarizer of TorchJD"):
        FromTorchJD(thing)


def test_a_class_in_place_of_an_aggregator_is_told_about_its_brackets():
    with pytest.raises(ValueError, match="add brackets"):
        FromTorchJD(aggregation.MGDA)


ARCHITECTURES = {
    "CrossStitch": lambda tasks: CrossStitch([ConvEncoder(2) for _ in tasks], tasks),
    "MTAN": lambda tasks: MTAN(VGGEncoder((2, 3)), tasks),
    "FusionNetwork": lambda tasks: FusionNetwork(
        {"image": ConvEncoder(2), "sound": ConvEncoder(2)}, CrossModalAttention(8), tasks
    ),
}


@every_balancer
@pytest.mark.parametrize("architecture", ARCHITECTURES.values(), ids=ARCHITECTURES)
def test_every_architecture_is_balanced(make, architecture):
    tasks = several(3)
    with seeded(0) as generator:
        model = architecture(tasks)
        digits = SCENES.draw(8, generator)
    inputs = digits.inputs
    if isinstance(model, FusionNetwork):
        inputs = {"image": inputs, "sound": inputs.flip(0)}
    target = digits.targets["digit"]
    losses = task_losses(model(inputs), {task.name: target for task in tasks}, tasks)
    make(tasks).backward(losses, model)
    named = {id(p): name for name, p in model.named_parameters()}
    without = [named[id(p)] for p in model.parameters() if p.grad is None]
    assert without in ([], ["absent"])  # no sense is absent here
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)
