"""Smileys: little faces rendered from known factors, for asking a model what real pictures cannot answer.

Every factor is drawn at random, uniformly and independently of the others, so the true distribution of the pictures is
known: what a model has learnt can be counted against it. Every part of a face is a stroke of some width along an arc of
a circle; the signed distance to it, in pixels, gives anti-aliased edges at any size.

Only operations that IEEE 754 rounds in one way are used (+ - * / and square roots, comparisons, rounding down), so a
picture is the same to the last bit on every machine. Sines, exponentials and matrix products would not be.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from lpvq.runtime import progress

FACTORS: dict[str, tuple[str, ...]] = {
    "background": ("sky", "mint", "plum", "rose", "sand", "navy"),
    "skin": ("yellow", "peach", "brown", "orange", "green"),
    "size": ("small", "medium", "large"),
    "column": ("left", "centre", "right"),
    "row": ("top", "middle", "bottom"),
    "eyes": ("dots", "wide", "closed", "wink"),
    "mouth": ("happy", "sad", "surprised"),
}
"""The categories of each factor. The mouth is the label."""

SHIFTS = ("dx", "dy")
"""The two continuous factors: how far the face is from the middle of its column and row."""

LARGEST_SHIFT = 1 / 64
"""The bound of both shifts, in picture widths: half a pixel of 32."""

NUMBER = {"train": 20_000, "test": 4_000}
"""How many smileys a split has unless another number is asked for."""

_Array = NDArray[np.float64]
# Colours are red, green, blue in 0 … 255.
_BACKGROUNDS = [(96, 174, 240), (112, 200, 150), (110, 70, 160), (236, 120, 140), (240, 228, 190), (40, 60, 100)]
_SKINS = [(255, 208, 64), (255, 205, 170), (186, 120, 76), (246, 146, 66), (136, 196, 96)]
_DARK = (48, 36, 40)
_WHITE = (255, 255, 255)
# In picture widths.
_FACE_RADII = [10 / 32, 11.5 / 32, 13 / 32]
_PLACES = [14 / 32, 16 / 32, 18 / 32]
# In face radii, from the middle of the face, x to the right and y down.
_EYE_X, _EYE_Y = 0.4, -0.22
_EYEBALL = 0.34


class _Stroke(NamedTuple):
    """A line of ``half_width`` along the lowest (``bend`` 1) or highest (-1) part of a circle; of radius 0, a dot."""

    y: float
    radius: float
    half_width: float
    bend: float


_DOT = _Stroke(_EYE_Y, 0.0, 0.19, 1)
_LID = _Stroke(_EYE_Y - 0.1, 0.25, 0.1, 1)
_LEFT_EYES = [_DOT, _DOT, _LID, _DOT]
_RIGHT_EYES = [_DOT, _DOT, _LID, _LID]
_MOUTHS = [_Stroke(-0.04, 0.58, 0.12, 1), _Stroke(0.9, 0.52, 0.12, -1), _Stroke(0.46, 0.0, 0.28, 1)]


def draw_factors(number: int, seed: int, stream: int) -> dict[str, Tensor]:
    """Draw the factors of faces at random, each uniformly and independently; those of face i are always the same.

    Args:
        number: how many faces; more of them begin with the same ones.
        seed: 0 or more.
        stream: 0 or more; another stream of the same seed is independent of it.

    Returns:
        by name, for each of ``FACTORS`` the index of a category, int64 (number,), and for each of ``SHIFTS`` float64
        (number,) in [-LARGEST_SHIFT, LARGEST_SHIFT), in picture widths.
    """
    names = [*FACTORS, *SHIFTS]
    # Raw 64-bit integers: unlike numpy's distributions, they never change between versions.
    raw = np.random.PCG64(np.random.SeedSequence([seed, stream])).random_raw(number * len(names))
    uniform = (raw >> np.uint64(11)).astype(np.float64).reshape(number, len(names)) * 2.0**-53
    factors = {}
    for column, name in enumerate(names):
        values = uniform[:, column]
        if name in FACTORS:
            factors[name] = torch.from_numpy(np.floor(values * len(FACTORS[name])).astype(np.int64))
        else:
            factors[name] = torch.from_numpy((2 * values - 1) * LARGEST_SHIFT)
    return factors


def draw(factors: Mapping[str, ArrayLike], size: int = 32) -> Tensor:
    """Render faces: the same factors give the same pixels, on every machine.

    Args:
        factors: by name, the values of all ``FACTORS`` and ``SHIFTS``, each (N,), as ``draw_factors`` returns them.
        size: height and width in pixels; the face is the same at any, only sharper.

    Returns:
        uint8 (N, 3, ``size``, ``size``), red, green, blue, 0 to 255.
    """
    arrays = {name: np.asarray(values) for name, values in factors.items()}
    number = len(arrays["mouth"])
    images = np.empty((number, 3, size, size), np.uint8)
    step = max(1, 2**14 // size**2)  # few enough that the arrays in between stay in the processor's cache
    for start in progress(range(0, number, step), "rendering smileys", least=256):
        part = slice(start, start + step)
        images[part] = _render_together({name: values[part] for name, values in arrays.items()}, size)
    return torch.from_numpy(images)


def _render_together(factors: dict[str, NDArray], size: int) -> NDArray[np.uint8]:
    """Render a few faces at once; arrays are (N, 1 or 3, H, W) or broadcast to it, lengths in pixels."""
    unit = _choose(_FACE_RADII, factors["size"]) * size
    pixels = np.arange(size) + 0.5
    x = pixels[None, None, None, :] - (_choose(_PLACES, factors["column"]) + _column(factors["dx"])) * size
    y = pixels[None, None, :, None] - (_choose(_PLACES, factors["row"]) + _column(factors["dy"])) * size

    left = _distance(x + _EYE_X * unit, y, unit, _LEFT_EYES, factors["eyes"])
    right = _distance(x - _EYE_X * unit, y, unit, _RIGHT_EYES, factors["eyes"])
    mouth = _distance(x, y, unit, _MOUTHS, factors["mouth"])
    face = np.sqrt(x * x + y * y) - unit
    skin = _choose(_SKINS, factors["skin"])

    canvas = _choose(_BACKGROUNDS, factors["background"]) + np.zeros((size, size))
    _paint(canvas, skin, face)
    _paint_eyeballs(canvas, x, y, unit, factors["eyes"])
    _paint(canvas, np.reshape(_DARK, (1, 3, 1, 1)), np.minimum(np.minimum(left, right), mouth))
    return np.floor(canvas + 0.5).astype(np.uint8)


def _column(values: NDArray) -> _Array:
    """Shape (N,) or (N, C) to (N, C or 1, 1, 1)."""
    return np.asarray(values, np.float64).reshape(len(values), -1, 1, 1)


def _choose(table: list, indices: NDArray) -> _Array:
    """Look up a row of a table for each face."""
    return _column(np.asarray(table, np.float64)[indices])


def _distance(x: _Array, y: _Array, unit: _Array, strokes: list[_Stroke], kinds: NDArray) -> _Array:
    """Signed distance in pixels from each pixel to each face's stroke, negative inside."""
    middle, radius, half_width, bend = (_choose(list(column), kinds) for column in zip(*strokes, strict=True))
    y = (y - middle * unit) * bend
    x = np.abs(x)
    radius = radius * unit
    to_circle = np.abs(np.sqrt(x * x + y * y) - radius)
    # The arc ends where a triangle of sides 3, 4 and 5 puts it: exact numbers, no sine.
    tip_x, tip_y = x - 0.8 * radius, y - 0.6 * radius
    to_tip = np.sqrt(tip_x * tip_x + tip_y * tip_y)
    return np.where(0.8 * y >= 0.6 * x, to_circle, to_tip) - half_width * unit


def _paint_eyeballs(canvas: _Array, x: _Array, y: _Array, unit: _Array, eyes: NDArray) -> None:
    """Paint the white of wide eyes."""
    rows = eyes == FACTORS["eyes"].index("wide")
    unit = unit[rows]
    x = np.abs(x[rows]) - _EYE_X * unit
    y = y[rows] - _EYE_Y * unit
    part = canvas[rows]
    _paint(part, np.reshape(_WHITE, (1, 3, 1, 1)), np.sqrt(x * x + y * y) - _EYEBALL * unit)
    canvas[rows] = part


def _paint(canvas: _Array, colour: NDArray, distance: _Array) -> None:
    """Lay a colour over the canvas where the distance is negative, in place; at the edge a pixel is covered in part."""
    cover = np.minimum(np.maximum(0.5 - distance, 0.0), 1.0)
    canvas += cover * (colour - canvas)
