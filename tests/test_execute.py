"""A run's result, and that a run which was stopped goes on to the same numbers."""

from __future__ import annotations

import importlib.metadata
import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from mtl_tutorial.balancing import BALANCERS, Balancer, FixedWeights
from mtl_tutorial.data import two_digits
from mtl_tutorial.experiments import execute as module
from mtl_tutorial.experiments.catalogue import DATA_SETS, load_scenes, make_network, make_optimizer
from mtl_tutorial.experiments.execute import execute, held_out, parts_of, score
from mtl_tutorial.experiments.protocol import Protocol, Setting
from mtl_tutorial.experiments.runs import Run, seeded
from mtl_tutorial.measuring import evaluate, layer_geometry

PROTOCOL = Protocol("quick", epochs=2, batch_size=256, held_out=64)
RUN = Setting("two_digits", "hard_sharing", "equal", 0.05, 0)
SHARED = ("hard_sharing", "cross_stitch", "mtan")


def numbers(result: dict) -> dict:
    """What has to be the same in two executions of one run."""
    return {name: value for name, value in result.items() if name != "provenance"}


class Stopped(BaseException):
    """Like a Ctrl-C."""


def stopped_after(epoch: int):
    def stop(done: int) -> None:
        if done == epoch:
            raise Stopped

    return stop


def assert_resumes(setting: Setting, checkpoint: Path) -> None:
    whole = execute(setting, PROTOCOL)
    with pytest.raises(Stopped):
        execute(setting, PROTOCOL, checkpoint=checkpoint, on_epoch=stopped_after(1))
    torch.rand(3)  # what is random outside must not matter
    done = []
    resumed = execute(setting, PROTOCOL, checkpoint=checkpoint, on_epoch=done.append)
    assert done == [2]
    assert numbers(resumed) == numbers(whole)


@pytest.mark.parametrize("balancer", [*BALANCERS, "left=0.5,right=1.5"])
def test_a_stopped_run_goes_on_to_the_same_numbers(balancer, tmp_path) -> None:
    if balancer == "nash_mtl":
        pytest.importorskip("ecos")
    assert_resumes(replace(RUN, balancer=balancer), tmp_path / "run.pt")


@pytest.mark.parametrize("architecture", ["single_task", "cross_stitch", "mtan"])
def test_a_stopped_run_of_every_architecture_goes_on(architecture, tmp_path) -> None:
    assert_resumes(replace(RUN, architecture=architecture), tmp_path / "run.pt")


@pytest.mark.parametrize("data", ["located_digits", "seen_and_heard"])
def test_a_stopped_run_on_other_data_goes_on(data, tmp_path) -> None:
    assert_resumes(replace(RUN, data=data, learning_rate=2e-3), tmp_path / "run.pt")


def test_what_nash_mtl_remembers_of_three_tasks_is_saved(tmp_path) -> None:
    pytest.importorskip("ecos")
    setting = replace(RUN, data="located_digits", balancer="nash_mtl", learning_rate=2e-3)
    assert_resumes(setting, tmp_path / "run.pt")


def test_a_run_that_is_over_only_reports_again(tmp_path) -> None:
    first = execute(RUN, PROTOCOL, checkpoint=tmp_path / "run.pt")
    done = []
    again = execute(RUN, PROTOCOL, checkpoint=tmp_path / "run.pt", on_epoch=done.append)
    assert done == []
    assert numbers(again) == numbers(first)


@pytest.mark.parametrize("keep", [0, 100, -1])
def test_a_damaged_checkpoint_is_set_aside_and_the_run_starts_anew(keep, tmp_path) -> None:
    path = tmp_path / "run.pt"
    with pytest.raises(Stopped):
        execute(RUN, PROTOCOL, checkpoint=path, on_epoch=stopped_after(1))
    damaged = path.read_bytes()[:keep]
    path.write_bytes(damaged)
    with pytest.warns(UserWarning) as warned:
        result = execute(RUN, PROTOCOL, checkpoint=path)
    what = "is damaged, or was never a checkpoint" if damaged else "is empty"
    assert [str(warning.message) for warning in warned] == [
        f"{path} is damaged (can't be read: it {what}); it is set aside as run.pt.damaged, "
        f"and made anew"
    ]
    assert (tmp_path / "run.pt.damaged").read_bytes() == damaged
    assert numbers(result) == numbers(execute(RUN, PROTOCOL))


def changed(path: Path, change) -> None:
    """Change the states in a checkpoint."""
    states = torch.load(path, weights_only=True)
    change(states)
    torch.save(states, path)


@pytest.mark.parametrize(
    "change",
    [
        lambda states: states["progress"].update(epoch=77),
        lambda states: states["progress"].update(epoch="many"),
        lambda states: states["progress"].update(curves="{}"),
        lambda states: states["progress"].update(best={}),
        lambda states: states["progress"]["best"]["left,right"].update(network={}),
        lambda states: states["progress"]["best"]["left,right"].pop("network"),
        lambda states: states["progress"].update(best=5),
        lambda states: states["progress"]["randomness"].pop("torch"),
        lambda states: states["progress"].clear(),
        lambda states: states.pop("balancer"),
        lambda states: states.update(optimizer=5),
    ],
)
def test_a_checkpoint_with_other_contents_is_set_aside(change, tmp_path) -> None:
    path = tmp_path / "run.pt"
    protocol = replace(PROTOCOL, batch_size=1000)
    with pytest.raises(Stopped):
        execute(RUN, protocol, checkpoint=path, on_epoch=stopped_after(1))
    changed(path, change)
    with pytest.warns(UserWarning, match=r"run\.pt is damaged .* set aside as run\.pt\.damaged"):
        result = execute(RUN, protocol, checkpoint=path)
    assert numbers(result) == numbers(execute(RUN, protocol))


@pytest.mark.parametrize("contents", [[1, 2], {}, {"model": {}}, "words", torch.ones(2)])
def test_a_file_that_is_no_checkpoint_is_set_aside(contents, tmp_path) -> None:
    path = tmp_path / "run.pt"
    torch.save(contents, path)
    with pytest.warns(UserWarning, match=r"run\.pt is damaged"):
        execute(RUN, replace(PROTOCOL, epochs=1, batch_size=1000), checkpoint=path)


def test_a_folder_in_place_of_a_checkpoint_is_set_aside(tmp_path) -> None:
    (tmp_path / "run.pt").mkdir()
    with pytest.warns(UserWarning, match=r"run\.pt is damaged .*[Dd]irectory"):
        execute(RUN, replace(PROTOCOL, epochs=1, batch_size=1000), checkpoint=tmp_path / "run.pt")
    assert (tmp_path / "run.pt").is_file()


def test_a_checkpoint_of_another_network_is_set_aside(tmp_path) -> None:
    path = tmp_path / "run.pt"
    execute(replace(RUN, architecture="cross_stitch"), PROTOCOL, checkpoint=path)
    with pytest.warns(UserWarning, match="does not fit 'model'"):
        result = execute(RUN, PROTOCOL, checkpoint=path)
    assert numbers(result) == numbers(execute(RUN, PROTOCOL))


def test_a_checkpoint_of_another_protocol_or_seed_is_set_aside(tmp_path) -> None:
    for number, (setting, protocol) in enumerate(
        [(RUN, replace(PROTOCOL, batch_size=128)), (replace(RUN, seed=1), PROTOCOL)]
    ):
        path = tmp_path / f"{number}.pt"
        execute(setting, protocol, checkpoint=path)
        with pytest.warns(UserWarning, match="it is of another run"):
            result = execute(RUN, PROTOCOL, checkpoint=path)
        assert numbers(result) == numbers(execute(RUN, PROTOCOL))


def test_a_checkpoint_that_can_not_be_written_does_not_end_the_run(tmp_path) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.write_text("")
    with pytest.warns(UserWarning, match="the run goes on in memory"):
        result = execute(RUN, PROTOCOL, checkpoint=in_the_way / "run.pt")
    assert numbers(result) == numbers(execute(RUN, PROTOCOL))


def test_a_result_has_a_value_for_every_epoch_task_and_layer() -> None:
    result = execute(RUN, PROTOCOL)
    curves = result["curves"]
    for quantity in ("training loss", "weight", "validation loss", "validation metric"):
        assert {task: len(values) for task, values in curves[quantity].items()} == {
            "left": 2,
            "right": 2,
        }
    layers = curves["cosine"]["left, right"]
    assert list(layers) == ["encoder.layers.0", "encoder.layers.3", "encoder.layers.7", "all"]
    assert all(len(values) == 2 for values in layers.values())
    assert curves["weight"]["left"] == [1, 1]
    assert result["test"].keys() == {"left", "right"}
    assert result["setting"]["seed"] == 0
    assert json.loads(json.dumps(result, allow_nan=False)) == result


def test_a_result_says_where_it_comes_from() -> None:
    made = execute(RUN, PROTOCOL)["provenance"]
    assert made["torch"] == importlib.metadata.version("torch")
    git = shutil.which("git")
    if git and (Path(__file__).parents[1] / ".git").exists():
        head = subprocess.run(
            [git, "rev-parse", "HEAD"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        assert made["commit"].rstrip("+") == head[:12]
    assert made["device"].startswith("cpu")
    assert made["training_seconds"] > 0
    assert made["cpu_seconds"] > 0
    assert made["parameters"] == sum(
        p.numel()
        for p in make_network("two_digits", "hard_sharing", tasks_of_two_digits()).parameters()
    )
    assert {"python", "torchvision", "torchjd", "commit", "threads", "date"} <= made.keys()


def test_a_run_that_goes_on_in_another_version_names_both(tmp_path, monkeypatch) -> None:
    path = tmp_path / "run.pt"
    monkeypatch.setattr(module, "_commit", lambda: "first")
    with pytest.raises(Stopped):
        execute(RUN, PROTOCOL, checkpoint=path, on_epoch=stopped_after(1))
    monkeypatch.setattr(module, "_commit", lambda: "second")
    made = execute(RUN, PROTOCOL, checkpoint=path)["provenance"]
    assert made["commit"] == "second"
    assert [earlier["commit"] for earlier in made["earlier"]] == ["first"]
    again = execute(RUN, PROTOCOL, checkpoint=path)["provenance"]
    assert [earlier["commit"] for earlier in again["earlier"]] == ["first"]
    assert "earlier" not in execute(RUN, PROTOCOL)["provenance"]


def test_a_checkpoint_that_does_not_say_what_made_it_is_unknown(tmp_path) -> None:
    path = tmp_path / "run.pt"
    with pytest.raises(Stopped):
        execute(RUN, PROTOCOL, checkpoint=path, on_epoch=stopped_after(1))
    changed(path, lambda states: states["progress"].pop("made_by"))
    result = execute(RUN, PROTOCOL, checkpoint=path)
    assert [earlier["commit"] for earlier in result["provenance"]["earlier"]] == ["unknown"]
    assert numbers(result) == numbers(execute(RUN, PROTOCOL))


def tasks_of_two_digits():
    return load_scenes("two_digits", "embedded", "tones", "cpu")["train"].tasks


def run_where(setting, protocol, wanted) -> dict:
    """The first result over seeds that is as wanted; what is best when hangs on the last bit."""
    for seed in range(12):
        result = execute(replace(setting, seed=seed), protocol)
        if wanted(result):
            return result
    raise AssertionError("no seed gave such a run")


def test_the_network_of_the_best_validation_epoch_is_tested(monkeypatch) -> None:
    protocol = replace(PROTOCOL, epochs=4, batch_size=64)
    result = run_where(
        replace(RUN, learning_rate=0.3),
        protocol,
        lambda found: not found["diverged"] and found["best_epoch"]["left"] < 4,
    )
    curves = torch.tensor(list(result["curves"]["validation metric"].values()))
    best = int(curves.mean(0).argmax()) + 1
    assert result["best_epoch"] == {"left": best, "right": best}
    scenes = load_scenes("two_digits", "embedded", "tones", "cpu")
    kept = []
    original = module.score

    def remember(model, tasks, batch):
        kept.append({n: t.clone() for n, t in model.state_dict().items()})
        return original(model, tasks, batch)

    monkeypatch.setattr(module, "score", remember)
    execute(Setting(**result["setting"]), protocol)
    *epochs, tested = kept
    assert all(torch.equal(tested[name], epochs[best - 1][name]) for name in tested)
    assert not all(torch.equal(tested[name], epochs[-1][name]) for name in tested)
    every = scenes["test"].compose(torch.arange(len(scenes["test"])), torch.Generator())
    with seeded(0):
        model = make_network("two_digits", "hard_sharing", scenes["test"].tasks)
    model.load_state_dict(tested)
    scores = evaluate(model, scenes["test"].tasks, every)  # the test is on each scene once
    assert result["test"]["left"]["metric"] == pytest.approx(scores["left"].metric, abs=1e-5)


def test_single_task_networks_are_each_tested_at_their_own_best_epoch() -> None:
    result = run_where(
        replace(RUN, architecture="single_task", learning_rate=0.3),
        replace(PROTOCOL, epochs=4, batch_size=64),
        lambda found: len(set(found["best_epoch"].values())) == 2,
    )
    for task, values in result["curves"]["validation metric"].items():
        assert result["best_epoch"][task] == 1 + values.index(max(values))


def test_single_task_networks_do_not_feel_each_other() -> None:
    tasks = tasks_of_two_digits()
    with seeded(0):
        model = make_network("two_digits", "single_task", tasks)
    own = {name: list(network.parameters()) for name, network in model.networks.items()}
    assert sum(len(parameters) for parameters in own.values()) == len(list(model.parameters()))
    images = torch.rand(3, 1, 28, 28)
    model(images)["left"].sum().backward()
    assert all(p.grad is None for p in own["right"])
    assert all(p.grad is not None for p in own["left"])


class Overflowing(Balancer):
    """Fills gradients that are not finite."""

    def backward(self, losses, model, *, scale=None):
        weights = FixedWeights().backward(losses, model, scale=scale)
        for parameter in model.parameters():
            parameter.grad.mul_(float("inf"))
        return weights


def test_a_run_whose_gradients_diverge_says_so_too(monkeypatch) -> None:
    monkeypatch.setitem(BALANCERS, "pcgrad", lambda making: Overflowing())
    result = execute(replace(RUN, balancer="pcgrad"), PROTOCOL)
    assert re.match("epoch 1: .*gradient.* became .* at step 1", result["diverged"])
    assert result["test"] is None


def test_what_is_no_balancer_is_refused_before_anything_is_trained(monkeypatch) -> None:
    class Nobody:
        def backward(self, losses, model):
            raise AssertionError("it was trained")

    monkeypatch.setitem(BALANCERS, "pcgrad", lambda making: Nobody())
    with pytest.raises(ValueError, match="'pcgrad' must be a Balancer, got .*Nobody"):
        execute(replace(RUN, balancer="pcgrad"), PROTOCOL)


def test_a_run_whose_last_step_diverges_says_so_too() -> None:
    setting = replace(RUN, data="located_digits", learning_rate=1e3)
    result = execute(setting, replace(PROTOCOL, epochs=1, batch_size=2000))
    assert "loss of task 'box' is inf" in result["diverged"]
    assert result["test"] is None


def test_a_run_that_diverges_says_when_and_has_no_test() -> None:
    result = execute(replace(RUN, learning_rate=1e6), PROTOCOL)
    assert result["tasks"] == ["left", "right"]
    assert all(0.02 < value < 0.2 for value in result["chance"].values())
    assert result["diverged"].startswith("epoch 1: loss of task 'left' became nan at step")
    assert result["test"] is None
    assert json.dumps(result, allow_nan=False)


def test_the_rate_of_every_epoch_is_the_protocols(monkeypatch) -> None:
    seen = []
    original = Run.over

    def look(run, batches, steps):
        seen.append([group["lr"] for group in run.optimizer.param_groups])
        return original(run, batches, steps)

    monkeypatch.setattr(Run, "over", look)
    setting = replace(RUN, architecture="cross_stitch", learning_rate=0.01)
    execute(setting, PROTOCOL)
    _of_the_stream, *seen = seen
    assert seen == [pytest.approx([0.01 * f, 1.0 * f]) for f in (1, 0.85**5)]


@pytest.mark.parametrize("data", DATA_SETS)
@pytest.mark.parametrize("architecture", ["single_task", *SHARED])
def test_an_optimizer_has_every_parameter_once(data, architecture) -> None:
    if architecture not in DATA_SETS[data].networks:
        return
    digits, sound = PROTOCOL.sources(data)
    tasks = load_scenes(data, digits, sound, "cpu")["train"].tasks if digits == "embedded" else None
    model = make_network(data, architecture, tasks or tasks_of_two_digits())
    groups = make_optimizer(data, model, 0.1).param_groups
    held = [id(p) for group in groups for p in group["params"]]
    assert sorted(held) == sorted(id(p) for p in model.parameters())


def test_scores_of_parts_are_those_of_the_whole() -> None:
    scenes = load_scenes("located_digits", "embedded", "tones", "cpu")["test"]
    batch = scenes.draw(2500, torch.Generator().manual_seed(0))
    assert [len(part) for part in parts_of(batch, 1000)] == [1000, 1000, 500]
    with seeded(0):
        model = make_network("located_digits", "hard_sharing", scenes.tasks)
    whole = evaluate(model, scenes.tasks, batch)
    for name, found in score(model, scenes.tasks, batch).items():
        assert found == pytest.approx(whole[name], rel=1e-4)


def test_a_layers_cosine_is_that_of_its_own_gradients() -> None:
    scenes = load_scenes("located_digits", "embedded", "tones", "cpu")["test"]
    batch = scenes.draw(32, torch.Generator().manual_seed(0))
    with seeded(0):
        model = make_network("located_digits", "hard_sharing", scenes.tasks)
    found = layer_geometry(model, scenes.tasks, batch).cosines
    assert list(found) == ["digit, box", "digit, mask", "box, mask"]
    layer = model.encoder.layers[2]
    rows = []
    for task in scenes.tasks[1:]:
        loss = task.loss(model(batch.inputs)[task.name], batch.targets[task.name])
        rows.append(torch.autograd.grad(loss, layer.weight)[0].flatten())
    expected = torch.cosine_similarity(*rows, dim=0).item()
    assert found["box, mask"]["encoder.layers.2"] == pytest.approx(expected, abs=1e-5)


def test_measuring_changes_nothing() -> None:
    scenes = load_scenes("two_digits", "embedded", "tones", "cpu")["test"]
    batch = scenes.draw(32, torch.Generator().manual_seed(0))
    with seeded(0):
        model = make_network("two_digits", "mtan", scenes.tasks)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    layer_geometry(model, scenes.tasks, batch)
    assert all(torch.equal(before[name], t) for name, t in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_a_stopped_run_on_a_gpu_goes_on_to_the_same_numbers(tmp_path) -> None:
    whole = execute(RUN, PROTOCOL, device="cuda")
    with pytest.raises(Stopped):
        execute(RUN, PROTOCOL, device="cuda", checkpoint=tmp_path / "x", on_epoch=stopped_after(1))
    resumed = execute(RUN, PROTOCOL, device="cuda", checkpoint=tmp_path / "x")
    for task, scores in whole["test"].items():
        assert resumed["test"][task] == pytest.approx(scores, abs=0.02)


def test_a_copy_of_a_checkout_says_its_commit_itself(monkeypatch) -> None:
    module._commit.cache_clear()
    monkeypatch.setenv("MTL_COMMIT", "0123456789ab")
    try:
        assert module.versions(torch.device("cpu"))["commit"] == "0123456789ab"
    finally:
        module._commit.cache_clear()


def test_held_out_scenes_are_each_digits_once_where_there_are_enough() -> None:
    scenes = two_digits("test")
    whole = held_out(scenes, len(scenes), seed=1)
    every = scenes.compose(torch.arange(len(scenes)), torch.Generator())
    assert sorted(map(hash, (t.numpy().tobytes() for t in whole.inputs))) == sorted(
        map(hash, (t.numpy().tobytes() for t in every.inputs))
    )
    again = held_out(scenes, len(scenes), seed=1)
    assert torch.equal(whole.inputs, again.inputs)
    assert len(held_out(scenes, 2 * len(scenes), seed=1)) == 2 * len(scenes)
