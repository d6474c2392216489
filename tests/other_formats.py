"""What other formats make of a sheet of images: how many bytes at which error.

JPEG, WebP and AVIF come with Pillow. JPEG XL needs the package imagecodecs, which nothing else here needs, and is left
out where that is not installed.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from importlib.util import find_spec
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image, features
from torch import Tensor

Sheet = np.ndarray
ThereAndBack = Callable[[Sheet, float], tuple[int, Sheet]]
"""A sheet and a setting to the number of bytes, and the sheet as it comes back."""


def sheet_of(images: Tensor) -> Sheet:
    """Put images (N, C, H, W) beside and below each other, as nearly a square as their number allows."""
    rows = next(rows for rows in range(math.isqrt(len(images)), 0, -1) if len(images) % rows == 0)
    parts = images.unflatten(0, (rows, -1)).permute(0, 3, 1, 4, 2)
    return parts.flatten(2, 3).flatten(0, 1).squeeze(-1).contiguous().numpy()


def with_pillow(kind: str, **options: Any) -> ThereAndBack:
    """Return what a format of Pillow's does, whose setting is the quality."""

    def there_and_back(sheet: Sheet, quality: float) -> tuple[int, Sheet]:
        file, image = BytesIO(), Image.fromarray(sheet)
        image.save(file, kind, quality=quality, **options)
        return len(file.getvalue()), np.asarray(Image.open(file).convert(image.mode))

    return there_and_back


def jpeg_xl(effort: int) -> ThereAndBack:
    """Return what JPEG XL does, whose setting is the distance."""
    imagecodecs = import_module("imagecodecs")  # no statement, as no extra brings it

    def there_and_back(sheet: Sheet, distance: float) -> tuple[int, Sheet]:
        content = imagecodecs.jpegxl_encode(sheet, distance=distance, effort=effort)
        return len(content), imagecodecs.jpegxl_decode(content).reshape(sheet.shape)

    return there_and_back


def codecs() -> str:
    """Name what does the work below Pillow and imagecodecs, with the versions."""
    found = [f"{name} {features.version(name)}" for name in ("libjpeg_turbo", "webp", "avif")]
    if find_spec("imagecodecs"):
        found.append(import_module("imagecodecs").jpegxl_version())
    return ", ".join(found)


def formats(grey: bool, slow: bool) -> dict[str, tuple[ThereAndBack, Sequence[float]]]:
    """Return each format with its settings, from the largest error to the smallest; those not whole where it can."""
    qualities, distances = [part / 64 for part in range(6401)], [part / 64 for part in range(1600, 0, -1)]
    colours = {"subsampling": "4:0:0"} if grey else {}
    found = {
        "JPEG, quality": (with_pillow("JPEG", optimize=True), range(1, 101)),
        "progressive JPEG, quality": (with_pillow("JPEG", optimize=True, progressive=True), range(1, 101)),
        **{f"WebP, method {n}, quality": (with_pillow("WEBP", method=n), qualities) for n in (4, 6)},
        **{f"AVIF, speed {n}, quality": (with_pillow("AVIF", speed=n, **colours), range(101)) for n in (6, 4)},
    }
    if find_spec("imagecodecs") is None:
        return found
    return found | {f"JPEG XL, effort {n}, distance": (jpeg_xl(n), distances) for n in ((7, 9) if slow else (7,))}


def halved(
    there_and_back: ThereAndBack, settings: Sequence[float], sheet: Sheet, most: float
) -> Iterator[tuple[float, int, float]]:
    """Halve settings until the first is found whose error is ``most`` or below; give each one tried, bytes, error."""
    variance = sheet.var(dtype=np.float64)
    low, high = 0, len(settings)
    while low < high:
        middle = (low + high) // 2
        size, other = there_and_back(sheet, settings[middle])
        error = float(np.square(other.astype(np.float32) - sheet).mean(dtype=np.float64) / variance)
        yield settings[middle], size, error
        low, high = (low, middle) if error <= most else (middle + 1, high)
