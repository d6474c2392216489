"""The checkers of notebook 09: right answers pass, typical wrong ones are told what is wrong."""

import math
from functools import cache

import numpy as np
import torch

from answers import expect, forms_of_number
from lpvq.course.exercises.notebook_09 import CHECKERS, DRAFTS, toy_points
from lpvq.evaluation.distances import frechet_distance, neighbourhoods


def test_9_1_the_distance_of_two_gaussians():
    ends = torch.tensor([-1.0, 1.0], dtype=torch.float64)
    of_samples = frechet_distance((2 + ends / 2**0.5)[:, None], (5 + 3 * ends / 2**0.5)[:, None])
    expect(
        CHECKERS["9.1"],
        [*forms_of_number(13), 9 + 1 + 9 - 2 * math.sqrt(1 * 9), of_samples, np.int64(13)],
        [
            (73.0, "not the variances"),
            (17, "not those of the variances"),
            (9 + 4 - 2 * math.sqrt(3), "the variances are their squares"),
            (math.sqrt(13), "root"),
            (9, "means alone"),
            (4, "spreads alone"),
            (5, "square both"),
            (7, "the difference of the means, too"),
            (11, "the difference of the spreads, too"),
            (25, "by itself"),
            (53, "means are subtracted"),
            (19, "twice the root"),
            (6.5, "half"),
            (12.5, "12.5 is a little too small"),
            (-1, "too small"),
            ("thirteen", "expected a number, got str"),
            ((9, 4), "expected a number, got tuple"),
        ],
        secrets=["13"],
    )


@cache
def overlaps():
    return neighbourhoods(*toy_points(), k=3)


def overlap(name):
    return getattr(overlaps(), name).value


def inside(points, centres, k):
    """Whether each point lies in the ball of each centre, (P, C)."""
    radii = torch.cdist(centres.double(), centres.double()).sort(1).values[:, k]
    return torch.cdist(points.double(), centres.double()) <= radii


def coverage(real, other, k):
    return inside(other, real, k).any(0).double().mean()


def by_hand(real, other, k):
    real, other = real.double().numpy(), other.double().numpy()
    radii = np.sort(np.linalg.norm(real[:, None] - real[None], axis=2), axis=1)[:, k]  # the point itself comes first
    return (np.linalg.norm(real[:, None] - other[None], axis=2).min(1) <= radii).mean()


def by_loops(real, other, k):
    covered = 0
    for point in real:
        radius = sorted(math.dist(point, neighbour) for neighbour in real.tolist())[k]
        covered += any(math.dist(point, one) <= radius for one in other.tolist())
    return covered / len(real)


def test_9_2_coverage():
    expect(
        CHECKERS["9.2"],
        [
            coverage,
            by_hand,
            by_loops,
            lambda real, other, k: neighbourhoods(real, other, k).coverage.value,
            lambda real, other, k: [coverage(real, other, k).requires_grad_()],
        ],
        [
            (0.5, "expected a function, got float"),
            (lambda real, other, k: ..., "not done yet"),
            (lambda real, other: 1, "the function fails with TypeError"),
            (lambda real, other, k: inside(real, other, k).any(1).double().mean(), "recall"),
            (lambda real, other, k: inside(other, real, k).any(1).double().mean(), "precision"),
            (lambda real, other, k: inside(other, real, k).sum() / len(other) / k, "density"),
            (lambda real, other, k: coverage(other, real, k), "the other way round"),
            (lambda real, other, k: 1 - coverage(real, other, k), "without another point"),
            (lambda real, other, k: coverage(real, other, k) * len(real), "how many real points"),
            (lambda real, other, k: coverage(real, other, k) * len(real) / len(other), "not by that of the others"),
            (lambda real, other, k: inside(other, real, k).double().mean(), "the pairs"),
            (lambda real, other, k: coverage(real, other, k - 1), "not its own neighbour"),
            (lambda real, other, k: coverage(real, other, k + 1), "too large"),
            (lambda real, other, k: coverage(real, other, 3), "the k in the brackets"),
            (lambda real, other, k: inside(other, real, k).any(0), "expected a number, got Tensor of shape (40,)"),
            (lambda real, other, k: True, "True or False"),
            (lambda real, other, k: 0, "0 is too small"),
        ],
    )


def test_the_points_tell_the_measures_apart():
    assert len({round(overlap(name), 3) for name in ("precision", "recall", "density", "coverage")}) == 4


def backgrounds(faces=500):
    """How often each of six backgrounds is drawn, (1000, 6)."""
    counts = np.random.default_rng(0).multinomial(faces, [1 / 6] * 6, size=1000)
    return torch.from_numpy(counts / faces)


def test_9_3_the_total_variation_of_true_faces():
    deviations = (backgrounds() - 1 / 6).abs()
    right = (deviations.sum(1) / 2).mean().item()
    few = np.random.default_rng(1).multinomial(500, [1 / 6] * 6, size=300) / 500
    expect(
        CHECKERS["9.3"],
        [
            *forms_of_number(right),
            np.abs(few - 1 / 6).sum(1).mean() / 2,
            (backgrounds() - 1 / 6).clamp(min=0).sum(1).mean(),
        ],
        [
            (2 * right, "twice as much"),
            (right / 3, "the mean over the backgrounds"),
            (right / 6, "half of the mean"),
            ((backgrounds(50) - 1 / 6).abs().sum(1).mean() / 2, "fewer faces"),
            (0.0, "not the frequencies"),
            (backgrounds().mean(), "a single background"),
            (0.2, "0.2 is too large"),
            (0.05, "0.05 is too large"),
            (0.035, "0.035 is too small"),
            (-0.5, "too small"),
            (deviations.sum(1) / 2, "expected a number, got Tensor of shape (1000,)"),
            (0.5, "too large"),
            ("small", "expected a number, got str"),
        ],
        secrets=["0.039", "0.04"],
    )


def test_9_4_which_drafts_are_not_beaten():
    expect(
        CHECKERS["9.4"],
        [
            {3, 5, 6},
            [6, 5, 3],
            (3, 5, 6),
            np.array([3, 5, 6]),
            torch.tensor([3.0, 5.0, 6.0], requires_grad=True),
            {np.int64(3), np.int64(5), np.int64(6)},
            [torch.tensor(3), 5, np.int64(6), 3],
            frozenset((3, 5, 6)),
            {draft: DRAFTS[draft] for draft in (3, 5, 6)}.keys(),
        ],
        [
            ({6}, "with the fewest nats"),
            ({3}, "with the smallest error"),
            ({3, 6}, "in between"),
            ({1, 2, 4}, "these are the drafts that are beaten"),
            ({2, 4, 5}, "counted from 1"),
            ({3, 4, 5, 6}, "that beat another one"),
            ({2, 3, 5, 6}, "one of them is beaten: another draft"),
            ({5, 6}, "one of them is missing: no other draft"),
            ({1, 2, 3, 4, 5, 6}, "3 of them are beaten"),
            ({5}, "2 of them are missing"),
            ({0, 3}, "no draft 0"),
            ([7], "no draft 7"),
            (set(), "not every draft is beaten"),
            ("356", "expected a set of numbers of drafts, got str"),
            (None, "expected a set of numbers of drafts, got None"),
            ({"draft 3"}, "got str"),
            (DRAFTS, "got dict"),
        ],
        secrets=["draft 3", "draft 5", "draft 6"],
    )


FALLS = {
    "copies, precision": False,
    "one group, precision": False,
    "one group, recall": True,
    "one group, coverage": True,
    "strays, precision": True,
    "strays, recall": False,
}


def test_9_5_what_falls():
    expect(
        CHECKERS["9.5"],
        [
            FALLS,
            {name: np.bool_(value) for name, value in FALLS.items()},
            {name: torch.tensor(value) for name, value in FALLS.items()},
            {name: float(value) for name, value in reversed(FALLS.items())},
        ],
        [
            *[(FALLS | {name: not value}, "1 of 6 wrong. Ask of each") for name, value in FALLS.items()],
            (FALLS | {"copies, precision": True, "strays, recall": True}, "2 of 6 wrong"),
            (dict.fromkeys(FALLS, True), "not all alike. 3 of 6 wrong"),
            (dict.fromkeys(FALLS, False), "not all alike"),
            ({name: not value for name, value in FALLS.items()}, "6 of 6 wrong"),
            ({"copies": False}, "expected a dictionary with True or False for each of copies, precision"),
            (list(FALLS.values()), "expected a dictionary"),
            (FALLS | {"strays, recall": ...}, "still ..."),
            (FALLS | {"strays, recall": 0.3}, "expected True or False for 'strays, recall', got 0.3"),
        ],
    )
