"""Arrays of whole numbers as a text that a page can hold, and that a browser unpacks with what it has.

gzip leaves out what its search for repetitions would cost: weights have none, only some numbers that are more frequent
than others. Base 85 needs a quarter more characters than there are bytes, base 64 a third.
"""

import base64
import json
import zlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

_GZIP = 31  # how zlib is asked for its largest window and the file format of gzip
_SMALL = {"int8": np.int8, "uint8": np.uint8, "float64": np.float32}  # as a page reads them: as they are written


class Packed(NamedTuple):
    """An array, and how the page is to have it.

    Attributes:
        numbers: of any shape.
        kind: "int8" or "uint8" for such numbers; "int16" or "int32" for larger whole numbers; "float64" for what is
            kept as float32.
        low: of whole numbers, how many of the lowest bits are packed by themselves. What is left must fit into a byte.
        twos: how many factors of two all numbers have, which are left out.
    """

    numbers: NDArray
    kind: str
    low: int = 0
    twos: int = 0


def whole(numbers: NDArray, kind: str = "int32") -> Packed:
    """Return whole numbers with so many of their low bits apart that the rest fits well into a byte."""
    joined = int(np.bitwise_or.reduce(np.abs(numbers.astype(np.int64)), axis=None))
    twos = (joined & -joined).bit_length() - 1 if joined else 0
    return Packed(numbers, kind, max(0, joined.bit_length() - twos - 7), twos)


def pack(facts: Mapping[str, Any], arrays: Mapping[str, Packed]) -> str:
    """Return facts, as they can stand in JSON, and arrays as one text; ``unpack`` here and in js/unpack.js undo it."""
    about, content = [], []
    for name, (numbers, kind, low, twos) in arrays.items():
        about.append({"name": name, "shape": numbers.shape, "type": kind, "low": low, "twos": twos})
        high = numbers
        if kind != "float64":
            bits = (numbers.astype(np.int64).reshape(-1, 1) >> np.arange(twos, twos + low)[::-1]) & 1
            high = numbers.astype(np.int64) >> (twos + low)
            content.append(np.packbits(bits.astype(np.uint8)).tobytes())
        written = high.astype(_SMALL.get(kind, np.int8))
        if not np.array_equal(written, high.astype(np.float32) if kind == "float64" else high):
            raise ValueError(f"{name} does not fit into {kind} with {low} low bits")
        content.append(written.tobytes())
    header = json.dumps({**facts, "arrays": about}, separators=(",", ":")).encode()
    zipper = zlib.compressobj(9, zlib.DEFLATED, _GZIP, 9, zlib.Z_HUFFMAN_ONLY)
    packed = zipper.compress(len(header).to_bytes(4, "little") + header + b"".join(content)) + zipper.flush()
    return base64.b85encode(len(packed).to_bytes(4, "little") + packed, pad=True).decode()


def unpack(text: str) -> tuple[dict[str, Any], dict[str, NDArray]]:
    """Return what was given to ``pack``: the facts, and the numbers of the arrays."""
    packed = base64.b85decode(text)
    content = zlib.decompress(packed[4 : 4 + int.from_bytes(packed[:4], "little")], _GZIP)
    start = 4 + int.from_bytes(content[:4], "little")
    facts = json.loads(content[4:start])
    arrays, at = {}, start
    for about in facts.pop("arrays"):
        shape, kind, low = about["shape"], about["type"], about["low"]
        count = int(np.prod(shape))
        bits = np.unpackbits(np.frombuffer(content, np.uint8, -(-count * low // 8), at), count=count * low)
        at += -(-count * low // 8)
        high = np.frombuffer(content, _SMALL.get(kind, np.int8), count, at)
        at += high.nbytes
        if kind == "float64":
            numbers = high
        else:
            below = bits.reshape(count, low) @ (1 << np.arange(low)[::-1])
            numbers = (high.astype(np.int64) << low) + below << about["twos"]
        arrays[about["name"]] = numbers.reshape(shape)
    return facts, arrays
