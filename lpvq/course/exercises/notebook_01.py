"""Exercises of 01_images_and_compression, on the first 256 smileys of the test split."""

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from lpvq.course.exercises.comparing import (
    Checker,
    as_number,
    call,
    checker,
    compare_number,
    compare_order,
    compare_tensor,
)
from lpvq.data.loading import load
from lpvq.models.pretrained import load_pretrained

_TOLERANCE = 1e-4  # painting by "bilinear" changes the third digit
_EXACTLY = 1e-5  # for a slip, or one would be found where there is none
_SMALL_ERROR = 0.05
_SHIFTS = 0, 1, 2, 4, 8


@cache
def _faces() -> Tensor:
    """(256, 3, 32, 32)."""
    return load("smileys", "test", limit=256).floats()


def _error(reconstructions: Tensor, originals: Tensor) -> float:
    return ((reconstructions - originals).square().mean() / originals.var(correction=0)).item()


def _slips_of_errors(reconstructions: Tensor, originals: Tensor) -> dict[str, float]:
    """What comes of an error that is not divided by the right thing, and of similar slips."""
    squares, variance = (reconstructions - originals).square(), originals.var(correction=0)
    of_each = squares.mean((1, 2, 3)) / originals.var((1, 2, 3), correction=0)
    errors = {
        "this is the mean squared error; divide it by the variance of the images": squares.mean(),
        "divide by the variance, not by the standard deviation": squares.mean() / variance.sqrt(),
        "this is the root of the error; leave the squares as they are": (squares.mean() / variance).sqrt(),
        "this is the share that is described; the error is what is left": 1 - squares.mean() / variance,
        "take the mean of the squares, not their sum": squares.sum() / variance,
        "this is the sum of the squares; take their mean, and divide it by the variance of the images": squares.sum(),
        "square the differences": (reconstructions - originals).abs().mean() / variance,
        "divide once, by the variance of all images together, not each image by its own": of_each.mean(),
        "the variance is that around one grey, not around the mean image": squares.mean() / originals.var(0).mean(),
        "the variance is that around one grey, not around one for each colour": squares.mean()
        / originals.var((0, 2, 3), correction=0).mean(),
    }
    return {why: error.item() for why, error in errors.items()}


def _painted(size: int, how: str = "nearest") -> Tensor:
    """The faces in the mean colours of squares of ``size`` pixels."""
    return F.interpolate(F.avg_pool2d(_faces(), size), scale_factor=size, mode=how)


@cache
def _slips_of_quarters() -> dict[str, float]:
    faces = _faces()
    upper_left = F.interpolate(faces[:, :, ::16, ::16], scale_factor=16)
    halves = F.interpolate(F.avg_pool2d(faces, (16, 32)), scale_factor=(16.0, 32.0))
    left_and_right = F.interpolate(F.avg_pool2d(faces, (32, 16)), scale_factor=(32.0, 16.0))
    grey = F.interpolate(F.avg_pool2d(faces, 16).mean(1, keepdim=True), scale_factor=16).expand_as(faces)
    return _slips_of_errors(_painted(16), faces) | {
        "this is painted with soft transitions; each quarter gets a single colour (mode nearest)": _error(
            _painted(16, "bilinear"), faces
        ),
        "this is painted with soft transitions; each quarter gets a single colour, not a bicubic mixture": _error(
            _painted(16, "bicubic"), faces
        ),
        "this is the error of one colour for the whole image, not of one for each quarter": _error(_painted(32), faces),
        "these are sixteen squares; a quarter has half the height and half the width": _error(_painted(8), faces),
        "these are 16 × 16 squares; a quarter has half the height and half the width": _error(_painted(2), faces),
        "these are halves, above and below": _error(halves, faces),
        "these are halves, left and right": _error(left_and_right, faces),
        "this takes one pixel of each quarter; take its mean": _error(upper_left, faces),
        "this paints each quarter in a grey; a mean colour has three numbers": _error(grey, faces),
    }


@checker
def _quarters(answer: Any) -> str | None:
    right = _error(_painted(16), _faces())
    return compare_number(answer, right, _TOLERANCE) and compare_number(answer, right, _EXACTLY, _slips_of_quarters())


@cache
def _least_lost_first() -> list[str]:
    faces = _faces()
    vectors = faces.flatten(1)
    middle = vectors.mean(0)
    axes = torch.linalg.svd(vectors - middle, full_matrices=False).Vh[:12]
    vqvae, _ = load_pretrained()
    lost = {
        "codes": _error(vqvae.decode(vqvae.encode(faces)), faces),
        "pca": _error((middle + (vectors - middle) @ axes.T @ axes).view_as(faces), faces),
        "grey": _error(faces.mean(1, keepdim=True), faces),
        "quarters": _error(_painted(16), faces),
        "mean image": _error(faces.mean(0, keepdim=True), faces),
    }
    return sorted(lost, key=lambda name: lost[name])


@checker
def _what_is_lost(answer: Any) -> str | None:
    return compare_order(answer, _least_lost_first(), "measure each with relative_error")


_OTHER_GREYS: dict[str, Callable[[Tensor], Tensor]] = {
    "this grey weighs the colours as an eye does; here it is their plain mean": lambda images: (
        images * torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1)
    ).sum(1, keepdim=True),
    "this is one grey for the whole image; each pixel has its own": lambda images: images.mean((1, 2, 3), keepdim=True),
    "this is one colour for the whole image; take the mean over the colours, dimension 1": lambda images: images.mean(
        (2, 3), keepdim=True
    ),
    "this is the mean over the images; take it over the colours, dimension 1": lambda images: images.mean(
        0, keepdim=True
    ),
    "this is the mean over a column; take it over the colours, dimension 1": lambda images: images.mean(
        2, keepdim=True
    ),
    "this is the mean over a row; take it over the colours, dimension 1": lambda images: images.mean(3, keepdim=True),
    "this is the brightest of the three colours; take their mean": lambda images: images.amax(1, keepdim=True),
    "this is the darkest of the three colours; take their mean": lambda images: images.amin(1, keepdim=True),
    "this is the first of the three colours; take their mean": lambda images: images[:, :1],
    "this is the median of the three colours; take their mean": lambda images: images.median(1, keepdim=True).values,
    "this is the sum of the three colours; take their mean": lambda images: images.sum(1, keepdim=True),
}


@cache
def _sets() -> list[Tensor]:
    """The faces, and two sets whose images are not squares."""
    faces = _faces()
    return [faces, faces[:8, :, :, :20], faces[50:80, :, 4:20, 8:]]


@cache
def _slips_of_greys(number: int) -> dict[str, float]:
    """The slips for one of the sets."""
    images = _sets()[number]
    slips = _slips_of_errors(images.mean(1, keepdim=True).expand_as(images), images)
    return slips | {why: _error(grey(images), images) for why, grey in _OTHER_GREYS.items()}


@checker
def _grey_error(answer: Any) -> str | None:
    given = [as_number(call(answer, images.clone())) for images in _sets()]
    for number, (images, error) in enumerate(zip(_sets(), given, strict=True)):
        right = _error(images.mean(1, keepdim=True), images)
        if compare_number(error, right, _TOLERANCE) is None:
            continue
        if number > 0 and error == given[0]:
            return "the error is the same whatever images it is given: does it use those in the brackets?"
        complaint = compare_number(error, right, _EXACTLY, _slips_of_greys(number))
        return f"for images of shape {tuple(images.shape)}, {complaint}"
    return None


@cache
def _numbers_of_directions() -> tuple[int, dict[str, float]]:
    """The right number, and those of slips."""
    vectors = _faces().flatten(1).double()
    whole = (vectors - vectors.mean()).square().sum()
    squares = _squared_singular_values(vectors - vectors.mean(0))
    right = _needed(squares, whole)
    described = squares.cumsum(0) / whole
    return right, {
        "this divides by the sum of all squared singular values, which is the variance around the mean image; the "
        "error of this course is divided by the variance around one grey": _needed(squares, squares.sum()),
        "subtract the mean image before the directions are found": _needed(_squared_singular_values(vectors), whole),
        "subtract the mean image, not one grey": _needed(_squared_singular_values(vectors - vectors.mean()), whole),
        "the singular values have to be squared": _needed(squares.sqrt(), squares.sqrt().sum()),
        "with so many directions the error is not below 0.05: does the first direction have the number 0 or 1?": right
        - 1,
        "fewer directions are enough: does the first direction have the number 0 or 1?": right + 1,
        "so many describe 5 %; the question asks when only 5 % is left": int((described < _SMALL_ERROR).sum()) + 1,
    }


def _squared_singular_values(vectors: Tensor) -> Tensor:
    """The largest first, found from products of the vectors, which are fewer than their dimensions."""
    return torch.linalg.eigvalsh(vectors @ vectors.T).flip(0).clamp(min=0)


def _needed(squares: Tensor, whole: Tensor) -> int:
    """How many directions leave an error below 0.05."""
    left = squares.sum() - squares.cumsum(0)
    return int((left / whole >= _SMALL_ERROR).sum()) + 1


@checker
def _number_of_directions(answer: Any) -> str | None:
    right, slips = _numbers_of_directions()
    return compare_number(answer, right, 0, slips)


@cache
def _errors_of_shifts() -> tuple[list[float], dict[str, list[float]]]:
    """The errors of faces that are moved, and what becomes of the five errors by slips."""
    faces = _faces()
    variance = faces.var(correction=0).item()
    moved = [faces.roll(shift, 3) for shift in _SHIFTS]
    cut_off = [F.pad(faces, (shift, -shift)) for shift in _SHIFTS]
    right = [_error(images, faces) for images in moved]
    added_up = [_error(faces.roll(sum(_SHIFTS[: place + 1]), 3), faces) for place in range(len(_SHIFTS))]
    slips = {
        "these are mean squared errors; divide them by the variance of the images": [
            error * variance for error in right
        ],
        "divide by the variance, not by the standard deviation": [error * variance**0.5 for error in right],
        "these are the roots of the errors; leave the squares as they are": [error**0.5 for error in right],
        "these are moved down or up; the columns are dimension 3": [
            _error(faces.roll(shift, 2), faces) for shift in _SHIFTS
        ],
        "these are moved along the colours; the columns are dimension 3": [
            _error(faces.roll(shift, 1), faces) for shift in _SHIFTS
        ],
        "without a dimension, roll moves through the rows as well": [
            _error(faces.roll(shift), faces) for shift in _SHIFTS
        ],
        "each image is taken for the next one here; the columns are dimension 3": [
            _error(faces.roll(shift, 0), faces) for shift in _SHIFTS
        ],
        "zeros come in at the left; with roll, what leaves at one side comes in at the other": [
            _error(images, faces) for images in cut_off
        ],
        "each is moved on from the one before; move the faces as they were": added_up,
        "these are in percent": [100 * error for error in right],
        "these are in the other order, the largest shift first": right[::-1],
        "these are the shares that are described; the error is the rest": [1 - error for error in right],
        "square the differences": [(images - faces).abs().mean().item() / variance for images in moved],
        "compare with the faces as they were, not with those moved less": [
            _error(b, a) for a, b in zip([faces, *moved], moved, strict=False)
        ],
        "this is one face; take all of them": [_error(images[1:2], faces[1:2]) for images in moved],
    }
    return right, slips


@checker
def _shifts(answer: Any) -> str | None:
    right, slips = _errors_of_shifts()
    return compare_tensor(answer, torch.tensor(right), 1e-3, {why: torch.tensor(wrong) for why, wrong in slips.items()})


CHECKERS: dict[str, Checker] = {
    "1.1": _quarters,
    "1.2": _what_is_lost,
    "1.3": _grey_error,
    "1.4": _number_of_directions,
    "1.5": _shifts,
}
