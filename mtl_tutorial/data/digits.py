"""Where digits come from: scikit-learn's, MNIST or FashionMNIST."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError

import torch
from torch import Tensor
from torch.nn import functional as F

from mtl_tutorial.profiles import check_choice, resolve_device

SPLITS = ("train", "validation", "test")
SOURCES = ("embedded", "mnist", "fashion")
HELD_OUT = 5_000  # of the 60,000 training images of MNIST and FashionMNIST, kept for validation


class DataUnavailableError(OSError):
    """A data set's files are not here, damaged, or their folder can't be written."""


@dataclass(frozen=True)
class Digits:
    """Digits of one split, on one device.

    Args:
        images: shape ``(N, 1, 28, 28)``, uint8, 0 (paper) to 255 (ink).
        labels: class numbers, shape ``(N,)``, int64.
        split: which one they are.
    """

    images: Tensor
    labels: Tensor
    split: str

    def __len__(self) -> int:
        return len(self.labels)


def data_root() -> Path:
    """The folder that downloads go to: ``MTL_DATA_ROOT``, else one in the user's cache."""
    return Path(os.environ.get("MTL_DATA_ROOT") or Path.home() / ".cache" / "mtl_tutorial")


def load_digits(split: str, *, digits: str = "embedded", device: str = "cpu") -> Digits:
    """Load the digits of one split; no digit is in two splits.

    ``embedded``: 1,797 real handwritten digits that come with scikit-learn, 8x8 pixels enlarged
    to 20x20 in a frame of 4; 60 / 20 / 20 % of them. ``mnist`` and ``fashion``: 55,000 of the
    official training images, the other 5,000 for validation, and the official 10,000 for test.

    Raises:
        ValueError: for an unknown split, source or device.
        DataUnavailableError: where files can't be had; the message says what to do.

    Source: Alpaydin & Kaynak 1998 (embedded), LeCun et al. 1998 (mnist), Xiao et al. 2017
    (fashion, arXiv 1708.07747).
    """
    check_choice("split", split, SPLITS)
    check_choice("digit source", digits, SOURCES)
    device = resolve_device(device)
    load = _load_embedded if digits == "embedded" else _load_torchvision
    images, labels = load(split, digits)
    return Digits(images.to(device), labels.to(device), split)


def _load_embedded(split: str, digits: str) -> tuple[Tensor, Tensor]:
    from sklearn.datasets import load_digits as load_sklearn_digits  # slow to import

    bundle = load_sklearn_digits()
    order = torch.randperm(len(bundle.target), generator=torch.Generator().manual_seed(0))
    first, second = int(0.6 * len(order)), int(0.8 * len(order))
    index = {
        "train": order[:first],
        "validation": order[first:second],
        "test": order[second:],
    }[split]
    small = torch.from_numpy(bundle.images).float()[index, None] / 16
    large = F.interpolate(small, size=20, mode="bilinear", align_corners=False)
    images = F.pad(large, (4, 4, 4, 4)).mul(255).round().to(torch.uint8)
    return images, torch.from_numpy(bundle.target)[index].long()


def _load_torchvision(split: str, digits: str) -> tuple[Tensor, Tensor]:
    from torchvision import datasets

    kind = {"mnist": datasets.MNIST, "fashion": datasets.FashionMNIST}[digits]
    root = data_root()
    folder = root / kind.__name__ / "raw"
    files = [Path(url).name for url, _ in kind.resources]
    way_out = "use digits='embedded', which needs no file and no network"
    damaged = _damaged_files(kind, folder)
    try:
        data = kind(root, train=split != "test", download=True)
    except (URLError, RuntimeError, OSError, ValueError, EOFError, AssertionError) as error:
        missing = [name for name in files if not (folder / name).exists()]
        unpacked = all((folder / name).with_suffix("").exists() for name in files)
        if not unpacked and (refusal := _refusal(root)):
            raise DataUnavailableError(
                f"the data folder {root} can't be written ({refusal}); set MTL_DATA_ROOT to "
                f"a folder that can, or {way_out}"
            ) from error
        if unpacked or not (missing or damaged):
            reason = str(error) or "wrong format"
            raise DataUnavailableError(
                f"the unpacked files in {folder} can't be read ({reason}); delete those without "
                f"'.gz' so that they are unpacked again, or {way_out}"
            ) from error
        if damaged:
            raise DataUnavailableError(
                f"{folder / damaged[0]} is damaged (its checksum is not the published one) and "
                f"could not be downloaded again; put a good copy there, or {way_out}"
            ) from error
        raise DataUnavailableError(
            f"digits={digits!r} needs {', '.join(missing)} in {folder}, and they could not be "
            f"downloaded (is there a network?); copy them there, or {way_out}"
        ) from error
    keep = {"train": slice(0, -HELD_OUT), "validation": slice(-HELD_OUT, None)}.get(split)
    keep = keep or slice(None)
    return data.data[keep, None], data.targets[keep].long()


def _refusal(folder: Path) -> str:
    """Say why a folder can't be written; nothing where it can."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".{os.getpid()}.writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        return error.strerror or str(error)
    return ""


def _damaged_files(kind: type, folder: Path) -> list[str]:
    from torchvision.datasets.utils import check_md5

    present = [(folder / Path(url).name, md5) for url, md5 in kind.resources]
    return [path.name for path, md5 in present if path.exists() and not check_md5(path, md5)]
