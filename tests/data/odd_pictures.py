"""Pictures as phones, scanners, old programs and broken downloads leave them; each differs from the others."""

import io
import struct
from collections.abc import Callable

import numpy as np
from PIL import Image, PngImagePlugin


def picture(seed: int, size: tuple[int, int] = (60, 48)) -> Image.Image:
    """A gradient with a coloured box; another seed, another picture."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0 : size[1], 0 : size[0]]
    pixels = np.stack([x * 255 // size[0], y * 255 // size[1], np.full_like(x, 128)], -1)
    left, top = random.integers(0, size[0] // 2), random.integers(0, size[1] // 2)
    pixels[top : top + size[1] // 3, left : left + size[0] // 3] = random.integers(0, 256, 3)
    return Image.fromarray(pixels.astype(np.uint8))


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    """What a file of that kind holds."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def exif(*entries: tuple[int, int, int, bytes], order: str = "<", extra: bytes = b"") -> bytes:
    """An EXIF block with one directory: tag, type, count and four bytes for each entry."""
    mark = b"II*\0" if order == "<" else b"MM\0*"
    body = b"Exif\0\0" + mark + struct.pack(order + "I", 8) + struct.pack(order + "H", len(entries))
    for tag, kind, count, value in entries:
        body += struct.pack(order + "HHI", tag, kind, count) + value
    return body + bytes(4) + extra


def _short(value: int, order: str = "<") -> bytes:
    return struct.pack(order + "HH", value, 0)


def _at(offset: int) -> bytes:
    return struct.pack("<I", offset)


_TURNED = (0x0112, 3, 1, _short(6))
_AFTER_TWO = 8 + 2 + 12 * 2 + 4
# EXIF that is wrong somewhere, and whether the turn in it is known in spite of that.
ODD_EXIF: dict[str, tuple[bytes, bool]] = {
    "a rational of -1 by 0": (exif(_TURNED, (0x011A, 10, 1, _at(_AFTER_TWO)), extra=struct.pack("<ii", -1, 0)), True),
    "two rationals for one": (
        exif(_TURNED, (0x011A, 5, 2, _at(_AFTER_TWO)), extra=struct.pack("<IIII", 1, 1, 1, 1)),
        True,
    ),
    "a doubled header": (b"Exif\0\0" + exif(_TURNED), True),
    "a value beyond the end": (exif(_TURNED, (0x011A, 5, 1, _at(60000))), True),
    "a maker's note cut off": (exif(_TURNED, (0x927C, 7, 500, _at(_AFTER_TWO)), extra=b"\1\2\3"), True),
    "an orientation as text": (exif((0x0112, 2, 2, b"6\0\0\0")), True),
    "an orientation of 9": (exif((0x0112, 3, 1, _short(9))), False),
    "an orientation of 0": (exif((0x0112, 3, 1, _short(0))), False),
    "two orientations": (exif((0x0112, 3, 2, struct.pack("<HH", 6, 6))), True),
    "nothing": (b"Exif\0\0", False),
    "garbage": (b"Exif\0\0" + bytes(range(40)), False),
    "big-endian": (exif((0x0112, 3, 1, _short(6, ">")), order=">"), True),
    "a directory of 60,000 entries": (
        b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", 60000) + b"\x12\1\3\0\1\0\0\0\6\0\0\0",
        True,
    ),
    "a type that there is not": (exif(_TURNED, (0x0110, 99, 1, bytes(4))), True),
    "a resolution of 0 by 0": (exif(_TURNED, (0x011A, 5, 1, _at(_AFTER_TWO)), extra=bytes(8)), True),
    "text of four gigabytes": (exif(_TURNED, (0x010E, 2, 0xFFFFFFFF, _at(8))), True),
    "a loop of directories": (exif(_TURNED)[:-4] + _at(8), True),
    "a wrong byte order": (b"Exif\0\0XX*\0" + bytes(20), False),
    "a place of a camera without numbers": (exif(_TURNED, (0x8825, 4, 1, _at(0))), True),
    "an empty thumbnail": (exif(_TURNED, (0x0201, 4, 1, _at(0))), True),
}


def _with_text(compressed: bool) -> bytes:
    info = PngImagePlugin.PngInfo()
    info.add_text("Comment", "y" * 3_000_000, zip=compressed)
    return encoded(picture(1), "PNG", pnginfo=info)


def _wrong_checksum(chunk: bytes) -> bytes:
    info = PngImagePlugin.PngInfo()
    info.add_text("Comment", "hello")
    content = bytearray(encoded(picture(1), "PNG", pnginfo=info))
    content[content.find(chunk) + 5] ^= 1
    return bytes(content)


# Much or wrong beside the pixels, which are whole.
MUCH_BESIDE: dict[str, Callable[[], bytes]] = {
    "megabytes of packed text": lambda: _with_text(True),
    "megabytes of text": lambda: _with_text(False),
    "a text with a wrong checksum": lambda: _wrong_checksum(b"tEXt"),
    "a profile of megabytes in PNG": lambda: encoded(picture(1), "PNG", icc_profile=bytes(3_000_000)),
    "a profile in many parts in JPEG": lambda: encoded(picture(1), "JPEG", icc_profile=bytes(300_000), quality=95),
    "no colour profile": lambda: encoded(picture(1), "PNG", icc_profile=b"none"),
    "a comment of 60,000 letters": lambda: encoded(picture(1), "JPEG", comment=b"c" * 60000, quality=95),
    "garbage after the end of PNG": lambda: encoded(picture(1), "PNG") + b"garbage" * 99,
    "garbage after the end of JPEG": lambda: encoded(picture(1), "JPEG", quality=95) + b"garbage" * 99,
    "an end with a wrong checksum": lambda: encoded(picture(1), "PNG")[:-1] + b"\0",
    "no end of PNG": lambda: encoded(picture(1), "PNG")[:-12],
    "a resolution of nothing": lambda: encoded(picture(1), "PNG", dpi=(0.001, 0.001)),
}
FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "AVIF", "JPEG2000", "PPM", "ICO", "SGI", "QOI", "PSD")


def sixteen_bit_colour() -> bytes:
    """A PNG of 16 bits for red, green and blue, which Pillow can read and not write."""
    from zlib import compress, crc32

    def chunk(kind: bytes, content: bytes) -> bytes:
        return len(content).to_bytes(4, "big") + kind + content + crc32(kind + content).to_bytes(4, "big")

    rows = np.zeros((48, 60, 3), ">u2")
    rows[:] = (200 * 257, 100 * 257, 50 * 257)
    packed = compress(b"".join(b"\0" + row.tobytes() for row in rows))
    header = struct.pack(">IIBBBBB", 60, 48, 16, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")
