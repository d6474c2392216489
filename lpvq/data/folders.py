"""Folders of pictures: a subfolder for each class, or all in one. Whatever is not read is counted and named."""

import os
import stat
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from random import Random
from sys import intern
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from lpvq.data.checks import check_memory
from lpvq.data.images import ImageData
from lpvq.data.pictures import NoPictureError, check_is_picture, patient_pillow, read_picture
from lpvq.errors import InputError
from lpvq.lettering import on_one_line
from lpvq.runtime import progress

T = TypeVar("T")

LEAST = 8
"""How many pictures are needed to train on some, choose the best weights by others, and test on two."""

HIDDEN = "hidden"
"""Why files are left out that systems leave behind and nobody means."""

_TEST_EVERY, _TEST_EVERY_OF_FEW = 10, 4
_MANY = 20  # from this many pictures on, every tenth of them is enough to test on
_NAMED = 20  # files that a message names for each reason
# What Windows, macOS and network drives leave in folders, besides what begins with a dot.
_LEFT_BEHIND = {"thumbs.db", "desktop.ini", "__macosx", "@eadir", "$recycle.bin", "system volume information"}
_ARCHIVES = {".zip", ".tar", ".gz", ".tgz", ".7z", ".rar", ".xz", ".bz2"}
_READ_AHEAD = 64  # pictures for each thread


@dataclass(frozen=True, slots=True)
class PictureFile:
    """A file that may be a picture.

    Attributes:
        name: its path below the folder, with slashes; bytes that are not text stand as ``os.fsdecode`` has them.
        size: in bytes.
        time: of its last change, in nanoseconds.
    """

    name: str
    size: int
    time: int


@dataclass(frozen=True)
class LeftOut:
    """A file or folder that is not read, and why; ``detail`` is what else is known about this one."""

    name: str
    reason: str
    detail: str = ""


@dataclass(frozen=True)
class Pictures:
    """The pictures in a folder.

    Attributes:
        files: in the order of their paths.
        class_names: in alphabetical order.
        labels: of each file by its name, an index into ``class_names``.
        left_out: what is not read.
    """

    files: list[PictureFile]
    class_names: tuple[str, ...]
    labels: dict[str, int]
    left_out: list[LeftOut]


@dataclass(frozen=True)
class Split:
    """Which files of a folder are learned from, and which are tested on; each in the order in which they are read.

    Attributes:
        files: by the name of the split.
        class_names: of all of them.
        labels: of each file by its name, an index into ``class_names``.
        left_out: what is not read.
    """

    files: dict[str, list[PictureFile]]
    class_names: tuple[str, ...]
    labels: dict[str, int]
    left_out: list[LeftOut]


def load_folder(name: str, folder: Path, split: str, size: int, limit: int | None) -> ImageData:
    """Load the pictures in a folder: upright, over white, the square in the middle of each, resized.

    The order is shuffled, in the same way each time, so that the first images, and the last, are of all classes.
    Files that are not read are left out, with one warning that counts and names them.

    Args:
        name: what the set is called afterwards.
        folder: where they are; its subfolders are the classes, and files outside them are a class named after the
            folder itself.
        split: ``"train"`` or ``"test"``, see ``split_folder``.
        size: height and width of the images, in pixels.
        limit: how many pictures to take, the first that can be read; None for all.

    Returns:
        uint8 images (N, 3, ``size``, ``size``), red, green, blue, and the classes in alphabetical order. Both splits
        have the same classes.

    Raises:
        InputError: a folder that is missing or has no pictures, or none for this split; pictures none of which can be
            read; more of them than the memory holds.
    """
    parts = split_folder(folder)
    chosen, left_out = parts.files[split], [*parts.left_out]
    if not chosen:
        number = sum(map(len, parts.files.values()))
        pictures = "one picture" if number == 1 else f"{number} pictures"
        raise InputError(f"{folder_shown(folder)} has {pictures} and none for the {split} split: add more")
    check_memory(min(len(chosen), limit or len(chosen)), 3, size)
    images, labels = [], []
    for file, result in progress(read_all(folder, chosen, size), "reading pictures", total=len(chosen), least=256):
        if isinstance(result, NoPictureError):
            left_out.append(LeftOut(file.name, str(result), result.detail))
        else:
            images.append(result)
            labels.append(parts.labels[file.name])
        if len(images) == limit:
            break
    if not images:
        raise InputError(f"none of {len(chosen)} pictures can be read: {describe_left_out(left_out, folder)}")
    if any(one.reason != HIDDEN for one in left_out):
        warnings.warn(describe_left_out(left_out, folder), stacklevel=3)  # at the line that called load
    pixels = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).contiguous()
    return ImageData(pixels, torch.tensor(labels), parts.class_names, name)


def split_folder(folder: Path) -> Split:
    """Find the pictures in a folder by the beginnings of its files, and say which are for training and for testing.

    In the order of their paths, the first picture and every tenth after it are for testing; of fewer than twenty
    pictures, every fourth. A class's only picture is never tested on, as long as there are others.

    Raises:
        InputError: the folder is missing or has no pictures.
    """
    found = all_pictures(folder)
    tested = set(_tested([class_of(file.name, folder) for file in found.files]))
    parts = {
        "train": [file for index, file in enumerate(found.files) if index not in tested],
        "test": [file for index, file in enumerate(found.files) if index in tested],
    }
    for part in parts.values():
        Random(0).shuffle(part)
    return Split(parts, found.class_names, found.labels, found.left_out)


def all_pictures(folder: Path) -> Pictures:
    """Find the pictures in a folder by the beginnings of its files.

    Raises:
        InputError: the folder is missing or has no pictures.
    """
    files, left_out = find_files(folder)
    with patient_pillow():
        looked_at = progress(
            _in_threads(lambda file: _complaint(folder / file.name), files),
            "looking at files",
            total=len(files),
            least=4096,
        )
        complaints = dict(zip((file.name for file in files), looked_at, strict=True))
    pictures = [file for file in files if complaints[file.name] is None]
    left_out += [LeftOut(name, reason) for name, reason in complaints.items() if reason is not None]
    if not pictures:
        found = f": {describe_left_out(left_out, folder)}" if left_out else ": there are no files in it"
        raise InputError(f"folder {folder_shown(folder)} has no pictures{found}")
    names = [class_of(file.name, folder) for file in pictures]
    shown = _names_of_classes(sorted(set(names)))
    class_names = tuple(sorted(shown.values()))
    numbers = {name: class_names.index(text) for name, text in shown.items()}
    labels = {file.name: numbers[name] for file, name in zip(pictures, names, strict=True)}
    return Pictures(pictures, class_names, labels, left_out)


def find_files(folder: Path) -> tuple[list[PictureFile], list[LeftOut]]:
    """Return the files in a folder that may be pictures, at any depth, in the order of their paths; and the others.

    Links are followed; a folder that was met before in the same class is not entered again, so that a loop ends.

    Raises:
        InputError: the folder is missing or cannot be read.
    """
    check_folder(folder)
    files: list[PictureFile] = []
    left_out: list[LeftOut] = []
    top = _identity(os.stat(folder))
    waiting = [("", frozenset([top]))]
    entered: dict[str, set[tuple[int, int]]] = {}  # for each class
    while waiting:
        below, above = waiting.pop()
        try:
            entries = sorted(os.scandir(folder / below), key=lambda entry: entry.name)
        except OSError as error:
            problem = (error.strerror or str(error)).lower()
            if not below:
                raise InputError(f"folder {folder_shown(folder)} cannot be read: {problem}") from error
            left_out.append(LeftOut(f"{below}/", problem))
            continue
        for entry in entries:
            name = f"{below}/{entry.name}" if below else entry.name
            about = None
            try:
                about = os.stat(folder / name)
                reason = _reason(entry.name, about)
            except OSError as error:
                is_link = entry.is_symlink()
                reason = "a link to nothing" if is_link else (error.strerror or str(error)).lower()
            if about is not None and reason is None and stat.S_ISDIR(about.st_mode):
                met = entered.setdefault(name.split("/")[0], set())
                if _identity(about) in met | above:
                    reason = "a link to a folder that is read already"
                else:
                    met.add(_identity(about))
                    waiting.append((name, above))
                    continue
            if reason is None and about is not None:
                files.append(PictureFile(name, about.st_size, about.st_mtime_ns))
            else:
                left_out.append(LeftOut(name, reason or ""))
    return sorted(files, key=lambda file: file.name), sorted(left_out, key=lambda one: one.name)


def check_folder(folder: Path) -> None:
    """Raise ``InputError`` unless there is such a folder."""
    if folder.is_dir():
        return
    problem = "does not exist" if not folder.exists() else "is a file"
    instead = "unpack it, and name the folder" if folder.suffix.lower() in _ARCHIVES else "name the folder it is in"
    hint = f": {instead}" if folder.exists() else ""
    raise InputError(f"folder {folder_shown(folder)} {problem}{hint}; expected folder:PATH with a folder of pictures")


def _identity(about: os.stat_result) -> tuple[int, int]:
    return about.st_dev, about.st_ino


def _reason(name: str, about: os.stat_result) -> str | None:
    """Why a file or folder is not looked at, by what the system says about it; None if it is."""
    if name.startswith(".") or name.lower() in _LEFT_BEHIND:
        return HIDDEN
    if stat.S_ISDIR(about.st_mode):
        return None
    if not stat.S_ISREG(about.st_mode):
        return "no file but a pipe or a device"
    return None if about.st_size else "empty"


def _complaint(file: Path) -> str | None:
    """Why a file is not a picture; None if it is one."""
    try:
        check_is_picture(file)
    except NoPictureError as error:
        return str(error)
    return None


def _tested(class_names: Sequence[str]) -> list[int]:
    """The indices of the pictures to test on, given the class of each."""
    number = len(class_names)
    every = _TEST_EVERY_OF_FEW if LEAST <= number < _MANY else _TEST_EVERY
    counts = Counter(class_names)
    with_others = [index for index, name in enumerate(class_names) if counts[name] > 1]
    tested = with_others[::every]
    enough = min(2, -(-number // every))
    return tested if len(tested) >= enough else list(range(number))[::every]


def read_all(
    folder: Path, files: Sequence[PictureFile], size: int
) -> Iterator[tuple[PictureFile, NDArray[np.uint8] | NoPictureError]]:
    """Read pictures in parallel; give each file in order, with its pixels (``size``, ``size``, 3) or why it has none.

    Args:
        folder: that they are in.
        files: which, and in which order.
        size: height and width of the images, in pixels.
    """

    def read(file: PictureFile) -> NDArray[np.uint8] | NoPictureError:
        try:
            return read_picture(folder / file.name, size)
        except NoPictureError as error:
            return error
        except MemoryError:
            return NoPictureError("decoding it takes more memory than there is")

    with patient_pillow():
        yield from zip(files, _in_threads(read, files), strict=True)


def _in_threads(do: Callable[[PictureFile], T], files: Sequence[PictureFile]) -> Iterator[T]:
    """Give what ``do`` returns for each file, in order; no more are done in advance than the threads need."""
    threads = torch.get_num_threads()
    waiting = iter(files)
    with ThreadPoolExecutor(threads) as pool:
        running = [pool.submit(do, file) for file in islice(waiting, threads * _READ_AHEAD)]
        while running:
            chunk, running = running[:_READ_AHEAD], running[_READ_AHEAD:]
            for done in chunk:
                yield done.result()
            running += [pool.submit(do, file) for file in islice(waiting, len(chunk))]


def class_of(name: str, folder: Path) -> str:
    """Return the class of a file: the first subfolder that it is in, or the folder's own name.

    Args:
        name: of the file, below the folder.
        folder: that it is in.
    """
    first, inside, _ = name.partition("/")
    return intern(first) if inside else folder.resolve().name


def _names_of_classes(names: Sequence[str]) -> dict[str, str]:
    """Return each class's name as text, no two the same: those that are text already keep theirs."""
    shown: dict[str, str] = {}
    for name in sorted(names, key=lambda name: name != readable(name)):
        text, number = readable(name), 2
        while text in shown.values():
            text, number = f"{readable(name)} ({number})", number + 1
        shown[name] = text
    return shown


def readable(name: str) -> str:
    """Return a file's name as text that can be written anywhere.

    Bytes that are not UTF-8, as old archives from Windows leave them, are read as what they most likely mean there.
    """
    raw = os.fsencode(name)
    for encoding in ("utf-8", "cp1252"):
        with suppress(UnicodeDecodeError):
            return raw.decode(encoding)
    return raw.decode("latin-1")


def folder_shown(folder: Path) -> str:
    """Return the path of a folder for a message, in quotes."""
    return repr(readable(str(folder)))


def describe_left_out(left_out: Sequence[LeftOut], folder: Path, most: int = _NAMED) -> str:
    """Say in one line how many files are left out, in all and for each reason, with the names of the first ``most``."""
    by_reason: dict[str, list[str]] = {}
    for one in left_out:
        named = on_one_line(readable(one.name)) + (f": {one.detail}" if one.detail else "")
        by_reason.setdefault(one.reason, []).append(named)
    parts = []
    for reason, names in sorted(by_reason.items(), key=lambda item: -len(item[1])):
        more = f" and {len(names) - most} more" if len(names) > most else ""
        parts.append(f"{len(names)} {reason} ({', '.join(names[:most])}{more})")
    files = "1 file" if len(left_out) == 1 else f"{len(left_out)} files"
    return f"{files} in {folder_shown(folder)} left out: {'; '.join(parts)}"
