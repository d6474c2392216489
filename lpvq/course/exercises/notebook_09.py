"""Exercises of 09_how_good_is_it, on numbers that are small enough to check by hand."""

from collections.abc import Callable, Set
from functools import cache
from math import comb, sqrt
from typing import Any

import torch
from torch import Tensor

from lpvq.course.exercises.comparing import Checker, as_tensor, call, checker, compare_number, compare_truths
from lpvq.evaluation.distances import neighbourhoods, squared_distances

_TOLERANCE = 1e-4
_SPOILT = [
    "copies, precision",
    "one group, precision",
    "one group, recall",
    "one group, coverage",
    "strays, precision",
    "strays, recall",
]
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
        "from the variances, twice the root of their product is subtracted": apart + real_spread**2 + other_spread**2,
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


def _cases_of_coverage() -> list[tuple[Tensor, Tensor, int]]:
    """Real points, generated ones, and k."""
    generator = torch.Generator().manual_seed(2)
    many, few = torch.randn(50, 4, generator=generator), 0.8 * torch.randn(35, 4, generator=generator) + 0.5
    return [(*toy_points(), 3), (many, few, 4), (few, many, 2)]


def right_coverage(real: Tensor, other: Tensor, k: int) -> float:
    """Return the share of real points in whose ball another point lies."""
    return _share(_in_balls_of(real, other, k).any(1))


# What becomes of it with other balls, or counted differently.
_SLIPS_OF_COVERAGE: dict[str, Callable[[Tensor, Tensor, int], float]] = {
    "this is the recall: for the coverage the balls are those of the real points": lambda real, other, k: _share(
        _in_balls_of(other, real, k).any(0)
    ),
    "this is the precision: count the real points, not the others": lambda real, other, k: _share(
        _in_balls_of(real, other, k).any(0)
    ),
    "this is the density, which counts all balls that another point lies in": lambda real, other, k: (
        _in_balls_of(real, other, k).sum().item() / len(other) / k
    ),
    "this is the coverage of the others by the real points; it is asked the other way round": lambda real, other, k: (
        right_coverage(other, real, k)
    ),
    "this is the share of balls without another point; count those with one": lambda real, other, k: (
        1 - right_coverage(real, other, k)
    ),
    "this is how many real points are covered; the question asks for the share of them": lambda real, other, k: (
        right_coverage(real, other, k) * len(real)
    ),
    "divide by the number of real points, not by that of the others": lambda real, other, k: (
        right_coverage(real, other, k) * len(real) / len(other)
    ),
    "this counts the pairs of a real point and another one in its ball, not the real points": lambda real, other, k: (
        _share(_in_balls_of(real, other, k))
    ),
    "the balls are too small: a point is not its own neighbour": lambda real, other, k: right_coverage(
        real, other, k - 1
    ),
    "the balls are too large: they reach to the k-th neighbour": lambda real, other, k: right_coverage(
        real, other, k + 1
    ),
    "is the k in the brackets used, or always 3?": lambda real, other, k: right_coverage(real, other, 3),
}


def _in_balls_of(points: Tensor, others: Tensor, k: int = 3) -> Tensor:
    """Which of the others (M,) lie in the balls of the points (N,), which reach to the k-th neighbour; bool (N, M)."""
    radii = squared_distances(points, points).sort(1).values[:, k]  # the point itself comes first
    return squared_distances(points, others) <= radii[:, None]


def _share(there: Tensor) -> float:
    return there.double().mean().item()


@checker
def _coverage(answer: Any) -> str | None:
    cases = _cases_of_coverage()
    given = [call(answer, real.clone(), other.clone(), k) for real, other, k in cases]
    complaints = [
        f"for {len(case[0])} real points, {len(case[1])} others and k = {case[2]}: {complaint}"
        for number, case in zip(given, cases, strict=True)
        if (complaint := compare_number(number, right_coverage(*case), _TOLERANCE))
    ]
    if not complaints:
        return None
    for why, slip in _SLIPS_OF_COVERAGE.items():  # in a single case, two of them may be the same number
        if all(not compare_number(number, slip(*case), _TOLERANCE) for number, case in zip(given, cases, strict=True)):
            return why
    return complaints[0]


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


@cache
def _what_falls() -> dict[str, bool]:
    """Which figures of two groups of points fall by more than 0.05 when the generated ones are spoilt."""
    real, fresh = (_two_groups(seed) for seed in (0, 1))
    place = torch.arange(len(fresh))
    spoilt = {
        "copies": real,
        "one group": torch.where(place[:, None] % 2 == 0, fresh, fresh.roll(1, 0)),
        "strays": torch.where(place[:, None] % 10 == 0, 20 * (fresh - fresh.mean(0)), fresh),
    }
    before = neighbourhoods(real, fresh, k=5)
    after = {way: neighbourhoods(real, points, k=5) for way, points in spoilt.items()}

    def fell(way: str, figure: str) -> bool:
        return bool(getattr(after[way], figure).value < getattr(before, figure).value - 0.05)

    return {key: fell(*key.split(", ")) for key in _SPOILT}


def _two_groups(seed: int) -> Tensor:
    """The points of the notebook, (200, 2); every other one is of the second group."""
    points = torch.randn(200, 2, generator=torch.Generator().manual_seed(seed))
    points[::2] += 5
    return points


@checker
def _spoilt(answer: Any) -> str | None:
    return compare_truths(answer, _what_falls(), "whose balls are they, and which points are counted?")


CHECKERS: dict[str, Checker] = {
    "9.1": _frechet,
    "9.2": _coverage,
    "9.3": _calibration,
    "9.4": _not_beaten,
    "9.5": _spoilt,
}
