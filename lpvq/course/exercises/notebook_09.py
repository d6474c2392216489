"""Exercises of 09_how_good_is_it, on numbers that are small enough to check by hand."""

from collections.abc import Set
from functools import cache
from math import comb, sqrt
from typing import Any

import torch
from torch import Tensor

from lpvq.course.exercises.comparing import Checker, as_tensor, checker, compare_number
from lpvq.evaluation.distances import squared_distances

_TOLERANCE = 1e-4
_FACES, _BACKGROUNDS = 500, 6
# Error and nats per image of six drafts of a recipe.
DRAFTS = {1: (0.036, 98.6), 2: (0.047, 77.8), 3: (0.033, 59.2), 4: (0.045, 55.4), 5: (0.041, 52.7), 6: (0.044, 50.6)}


@checker
def _frechet(answer: Any) -> str | None:
    (real_mean, other_mean), (real_spread, other_spread) = (2.0, 5.0), (1.0, 3.0)
    apart, wider = (real_mean - other_mean) ** 2, (real_spread - other_spread) ** 2
    slips: dict[str, float] = {
        "the standard deviations are compared, not the variances": apart + (real_spread**2 - other_spread**2) ** 2,
        "the differences of the standard deviations are squared, not those of the variances taken": apart
        + abs(real_spread**2 - other_spread**2),
        "1 and 3 are the standard deviations; the variances are their squares": apart
        + real_spread
        + other_spread
        - 2 * sqrt(real_spread * other_spread),
        "this is the root: the Fréchet distance is the square, as in the notebook": sqrt(apart + wider),
        "this is the part of the means alone: the spreads differ too": apart,
        "this is the part of the spreads alone: the means differ too": wider,
        "square both differences": sqrt(apart) + sqrt(wider),
        "square the difference of the means, too": sqrt(apart) + wider,
        "square the difference of the spreads, too": apart + sqrt(wider),
        "square each difference by itself": (sqrt(apart) + sqrt(wider)) ** 2,
        "spreads are subtracted, not added": apart + (real_spread + other_spread) ** 2,
        "means are subtracted, not added": (real_mean + other_mean) ** 2 + wider,
        "both parts are added": apart - wider,
        "of the variances, twice the root of their product is taken off": apart + real_spread**2 + other_spread**2,
        "this is half of it": (apart + wider) / 2,
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


@cache
def _coverages() -> tuple[float, dict[str, float]]:
    """The right coverage, and what becomes of it with other balls, or counted otherwise."""
    real, other = toy_points()
    lies_in = _in_balls_of(real, other)
    right = _share(lies_in.any(1))
    return right, {
        "this is the recall: for the coverage the balls are those of the real points": _share(
            _in_balls_of(other, real).any(0)
        ),
        "this is the precision: count the real points, not the others": _share(lies_in.any(0)),
        "this is the density, which counts all balls that another point lies in": lies_in.sum().item() / len(other) / 3,
        "this is the coverage of the others by the real points; it is asked the other way round": _share(
            _in_balls_of(other, real).any(1)
        ),
        "this is the share of balls without another point; count those with one": 1 - right,
        "this is how many real points are covered; wanted is the share of them": right * len(real),
        "divide by the number of real points, not by that of the others": right * len(real) / len(other),
        "the balls reach to the third neighbour, not to the second: a point is no neighbour of itself": _share(
            _in_balls_of(real, other, k=2).any(1)
        ),
        "the balls reach to the third neighbour, not to the first": _share(_in_balls_of(real, other, k=1).any(1)),
        "the balls reach to the third neighbour, not to the fourth": _share(_in_balls_of(real, other, k=4).any(1)),
        "the balls reach to the third neighbour, not to the fifth": _share(_in_balls_of(real, other, k=5).any(1)),
    }


def _in_balls_of(points: Tensor, others: Tensor, k: int = 3) -> Tensor:
    """Which of the others (M,) lie in the balls of the points (N,), that reach to the k-th neighbour; bool (N, M)."""
    radii = squared_distances(points, points).sort(1).values[:, k]  # the point itself comes first
    return squared_distances(points, others) <= radii[:, None]


def _share(there: Tensor) -> float:
    return there.double().mean().item()


@checker
def _coverage(answer: Any) -> str | None:
    right, slips = _coverages()
    return compare_number(answer, right, _TOLERANCE, slips)


@cache
def _calibrations() -> tuple[float, dict[str, float]]:
    right = _BACKGROUNDS * _mean_deviation(_FACES) / 2
    return right, {
        "this is twice as much as it should be: is there a half in your total variation?": 2 * right,
        "this is the mean over the backgrounds; the total variation is half of their sum": _mean_deviation(_FACES),
        "this is half of the mean over the backgrounds; the total variation is half of their sum": _mean_deviation(
            _FACES
        )
        / 2,
        "this is for fewer faces than 500: with fewer of them, chance has more to say": _BACKGROUNDS
        * _mean_deviation(50)
        / 2,
        "chance alone makes frequencies differ; average the absolute differences, not the frequencies": 0.0,
        "these are numbers of faces; divide by how many there are": right * _FACES,
        "this is in percent": 100 * right,
        "this is what a single background has as its share": 1 / _BACKGROUNDS,
    }


def _mean_deviation(faces: int) -> float:
    """The mean of |share − 1/6| over all numbers of faces that may have one background; the six are alike.

    By de Moivre's formula for binomial numbers; a sum over all of them gives the same.
    """
    values, above = _BACKGROUNDS, faces // _BACKGROUNDS + 1
    return 2 * above * comb(faces, above) * (values - 1) ** (faces - above + 1) / values ** (faces + 1) / faces


@checker
def _calibration(answer: Any) -> str | None:
    right, slips = _calibrations()  # a simulation misses it by a little
    return compare_number(answer, right, 0.003) and compare_number(answer, right, 0.002, slips)


@checker
def _not_beaten(answer: Any) -> str | None:
    named = _drafts(answer)
    if unknown := named - set(DRAFTS):
        return f"there is no draft {min(unknown):g}"
    if not named:
        return "not every draft is beaten: look for the one with the smallest error"
    unbeaten = {draft for draft in DRAFTS if not any(_beats(other, draft) for other in DRAFTS)}
    if named == unbeaten:
        return None
    smallest_error = min(DRAFTS, key=lambda draft: DRAFTS[draft][0])
    fewest_nats = min(DRAFTS, key=lambda draft: DRAFTS[draft][1])
    slips: dict[str, set[int]] = {
        "this is the draft with the fewest nats; one with a smaller error is not beaten by it": {fewest_nats},
        "this is the draft with the smallest error; one with fewer nats is not beaten by it": {smallest_error},
        "a draft in between may be better in one number than each of these": {fewest_nats, smallest_error},
        "these are the drafts that are beaten": set(DRAFTS) - unbeaten,
        "these are the drafts that beat another one": {
            draft for draft in DRAFTS if any(_beats(draft, other) for other in DRAFTS)
        },
        "drafts are counted from 1": {draft - 1 for draft in unbeaten},
    }
    for why, wrong in slips.items():
        if named == wrong:
            return why
    if named - unbeaten:
        return f"{_number(named - unbeaten)} beaten: another draft has both a smaller error and fewer nats"
    return f"{_number(unbeaten - named)} missing: no other draft has both a smaller error and fewer nats"


def _drafts(answer: Any) -> set[float]:
    expected = "a set of numbers of drafts"
    numbers = as_tensor(list(answer) if isinstance(answer, Set) else answer, expected)
    return set(numbers.double().flatten().tolist())


def _beats(one: int, two: int) -> bool:
    return DRAFTS[one][0] < DRAFTS[two][0] and DRAFTS[one][1] < DRAFTS[two][1]


def _number(drafts: set[Any]) -> str:
    return "one of them is" if len(drafts) == 1 else f"{len(drafts)} of them are"


CHECKERS: dict[str, Checker] = {
    "9.1": _frechet,
    "9.2": _coverage,
    "9.3": _calibration,
    "9.4": _not_beaten,
}
