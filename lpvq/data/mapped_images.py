"""Images that lie in a file and are mapped into memory, so that there can be more than memory holds."""

import mmap
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from lpvq.data.checks import memory
from lpvq.data.images import ImageData
from lpvq.errors import InputError
from lpvq.files import read_json, write_json

T = TypeVar("T")

_KEPT = 2**25  # bytes of an array that stay in memory at most
_AROUND = 2**16  # bytes that the system brings in with each image that is read
_LABEL_BYTES = 8


class MappedArray:
    """A file of N images, uint8 (N, 3, S, S), and their labels, int64 (N,), of which little is in memory at a time.

    Args:
        path: of the file.
        number: N.
        size: S.
        sums: a JSON file that keeps what was computed from all images, so that it need not be computed again.

    Attributes:
        images: uint8 (N, 3, S, S). Those of a set that is large compared with the memory cannot be written to.
        labels: int64 (N,).

    Raises:
        InputError: the file has another length.
    """

    def __init__(self, path: Path, number: int, size: int, sums: Path) -> None:
        self.path, self._sums, self._read = path, sums, 0
        values = number * 3 * size**2
        length, expected = path.stat().st_size, values + number * _LABEL_BYTES
        if length != expected:
            raise InputError(f"{path} is damaged, it has {length} bytes instead of {expected}: delete it")
        # A private copy that nobody writes to costs nothing, but the system may refuse to promise so much memory.
        access = mmap.ACCESS_COPY if length < memory() // 4 else mmap.ACCESS_READ
        with path.open("rb") as file:
            self._map = mmap.mmap(file.fileno(), 0, access=access)
            file.seek(values)
            self.labels = torch.from_numpy(np.frombuffer(file.read(), np.int64).copy())
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about an array that cannot be written to
            self.images = torch.frombuffer(self._map, dtype=torch.uint8, count=values).view(number, 3, size, size)

    def was_read(self, images: int) -> None:
        """Count images that were read: now and then the system is told that they are not needed in memory."""
        self._read += images * max(self.images[0].numel(), _AROUND)
        if self._read >= _KEPT and hasattr(self._map, "madvise"):
            self._map.madvise(mmap.MADV_DONTNEED)
            self._read = 0

    def remembered(self, what: str, compute: Callable[[], T]) -> T:
        """Return a number or text that was computed from the images before, or is now."""
        key = f"{self.path.name} {what}"
        known: Any = {}
        with suppress(InputError):  # there is none yet, or it is damaged
            known = read_json(self._sums)
        known = known if isinstance(known, dict) else {}
        if key not in known:
            of_this = {name: value for name, value in known.items() if name.startswith(self.path.name)}
            known = {**of_this, key: compute()}
            write_json(self._sums, known)
        return known[key]


@dataclass(frozen=True, eq=False)
class MappedImages(ImageData):
    """A set of images in a ``MappedArray``, all of it or a part; else as ``ImageData``.

    Attributes:
        array: what the images are mapped from.
    """

    array: MappedArray | None = None

    def floats(self, indices: Tensor | Sequence[int] | slice | None = None) -> Tensor:
        """Return images as models take them, see ``ImageData.floats``."""
        images = super().floats(indices)
        self._was_read(len(images))
        return images

    def variance(self) -> float:
        """Return the variance of all values of the images, see ``ImageData.variance``."""
        return self._remembered("variance", super().variance)

    def checksum(self) -> str:
        """Return the SHA-256 of what the set holds, see ``ImageData.checksum``."""
        return self._remembered(f"checksum {hash_of_names(self.class_names)}", super().checksum)

    def _chunks(self) -> Iterator[Tensor]:
        for chunk in super()._chunks():
            yield chunk
            self._was_read(len(chunk))

    def _was_read(self, images: int) -> None:
        if self.array is not None:
            self.array.was_read(images)

    def _remembered(self, what: str, compute: Callable[[], T]) -> T:
        if self.array is None or not self.images.is_contiguous():
            return compute()
        first = self.images.storage_offset() // self.images[0].numel()
        return self.array.remembered(f"{first}:{first + len(self)} {what}", compute)


def hash_of_names(names: Sequence[str]) -> str:
    """Return a short text that differs with the names of the classes."""
    return sha256(repr(tuple(names)).encode()).hexdigest()[:12]
