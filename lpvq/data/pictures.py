"""One picture out of a file, whatever wrote it: upright, over white, the square in its middle, of one size.

A file is known by its content, not by its ending. What is wrong besides the pixels never costs the pixels: damaged
EXIF, megabytes of text or of a colour profile, an end that lacks a few bytes. Colours are those of screens (sRGB),
whatever profile a camera or a scanner has left.
"""

import io
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from functools import cache, lru_cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import BinaryIO
from zlib import crc32

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageOps

from lpvq.data.checks import memory

_COMMON = ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "AVIF")
# Formats that run other programs, or that Pillow knows by name only.
_NEVER = {"EPS", "WMF", "BUFR", "GRIB", "HDF5", "MPEG"}
# Formats whose beginning may be that of something else: only files with the right ending, too, are such pictures.
_VAGUE = {"BLP", "CUR", "DCX", "DIB", "FLI", "FTEX", "GBR", "IM", "IMT", "IPTC", "MCIDAS", "MIC", "MSP", "PCD", "PCX"}
_VAGUE |= {"PIXAR", "SPIDER", "SUN", "TGA", "XVTHUMB"}
_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}
# What most often lies beside pictures, or looks like a picture to its owner, by how it begins.
_OTHERS = {
    b"PK\3\4": "an archive or a document",
    b"\x1f\x8b": "an archive",
    b"7z\xbc\xaf": "an archive",
    b"Rar!": "an archive",
    b"%PDF": "a PDF document",
    b"%!PS": "PostScript",
    b"\xff\x0a": "JPEG XL, which Pillow cannot read",
    b"\0\0\0\x0cJXL ": "JPEG XL, which Pillow cannot read",
    b"II*\0\x10\0\0\0CR": "a raw photograph, to be developed first",
    b"FUJIFILMCCD-RAW": "a raw photograph, to be developed first",
    b"IIRO": "a raw photograph, to be developed first",
    b"IIU\0": "a raw photograph, to be developed first",
    b"version https://git-lfs": "a stand-in of Git LFS: git lfs pull brings the picture",
}
_LOOKED_AT = 512  # bytes at the beginning of a file
_LARGE = 2**24  # pixels: larger pictures are decoded one at a time
_BYTES_PER_PIXEL = 8  # while a picture is decoded and converted
_MISSING = 64  # bytes at the end of a file that can be done without
_LINES = 16  # pixels: the height of the blocks that a JPEG file is coded in
_ORIENTATION = 0x0112
_LYING = 5  # orientations from here on swap width and height
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_one_large_at_a_time = Lock()


class NoPictureError(Exception):
    """A file holds no picture that can be read.

    Args:
        reason: why, in words that are the same for all files of a kind.
        detail: what else is known about this one.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason)
        self.detail = detail


@contextmanager
def patient_pillow() -> Iterator[None]:
    """Have Pillow read the reader's own pictures without the limit and the warning that are meant for strangers' files.

    How large a picture may be is limited here, by what the machine's memory holds.
    """
    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    _add_heif()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = limit


@cache
def _add_heif() -> None:
    if find_spec("pillow_heif") is not None:
        import_module("pillow_heif").register_heif_opener()


def check_is_picture(file: Path) -> None:
    """Raise ``NoPictureError`` unless a file begins as a picture does; its pixels are not looked at."""
    try:
        beginning = _beginning(file)
        with file.open("rb") as opened, _open(opened, file.suffix):
            pass
    except NoPictureError:
        raise
    except Exception as error:  # a damaged file makes Pillow raise almost anything
        if isinstance(error, OSError) and error.errno:
            raise NoPictureError((error.strerror or str(error)).lower()) from error
        try:
            with _open(io.BytesIO(_mended(file.read_bytes())), file.suffix):
                return
        except Exception:
            raise NoPictureError(_what_it_is(beginning)) from error


def read_picture(file: Path, size: int) -> NDArray[np.uint8]:
    """Read one picture: upright, over white, the square in its middle; red, green, blue.

    To be called inside ``patient_pillow``. JPEG files are decoded at the smallest scale that shows all there is.

    Args:
        file: its path.
        size: height and width of the result, in pixels.

    Returns:
        uint8 (``size``, ``size``, 3).

    Raises:
        NoPictureError: it is not one, its pixels are damaged, or decoding it would take more memory than there is.
    """
    try:
        beginning = _beginning(file)
        try:
            with file.open("rb") as opened:
                return _decode(opened, file.suffix, size)
        except NoPictureError:
            raise
        except Exception as error:  # a damaged file makes Pillow raise almost anything
            reason = error
        try:
            return _decode_mended(file.read_bytes(), file.suffix, size)
        except NoPictureError:
            raise
        except Exception:
            pass
    except OSError as error:
        raise NoPictureError((error.strerror or str(error)).lower()) from error
    if isinstance(reason, Image.UnidentifiedImageError):
        raise NoPictureError(_what_it_is(beginning)) from reason
    raise NoPictureError("damaged", " ".join(str(reason).split()) or type(reason).__name__) from reason


def upright_size(file: Path) -> tuple[int, int]:
    """Return the width and height of a picture as it is seen, in pixels.

    Raises:
        NoPictureError: it is not one.
    """
    check_is_picture(file)
    data = file.read_bytes()
    try:
        with _open(io.BytesIO(data), file.suffix) as image:
            # For TIFF, Pillow gives the size as it is seen.
            size, turn = image.size, 1 if image.format == "TIFF" else _orientation(image)
    except Exception:  # what ``check_is_picture`` has mended
        with _open(io.BytesIO(_mended(data)), file.suffix) as image:
            size, turn = image.size, _orientation_of_bytes(data)
    return size if turn < _LYING or turn > 8 else (size[1], size[0])


def _beginning(file: Path) -> bytes:
    with file.open("rb") as opened:
        beginning = opened.read(_LOOKED_AT)
    if not beginning:
        raise NoPictureError("empty")
    return beginning


def _what_it_is(beginning: bytes) -> str:
    """Why a file is not a picture, by its first bytes."""
    if beginning[4:8] == b"ftyp" and beginning[8:12] in _HEIF_BRANDS:
        return "a damaged HEIC file" if find_spec("pillow_heif") else "HEIC, which needs: pip install pillow-heif"
    if beginning[4:8] == b"ftyp":
        return "a raw photograph, to be developed first" if beginning[8:11] == b"crx" else "a film"
    if b"<svg" in beginning:
        return "SVG, a drawing without pixels"
    if beginning.lstrip().lower().startswith((b"<!doctype html", b"<html")):
        return "a web page"
    return next((what for mark, what in _OTHERS.items() if beginning.startswith(mark)), "no picture")


def _open(source: BinaryIO, suffix: str) -> Image.Image:
    """Open a picture by its content."""
    image = Image.open(source, formats=_formats())
    name = image.format
    if name in _VAGUE and Image.registered_extensions().get(suffix.lower()) != name:
        image.close()
        raise Image.UnidentifiedImageError(f"it could be {name}, and does not end like one")
    return image


@cache
def _formats() -> tuple[str, ...]:
    Image.init()
    return (*_COMMON, *sorted(Image.OPEN.keys() - set(_COMMON) - _NEVER))


def _decode(source: BinaryIO, suffix: str, size: int, reduced: bool = True) -> NDArray[np.uint8]:
    with _open(source, suffix) as image:
        if reduced:
            image.draft("RGB", (2 * size, 2 * size))  # spares most of the work of decoding a large JPEG
        pixels = image.width * image.height
        if pixels * _BYTES_PER_PIXEL > memory() // 2:
            raise NoPictureError("larger than this machine's memory can decode", f"{pixels / 1e6:.0f} megapixels")
        with _one_large_at_a_time if pixels > _LARGE else nullcontext():
            image.load()
            if not reduced:
                _check_whole(image)
            square = _square(image, size)
        turn = _UPRIGHT.get(_orientation(image))  # as the camera was held
        return np.asarray(square if turn is None else square.transpose(turn))


def _orientation(image: Image.Image) -> int:
    """How a picture was held, 1 … 8; 1 where its EXIF does not say so in a way that can be understood."""
    try:
        value = image.getexif().get(_ORIENTATION, 1)
        first = value[0] if isinstance(value, tuple) else value
        return int(first.strip("\0 ") if isinstance(first, str) else first)
    except Exception:  # as of damaged files
        return 1


def _square(image: Image.Image, size: int) -> Image.Image:
    """The square in the middle, red, green and blue as screens have them."""
    profile = image.info.get("icc_profile")
    inks = image.mode == "CMYK" and profile  # only the profile knows what they look like
    square = ImageOps.fit(image if inks else _to_rgb(image), (size, size), Image.Resampling.BILINEAR)
    to_srgb = _transform(profile, square.mode) if profile else None
    if to_srgb is not None:
        return to_srgb.apply(square)
    return square.convert("RGB")


@lru_cache(8)
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """How colours of a profile become those of screens; None where it is damaged, or one for another mode."""
    try:
        colours = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        return ImageCms.buildTransform(colours, ImageCms.createProfile("sRGB"), mode, "RGB")
    except (OSError, ImageCms.PyCMSError):
        return None


def _to_rgb(image: Image.Image) -> Image.Image:
    """Make red, green and blue of any mode; what is transparent lets white through."""
    if image.mode == "RGB" and not image.has_transparency_data:
        return image
    if image.mode.startswith("I;16"):  # convert() would cut 16 bits off at 255
        values = np.asarray(image)
        grey = (values.astype(np.uint32) + 128) // 257
        if isinstance(clear := image.info.get("transparency"), int):
            grey[values == clear] = 255
        return Image.fromarray(grey.astype(np.uint8)).convert("RGB")
    if image.mode in ("I", "F"):
        return Image.fromarray(_shades(np.asarray(image, np.float64))).convert("RGB")
    if image.mode == "LAB":
        lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        converted = ImageCms.profileToProfile(image, lab, srgb, outputMode="RGB")
        assert converted is not None
        return converted
    if image.has_transparency_data:
        coloured = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), coloured).convert("RGB")
    return image.convert("RGB")


def _shades(values: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Make shades of grey, 0 … 255, of numbers whose range no file gives: 0 … 1, 0 … 255, 0 … 65535, or their own."""
    values = np.nan_to_num(values, posinf=0, neginf=0)
    lowest, highest = float(values.min()), float(values.max())
    top = next((top for top in (1, 255, 65535) if highest <= top), highest)
    if lowest < 0 or highest > 65535:
        values, top = values - lowest, highest - lowest
    return (values * (255 / (top or 1))).round().astype(np.uint8)


# What is left of damaged files.


def _decode_mended(data: bytes, suffix: str, size: int) -> NDArray[np.uint8]:
    is_cut_jpeg = data.startswith(b"\xff\xd8") and b"\xff\xd9" not in data[-_MISSING:]
    square = _decode(io.BytesIO(_mended(data)), suffix, size, reduced=not is_cut_jpeg)
    turn = _UPRIGHT.get(_orientation_of_bytes(data)) if data.startswith(b"\xff\xd8") else None
    return square if turn is None else np.asarray(Image.fromarray(square).transpose(turn))


def _mended(data: bytes) -> bytes:
    """Return a file without what it says besides the pixels, and with an end."""
    if data.startswith(b"\xff\xd8"):
        return _bare_jpeg(data) + b"\xff\xd9"
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return _bare_png(data)
    if data.startswith((b"\xff\x4f\xff\x51", b"\0\0\0\x0cjP  ")):  # JPEG 2000
        return data.removesuffix(b"\xff") + b"\xff\xd9"
    return data + bytes(_MISSING)


def _bare_jpeg(data: bytes) -> bytes:
    """A JPEG file without comments and what applications add; but Adobe's segment says what its colours are."""
    parts, place = [data[:2]], 2
    while place + 4 <= len(data) and data[place] == 0xFF and data[place + 1] != 0xDA:
        marker, length = data[place + 1], int.from_bytes(data[place + 2 : place + 4], "big")
        if not (0xE0 <= marker <= 0xEF or marker == 0xFE) or marker == 0xEE:
            parts.append(data[place : place + 2 + length])
        place += 2 + length
    return b"".join([*parts, data[place:]])


def _bare_png(data: bytes) -> bytes:
    """A PNG file of the chunks that pixels need, each with a right checksum, and an end."""
    parts, place = [data[:8]], 8
    while place + 8 <= len(data):
        length, kind = int.from_bytes(data[place : place + 4], "big"), data[place + 4 : place + 8]
        content = data[place + 8 : place + 8 + length]
        if kind in (b"IHDR", b"PLTE", b"tRNS", b"IDAT"):
            parts.append(_chunk(kind, content))
        place += 12 + length
    return b"".join([*parts, _chunk(b"IEND", b"")])


def _chunk(kind: bytes, content: bytes) -> bytes:
    return len(content).to_bytes(4, "big") + kind + content + crc32(kind + content).to_bytes(4, "big")


def _check_whole(image: Image.Image) -> None:
    """Refuse a JPEG file that was cut off: the decoder leaves grey what it has not seen."""
    pixels = np.asarray(image).reshape(image.height, -1)
    seen = (pixels != 128).any(1).nonzero()[0]
    missing = image.height - (int(seen[-1]) + 1 if len(seen) else 0)
    if missing > max(_LINES, image.height // 50):
        raise NoPictureError("damaged", f"cut off, {missing} of its {image.height} lines are missing")


def _orientation_of_bytes(data: bytes) -> int:
    """The orientation in the first directory of damaged EXIF, 1 … 8; 1 where it cannot be found."""
    start = data.find(b"Exif\0\0")
    for order, mark in (("<", b"II*\0"), (">", b"MM\0*")):
        at = data.find(mark, start, start + 64) if start >= 0 else -1
        if at < 0:
            continue
        with suppress(struct.error):
            directory = at + struct.unpack_from(order + "I", data, at + 4)[0]
            (number,) = struct.unpack_from(order + "H", data, directory)
            for entry in range(directory + 2, directory + 2 + 12 * number, 12):
                tag, kind, _, value = struct.unpack_from(order + "HHIH", data, entry)
                if (tag, kind) == (_ORIENTATION, 3):
                    return value
    return 1
