"""The file that images are compressed to: what is where in it, and whether it is whole.

All numbers are little-endian.

    6 bytes     the signature
    1           the version of the format
    8           the fingerprint of the models
    5 × 2       channels of the pictures, pixels for each code, height and width of a grid, number of classes
    2 for each  the label of each class
    4, and so   the names of the models and of the classes, as text, a line for each
    4, and so   the models, packed; nothing if the file can be decompressed only by somebody who has them
    the blocks, each:
        4 for each  how many images there are of each class
        4, and so   their classes and codes, as ``packing`` has them
    16          BLAKE2b of all that comes before
"""

import struct
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import BinaryIO

import numpy as np

from lpvq.compression.rans import Whole
from lpvq.errors import InputError
from lpvq.lettering import on_one_line

SIGNATURE, VERSION = b"\x89LPVQ\n", 1
FINGERPRINT = 8
"""How many bytes the fingerprint of the models has."""

_DIGEST = 16
_SIZES, _LENGTH = struct.Struct("<5H"), struct.Struct("<I")
_AT_ONCE = 2**20
_MOST = 2**16 - 1


@dataclass(frozen=True)
class Header:
    """What a file says before the images.

    Attributes:
        fingerprint: of the models.
        channels: of the pictures.
        downsample: how many pixels a code stands for in each direction.
        grid: height and width of a grid of codes.
        labels: what the prior is told for each class.
        made_by: which models, in words.
        class_names: of the images.
        models: packed; empty if the file does without them.
    """

    fingerprint: bytes
    channels: int
    downsample: int
    grid: tuple[int, int]
    labels: tuple[int, ...]
    made_by: str
    class_names: tuple[str, ...]
    models: bytes


@dataclass(frozen=True)
class Block:
    """Some of the images.

    Attributes:
        counts: how many there are of each class, int64 (classes,).
        start: where their content begins in the file.
        length: of the content, in bytes.
    """

    counts: Whole
    start: int
    length: int


class Writer:
    """Writes a file from its beginning to its end.

    Args:
        file: to write to.
        header: what it begins with.

    Raises:
        InputError: more classes than fit.
    """

    def __init__(self, file: BinaryIO, header: Header) -> None:
        self._file, self._digest = file, blake2b(digest_size=_DIGEST)
        if len(header.class_names) > _MOST:
            raise InputError(f"there are {len(header.class_names)} classes, expected {_MOST} at most")
        self._write(SIGNATURE + bytes([VERSION]) + header.fingerprint)
        self._write(_SIZES.pack(header.channels, header.downsample, *header.grid, len(header.class_names)))
        self._write(np.array(header.labels, dtype="<u2").tobytes())
        names = "\n".join(on_one_line(name) for name in (header.made_by, *header.class_names))
        self._write_with_length(names.encode())
        self._write_with_length(header.models)

    def block(self, counts: Whole, content: bytes) -> None:
        """Write the content of some images, and how many there are of each class."""
        self._write(counts.astype("<u4").tobytes())
        self._write_with_length(content)

    def finish(self) -> None:
        """Write the checksum."""
        self._file.write(self._digest.digest())

    def _write_with_length(self, content: bytes) -> None:
        self._write(_LENGTH.pack(len(content)) + content)

    def _write(self, content: bytes) -> None:
        self._digest.update(content)
        self._file.write(content)


class Reader:
    """Reads a file, after looking at all of it; nothing in it is ever run.

    Args:
        path: of the file.

    Attributes:
        header: what it says before the images.
        blocks: where the images are.

    Raises:
        InputError: there is no such file, or it is another kind of file, of a newer version, damaged or cut short.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        try:
            self._file = self.path.open("rb")
        except OSError as error:
            raise InputError(f"{path} cannot be read: {(error.strerror or str(error)).lower()}") from error
        with self._file:
            self._check_whole()
            self.header = self._header()
            self.blocks = []
            while self._file.tell() < self._end:
                self.blocks.append(self._block())

    def content(self, block: Block) -> bytes:
        """Return the content of a block."""
        with self.path.open("rb") as file:
            file.seek(block.start)
            return file.read(block.length)

    def damaged(self, reason: object) -> InputError:
        """Return an error that says so."""
        return InputError(f"{self.path} is damaged ({reason}): get it again from where it came from")

    def _check_whole(self) -> None:
        start = self._file.read(len(SIGNATURE) + 1)
        if not start.startswith(SIGNATURE):
            raise InputError(f"{self.path} is not a file that lpvq compress has written")
        if start[len(SIGNATURE) :] > bytes([VERSION]):
            raise InputError(f"{self.path} was written by a newer version of lpvq: update yours")
        if start[len(SIGNATURE) :] != bytes([VERSION]):
            raise self.damaged("it ends too early, or is of a version that there never was")
        self._end = self._file.seek(0, 2) - _DIGEST
        self._file.seek(0)
        digest, left = blake2b(digest_size=_DIGEST), self._end
        while left > 0:
            some = self._file.read(min(left, _AT_ONCE))
            digest.update(some)
            left -= len(some)
        if self._end < len(start) or self._file.read() != digest.digest():
            raise self.damaged("it is cut short, or some of it has changed")

    def _header(self) -> Header:
        self._file.seek(len(SIGNATURE) + 1)
        fingerprint = self._take(FINGERPRINT)
        channels, downsample, *grid, classes = _SIZES.unpack(self._take(_SIZES.size))
        self._classes = classes
        labels = np.frombuffer(self._take(2 * classes), "<u2").tolist()
        text = self._take_with_length().decode(errors="replace")
        made_by, *names = map(on_one_line, text.split("\n"))  # a file that somebody has made up may hold anything
        if not classes or len(names) != classes:
            raise self.damaged(f"it has {len(names)} names of {classes} classes")
        models = self._take_with_length()
        return Header(
            fingerprint, channels, downsample, (grid[0], grid[1]), tuple(labels), made_by, tuple(names), models
        )

    def _block(self) -> Block:
        counts = np.frombuffer(self._take(4 * self._classes), "<u4").astype(np.int64)
        (length,) = _LENGTH.unpack(self._take(_LENGTH.size))
        start = self._file.tell()
        if length > self._end - start:
            raise self.damaged("a block ends beyond the end")
        self._file.seek(length, 1)
        return Block(counts, start, length)

    def _take_with_length(self) -> bytes:
        return self._take(*_LENGTH.unpack(self._take(_LENGTH.size)))

    def _take(self, number: int) -> bytes:
        if number > self._end - self._file.tell():
            raise self.damaged("it ends too early")
        return self._file.read(number)
