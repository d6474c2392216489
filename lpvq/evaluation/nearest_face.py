"""The nearest face that the renderer of the smileys can draw: what an image should have been, and where it is not.

A face is the mean of four colours, weighted with how much of each pixel they cover (``smileys.coverage``). So for one
place, size, eyes and mouth, the squared distance of an image x to the faces of all colours is a quadratic form,

    ‖x − Σ_k c_k m_k‖² = ‖x‖² − 2 Σ_k c_k · ⟨x, m_k⟩ + Σ_kl c_k · c_l ⟨m_k, m_l⟩

with the coverages m and the colours c, and the products ⟨x, m_k⟩ of many images and many coverages are one matrix
product. That makes it cheap to try every combination of the factors at a grid of shifts. The nearest ones
are then rendered at shifts in between.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import product
from math import prod

import torch
import torch.nn.functional as F
from torch import Tensor

from lpvq.data import smileys
from lpvq.data.smileys import FACTORS, LARGEST_SHIFT, SHIFTS
from lpvq.distributed import in_order
from lpvq.errors import InputError
from lpvq.runtime import in_batches, progress

Factors = dict[str, Tensor]

_COLOURS = ("background", "skin")
_GEOMETRY = tuple(name for name in FACTORS if name not in _COLOURS)
_SEARCH_SIZE = 32  # pixels: larger images are shrunk to find the nearest faces, and then compared in full
_STEPS = 5  # shifts along each axis that every combination is tried at
_CANDIDATES = 3  # combinations that are compared at shifts in between
_FINEST = 0.02  # pixels
_BLOCKS = 16  # along the height and the width
_PIXELS_AT_ONCE = 2**18


@dataclass(frozen=True, eq=False)
class NearestFaces:
    """For each of N images, the nearest face that the renderer can draw.

    Attributes:
        factors: of the nearest faces, by name: the index of a category, int64 (N,), and for both shifts float64 (N,),
            in picture widths.
        faces: the nearest faces, float32 (N, 3, S, S) in [0, 1].
        errors: the mean squared errors between the images and these, (N,).
        local_errors: the largest mean squared error in a window of an eighth of the picture's height and width, (N,).
    """

    factors: Factors
    faces: Tensor
    errors: Tensor
    local_errors: Tensor

    def __getitem__(self, items: Tensor | slice) -> "NearestFaces":
        """Return the nearest faces of some of the images."""
        factors = {name: values[items] for name, values in self.factors.items()}
        return NearestFaces(factors, self.faces[items], self.errors[items], self.local_errors[items])


def find_nearest_faces(images: Tensor) -> NearestFaces:
    """Find the nearest of all faces: 9,720 combinations of factors, at any shift.

    Args:
        images: (N, 3, S, S), floats in [0, 1]; S is at least 8.

    Raises:
        InputError: images of another shape, or none.
    """
    if images.ndim != 4 or images.shape[1] != 3 or images.shape[2] != images.shape[3] or images.shape[2] < 8:
        raise InputError(f"expected square images of shape (N, 3, S, S), S at least 8, got {tuple(images.shape)}")
    if len(images) == 0:
        raise InputError("expected at least one image, got none")
    size = min(images.shape[-1], _SEARCH_SIZE)
    bank = _bank(size)

    def search(some: Tensor) -> Factors:
        batch = images[some]
        small = F.interpolate(batch, (size, size), mode="area")
        return _refine(batch, small, bank.candidates(small))

    batches = in_batches(len(images), images.shape[-1] ** 2, _PIXELS_AT_ONCE)
    found = list(in_order(search, batches, partial(progress, description="nearest faces", least=4)))
    factors = {name: torch.cat([some[name] for some in found]) for name in (*FACTORS, *SHIFTS)}
    faces = _render(factors, images.shape[-1])
    return NearestFaces(
        factors, faces, (images - faces).square().mean((1, 2, 3)), local_errors(block_errors(images, faces))
    )


def block_errors(images: Tensor, faces: Tensor) -> Tensor:
    """Return the mean squared error in each block of a sixteenth of the height and width.

    Args:
        images: (N, C, S, S).
        faces: what to compare with, (N, C, S, S).

    Returns:
        (N, W, W), with W = 16 where S is a multiple of 16, and a little more elsewhere.
    """
    squares = (images - faces).square().mean(1, keepdim=True)
    return F.avg_pool2d(squares, max(1, images.shape[-1] // _BLOCKS)).squeeze(1)


def local_errors(blocks: Tensor) -> Tensor:
    """Return the largest mean squared error in a window of two by two blocks, so that windows overlap by half.

    Args:
        blocks: what ``block_errors`` returns, (N, W, W).

    Returns:
        (N,)
    """
    return F.avg_pool2d(blocks, 2, stride=1).amax((1, 2))


class _Bank:
    """Every combination of the factors at a grid of shifts, as what a search needs: coverages and their products.

    G is the number of combinations of all factors but the colours, 324, and Q that of the colours, 30.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.geometry = _all(_GEOMETRY)  # (G,) each
        self.pairs = _all(_COLOURS)  # (Q,) each
        self.colours = smileys.colours(self.pairs)  # (Q, 4, 3)
        number = len(self.geometry["mouth"])
        middle = (_STEPS - 1) / 2
        along = [(step - middle) * 2 * LARGEST_SHIFT / _STEPS for step in range(_STEPS)]
        self.shifts = list(product(along, along))
        self.coverages = []
        for dx, dy in self.shifts:
            shift = {"dx": torch.full((number,), dx).double(), "dy": torch.full((number,), dy).double()}
            zeros = {name: torch.zeros(number, dtype=torch.int64) for name in _COLOURS}
            self.coverages.append(smileys.coverage({**self.geometry, **zeros, **shift}, size).flatten(2))  # (G, 4, S²)

    def candidates(self, images: Tensor) -> list[Factors]:
        """Return the nearest combinations, the nearest first, each at the nearest shift of the grid: (N,) each."""
        pixels = images.flatten(2)  # (N, 3, S²)
        number, pairs = len(images), len(self.colours)
        best = torch.full((number, len(self.coverages[0]) * pairs), torch.inf)
        at = torch.zeros_like(best, dtype=torch.int64)
        for index, coverage in enumerate(self.coverages):
            distances = self._distances(pixels, coverage).flatten(1)
            at[distances < best] = index
            best = torch.minimum(best, distances)
        order = best.topk(_CANDIDATES, largest=False).indices  # (N, candidates)
        shifts = torch.tensor(self.shifts, dtype=torch.float64)[at.gather(1, order)]  # (N, candidates, 2)
        return [
            {name: values[order[:, rank] // pairs] for name, values in self.geometry.items()}
            | {name: values[order[:, rank] % pairs] for name, values in self.pairs.items()}
            | {name: shifts[:, rank, axis] for axis, name in enumerate(SHIFTS)}
            for rank in range(_CANDIDATES)
        ]

    def _distances(self, images: Tensor, coverage: Tensor) -> Tensor:
        """Squared distances (N, G, Q) less the images' own squares, of images (N, 3, S²) to coverages (G, 4, S²)."""
        number, geometries = len(images), len(coverage)
        products = images.flatten(0, 1) @ coverage.flatten(0, 1).T  # (N · 3, G · 4)
        products = products.view(number, 3, geometries, 4).permute(0, 2, 3, 1)  # (N, G, 4, 3)
        linear = products.reshape(number, geometries, 12) @ self.colours.flatten(1).T  # (N, G, Q)
        squares = torch.einsum("gks,gls->gkl", coverage, coverage)  # (G, 4, 4)
        between = self.colours @ self.colours.mT  # (Q, 4, 4)
        return squares.flatten(1) @ between.flatten(1).T - 2 * linear


@lru_cache(maxsize=1)  # it takes a second to make, and at 32 pixels 133 MB
def _bank(size: int) -> _Bank:
    return _Bank(size)


def _all(names: tuple[str, ...]) -> Factors:
    """All combinations of some factors; the last one varies fastest."""
    sizes = [len(FACTORS[name]) for name in names]
    rest = torch.arange(prod(sizes))
    factors = {}
    for name, size in zip(reversed(names), reversed(sizes), strict=True):
        factors[name], rest = rest % size, rest // size
    return factors


def _refine(images: Tensor, small: Tensor, candidates: list[Factors]) -> Factors:
    """Return the nearest of the candidates, with its shifts moved to where it is nearest; first on small images."""
    step = LARGEST_SHIFT / _STEPS  # half the distance between two shifts that were tried
    factors = _choose([_move(small, candidate, step) for candidate in candidates])
    for one in (small, images) if small.shape != images.shape else (small,):
        while step * one.shape[-1] > _FINEST:
            step /= 2
            factors = _move(one, factors, step)[0]
        step *= 4  # larger images may show that the small ones were misleading by as much
    return factors


def _move(images: Tensor, factors: Factors, step: float) -> tuple[Factors, Tensor]:
    """Move the shifts by one step along each axis to where the face is nearest: the factors, the distances (N,)."""
    tried = []
    for x, y in product((-step, 0.0, step), (-step, 0.0, step)):
        shifts = {"dx": factors["dx"] + x, "dy": factors["dy"] + y}
        shifts = {name: shift.clamp(-LARGEST_SHIFT, LARGEST_SHIFT) for name, shift in shifts.items()}
        moved = {**factors, **shifts}
        tried.append((moved, (images - _render(moved, images.shape[-1])).square().mean((1, 2, 3))))
    distances = torch.stack([distance for _, distance in tried])
    return _choose(tried), distances.amin(0)


def _choose(tried: list[tuple[Factors, Tensor]]) -> Factors:
    """For each image, the factors with the smallest distance."""
    nearest = torch.stack([distance for _, distance in tried]).argmin(0, keepdim=True)
    return {name: torch.stack([some[name] for some, _ in tried]).gather(0, nearest)[0] for name in tried[0][0]}


def _render(factors: Mapping[str, Tensor], size: int) -> Tensor:
    """Faces as float32 in [0, 1], (N, 3, S, S)."""
    return smileys.draw(factors, size).float() / 255
