"""Exercises of 09_how_good_is_it, on numbers that are small enough to check by hand."""

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from lpvq.course.exercises.comparing import Checker, compare_number
from lpvq.evaluation.distances import neighbourhoods

_TOLERANCE = 1e-4
# Drafts made for this project on MNIST digits, and the example of Keras: error and nats per image.
DRAFTS = {1: (0.036, 98.6), 2: (0.047, 77.8), 3: (0.033, 59.2), 4: (0.045, 55.4), 5: (0.041, 52.7), 6: (0.044, 50.6)}


def _frechet(answer: Any) -> str | None:
    means, spreads = (2.0, 5.0), (1.0, 3.0)
    apart, wider = (means[0] - means[1]) ** 2, (spreads[0] - spreads[1]) ** 2
    slips: dict[float, str] = {
        apart + (spreads[0] ** 2 - spreads[1] ** 2) ** 2: "the standard deviations are compared, not the variances",
        math.sqrt(apart + wider): "this is the root: the Fréchet distance is the square, as in the notebook",
        apart: "this is the part of the means alone: the spreads differ too",
    }
    return compare_number(answer, apart + wider, _TOLERANCE, slips)


def toy_points() -> tuple[Tensor, Tensor]:
    """Return the points of the notebook: 40 real ones in two groups, and 30 others that have missed one of them."""
    generator = torch.Generator().manual_seed(10)
    real = torch.randn(40, 2, generator=generator)
    real[20:] += 5
    other = torch.randn(30, 2, generator=generator)
    other[24:] += torch.tensor([5.0, 0.0])
    return real, other


def _coverage(answer: Any) -> str | None:
    real, other = toy_points()
    figures = neighbourhoods(real, other, k=3)
    slips: dict[float, str] = {
        figures.recall.value: "this is the recall: for the coverage the balls are those of the real points",
        figures.precision.value: "this is the precision: count the real points, not the others",
    }
    return compare_number(answer, figures.coverage.value, _TOLERANCE, slips)


def _calibration(answer: Any) -> str | None:
    faces, values = 500, 6
    # The mean of |share − 1/6| over all numbers of faces that may have one background; the six are alike.
    deviation = sum(
        math.comb(faces, some) * (values - 1) ** (faces - some) / values**faces * abs(some / faces - 1 / values)
        for some in range(faces + 1)
    )
    value = 0.5 * values * deviation
    if compare_number(answer, 2 * value, 0.006) is None:
        return "this is twice as much as it should be: is there a half in your total variation?"
    return compare_number(answer, value, 0.003)


def _not_beaten(answer: Any) -> str | None:
    if not isinstance(answer, Iterable) or isinstance(answer, str):
        return f"expected a set of numbers of drafts, got {type(answer).__name__}"
    named = set(answer)
    if unknown := named - set(DRAFTS):
        return f"there is no draft {min(unknown, key=str)}"
    for one, (error, nats) in DRAFTS.items():
        better = [two for two, figures in DRAFTS.items() if figures[0] < error and figures[1] < nats]
        if better and one in named:
            return f"draft {one} is beaten by draft {better[0]} in both numbers"
        if not better and one not in named:
            return f"draft {one} is missing: no other has both a smaller error and fewer nats"
    return None


CHECKERS: dict[str, Checker] = {
    "9.1": _frechet,
    "9.2": _coverage,
    "9.3": _calibration,
    "9.4": _not_beaten,
}
