"""State on disk: whole, or as it was."""

from __future__ import annotations

import copy
import os
import pickle

import pytest
import torch
from torch import nn
from training_cases import TASKS, adam, assert_same_state, batches, build

from mtl_tutorial.balancing import FixedWeights
from mtl_tutorial.checkpoints import load_checkpoint, save_checkpoint
from mtl_tutorial.training import fit


def trained(steps=3):
    model, balancer = build(dropout=0.0), FixedWeights({"kind": 1.0, "size": 2.0})
    optimizer = adam(model)
    list(fit(model, TASKS, batches(steps), balancer, optimizer, steps))
    return {"model": model, "optimizer": optimizer, "balancer": balancer}


def fresh():
    model = build(seed=7, dropout=0.0)
    return {"model": model, "optimizer": adam(model), "balancer": FixedWeights()}


def go_on(parts):
    data = batches(3, seed=5)
    list(fit(parts["model"], TASKS, data, parts["balancer"], parts["optimizer"], 3))
    return parts["model"].state_dict()


def test_training_goes_on_from_a_checkpoint_to_the_last_bit(tmp_path):
    parts, loaded = trained(), fresh()
    save_checkpoint(tmp_path / "new" / "folder" / "run.pt", **parts)
    load_checkpoint(tmp_path / "new" / "folder" / "run.pt", **loaded)
    assert_same_state(go_on(parts), go_on(loaded))


def test_a_checkpoint_replaces_the_one_before_and_leaves_nothing_else(tmp_path):
    path = tmp_path / "run.pt"
    save_checkpoint(path, **trained(1))
    parts, loaded = trained(2), fresh()
    save_checkpoint(str(path), **parts)
    load_checkpoint(str(path), **loaded)
    assert_same_state(parts["model"].state_dict(), loaded["model"].state_dict())
    assert os.listdir(tmp_path) == ["run.pt"]


def test_some_of_the_parts_of_a_checkpoint_can_be_loaded(tmp_path):
    parts, loaded = trained(), fresh()
    save_checkpoint(tmp_path / "run.pt", **parts)
    load_checkpoint(tmp_path / "run.pt", model=loaded["model"])
    assert_same_state(parts["model"].state_dict(), loaded["model"].state_dict())


class Interrupted:
    """Its state is large, and then can't be written to the end."""

    def state_dict(self):
        return {"large": torch.zeros(100_000), "unwritable": lambda: None}


def test_a_write_that_is_interrupted_leaves_the_old_checkpoint_whole(tmp_path):
    parts, loaded = trained(), fresh()
    save_checkpoint(tmp_path / "run.pt", **parts)
    with pytest.raises((pickle.PicklingError, AttributeError)):
        save_checkpoint(tmp_path / "run.pt", **trained(2), more=Interrupted())
    load_checkpoint(tmp_path / "run.pt", **loaded)
    assert_same_state(parts["model"].state_dict(), loaded["model"].state_dict())
    assert os.listdir(tmp_path) == ["run.pt"]


def test_a_disk_that_is_full_leaves_the_old_checkpoint_whole(tmp_path):
    resource = pytest.importorskip("resource", reason="needs a limit on the size of files")
    parts, loaded = trained(), fresh()
    save_checkpoint(tmp_path / "run.pt", **parts)
    model = nn.Linear(1000, 1000)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, limits[1]))
    try:
        with pytest.raises(OSError, match="can't be written") as told:
            save_checkpoint(tmp_path / "run.pt", model=model)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert str(tmp_path) in str(told.value)
    load_checkpoint(tmp_path / "run.pt", **loaded)
    assert_same_state(parts["model"].state_dict(), loaded["model"].state_dict())
    assert os.listdir(tmp_path) == ["run.pt"]


def test_a_checkpoint_folder_that_cannot_be_written_is_named(tmp_path):
    in_the_way = tmp_path / "file"
    in_the_way.write_text("kept")
    with pytest.raises(OSError, match="can't be written") as told:
        save_checkpoint(in_the_way / "runs" / "run.pt", model=build())
    assert str(in_the_way / "runs") in str(told.value)
    assert in_the_way.read_text() == "kept"


@pytest.mark.parametrize("keep", [0, 10, 0.5, 0.99])
def test_a_damaged_checkpoint_is_named_and_changes_nothing(tmp_path, keep):
    path = tmp_path / "run.pt"
    save_checkpoint(path, **trained())
    content = path.read_bytes()
    path.write_bytes(content[: keep if isinstance(keep, int) else int(keep * len(content))])
    model = build()
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(ValueError, match="can't be read") as told:
        load_checkpoint(path, model=model)
    what = "is empty" if not path.stat().st_size else "is damaged, or was never a checkpoint"
    assert str(told.value) == f"checkpoint {path} can't be read: it {what}; train again"
    assert_same_state(before, model.state_dict())


class Command:
    def __reduce__(self):
        return os.mkdir, ("made by a checkpoint",)


def test_a_checkpoint_cannot_run_code(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"model": Command()}, tmp_path / "run.pt")
    with pytest.raises(ValueError, match="can't be read"):
        load_checkpoint(tmp_path / "run.pt", model=build())
    assert os.listdir(tmp_path) == ["run.pt"]


def test_a_checkpoint_without_a_part_names_those_it_has_and_changes_nothing(tmp_path):
    save_checkpoint(tmp_path / "run.pt", model=trained()["model"])
    parts = fresh()
    before = copy.deepcopy(parts["model"].state_dict())
    with pytest.raises(ValueError, match=r"no state for 'optimizer', only for \['model'\]"):
        load_checkpoint(tmp_path / "run.pt", model=parts["model"], optimizer=parts["optimizer"])
    assert_same_state(before, parts["model"].state_dict())


def test_a_checkpoint_that_is_not_there_is_not_called_damaged(tmp_path):
    with pytest.raises(FileNotFoundError):
        load_checkpoint(tmp_path / "absent.pt", model=build())


def test_a_state_that_does_not_fit_leaves_every_part_as_it_was(tmp_path):
    path = tmp_path / "run.pt"
    save_checkpoint(path, first=nn.Linear(2, 2), second=nn.Linear(2, 2))
    first, second = nn.Linear(2, 2), nn.Linear(3, 2)
    before = first.weight.detach().clone()
    with pytest.raises(ValueError, match="does not fit 'second'") as caught:
        load_checkpoint(path, first=first, second=second)
    assert torch.equal(first.weight, before)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("saved", "loaded"), [("Adam", "SGD"), ("SGD", "Adam"), ("Adam", "RMSprop")]
)
def test_the_state_of_another_optimizer_is_refused_before_a_step(tmp_path, saved, loaded):
    model = torch.nn.Linear(2, 1)
    before, after = (
        getattr(torch.optim, name)(model.parameters(), lr=0.1) for name in (saved, loaded)
    )
    model(torch.ones(1, 2)).sum().backward()
    before.step()
    save_checkpoint(tmp_path / "run.pt", optimizer=before)
    with pytest.raises(ValueError, match=f"another optimizer than {loaded}, without"):
        load_checkpoint(tmp_path / "run.pt", optimizer=after)
    after.step()


def test_a_file_of_other_contents_is_refused(tmp_path):
    torch.save(torch.ones(2), tmp_path / "run.pt")
    with pytest.raises(ValueError, match="holds a Tensor in place of states by name"):
        load_checkpoint(tmp_path / "run.pt", model=torch.nn.Linear(2, 1))


def test_a_part_without_a_state_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"part 'step' of a checkpoint must have .* got a int"):
        save_checkpoint(tmp_path / "run.pt", model=build(), step=3)
    assert not list(tmp_path.iterdir())
    save_checkpoint(tmp_path / "run.pt", model=build())
    with pytest.raises(ValueError, match=r"part 'step' of a checkpoint must have .* got a int"):
        load_checkpoint(tmp_path / "run.pt", model=build(), step=3)
