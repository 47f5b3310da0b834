"""TorchJD's methods as balancers, against TorchJD itself."""

from __future__ import annotations

import io

import pytest
import torch
from balancing_cases import NAMES, build, filled, floats, losses_of, step
from torch import nn
from torchjd import aggregation, scalarization

from mtl_tutorial.balancing import MGDA, FromTorchJD, PCGrad, task_gradients

W = torch.tensor([1.0, 2.0, 3.0])
AGGREGATORS = {
    "AlignedMTL": lambda: aggregation.AlignedMTL(),
    "CAGrad": lambda: aggregation.CAGrad(c=0.5),
    "CRMOGM": lambda: aggregation.GramianWeightedAggregator(
        aggregation.CRMOGMWeighting(aggregation.UPGradWeighting())
    ),
    "ConFIG": lambda: aggregation.ConFIG(),
    "Constant": lambda: aggregation.Constant(W),
    "DualProj": lambda: aggregation.DualProj(),
    "ExcessMTL": lambda: aggregation.ExcessMTL(),
    "FairGrad": lambda: aggregation.FairGrad(alpha=1.0),
    "GradDrop": lambda: aggregation.GradDrop(),
    "GradDrop with a leak": lambda: aggregation.GradDrop(leak=W / 10),
    "GradVac": lambda: aggregation.GradVac(),
    "IMTLG": lambda: aggregation.IMTLG(),
    "Krum": lambda: aggregation.Krum(n_byzantine=0, n_selected=1),
    "MGDA": lambda: aggregation.MGDA(),
    "Mean": lambda: aggregation.Mean(),
    "MoDo": lambda: aggregation.WeightedAggregator(Squared(aggregation.MoDoWeighting())),
    "NashMTL": lambda: aggregation.NashMTL(n_tasks=3),
    "PCD": lambda: aggregation.PCD(),
    "PCD with thresholds": lambda: aggregation.PCD(tau=W[1:] / 10),
    "PCGrad": lambda: aggregation.PCGrad(),
    "Random": lambda: aggregation.Random(),
    "Sum": lambda: aggregation.Sum(),
    "TrimmedMean": lambda: aggregation.TrimmedMean(trim_number=1),
    "UPGrad": lambda: aggregation.UPGrad(),
    "UPGrad with preferences": lambda: aggregation.UPGrad(pref_vector=W),
}
SCALARIZERS = {
    "COSMOS": lambda: scalarization.COSMOS(1.0, W),
    "Constant of losses": lambda: scalarization.Constant(W),
    "DWA": lambda: scalarization.DWA(),
    "FAMO": lambda: scalarization.FAMO(3),
    "GeometricMean": lambda: scalarization.GeometricMean(),
    "IMTLL": lambda: scalarization.IMTLL(3),
    "Mean of losses": lambda: scalarization.Mean(),
    "PBI": lambda: scalarization.PBI(1.0, W),
    "Random of losses": lambda: scalarization.Random(),
    "STCH": lambda: scalarization.STCH(0.5),
    "STCH with weights": lambda: scalarization.STCH(0.5, weights=W),
    "Sum of losses": lambda: scalarization.Sum(),
    "UW": lambda: scalarization.UW(3),
}
METHODS = AGGREGATORS | SCALARIZERS
BY_PLACE = {
    *("CRMOGM", "Constant", "ExcessMTL", "GradDrop with a leak", "GradVac", "MoDo", "NashMTL"),
    *("PCD", "PCD with thresholds", "UPGrad with preferences"),
    *("Constant of losses", "COSMOS", "DWA", "FAMO", "IMTLL", "PBI", "STCH with weights", "UW"),
}


TAKES_THREE = {"Krum", "TrimmedMean"}  # at least, in all that they do


class Squared(aggregation.Weighting):
    """A weighting of Gramians that is given a Jacobian."""

    def __init__(self, weighting):
        super().__init__()
        self.weighting = weighting

    def forward(self, matrix):
        return self.weighting(matrix @ matrix.T)


def made(methods, name):
    try:
        return methods[name]()
    except ImportError as error:
        pytest.skip(str(error))


def theta(model):
    return [*model.first.parameters(), *model.last.parameters()]


def test_every_method_of_torchjd_is_tried():
    tried = {name.partition(" ")[0] for name in AGGREGATORS}
    bases = {"Aggregator", "GramianWeightedAggregator", "WeightedAggregator", "Weighting"}
    aggregators = {n for n in aggregation.__all__ if not n.endswith("Weighting")} - bases
    assert aggregators <= tried
    assert {*scalarization.__all__} - {"Scalarizer"} <= {n.partition(" ")[0] for n in SCALARIZERS}


@pytest.mark.parametrize("name", AGGREGATORS)
def test_an_aggregator_makes_the_gradient_of_theta(name):
    model, balancer = build(), FromTorchJD(made(AGGREGATORS, name))
    alone = made(AGGREGATORS, name)
    for seed in range(3):
        model.zero_grad()
        losses = losses_of(model, seed=seed)
        jacobian = task_gradients(losses, theta(model))
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            expected = alone(jacobian)
        weights = step(balancer, model, losses, seed)
        found = torch.cat([p.grad.flatten() for p in theta(model)])
        assert torch.allclose(found, expected, rtol=1e-4, atol=1e-5)
        assert list(floats(weights)) == list(NAMES)


@pytest.mark.parametrize("name", SCALARIZERS)
def test_a_scalarizers_gradient_is_that_of_its_scalar(name):
    model, method = build(), made(SCALARIZERS, name)
    losses = losses_of(model)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        total = made(SCALARIZERS, name)(torch.stack([*losses.values()]))
    expected = torch.autograd.grad(total, list(model.parameters()), retain_graph=True)
    step(FromTorchJD(method), model, losses)
    for gradient, other in zip(filled(model).values(), expected, strict=True):
        assert torch.allclose(gradient, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["IMTLL", "UW"])
def test_what_a_scalarizer_learns_is_learned_by_adam_as_beside_the_network(name):
    model, method, alone = build(), made(SCALARIZERS, name), made(SCALARIZERS, name)
    balancer = FromTorchJD(method, learning_rate=0.1)
    adam = torch.optim.Adam(alone.parameters(), lr=0.1)
    for seed in range(5):
        losses = losses_of(model, seed=seed)
        adam.zero_grad()
        alone(torch.stack([loss.detach() for loss in losses.values()])).backward()
        step(balancer, model, losses, seed)
        adam.step()
        for mine, theirs in zip(method.parameters(), alone.parameters(), strict=True):
            assert torch.allclose(mine, theirs, atol=1e-6)


def test_famo_learns_from_the_losses_after_the_step():
    model, method, alone = build(), scalarization.FAMO(3), scalarization.FAMO(3)
    balancer = FromTorchJD(method)
    for seed in range(4):
        losses = losses_of(model, seed=seed)
        values = torch.stack([loss.detach() for loss in losses.values()])
        alone(values)
        alone.update(values * torch.tensor([0.5, 0.9, 1.1]))
        balancer.backward(losses, model)
        after = dict(zip(NAMES, values * torch.tensor([0.5, 0.9, 1.1]), strict=True))
        balancer.after_step(lambda after=after: after)
        assert torch.allclose(method._w, alone._w)
    assert method._w.abs().max() > 0.05


def test_famo_that_is_not_told_the_losses_after_its_step_says_how():
    model, balancer = build(), FromTorchJD(scalarization.FAMO(3))
    balancer.backward(losses_of(model), model)
    with pytest.raises(ValueError, match=r"learns from the losses after a step; call .*after_ste"):
        balancer.backward(losses_of(model), model)


def test_after_step_is_free_for_those_that_do_not_ask():
    balancer = FromTorchJD(scalarization.UW(3))
    balancer.backward(losses_of(model := build()), model)
    balancer.after_step(lambda: pytest.fail("nobody asked"))


@pytest.mark.parametrize("name", METHODS)
def test_only_those_that_know_tasks_by_their_place_need_all_in_one_order(name):
    balancer = FromTorchJD(made(METHODS, name))
    model = build()
    step(balancer, model, losses_of(model))
    turned = {task: losses_of(model)[task] for task in reversed(NAMES)}
    for losses in (losses_of(model, "ab"), turned):
        if name in BY_PLACE or (name in TAKES_THREE and len(losses) == 2):
            words = "knows tasks by their place and began with|gave no direction"
            with pytest.raises(ValueError, match=words):
                step(balancer, model, losses)
        else:
            assert list(step(balancer, model, losses)) == list(losses)


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("steps", [0, 1, 3])
def test_all_that_a_method_remembers_is_saved_in_plain_numbers(name, steps):
    model = build()

    def run(balancer, seeds):
        return [floats(step(balancer, model, losses_of(model, seed=s), s)) for s in seeds]

    whole, file = FromTorchJD(made(METHODS, name)), io.BytesIO()
    run(whole, range(steps))
    torch.save(whole.state_dict(), file)
    file.seek(0)
    resumed = FromTorchJD(made(METHODS, name))
    resumed.load_state_dict(torch.load(file, weights_only=True))
    for mine, theirs in zip(run(resumed, [7, 8]), run(whole, [7, 8]), strict=True):
        assert mine == pytest.approx(theirs, rel=1e-5)


def test_the_state_of_another_method_is_refused():
    balancer = FromTorchJD(aggregation.UPGrad())
    words = r"the state of FromTorchJD\(MGDA\), and not of FromTorchJD\(UPGrad\)"
    with pytest.raises(ValueError, match=words):
        balancer.load_state_dict(FromTorchJD(aggregation.MGDA()).state_dict())


@pytest.mark.parametrize("name", ["CAGrad", "CRMOGM", "DualProj", "UPGrad"])
@pytest.mark.parametrize("unit", [2.0**-10, 2.0**-30, 2.0**10])
def test_short_gradients_are_not_taken_for_none(name, unit):
    found = []
    for scale in (1.0, unit):
        theta = nn.ParameterList([torch.zeros(2)])
        losses = {"a": (theta[0] @ torch.tensor([4.0, 1])), "b": theta[0] @ torch.tensor([-1.0, 1])}
        losses = {task: scale * loss for task, loss in losses.items()}
        FromTorchJD(made(AGGREGATORS, name)).backward(losses, theta)
        found.append((theta[0].grad / scale).tolist())
    assert found[1] == pytest.approx(found[0], rel=1e-6)


@pytest.mark.parametrize(
    "name", ["UPGrad", "CAGrad", "MGDA", "PCGrad", "IMTLG", "GradDrop", "Krum"]
)
@pytest.mark.parametrize("unit", [1e-23, 1e-20, 1e18])
def test_the_unit_of_the_losses_does_not_count_where_squares_leave_the_range(name, unit):
    model, found = build(), []
    power = 2.0 ** torch.tensor(unit).log2().round().item()  # so that only the range differs
    for scale in (1.0, power):
        model.zero_grad()
        step(FromTorchJD(made(AGGREGATORS, name)), model, losses_of(model, scale=scale))
        found.append(model.first.weight.grad / scale)
    assert torch.allclose(*found, rtol=1e-2, atol=1e-3 * found[0].abs().max().item())


def test_a_solver_that_cannot_go_on_gets_a_sentence():
    class Stuck(aggregation.Aggregator):
        def forward(self, matrix):
            raise ValueError("no solution")

    model = build()
    with pytest.raises(ValueError, match="Stuck gave no direction: no solution; lower the learn"):
        FromTorchJD(Stuck()).backward(losses_of(model), model)
    assert all(gradient is None for gradient in filled(model).values())


@pytest.mark.parametrize("thing", [aggregation.UPGrad, "UPGrad", None, nn.Linear(1, 1)])
def test_what_is_no_method_is_refused(thing):
    with pytest.raises(ValueError, match="must be an aggregator or a scalarizer of TorchJD"):
        FromTorchJD(thing)


@pytest.mark.parametrize("thing", [aggregation.MGDA, scalarization.UW])
def test_a_class_in_place_of_a_method_is_told_about_its_brackets(thing):
    with pytest.raises(ValueError, match="add brackets"):
        FromTorchJD(thing)


@pytest.mark.parametrize("rate", [0, -1, float("nan"), float("inf")])
def test_a_learning_rate_out_of_range_is_refused(rate):
    with pytest.raises(ValueError, match="learning_rate must be finite and > 0"):
        FromTorchJD(scalarization.UW(2), learning_rate=rate)


TABLE = {  # the values of METHODS.md, found by hand and by TorchJD
    "PCGrad": ([0.5, 1.5], [2.20588, 3.67647], [0.5848, 3.8012, 3.8012]),
    "MGDA": ([0.2, 0.4], [0, 1], [0, 1, 1]),
    "UPGrad": ([0.25, 0.75], [1.1036, 1.8375], [0.2929, 1.9004, 1.9004]),
    "IMTLG": ([0.17157, 0.41421], [0.27698, 1], [0.0767, 1, 1]),
    "CAGrad": ([0.25, 0.5], [0.86262, 1.63738], [0.1835, 1.2041, 1.2041]),
}
JACOBIANS = [[[1, 0], [-1, 1]], [[4, 1], [-1, 1]], [[-4, 1, 1], [6, 1, 1]]]


@pytest.mark.parametrize("name", [*TABLE, "our PCGrad", "our MGDA"])
@pytest.mark.parametrize("row", range(3))
def test_values_worked_out_by_hand_arrive_in_the_gradient(name, row):
    ours = {"our PCGrad": PCGrad, "our MGDA": MGDA}
    balancer = ours[name]() if name in ours else FromTorchJD(made(AGGREGATORS, name))
    jacobian = torch.tensor(JACOBIANS[row], dtype=torch.float)
    model = nn.Linear(jacobian.shape[1], 1, bias=False)
    losses = {name: model(gradient).sum() for name, gradient in zip("ab", jacobian, strict=True)}
    balancer.backward(losses, model)
    expected = TABLE[name.removeprefix("our ")][row]
    assert model.weight.grad[0].tolist() == pytest.approx(expected, abs=2e-3)
