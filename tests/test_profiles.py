from __future__ import annotations

import pytest
import torch

from mtl_tutorial.profiles import check_choice, load_profile, resolve_device

no_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")


def test_a_choice_among_the_choices_is_given_back():
    assert check_choice("fruit", "pear", ("apple", "pear")) == "pear"


def test_a_wrong_choice_is_told_the_choices_its_value_and_the_nearest():
    with pytest.raises(
        ValueError, match="fruit must be one of 'apple', 'pear', got 'peer'"
    ) as told:
        check_choice("fruit", "peer", ("apple", "pear"))
    assert "did you mean 'pear'?" in str(told.value)


def test_a_choice_far_from_all_choices_gets_no_suggestion():
    with pytest.raises(ValueError) as told:
        check_choice("fruit", "xyz", ("apple", "pear"))
    assert "did you mean" not in str(told.value)


@pytest.mark.parametrize("value", [None, 3, ["apple"]])
def test_a_choice_that_is_not_a_word_is_refused_like_any_other(value):
    with pytest.raises(ValueError, match="fruit must be one of"):
        check_choice("fruit", value, ("apple", "pear"))


@pytest.mark.parametrize("device", ["cpu", torch.device("cpu")])
def test_the_cpu_is_always_there(device):
    assert resolve_device(device) == torch.device("cpu")


@pytest.mark.parametrize("device", ["gpu", "", "cuda:one"])
def test_a_device_unknown_to_torch_is_refused_by_name(device):
    with pytest.raises(ValueError, match="device must be a name that torch knows") as told:
        resolve_device(device)
    assert repr(device) in str(told.value)


@no_gpu
@pytest.mark.parametrize("device", ["cuda", "cuda:0", torch.device("cuda")])
def test_a_gpu_is_refused_where_there_is_none(device):
    with pytest.raises(ValueError, match=r"'cuda.*0 CUDA GPUs here; use device='cpu'"):
        resolve_device(device)


def test_a_gpu_beyond_the_last_is_refused():
    with pytest.raises(ValueError, match=r"'cuda:99' was asked for.*use device='cpu'"):
        resolve_device("cuda:99")


@pytest.mark.skipif(torch.backends.mps.is_available(), reason="this machine has an Apple GPU")
def test_an_apple_gpu_is_refused_where_there_is_none():
    with pytest.raises(ValueError, match=r"'mps' was asked for.*use device='cpu'"):
        resolve_device("mps")


def test_a_device_without_numbers_is_refused():
    with pytest.raises(ValueError, match=r"'meta' was asked for.*use device='cpu'"):
        resolve_device("meta")


def test_the_quick_profile_is_the_default_and_needs_no_file_and_no_gpu(monkeypatch):
    monkeypatch.delenv("MTL_PROFILE", raising=False)
    profile = load_profile()
    assert (profile.name, profile.digits, profile.device.type) == ("quick", "embedded", "cpu")


def test_the_environment_chooses_the_profile_and_an_argument_overrules_it(monkeypatch):
    monkeypatch.setenv("MTL_PROFILE", "full")
    assert load_profile().name == "full"
    assert load_profile("quick").name == "quick"


def test_an_empty_environment_variable_means_quick(monkeypatch):
    monkeypatch.setenv("MTL_PROFILE", "")
    assert load_profile().name == "quick"


def test_the_full_profile_is_larger_in_every_size():
    quick, full = load_profile("quick"), load_profile("full")
    assert full.steps > quick.steps
    assert full.batch_size > quick.batch_size
    assert set(full.seeds) > set(quick.seeds)


@pytest.mark.parametrize("name", ["quick", "full"])
def test_every_profile_has_at_least_three_different_seeds(name):
    assert len(set(load_profile(name).seeds)) >= 3


@no_gpu
def test_the_full_profile_falls_back_to_the_cpu():
    assert load_profile("full").device.type == "cpu"


@no_gpu
def test_a_profile_refuses_a_gpu_that_is_not_there():
    with pytest.raises(ValueError, match="use device='cpu'"):
        load_profile("full", device="cuda")


def test_an_unknown_profile_is_told_the_nearest(monkeypatch):
    with pytest.raises(ValueError, match="profile must be one of 'quick', 'full', got 'fast'"):
        load_profile("fast")
    monkeypatch.setenv("MTL_PROFILE", "fulll")
    with pytest.raises(ValueError, match="did you mean 'full'"):
        load_profile()


def test_a_profile_tells_in_words_what_will_run():
    assert str(load_profile("quick", device="cpu")) == (
        "profile quick: embedded digits, 400 steps of 64 scenes, 3 seeds, on cpu"
    )


def test_quick_runs_on_one_thread_and_full_on_as_many_as_before():
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        load_profile("full", device="cpu")
        assert torch.get_num_threads() == 2
        load_profile("quick")
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


def test_steps_and_seeds_can_be_others(monkeypatch):
    monkeypatch.setenv("MTL_STEPS", "0.5")
    monkeypatch.setenv("MTL_FIRST_SEED", "3")
    profile = load_profile("quick")
    assert (profile.steps, profile.seeds) == (200, (3, 4, 5))


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_the_rate_of_every_optimizer_is_scaled_once_and_for_as_long_as_asked(monkeypatch, factor):
    def moved(steps: int) -> float:
        parameter = torch.nn.Parameter(torch.zeros(()))
        optimizer = torch.optim.SGD([parameter], lr=0.1)
        for _ in range(steps):
            optimizer.zero_grad()
            parameter.backward()
            optimizer.step()
        return -parameter.item()

    monkeypatch.setenv("MTL_RATE", str(factor))
    load_profile("quick")
    load_profile("quick")
    assert moved(3) == pytest.approx(0.3 * factor)
    monkeypatch.delenv("MTL_RATE")
    load_profile("quick")
    assert moved(3) == pytest.approx(0.3)


@pytest.mark.parametrize("name", ["MTL_STEPS", "MTL_RATE", "MTL_FIRST_SEED"])
@pytest.mark.parametrize("value", ["0x", "-1", "inf", "nan"])
def test_a_size_that_cannot_be_is_refused_by_name(monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    with pytest.raises(ValueError, match=f"variable {name} must be .*, got '{value}'; unset it"):
        load_profile("quick")
