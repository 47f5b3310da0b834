from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from mtl_tutorial.architectures import MTAN, HardSharing, LeNet, VGGEncoder
from mtl_tutorial.data import located_digits
from mtl_tutorial.experiments import seeded
from mtl_tutorial.tasks import Task, accuracy, mean_iou

DIGIT = Task("digit", F.cross_entropy, accuracy, 10)
BOX = Task("box", F.mse_loss, mean_iou, 4)
OTHERS = (Task("left", F.cross_entropy, accuracy, 3), Task("right", F.cross_entropy, accuracy, 2))
TASKS = (DIGIT, BOX)
CHANNELS = (2, 3, 4)


def images(count=3, size=28, seed=0):
    return torch.rand(count, 1, size, size, generator=torch.Generator().manual_seed(seed))


def built(tasks=TASKS, channels=CHANNELS, size=28, seed=0) -> MTAN:
    """A network whose batch norms have statistics and affine numbers of their own."""
    with seeded(seed):
        model = MTAN(VGGEncoder(channels, size), tasks)
        for norm in norms(model):
            norm.momentum = 1.0  # so that one call is enough
            nn.init.uniform_(norm.weight, 0.5, 2)
            nn.init.uniform_(norm.bias, -0.5, 0.5)
    model(images(8, size))
    return model.eval()


def norms(model: MTAN) -> list[nn.BatchNorm2d]:
    return [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]


def normed(x, norm):
    mean, var = (v[:, None, None] for v in (norm.running_mean, norm.running_var))
    scale, shift = (v[:, None, None] for v in (norm.weight, norm.bias))
    return (x - mean) / (var + norm.eps).sqrt() * scale + shift


def by_hand(model: MTAN, x):
    """The published formula, task by task, from the parameters alone."""
    trunk = list(model.encoder.layers)
    outputs, all_masks = {}, {}
    for name, head in model.heads.items():
        carried, z, all_masks[name] = None, x, []
        for j in range(len(model.encoder.channels)):
            c1, n1, _, c2, n2, *_ = trunk[7 * j : 7 * j + 7]
            u = normed(F.conv2d(z, c1.weight, padding=1), n1).clamp(min=0)
            p = normed(F.conv2d(u, c2.weight, padding=1), n2).clamp(min=0)
            c3, n3, _, c4, n4, _ = model.attention[name][j]
            seen = u if j == 0 else torch.cat([u, carried], 1)
            hidden = normed(torch.einsum("oi,bihw->bohw", c3.weight[:, :, 0, 0], seen), n3)
            hidden = torch.einsum("oi,bihw->bohw", c4.weight[:, :, 0, 0], hidden.clamp(min=0))
            a = 1 / (1 + torch.exp(-normed(hidden, n4)))
            f = F.conv2d(a * p, model.extractors[j].convolution.weight, padding=1)
            f = normed(f, model.extractors[j].norms[name]).clamp(min=0)
            carried, z = F.max_pool2d(f, 2), F.max_pool2d(p, 2)
            all_masks[name].append(a)
        outputs[name] = carried.flatten(1) @ head.weight.T + head.bias
    return outputs, all_masks


@pytest.mark.parametrize("channels", [(3,), (2, 5), (4, 2, 3)])
def test_predictions_and_masks_equal_the_formula_written_out(channels):
    model = built(channels=channels)
    outputs, masks = by_hand(model, images())
    for name, output in model(images()).items():
        assert torch.allclose(output, outputs[name], atol=1e-5)
        for own, right in zip(model.masks(images())[name], masks[name], strict=True):
            assert torch.allclose(own, right, atol=1e-5)


@settings(deadline=None, max_examples=20)
@given(
    tasks=st.integers(1, 4),
    channels=st.lists(st.integers(1, 4), min_size=1, max_size=3),
    size=st.integers(8, 20),
    seed=st.integers(0, 99),
)
def test_masks_lie_between_0_and_1_and_have_the_shape_of_what_they_weigh(
    tasks, channels, size, seed
):
    model = built((*TASKS, *OTHERS)[:tasks], channels, size, seed)
    x = images(2, size, seed)
    masks = model.masks(x)
    assert list(masks) == list(model(x)) == [task.name for task in (*TASKS, *OTHERS)[:tasks]]
    for name, own in masks.items():
        shapes = [tuple(p.shape) for _u, p in model.encoder.stages(x)]
        assert [tuple(mask.shape) for mask in own] == shapes
        assert all((0 <= mask).all() and (mask <= 1).all() for mask in own)
        assert model(x)[name].shape == (2, model.heads[name].out_features)


def test_with_all_masks_at_one_every_task_has_the_same_features():
    model = built().train()  # so that both are normalised by the batch at hand
    for head in model.heads.values():
        nn.init.ones_(head.weight)
        nn.init.zeros_(head.bias)
    ones = {task.name: [torch.ones(1)] * 3 for task in TASKS}
    open_masks = model(images(), ones)
    assert torch.allclose(open_masks["digit"][:, 0], open_masks["box"][:, 0])
    own = model(images())
    assert not torch.allclose(own["digit"][:, 0], own["box"][:, 0])


def test_with_all_masks_at_one_the_last_feature_is_the_shared_extractor_of_the_trunk():
    model = built()
    *_, (_u, p) = model.encoder.stages(images())
    features = model.extractors[-1](p, "box").flatten(1)
    outputs = model(images(), {"box": [torch.ones(1)] * 3})
    assert torch.allclose(outputs["box"], model.heads["box"](features), atol=1e-6)


def test_a_closed_mask_hides_the_image_from_its_task_alone():
    model = built()
    closed = {"box": [None, None, torch.zeros(1)]}
    first, second = (model(images(seed=seed), closed) for seed in (1, 2))
    assert torch.equal(first["box"], second["box"])
    assert not torch.allclose(first["digit"], second["digit"])
    assert torch.allclose(first["digit"], model(images(seed=1))["digit"], atol=1e-6)


def test_masks_that_are_handed_back_change_nothing():
    model = built()
    masks = model.masks(images())
    for name, output in model(images(), masks).items():
        assert torch.equal(output, model(images())[name])


def test_none_keeps_a_blocks_own_mask():
    model = built()
    kept = model(images(), {"digit": [None, None, None]})
    assert all(torch.equal(kept[name], output) for name, output in model(images()).items())


def test_tasks_with_the_same_mask_parameters_have_the_same_masks():
    model = built()
    model.attention["box"].load_state_dict(model.attention["digit"].state_dict())
    masks = model.train().masks(images(8))
    assert all(map(torch.equal, masks["digit"], masks["box"]))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("own", "other"), [(DIGIT, BOX), (BOX, DIGIT)])
def test_a_loss_reaches_its_own_masks_and_all_that_is_shared_and_no_other_task(
    own, other, training
):
    model = built().train(training)
    model(images(8))[own.name].square().sum().backward()
    foreign = (model.attention[other.name], model.heads[other.name])
    assert all(p.grad is None for part in foreign for p in part.parameters())
    for part in (model.attention[own.name], model.heads[own.name], model.encoder, model.extractors):
        assert all(p.grad.abs().sum() > 0 for p in part.parameters())


@pytest.mark.parametrize("task", TASKS)
def test_every_task_reaches_the_last_shared_layer(task):
    model = built()
    layer = model.last_shared_layer()
    (gradient,) = torch.autograd.grad(model(images())[task.name].sum(), layer.weight)
    assert gradient.abs().sum() > 0


def test_batch_statistics_move_once_a_call_however_many_tasks_there_are():
    model = MTAN(VGGEncoder(CHANNELS), (*TASKS, *OTHERS)).train()
    for calls in (1, 2):
        model(images())
        assert {int(norm.num_batches_tracked) for norm in norms(model)} == {calls}


def test_the_tasks_share_the_weights_of_an_extractor_and_not_its_statistics():
    model = built()
    for extractor in model.extractors:
        digit, box = extractor.norms["digit"], extractor.norms["box"]
        assert digit.weight is box.weight
        assert digit.bias is box.bias
        assert not torch.equal(digit.running_mean, box.running_mean)


@pytest.mark.parametrize("name", ["digit", "box"])
def test_what_a_task_computes_does_not_depend_on_the_other_tasks(name):
    model = built().train()
    before = model(images(8))[name]
    other = "box" if name == "digit" else "digit"
    for parameter in model.attention[other].parameters():
        nn.init.normal_(parameter)
    assert torch.equal(model(images(8))[name], before)


@pytest.mark.parametrize("training", [True, False])
def test_a_look_at_the_masks_changes_nothing(training):
    model = built().train(training)
    model.extractors[0].norms["box"].eval()  # one part in another mode
    state = {name: value.clone() for name, value in model.state_dict().items()}
    modes = [module.training for module in model.modules()]
    tracked = [norm.track_running_stats for norm in norms(model)]
    random_numbers = torch.get_rng_state()
    expected = copy.deepcopy(model)._attend(images(8, seed=3), {})[1]
    masks = model.masks(images(8, seed=3))
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert [module.training for module in model.modules()] == modes
    assert [norm.track_running_stats for norm in norms(model)] == tracked
    assert torch.equal(torch.get_rng_state(), random_numbers)
    for name, own in masks.items():
        assert all(map(torch.equal, own, expected[name]))


def test_a_look_that_fails_leaves_the_network_as_it_was():
    model = built().train()
    with pytest.raises(ValueError, match="needs images"):
        model.masks(images(size=20))
    assert all(norm.track_running_stats for norm in norms(model))


def test_a_trunk_that_is_more_than_its_blocks_is_refused():
    class Louder(VGGEncoder):
        def forward(self, images):
            return 2 * super().forward(images)

    longer = VGGEncoder(CHANNELS)
    longer.layers.append(nn.Dropout(0.5))
    for trunk in (Louder(CHANNELS), longer):
        with pytest.raises(ValueError, match="blocks of a VGGEncoder and nothing else, got"):
            MTAN(trunk, TASKS)


@pytest.mark.parametrize("assign", [True, False])
def test_a_loaded_state_leaves_the_weights_of_an_extractor_shared(assign):
    model, state = built(seed=1), built().state_dict()
    model.load_state_dict(state, assign=assign)
    for extractor in model.extractors:
        assert extractor.norms["digit"].weight is extractor.norms["box"].weight
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())


def test_a_trunk_without_blocks_is_refused():
    with pytest.raises(ValueError, match="must be a VGGEncoder.*, got LeNet; use MTAN"):
        MTAN(LeNet(), TASKS)


@pytest.mark.parametrize("tasks", [(), (BOX, DIGIT, BOX)])
def test_no_task_or_two_of_one_name_are_refused(tasks):
    with pytest.raises(ValueError, match="different names, got") as told:
        MTAN(VGGEncoder(CHANNELS), tasks)
    assert str([task.name for task in tasks]) in str(told.value)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"boks": [None] * 3}, "'boks', but the tasks are"),
        ({"box": [None] * 2}, "task 'box' needs one mask a block, 3 in all, got 2"),
        (
            {"box": [None, torch.ones(5), None]},
            r"'box' for block 1 .* \(3, 3, 14, 14\), got \(5,\)",
        ),
        ({"box": [torch.ones(9, 2, 28, 28), None, None]}, r"block 0 .*got \(9, 2, 28, 28\)"),
    ],
)
def test_masks_for_an_unknown_task_or_another_number_of_blocks_are_refused(given, says):
    with pytest.raises(ValueError, match=says):
        built()(images(), given)


@pytest.mark.parametrize("build", [lambda e: HardSharing(e, TASKS), lambda e: MTAN(e, TASKS)])
def test_an_image_of_another_size_is_refused_in_one_sentence(build):
    with pytest.raises(ValueError, match=r"needs images of shape \(B, 1, 28, 28\), got \(3, 1, 32"):
        build(VGGEncoder(CHANNELS))(images(size=32))


def test_the_trunk_is_that_of_hard_sharing():
    with seeded(1):
        shared = HardSharing(VGGEncoder(CHANNELS), TASKS)
    with seeded(1):
        model = MTAN(VGGEncoder(CHANNELS), TASKS)
    pairs = zip(shared.encoder.parameters(), model.encoder.parameters(), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)


def test_it_learns_all_three_tasks_of_a_scene_at_once():
    scenes = located_digits("train")
    batch = scenes.draw(32, torch.Generator().manual_seed(0))
    with seeded(0):
        model = MTAN(VGGEncoder(CHANNELS), scenes.tasks)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    losses = []
    for _ in range(15):
        outputs = model(batch.inputs)
        losses.append(
            {t.name: t.loss(outputs[t.name], batch.targets[t.name]) for t in scenes.tasks}
        )
        optimizer.zero_grad()
        sum(losses[-1].values()).backward()
        optimizer.step()
    for name, first in losses[0].items():
        assert losses[-1][name] < 0.8 * first, name
