"""What holds for every architecture: number formats, copies, files, compilers."""

from __future__ import annotations

import copy
import io
import pickle

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import mtl_tutorial.architectures as room
from mtl_tutorial.architectures import (
    MTAN,
    AskedNetwork,
    ClassicEncoder,
    Concatenation,
    ContrastiveAlignment,
    ContrastiveFusion,
    ConvEncoder,
    CrossAttention,
    CrossModalAttention,
    CrossStitch,
    Experts,
    FusionNetwork,
    HardSharing,
    HeadAQuestion,
    LeNet,
    SingleTaskNetworks,
    VGGEncoder,
    share_stem,
)
from mtl_tutorial.architectures.transformer import SensesTransformer, Sizes
from mtl_tutorial.balancing import shared_parameters
from mtl_tutorial.tasks import Task, accuracy, mean_iou

DIGIT = Task("digit", F.cross_entropy, accuracy, 10)
BOX = Task("box", F.mse_loss, mean_iou, 4)
TASKS = (DIGIT, BOX)


def pair(make=lambda: ConvEncoder(2)) -> list[nn.Module]:
    return [make(), make()]


def senses() -> dict[str, nn.Module]:
    return {"image": ConvEncoder(2), "sound": ConvEncoder(2, size=32)}


def reader(words: int) -> SensesTransformer:
    sizes = Sizes(patches=16, pixels=49, columns=32, bands=32, words=words, vocabulary=9)
    return SensesTransformer(sizes, width=8, hidden=8)


ON_IMAGES = {
    "HardSharing": lambda: HardSharing(ConvEncoder(2), TASKS),
    "HardSharing, classic": lambda: HardSharing(ClassicEncoder(), TASKS),
    "HardSharing, LeNet": lambda: HardSharing(LeNet(), TASKS),
    "SingleTaskNetworks": lambda: SingleTaskNetworks(
        {task.name: HardSharing(ConvEncoder(2), [task]) for task in TASKS}
    ),
    "CrossStitch": lambda: CrossStitch(pair(), TASKS),
    "CrossStitch, channel": lambda: CrossStitch(pair(), TASKS, mixing="channel"),
    "CrossStitch, matrix": lambda: CrossStitch(pair(), TASKS, mixing="matrix", after="last"),
    "CrossStitch, VGG": lambda: CrossStitch(pair(lambda: VGGEncoder((2, 2))), TASKS, after="last"),
    "MTAN": lambda: MTAN(VGGEncoder((2, 3)), TASKS),
    "Experts": lambda: Experts(pair(), TASKS, 784),
    "Experts, one gate": lambda: Experts(pair(), TASKS, 784, gate="all"),
}
ON_SENSES = {
    "FusionNetwork, concatenation": lambda: FusionNetwork(senses(), Concatenation(2, 8), TASKS),
    "FusionNetwork, products": lambda: FusionNetwork(
        senses(), CrossModalAttention(8, scaled=True), TASKS, 0.5
    ),
    "FusionNetwork, queries": lambda: FusionNetwork(senses(), CrossAttention(2, 8), TASKS),
    "FusionNetwork, one stem": lambda: FusionNetwork(
        share_stem(senses(), 2), Concatenation(2, 8), TASKS
    ),
    "ContrastiveFusion": lambda: ContrastiveFusion(
        FusionNetwork(senses(), Concatenation(2, 8), TASKS)
    ),
}
ON_QUESTIONS = {
    "AskedNetwork": lambda: AskedNetwork(reader(7), TASKS),
    "HeadAQuestion": lambda: HeadAQuestion(reader(0), TASKS, torch.ones(2, 10, dtype=torch.bool)),
}
ALL = {
    **ON_IMAGES,
    **ON_SENSES,
    **ON_QUESTIONS,
    "ContrastiveAlignment": lambda: ContrastiveAlignment(senses()),
}
EVERY = pytest.mark.parametrize("name", ALL)


def built(name: str, seed: int = 0) -> nn.Module:
    """In evaluation mode, with batch norms that have seen something."""
    torch.manual_seed(seed)
    model = ALL[name]()
    answers(model, name)
    return model.eval()


def inputs(name: str, dtype: torch.dtype = torch.float32):
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(4, 1, 28, 28, generator=generator).to(dtype)
    sound = torch.rand(4, 1, 32, 32, generator=generator).to(dtype)
    senses = {"image": image, "sound": sound}
    if name in ON_QUESTIONS:
        senses["question"] = torch.randint(9, (4, 7), generator=generator)
        senses["number"] = torch.randint(2, (4,), generator=generator)
    return image if name in ON_IMAGES else senses


def answers(model: nn.Module, name: str, dtype: torch.dtype = torch.float32) -> dict:
    outputs = model(inputs(name, dtype))
    return outputs if isinstance(outputs, dict) else {"logits": outputs}


def total(outputs: dict) -> torch.Tensor:
    return sum(y.square().mean() for y in outputs.values())


def same(one: dict, other: dict, **tolerance) -> bool:
    assert one.keys() == other.keys()
    return all(torch.allclose(y, other[name].to(y.dtype), **tolerance) for name, y in one.items())


def test_every_network_that_the_room_exports_is_tested_here() -> None:
    parts = ("Encoder", "LeNet", "Unit", "Concatenation", "Attention")
    exported = {name for name in room.__all__ if isinstance(getattr(room, name), type)}
    networks = {name for name in exported if not name.endswith(parts)}
    assert networks == {name.partition(",")[0] for name in ALL}


@EVERY
def test_in_double_precision_it_gives_the_same_more_precisely_and_trains(name) -> None:
    model = built(name)
    expected = answers(model, name)
    double = copy.deepcopy(model).double()
    outputs = answers(double, name, torch.float64)
    assert {y.dtype for y in outputs.values()} == {torch.float64}
    assert same(expected, outputs, atol=1e-4)
    total(answers(double.train(), name, torch.float64)).backward()
    assert {p.grad.dtype for p in double.parameters() if p.grad is not None} == {torch.float64}


BUILT_IN_DOUBLE = {
    "HardSharing": lambda: HardSharing(ConvEncoder(2).double(), TASKS),
    "CrossStitch": lambda: CrossStitch(pair(lambda: ConvEncoder(2).double()), TASKS),
    "MTAN": lambda: MTAN(VGGEncoder((2, 3)).double(), TASKS),
    "Experts": lambda: Experts(pair(lambda: ConvEncoder(2).double()), TASKS, 784),
    "FusionNetwork, concatenation": lambda: FusionNetwork(
        {name: encoder.double() for name, encoder in senses().items()},
        Concatenation(2, 8).double(),
        TASKS,
    ),
    "ContrastiveAlignment": lambda: ContrastiveAlignment(
        {name: encoder.double() for name, encoder in senses().items()}
    ),
}


@pytest.mark.parametrize("name", BUILT_IN_DOUBLE)
def test_built_on_encoders_in_double_precision_it_is_in_double_precision(name) -> None:
    model = BUILT_IN_DOUBLE[name]()
    assert {p.dtype for p in model.parameters()} == {torch.float64}
    assert {y.dtype for y in answers(model, name, torch.float64).values()} == {torch.float64}


@EVERY
@pytest.mark.parametrize("autocast", [True, False])
def test_in_bfloat16_it_gives_nearly_the_same_and_trains(name, autocast) -> None:
    model = built(name)
    expected = answers(model, name)
    if autocast:
        with torch.autocast("cpu", torch.bfloat16):
            outputs = answers(model, name)
    else:
        model = model.to(torch.bfloat16)
        outputs = answers(model, name, torch.bfloat16)
    assert same(expected, outputs, atol=0.3 if "logits" in expected or "pairs" in expected else 0.1)
    total(outputs).backward()
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


@EVERY
def test_a_copy_gives_the_same_and_is_trained_without_the_original(name) -> None:
    model = built(name)
    expected = answers(model, name)
    for duplicate in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert same(expected, answers(duplicate, name), rtol=0, atol=0)
        assert len(list(duplicate.parameters())) == len(list(model.parameters()))  # ties stay
        total(answers(duplicate, name)).backward()
        torch.optim.SGD(duplicate.parameters(), lr=1.0).step()
        assert not same(expected, answers(duplicate, name))
    assert same(expected, answers(model, name), rtol=0, atol=0)
    assert all(p.grad is None for p in model.parameters())


@EVERY
def test_its_state_goes_through_a_file_into_another_one(name) -> None:
    model, other = built(name), built(name, seed=1)
    assert not same(answers(model, name), answers(other, name))
    file = io.BytesIO()
    torch.save(model.state_dict(), file)
    file.seek(0)
    other.load_state_dict(torch.load(file, weights_only=True))
    assert same(answers(model, name), answers(other, name), rtol=0, atol=0)


@EVERY
def test_its_state_holds_tensors_alone(name) -> None:
    assert all(isinstance(value, torch.Tensor) for value in built(name).state_dict().values())


@EVERY
def test_moved_to_another_number_format_and_back_what_was_tied_stays_tied(name) -> None:
    model = built(name)
    count = len(list(model.parameters()))
    assert len(list(model.double().float().parameters())) == count
    assert len(list(model.to(torch.bfloat16).parameters())) == count


@EVERY
def test_compiled_it_gives_the_same_and_its_gradients(name) -> None:
    model = built(name)
    compiled = torch.compile(model, backend="eager")
    expected = answers(model, name)
    total(expected).backward()
    gradients = {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    outputs = answers(compiled, name)
    assert same(expected, outputs, atol=1e-6)
    total(outputs).backward()
    found = {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
    assert same(gradients, found, atol=1e-5)


@EVERY
def test_names_of_parameters_are_those_of_the_state(name) -> None:
    model = built(name)
    assert {n for n, _ in model.named_parameters()} <= model.state_dict().keys()


@EVERY
def test_evaluation_changes_nothing(name) -> None:
    model = built(name)
    before = {n: value.clone() for n, value in model.state_dict().items()}
    state = torch.get_rng_state()
    answers(model, name)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, before[n]) for n, value in model.state_dict().items())


@pytest.mark.parametrize("name", ON_IMAGES)
def test_each_task_gets_a_prediction_of_its_width_for_each_example(name) -> None:
    shapes = {n: tuple(y.shape) for n, y in answers(built(name), name).items()}
    assert shapes == {"digit": (4, 10), "box": (4, 4)}


@pytest.mark.parametrize("name", [name for name in ALL if not name.startswith("Single")])
def test_every_loss_reaches_the_last_shared_layer(name) -> None:
    model = built(name)
    if not hasattr(model, "last_shared_layer"):
        assert name == "ContrastiveAlignment"  # it has one loss
        return
    weights = [p for p in model.last_shared_layer().parameters() if p.ndim > 1]
    assert weights
    for y in answers(model.train(), name).values():
        found = torch.autograd.grad(y.square().sum(), weights, retain_graph=True, allow_unused=True)
        assert any(g is not None and g.abs().sum() > 0 for g in found)


def reached(name: str) -> tuple[nn.Module, set[str]]:
    """The names of the parameters that two or more tasks' outputs reach."""
    model = built(name)
    losses = {task: y.square().sum() for task, y in answers(model, name).items()}
    shared = {id(p) for p in shared_parameters(losses, model)}
    return model, {n for n, p in model.named_parameters() if id(p) in shared}


def parts_of(model: nn.Module, *parts: str) -> set[str]:
    return {n for n, _ in model.named_parameters() if n.startswith(parts)}


SHARED = {
    "HardSharing": ("encoder.",),
    "SingleTaskNetworks": (),
    "CrossStitch": ("encoders.", "units."),
    "CrossStitch, matrix": ("encoders.", "units."),
    "MTAN": ("encoder.", "extractors."),
    "Experts": ("experts.",),
    "Experts, one gate": ("experts.", "gate_layers."),
    "AskedNetwork": ("encoder.",),
    "HeadAQuestion": ("encoder.",),
    "FusionNetwork, concatenation": ("encoders.", "projections.", "fusion."),
    "FusionNetwork, products": ("encoders.", "projections.", "fusion."),
    "FusionNetwork, one stem": ("encoders.", "projections.", "fusion."),
    "ContrastiveFusion": ("network.encoders.", "network.projections.", "network.fusion."),
}


@pytest.mark.parametrize("name", SHARED)
def test_tasks_share_what_the_graph_says_and_a_model_says_nothing(name) -> None:
    model, shared = reached(name)
    assert shared == (parts_of(model, *SHARED[name]) if SHARED[name] else set())
    assert not hasattr(model, "shared_parameters") and not hasattr(model, "task_parameters")


def test_what_comes_after_the_last_unit_is_a_tasks_own() -> None:
    torch.manual_seed(0)
    model = CrossStitch(pair(), TASKS, after=(3,))
    losses = {task: y.square().sum() for task, y in model(inputs("CrossStitch")).items()}
    before = [p for e in model.encoders.values() for p in e.layers[:4].parameters()]
    assert set(shared_parameters(losses, model)) == {*before, *model.units.parameters()}
