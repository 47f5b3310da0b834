"""Where digits come from: scikit-learn's, MNIST or FashionMNIST."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.error import URLError

import filelock
import torch
from torch import Tensor
from torch.nn import functional as F

from mtl_tutorial.profiles import check_choice, resolve_device

SPLITS = ("train", "validation", "test")
SOURCES = ("embedded", "mnist", "fashion")
HELD_OUT = 5_000  # of the 60,000 training images of MNIST and FashionMNIST, kept for validation
CLASSES = 10
DIMMEST = 64  # the brightest pixel of all may not be dimmer: then the unit is another one
WAY_OUT = "use digits='embedded', which needs no file and no network"
CONTENTS = {  # MD5 of the pixels and of the class numbers, a byte each: training files, then test
    ("mnist", True): (
        "6510e85a72c3e9475c492d559d3770d2",
        "e86ee40d66677c011a9abda399ec8c4d",
    ),
    ("mnist", False): (
        "240610fa99e73bfa49df8e7fc24d3206",
        "073c3904dfbd3e141ff8aa01cfde6b15",
    ),
    ("fashion", True): (
        "f209073e486d5113ebe2cc431d4df862",
        "3236f6424fc25388b2834cb19942cf7e",
    ),
    ("fashion", False): (
        "b7656a891b218fc13e45205c48a92cae",
        "8dea97a4e78c1bd1b5a6e8efbb870b6e",
    ),
}


class DataUnavailableError(OSError):
    """A data set's files are not here, damaged, or their folder can't be written."""


@dataclass(frozen=True, eq=False)
class Digits:
    """Digits of one split, on one device.

    Args:
        images: shape ``(N, 1, 28, 28)``, or another square; uint8, 0 (paper) to 255 (ink).
        labels: class numbers from 0 to 9, shape ``(N,)``, int64.
        split: ``"train"``, ``"validation"`` or ``"test"``.

    Raises:
        ValueError: where they are something else; images in another unit would be black.
    """

    images: Tensor = field(repr=False)
    labels: Tensor = field(repr=False)
    split: str

    def __post_init__(self) -> None:
        check_choice("split", self.split, SPLITS)
        for what, tensor in (("images", self.images), ("labels", self.labels)):
            if not isinstance(tensor, Tensor):
                raise ValueError(
                    f"{what} of digits must be a torch tensor, got {type(tensor).__name__}; "
                    f"torch.as_tensor makes one of an array or a list"
                )
        _check_images(self.images)
        _check_labels(self.labels)
        if len(self.images) != len(self.labels) or self.images.device != self.labels.device:
            raise ValueError(
                f"digits must have one label an image, on one device, got {len(self.images)} "
                f"images on {self.images.device} and {len(self.labels)} labels on "
                f"{self.labels.device}"
            )

    def sample(self, count: int, generator: torch.Generator) -> Digits:
        """Draw some of the digits; one may come more than once."""
        chosen = torch.randint(len(self), (count,), generator=generator)
        return replace(self, images=self.images[chosen], labels=self.labels[chosen])

    def __len__(self) -> int:
        return len(self.labels)


def _check_images(images: Tensor) -> None:
    shape = tuple(images.shape)
    if len(shape) != 4 or shape[1] != 1 or shape[2] != shape[3] or not images.numel():
        raise ValueError(
            f"images of digits must have shape (N, 1, 28, 28), or another square, with N at least "
            f"1, got {shape}"
        )
    if images.dtype == torch.bool:
        remedy = "images.to(torch.uint8) * 255 makes them so"
    elif not images.is_floating_point():
        remedy = "scale them to this range and use .to(torch.uint8)"
    else:
        remedy = "(images * 255).round().to(torch.uint8) makes them so from a range of 0 to 1"
    if images.dtype != torch.uint8:
        raise ValueError(
            f"images of digits must be uint8, 0 (paper) to 255 (ink), got {images.dtype}; {remedy}"
        )
    if (brightest := int(images.max())) < DIMMEST:
        raise ValueError(
            f"images of digits must be 0 (paper) to 255 (ink), but the brightest pixel of all is "
            f"{brightest}, and they would be black; scale them so that full ink is 255"
        )


def _check_labels(labels: Tensor) -> None:
    if labels.ndim != 1 or labels.dtype != torch.int64:
        raise ValueError(
            f"labels of digits must be class numbers of shape (N,) and dtype int64, got shape "
            f"{tuple(labels.shape)} and {labels.dtype}"
        )
    for label in (int(labels.min()), int(labels.max())) if len(labels) else ():
        if not 0 <= label < CLASSES:
            raise ValueError(
                f"labels of digits must be class numbers from 0 to {CLASSES - 1}, got {label}"
            )


def data_root() -> Path:
    """The folder that downloads go to: ``MTL_DATA_ROOT``, else one in the user's cache."""
    return Path(os.environ.get("MTL_DATA_ROOT") or "~/.cache/mtl_tutorial").expanduser()


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
    where = resolve_device(device)
    load = _load_embedded if digits == "embedded" else _load_torchvision
    images, labels = load(split, digits)
    return Digits(images.to(where), labels.to(where), split)


def load_small_digits(split: str) -> tuple[Tensor, Tensor]:
    """Give scikit-learn's digits of a split as they come, before they are enlarged.

    Returns:
        Pixels from 0 (paper) to 16 (ink), shape ``(N, 8, 8)``, float32; and class numbers.
    """
    from sklearn.datasets import load_digits as load_sklearn_digits  # slow to import

    bundle = load_sklearn_digits()
    generator = torch.Generator("cpu").manual_seed(0)
    order = torch.randperm(len(bundle.target), generator=generator, device="cpu")
    first, second = int(0.6 * len(order)), int(0.8 * len(order))
    index = {
        "train": order[:first],
        "validation": order[first:second],
        "test": order[second:],
    }[split]
    return torch.from_numpy(bundle.images).float()[index], torch.from_numpy(bundle.target)[index]


def _load_embedded(split: str, digits: str) -> tuple[Tensor, Tensor]:
    small, labels = load_small_digits(split)
    large = F.interpolate(small[:, None] / 16, size=20, mode="bilinear", align_corners=False)
    images = F.pad(large, (4, 4, 4, 4)).mul(255).round().to(torch.uint8)
    return images, labels.long()


def _load_torchvision(split: str, digits: str) -> tuple[Tensor, Tensor]:
    from torchvision import datasets

    kind = {"mnist": datasets.MNIST, "fashion": datasets.FashionMNIST}[digits]
    root = data_root()
    folder = root / kind.__name__ / "raw"
    training = split != "test"
    try:
        with _one_at_a_time(folder):
            data = kind(root, train=training, download=True)
    except (URLError, RuntimeError, OSError, ValueError, EOFError, AssertionError) as error:
        trouble = _trouble(digits, folder, kind.resources, error)
        raise DataUnavailableError(f"{trouble}, or {WAY_OUT}") from error
    images, labels = data.data, data.targets.long()
    _check_contents(digits, training, folder, images, labels)
    keep = {"train": slice(0, -HELD_OUT), "validation": slice(-HELD_OUT, None)}.get(split)
    keep = keep or slice(None)
    return images[keep, None].clone(), labels[keep].clone()  # a view would be saved whole


@contextmanager
def _one_at_a_time(folder: Path) -> Iterator[None]:
    """Inside, other processes wait: one downloads and unpacks, and the others find whole files."""
    with ExitStack() as stack:
        with suppress(OSError):  # where nothing can be written, nothing is unpacked either
            folder.mkdir(parents=True, exist_ok=True)
            stack.enter_context(filelock.FileLock(folder / ".lock"))
        yield


def _trouble(digits: str, folder: Path, resources: list[tuple[str, str]], error: Exception) -> str:
    """Say why a published set can't be loaded, and a way out; only what was looked at."""
    from torchvision.datasets.utils import check_md5

    files = {folder / Path(url).name: md5 for url, md5 in resources}
    reason = str(error).partition("\n")[0].rstrip(":") or "wrong format"
    if all(path.with_suffix("").exists() for path in files):
        return (
            f"the unpacked files in {folder} can't be read ({reason}); delete those without "
            f"'.gz' so that they are unpacked again"
        )
    if refusal := _refusal(folder):
        return (
            f"the data folder {folder} can't be written ({refusal}); set MTL_DATA_ROOT to a "
            f"folder that can"
        )
    if isinstance(error, PermissionError):
        return f"{error.filename} can't be opened ({error.strerror}); change its rights"
    if missing := [path.name for path in files if not path.exists()]:
        return (
            f"digits={digits!r} needs {', '.join(missing)} in {folder}, and the download failed "
            f"({reason}; is there a network?); copy them there"
        )
    if damaged := [path for path, md5 in files.items() if not check_md5(path, md5)]:
        return (
            f"{damaged[0]} is damaged (its checksum is not the published one), and the "
            f"download failed ({reason}); put a good copy there"
        )
    return f"the files in {folder} could not be unpacked ({reason}); is there room on the disk?"


def _check_contents(
    digits: str, training: bool, folder: Path, images: Tensor, labels: Tensor
) -> None:
    """Refuse what was loaded where it is not what was published, whatever file it came from."""
    part = "train" if training else "t10k"
    files = (f"{part}-images-idx3-ubyte", f"{part}-labels-idx1-ubyte")
    found = (images, labels.to(torch.uint8))
    for name, loaded, published in zip(files, found, CONTENTS[digits, training], strict=True):
        if hashlib.md5(loaded.numpy().data, usedforsecurity=False).hexdigest() != published:
            raise DataUnavailableError(
                f"what is in {folder / name} is not what was published (its checksum is another); "
                f"delete the files without '.gz' there so that they are unpacked again, or "
                f"{WAY_OUT}"
            )


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
