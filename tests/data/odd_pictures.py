"""Pictures as phones, scanners, old programs and broken downloads leave them; each differs from the others."""

import io
import struct
from collections.abc import Callable
from zlib import compress, crc32

import numpy as np
from PIL import Image, ImageCms, PngImagePlugin


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


def _chunk(kind: bytes, content: bytes) -> bytes:
    return len(content).to_bytes(4, "big") + kind + content + crc32(kind + content).to_bytes(4, "big")


def png(pixels: np.ndarray, colour_type: int, *chunks: bytes, interlaced: bool = False) -> bytes:
    """A PNG of big-endian pixels (H, W, C), of a kind that Pillow only reads; chunks go before the pixels."""
    passes = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
    parts = [pixels[y::dy, x::dx] for x, y, dx, dy in passes] if interlaced else [pixels]
    rows = b"".join(b"\0" + row.tobytes() for part in parts if part.size for row in part)
    bits, (height, width) = 8 * pixels.itemsize, pixels.shape[:2]
    header = struct.pack(">IIBBBBB", width, height, bits, colour_type, 0, 0, interlaced)
    beginning = b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + b"".join(chunks)
    return beginning + _chunk(b"IDAT", compress(rows)) + _chunk(b"IEND", b"")


def sixteen_bit_colour() -> bytes:
    """A PNG of 16 bits for red, green and blue."""
    return png(np.full((48, 60, 3), (200 * 257, 100 * 257, 50 * 257), ">u2"), 2)


def reds_and_greens_exchanged() -> bytes:
    """A colour profile in which what is called red is green, and the other way round."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return profile.replace(b"rXYZ", b"____").replace(b"gXYZ", b"rXYZ").replace(b"____", b"gXYZ")


def moving(kind: str, *images: Image.Image, **options: object) -> bytes:
    """A file of several pictures, of which the first counts."""
    return encoded(images[0], kind, save_all=True, append_images=images[1:], **options)


_ORANGE = Image.new("RGB", (40, 40), (200, 100, 50))
_VEIL = Image.new("RGBA", (40, 40), (0, 0, 0, 128))
_CLEAR = Image.new("RGBA", (40, 40), (0, 0, 0, 0))
_GREY_ALPHA = np.full((40, 40, 2), (0, 32768), ">u2")
# Rare kinds, each of one colour all over: name of the file, what it holds, the colour that is seen.
OF_ONE_COLOUR: dict[str, tuple[str, Callable[[], bytes], tuple[int, int, int]]] = {
    "one pixel": ("a.png", lambda: encoded(_ORANGE.resize((1, 1)), "PNG"), (200, 100, 50)),
    "1 × 10,000 pixels": ("a.png", lambda: encoded(_ORANGE.resize((1, 10_000)), "PNG"), (200, 100, 50)),
    "65,500 × 3 pixels": ("a.jpg", lambda: encoded(_ORANGE.resize((65_500, 3)), "JPEG", quality=95), (200, 100, 50)),
    "16-bit grey and alpha, interlaced": ("a.png", lambda: png(_GREY_ALPHA, 4, interlaced=True), (127, 127, 127)),
    "16-bit grey, one value transparent": (
        "a.png",
        lambda: png(np.full((40, 40, 1), 1000, ">u2"), 0, _chunk(b"tRNS", struct.pack(">H", 1000))),
        (255, 255, 255),
    ),
    "a palette half transparent": (
        "a.png",
        lambda: png(np.ones((40, 40, 1), ">u1"), 3, _chunk(b"PLTE", bytes(5) + b"\xff"), _chunk(b"tRNS", b"\xff\x80")),
        (127, 127, 255),
    ),
    "gamma that nobody follows": (
        "a.png",
        lambda: png(np.full((9, 9, 3), (200, 100, 50), ">u1"), 2, _chunk(b"gAMA", struct.pack(">I", 99_999))),
        (200, 100, 50),
    ),
    "grey and alpha in TIFF": ("a.tif", lambda: encoded(_VEIL.convert("LA"), "TIFF"), (127, 127, 127)),
    "a transparent first frame of GIF": ("a.gif", lambda: moving("GIF", _CLEAR, _ORANGE, disposal=2), (255, 255, 255)),
    "a transparent first frame of WebP": ("a.webp", lambda: moving("WEBP", _CLEAR, _ORANGE), (255, 255, 255)),
    "inks without a profile": ("a.jpg", lambda: encoded(_ORANGE.convert("CMYK"), "JPEG", quality=95), (200, 100, 50)),
    "a bitmap with an alpha of nothing": ("a.bmp", lambda: encoded(_ORANGE.convert("RGBA"), "BMP"), (200, 100, 50)),
    "numbers in letters": ("a.ppm", lambda: b"P3\n2 2\n255\n" + b"200 100 50 " * 4, (200, 100, 50)),
    "16 bits big-endian": ("a.pgm", lambda: b"P5\n9 9\n65535\n" + np.full(81, 51400, ">u2").tobytes(), (200,) * 3),
    "floats in PFM": ("a.pfm", lambda: b"Pf\n9 9\n-1.0\n" + np.full(81, 0.5, "<f4").tobytes(), (128, 128, 128)),
    "another profile": (
        "a.png",
        lambda: encoded(_ORANGE, "PNG", icc_profile=reds_and_greens_exchanged()),
        (100, 200, 50),
    ),
    "another profile of a palette": (
        "a.png",
        lambda: encoded(_ORANGE.quantize(4), "PNG", icc_profile=reds_and_greens_exchanged()),
        (100, 200, 50),
    ),
    "a profile of another mode": (
        "a.tif",
        lambda: encoded(_ORANGE.convert("CMYK"), "TIFF", icc_profile=reds_and_greens_exchanged()),
        (200, 100, 50),
    ),
}
