from __future__ import annotations

import errno
import gzip
import pickle
import shutil
import socket
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits as load_sklearn_digits

from mtl_tutorial.data import DataUnavailableError, Digits, data_root, load_digits

SPLITS = ("train", "validation", "test")
FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)


@pytest.fixture
def no_network(monkeypatch):
    """A machine that reaches nothing."""

    def refuse(*args, **kwargs):
        raise OSError("network is unreachable")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.fixture
def own_data(real_data, tmp_path, monkeypatch):
    """A folder with the four MNIST downloads, which a test may damage."""
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name in FILES:
        shutil.copyfile(real_data / "MNIST" / "raw" / f"{name}.gz", raw / f"{name}.gz")
    monkeypatch.setenv("MTL_DATA_ROOT", str(tmp_path))
    return raw


def contents(digits):
    return [image.tobytes() for image in digits.images.numpy()]


def test_embedded_splits_share_no_digit_and_leave_none_out():
    splits = [load_digits(split) for split in SPLITS]
    assert sum(len(split) for split in splits) == 1797
    assert len(set().union(*(contents(split) for split in splits))) == 1797


def test_embedded_splits_hold_60_20_and_20_percent():
    sizes = [len(load_digits(split)) / 1797 for split in SPLITS]
    assert sizes == pytest.approx([0.6, 0.2, 0.2], abs=0.001)


def test_every_class_is_in_every_embedded_split():
    for split in SPLITS:
        counts = load_digits(split).labels.bincount()
        assert len(counts) == 10
        assert counts.min() > 0.05 * counts.sum()


@pytest.mark.parametrize("split", SPLITS)
def test_embedded_digits_have_the_promised_types_shapes_and_range(split):
    digits = load_digits(split)
    assert digits.images.dtype == torch.uint8
    assert digits.images.shape == (len(digits), 1, 28, 28)
    assert digits.images.min() == 0
    assert digits.images.max() == 255
    assert digits.labels.dtype == torch.int64
    assert digits.labels.shape == (len(digits),)


def test_embedded_digits_keep_a_frame_of_paper_around_them():
    images = load_digits("train").images
    assert images.sum() == images[:, :, 4:24, 4:24].sum()


def test_embedded_digits_are_those_of_scikit_learn_enlarged_with_their_own_labels():
    bundle = load_sklearn_digits()
    places = (np.arange(20) + 0.5) * 8 / 20 - 0.5
    rows = np.apply_along_axis(lambda row: np.interp(places, np.arange(8), row), 2, bundle.images)
    large = np.apply_along_axis(lambda column: np.interp(places, np.arange(8), column), 1, rows)
    originals = torch.from_numpy(large * 255 / 16).flatten(1)
    digits = load_digits("test")
    inner = digits.images[:, 0, 4:24, 4:24].flatten(1).double()
    nearest = torch.cdist(inner, originals).argmin(1)
    assert (inner - originals[nearest]).abs().max() <= 0.51
    assert len(nearest.unique()) == len(digits)
    assert digits.labels.tolist() == bundle.target[nearest].tolist()


def test_embedded_digits_are_the_same_on_every_call_and_leave_the_global_generator_alone():
    before = torch.get_rng_state()
    first, second = load_digits("validation"), load_digits("validation")
    assert torch.equal(first.images, second.images)
    assert torch.equal(first.labels, second.labels)
    assert torch.equal(before, torch.get_rng_state())


def test_embedded_digits_need_no_network_and_no_folder(no_network, monkeypatch, tmp_path):
    monkeypatch.setenv("MTL_DATA_ROOT", str(tmp_path / "absent"))
    assert len(load_digits("test")) == 360
    assert not (tmp_path / "absent").exists()


@pytest.mark.parametrize(
    ("split", "near"), [("trian", "'train'"), ("valid", "'validation'"), ("tests", "'test'")]
)
def test_an_unknown_split_is_told_the_nearest(split, near):
    with pytest.raises(ValueError, match=f"split must be .*got '{split}'; did you mean {near}"):
        load_digits(split)


@pytest.mark.parametrize(
    ("source", "near"), [("minst", "'mnist'"), ("MNIST", "'mnist'"), ("embeded", "'embedded'")]
)
def test_an_unknown_digit_source_is_told_the_choices(source, near):
    with pytest.raises(ValueError) as told:
        load_digits("train", digits=source)
    message = str(told.value)
    assert all(name in message for name in ("'embedded'", "'mnist'", "'fashion'", repr(source)))
    if source.islower():
        assert f"did you mean {near}?" in message


def test_digits_can_be_asked_for_on_a_device():
    assert load_digits("test", device="cpu").images.device.type == "cpu"
    with pytest.raises(ValueError, match="'cuda:99'"):
        load_digits("test", device="cuda:99")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_digits_on_a_gpu_are_the_digits_on_the_cpu():
    here, there = load_digits("test"), load_digits("test", device="cuda")
    assert there.images.is_cuda and there.labels.is_cuda
    assert torch.equal(here.images, there.images.cpu())


def test_the_data_folder_is_the_one_that_the_environment_names(monkeypatch, tmp_path):
    monkeypatch.setenv("MTL_DATA_ROOT", str(tmp_path))
    assert data_root() == tmp_path


def test_a_tilde_in_the_data_folder_is_the_users_home(monkeypatch):
    monkeypatch.setenv("MTL_DATA_ROOT", "~/digits")
    assert data_root() == Path.home() / "digits"


@pytest.mark.parametrize("value", [None, ""])
def test_the_data_folder_is_else_in_the_users_cache(monkeypatch, value):
    if value is None:
        monkeypatch.delenv("MTL_DATA_ROOT", raising=False)
    else:
        monkeypatch.setenv("MTL_DATA_ROOT", value)
    assert data_root() == Path.home() / ".cache" / "mtl_tutorial"


@pytest.mark.parametrize(("source", "folder"), [("mnist", "MNIST"), ("fashion", "FashionMNIST")])
def test_without_a_network_the_error_names_folder_files_and_the_way_out(
    no_network, monkeypatch, tmp_path, source, folder
):
    monkeypatch.setenv("MTL_DATA_ROOT", str(tmp_path))
    with pytest.raises(DataUnavailableError) as told:
        load_digits("train", digits=source)
    message = str(told.value)
    assert str(tmp_path / folder / "raw") in message
    assert all(f"{name}.gz" in message for name in FILES)
    assert "digits='embedded'" in message
    assert "\n" not in message


def test_without_a_network_the_error_names_only_the_files_that_are_missing(no_network, own_data):
    (own_data / f"{FILES[1]}.gz").unlink()
    with pytest.raises(DataUnavailableError) as told:
        load_digits("train", digits="mnist")
    assert f"{FILES[1]}.gz" in str(told.value)
    assert f"{FILES[0]}.gz" not in str(told.value)


def test_a_folder_that_cannot_be_written_is_named(no_network, monkeypatch, tmp_path):
    in_the_way = tmp_path / "file"
    in_the_way.touch()
    monkeypatch.setenv("MTL_DATA_ROOT", str(in_the_way / "cache"))
    with pytest.raises(DataUnavailableError, match="can't be written") as told:
        load_digits("train", digits="mnist")
    message = str(told.value)
    assert all(
        part in message
        for part in (str(in_the_way / "cache"), "MTL_DATA_ROOT", "digits='embedded'")
    )


def flip_a_byte(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


def cut_in_half(path):
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def empty(path):
    path.write_bytes(b"")


@pytest.mark.parametrize("damage", [flip_a_byte, cut_in_half, empty])
@pytest.mark.parametrize("name", [FILES[0], FILES[1]])
def test_a_damaged_download_is_named_and_never_used(no_network, own_data, damage, name):
    damage(own_data / f"{name}.gz")
    with pytest.raises(DataUnavailableError, match="is damaged") as told:
        load_digits("train", digits="mnist")
    assert str(own_data / f"{name}.gz") in str(told.value)
    assert "digits='embedded'" in str(told.value)
    assert not (own_data / name).exists()


def test_a_good_copy_of_a_damaged_download_is_taken(no_network, own_data, real_data_files):
    archive = own_data / f"{FILES[0]}.gz"
    flip_a_byte(archive)
    with pytest.raises(DataUnavailableError):
        load_digits("test", digits="mnist")
    shutil.copyfile(real_data_files / "MNIST" / "raw" / archive.name, archive)
    assert len(load_digits("test", digits="mnist")) == 10_000


@pytest.fixture
def small_unpacked(no_network, tmp_path, monkeypatch):
    """A folder with all four unpacked files of MNIST's format, 6 digits in each, no downloads."""
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name in FILES:
        sizes = (6, 28, 28) if "images" in name else (6,)
        header = struct.pack(f">{1 + len(sizes)}I", 0x0800 + len(sizes), *sizes)
        (raw / name).write_bytes(header + bytes(int(np.prod(sizes))))
    monkeypatch.setenv("MTL_DATA_ROOT", str(tmp_path))
    return raw


def spoil_the_header(path):
    content = path.read_bytes()
    path.write_bytes(b"\0\0\x01" + content[3:])


@pytest.mark.parametrize("damage", [cut_in_half, empty, spoil_the_header])
@pytest.mark.parametrize("name", [FILES[2], FILES[3]])
def test_a_damaged_unpacked_file_gets_advice_that_works(small_unpacked, damage, name):
    damage(small_unpacked / name)
    with pytest.raises(DataUnavailableError, match=r"delete those without '\.gz'") as told:
        load_digits("test", digits="mnist")
    assert str(small_unpacked) in str(told.value)
    assert "read ()" not in str(told.value)
    assert "digits='embedded'" in str(told.value)


def test_unpacked_files_are_unpacked_again_after_they_were_deleted(no_network, own_data):
    for name in FILES:
        with gzip.open(own_data / f"{name}.gz") as packed:
            (own_data / name).write_bytes(packed.read(1000))
    with pytest.raises(DataUnavailableError, match="delete those without"):
        load_digits("test", digits="mnist")
    for name in FILES:
        (own_data / name).unlink()
    assert load_digits("test", digits="mnist").labels[:5].tolist() == [7, 2, 1, 0, 4]


@pytest.mark.parametrize(
    ("source", "first_of_train", "first_of_test"),
    [
        ("mnist", [5, 0, 4, 1, 9, 2, 1, 3, 1, 4], [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]),
        ("fashion", [9, 0, 0, 3, 0, 2, 7, 2, 5, 5], [9, 2, 1, 1, 6, 1, 4, 6, 5, 7]),
    ],
)
def test_the_published_sets_load_without_a_network_where_their_files_are(
    real_data, no_network, source, first_of_train, first_of_test
):
    splits = {split: load_digits(split, digits=source) for split in SPLITS}
    assert [len(splits[split]) for split in SPLITS] == [55_000, 5_000, 10_000]
    for digits in splits.values():
        assert digits.images.dtype == torch.uint8
        assert digits.images.shape == (len(digits), 1, 28, 28)
        assert digits.labels.dtype == torch.int64
        assert len(digits.labels.bincount()) == 10
    assert splits["train"].labels[:10].tolist() == first_of_train
    assert splits["test"].labels[:10].tolist() == first_of_test
    assert len(set().union(*(contents(digits) for digits in splits.values()))) == 70_000


def test_training_and_validation_digits_are_the_published_training_digits(real_data):
    with gzip.open(real_data / "MNIST" / "raw" / f"{FILES[0]}.gz") as packed:
        published = np.frombuffer(packed.read(), np.uint8, offset=16).reshape(-1, 28, 28)
    loaded = torch.cat([load_digits(split, digits="mnist").images for split in SPLITS[:2]])
    assert np.array_equal(loaded[:, 0].numpy(), published)


IMAGES, LABELS = load_digits("test").images[:8], load_digits("test").labels[:8]


@pytest.mark.parametrize(
    ("images", "told"),
    [
        (IMAGES / 255, "got torch.float32; .*range of 0 to 1"),
        (IMAGES.float(), "got torch.float32"),
        (IMAGES.double(), "got torch.float64"),
        (IMAGES > 100, r"got torch.bool; images.to\(torch.uint8\) \* 255 makes them so"),
        (IMAGES.int(), "got torch.int32"),
        ((IMAGES > 100).to(torch.uint8), "brightest pixel of all is 1, and they would be black"),
        (IMAGES // 16, "brightest pixel of all is 15"),
        (torch.zeros_like(IMAGES), "brightest pixel of all is 0"),
        (IMAGES[:, 0], r"have shape .*, got \(8, 28, 28\)"),
        (IMAGES.expand(8, 3, 28, 28), r"got \(8, 3, 28, 28\)"),
        (IMAGES[..., :20], r"got \(8, 1, 28, 20\)"),
        (IMAGES[:0], r"N at least 1, got \(0, 1, 28, 28\)"),
        (IMAGES.numpy(), "be a torch tensor, got ndarray"),
    ],
)
def test_images_in_another_unit_type_or_shape_are_refused(images, told):
    with pytest.raises(ValueError, match=f"images of digits must .*{told}") as error:
        Digits(images, LABELS[: len(images)], "test")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        (LABELS.int(), "dtype int64, got shape .* torch.int32"),
        (LABELS.float(), "dtype int64, got shape .* torch.float32"),
        (LABELS[:, None], r"got shape \(8, 1\)"),
        (LABELS + 3, "from 0 to 9, got 1"),
        (LABELS - 100, "from 0 to 9, got -"),
        (LABELS.tolist(), "be a torch tensor, got list"),
    ],
)
def test_labels_that_are_no_classes_are_refused(labels, told):
    with pytest.raises(ValueError, match=f"labels of digits must .*{told}"):
        Digits(IMAGES, labels, "test")


def test_digits_need_a_label_each_and_a_known_split():
    with pytest.raises(ValueError, match="one label an image.* got 8 images on cpu and 7 labels"):
        Digits(IMAGES, LABELS[:7], "test")
    with pytest.raises(ValueError, match="split must be one of .*got 'tst'; did you mean 'test'"):
        Digits(IMAGES, LABELS, "tst")


def test_what_the_messages_advise_makes_digits():
    floats, bools = IMAGES / 255, IMAGES > 100
    assert torch.equal(
        Digits((floats * 255).round().to(torch.uint8), LABELS, "test").images, IMAGES
    )
    assert Digits(bools.to(torch.uint8) * 255, LABELS, "test").images.max() == 255


def test_digits_are_saved_alone_without_those_of_other_splits(real_data):
    digits = load_digits("validation", digits="mnist")
    assert len(pickle.dumps(digits)) < 5_000 * 800


def unpack(raw):
    for name in FILES:
        with gzip.open(raw / f"{name}.gz") as packed:
            (raw / name).write_bytes(packed.read())


@pytest.mark.parametrize("name", FILES)
def test_a_wrong_unpacked_file_is_noticed(no_network, own_data, name):
    unpack(own_data)
    content = bytearray((own_data / name).read_bytes())
    content[-5] ^= 1  # still a digit or a pixel
    (own_data / name).write_bytes(content)
    split, other = ("test", "train") if name.startswith("t10k") else ("validation", "test")
    with pytest.raises(DataUnavailableError, match="is not what was published") as told:
        load_digits(split, digits="mnist")
    message = str(told.value)
    assert message.startswith(f"what is in {own_data / name} ") and "\n" not in message
    assert "delete" in message and "digits='embedded'" in message
    assert len(load_digits(other, digits="mnist")) > 5_000
    for file in FILES:
        (own_data / file).unlink()
    assert len(load_digits(split, digits="mnist")) >= 5_000


def test_fashion_in_the_place_of_mnist_is_noticed(no_network, own_data, real_data_files):
    for name in FILES:
        with gzip.open(real_data_files / "FashionMNIST" / "raw" / f"{name}.gz") as packed:
            (own_data / name).write_bytes(packed.read())
    with pytest.raises(DataUnavailableError, match="is not what was published"):
        load_digits("test", digits="mnist")


def test_a_full_disk_is_not_called_a_damaged_file(no_network, own_data, monkeypatch):
    def refuse(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("torchvision.datasets.utils.extract_archive", refuse)
    with pytest.raises(DataUnavailableError, match="could not be unpacked .*No space left") as told:
        load_digits("test", digits="mnist")
    assert "damaged" not in str(told.value) and "is there a network" not in str(told.value)


def test_a_file_that_may_not_be_read_is_not_called_damaged(no_network, own_data, monkeypatch):
    path = own_data / f"{FILES[0]}.gz"

    def refuse(*args, **kwargs):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr("torchvision.datasets.utils.extract_archive", refuse)
    with pytest.raises(DataUnavailableError, match="can't be opened .Permission denied") as told:
        load_digits("test", digits="mnist")
    assert str(path) in str(told.value) and "damaged" not in str(told.value)


def test_a_folder_of_one_data_set_that_cannot_be_made_is_named(no_network, monkeypatch, tmp_path):
    (tmp_path / "MNIST").touch()
    monkeypatch.setenv("MTL_DATA_ROOT", str(tmp_path))
    with pytest.raises(DataUnavailableError, match="can't be written") as told:
        load_digits("train", digits="mnist")
    assert str(tmp_path / "MNIST" / "raw") in str(told.value)
    assert "is there a network" not in str(told.value)


@pytest.mark.slow
def test_several_processes_can_load_files_that_none_has_unpacked_yet(own_data):
    code = (
        "from mtl_tutorial.data import load_digits; print(len(load_digits('test', digits='mnist')))"
    )
    several = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    assert [process.communicate()[0].strip() for process in several] == ["10000"] * 2


def test_a_sample_holds_digits_with_their_labels_and_a_generator_fixes_it() -> None:
    digits = load_digits("train")
    first, again = (digits.sample(20, torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(first.images, again.images) and torch.equal(first.labels, again.labels)
    chosen = torch.randint(len(digits), (20,), generator=torch.Generator().manual_seed(3))
    assert torch.equal(first.images, digits.images[chosen])
    assert torch.equal(first.labels, digits.labels[chosen]) and first.split == "train"
