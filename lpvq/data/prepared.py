"""A folder of pictures, decoded once and kept beside what is made of them.

``pictures.json`` says what was read, and names the file with the images: those to learn from, then those to test on.
They are used as long as the pictures' names, sizes and times are the same.
"""

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from secrets import token_hex
from typing import Any, BinaryIO

import numpy as np

from lpvq.data.folders import (
    LEAST,
    LeftOut,
    PictureFile,
    Split,
    check_folder,
    describe_left_out,
    find_files,
    folder_shown,
    read_all,
    split_folder,
)
from lpvq.data.mapped_images import MappedArray, MappedImages
from lpvq.data.pictures import NoPictureError
from lpvq.errors import InputError
from lpvq.files import read_json, write_atomically, write_json
from lpvq.runtime import progress

Limits = Mapping[str, int | None]
"""How many images of each split are needed; None for all."""

_FORMAT = 2  # grows when the same files would give other images
_ABOUT, _SUMS, LEFT_OUT = "pictures.json", "sums.json", "left_out.txt"
_MANY = 1000  # pictures; from this many on, a line says that they are prepared
_SAID = {"folder": str, "of": str, "array": str, "size": int, "numbers": dict, "available": dict, "limits": dict}
_SAID |= {"class_names": list, "left_out": list}


@dataclass(frozen=True)
class Prepared:
    """The pictures of a folder.

    Attributes:
        splits: the images, by the name of the split.
        available: how many pictures each split has; a profile may need fewer.
        left_out: what is not read.
    """

    splits: dict[str, MappedImages]
    available: dict[str, int]
    left_out: list[LeftOut]


def find_prepared(folder: Path, store: Path, size: int, limits: Limits, name: str) -> Prepared | None:
    """Return the pictures of a folder as they were prepared; None where they were not, or have changed since.

    Args:
        folder: with pictures.
        store: where they are kept.
        size: height and width of the images.
        limits: how many are needed.
        name: of the set.

    Raises:
        InputError: the folder is missing.
    """
    check_folder(folder)
    about = read_about(store)
    if about is None or about["of"] != _identity(folder, size):
        return None
    numbers, before = about["numbers"], about["limits"]
    if not all(_covers(before[split], numbers[split], limits[split]) for split in numbers):
        return None
    array = MappedArray(store / about["array"], sum(numbers.values()), size, store / _SUMS)
    names = tuple(about["class_names"])
    splits, start = {}, 0
    for split, number in numbers.items():
        limit = limits[split]
        part = slice(start, start + (number if limit is None else min(limit, number)))
        splits[split] = MappedImages(array.images[part], array.labels[part], names, name, None, array)
        start += number
    return Prepared(splits, about["available"], [LeftOut(*one) for one in about["left_out"]])


def prepare(folder: Path, store: Path, size: int, limits: Limits) -> None:
    """Decode the pictures of a folder, and keep them in ``store``; arguments as for ``find_prepared``.

    Raises:
        InputError: the folder is missing or has too few pictures; the disk has no room for them.
    """
    identity = _identity(folder, size)
    parts = split_folder(folder)
    available = {split: len(files) for split, files in parts.files.items()}
    check_number(sum(available.values()), folder, parts.left_out)
    needed = sum(min(available[split], limit or available[split]) for split, limit in limits.items()) * 3 * size**2
    _check_room(store, needed)
    if (number := sum(available.values())) >= _MANY:
        at = f"at {size} × {size} pixels"
        print(f"{number:,} pictures in {folder_shown(folder)} are prepared once, {at}", flush=True)
    array = f"{token_hex(8)}.array"
    with _new_file(store / array) as file:
        reader = _Reader(folder, parts, size, file, number)
        numbers = reader.read(limits)
    check_number(sum(numbers.values()), folder, reader.left_out, all_read=not any(limits.values()))
    write_atomically(store / LEFT_OUT, _listed(reader.left_out).encode(errors="surrogateescape"))
    about = {
        "folder": str(folder),
        "of": identity,
        "array": array,
        "size": size,
        "numbers": numbers,
        "available": available,
        "limits": dict(limits),
        "class_names": list(reader.class_names),
        "left_out": [list(asdict(one).values()) for one in reader.left_out],
    }
    write_json(store / _ABOUT, about)
    for older in store.glob("*.array*"):
        if older.name != array:
            with suppress(OSError):
                older.unlink()


def read_about(store: Path) -> dict[str, Any] | None:
    """Return what ``pictures.json`` says; None where there is no usable one."""
    try:
        about = read_json(store / _ABOUT)
    except InputError:
        return None
    fits = isinstance(about, dict) and all(isinstance(about.get(key), kind) for key, kind in _SAID.items())
    return about if fits and (store / about["array"]).exists() else None


def check_number(number: int, folder: Path, left_out: list[LeftOut], all_read: bool = True) -> None:
    """Raise ``InputError`` where a folder has too few pictures to train anything."""
    if number >= LEAST or not all_read:
        return
    others = f"; {describe_left_out(left_out, folder)}" if left_out else ""
    pictures = "1 picture" if number == 1 else f"{number} pictures"
    raise InputError(
        f"{folder_shown(folder)} has {pictures}, and at least {LEAST} are needed to learn from some and test on others "
        f"(a few hundred of one kind, if they are not to be memorised): add more{others}"
    )


class _Reader:
    """Reads the pictures of a folder into a file, those to learn from first.

    Args:
        folder: with pictures.
        parts: which of them to learn from, and which to test on.
        size: height and width of the images.
        file: to write images and labels to.
        number: how many pictures there are.

    Attributes:
        left_out: what was not read.
        class_names: of what was read.
    """

    def __init__(self, folder: Path, parts: Split, size: int, file: BinaryIO, number: int) -> None:
        self.left_out, self.class_names = [*parts.left_out], parts.class_names
        self._folder, self._parts, self._size, self._file = folder, parts, size, file
        self._bar = progress(None, "preparing pictures", least=256, total=number, unit="picture")
        self._labels: list[int] = []

    def read(self, limits: Limits) -> dict[str, int]:
        """Read as many as are needed; return how many each split has."""
        with self._bar:
            self._read(self._parts.files["train"], limits["train"])
            learned = set(self._labels)
            # A class none of whose pictures can be learned from is not tested on either.
            rare = [file for file in self._parts.files["test"] if self._parts.labels[file.name] not in learned]
            others = [file for file in self._parts.files["test"] if self._parts.labels[file.name] in learned]
            if limits["train"] is None:
                self._read(rare, None)
            else:
                others = self._parts.files["test"]
            train = len(self._labels)
            self._read(others, limits["test"])
        test = len(self._labels) - train
        if test < 2 and limits["train"] is None:  # they were damaged
            train, test = train - (2 - test), 2
        self._drop_empty_classes(limits)
        self._file.write(np.array(self._labels, np.int64).tobytes())
        return {"train": train, "test": test}

    def _read(self, files: list[PictureFile], limit: int | None) -> None:
        read = 0
        for file, result in read_all(self._folder, files, self._size):
            self._bar.update()
            if isinstance(result, NoPictureError):
                self.left_out.append(LeftOut(file.name, str(result), result.detail))
                continue
            self._file.write(result.transpose(2, 0, 1).tobytes())
            self._labels.append(self._parts.labels[file.name])
            read += 1
            if read == limit:
                return

    def _drop_empty_classes(self, limits: Limits) -> None:
        """Forget classes none of whose pictures could be read."""
        if any(limits.values()):
            return  # the others may have some
        kept = sorted(set(self._labels))
        self.class_names = tuple(self.class_names[label] for label in kept)
        self._labels = [kept.index(label) for label in self._labels]


def _identity(folder: Path, size: int) -> str:
    """A text that changes with the names, sizes and times of a folder's files, and with how they are read."""
    files, _ = find_files(folder)
    digest = sha256(repr((_FORMAT, size, str(folder), find_spec("pillow_heif") is not None)).encode())
    for file in files:
        digest.update(repr((file.name, file.size, file.time)).encode())
    return digest.hexdigest()


def _covers(before: int | None, number: int, limit: int | None) -> bool:
    """Whether what was read once is enough: all there is, or as many as are needed."""
    return before is None or number < before or (limit is not None and limit <= before)


def _check_room(store: Path, needed: int) -> None:
    there = next(folder for folder in (store, *store.parents) if folder.exists())
    free = shutil.disk_usage(there).free
    if needed > free:
        raise InputError(
            f"the prepared pictures need {needed / 2**30:.1f} GiB in {store}, and {free / 2**30:.1f} are free: "
            "choose a smaller size, or another output"
        )


@contextmanager
def _new_file(path: Path) -> Iterator[BinaryIO]:
    """Open a file to write; where anything fails, nothing is left of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with path.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _listed(left_out: list[LeftOut]) -> str:
    """All that is left out, one a line."""
    lines = [f"{one.reason}{': ' if one.detail else ''}{one.detail}\t{one.name}" for one in left_out]
    return "".join(f"{line}\n" for line in lines)
