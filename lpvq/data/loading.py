"""Images in: rendered smileys, Fashion-MNIST, MNIST, CIFAR-10, or a folder of your own pictures.

Every set comes whole, in memory, as uint8 tensors: batches are then an index away, without loader workers.
"""

import re
from collections.abc import Callable
from dataclasses import replace
from difflib import get_close_matches
from functools import partial
from pathlib import Path

import torch

from lpvq.data import smileys
from lpvq.data.catalogue import PUBLISHED_SETS
from lpvq.data.checks import check_memory, check_whole
from lpvq.data.folders import load_folder, split_folder
from lpvq.data.images import ImageData
from lpvq.data.known_sets import IDX_SETS, load_cifar10, load_idx_set
from lpvq.errors import InputError

SPLITS = ("train", "test")
KNOWN = ("smileys", *PUBLISHED_SETS, "folder:PATH")
DEFAULT_SIZE = 32
LARGEST_SIZE = 4096
_RESIZED_AT_ONCE = 4096
_PIXELS_AT_ONCE = 2**23


def load(
    name: str,
    split: str = "train",
    size: int | None = None,
    limit: int | None = None,
    root: str | Path | None = None,
    seed: int = 0,
) -> ImageData:
    """Load a set of images.

    Fashion-MNIST, MNIST and CIFAR-10 are looked for in ``root``, or where that is None in the project's ``data/``; then
    in the folder that the environment variable ``LPVQ_DATA`` names; then, for Fashion-MNIST, where Debian's package
    ``dataset-fashion-mnist`` puts it. Only then are they downloaded, by https, to ``root`` or ``data/``. Wherever a
    file comes from, its content must have the published SHA-256.

    Args:
        name: ``"smileys"`` (rendered, nothing to download), ``"fashion_mnist"``, ``"mnist"``, ``"cifar10"``, or
            ``"folder:PATH"`` with a folder of pictures in any format that Pillow reads. Its subfolders, searched at any
            depth, are the classes; files outside them are a class named after the folder itself. In the order of
            their paths, the first picture and every tenth after it are the test split (of fewer than twenty, every
            fourth; never the only one of a class), the others the train split.
        split: ``"train"`` or ``"test"``. There is no third one: validation images are set aside from the train split.
        size: height and width in pixels, 1 to 4096, resized with antialiasing. None is 32 for smileys and folders,
            whose pictures are first cropped to the square in the middle, and the set's own size for the others.
        limit: how many images to take, the first ones, at least 1; None is all. Of smileys there are as many as asked
            for, by default 20,000 to train and 4,000 to test, and the first are the same whatever the number.
        root: the folder that holds the set (not for smileys or folders).
        seed: for smileys only; a different seed gives different faces; at least 0.

    Returns:
        uint8 images (N, C, H, W), their int64 labels (N,) and the names of the classes. C is 1 for Fashion-MNIST and
        MNIST, and 3 for the others.

    Raises:
        InputError: an unknown name or split; a number that is not whole or out of bounds; more images than the
            machine's memory holds; a set that is neither found nor can be downloaded; a file that is damaged or
            something else; a folder that is missing or has no pictures.
    """
    _check_names(name, split)
    if root is not None and not isinstance(root, str | Path):
        raise InputError(f"root must be the path of a folder, got {root!r}")
    size = None if size is None else check_whole("size", size, 1, LARGEST_SIZE)
    limit = None if limit is None else check_whole("limit", limit, 1)
    if name == "smileys":
        return _render_smileys(split, size or DEFAULT_SIZE, limit, check_whole("seed", seed, 0))
    if name in IDX_SETS:
        return _resized(load_idx_set(name, split, limit, root), size)
    if name == "cifar10":
        return _resized(load_cifar10(split, limit, root), size)
    return load_folder(name, _folder_of(name), split, size or DEFAULT_SIZE, limit)


def count_images(name: str, split: str = "train") -> int | None:
    """Return how many images a split has, without reading them; None for smileys, which have no end.

    Args:
        name: see ``load``.
        split: ``"train"`` or ``"test"``.

    Raises:
        InputError: an unknown name or split; a folder that is missing or has no pictures.
    """
    _check_names(name, split)
    if name == "smileys":
        return None
    if name in PUBLISHED_SETS:
        return PUBLISHED_SETS[name].number[split]
    return len(split_folder(_folder_of(name)).files[split])


def class_names(name: str) -> tuple[str, ...]:
    """Return what the labels of a set mean, without reading its images.

    Args:
        name: see ``load``.

    Raises:
        InputError: an unknown name; a folder that is missing or has no pictures.
    """
    _check_names(name, "train")
    if name == "smileys":
        return smileys.FACTORS["mouth"]
    if name in PUBLISHED_SETS:
        return PUBLISHED_SETS[name].class_names
    return split_folder(_folder_of(name)).class_names


def _check_names(name: str, split: str) -> None:
    known = isinstance(name, str) and (name in ("smileys", *PUBLISHED_SETS) or re.match("folder:.", name))
    if not known:
        raise InputError(f"data set {name!r} is unknown; {_meant(str(name))}")
    if split not in SPLITS:
        raise InputError(
            f"split {split!r} is unknown; expected one of {', '.join(SPLITS)}; "
            "to validate, set some of the train images aside: data[:-1000] and data[-1000:]"
        )


def _meant(name: str) -> str:
    """What to write instead of an unknown name."""
    if Path(name).expanduser().is_dir():
        return f"it is a folder: write folder:{name}"
    plain = {re.sub(r"[\W_]", "", known).casefold(): known for known in KNOWN[:-1]}
    near = get_close_matches(re.sub(r"[\W_]", "", name).casefold(), plain, 1)
    instead = f"did you mean {plain[near[0]]}? " if near else ""
    return f"{instead}expected one of {', '.join(KNOWN)}"


def _folder_of(name: str) -> Path:
    return Path(name.removeprefix("folder:")).expanduser()


def smileys_in_parts(split: str, size: int | None, number: int, seed: int = 0) -> list[Callable[[], ImageData]]:
    """Return what renders as many smileys as ``load`` would, part by part: together they may be more than memory holds.

    Args:
        split: ``"train"`` or ``"test"``.
        size: height and width in pixels; 32 where None.
        number: how many, at least 1.
        seed: a different seed gives different faces; at least 0.
    """
    size = size or DEFAULT_SIZE
    factors = smileys.draw_factors(number, seed, stream=SPLITS.index(split))
    step = max(1, _PIXELS_AT_ONCE // size**2)

    def part(start: int) -> ImageData:
        some = {name: values[start : start + step] for name, values in factors.items()}
        images = smileys.draw(some, size)
        return ImageData(images, some["mouth"].clone(), smileys.FACTORS["mouth"], "smileys", some)

    return [partial(part, start) for start in range(0, number, step)]


def _render_smileys(split: str, size: int, limit: int | None, seed: int) -> ImageData:
    number = limit or smileys.NUMBER[split]
    check_memory(number, 3, size)
    factors = smileys.draw_factors(number, seed, stream=SPLITS.index(split))
    images = smileys.draw(factors, size)
    return ImageData(images, factors["mouth"].clone(), smileys.FACTORS["mouth"], "smileys", factors)


def _resized(data: ImageData, size: int | None) -> ImageData:
    if size is None or data.images.shape[-2:] == (size, size):
        return data
    check_memory(len(data), data.images.shape[1], size)
    # Only here: importing torchvision takes more than a second, and smileys do without it.
    from torchvision.transforms.functional import resize

    # In parts, because torchvision makes floats of them.
    parts = [resize(part, [size, size], antialias=True) for part in data.images.split(_RESIZED_AT_ONCE)]
    return replace(data, images=torch.cat(parts))
