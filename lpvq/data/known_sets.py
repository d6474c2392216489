"""Fashion-MNIST, MNIST and CIFAR-10: found on this machine, or downloaded; their content is checked either way."""

import gzip
import hashlib
import os
import pickle
import zlib
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from lpvq.data.catalogue import PUBLISHED_SETS
from lpvq.data.downloading import DownloadError, download
from lpvq.data.images import ImageData
from lpvq.errors import InputError
from lpvq.paths import data_folder

DEBIAN = Path("/usr/share/dataset-fashion-mnist")
IDX_SETS = ("fashion_mnist", "mnist")
_GZIP = b"\x1f\x8b"


def load_idx_set(name: str, split: str, limit: int | None, root: str | Path | None) -> ImageData:
    """Load Fashion-MNIST or MNIST from its idx files, gzipped or not; download it where they are not found.

    The format is LeCun's: two zero bytes, 8 for bytes, the number of dimensions, each of them as a big-endian 32-bit
    number, and then the values.

    Args:
        name: ``"fashion_mnist"`` or ``"mnist"``.
        split: ``"train"`` or ``"test"``.
        limit: how many images to take, the first ones; None for all.
        root: the folder that holds the set, or None for the project's ``data/``; see ``lpvq.data.load`` for where
            else it is looked for.

    Returns:
        the images in the order of the file, uint8 (N, 1, 28, 28).

    Raises:
        InputError: a file cannot be read or is not the published one; the set is neither found nor downloaded.
    """
    prefix = "train" if split == "train" else "t10k"
    images, labels = _read(name, [f"{prefix}-images-idx3-ubyte", f"{prefix}-labels-idx1-ubyte"], root)
    pixels = torch.from_numpy(_from_idx(images)[:limit].copy())[:, None]
    return ImageData(
        pixels,
        torch.from_numpy(_from_idx(labels)[:limit].astype(np.int64)),
        PUBLISHED_SETS[name].class_names,
        name,
    )


def load_cifar10(split: str, limit: int | None, root: str | Path | None) -> ImageData:
    """Load CIFAR-10 from its batches for Python; download it where they are not found.

    Each batch is a pickled dictionary: ``data`` (10,000, 3072), red before green before blue, each in rows, and
    ``labels``. A pickle can run code, so nothing but the published bytes is ever unpickled.

    Args:
        split: ``"train"`` or ``"test"``.
        limit: how many images to take, the first ones; None for all.
        root: the folder that holds the set, or None for the project's ``data/``; see ``lpvq.data.load`` for where
            else it is looked for.

    Returns:
        the images in the order of the batches, uint8 (N, 3, 32, 32).

    Raises:
        InputError: a file cannot be read or is not the published one; the set is neither found nor downloaded.
    """
    published = PUBLISHED_SETS["cifar10"]
    files = [file for file in published.sha256 if file.startswith("test" if split == "test" else "data")]
    batches = [pickle.loads(content, encoding="latin1") for content in _read("cifar10", files, root)]
    pixels = np.concatenate([batch["data"] for batch in batches]).reshape(-1, 3, 32, 32)
    labels = np.concatenate([batch["labels"] for batch in batches]).astype(np.int64)
    return ImageData(
        torch.from_numpy(pixels[:limit].copy()), torch.from_numpy(labels[:limit]), published.class_names, "cifar10"
    )


def _read(name: str, files: list[str], root: str | Path | None) -> list[bytes]:
    """Return the content of some files of a set, from where all of them are found, or downloaded."""
    published, folders = PUBLISHED_SETS[name], _folders(name, root)
    paths = _find(files, folders)
    if paths is None:
        home = data_folder(root) / published.folder
        try:
            download(published, home)
        except DownloadError as error:
            raise InputError(_not_found(name, folders, home, error)) from error
        paths = [home / file for file in files]
    return [_read_checked(path, name, published.sha256[file]) for path, file in zip(paths, files, strict=True)]


def _folders(name: str, root: str | Path | None) -> list[Path]:
    """Return where a set is looked for, in this order."""
    named = os.environ.get("LPVQ_DATA")
    places = [data_folder(root), Path(named).expanduser()] if named else [data_folder(root)]
    folders = []
    for place in places:
        folders.append(place / PUBLISHED_SETS[name].folder)
        # MNIST and Fashion-MNIST have the same file names. Files not in a folder of the set's name are taken for
        # Fashion-MNIST, as Debian has it, and for MNIST only where the user says that this is its folder.
        if name == "fashion_mnist" or (name == "mnist" and root is not None and place == data_folder(root)):
            folders.append(place)
    return [*folders, DEBIAN] if name == "fashion_mnist" else folders


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


def _not_found(name: str, folders: list[Path], home: Path, error: Exception) -> str:
    ways = ["set LPVQ_DATA to a folder that has it", f"put its files under {home}", "run this once with a network"]
    if name == "fashion_mnist":
        ways[1] += " or install Debian's package dataset-fashion-mnist"
    return (
        f"{name} is in none of {', '.join(map(str, folders))}, and downloading it failed ({error}); "
        f"to get it: {'; '.join(f'({i}) {way}' for i, way in enumerate(ways, 1))}"
    )


def _read_checked(path: Path, name: str, sha256: str) -> bytes:
    """Return the content of a file, uncompressed, if it is the published one.

    Its structure then needs no other check. A file of another set with the same name, such as KMNIST's, is refused:
    trained on and reported under a wrong name, it would be found out late, if ever.
    """
    try:
        content = path.read_bytes()
        content = gzip.decompress(content) if content.startswith(_GZIP) else content
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path} cannot be read ({error}); delete it and get {name} again") from error
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise InputError(
            f"{path} is damaged or not of {name}: the SHA-256 of its content is {found[:16]}…, expected "
            f"{sha256[:16]}…; delete it, or move it away if it is of another set, and get {name} again "
            "(images of your own, or of another set, can be loaded from a folder of pictures: folder:PATH)"
        )
    return content


def _from_idx(content: bytes) -> NDArray[np.uint8]:
    """Return the bytes of an idx file as an array: (N, H, W) for images, (N,) for labels."""
    dimensions = content[3]
    shape = np.frombuffer(content, ">u4", dimensions, offset=4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * dimensions).reshape(shape)
