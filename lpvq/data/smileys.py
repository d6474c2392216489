"""Smileys: little faces rendered from known factors, for asking a model what real pictures cannot tell.

Every factor is drawn at random, uniformly and independently of the others, so the true distribution of the pictures is
known: what a model has learned can be counted against it. Every part of a face is a stroke of some width along an arc
of a circle; the signed distance to it, in pixels, gives anti-aliased edges at any size.

Only operations that IEEE 754 rounds in a single way are used (+ - * / and square roots, comparisons, rounding down), so
a picture is the same to the last bit on every machine. Sines, exponentials and matrix products would not be.
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
        number: how many faces; a larger number begins with the same ones.
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
        size: height and width in pixels; the face is the same at any size, only sharper or less so.

    Returns:
        uint8 (N, 3, ``size``, ``size``), red, green, blue, 0 to 255.
    """
    arrays = {name: np.asarray(values) for name, values in factors.items()}
    number = len(arrays["mouth"])
    images = np.empty((number, 3, size, size), np.uint8)
    for part in progress(_parts(number, size), "rendering smileys", least=256):
        images[part] = _render_together({name: values[part] for name, values in arrays.items()}, size)
    return torch.from_numpy(images)


def coverage(factors: Mapping[str, ArrayLike], size: int = 32) -> Tensor:
    """Return how much of each pixel is background, skin, the white of wide eyes, and the dark of eyes and mouth.

    A face is the mean of these four colours, weighted with their shares, before it is rounded to whole numbers. So how
    far a picture is from faces of all colours follows from products of the picture with these shares.

    Args:
        factors: by name, the values of all ``FACTORS`` and ``SHIFTS``, each (N,), as ``draw_factors`` returns them; the
            colours among them make no difference.
        size: height and width in pixels.

    Returns:
        float32 (N, 4, ``size``, ``size``) in [0, 1], with the sum 1 in each pixel.
    """
    arrays = {name: np.asarray(values) for name, values in factors.items()}
    number = len(arrays["mouth"])
    shares = np.empty((number, 4, size, size), np.float32)
    background, skin, white, dark = np.eye(4).reshape(4, 1, 4, 1, 1)
    for part in _parts(number, size):
        some = {name: values[part] for name, values in arrays.items()}
        shares[part] = _compose(some, size, background, skin, white, dark)
    return torch.from_numpy(shares)


def colours(factors: Mapping[str, ArrayLike]) -> Tensor:
    """Return the four colours of faces, in the order of ``coverage``: float32 (N, 4, 3), red, green, blue in [0, 1]."""
    number = len(np.asarray(factors["skin"]))
    background = np.asarray(_BACKGROUNDS)[np.asarray(factors["background"])]
    skin = np.asarray(_SKINS)[np.asarray(factors["skin"])]
    white, dark = (np.broadcast_to(colour, (number, 3)) for colour in (_WHITE, _DARK))
    return torch.from_numpy(np.stack([background, skin, white, dark], axis=1).astype(np.float32) / 255)


def palette() -> dict[str, NDArray[np.float32]]:
    """Return the colours that smileys are made of, by name, float32 (3,): backgrounds, skins, white, dark."""
    names = FACTORS["background"] + FACTORS["skin"]
    grounds, skins = len(FACTORS["background"]), len(FACTORS["skin"])
    factors = {"background": np.arange(grounds), "skin": np.arange(grounds) % skins}
    found = colours(factors).numpy()  # (grounds, 4, 3): background, skin, white, dark
    every = [*found[:, 0], *found[:skins, 1], *found[0, 2:]]
    return dict(zip((*names, "white", "dark"), every, strict=True))


def place(index: ArrayLike) -> Tensor:
    """Return where the middle of a column or row is, for its index (N,), in picture widths: float64 (N,)."""
    return torch.from_numpy(np.asarray(_PLACES)[np.asarray(index)])


def _parts(number: int, size: int) -> list[slice]:
    """Which faces are rendered together: few enough that the arrays in between stay in the processor's cache."""
    step = max(1, 2**14 // size**2)
    return [slice(start, start + step) for start in range(0, number, step)]


def _render_together(factors: dict[str, NDArray], size: int) -> NDArray[np.uint8]:
    """Render a few faces at once, (N, 3, H, W)."""
    background, skin = _choose(_BACKGROUNDS, factors["background"]), _choose(_SKINS, factors["skin"])
    white, dark = (np.reshape(colour, (1, 3, 1, 1)) for colour in (_WHITE, _DARK))
    return np.floor(_compose(factors, size, background, skin, white, dark) + 0.5).astype(np.uint8)


def _compose(
    factors: dict[str, NDArray], size: int, background: NDArray, skin: NDArray, white: NDArray, dark: NDArray
) -> _Array:
    """Lay the parts of a few faces over each other, each in its colour (N or 1, C, 1, 1): float64 (N, C, H, W).

    Arrays in between are (N, 1 or C, H, W) or broadcast to it, lengths in pixels.
    """
    unit = _choose(_FACE_RADII, factors["size"]) * size
    pixels = np.arange(size) + 0.5
    x = pixels[None, None, None, :] - (_choose(_PLACES, factors["column"]) + _column(factors["dx"])) * size
    y = pixels[None, None, :, None] - (_choose(_PLACES, factors["row"]) + _column(factors["dy"])) * size

    left = _distance(x + _EYE_X * unit, y, unit, _LEFT_EYES, factors["eyes"])
    right = _distance(x - _EYE_X * unit, y, unit, _RIGHT_EYES, factors["eyes"])
    mouth = _distance(x, y, unit, _MOUTHS, factors["mouth"])
    face = np.sqrt(x * x + y * y) - unit

    canvas = background + np.zeros((len(unit), 1, size, size))
    _paint(canvas, skin, face)
    _paint_eyeballs(canvas, white, x, y, unit, factors["eyes"])
    _paint(canvas, dark, np.minimum(np.minimum(left, right), mouth))
    return canvas


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


def _paint_eyeballs(canvas: _Array, white: NDArray, x: _Array, y: _Array, unit: _Array, eyes: NDArray) -> None:
    """Paint the white of wide eyes, in the colour ``white`` (1, C, 1, 1)."""
    rows = eyes == FACTORS["eyes"].index("wide")
    unit = unit[rows]
    x = np.abs(x[rows]) - _EYE_X * unit
    y = y[rows] - _EYE_Y * unit
    part = canvas[rows]
    _paint(part, white, np.sqrt(x * x + y * y) - _EYEBALL * unit)
    canvas[rows] = part


def _paint(canvas: _Array, colour: NDArray, distance: _Array) -> None:
    """Lay a colour over the canvas where the distance is negative, in place; at the edge a pixel is covered in part."""
    cover = np.minimum(np.maximum(0.5 - distance, 0.0), 1.0)
    canvas += cover * (colour - canvas)
