"""Networks that are trained side by side are those that would come out one by one."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from mtl_tutorial.architectures import ConvEncoder, CrossStitch, HardSharing, VGGEncoder
from mtl_tutorial.balancing import FixedWeights
from mtl_tutorial.data import Scenes, located_digits, two_digits
from mtl_tutorial.experiments import seeded, sweep, train
from mtl_tutorial.tasks import Batch

WEIGHTS = ({"left": 1.0, "right": 1.0}, {"left": 0.2, "right": 3.0}, {"left": 0.0, "right": 1.0})
SEEDS = (4, 7)


class DenseEncoder(nn.Module):
    def __init__(self, dropout: float = 0.0) -> None:
        super().__init__()
        self.out_features = 6
        self.layers = nn.Sequential(
            nn.Flatten(), nn.Linear(784, 9), nn.Dropout(dropout), nn.ReLU(), nn.Linear(9, 6)
        )

    def forward(self, images):
        return self.layers(images)


@pytest.fixture(scope="module")
def scenes():
    return two_digits("test")


@pytest.fixture(scope="module")
def held_out(scenes):
    return scenes.draw(64, torch.Generator().manual_seed(9))


def momentum(model):
    return torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-3)


def fast_heads(model):
    groups = [
        {"params": list(model.encoder.parameters())},
        {"params": list(model.heads.parameters()), "lr": 0.02},
    ]
    return torch.optim.Adam(groups, lr=0.003)


def small(scenes, held_out, encoder=DenseEncoder, **settings):
    given = {"weights": WEIGHTS, "seeds": SEEDS, "steps": 5, "batch_size": 8} | settings
    return sweep(
        lambda: HardSharing(encoder(), scenes.tasks), scenes.tasks, scenes, held_out, **given
    )


@pytest.mark.parametrize("optimizer", [None, momentum, fast_heads])
@pytest.mark.parametrize("encoder", [DenseEncoder, lambda: ConvEncoder(2)])
def test_a_sweep_gives_what_separate_runs_give(scenes, held_out, encoder, optimizer) -> None:
    done = small(scenes, held_out, encoder, optimizer=optimizer, steps=8)
    assert done.losses.shape == (8, 3, 2, 2)
    for i, weights in enumerate(WEIGHTS):
        for j, seed in enumerate(SEEDS):
            model, history = train(
                lambda: HardSharing(encoder(), scenes.tasks),
                scenes.tasks,
                scenes,
                held_out,
                seed=seed,
                steps=8,
                batch_size=8,
                balancer=FixedWeights(weights),
                optimizer=optimizer,
            )
            expected = torch.stack([torch.stack([*r.losses.values()]) for r in history.records])
            assert torch.allclose(done.losses[:, i, j], expected, atol=1e-4, rtol=1e-4)
            other = done.models[i][j].state_dict()
            assert list(other) == list(model.state_dict())
            for name, value in model.state_dict().items():
                assert torch.allclose(other[name], value, atol=2e-4, rtol=1e-3), name
            rows = done.scores.query(f"weight == {i} and seed == {seed}")
            scores = rows.set_index(["task", "quantity"])["value"]
            for name, score in history.scores[-1][1].items():
                assert scores[name, "validation loss"] == pytest.approx(score.loss, rel=1e-3)
                assert scores[name, "validation metric"] == pytest.approx(score.metric, abs=0.04)


def test_the_networks_of_one_seed_start_alike_and_part_by_their_weights(scenes, held_out) -> None:
    done = small(scenes, held_out)
    assert torch.equal(done.losses[0, 0], done.losses[0, 1])
    assert not torch.equal(done.losses[0, :, 0], done.losses[0, :, 1])
    assert not torch.allclose(done.losses[-1, 0], done.losses[-1, 1])


def test_a_network_does_not_depend_on_those_beside_it(scenes, held_out) -> None:
    alone = small(scenes, held_out, weights=WEIGHTS[1:2], seeds=SEEDS[1:])
    beside = small(scenes, held_out)
    assert torch.allclose(alone.losses[:, 0, 0], beside.losses[:, 1, 1], rtol=1e-4, atol=1e-5)


def test_a_task_without_weight_leaves_its_head_as_it_was(scenes, held_out) -> None:
    done = small(scenes, held_out)
    with seeded(SEEDS[0]):
        fresh = HardSharing(DenseEncoder(), scenes.tasks)
    head, right = (done.models[2][0].heads[name].weight for name in ("left", "right"))
    assert torch.equal(head, fresh.heads["left"].weight)
    assert not torch.equal(right, fresh.heads["right"].weight)


def test_tasks_of_several_kinds_are_swept(held_out) -> None:
    scenes = located_digits("test")
    batch = scenes.draw(16, torch.Generator().manual_seed(0))
    weights = [{"digit": 1.0, "box": 2.0, "mask": 0.5}]
    tasks, settings = scenes.tasks, {"weights": weights, "seeds": [1], "steps": 3}
    done = sweep(lambda: HardSharing(ConvEncoder(2), tasks), tasks, scenes, batch, **settings)
    _, history = train(
        lambda: HardSharing(ConvEncoder(2), tasks),
        tasks,
        scenes,
        batch,
        seed=1,
        steps=3,
        balancer=FixedWeights(weights[0]),
    )
    expected = [loss.item() for loss in history.records[-1].losses.values()]
    assert done.losses[-1, 0, 0].tolist() == pytest.approx(expected, rel=1e-3)


def test_an_architecture_with_several_encoders_can_be_swept(scenes, held_out) -> None:
    def build():
        return CrossStitch([ConvEncoder(2) for _ in scenes.tasks], scenes.tasks)

    settings = {"weights": WEIGHTS[:1], "seeds": SEEDS[:1], "steps": 3, "batch_size": 8}
    done = sweep(build, scenes.tasks, scenes, held_out, **settings)
    _, history = train(build, scenes.tasks, scenes, held_out, seed=SEEDS[0], steps=3, batch_size=8)
    expected = [loss.item() for loss in history.records[-1].losses.values()]
    assert done.losses[-1, 0, 0].tolist() == pytest.approx(expected, rel=1e-3)


def test_a_sweep_leaves_the_generator_outside_alone(scenes, held_out) -> None:
    before = torch.get_rng_state()
    small(scenes, held_out, steps=1)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"weights": []}, "weights must be one or more"),
        ({"seeds": ()}, "seeds must be one or more"),
        ({"steps": 0}, "steps must be at least 1, got 0"),
        ({"weights": [{"left": 1.0, "right": -1.0}]}, "'right' must be finite and ≥ 0, got -1.0"),
        ({"weights": [{"left": float("nan"), "right": 1.0}]}, "'left' must be finite and ≥ 0"),
        ({"weights": [{"left": 1.0}]}, "task 'right' has no weight"),
        ({"weights": [{"left": 1, "right": 1, "up": 1}]}, "weight for 'up', but no such task"),
        ({"encoder": lambda: DenseEncoder(0.2)}, "'encoder.layers.2' of HardSharing is dropout"),
        ({"encoder": lambda: VGGEncoder((2,))}, "running_mean'.* as batch norm does"),
    ],
)
def test_what_can_not_be_swept_is_refused_in_one_sentence(
    scenes, held_out, settings, words
) -> None:
    with pytest.raises(ValueError, match=words):
        small(scenes, held_out, **settings)


@pytest.mark.parametrize("lost", ["one", "all"])
def test_a_label_that_is_missing_is_named(scenes, held_out, lost) -> None:
    def compose(index, generator):
        batch = scenes.compose(index, generator)
        right = torch.where(torch.arange(len(index)) == 2, -100, batch.targets["right"])
        given = {"left": batch.targets["left"], "right": right}
        return Batch(batch.inputs, given if lost == "one" else {"left": given["left"]})

    with pytest.raises(ValueError, match="task 'right' lacks labels in a batch"):
        small(Scenes(scenes.tasks, scenes.digits, compose), held_out)


def test_networks_that_depend_on_the_seed_in_more_than_numbers_are_refused(
    scenes, held_out
) -> None:
    class Chance(DenseEncoder):
        def __init__(self):
            super().__init__()
            self.sign = float(torch.randn(()))

        def forward(self, images):
            return self.sign * super().forward(images)

    with pytest.raises(ValueError, match="'encoder' of network 1 has sign"):
        small(scenes, held_out, Chance)


def test_a_loss_that_turns_nan_is_named_with_its_weights_and_seed(scenes, held_out) -> None:
    def steep(model):
        return torch.optim.SGD(model.parameters(), lr=1.0)

    weights = [{"left": 1e-3, "right": 1e-3}, {"left": 0.0, "right": 1e38}]
    words = r"task 'left' became nan at step \d+ with weights .*1e\+38.* and seed 4; lower the"
    with pytest.raises(ArithmeticError, match=words):
        small(scenes, held_out, weights=weights, seeds=(4,), optimizer=steep)


def test_the_data_of_a_sweep_may_come_by_sense(held_out, scenes) -> None:
    class TwoSenses(nn.Module):
        out_features = 5

        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Linear(784, 5), nn.Linear(784, 5)

        def forward(self, inputs):
            return self.first(inputs["a"].flatten(1)) + self.second(inputs["b"].flatten(1))

    class Doubled:
        tasks, digits = scenes.tasks, scenes.digits

        def draw(self, count, generator):
            batch = scenes.draw(count, generator)
            return Batch({"a": batch.inputs, "b": 1 - batch.inputs}, batch.targets)

        def stream(self, batch_size, generator):
            while True:
                yield self.draw(batch_size, generator)

    both = Doubled()
    batch = both.draw(16, torch.Generator().manual_seed(0))
    settings = {"steps": 3, "batch_size": 8}
    done = sweep(
        lambda: HardSharing(TwoSenses(), both.tasks),
        both.tasks,
        both,
        batch,
        weights=WEIGHTS,
        seeds=SEEDS,
        **settings,
    )
    _, history = train(
        lambda: HardSharing(TwoSenses(), both.tasks),
        both.tasks,
        both,
        batch,
        seed=SEEDS[1],
        balancer=FixedWeights(WEIGHTS[1]),
        **settings,
    )
    expected = [loss.item() for loss in history.records[-1].losses.values()]
    assert done.losses[-1, 1, 1].tolist() == pytest.approx(expected, rel=1e-3)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA GPU here")
def test_a_sweep_on_a_gpu_gives_what_separate_runs_give() -> None:
    scenes = two_digits("test", device="cuda")
    batch = scenes.draw(64, torch.Generator("cuda").manual_seed(9))
    done = small(scenes, batch)
    _, history = train(
        lambda: HardSharing(DenseEncoder(), scenes.tasks),
        scenes.tasks,
        scenes,
        batch,
        seed=SEEDS[1],
        steps=5,
        batch_size=8,
        balancer=FixedWeights(WEIGHTS[1]),
    )
    expected = [loss.item() for loss in history.records[-1].losses.values()]
    assert done.losses.is_cuda
    assert done.losses[-1, 1, 1].tolist() == pytest.approx(expected, rel=1e-3)
