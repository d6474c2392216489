"""Sets that others have made: Fashion-MNIST, MNIST and CIFAR-10, on this machine already, or downloaded."""

import gzip
import math
import os
import tempfile
import zlib
from http.client import HTTPException
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lpvq.data.images import ImageData
from lpvq.errors import InputError
from lpvq.paths import data_folder

DEBIAN = Path("/usr/share/dataset-fashion-mnist")
_DIGITS = tuple("0123456789")
_CLOTHES = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
_FASHION = "FashionMNIST"  # as torchvision calls it
IDX_SETS = {"fashion_mnist": (_FASHION, _CLOTHES), "mnist": ("MNIST", _DIGITS)}
_IDX_OF_BYTES = b"\x00\x00\x08"
_GZIP = b"\x1f\x8b"


def load_idx_set(name: str, split: str, limit: int | None, root: str | Path | None) -> ImageData:
    """Load Fashion-MNIST or MNIST; see ``lpvq.data.load``."""
    kind, class_names = IDX_SETS[name]
    prefix = "train" if split == "train" else "t10k"
    files = [f"{prefix}-images-idx3-ubyte", f"{prefix}-labels-idx1-ubyte"]
    image_file, label_file = _find_or_download(name, kind, files, _idx_folders(kind, root), data_folder(root))
    images, labels = _read_idx(image_file, dimensions=3), _read_idx(label_file, dimensions=1)
    if len(images) != len(labels) or labels.max(initial=0) >= len(class_names):
        raise InputError(
            f"{image_file} ({len(images)} images) and {label_file} ({len(labels)} labels up to "
            f"{labels.max(initial=0)}) are not the images and labels of {name}; delete them and get the set again"
        )
    pixels = torch.from_numpy(images[:limit].copy())[:, None]
    return ImageData(pixels, torch.from_numpy(labels[:limit].astype(np.int64)), class_names, name)


def load_cifar10(split: str, limit: int | None, root: str | Path | None) -> ImageData:
    """Load CIFAR-10; see ``lpvq.data.load``."""
    kind = _torchvision_set("CIFAR10")
    names = [file for file, _ in kind.train_list + kind.test_list] + [kind.meta["filename"]]
    files = [f"{kind.base_folder}/{name}" for name in names]
    folder = _find_or_download("cifar10", "CIFAR10", files, _places(root), data_folder(root))[0].parent
    try:
        data = kind(folder.parent, train=split == "train")  # checks the files before it unpickles them
    except (RuntimeError, OSError) as error:
        raise InputError(f"{folder} is damaged or not CIFAR-10; delete it and get it again") from error
    pixels = torch.from_numpy(data.data[:limit]).permute(0, 3, 1, 2).contiguous()
    return ImageData(pixels, torch.tensor(data.targets[:limit]), tuple(data.classes), "cifar10")


def _torchvision_set(kind: str) -> Any:
    """One of torchvision's data sets. Importing torchvision takes more than a second, and smileys do without."""
    from torchvision import datasets

    return getattr(datasets, kind)


def _places(root: str | Path | None) -> list[Path]:
    named = os.environ.get("LPVQ_DATA")
    return [data_folder(root), Path(named).expanduser()] if named else [data_folder(root)]


def _idx_folders(kind: str, root: str | Path | None) -> list[Path]:
    folders = []
    for place in _places(root):
        folders.append(place / kind / "raw")
        # MNIST and Fashion-MNIST have the same file names. Files that lie in no folder of the set's name are taken for
        # Fashion-MNIST, as Debian has it, and for MNIST only where the reader says that this is its folder.
        if kind == _FASHION or (root is not None and place == data_folder(root)):
            folders.append(place)
    return [*folders, DEBIAN] if kind == _FASHION else folders


def _find_or_download(name: str, kind: str, files: list[str], folders: list[Path], home: Path) -> list[Path]:
    paths = _find(files, folders)
    if paths is None:
        _download(name, kind, home, folders)
        paths = _find(files, folders)
    assert paths is not None, f"torchvision's download of {name} has not brought {files}"
    return paths


def _find(files: list[str], folders: list[Path]) -> list[Path] | None:
    """Return where all the files are, gzipped or not, in the first folder that has them all."""
    for folder in folders:
        paths = []
        for file in files:
            either = (folder / file, folder / f"{file}.gz")
            paths += [path for path in either if path.is_file()][:1]
        if len(paths) == len(files):
            return paths
    return None


def _download(name: str, kind: str, home: Path, tried: list[Path]) -> None:
    """Let torchvision download a set to ``home``; what is not complete never gets there."""
    try:
        home.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=home, prefix=".download-") as temporary:
            _torchvision_set(kind)(temporary, download=True)
            for path in sorted(Path(temporary).rglob("*")):
                if path.is_file() and path.suffix != ".gz":  # archives, unpacked by now
                    target = home / path.relative_to(temporary)
                    target.parent.mkdir(parents=True, exist_ok=True)
                    path.replace(target)
    except (OSError, RuntimeError, HTTPException) as error:
        raise InputError(_not_found(name, kind, home, tried, error)) from error


def _not_found(name: str, kind: str, home: Path, tried: list[Path], error: Exception) -> str:
    reason = " ".join(str(error).split()) or type(error).__name__
    ways = ["set LPVQ_DATA to a folder that has it", f"put its files under {home}", "run this once with a network"]
    if kind == _FASHION:
        ways[1] += " or install Debian's package dataset-fashion-mnist"
    return (
        f"{name} is in none of {', '.join(map(str, tried))}, and downloading it failed ({reason}); "
        f"to get it: {'; '.join(f'({i}) {way}' for i, way in enumerate(ways, 1))}"
    )


def _read_idx(path: Path, dimensions: int) -> NDArray[np.uint8]:
    """Read an idx file of bytes, gzipped or not: 3 dimensions for images (N, H, W), 1 for labels (N,)."""
    try:
        content = path.read_bytes()
        content = gzip.decompress(content) if content.startswith(_GZIP) else content
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path} cannot be read ({error}); delete it and get it again") from error
    header = 4 + 4 * dimensions
    if content[:4] != _IDX_OF_BYTES + bytes([dimensions]) or len(content) < header:
        raise InputError(f"{path} is no idx file of {dimensions}-dimensional bytes; delete it and get the right one")
    shape = np.frombuffer(content, ">u4", dimensions, offset=4).tolist()
    values = np.frombuffer(content, np.uint8, offset=header)
    if len(values) != math.prod(shape):
        raise InputError(f"{path} is truncated or damaged: {shape} and {len(values)} bytes; delete it, get it again")
    return values.reshape(shape)
