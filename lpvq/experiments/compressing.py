"""Sets and folders of pictures to a file, and a file to a folder of pictures."""

import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from lpvq.compression.archive import Models, Part, compress, models_for, read_images
from lpvq.compression.file_format import Reader
from lpvq.data.folders import HIDDEN, LeftOut, all_pictures, describe_left_out, read_all
from lpvq.data.loading import KNOWN, load
from lpvq.data.pictures import NoPictureError
from lpvq.errors import InputError
from lpvq.experiments.own_pictures import as_png
from lpvq.experiments.workspace import Workspace
from lpvq.files import new_folder

_AT_ONCE = 256
_RESERVED = {"con", "prn", "aux", "nul", *(f"{name}{number}" for name in ("com", "lpt") for number in range(1, 10))}


@dataclass(frozen=True, eq=False)
class Source:
    """Images to compress.

    Attributes:
        parts: the images, some at a time.
        class_names: what their classes mean.
        number: how many there are; None where that is known only at the end.
    """

    parts: Iterable[Part]
    class_names: tuple[str, ...]
    number: int | None


def as_dataset(folder_or_set: str) -> str:
    """Return the name for ``lpvq.load_images`` of a set, or of a folder that has no set's name."""
    is_folder = folder_or_set not in KNOWN and Path(folder_or_set).expanduser().is_dir()
    return f"folder:{folder_or_set}" if is_folder else folder_or_set


def compress_images(
    workspace: Workspace, source: str, file: Path, splits: Sequence[str], count: int | None, with_model: bool
) -> int:
    """Compress a set of images or a folder of pictures, and return how many there are.

    Args:
        workspace: whose models to use.
        source: a name for ``lpvq.load_images``.
        file: where they go; it must not exist yet.
        splits: of a set, in this order; a folder is taken whole.
        count: how many, the first ones; None for all.
        with_model: put the models into the file.

    Raises:
        InputError: the file exists already; images that the models do not take, or no images.
    """
    if file.exists():
        raise InputError(f"{file} exists already: name another file, or delete it")
    models = models_of(workspace)
    size = models.prior.image_size[0] * models.decoder.downsample
    kind, _, folder = source.partition(":")
    images = of_folder(Path(folder).expanduser(), size, count) if folder else of_set(kind, size, splits, count)
    return compress(file, images.parts, images.class_names, models, with_model, images.number)


def decompress_images(workspace: Workspace | None, file: Path, folder: Path) -> int:
    """Write the images in a file as PNGs, a folder for each class, numbered in the order that they went in.

    Args:
        workspace: whose models to use where the file has none; None where there are no others.
        file: that ``compress_images`` wrote.
        folder: where they go; it must not exist yet, or be empty.

    Returns:
        how many there are.

    Raises:
        InputError: the file is damaged, or was compressed with other models; there is something in the folder.
    """
    reader = Reader(file)
    others = None if reader.header.models or workspace is None or not workspace.is_trained() else models_of(workspace)
    models = models_for(reader, others)
    names = folder_names(reader.header.class_names)
    digits = len(str(sum(int(block.counts.sum()) for block in reader.blocks)))
    settings = {"models": models.name, "fingerprint": reader.header.fingerprint.hex()}
    number = 0
    with new_folder(folder) as unfinished:
        for name in names:
            (unfinished / name).mkdir()
        for images, classes in read_images(reader, models):
            for image, own in zip(images, classes.tolist(), strict=True):
                png = as_png(image.float() / 255, f"decompressed from {file.name}", {**settings, "number": number})
                (unfinished / names[own] / f"{number:0{digits}}.png").write_bytes(png)
                number += 1
    return number


def models_of(workspace: Workspace) -> Models:
    """Return the models of a workspace; trained first where there are none."""
    kind = "pretrained" if workspace.pretrained else workspace.profile
    name = f"{workspace.settings['dataset']}, {kind}"
    return Models(workspace.whole_number_prior, workspace.vqvae, workspace.class_names, name)


def of_set(name: str, size: int, splits: Sequence[str], count: int | None) -> Source:
    """Return the images of some splits of a set, one after the other; arguments as ``compress_images``."""
    loaded = [load(name, split, size, count) for split in splits]
    images, labels = (torch.cat([getattr(data, part) for data in loaded])[:count] for part in ("images", "labels"))
    return Source([(images, labels)], loaded[0].class_names, len(images))


def of_folder(folder: Path, size: int, count: int | None) -> Source:
    """Return the pictures in a folder, in the order of their paths; what cannot be read is named in a warning.

    Args:
        folder: its subfolders are the classes.
        size: height and width of the images.
        count: how many, the first ones; None for all.

    Raises:
        InputError: the folder is missing or has no pictures.
    """
    found = all_pictures(folder)
    left_out = [*found.left_out]

    def parts() -> Iterator[Part]:
        images, labels = [], []
        for file, result in read_all(folder, found.files[:count], size):
            if isinstance(result, NoPictureError):
                left_out.append(LeftOut(file.name, str(result), result.detail))
                continue
            images.append(result.transpose(2, 0, 1))
            labels.append(found.labels[file.name])
            if len(images) == _AT_ONCE:
                yield torch.from_numpy(np.stack(images)), torch.tensor(labels)
                images, labels = [], []
        if images:
            yield torch.from_numpy(np.stack(images)), torch.tensor(labels)
        if any(one.reason != HIDDEN for one in left_out):
            warnings.warn(describe_left_out(left_out, folder), stacklevel=2)

    return Source(parts(), found.class_names, len(found.files[:count]))


def folder_names(class_names: Sequence[str]) -> list[str]:
    """Return a folder's name for each class: one that every system takes, no two the same however they are typed."""
    names: list[str] = []
    taken: set[str] = set()
    next_number: dict[str, int] = {}  # to try, of names that several classes have
    for name in class_names:
        plain = re.sub(r'[/\\:*?"<>|\x00-\x1f\x7f]', "_", name)[:60].strip(" .") or "_"
        plain = f"{plain}_" if plain.casefold() in _RESERVED else plain
        unique, number = plain, next_number.get(plain.casefold(), 2)
        while unique.casefold() in taken:
            unique, number = f"{plain} ({number})", number + 1
        next_number[plain.casefold()] = number
        taken.add(unique.casefold())
        names.append(unique)
    return names
