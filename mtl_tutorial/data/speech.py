"""Spoken digits: the Free Spoken Digit Dataset."""

from __future__ import annotations

import hashlib
import io
import os
import re
import tarfile
import wave
import zlib
from pathlib import Path, PurePosixPath

import numpy as np
import torch
from torch import Tensor

from mtl_tutorial.data.digits import SPLITS, DataUnavailableError, data_root
from mtl_tutorial.data.sound import RATE, SAMPLES, Sounds, fit_length
from mtl_tutorial.profiles import check_choice, resolve_device

ADDRESS = "https://github.com/Jakobovski/free-spoken-digit-dataset/archive/refs/tags/v1.0.10.tar.gz"
ARCHIVE = "fsdd.tar.gz"
CHECKSUM = "45a9b976ba3397a2fd5c70a9f2e43c34f442a3a6be47392ecfc41174b678f37e"  # of v1.0.10
SPEAKERS = ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")
TAKES = {"test": range(5), "validation": range(5, 10), "train": range(10, 50)}
NAME = re.compile(rf"\d_({'|'.join(SPEAKERS)})_\d+\.wav")
WAY_OUT = "use sound='tones', which needs no file and no network"


def load_speech(split: str, *, device: str = "cpu") -> Sounds:
    """Load the spoken digits of one split: six speakers say each digit several times.

    3,000 recordings; takes 0 to 4 of each digit and speaker are the test split, as its makers
    say, 5 to 9 validation, the other 40 train. They are read from ``FSDD/fsdd.tar.gz`` under
    `data_root`, which is downloaded where it is missing. Its content is checked, not its bytes:
    the same recordings may be packed in several ways.

    Raises:
        ValueError: for an unknown split or device.
        DataUnavailableError: where the file can't be had or is damaged.

    Source: Jackson et al., Free Spoken Digit Dataset v1.0.10, CC BY-SA 4.0.
    """
    check_choice("split", split, SPLITS)
    where = resolve_device(device)
    path = data_root() / "FSDD" / ARCHIVE
    if not path.exists():
        _download(path)
    try:
        files = read_archive(path)
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise DataUnavailableError(
            f"{path} can't be read ({error}); put a good copy there, or delete it so that it is "
            f"downloaded again, or {WAY_OUT}"
        ) from error
    if content_checksum(files) != CHECKSUM:
        raise DataUnavailableError(
            f"{path} is damaged or of another version (the checksum of its {len(files)} "
            f"recordings is not that of v1.0.10); put a good copy there, or delete it so that it "
            f"is downloaded again, or {WAY_OUT}"
        )
    takes = TAKES[split]
    shape = (10, len(SPEAKERS), len(takes), SAMPLES)
    waves = torch.empty(shape, dtype=torch.float32, device="cpu")
    for d in range(10):
        for s, speaker in enumerate(SPEAKERS):
            for k, take in enumerate(takes):
                name = f"{d}_{speaker}_{take}.wav"
                waves[d, s, k] = fit_length(read_wav(files[name], name))
    return Sounds(waves.to(where), SPEAKERS, split)


def read_wav(content: bytes, name: str) -> Tensor:
    """Give the samples of a mono 16-bit WAV file at 8 kHz, −1 to 1, shape ``(L,)``.

    Args:
        content: the whole file.
        name: what errors call it.

    Raises:
        ValueError: for another format, or a file without samples.
    """
    try:
        with wave.open(io.BytesIO(content)) as file:
            channels, width, rate, frames, *_ = file.getparams()
            samples = np.frombuffer(file.readframes(frames), np.uint8)
    except (wave.Error, EOFError, RuntimeError) as error:
        reason = str(error) or "it ends too early"
        raise ValueError(
            f"{name} is not a PCM WAV file ({reason}); save it as 16-bit WAV"
        ) from None
    for what, is_so, wanted in (
        (f"has {channels} channels", channels == 1, "one; mix it to mono"),
        (f"has {8 * width} bits a sample", width == 2, "16; convert it"),
        (f"has {rate} samples a second", rate == RATE, f"{RATE}; resample it"),
        ("has no samples", len(samples) >= 2, "at least one; leave it out"),
    ):
        if not is_so:
            raise ValueError(f"{name} {what}, and must have {wanted}")
    if len(samples) != 2 * frames:
        raise ValueError(
            f"{name} ends too early: it says that it has {frames} samples, and holds "
            f"{len(samples) // 2}; get it again"
        )
    return torch.from_numpy(samples.view("<i2").astype(np.float32) / 32768)


def read_archive(path: Path) -> dict[str, bytes]:
    """Give the recordings of a tar archive by file name, such as ``7_theo_12.wav``.

    Raises:
        tarfile.TarError, EOFError, OSError, zlib.error: where it can't be read.
    """
    files = {}
    with tarfile.open(path, "r:gz") as archive:
        for member in archive:
            where = PurePosixPath(member.name)
            content = archive.extractfile(member) if member.isfile() else None
            if content and where.parent.name == "recordings" and NAME.fullmatch(where.name):
                files[where.name] = content.read()
    return files


def content_checksum(files: dict[str, bytes]) -> str:
    """Give the SHA-256 of names and contents, in the order of the names, in hexadecimal."""
    digest = hashlib.sha256()
    for name in sorted(files):
        digest.update(name.encode())
        digest.update(files[name])
    return digest.hexdigest()


def _download(path: Path) -> None:
    from torchvision.datasets.utils import download_url  # slow to import

    draft = path.with_name(f".{os.getpid()}.{path.name}")  # a broken download leaves no archive
    try:
        download_url(ADDRESS, str(path.parent), draft.name)
        os.replace(draft, path)
    except (OSError, RuntimeError) as error:
        raise DataUnavailableError(
            f"sound='speech' needs {path.name} in {path.parent}, and it could not be downloaded "
            f"({error}); copy it there, or {WAY_OUT}"
        ) from error
    finally:
        if draft.exists():
            draft.unlink()
