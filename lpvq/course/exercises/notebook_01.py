"""Exercises of 01_images_and_compression, on the first 256 smileys of the test split."""

from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from lpvq.course.exercises.comparing import Checker, compare_number
from lpvq.data.loading import load

_TOLERANCE = 2e-3


@cache
def _faces() -> Tensor:
    """(256, 3, 32, 32)."""
    return load("smileys", "test", limit=256).floats()


def _error(reconstructions: Tensor, originals: Tensor) -> float:
    return ((reconstructions - originals).square().mean() / originals.var(correction=0)).item()


def _error_complaint(answer: Any, reconstructions: Tensor, originals: Tensor) -> str | None:
    """Compare an error with that of ``reconstructions``; name the slip of leaving out the variance."""
    expected = _error(reconstructions, originals)
    complaint = compare_number(answer, expected, _TOLERANCE)
    mse = expected * originals.var(correction=0).item()
    if complaint and compare_number(answer, mse, _TOLERANCE / 10) is None:
        return "this is the mean squared error; divide it by the variance of the images"
    return complaint


def _quarters(answer: Any) -> str | None:
    faces = _faces()
    painted = F.interpolate(F.avg_pool2d(faces, 16), scale_factor=16, mode="nearest")
    complaint = _error_complaint(answer, painted, faces)
    whole = faces.mean((2, 3), keepdim=True).expand_as(faces)
    if complaint and compare_number(answer, _error(whole, faces), _TOLERANCE) is None:
        return "this is the error of one colour for the whole image, not of one for each quarter"
    return complaint


def _times_fewer(answer: Any) -> str | None:
    slips: dict[float, str] = {
        96: "this compares how many numbers there are; compare their bits",
        48: "16 levels are not 16 bits: a whole number out of 16 takes 4",
        24: "these are bits of float32; rounded to 16 levels, a latent takes fewer",
        64: "an image has three colours",
    }
    return compare_number(answer, 32 * 32 * 3 * 8 / (32 * 4), 0.5, slips)


def _grey_error(answer: Any) -> str | None:
    if not callable(answer):
        return f"expected a function of images, got {type(answer).__name__}"
    faces = _faces()
    for pictures in (faces, faces[:8, :, :, :20]):  # the second is no square
        if answer(pictures) is ...:
            return "the function returns ..., it is not done yet"
        grey = pictures.mean(1, keepdim=True).expand_as(pictures)
        complaint = _error_complaint(answer(pictures), grey, pictures)
        if complaint:
            return f"for images of shape {tuple(pictures.shape)}, {complaint}"
    return None


def _number_of_directions(answer: Any) -> str | None:
    vectors = _faces().flatten(1).double()
    squares = torch.linalg.svdvals(vectors - vectors.mean(0)).square()
    left = squares.sum() - squares.cumsum(0)

    def needed(whole: Tensor) -> int:
        return int((left / whole >= 0.05).sum()) + 1

    expected = needed((vectors - vectors.mean()).square().sum())
    complaint = compare_number(answer, expected, 0)
    if complaint and compare_number(answer, needed(squares.sum()), 0) is None:
        return (
            "this divides by the sum of all squared singular values, which is the variance around the mean image; "
            "the error of this course is divided by the variance around one grey"
        )
    if complaint and compare_number(answer, expected - 1, 0) is None:
        return f"{answer} is one too few: with so many directions the error is still 0.05 or more"
    return complaint


CHECKERS: dict[str, Checker] = {
    "1.1": _quarters,
    "1.2": _times_fewer,
    "1.3": _grey_error,
    "1.4": _number_of_directions,
}
