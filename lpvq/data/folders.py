"""Folders of pictures: a subfolder for each class, or all in one."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from random import Random

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps

from lpvq.data.checks import check_memory
from lpvq.data.images import ImageData
from lpvq.errors import InputError
from lpvq.runtime import progress

_PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
_TEST_EVERY = 10
_NAMED_IN_WARNING = 3


def load_folder(name: str, folder: Path, split: str, size: int, limit: int | None) -> ImageData:
    """Load the pictures in a folder: upright, over white, the square in the middle of each, resized.

    The order is shuffled, in the same way each time, so that the first images, and the last, are of all classes.
    Files that cannot be read are left out, with one warning that counts and names them.

    Args:
        name: what the set is called afterwards.
        folder: it; its subfolders are the classes, and files outside them are a class named after the folder itself.
        split: ``"train"`` or ``"test"``, see ``in_split``.
        size: height and width of the images, in pixels.
        limit: the first so many pictures that can be read; None for all.

    Returns:
        uint8 images (N, 3, ``size``, ``size``), red, green, blue, and the classes in alphabetical order. Both splits
        have the same classes.

    Raises:
        InputError: a folder that is missing or has no pictures, or none for this split; pictures none of which can be
            read; more of them than the memory holds.
    """
    files = list_pictures(folder)
    class_names = classes_of(files, folder)
    chosen = in_split(files, split)
    if not chosen:
        raise InputError(f"{folder} has one picture, which is the test split; add more for the {split} split")
    check_memory(min(len(chosen), limit or len(chosen)), 3, size)
    Random(0).shuffle(chosen)
    images, labels, unreadable = [], [], []
    for file in progress(chosen, "reading pictures", least=256):
        try:
            images.append(_read_picture(file, size))
            labels.append(class_names.index(_class_of(file, folder)))
        except Exception as error:  # a damaged file makes Pillow raise almost anything
            unreadable.append((file, error))
        if len(images) == limit:
            break
    _report_unreadable(unreadable, folder, len(chosen))
    pixels = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).contiguous()
    return ImageData(pixels, torch.tensor(labels), tuple(class_names), name)


def list_pictures(folder: Path) -> list[Path]:
    """Return the pictures in a folder, at any depth, in the order of their paths; hidden files are left out.

    Raises:
        InputError: the folder is missing or has no pictures.
    """
    if not folder.is_dir():
        raise InputError(f"folder {str(folder)!r} does not exist; expected folder:PATH with a folder of pictures")
    files = {path.relative_to(folder): path for path in folder.rglob("*") if path.suffix.lower() in _PICTURES}
    visible = [name for name, path in files.items() if path.is_file() and not any(p[0] == "." for p in name.parts)]
    if not visible:
        raise InputError(f"folder {str(folder)!r} has no pictures; expected files ending in {' '.join(_PICTURES)}")
    return [files[name] for name in sorted(visible, key=Path.as_posix)]


def in_split(files: list[Path], split: str) -> list[Path]:
    """Return the files of a split, in order: the first and every tenth after it for ``"test"``, else the others."""
    return [file for i, file in enumerate(files) if (i % _TEST_EVERY == 0) == (split == "test")]


def classes_of(files: Sequence[Path], folder: Path) -> list[str]:
    """Return the names of the classes of pictures in ``folder``, in alphabetical order."""
    return sorted({_class_of(file, folder) for file in files})


def _class_of(file: Path, folder: Path) -> str:
    """Return the first subfolder that a file is in, or the folder's own name."""
    first, *rest = file.relative_to(folder).parts
    return first if rest else folder.resolve().name


def _report_unreadable(unreadable: list[tuple[Path, Exception]], folder: Path, number: int) -> None:
    if not unreadable:
        return
    named = [f"{path.relative_to(folder)} ({error})" for path, error in unreadable[:_NAMED_IN_WARNING]]
    more = ", …" if len(unreadable) > len(named) else ""
    message = f"{len(unreadable)} of {number} pictures in {folder} cannot be read: {', '.join(named)}{more}"
    if len(unreadable) == number:
        raise InputError(message)
    warnings.warn(f"{message}; they are left out", stacklevel=4)  # at the line that called load


def _read_picture(file: Path, size: int) -> NDArray[np.uint8]:
    """Read one picture: upright, over white, the square in its middle; (size, size, 3), red, green, blue."""
    with Image.open(file) as opened:
        opened.draft("RGB", (2 * size, 2 * size))  # spares most of the work of decoding a large JPEG
        upright = ImageOps.exif_transpose(opened)  # as the camera was held
        return np.asarray(ImageOps.fit(_to_rgb(upright), (size, size), Image.Resampling.BILINEAR))


def _to_rgb(image: Image.Image) -> Image.Image:
    """Make red, green and blue of any mode; what is transparent lets white through."""
    if image.mode.startswith("I;16"):  # convert() would cut 16 bits off at 255
        grey = (np.asarray(image).astype(np.uint32) + 128) // 257
        return Image.fromarray(grey.astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        coloured = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), coloured).convert("RGB")
    return image.convert("RGB")
