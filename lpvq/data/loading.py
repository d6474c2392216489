"""Images in: drawn smileys, Fashion-MNIST, MNIST, CIFAR-10, or a folder of your own pictures.

Every set comes whole, in memory, as uint8 tensors: batches are then an index away, without loader workers.
"""

from dataclasses import replace
from pathlib import Path

import torch

from lpvq.data import smileys
from lpvq.data.folders import load_folder
from lpvq.data.images import ImageData
from lpvq.data.known_sets import IDX_SETS, load_cifar10, load_idx_set
from lpvq.errors import InputError

SPLITS = ("train", "test")
KNOWN = ("smileys", "fashion_mnist", "mnist", "cifar10", "folder:PATH")
DEFAULT_SIZE = 32
_RESIZED_AT_ONCE = 4096


def load(
    name: str,
    split: str = "train",
    size: int | None = None,
    limit: int | None = None,
    root: str | Path | None = None,
    seed: int = 0,
) -> ImageData:
    """Load a set of images.

    Fashion-MNIST, MNIST and CIFAR-10 are looked for in ``root``, or where that is None in the project's ``data/``;
    then in the folder that the environment variable ``LPVQ_DATA`` names; then, Fashion-MNIST, where Debian's package
    ``dataset-fashion-mnist`` puts it. Only then are they downloaded, to ``root`` or ``data/``.

    Args:
        name: ``"smileys"`` (drawn, nothing to download), ``"fashion_mnist"``, ``"mnist"``, ``"cifar10"``, or
            ``"folder:PATH"`` with a folder of PNG, JPEG, WebP or BMP files. Its subfolders, searched at any depth,
            are the classes; files outside them are a class named after the folder itself. In the order of their
            paths, the first file and every tenth after it are the test split, the others the train split.
        split: ``"train"`` or ``"test"``.
        size: height and width in pixels, resized with antialiasing. None is 32 for smileys and folders, whose
            pictures are first cropped to the square in the middle, and the set's own size for the others.
        limit: the first so many images; None is all of them. Of smileys there are as many as asked for, by default
            20,000 to train and 4,000 to test, and the first are the same ones whatever the number.
        root: the folder that holds the set (not for smileys or folders).
        seed: smileys only: another seed, other faces.

    Raises:
        InputError: an unknown name or split; a size or limit below 1; a set that is neither there nor can be
            downloaded; a file that is truncated or something else; a folder that is missing or has no pictures.
    """
    if split not in SPLITS:
        raise InputError(f"split {split!r} is unknown; expected one of {', '.join(SPLITS)}")
    for what, value in (("size", size), ("limit", limit)):
        if value is not None and value < 1:
            raise InputError(f"{what} must be at least 1, got {value}")
    if name == "smileys":
        return _load_smileys(split, size, limit, seed)
    if name in IDX_SETS:
        return _resized(load_idx_set(name, split, limit, root), size)
    if name == "cifar10":
        return _resized(load_cifar10(split, limit, root), size)
    kind, _, path = name.partition(":")
    if kind == "folder" and path:
        return load_folder(name, Path(path).expanduser(), split, size or DEFAULT_SIZE, limit)
    raise InputError(f"data set {name!r} is unknown; expected one of {', '.join(KNOWN)}")


def _load_smileys(split: str, size: int | None, limit: int | None, seed: int) -> ImageData:
    if seed < 0:
        raise InputError(f"seed must be at least 0, got {seed}")
    factors = smileys.draw_factors(limit or smileys.NUMBER[split], seed, stream=SPLITS.index(split))
    images = smileys.draw(factors, size or DEFAULT_SIZE)
    return ImageData(images, factors["mouth"].clone(), smileys.FACTORS["mouth"], "smileys", factors)


def _resized(data: ImageData, size: int | None) -> ImageData:
    if size is None or data.images.shape[-2:] == (size, size):
        return data
    from torchvision.transforms.functional import resize  # only here, see ``_torchvision_set``

    # In parts, because torchvision makes floats of them.
    parts = [resize(part, [size, size], antialias=True) for part in data.images.split(_RESIZED_AT_ONCE)]
    return replace(data, images=torch.cat(parts))
