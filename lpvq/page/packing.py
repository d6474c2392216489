"""Arrays of whole numbers as a text that a page can hold, and that a browser unpacks with what it has.

gzip leaves out what its search for repetitions would cost: of weights there are none, only some numbers that are more
frequent than others. Base 85 needs a quarter more characters than there are bytes, base 64 a third.
"""

import base64
import json
import zlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

_GZIP = 31  # what zlib calls a window of its largest size in a file as of gzip
_SMALL = {"int8": np.int8, "uint8": np.uint8, "float64": np.float32}  # as a page reads them: as they are written


class Packed(NamedTuple):
    """An array, and how the page is to have it.

    Attributes:
        numbers: of any shape.
        kind: "int8" or "uint8" for such numbers; "int32" for larger whole numbers; "float64" for what is kept as
            float32.
        low: of whole numbers, how many of the lowest bits are packed by themselves. What is left must fit into a byte.
    """

    numbers: NDArray
    kind: str
    low: int = 0


def whole(numbers: NDArray) -> Packed:
    """Return whole numbers with as many low bits apart that the rest is about five bits wide."""
    largest = int(np.abs(numbers).max(initial=0))
    return Packed(numbers, "int32", max(0, largest.bit_length() - 6))


def pack(facts: Mapping[str, Any], arrays: Mapping[str, Packed]) -> str:
    """Return facts, as they can stand in JSON, and arrays as one text; ``js/unpack.js`` is the other way."""
    about, content = [], []
    for name, (numbers, kind, low) in arrays.items():
        about.append({"name": name, "shape": numbers.shape, "type": kind, "low": low})
        high = numbers
        if low:
            high = numbers.astype(np.int64) >> low
            bits = (numbers.astype(np.int64).reshape(-1, 1) >> np.arange(low)[::-1]) & 1
            content.append(np.packbits(bits.astype(np.uint8)).tobytes())
        written = high.astype(_SMALL.get(kind, np.int8))
        if not np.array_equal(written, high.astype(np.float32) if kind == "float64" else high):
            raise ValueError(f"{name} does not fit into {kind} with {low} low bits")
        content.append(written.tobytes())
    header = json.dumps({**facts, "arrays": about}, separators=(",", ":")).encode()
    zipper = zlib.compressobj(9, zlib.DEFLATED, _GZIP, 9, zlib.Z_HUFFMAN_ONLY)
    packed = zipper.compress(len(header).to_bytes(4, "little") + header + b"".join(content)) + zipper.flush()
    return base64.b85encode(len(packed).to_bytes(4, "little") + packed, pad=True).decode()
