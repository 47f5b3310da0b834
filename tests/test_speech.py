"""Spoken digits are the published ones, in the right splits; every fault is told in a sentence."""

from __future__ import annotations

import gzip
import io
import shutil
import socket
import tarfile
import wave
from pathlib import Path

import numpy as np
import pytest
import torch

from mtl_tutorial.data import DataUnavailableError, load_speech, seen_and_heard
from mtl_tutorial.data.digits import SPLITS
from mtl_tutorial.data.sound import SAMPLES, fit_length
from mtl_tutorial.data.speech import (
    SPEAKERS,
    TAKES,
    content_checksum,
    read_archive,
    read_wav,
)


@pytest.fixture
def archive(fsdd_file, tmp_path, monkeypatch) -> Path:
    """A copy of the real archive, which a test may damage."""
    path = tmp_path / "FSDD" / "fsdd.tar.gz"
    path.parent.mkdir()
    shutil.copyfile(fsdd_file, path)
    monkeypatch.setenv("MTL_DATA_ROOT", str(tmp_path))
    return path


@pytest.fixture
def no_network(monkeypatch) -> None:
    def refuse(*args, **kwargs):
        raise OSError("network is unreachable")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)


def wav(
    samples: bytes = b"\x00\x40\x00\xc0", channels: int = 1, width: int = 2, rate: int = 8000
) -> bytes:
    content = io.BytesIO()
    with wave.open(content, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(samples)
    return content.getvalue()


def pack(path: Path, files: dict[str, bytes], folder: str = "recordings") -> None:
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(f"{folder}/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def test_the_samples_of_a_wav_file_are_fractions_of_the_loudest() -> None:
    assert read_wav(wav(), "7_theo_1.wav").tolist() == [0.5, -0.5]


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (wav(b""), "has no samples"),
        (wav(rate=44100), "has 44100 samples a second, and must have 8000"),
        (wav(channels=2), "has 2 channels, and must have one"),
        (wav(width=1), "has 8 bits a sample, and must have 16"),
        (b"ID3 this is no sound", "is not a PCM WAV file"),
        (b"", "is not a PCM WAV file"),
        (wav()[:20], "is not a PCM WAV file"),
    ],
)
def test_a_bad_wav_file_is_named_with_its_fault_in_one_sentence(content, fault) -> None:
    with pytest.raises(ValueError) as told:
        read_wav(content, "7_theo_1.wav")
    assert str(told.value).startswith(f"7_theo_1.wav {fault}")
    assert "\n" not in str(told.value)


def test_the_real_recordings_are_loaded_with_their_labels_and_splits(archive, no_network) -> None:
    files = read_archive(archive)
    assert len(files) == 3000
    for split in SPLITS:
        speech = load_speech(split)
        takes = list(TAKES[split])
        assert (speech.split, speech.speakers) == (split, SPEAKERS)
        assert speech.waves.shape == (10, 6, len(takes), SAMPLES)
        for d, s, k in ((0, 0, 0), (7, 4, 3), (9, 5, len(takes) - 1)):
            name = f"{d}_{SPEAKERS[s]}_{takes[k]}.wav"
            assert torch.equal(speech.waves[d, s, k], fit_length(read_wav(files[name], name)))


def test_the_splits_hold_every_take_once() -> None:
    takes = [take for split in SPLITS for take in TAKES[split]]
    assert sorted(takes) == list(range(50))
    assert list(TAKES["test"]) == [0, 1, 2, 3, 4]


def test_the_real_speech_makes_scenes(archive) -> None:
    scenes = seen_and_heard("test", sound="speech")
    batch = scenes.draw(8, torch.Generator().manual_seed(0))
    assert batch.inputs["sound"].shape == (8, 1, 32, 32)


def test_the_way_in_which_recordings_are_packed_does_not_matter(archive) -> None:
    files = read_archive(archive)
    backwards = dict(reversed(files.items()))
    pack(archive, {**backwards, "README.md": b""}, "free-spoken-digit-dataset-1.0.10/recordings")
    assert content_checksum(read_archive(archive)) == content_checksum(files)
    assert len(load_speech("test").waves) == 10


def drop_one(path: Path) -> None:
    pack(path, dict(list(read_archive(path).items())[1:]))


def change_one(path: Path) -> None:
    pack(path, {**read_archive(path), "0_theo_3.wav": wav()})


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:100_000])


def flip_a_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.write_bytes(content)


def write_something_else(path: Path) -> None:
    path.write_bytes(gzip.compress(b"<html>404</html>"))


@pytest.mark.parametrize(
    "damage", [drop_one, change_one, cut_short, flip_a_byte, write_something_else]
)
def test_a_damaged_archive_is_told_in_one_sentence_with_ways_out(archive, damage) -> None:
    damage(archive)
    with pytest.raises(DataUnavailableError) as told:
        load_speech("test")
    message = str(told.value)
    assert message.startswith(str(archive))
    assert "sound='tones'" in message and "delete it" in message and "\n" not in message
    assert archive.exists()


def test_without_a_network_folder_file_and_way_out_are_named(
    no_network, tmp_path, monkeypatch
) -> None:
    monkeypatch.setenv("MTL_DATA_ROOT", str(tmp_path))
    with pytest.raises(DataUnavailableError) as told:
        load_speech("train")
    message = str(told.value)
    assert f"fsdd.tar.gz in {tmp_path / 'FSDD'}" in message
    assert "network" in message and "sound='tones'" in message and "\n" not in message
    assert list((tmp_path / "FSDD").glob("*")) == []


def test_a_folder_that_cannot_be_made_is_told_like_a_missing_file(tmp_path, monkeypatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("MTL_DATA_ROOT", str(tmp_path / "file"))
    with pytest.raises(DataUnavailableError, match="sound='tones'"):
        load_speech("train")


def test_an_unknown_split_is_refused_before_any_file_is_looked_for() -> None:
    with pytest.raises(ValueError, match="split must be"):
        load_speech("trial")


def test_a_recording_that_ends_too_early_is_named() -> None:
    whole = wav(np.arange(100, dtype="<i2").tobytes())
    for cut in (1, 2, 51):
        with pytest.raises(ValueError, match=r"7_theo_1.wav .*(too early|PCM WAV)"):
            read_wav(whole[:-cut], "7_theo_1.wav")
